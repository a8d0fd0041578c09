//! Sliders of numbers.

use super::control::is_a_control;
use super::widget::{Kind, Widget, has_a_description, is_a_widget};
use crate::emit::comm::State;
use serde_json::{Value, json};
use std::marker::PhantomData;
use std::ops::RangeInclusive;

/// A slider of whole numbers; see [`int_slider`].
#[derive(Clone)]
pub struct IntSlider<N: Whole = i64> {
    widget: Widget,
    number: PhantomData<fn() -> N>,
}

/// A slider of numbers; see [`float_slider`].
#[derive(Clone)]
pub struct FloatSlider {
    widget: Widget,
}

/// A slider of numbers over several orders of magnitude; see [`float_log_slider`].
#[derive(Clone)]
pub struct FloatLogSlider {
    widget: Widget,
}

/// The types of whole numbers that sliders have.
pub trait Whole: Copy + PartialEq + Send + 'static {
    /// The number, or the nearest.
    fn to_i64(self) -> i64;
    /// The number, or the nearest.
    fn from_i64(number: i64) -> Self;
}

macro_rules! whole {
    ($($number:ty),*) => {$(
        impl Whole for $number {
            fn to_i64(self) -> i64 {
                i64::try_from(self).unwrap_or(i64::MAX)
            }

            fn from_i64(number: i64) -> Self {
                let nearest = if number < 0 { <$number>::MIN } else { <$number>::MAX };
                <$number>::try_from(number).unwrap_or(nearest)
            }
        }
    )*};
}
whole!(i32, i64, u8, u32, u64, usize);

static INT: Kind = Kind {
    name: "IntSlider",
    library: "controls",
    view: "IntSliderView",
    shows: &["value", "min", "max"],
    accept: a_whole_number,
};
static FLOAT: Kind = Kind {
    name: "FloatSlider",
    library: "controls",
    view: "FloatSliderView",
    shows: &["value", "min", "max"],
    accept: a_number,
};
static FLOAT_LOG: Kind = Kind {
    name: "FloatLogSlider",
    library: "controls",
    view: "FloatLogSliderView",
    shows: &["value", "base", "min", "max"],
    accept: a_power,
};

/// A slider over whole numbers, both ends included, at the first.
///
/// ```
/// use ferrolens::prelude::*;
///
/// let layer = int_slider(0..=11).starting_at(3).description("layer");
/// let at: usize = layer.value();
/// assert_eq!(at, 3);
/// ```
pub fn int_slider<N: Whole>(range: RangeInclusive<N>) -> IntSlider<N> {
    let (a, b) = (range.start().to_i64(), range.end().to_i64());
    let own = json!({
        "value": a.min(b), "min": a.min(b), "max": a.max(b), "step": 1, "readout_format": "d",
    });
    IntSlider {
        widget: Widget::new(&INT, slider(own)),
        number: PhantomData,
    }
}

/// A slider over numbers, at the first, in steps of a hundredth of the range.
///
/// ```
/// use ferrolens::prelude::*;
///
/// let strength = float_slider(-2.0..=2.0).starting_at(1.0).step(0.25);
/// assert_eq!(strength.value(), 1.0);
/// ```
pub fn float_slider(range: RangeInclusive<f64>) -> FloatSlider {
    let (a, b) = (*range.start(), *range.end());
    let own = json!({
        "value": a.min(b), "min": a.min(b), "max": a.max(b), "step": (b - a).abs() / 100.0,
        "readout_format": ".3~f",
    });
    FloatSlider {
        widget: Widget::new(&FLOAT, slider(own)),
    }
}

/// A slider over the powers of ten with these exponents, at the first.
///
/// ```
/// use ferrolens::prelude::*;
///
/// let rate = float_log_slider(-5.0..=-1.0).starting_at(1e-3);
/// assert_eq!(rate.value(), 1e-3);
/// ```
pub fn float_log_slider(exponents: RangeInclusive<f64>) -> FloatLogSlider {
    let (a, b) = (*exponents.start(), *exponents.end());
    let own = json!({
        "value": 10_f64.powf(a.min(b)), "base": 10.0, "min": a.min(b), "max": a.max(b), "step": 0.1,
        "readout_format": ".3g",
    });
    FloatLogSlider {
        widget: Widget::new(&FLOAT_LOG, slider(own)),
    }
}

/// What all sliders have.
pub(super) fn slider(own: Value) -> Value {
    let mut all = json!({
        "description": "", "disabled": false, "continuous_update": true, "readout": true,
        "orientation": "horizontal", "behavior": "drag-tap",
    });
    if let (Some(all), Value::Object(own)) = (all.as_object_mut(), own) {
        all.extend(own);
    }
    all
}

macro_rules! builders {
    ($name:ident $(<$parameter:ident: $bound:path>)?, $value:ty) => {
        impl$(<$parameter: $bound>)? $name$(<$parameter>)? {
            /// Where it stands at first; a number beyond its ends is the nearer end.
            #[must_use]
            pub fn starting_at(self, value: $value) -> Self {
                super::Control::set(&self, value);
                self
            }

            /// The distance between two positions.
            #[must_use]
            pub fn step(self, step: $value) -> Self {
                let step = Self::number(step);
                self.widget.put("step", step);
                self
            }

            /// Whether it counts as moved while it is being moved, or only when it is let go: for
            /// callbacks that take long.
            #[must_use]
            pub fn continuous_update(self, continuous: bool) -> Self {
                self.widget.put("continuous_update", continuous);
                self
            }
        }
    };
}
builders!(IntSlider<N: Whole>, N);
builders!(FloatSlider, f64);
builders!(FloatLogSlider, f64);

impl<N: Whole> IntSlider<N> {
    fn number(number: N) -> Value {
        number.to_i64().into()
    }
}

impl FloatSlider {
    fn number(number: f64) -> Value {
        number.into()
    }
}

impl FloatLogSlider {
    fn number(number: f64) -> Value {
        number.into()
    }
}

is_a_widget!(IntSlider<N: Whole>);
is_a_widget!(FloatSlider);
is_a_widget!(FloatLogSlider);
has_a_description!(IntSlider<N: Whole>);
has_a_description!(FloatSlider);
has_a_description!(FloatLogSlider);
is_a_control!(
    IntSlider<N: Whole>, "value", N,
    |_own, json| N::from_i64(json.as_i64().unwrap_or(0)),
    |me, new| me.widget.accepted("value", &Self::number(new)),
    |_weak| |widget| Self { widget, number: PhantomData }
);
is_a_control!(
    FloatSlider,
    "value",
    f64,
    |_own, json| json.as_f64().unwrap_or(0.0),
    |me, new| me.widget.accepted("value", &Self::number(new)),
    |_weak| |widget| Self { widget }
);
is_a_control!(
    FloatLogSlider,
    "value",
    f64,
    |_own, json| json.as_f64().unwrap_or(0.0),
    |me, new| me.widget.accepted("value", &Self::number(new)),
    |_weak| |widget| Self { widget }
);

fn bound(state: &State, key: &str) -> f64 {
    let usual = if key == "min" { f64::MIN } else { f64::MAX };
    state.get(key).and_then(Value::as_f64).unwrap_or(usual)
}

pub(super) fn a_whole_number(state: &State, key: &str, value: &Value) -> Option<Value> {
    if key != "value" {
        return Some(value.clone());
    }
    // JavaScript knows no whole numbers.
    #[allow(clippy::cast_possible_truncation)]
    let number = value
        .as_i64()
        .or_else(|| value.as_f64().map(|number| number.round() as i64))?;
    let end = |key, usual| state.get(key).and_then(Value::as_i64).unwrap_or(usual);
    Some(
        number
            .max(end("min", i64::MIN))
            .min(end("max", i64::MAX))
            .into(),
    )
}

pub(super) fn a_number(state: &State, key: &str, value: &Value) -> Option<Value> {
    if key != "value" {
        return Some(value.clone());
    }
    let number = value.as_f64()?;
    let nearest = number.max(bound(state, "min")).min(bound(state, "max"));
    // A number that JavaScript wrote without a point stays as it is.
    Some(if nearest == number {
        value.clone()
    } else {
        nearest.into()
    })
}

fn a_power(state: &State, key: &str, value: &Value) -> Option<Value> {
    if key != "value" {
        return Some(value.clone());
    }
    let (number, base) = (value.as_f64()?, bound(state, "base"));
    let nearest = number
        .max(base.powf(bound(state, "min")))
        .min(base.powf(bound(state, "max")));
    Some(if nearest == number {
        value.clone()
    } else {
        nearest.into()
    })
}
