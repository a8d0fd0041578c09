//! The legend: which colour is which trace.

use super::colour::Colour;
use super::label::Label;
use super::marks::{self, Trace, dashes, legend_name, symbol};
use super::paper::{Anchor, Area, Paper, Stroke, TextStyle};
use serde_json::Value;

const SIZE: f64 = 12.0;
const ROW: f64 = 19.0;
/// The room of a sample of a trace's look, left of its name.
const SAMPLE: f64 = 36.0;
/// The longest name, in characters.
const LONGEST_NAME: usize = 36;
/// A legend with more rows would leave the picture.
const MOST_ROWS: usize = 40;

pub(super) struct Legend {
    entries: Vec<Entry>,
    title: Label,
    /// In one row above the plot, instead of beside it.
    level: bool,
    ink: Colour,
}

struct Entry {
    label: Label,
    colour: Colour,
    line: Option<Stroke>,
    symbol: Option<String>,
    /// A filled square, for bars and boxes.
    square: bool,
}

impl Legend {
    pub(super) fn new(traces: &[Trace], layout: &Value) -> Self {
        let listed: Vec<&Trace> = traces
            .iter()
            .filter(|trace| !matches!(trace.kind, "heatmap" | "heatmapgl"))
            .filter(|trace| trace.json["showlegend"] != false)
            .collect();
        let asked = listed.iter().any(|trace| trace.json["showlegend"] == true);
        let shown = layout["showlegend"]
            .as_bool()
            .unwrap_or(listed.len() > 1 || asked);
        let mut entries: Vec<Entry> = Vec::new();
        if shown {
            entries.extend(listed.into_iter().map(Entry::new));
        }
        if entries.len() > MOST_ROWS {
            entries.truncate(MOST_ROWS);
        }
        Self {
            entries,
            title: Label::new(super::data::title(&layout["legend"]["title"])),
            level: layout["legend"]["orientation"] == "h",
            ink: super::frame::ink(layout),
        }
    }

    /// The width that it takes right of the plot.
    pub(super) fn width_beside(&self) -> f64 {
        if self.level || self.entries.is_empty() {
            return 0.0;
        }
        let widest = self
            .entries
            .iter()
            .map(|entry| entry.label.width(SIZE))
            .fold(0.0, f64::max);
        SAMPLE + widest.max(self.title.width(SIZE) - SAMPLE) + 8.0
    }

    /// The height that it takes above the plot.
    pub(super) fn height_above(&self, width: f64) -> f64 {
        if !self.level || self.entries.is_empty() {
            return 0.0;
        }
        let rows = self
            .level_places((0.0, 0.0), width - 80.0)
            .last()
            .map_or(0.0, |(_, y)| y / ROW);
        (rows + 1.0) * ROW + 6.0
    }

    /// Its upper left corner.
    pub(super) fn place(&self, plot: Area, beside: f64) -> (f64, f64) {
        if self.level {
            (plot.left, plot.top - self.height_above(plot.width + 80.0))
        } else {
            (plot.right() + beside + 14.0, plot.top + 4.0)
        }
    }

    pub(super) fn draw(&self, paper: &mut Paper, corner: (f64, f64)) {
        if self.entries.is_empty() {
            return;
        }
        let style = TextStyle {
            size: SIZE,
            anchor: Anchor::Start,
            angle: 0.0,
            colour: self.ink,
        };
        if self.level {
            let places = self.level_places(corner, 600.0);
            for (entry, at) in self.entries.iter().zip(places) {
                entry.draw(paper, (at.0, at.1 + ROW / 2.0), style);
            }
            return;
        }
        let mut y = corner.1 + ROW / 2.0;
        if !self.title.is_empty() {
            paper.text((corner.0, y), &self.title, style);
            y += ROW;
        }
        for entry in &self.entries {
            entry.draw(paper, (corner.0, y), style);
            y += ROW;
        }
    }

    /// The left ends of the entries in rows of this width.
    fn level_places(&self, corner: (f64, f64), width: f64) -> Vec<(f64, f64)> {
        let (mut x, mut y) = corner;
        self.entries
            .iter()
            .map(|entry| {
                let wide = SAMPLE + entry.label.width(SIZE) + 16.0;
                if x > corner.0 && x + wide > corner.0 + width {
                    (x, y) = (corner.0, y + ROW);
                }
                let at = (x, y);
                x += wide;
                at
            })
            .collect()
    }
}

impl Entry {
    fn new(trace: &Trace) -> Self {
        let json = trace.json;
        let marker = Colour::read(&json["marker"]["color"]);
        let line = Colour::read(&json["line"]["color"]);
        let square = matches!(trace.kind, "bar" | "histogram" | "box");
        let points = json["x"]
            .as_array()
            .or(json["y"].as_array())
            .map_or(0, Vec::len);
        let default = if points < 20 {
            "lines+markers"
        } else {
            "lines"
        };
        let mode = json["mode"].as_str().unwrap_or(default);
        let colour = marker
            .or(line)
            .unwrap_or(trace.colour)
            .with_alpha(trace.opacity());
        let stroke = Stroke {
            colour: line.unwrap_or(colour),
            width: json["line"]["width"].as_f64().unwrap_or(2.0).min(6.0),
            dashes: dashes(json["line"]["dash"].as_str().unwrap_or_default()),
        };
        Self {
            label: Label::new(&legend_name(trace)).cut(LONGEST_NAME),
            colour,
            line: (!square && mode.contains("lines")).then_some(stroke),
            symbol: (!square && mode.contains("markers"))
                .then(|| marks::first_symbol(&json["marker"]["symbol"])),
            square,
        }
    }

    fn draw(&self, paper: &mut Paper, at: (f64, f64), style: TextStyle) {
        let middle = (at.0 + SAMPLE / 2.0 - 4.0, at.1);
        if self.square {
            let square = Area {
                left: middle.0 - 6.0,
                top: middle.1 - 6.0,
                width: 12.0,
                height: 12.0,
            };
            paper.rectangle(square, Some(self.colour), None);
        }
        if let Some(line) = self.line {
            paper.line((at.0 + 1.0, at.1), (at.0 + SAMPLE - 9.0, at.1), line);
        }
        if let Some(shape) = &self.symbol {
            symbol(paper, shape, middle, 7.0, self.colour, None);
        }
        paper.text((at.0 + SAMPLE, at.1), &self.label, style);
    }
}
