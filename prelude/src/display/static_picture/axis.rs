//! An axis: from a datum to a place on the paper.

use super::data::{Datum, title};
use super::label::Label;
use super::ticks::{self, Tick};
use serde_json::Value;
use std::collections::HashMap;

/// How the places of an axis follow from its data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Linear,
    Log,
    Category,
}

/// One axis of a figure.
#[derive(Debug, Clone)]
pub(super) struct Axis {
    /// `x`, `x2`, `y`…
    pub id: String,
    pub settings: Value,
    pub kind: Kind,
    /// Whether bars stand on it.
    pub has_bars: bool,
    categories: Vec<String>,
    index: HashMap<String, usize>,
    /// What the data reach, and whether they want some air at each end.
    reach: Reach,
    /// The ends of the axis, in its own measure; the first is at the left or the bottom.
    ends: (f64, f64),
    /// Where the ends lie on the paper.
    pixels: (f64, f64),
}

/// From where to where something goes along an axis.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Reach {
    pub low: f64,
    pub high: f64,
    pub air_below: bool,
    pub air_above: bool,
}

impl Reach {
    pub(super) const NOWHERE: Self = Self {
        low: f64::INFINITY,
        high: f64::NEG_INFINITY,
        air_below: false,
        air_above: false,
    };

    pub(super) fn of(values: impl IntoIterator<Item = f64>, air: bool) -> Self {
        let mut reach = Self::NOWHERE;
        for value in values.into_iter().filter(|value| value.is_finite()) {
            reach.low = reach.low.min(value);
            reach.high = reach.high.max(value);
        }
        Self {
            air_below: air,
            air_above: air,
            ..reach
        }
    }

    fn and(self, other: Self) -> Self {
        Self {
            low: self.low.min(other.low),
            high: self.high.max(other.high),
            air_below: if other.low < self.low {
                other.air_below
            } else {
                self.air_below || (other.air_below && other.low <= self.low)
            },
            air_above: if other.high > self.high {
                other.air_above
            } else {
                self.air_above || (other.air_above && other.high >= self.high)
            },
        }
    }
}

impl Axis {
    /// The axis `id` of a layout, over all the data that traces put along it.
    pub(super) fn new(id: &str, layout: &Value, data: &[Vec<Datum>]) -> Self {
        let letter = &id[..1];
        let settings = layout[format!("{letter}axis{}", &id[1..]).as_str()].clone();
        let is_text = |datum: &Datum| matches!(datum, Datum::Text(_)) && datum.number().is_none();
        let kind = match settings["type"].as_str() {
            Some("log") => Kind::Log,
            Some("linear") => Kind::Linear,
            Some("category" | "multicategory") => Kind::Category,
            _ if data.iter().flatten().any(is_text) => Kind::Category,
            _ => Kind::Linear,
        };
        let mut axis = Self {
            id: id.to_owned(),
            settings,
            kind,
            has_bars: false,
            categories: Vec::new(),
            index: HashMap::new(),
            reach: Reach::NOWHERE,
            ends: (0.0, 1.0),
            pixels: (0.0, 1.0),
        };
        if kind == Kind::Category {
            axis.find_categories(data);
        }
        axis
    }

    pub(super) fn is_x(&self) -> bool {
        self.id.starts_with('x')
    }

    /// Categories in the order of the data, or in the order that the layout asks for.
    fn find_categories(&mut self, data: &[Vec<Datum>]) {
        let asked = super::data::data(&self.settings["categoryarray"]).unwrap_or_default();
        for datum in asked.iter().chain(data.iter().flatten()) {
            let Some(name) = category(datum) else {
                continue;
            };
            if !self.index.contains_key(&name) {
                self.index.insert(name.clone(), self.categories.len());
                self.categories.push(name);
            }
        }
        match self.settings["categoryorder"].as_str() {
            Some("category ascending") => self.categories.sort(),
            Some("category descending") => self.categories.sort_by(|a, b| b.cmp(a)),
            _ => return,
        }
        let places = self.categories.iter().enumerate();
        self.index = places.map(|(index, name)| (name.clone(), index)).collect();
    }

    /// The place of a datum in the axis's own measure; NaN where it has none.
    #[allow(clippy::cast_precision_loss)]
    pub(super) fn place(&self, datum: &Datum) -> f64 {
        match self.kind {
            Kind::Linear => datum.number().unwrap_or(f64::NAN),
            Kind::Log => datum
                .number()
                .map_or(f64::NAN, |number| self.measure(number)),
            Kind::Category => category(datum)
                .and_then(|name| self.index.get(&name).copied())
                .map_or_else(|| datum.number().unwrap_or(f64::NAN), |index| index as f64),
        }
    }

    /// A number in the axis's own measure.
    pub(super) fn measure(&self, number: f64) -> f64 {
        match self.kind {
            Kind::Log if number > 0.0 => number.log10(),
            Kind::Log => f64::NAN,
            _ => number,
        }
    }

    /// Something along the axis goes from here to there.
    pub(super) fn include(&mut self, reach: Reach) {
        self.reach = self.reach.and(reach);
    }

    /// Fixes the ends: those of the layout, or those of the data with some air.
    pub(super) fn settle(&mut self) {
        let mut reach = self.reach;
        if !(reach.low.is_finite() && reach.high.is_finite()) {
            reach = Reach {
                low: 0.0,
                high: 1.0,
                ..Reach::NOWHERE
            };
        }
        if self.kind != Kind::Log {
            match self.settings["rangemode"].as_str() {
                Some("tozero") => {
                    reach.low = reach.low.min(0.0);
                    reach.high = reach.high.max(0.0);
                }
                Some("nonnegative") => reach.low = reach.low.max(0.0),
                _ => {}
            }
        }
        if reach.low >= reach.high {
            let half = if self.kind == Kind::Linear && reach.low != 0.0 {
                reach.low.abs() * 0.1
            } else {
                0.5
            };
            (reach.low, reach.high) = (reach.low - half, reach.low + half);
        } else {
            let air = (reach.high - reach.low) * 0.055;
            reach.low -= if reach.air_below { air } else { 0.0 };
            reach.high += if reach.air_above { air } else { 0.0 };
        }
        let reversed = self.settings["autorange"]
            .as_str()
            .is_some_and(|text| text.contains("reversed"));
        self.ends = if reversed {
            (reach.high, reach.low)
        } else {
            (reach.low, reach.high)
        };
        let range = &self.settings["range"];
        let end = |index: usize| match self.kind {
            // The range of a log axis is given in exponents already.
            Kind::Log => range[index].as_f64(),
            _ => Some(self.place(&Datum::read(&range[index]))).filter(|end| end.is_finite()),
        };
        let (low, high) = (end(0), end(1));
        self.ends = (low.unwrap_or(self.ends.0), high.unwrap_or(self.ends.1));
        if self.ends.0 == self.ends.1 {
            self.ends.1 += 1.0;
        }
    }

    /// Says where the ends lie on the paper.
    pub(super) fn lay(&mut self, first: f64, second: f64) {
        self.pixels = (first, second);
    }

    /// Pixels of its two ends.
    pub(super) fn pixels(&self) -> (f64, f64) {
        self.pixels
    }

    /// What the data reach.
    pub(super) fn reach(&self) -> Reach {
        self.reach
    }

    /// Pixels of a place in the axis's own measure.
    pub(super) fn pixel(&self, place: f64) -> f64 {
        let share = (place - self.ends.0) / (self.ends.1 - self.ends.0);
        self.pixels.0 + share * (self.pixels.1 - self.pixels.0)
    }

    /// Pixels of a datum.
    pub(super) fn pixel_of(&self, datum: &Datum) -> f64 {
        self.pixel(self.place(datum))
    }

    /// The lower and the upper end in the axis's own measure.
    pub(super) fn span(&self) -> (f64, f64) {
        (self.ends.0.min(self.ends.1), self.ends.0.max(self.ends.1))
    }

    /// The base line of bars and fills: zero, or the lower end of a log axis.
    pub(super) fn base(&self) -> f64 {
        if self.kind == Kind::Log {
            self.span().0
        } else {
            0.0
        }
    }

    pub(super) fn title(&self) -> Label {
        Label::new(title(&self.settings["title"]))
    }

    /// The marks of this axis where it is `length` pixels long.
    #[allow(clippy::cast_precision_loss)]
    pub(super) fn ticks(&self, length: f64) -> Vec<Tick> {
        if self.settings["showticklabels"] == false || self.settings["visible"] == false {
            return Vec::new();
        }
        let (low, high) = self.span();
        let within = |tick: &Tick| tick.at >= low - 1e-9 && tick.at <= high + 1e-9;
        if let Some(places) = super::data::data(&self.settings["tickvals"]) {
            let texts = &self.settings["ticktext"];
            let ticks = places.iter().enumerate().map(|(index, place)| {
                let at = self.place(place);
                let text = super::data::text_at(texts, index)
                    .unwrap_or_else(|| category(place).unwrap_or_default());
                Tick { at, text }
            });
            return ticks.filter(within).collect();
        }
        let format = self.settings["tickformat"]
            .as_str()
            .filter(|format| !format.is_empty());
        // plotly.js's rule.
        let pixels_each = if self.is_x() { 80.0 } else { 40.0 };
        let wanted = match self.settings["nticks"].as_f64() {
            Some(wanted) if wanted >= 1.0 => wanted.min(100.0),
            _ => (length / pixels_each).clamp(4.0, 9.0) + 1.0,
        };
        let ticks = match self.kind {
            Kind::Category => {
                let places = self.categories.iter().enumerate();
                places
                    .map(|(index, name)| Tick {
                        at: index as f64,
                        text: name.clone(),
                    })
                    .collect()
            }
            Kind::Log => ticks::logarithmic(low, high, format),
            Kind::Linear => match self.settings["dtick"].as_f64() {
                Some(step) => ticks::every(low, high, step, format),
                None => ticks::linear(low, high, wanted, format),
            },
        };
        let around = |name: &str| self.settings[name].as_str().unwrap_or_default().to_owned();
        let (before, after) = (around("tickprefix"), around("ticksuffix"));
        ticks
            .into_iter()
            .filter(within)
            .map(|tick| Tick {
                text: format!("{before}{}{after}", tick.text),
                ..tick
            })
            .collect()
    }
}

fn category(datum: &Datum) -> Option<String> {
    match datum {
        Datum::Text(text) => Some(text.clone()),
        Datum::Number(number) => Some(ticks::short(*number)),
        Datum::Missing => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn texts(values: &[&str]) -> Vec<Datum> {
        values
            .iter()
            .map(|text| Datum::Text((*text).to_owned()))
            .collect()
    }

    #[test]
    fn texts_make_categories_and_numbers_do_not() {
        let axis = Axis::new("x", &json!({}), &[texts(&["b", "a", "b"])]);
        assert_eq!(axis.kind, Kind::Category);
        assert_eq!(axis.place(&Datum::Text("a".to_owned())), 1.0);
        let axis = Axis::new("x", &json!({}), &[texts(&["1", "2.5"])]);
        assert_eq!(axis.kind, Kind::Linear);
        let layout = json!({"xaxis2": {"categoryorder": "category ascending", "type": "category"}});
        let axis = Axis::new("x2", &layout, &[texts(&["b", "a"])]);
        assert_eq!(axis.place(&Datum::Text("a".to_owned())), 0.0);
    }

    #[test]
    fn ends_come_from_the_data_or_from_the_layout() {
        let mut axis = Axis::new("y", &json!({}), &[]);
        axis.include(Reach {
            low: 0.0,
            high: 10.0,
            air_below: false,
            air_above: true,
        });
        axis.settle();
        axis.lay(100.0, 0.0);
        assert_eq!(axis.pixel(0.0), 100.0);
        assert!((axis.span().1 - 10.55).abs() < 1e-9);
        let mut axis = Axis::new("y", &json!({"yaxis": {"autorange": "reversed"}}), &[]);
        axis.include(Reach::of([1.0, 2.0], false));
        axis.settle();
        axis.lay(100.0, 0.0);
        assert_eq!((axis.pixel(1.0), axis.pixel(2.0)), (0.0, 100.0));
        let mut axis = Axis::new(
            "x",
            &json!({"xaxis": {"type": "log", "range": [0, 2]}}),
            &[],
        );
        axis.settle();
        axis.lay(0.0, 100.0);
        assert_eq!(axis.pixel_of(&Datum::Number(10.0)), 50.0);
        assert!(axis.pixel_of(&Datum::Number(-1.0)).is_nan());
    }

    #[test]
    fn tick_texts_of_the_layout_come_first() {
        let layout = json!({"xaxis": {"tickvals": [0, 1, 9], "ticktext": ["a", "a", "far"]}});
        let mut axis = Axis::new("x", &layout, &[]);
        axis.include(Reach::of([0.0, 1.0], true));
        axis.settle();
        let ticks = axis.ticks(500.0);
        assert_eq!(ticks.len(), 2);
        assert_eq!(
            ticks[1],
            Tick {
                at: 1.0,
                text: "a".to_owned()
            }
        );
    }
}
