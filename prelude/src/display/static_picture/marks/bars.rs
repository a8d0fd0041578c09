//! Bars, side by side, on top of each other or over each other; and the bars of histograms.

use super::error_bars::error_at;
use super::scatter::{area, widest};
use super::{Mark, Trace, histogram, is_near};
use crate::display::static_picture::axis::{Axis, Kind, Reach};
use crate::display::static_picture::colour::Colour;
use crate::display::static_picture::colour_scale::ColourScale;
use crate::display::static_picture::data::{number_at, numbers, text_at};
use crate::display::static_picture::label::Label;
use crate::display::static_picture::paper::{Anchor, Area, Paper, Stroke, TextStyle};
use serde_json::Value;
use std::collections::HashMap;

/// The bars of one trace.
pub(super) struct Bars {
    bars: Vec<Bar>,
    /// The room of all bars of one position.
    cell: f64,
    upright: bool,
    outline: Option<Stroke>,
    text_place: String,
}

struct Bar {
    /// Its datum, its middle and its width along the axis of positions, and the two ends along the other, all
    /// in the axes' own measures.
    position: f64,
    middle: f64,
    width: f64,
    from: f64,
    to: f64,
    colour: Colour,
    text: String,
    /// The ends of its error bar.
    error: Option<(f64, f64)>,
}

/// What a trace wants to draw, before it is placed beside its neighbours.
pub(super) struct Heights {
    pub positions: Vec<f64>,
    pub values: Vec<f64>,
    /// The width of a histogram's bins.
    pub width: Option<f64>,
}

/// The bars of all traces of a pair of axes, one group a trace.
pub(super) fn groups(traces: &[&Trace], layout: &Value, x: &Axis, y: &Axis) -> Vec<Bars> {
    let mode = layout["barmode"].as_str().unwrap_or("group");
    let heights: Vec<Heights> = histogram::shared(traces, mode)
        .into_iter()
        .zip(traces)
        .map(|(bins, trace)| match bins {
            Some(bins) => histogram::heights(trace, &bins, x, y),
            None => heights(trace, x, y),
        })
        .collect();
    let step = smallest_step(&heights);
    let only_histograms = traces.iter().all(|trace| trace.kind == "histogram");
    let default_gap = if only_histograms { 0.0 } else { 0.2 };
    let gap = layout["bargap"]
        .as_f64()
        .unwrap_or(default_gap)
        .clamp(0.0, 1.0);
    let room = step * (1.0 - gap);
    let inner_gap = layout["bargroupgap"]
        .as_f64()
        .unwrap_or(0.0)
        .clamp(0.0, 1.0);
    let mut stacks = Stacks::default();
    let mut groups = Vec::new();
    for (index, (trace, heights)) in traces.iter().zip(heights).enumerate() {
        #[allow(clippy::cast_precision_loss)]
        let (share, shift) = if mode == "group" {
            let share = room / traces.len() as f64;
            (share, (index as f64 + 0.5) * share - room / 2.0)
        } else {
            (room, 0.0)
        };
        let place = Place {
            width: share * (1.0 - inner_gap),
            shift,
            cell: step,
        };
        let stacked = matches!(mode, "stack" | "relative");
        let stacks = stacked.then_some(&mut stacks);
        let base = if trace.is_upright() {
            y.base()
        } else {
            x.base()
        };
        let along = if trace.is_upright() { y } else { x };
        groups.push(Bars::new(trace, heights, place, base, along, stacks));
    }
    groups
}

#[derive(Clone, Copy)]
struct Place {
    width: f64,
    shift: f64,
    cell: f64,
}

/// How high the bars at each position are so far, above and below zero.
#[derive(Default)]
struct Stacks {
    above: HashMap<u64, f64>,
    below: HashMap<u64, f64>,
}

impl Stacks {
    /// The value on which a bar stands.
    fn put(&mut self, position: f64, value: f64) -> f64 {
        let side = if value < 0.0 {
            &mut self.below
        } else {
            &mut self.above
        };
        let top = side.entry(position.to_bits()).or_insert(0.0);
        let start = *top;
        *top += value;
        start
    }
}

impl Bars {
    fn new(
        trace: &Trace,
        heights: Heights,
        place: Place,
        base: f64,
        along: &Axis,
        mut stacks: Option<&mut Stacks>,
    ) -> Self {
        let json = trace.json;
        let marker = &json["marker"];
        let values = numbers(&marker["color"]);
        let scale = ColourScale::read(marker, 'c', &values);
        let error = &json[if trace.is_upright() {
            "error_y"
        } else {
            "error_x"
        }];
        let mut bars = Vec::new();
        for (index, (&position, &value)) in
            heights.positions.iter().zip(&heights.values).enumerate()
        {
            if !(position.is_finite() && value.is_finite()) {
                continue;
            }
            let width = heights
                .width
                .or_else(|| number_at(&json["width"], index))
                .unwrap_or(place.width);
            let shift = match number_at(&json["offset"], index) {
                Some(offset) => offset + width / 2.0,
                None => place.shift,
            };
            let start = match (&mut stacks, number_at(&json["base"], index)) {
                (_, Some(base)) => base,
                (Some(stacks), None) => stacks.put(position, value),
                (None, None) => 0.0,
            };
            let from = if start == 0.0 {
                base
            } else {
                along.measure(start)
            };
            let listed = marker["color"].get(index).and_then(Colour::read);
            let scaled = values.get(index).filter(|value| value.is_finite());
            let colour = listed
                .or_else(|| scaled.map(|value| scale.colour(*value)))
                .or_else(|| Colour::read(&marker["color"]))
                .unwrap_or(trace.colour);
            let alpha = marker["opacity"].as_f64().unwrap_or(1.0) * trace.opacity();
            let end = start + value;
            let error = error_at(error, index, end)
                .map(|(below, above)| (along.measure(end - below), along.measure(end + above)));
            bars.push(Bar {
                position,
                middle: position + shift,
                width,
                from,
                to: along.measure(end),
                colour: colour.with_alpha(alpha),
                text: text_at(&json["text"], index).unwrap_or_default(),
                error,
            });
        }
        let line = &marker["line"];
        let outline = line["width"].as_f64().filter(|width| *width > 0.0);
        Self {
            bars,
            cell: place.cell,
            upright: trace.is_upright(),
            outline: outline.map(|width| {
                Stroke::new(Colour::read(&line["color"]).unwrap_or(Colour::INK), width)
            }),
            text_place: json["textposition"].as_str().unwrap_or("auto").to_owned(),
        }
    }

    /// The rectangle of a bar on the paper.
    fn area(&self, bar: &Bar, x: &Axis, y: &Axis) -> Area {
        let (across, along) = if self.upright { (x, y) } else { (y, x) };
        let sides = (
            across.pixel(bar.middle - bar.width / 2.0),
            across.pixel(bar.middle + bar.width / 2.0),
        );
        let ends = (along.pixel(bar.from), along.pixel(bar.to));
        let (horizontal, vertical) = if self.upright {
            (sides, ends)
        } else {
            (ends, sides)
        };
        Area {
            left: horizontal.0.min(horizontal.1),
            top: vertical.0.min(vertical.1),
            width: (horizontal.1 - horizontal.0).abs(),
            height: (vertical.1 - vertical.0).abs(),
        }
    }

    fn draw_text(&self, paper: &mut Paper, bar: &Bar, area: Area) {
        if bar.text.is_empty() || self.text_place == "none" {
            return;
        }
        let label = Label::new(&bar.text);
        let size = 12.0;
        let fits = if self.upright {
            area.height > 1.6 * size && label.width(size) < area.width + 2.0
        } else {
            area.width > label.width(size) + 8.0
        };
        let inside = self.text_place == "inside" || (self.text_place == "auto" && fits);
        let grows_up = bar.to >= bar.from;
        let style = |anchor, colour| TextStyle {
            size,
            anchor,
            colour,
            angle: 0.0,
        };
        let ink = if inside {
            bar.colour.ink_on()
        } else {
            Colour::INK
        };
        // Inside, a text stands at the bar's end; outside, right behind it.
        let way = if inside { -1.0 } else { 1.0 };
        if self.upright {
            let end = if grows_up { area.top } else { area.bottom() };
            let away = way * if grows_up { -0.8 } else { 0.8 } * size;
            paper.text(
                (area.left + area.width / 2.0, end + away),
                &label,
                style(Anchor::Middle, ink),
            );
        } else {
            let end = if grows_up { area.right() } else { area.left };
            let away = way * if grows_up { 4.0 } else { -4.0 };
            let anchor = if grows_up == inside {
                Anchor::End
            } else {
                Anchor::Start
            };
            paper.text(
                (end + away, area.top + area.height / 2.0),
                &label,
                style(anchor, ink),
            );
        }
    }

    fn draw_error(&self, paper: &mut Paper, bar: &Bar, x: &Axis, y: &Axis) {
        let Some((low, high)) = bar.error else { return };
        let stroke = Stroke::new(Colour::INK, 1.5);
        let at = |place: f64, sideways: f64| {
            if self.upright {
                (x.pixel(bar.middle) + sideways, y.pixel(place))
            } else {
                (x.pixel(place), y.pixel(bar.middle) + sideways)
            }
        };
        paper.line(at(low, 0.0), at(high, 0.0), stroke);
        for end in [low, high] {
            paper.line(at(end, -4.0), at(end, 4.0), stroke);
        }
    }
}

impl Mark for Bars {
    fn reach(&self) -> (Reach, Reach) {
        let sides = self.bars.iter().flat_map(|bar| {
            let half = (bar.position - bar.middle)
                .abs()
                .max(self.cell / 2.0)
                .max(bar.width / 2.0);
            [bar.position - half, bar.position + half]
        });
        let across = Reach::of(sides, false);
        let mut along = Reach::of(self.bars.iter().flat_map(|bar| [bar.from, bar.to]), true);
        let errors = self.bars.iter().filter_map(|bar| bar.error);
        along = widest(
            along,
            Reach::of(errors.flat_map(|(low, high)| [low, high]), true),
        );
        // A bar stands on its base line without air.
        along.air_below = along.low < 0.0;
        along.air_above = along.high > 0.0;
        if self.upright {
            (across, along)
        } else {
            (along, across)
        }
    }

    fn draw(&self, paper: &mut Paper, x: &Axis, y: &Axis) {
        let panel = area(x, y);
        for bar in &self.bars {
            let area = self.area(bar, x, y);
            paper.rectangle(area, Some(bar.colour), self.outline);
            self.draw_error(paper, bar, x, y);
            if is_near(panel, (area.left, area.top)) {
                self.draw_text(paper, bar, area);
            }
        }
    }
}

fn heights(trace: &Trace, x: &Axis, y: &Axis) -> Heights {
    let (across, along) = if trace.is_upright() { (x, y) } else { (y, x) };
    let positions = trace.data_along(across.is_x());
    let values = trace.data_along(along.is_x());
    Heights {
        positions: positions.iter().map(|datum| across.place(datum)).collect(),
        values: values
            .iter()
            .map(|datum| match along.kind {
                Kind::Category => along.place(datum),
                _ => datum.number().unwrap_or(f64::NAN),
            })
            .collect(),
        width: None,
    }
}

/// The smallest distance between two positions of all traces; 1 where there is none.
fn smallest_step(heights: &[Heights]) -> f64 {
    if let Some(width) = heights
        .iter()
        .filter_map(|heights| heights.width)
        .reduce(f64::min)
    {
        return width;
    }
    let mut places: Vec<f64> = heights
        .iter()
        .flat_map(|heights| &heights.positions)
        .copied()
        .filter(|place| place.is_finite())
        .collect();
    places.sort_by(f64::total_cmp);
    let steps = places
        .windows(2)
        .map(|pair| pair[1] - pair[0])
        .filter(|step| *step > 1e-12);
    steps.reduce(f64::min).unwrap_or(1.0)
}
