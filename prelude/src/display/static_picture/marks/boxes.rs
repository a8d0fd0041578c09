//! Box plots: quartiles, whiskers of 1.5 interquartile ranges, and the points beyond them.

use super::{Mark, Trace, symbol};
use crate::display::static_picture::axis::{Axis, Reach};
use crate::display::static_picture::colour::Colour;
use crate::display::static_picture::paper::{Area, Paper, Stroke};
use serde_json::Value;
use std::collections::BTreeMap;

/// The boxes of one trace.
pub(super) struct Boxes {
    boxes: Vec<Summary>,
    width: f64,
    upright: bool,
    colour: Colour,
    fill: Colour,
    mean: bool,
}

#[derive(Debug, PartialEq)]
struct Summary {
    at: f64,
    quartiles: [f64; 3],
    whiskers: (f64, f64),
    mean: f64,
    beyond: Vec<f64>,
}

/// The boxes of all traces of a pair of axes, one group a trace.
pub(super) fn groups(traces: &[&Trace], layout: &Value, x: &Axis, y: &Axis) -> Vec<Boxes> {
    let beside = layout["boxmode"] == "group" && traces.len() > 1;
    traces
        .iter()
        .enumerate()
        .map(|(index, trace)| {
            #[allow(clippy::cast_precision_loss)]
            let (width, shift) = if beside {
                let width = 0.7 / traces.len() as f64;
                (width * 0.85, (index as f64 + 0.5) * width - 0.35)
            } else {
                (0.5, 0.0)
            };
            Boxes::new(trace, width, shift, x, y)
        })
        .collect()
}

impl Boxes {
    fn new(trace: &Trace, width: f64, shift: f64, x: &Axis, y: &Axis) -> Self {
        let (across, along) = if trace.is_upright() { (x, y) } else { (y, x) };
        let places: Vec<f64> = trace
            .data_along(across.is_x())
            .iter()
            .map(|datum| across.place(datum))
            .collect();
        let values: Vec<f64> = trace
            .data_along(along.is_x())
            .iter()
            .map(|datum| along.place(datum))
            .collect();
        let mut groups: BTreeMap<u64, (f64, Vec<f64>)> = BTreeMap::new();
        for (index, value) in values
            .into_iter()
            .enumerate()
            .filter(|(_, value)| value.is_finite())
        {
            // Without positions there is one box, at the place of the trace's name.
            let place = if places.len() == 1 {
                places.first()
            } else {
                places.get(index)
            };
            let place = place
                .copied()
                .filter(|place| place.is_finite())
                .unwrap_or(0.0);
            groups
                .entry(place.to_bits())
                .or_insert((place, Vec::new()))
                .1
                .push(value);
        }
        let points = match &trace.json["boxpoints"] {
            Value::Bool(false) => "false",
            words => words.as_str().unwrap_or("outliers"),
        };
        let boxes = groups
            .into_values()
            .filter_map(|(place, values)| Summary::new(place + shift, values, points))
            .collect();
        let json = trace.json;
        let colour = Colour::read(&json["line"]["color"])
            .or_else(|| Colour::read(&json["marker"]["color"]))
            .unwrap_or(trace.colour)
            .with_alpha(trace.opacity());
        Self {
            boxes,
            width,
            upright: trace.is_upright(),
            colour,
            fill: Colour::read(&json["fillcolor"]).unwrap_or(colour.with_alpha(0.5)),
            mean: json["boxmean"] == true || json["boxmean"] == "sd",
        }
    }
}

impl Summary {
    fn new(at: f64, mut values: Vec<f64>, points: &str) -> Option<Self> {
        values.sort_by(f64::total_cmp);
        let quartiles = [0.25, 0.5, 0.75].map(|share| quantile(&values, share));
        let reach = 1.5 * (quartiles[2] - quartiles[0]);
        let (low, high) = if points == "all" || points == "false" {
            (f64::NEG_INFINITY, f64::INFINITY)
        } else {
            (quartiles[0] - reach, quartiles[2] + reach)
        };
        let within = || {
            values
                .iter()
                .copied()
                .filter(|value| (low..=high).contains(value))
        };
        #[allow(clippy::cast_precision_loss)]
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        Some(Self {
            at,
            quartiles,
            whiskers: (within().next()?, within().next_back()?),
            mean,
            beyond: values
                .iter()
                .copied()
                .filter(|value| !(low..=high).contains(value))
                .collect(),
        })
    }
}

impl Mark for Boxes {
    fn reach(&self) -> (Reach, Reach) {
        let sides = self
            .boxes
            .iter()
            .flat_map(|summary| [summary.at - 0.5, summary.at + 0.5]);
        let across = Reach::of(sides, false);
        let values = self.boxes.iter().flat_map(|summary| {
            [summary.whiskers.0, summary.whiskers.1]
                .into_iter()
                .chain(summary.beyond.iter().copied())
        });
        let along = Reach::of(values, true);
        if self.upright {
            (across, along)
        } else {
            (along, across)
        }
    }

    fn draw(&self, paper: &mut Paper, x: &Axis, y: &Axis) {
        let stroke = Stroke::new(self.colour, 2.0);
        let (across, along) = if self.upright { (x, y) } else { (y, x) };
        let at = |side: f64, value: f64| {
            let (side, value) = (across.pixel(side), along.pixel(value));
            if self.upright {
                (side, value)
            } else {
                (value, side)
            }
        };
        for summary in &self.boxes {
            let half = self.width / 2.0;
            let (left, right) = (summary.at - half, summary.at + half);
            let [low, middle, high] = summary.quartiles;
            let corners = (at(left, low), at(right, high));
            let area = Area {
                left: corners.0.0.min(corners.1.0),
                top: corners.0.1.min(corners.1.1),
                width: (corners.1.0 - corners.0.0).abs(),
                height: (corners.1.1 - corners.0.1).abs(),
            };
            paper.rectangle(area, Some(self.fill), Some(stroke));
            paper.line(at(left, middle), at(right, middle), stroke);
            for (from, to) in [(low, summary.whiskers.0), (high, summary.whiskers.1)] {
                paper.line(at(summary.at, from), at(summary.at, to), stroke);
                paper.line(
                    at(summary.at - half / 2.0, to),
                    at(summary.at + half / 2.0, to),
                    stroke,
                );
            }
            if self.mean {
                let dashed = Stroke {
                    dashes: "4 3",
                    ..Stroke::new(self.colour, 1.5)
                };
                paper.line(at(left, summary.mean), at(right, summary.mean), dashed);
            }
            for value in summary.beyond.iter().take(super::MOST_POINTS) {
                symbol(
                    paper,
                    "circle",
                    at(summary.at, *value),
                    6.0,
                    self.colour,
                    None,
                );
            }
        }
    }
}

/// A quantile of sorted values, between two of them where it falls so.
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else {
        return f64::NAN;
    };
    // plotly.js's default: the median of the lower and upper half is approached from sample
    // positions that are shifted by one half.
    let place = (share * sorted.len() as f64 - 0.5).clamp(0.0, last as f64);
    let below = place.floor() as usize;
    let above = (below + 1).min(last);
    sorted[below] + (sorted[above] - sorted[below]) * place.fract()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quartiles_whiskers_and_outliers() {
        let summary =
            Summary::new(0.0, vec![1.0, 2.0, 3.0, 4.0, 100.0], "outliers").expect("values");
        assert_eq!(summary.quartiles[1], 3.0);
        assert_eq!(summary.whiskers, (1.0, 4.0));
        assert_eq!(summary.beyond, [100.0]);
        assert_eq!(summary.mean, 22.0);
        assert_eq!(Summary::new(0.0, Vec::new(), "outliers"), None);
        let whole = Summary::new(0.0, vec![1.0, 2.0, 3.0, 4.0, 100.0], "false").expect("values");
        assert_eq!((whole.whiskers, whole.beyond), ((1.0, 100.0), vec![]));
    }
}
