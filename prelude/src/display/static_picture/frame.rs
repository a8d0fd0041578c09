//! The ground, the grid and the labels of axes.

use super::axis::{Axis, Kind};
use super::colour::Colour;
use super::label::Label;
use super::paper::{Anchor, Area, LINE_HEIGHT, Paper, Stroke, TextStyle};
use super::ticks::Tick;
use serde_json::Value;

/// The longest tick label, in characters.
const LONGEST_LABEL: usize = 32;
const TICK_SIZE: f64 = 12.0;
const TITLE_SIZE: f64 = 14.0;
/// Between an axis and its labels.
const GAP: f64 = 6.0;

/// The look of the figure's title.
pub(super) fn title_style(layout: &Value) -> TextStyle {
    let font = &layout["title"]["font"];
    TextStyle {
        size: font["size"].as_f64().unwrap_or(17.0).clamp(4.0, 60.0),
        colour: Colour::read(&font["color"]).unwrap_or_else(|| ink(layout)),
        ..TextStyle::default()
    }
}

/// The colour of all text that chooses none.
pub(super) fn ink(layout: &Value) -> Colour {
    Colour::read(&layout["font"]["color"]).unwrap_or(Colour::INK)
}

#[allow(clippy::cast_precision_loss)]
pub(super) fn lines_height(label: &Label, size: f64) -> f64 {
    label.lines.len() as f64 * size * LINE_HEIGHT
}

/// How the labels of an x axis are written so that none covers another.
pub(super) struct XLabels {
    ticks: Vec<(Tick, Label)>,
    angle: f64,
    size: f64,
    /// The distance between two labels.
    step: f64,
}

impl XLabels {
    /// Level where there is room, else slanted, else upright; and then not all of them.
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss
    )]
    pub(super) fn new(axis: &Axis, length: f64) -> Self {
        let mut ticks = labels(axis, length);
        let size = tick_size(axis);
        let widest = ticks
            .iter()
            .map(|(_, label)| label.width(size))
            .fold(0.0, f64::max);
        let mut step = smallest_step(axis, &ticks, length);
        let angle = match axis.settings["tickangle"].as_f64() {
            Some(angle) => angle,
            None if widest + 8.0 <= step || ticks.len() < 2 => 0.0,
            None if step >= 1.6 * size => -45.0,
            None => 90.0,
        };
        let needed = if angle == 0.0 {
            widest + 4.0
        } else {
            1.05 * size
        };
        if step < needed && axis.settings["tickangle"].is_null() {
            let every = (needed / step).ceil() as usize;
            ticks = ticks.into_iter().step_by(every.max(1)).collect();
            step *= every as f64;
        }
        Self {
            ticks,
            angle,
            size,
            step,
        }
    }

    fn widest(&self) -> f64 {
        self.ticks
            .iter()
            .map(|(_, label)| label.width(self.size))
            .fold(0.0, f64::max)
    }

    /// The height of the labels alone.
    fn height(&self) -> f64 {
        let lines = self
            .ticks
            .iter()
            .map(|(_, label)| lines_height(label, self.size))
            .fold(0.0, f64::max);
        let turn = self.angle.to_radians();
        self.widest() * turn.sin().abs() + lines * turn.cos().abs()
    }

    /// The height of everything that the axis writes.
    pub(super) fn room(&self, axis: &Axis) -> f64 {
        let title = axis.title();
        let title = if title.is_empty() {
            0.0
        } else {
            lines_height(&title, TITLE_SIZE) + 8.0
        };
        GAP + self.height() + title
    }

    /// How far the first label reaches to the left of the axis.
    pub(super) fn overhang(&self) -> f64 {
        let Some((_, first)) = self.ticks.first() else {
            return 0.0;
        };
        let slanted = self.angle < -1.0 && self.angle > -89.0;
        if slanted {
            first.width(self.size) * 0.72 + 4.0 - self.step / 2.0
        } else {
            0.0
        }
    }
}

/// The width of everything that a y axis writes.
pub(super) fn y_room(axis: &Axis, length: f64) -> f64 {
    let size = tick_size(axis);
    let labels = labels(axis, length);
    let widest = labels
        .iter()
        .map(|(_, label)| label.width(size))
        .fold(0.0, f64::max);
    let title = axis.title();
    let title = if title.is_empty() {
        0.0
    } else {
        lines_height(&title, TITLE_SIZE) + 8.0
    };
    GAP + widest + title + 4.0
}

/// The ground of a pair of axes, and its grid.
pub(super) fn draw_ground(paper: &mut Paper, layout: &Value, area: Area, x: &Axis, y: &Axis) {
    let ground = Colour::read(&layout["plot_bgcolor"]).unwrap_or(Colour::WHITE);
    paper.rectangle(area, Some(ground), None);
    for axis in [x, y] {
        let settings = &axis.settings;
        if settings["visible"] == false {
            continue;
        }
        let across = |place: f64| {
            let at = axis.pixel(place);
            if axis.is_x() {
                ((at, area.top), (at, area.bottom()))
            } else {
                ((area.left, at), (area.right(), at))
            }
        };
        let length = if axis.is_x() { area.width } else { area.height };
        let grid = Colour::read(&settings["gridcolor"]).unwrap_or(Colour::GRID);
        let has_grid = settings["showgrid"].as_bool().unwrap_or(!axis.has_bars);
        if has_grid {
            for tick in axis.ticks(length) {
                let (from, to) = across(tick.at);
                paper.line(from, to, Stroke::new(grid, 1.0));
            }
        }
        let (low, high) = axis.span();
        let zero = settings["zeroline"].as_bool().unwrap_or(!axis.has_bars);
        if zero && axis.kind == Kind::Linear && low <= 0.0 && high >= 0.0 {
            let colour = Colour::read(&settings["zerolinecolor"]).unwrap_or(Colour::INK);
            let (from, to) = across(0.0);
            paper.line(from, to, Stroke::new(colour, 1.0));
        }
    }
}

/// The labels, the title and the line of an x axis, below or above its panel.
pub(super) fn draw_x_axis(paper: &mut Paper, layout: &Value, axis: &Axis, area: Area) {
    if axis.settings["visible"] == false {
        return;
    }
    let above = axis.settings["side"] == "top";
    let (edge, way) = if above {
        (area.top, -1.0)
    } else {
        (area.bottom(), 1.0)
    };
    let labels = XLabels::new(axis, area.width);
    let colour = Colour::read(&axis.settings["tickfont"]["color"]).unwrap_or_else(|| ink(layout));
    draw_line(paper, axis, (area.left, edge), (area.right(), edge));
    for (tick, label) in &labels.ticks {
        let x = axis.pixel(tick.at);
        draw_tick(paper, axis, (x, edge), (x, edge + 5.0 * way));
        let level = labels.angle == 0.0;
        let anchor = match (level, (labels.angle < 0.0) == above) {
            (true, _) => Anchor::Middle,
            (false, true) => Anchor::Start,
            (false, false) => Anchor::End,
        };
        // An upright or rising label starts at the axis; a falling one ends there.
        let anchor = if labels.angle > 0.0 && !above {
            Anchor::Start
        } else {
            anchor
        };
        let y = if level {
            edge + way * (GAP + lines_height(label, labels.size) / 2.0)
        } else {
            edge + way * (GAP + 2.0)
        };
        let style = TextStyle {
            size: labels.size,
            anchor,
            angle: labels.angle,
            colour,
        };
        paper.text((x, y), label, style);
    }
    let title = axis.title();
    let size = axis_title_size(axis);
    let y = edge + way * (GAP + labels.height() + 4.0 + lines_height(&title, size) / 2.0 + 2.0);
    let style = TextStyle {
        size,
        colour: title_colour(axis, layout),
        ..TextStyle::default()
    };
    paper.text((area.left + area.width / 2.0, y), &title, style);
}

/// The labels, the title and the line of a y axis, left or right of its panel.
pub(super) fn draw_y_axis(paper: &mut Paper, layout: &Value, axis: &Axis, area: Area) {
    if axis.settings["visible"] == false {
        return;
    }
    let right = axis.settings["side"] == "right";
    let (edge, way, anchor) = if right {
        (area.right(), 1.0, Anchor::Start)
    } else {
        (area.left, -1.0, Anchor::End)
    };
    let size = tick_size(axis);
    let mut labels = labels(axis, area.height);
    let step = smallest_step(axis, &labels, area.height);
    let tallest = labels
        .iter()
        .map(|(_, label)| lines_height(label, size))
        .fold(0.0, f64::max)
        * 0.85;
    if step < tallest {
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let every = (tallest / step).ceil() as usize;
        labels = labels.into_iter().step_by(every.max(1)).collect();
    }
    let colour = Colour::read(&axis.settings["tickfont"]["color"]).unwrap_or_else(|| ink(layout));
    draw_line(paper, axis, (edge, area.top), (edge, area.bottom()));
    for (tick, label) in &labels {
        let y = axis.pixel(tick.at);
        draw_tick(paper, axis, (edge, y), (edge + 5.0 * way, y));
        paper.text(
            (edge + GAP * way, y),
            label,
            TextStyle {
                size,
                anchor,
                angle: 0.0,
                colour,
            },
        );
    }
    let title = axis.title();
    let widest = labels
        .iter()
        .map(|(_, label)| label.width(size))
        .fold(0.0, f64::max);
    let title_size = axis_title_size(axis);
    let x = edge + way * (GAP + widest + 6.0 + lines_height(&title, title_size) / 2.0);
    let style = TextStyle {
        size: title_size,
        angle: if right { 90.0 } else { -90.0 },
        colour: title_colour(axis, layout),
        ..TextStyle::default()
    };
    paper.text((x, area.top + area.height / 2.0), &title, style);
}

fn draw_line(paper: &mut Paper, axis: &Axis, from: (f64, f64), to: (f64, f64)) {
    if axis.settings["showline"] == true {
        let colour = Colour::read(&axis.settings["linecolor"]).unwrap_or(Colour::INK);
        let width = axis.settings["linewidth"].as_f64().unwrap_or(1.0);
        paper.line(from, to, Stroke::new(colour, width));
    }
}

fn draw_tick(paper: &mut Paper, axis: &Axis, from: (f64, f64), to: (f64, f64)) {
    if axis.settings["ticks"] == "outside" {
        let colour = Colour::read(&axis.settings["tickcolor"]).unwrap_or(Colour::INK);
        paper.line(from, to, Stroke::new(colour, 1.0));
    }
}

fn labels(axis: &Axis, length: f64) -> Vec<(Tick, Label)> {
    axis.ticks(length)
        .into_iter()
        .map(|tick| {
            let label = Label::new(&tick.text).cut(LONGEST_LABEL);
            (tick, label)
        })
        .collect()
}

fn tick_size(axis: &Axis) -> f64 {
    axis.settings["tickfont"]["size"]
        .as_f64()
        .unwrap_or(TICK_SIZE)
        .clamp(4.0, 40.0)
}

fn axis_title_size(axis: &Axis) -> f64 {
    axis.settings["title"]["font"]["size"]
        .as_f64()
        .unwrap_or(TITLE_SIZE)
        .clamp(4.0, 40.0)
}

fn title_colour(axis: &Axis, layout: &Value) -> Colour {
    Colour::read(&axis.settings["title"]["font"]["color"]).unwrap_or_else(|| ink(layout))
}

/// The smallest distance between two labels on an axis of this length, in pixels.
fn smallest_step(axis: &Axis, ticks: &[(Tick, Label)], length: f64) -> f64 {
    let (low, high) = axis.span();
    let mut places: Vec<f64> = ticks.iter().map(|(tick, _)| tick.at).collect();
    places.sort_by(f64::total_cmp);
    let steps = places
        .windows(2)
        .map(|pair| (pair[1] - pair[0]) / (high - low) * length);
    steps
        .filter(|step| *step > 0.0)
        .fold(length, f64::min)
        .max(0.1)
}
