//! What traces put on the paper.

mod bars;
mod boxes;
mod error_bars;
mod heat_map;
mod histogram;
mod polyline;
mod scatter;
mod symbols;

use super::axis::{Axis, Reach};
use super::colour::Colour;
use super::colour_scale::ColourScale;
use super::data::{Datum, data, positions, title};
use super::paper::{Area, Paper};
use serde_json::Value;

pub(super) use symbols::{dashes, symbol};

/// The most points that one trace draws: a page must stay quick to open.
const MOST_POINTS: usize = 4000;

/// Something drawn along a pair of axes.
pub(super) trait Mark {
    /// How far it goes along x and along y, in the axes' own measures.
    fn reach(&self) -> (Reach, Reach);

    fn draw(&self, paper: &mut Paper, x: &Axis, y: &Axis);

    /// The scale that its colours follow, and the settings of the bar that explains it.
    fn colour_bar(&self) -> Option<(ColourScale, Value)> {
        None
    }

    /// What the reader should know about this drawing.
    fn note(&self) -> Option<String> {
        None
    }
}

/// One trace of a figure.
#[derive(Debug, Clone)]
pub(super) struct Trace<'a> {
    pub json: &'a Value,
    pub kind: &'a str,
    pub name: String,
    pub colour: Colour,
    /// The ids of its axes.
    pub x: String,
    pub y: String,
}

impl<'a> Trace<'a> {
    /// The trace with this number; `None` where the figure hides it.
    pub(super) fn new(json: &'a Value, index: usize, layout: &Value) -> Option<Self> {
        if json["visible"] == false || json["visible"] == "legendonly" {
            return None;
        }
        let axis = |letter: &str| {
            let id = json[format!("{letter}axis").as_str()].as_str();
            id.filter(|id| is_axis_id(id, letter))
                .unwrap_or(letter)
                .to_owned()
        };
        let name = match json["name"].as_str() {
            Some(name) => name.to_owned(),
            None => format!("trace {index}"),
        };
        Some(Self {
            json,
            kind: json["type"].as_str().unwrap_or("scatter"),
            name,
            colour: Colour::of_trace(index, layout),
            x: axis("x"),
            y: axis("y"),
        })
    }

    /// Whether this picture can draw it.
    pub(super) fn is_known(&self) -> bool {
        matches!(
            self.kind,
            "scatter" | "scattergl" | "bar" | "histogram" | "heatmap" | "heatmapgl" | "box"
        )
    }

    pub(super) fn is_bar(&self) -> bool {
        matches!(self.kind, "bar" | "histogram")
    }

    /// Whether bars stand up and boxes too; else they lie along x.
    pub(super) fn is_upright(&self) -> bool {
        match self.json["orientation"].as_str() {
            Some("h") => false,
            Some(_) => true,
            None if self.kind == "bar" => true,
            None if self.kind == "histogram" => self.json["x"].is_array(),
            None => self.json["y"].is_array(),
        }
    }

    /// What it puts along one of its axes: that decides about categories.
    pub(super) fn data_along(&self, is_x: bool) -> Vec<Datum> {
        let letter = if is_x { "x" } else { "y" };
        match self.kind {
            "histogram" => data(&self.json[letter]).unwrap_or_default(),
            "box" if is_x == self.is_upright() => {
                data(&self.json[letter]).unwrap_or_else(|| vec![Datum::Text(self.name.clone())])
            }
            "heatmap" | "heatmapgl" => {
                let (columns, rows) = heat_map::size(&self.json["z"]);
                positions(self.json, letter, if is_x { columns } else { rows })
            }
            _ => positions(self.json, letter, self.len()),
        }
    }

    /// The number of its points.
    fn len(&self) -> usize {
        let len = |name: &str| self.json[name].as_array().map_or(0, Vec::len);
        len("x").max(len("y"))
    }

    pub(super) fn opacity(&self) -> f64 {
        self.json["opacity"].as_f64().unwrap_or(1.0).clamp(0.0, 1.0)
    }
}

fn is_axis_id(id: &str, letter: &str) -> bool {
    id.strip_prefix(letter)
        .is_some_and(|rest| rest.chars().all(|character| character.is_ascii_digit()))
}

/// The marks of all the traces that share a pair of axes, from the lowest to the topmost.
pub(super) fn of_panel(
    traces: &[&Trace],
    layout: &Value,
    x: &Axis,
    y: &Axis,
) -> Vec<Box<dyn Mark>> {
    let mut marks: Vec<Box<dyn Mark>> = Vec::new();
    for trace in traces {
        if matches!(trace.kind, "heatmap" | "heatmapgl") {
            marks.push(Box::new(heat_map::HeatMap::new(trace, layout, x, y)));
        }
    }
    let bars: Vec<&Trace> = traces
        .iter()
        .copied()
        .filter(|trace| trace.is_bar())
        .collect();
    for group in bars::groups(&bars, layout, x, y) {
        marks.push(Box::new(group));
    }
    let boxes: Vec<&Trace> = traces
        .iter()
        .copied()
        .filter(|trace| trace.kind == "box")
        .collect();
    for group in boxes::groups(&boxes, layout, x, y) {
        marks.push(Box::new(group));
    }
    let mut earlier = None;
    for trace in traces {
        if matches!(trace.kind, "scatter" | "scattergl") {
            let scatter = scatter::Scatter::new(trace, layout, x, y, earlier);
            earlier = Some(scatter.points());
            marks.push(Box::new(scatter));
        }
    }
    marks
}

/// The values by which a colour axis, shared by several traces, finds its bounds; and its settings.
fn colour_axis(name: &str, layout: &Value, own_values: &[f64]) -> (ColourScale, Value) {
    let settings = layout[name].clone();
    let scale = ColourScale::read(&settings, 'c', own_values);
    (scale, settings)
}

/// What stands where a trace cannot be drawn.
pub(super) fn unknown(kind: &str) -> String {
    let name = match kind {
        "surface" => "A 3-D surface",
        "scatter3d" => "A 3-D scatter plot",
        "mesh3d" => "A 3-D mesh",
        "pie" => "A pie chart",
        "table" => "A table",
        "sankey" => "A flow diagram",
        "contour" | "histogram2dcontour" => "A contour plot",
        "histogram2d" => "A two-dimensional histogram",
        "violin" => "A violin plot",
        "image" => "An image",
        "candlestick" | "ohlc" => "A price chart",
        "scattergeo" | "scattermapbox" | "densitymapbox" => "A map",
        "scatterpolar" | "scatterpolargl" => "A polar plot",
        other => {
            return format!("A plot of type “{other}”: open the notebook in JupyterLab to see it");
        }
    };
    format!("{name}: open the notebook in JupyterLab to see it")
}

/// Points of an area that lie within it or close to it, for what would be drawn far outside.
fn is_near(area: Area, at: (f64, f64)) -> bool {
    let near = |value: f64, low: f64, high: f64| value >= low - 50.0 && value <= high + 50.0;
    near(at.0, area.left, area.right()) && near(at.1, area.top, area.bottom())
}

/// The symbol of a trace's first point.
pub(super) fn first_symbol(symbol: &Value) -> String {
    super::data::text_at(symbol, 0).unwrap_or_default()
}

/// The name that the legend shows for a trace.
pub(super) fn legend_name(trace: &Trace) -> String {
    let group = title(&trace.json["legendgrouptitle"]);
    if group.is_empty() {
        trace.name.clone()
    } else {
        format!("{group}: {}", trace.name)
    }
}
