//! Named series of numbers: lines, bars, points.

use super::labels::{self, hover, token_label};
use super::options::PlotOptions;
use super::trace::JsonTrace;
use super::{plot, rounded};
use crate::display::Numbers;
use crate::error::{Error, Result};
use plotly::layout::{Axis, BarMode};
use plotly::{Layout, Plot};
use serde_json::{Value, json};

/// Draws one line for each named series.
///
/// ```
/// use ferrolens::display::{PlotOptions, line};
///
/// let (clean, ablated) = (vec![2.1_f32, 1.7, 1.5], vec![2.1_f32, 1.9, 1.9]);
/// let options = PlotOptions::new().x_labels(["The", " cat", " sat"]).y_title("loss (nats)");
/// let plot = line(&[("clean", &clean), ("ablated", &ablated)], options)?;
/// # Ok::<(), ferrolens::Error>(())
/// ```
///
/// # Errors
/// There is no series, a series cannot be read, or labels, positions or error bars are not as many
/// as the values.
pub fn line<N: AsRef<str>, V: Numbers>(series: &[(N, V)], options: PlotOptions) -> Result<Plot> {
    line_of(&borrowed(series), options)
}

fn line_of(series: &[Borrowed<'_>], options: PlotOptions) -> Result<Plot> {
    let series = Series::read(series, &options)?;
    let x = options
        .x_values
        .clone()
        .unwrap_or_else(|| counted(series.len));
    let mode = if options.markers || series.len < 2 {
        "lines+markers"
    } else {
        "lines"
    };
    let mut lines = series.traces(
        &options,
        |name, values| json!({"type": "scatter", "mode": mode, "name": name, "x": x, "y": values}),
    )?;
    let mut traces = Vec::new();
    for (index, (low, high)) in options.bands.iter().enumerate().take(lines.len()) {
        let [red, green, blue] = COLOURS[index % COLOURS.len()];
        let shade = format!("rgba({red},{green},{blue},0.12)");
        lines[index].0["line"] = json!({"color": format!("rgb({red},{green},{blue})")});
        let x = lines[index].0["x"].clone();
        let len = series.named[index].1.len();
        for (edge, fill) in [(low, "none"), (high, "tonexty")] {
            same_len("edges of the band", edge.len(), len)?;
            let edge: Vec<f64> = edge.iter().copied().map(rounded).collect();
            traces.push(JsonTrace(json!({
                "type": "scatter", "mode": "lines", "x": x, "y": edge, "fill": fill, "fillcolor": shade,
                "line": {"width": 0, "color": shade}, "showlegend": false, "hoverinfo": "skip",
            })));
        }
    }
    traces.append(&mut lines);
    let axis = labels::put(Axis::new(), &options.x_labels, series.len, "x")?;
    finish(traces, options, axis, Layout::new())
}

/// plotly's colours of traces, which a band has to know.
const COLOURS: [[u8; 3]; 10] = [
    [0x1f, 0x77, 0xb4],
    [0xff, 0x7f, 0x0e],
    [0x2c, 0xa0, 0x2c],
    [0xd6, 0x27, 0x28],
    [0x94, 0x67, 0xbd],
    [0x8c, 0x56, 0x4b],
    [0xe3, 0x77, 0xc2],
    [0x7f, 0x7f, 0x7f],
    [0xbc, 0xbd, 0x22],
    [0x17, 0xbe, 0xcf],
];

/// Draws one bar for each value, side by side where there are several named series.
///
/// # Errors
/// There is no series, a series cannot be read, or labels or error bars are not as many as the
/// values.
pub fn bar<N: AsRef<str>, V: Numbers>(series: &[(N, V)], options: PlotOptions) -> Result<Plot> {
    bar_of(&borrowed(series), options)
}

fn bar_of(series: &[Borrowed<'_>], options: PlotOptions) -> Result<Plot> {
    let series = Series::read(series, &options)?;
    let x = options
        .x_values
        .clone()
        .unwrap_or_else(|| counted(series.len));
    let traces = series.traces(&options, |name, values| {
        let mut trace = json!({"type": "bar", "name": name, "x": x, "y": values});
        if options.show_values {
            let texts: Vec<String> = values.iter().map(|value| format!("{value:.2}")).collect();
            trace["text"] = json!(texts);
        }
        trace
    })?;
    let axis = labels::put(Axis::new(), &options.x_labels, series.len, "x")?;
    let mode = if options.stacked {
        BarMode::Relative
    } else {
        BarMode::Group
    };
    finish(
        traces,
        options,
        axis.zero_line(false),
        Layout::new().bar_mode(mode),
    )
}

/// Draws one point for each pair of values.
///
/// # Errors
/// The values cannot be read, or x, y, labels and colours are not equally many.
pub fn scatter(x: &dyn Numbers, y: &dyn Numbers, options: PlotOptions) -> Result<Plot> {
    let (x, y) = (x.numbers()?, y.numbers()?);
    same_len("x values", x.len(), y.len())?;
    let mut marker = json!({"size": 6});
    if let Some(values) = &options.point_values {
        same_len("colour values", values.len(), y.len())?;
        // White points on white would be lost: here `Auto` is never the diverging scale.
        let scale = options.colour_scale;
        marker["color"] = json!(values.iter().copied().map(rounded).collect::<Vec<_>>());
        marker["colorscale"] = scale.json();
        marker["showscale"] = json!(true);
        marker["colorbar"] = json!({"title": {"text": labels::title(&options.value_title)}});
        if let Some((low, high)) = options.colour_range {
            (marker["cmin"], marker["cmax"]) = (json!(low), json!(high));
        } else if scale.is_centred() {
            marker["cmid"] = json!(0.0);
        }
    }
    let mut trace = json!({
        "type": "scatter",
        "mode": "markers",
        "x": x.into_iter().map(rounded).collect::<Vec<_>>(),
        "y": y.iter().copied().map(rounded).collect::<Vec<_>>(),
        "marker": marker,
        "hovertemplate": hover_text(&options),
    });
    if !options.point_labels.is_empty() {
        same_len("point labels", options.point_labels.len(), y.len())?;
        let names: Vec<String> = options
            .point_labels
            .iter()
            .map(|label| token_label(label))
            .collect();
        trace["customdata"] = json!(names);
    }
    finish(vec![JsonTrace(trace)], options, Axis::new(), Layout::new())
}

struct Series {
    named: Vec<(String, Vec<f64>)>,
    /// The number of values of the longest.
    len: usize,
}

/// A series of any kind: a cell compiles only the step to this.
pub(super) type Borrowed<'a> = (&'a str, &'a dyn Numbers);

pub(super) fn borrowed<N: AsRef<str>, V: Numbers>(series: &[(N, V)]) -> Vec<Borrowed<'_>> {
    let each = series.iter();
    each.map(|(name, values)| (name.as_ref(), values as &dyn Numbers))
        .collect()
}

/// The numbers of every named series; an error names the series that cannot be read.
pub(super) fn read<'a>(series: &[Borrowed<'a>]) -> Result<Vec<(&'a str, Vec<f64>)>> {
    series
        .iter()
        .map(|&(name, values)| {
            let values = values
                .numbers()
                .map_err(|error| error.context(format!("the series {name:?}")))?;
            Ok((name, values))
        })
        .collect()
}

impl Series {
    fn read(series: &[Borrowed<'_>], options: &PlotOptions) -> Result<Self> {
        let named: Vec<(String, Vec<_>)> = read(series)?
            .into_iter()
            .map(|(name, values)| (name.to_owned(), values.into_iter().map(rounded).collect()))
            .collect();
        let Some(len) = named.iter().map(|(_, values)| values.len()).max() else {
            return Err(Error::new(
                "there is no series to draw; give at least one `(name, &values)`",
            ));
        };
        if let Some(x) = &options.x_values {
            same_len("x values", x.len(), len)?;
        }
        Ok(Self { named, len })
    }

    fn traces(
        &self,
        options: &PlotOptions,
        make: impl Fn(&str, &[f64]) -> Value,
    ) -> Result<Vec<JsonTrace>> {
        let only = self.named.len() == 1;
        let named = self.named.iter().enumerate();
        named
            .map(|(index, (name, values))| {
                let mut trace = make(&token_label(name), values);
                if let Some(errors) = options.errors.get(index) {
                    same_len("error bars", errors.len(), values.len())?;
                    trace["error_y"] = json!({"type": "data", "array": errors, "visible": true});
                }
                let name = if only {
                    String::new()
                } else {
                    format!("<extra>{}</extra>", hover(name))
                };
                let extra = if name.is_empty() {
                    "<extra></extra>".to_owned()
                } else {
                    name
                };
                trace["hovertemplate"] = json!(format!("%{{x}}: %{{y:.4g}}{extra}"));
                Ok(JsonTrace(trace))
            })
            .collect()
    }
}

fn finish(
    traces: Vec<JsonTrace>,
    mut options: PlotOptions,
    x: Axis,
    layout: Layout,
) -> Result<Plot> {
    options.width = options
        .width
        .or(Some(labels::room(&options.x_labels, 700, 14, 200)));
    let legend = traces.len() > 1;
    Ok(plot(
        traces,
        &options,
        (x, Axis::new()),
        layout.show_legend(legend),
    ))
}

fn hover_text(options: &PlotOptions) -> String {
    let or = |title: &str, default: &str| hover(if title.is_empty() { default } else { title });
    let mut text = String::new();
    if !options.point_labels.is_empty() {
        text.push_str("<b>%{customdata}</b><br>");
    }
    text.push_str(&format!("{}: %{{x:.4g}}<br>", or(&options.x_title, "x")));
    text.push_str(&format!("{}: %{{y:.4g}}", or(&options.y_title, "y")));
    if options.point_values.is_some() {
        text.push_str(&format!(
            "<br>{}: %{{marker.color:.4g}}",
            or(&options.value_title, "value")
        ));
    }
    text + "<extra></extra>"
}

pub(super) fn same_len(what: &str, count: usize, values: usize) -> Result<()> {
    if count == values {
        return Ok(());
    }
    Err(Error::new(format!(
        "{count} {what} for {values} values: give as many as there are values"
    )))
}

#[allow(clippy::cast_precision_loss)]
fn counted(len: usize) -> Vec<f64> {
    (0..len).map(|index| index as f64).collect()
}
