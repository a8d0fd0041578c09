//! Counting values into bins, as plotly.js does.

use super::bars::Heights;
use super::{Datum, Trace};
use crate::display::static_picture::axis::{Axis, Kind};
use crate::display::static_picture::data::number_at;
use crate::display::static_picture::ticks::nice_step;
use serde_json::Value;

/// Bins of one width.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bins {
    start: f64,
    size: f64,
    count: usize,
}

/// More bins than pixels cannot be seen.
const MOST_BINS: usize = 2000;

/// The bins of every trace that is a histogram of numbers. Histograms that stand beside or upon
/// each other count into the same bins.
pub(super) fn shared(traces: &[&Trace], mode: &str) -> Vec<Option<Bins>> {
    let is_histogram = |trace: &&Trace| trace.kind == "histogram";
    let all: Vec<f64> = traces
        .iter()
        .filter(|trace| is_histogram(trace))
        .flat_map(|trace| values(trace))
        .collect();
    traces
        .iter()
        .map(|trace| {
            is_histogram(trace).then(|| {
                let own = values(trace);
                Bins::new(trace, if mode == "overlay" { &own } else { &all })
            })
        })
        .collect()
}

fn data(trace: &Trace) -> Vec<Datum> {
    trace.data_along(trace.is_upright())
}

fn values(trace: &Trace) -> Vec<f64> {
    data(trace)
        .iter()
        .filter_map(Datum::number)
        .filter(|value| value.is_finite())
        .collect()
}

impl Bins {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        clippy::cast_sign_loss
    )]
    fn new(trace: &Trace, values: &[f64]) -> Self {
        let letter = if trace.is_upright() { "x" } else { "y" };
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let asked = &trace.json[format!("{letter}bins").as_str()];
        if !(low.is_finite() && high.is_finite()) {
            return Self {
                start: 0.0,
                size: 1.0,
                count: 0,
            };
        }
        let size = asked["size"]
            .as_f64()
            .filter(|size| *size > 0.0)
            .unwrap_or_else(|| {
                let most = trace.json[format!("nbins{letter}").as_str()]
                    .as_u64()
                    .filter(|most| *most > 0);
                automatic_size(values, low, high, most)
            });
        let whole = values.iter().all(|value| value.fract() == 0.0) && size.fract() == 0.0;
        // Whole numbers stand in the middle of their bins.
        let shift = if whole { 0.5 } else { 0.0 };
        let start = asked["start"]
            .as_f64()
            .unwrap_or_else(|| ((low + shift) / size).floor() * size - shift);
        let end = asked["end"].as_f64().unwrap_or(high).max(start);
        let count = ((end - start) / size + 1e-9).floor() as usize;
        let count = if asked["end"].is_number() {
            count
        } else {
            count + 1
        };
        Self {
            start,
            size,
            count: count.clamp(1, MOST_BINS),
        }
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    fn index(&self, value: f64) -> Option<usize> {
        let index = ((value - self.start) / self.size + 1e-9).floor();
        (index >= 0.0 && value.is_finite())
            .then_some(index as usize)
            .filter(|index| *index < self.count)
    }
}

/// The round bin size for at most so many bins, or for a width that follows the spread.
#[allow(clippy::cast_precision_loss)]
fn automatic_size(values: &[f64], low: f64, high: f64, most: Option<u64>) -> f64 {
    if high <= low {
        return 1.0;
    }
    if let Some(most) = most {
        return nice_step(high - low, most as f64);
    }
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let spread = (values
        .iter()
        .map(|value| (value - mean).powi(2))
        .sum::<f64>()
        / count)
        .sqrt();
    let rough = 2.0 * spread / count.powf(0.4);
    let rough = if rough > 0.0 { rough } else { high - low };
    let size = nice_step(rough.max((high - low) / MOST_BINS as f64), 1.0);
    let whole = values.iter().all(|value| value.fract() == 0.0);
    if whole { size.max(1.0) } else { size }
}

/// The heights of a histogram's bars: counts, or what `histnorm` makes of them.
#[allow(clippy::cast_precision_loss)]
pub(super) fn heights(trace: &Trace, bins: &Bins, x: &Axis, y: &Axis) -> Heights {
    let across = if trace.is_upright() { x } else { y };
    let data = data(trace);
    let is_category = across.kind == Kind::Category;
    let (mut counts, size) = if is_category {
        let places: Vec<f64> = data.iter().map(|datum| across.place(datum)).collect();
        let most = places
            .iter()
            .copied()
            .filter(|place| place.is_finite())
            .fold(-1.0, f64::max);
        let bins = Bins {
            start: -0.5,
            size: 1.0,
            count: (0..).take_while(|index| f64::from(*index) <= most).count(),
        };
        (count(&bins, &places, trace), 1.0)
    } else {
        let places: Vec<f64> = data
            .iter()
            .map(|datum| datum.number().unwrap_or(f64::NAN))
            .collect();
        (count(bins, &places, trace), bins.size)
    };
    let total: f64 = counts.iter().sum();
    let per = match trace.json["histnorm"].as_str() {
        Some("percent") => total / 100.0,
        Some("probability") => total,
        Some("density") => size,
        Some("probability density") => total * size,
        _ => 1.0,
    };
    if per > 0.0 {
        counts.iter_mut().for_each(|count| *count /= per);
    }
    if trace.json["cumulative"]["enabled"] == true {
        let mut sum = 0.0;
        for count in &mut counts {
            sum += *count;
            *count = sum;
        }
    }
    let start = if is_category { -0.5 } else { bins.start };
    let middles = (0..counts.len()).map(|index| start + (index as f64 + 0.5) * size);
    Heights {
        positions: middles.collect(),
        values: counts,
        width: (!is_category).then_some(size),
    }
}

/// How many values, or the sum of which other values, fall into each bin.
fn count(bins: &Bins, places: &[f64], trace: &Trace) -> Vec<f64> {
    let other = if trace.is_upright() { "y" } else { "x" };
    let weights = match trace.json["histfunc"].as_str() {
        Some("sum") => &trace.json[other],
        _ => &Value::Null,
    };
    let mut counts = vec![0.0; bins.count];
    for (index, place) in places.iter().enumerate() {
        if let Some(count) = bins.index(*place).and_then(|bin| counts.get_mut(bin)) {
            *count += number_at(weights, index).unwrap_or(1.0);
        }
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn bins(json: &Value) -> Bins {
        let trace = Trace::new(json, 0, &Value::Null).expect("a visible trace");
        shared(&[&trace], "group").remove(0).expect("a histogram")
    }

    #[test]
    fn bins_are_round_and_follow_the_settings() {
        let json = json!({"type": "histogram", "x": [0.1, 0.9, 1.0, 3.9], "nbinsx": 4});
        assert_eq!(
            bins(&json),
            Bins {
                start: 0.0,
                size: 1.0,
                count: 4
            }
        );
        let json = json!({"type": "histogram", "x": [1, 2, 2, 3], "nbinsx": 10});
        assert_eq!(bins(&json).index(2.0), bins(&json).index(2.1));
        let json = json!({"type": "histogram", "x": [0.0, 5.0], "xbins": {"start": 0, "end": 6, "size": 2}});
        assert_eq!(
            bins(&json),
            Bins {
                start: 0.0,
                size: 2.0,
                count: 3
            }
        );
        assert_eq!(bins(&json!({"type": "histogram", "x": []})).count, 0);
    }

    #[test]
    fn counts_become_shares() {
        let json = json!({"type": "histogram", "x": [0.5, 0.6, 1.5, null], "xbins": {"start": 0, "end": 2, "size": 1}, "histnorm": "probability"});
        let trace = Trace::new(&json, 0, &Value::Null).expect("a visible trace");
        let axis = |id: &str| Axis::new(id, &Value::Null, &[trace.data_along(id == "x")]);
        let heights = heights(&trace, &bins(&json), &axis("x"), &axis("y"));
        assert_eq!(heights.positions, [0.5, 1.5]);
        assert!((heights.values[0] - 2.0 / 3.0).abs() < 1e-12);
    }
}
