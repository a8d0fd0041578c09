//! Colour scales by name.

use serde_json::{Value, json};

/// How values become colours. The colours, except those of plotly's own scales, are ColorBrewer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ColourScale {
    /// [`Diverging`](Self::Diverging) round zero for a heat map with values of both signs, else
    /// [`Viridis`](Self::Viridis).
    #[default]
    Auto,
    /// Dark violet to yellow; even steps to the eye, also without colour.
    Viridis,
    /// Dark blue to yellow, alike to readers with and without colour blindness.
    Cividis,
    /// Blue below zero, white at zero, red above.
    Diverging,
    /// Red below, white, blue above: what Python's plotly calls `RdBu`.
    RdBu,
    /// White to dark blue.
    Blues,
    /// White to dark red.
    Reds,
    /// White to black.
    Greys,
}

const RED_TO_BLUE: [&str; 11] = [
    "#67001f", "#b2182b", "#d6604d", "#f4a582", "#fddbc7", "#f7f7f7", "#d1e5f0", "#92c5de",
    "#4393c3", "#2166ac", "#053061",
];
const BLUES: [&str; 9] = [
    "#f7fbff", "#deebf7", "#c6dbef", "#9ecae1", "#6baed6", "#4292c6", "#2171b5", "#08519c",
    "#08306b",
];
const REDS: [&str; 9] = [
    "#fff5f0", "#fee0d2", "#fcbba1", "#fc9272", "#fb6a4a", "#ef3b2c", "#cb181d", "#a50f15",
    "#67000d",
];
const GREYS: [&str; 2] = ["#ffffff", "#000000"];

impl ColourScale {
    /// Whether zero is its middle.
    pub(super) fn is_centred(self) -> bool {
        matches!(self, Self::Diverging | Self::RdBu)
    }

    /// The scale for these values: [`Auto`](Self::Auto) is decided.
    pub(super) fn for_values(self, values: impl Iterator<Item = f64>) -> Self {
        if self != Self::Auto {
            return self;
        }
        let (mut below, mut above) = (false, false);
        for value in values {
            below |= value < 0.0;
            above |= value > 0.0;
        }
        if below && above {
            Self::Diverging
        } else {
            Self::Viridis
        }
    }

    /// What plotly.js reads.
    pub(super) fn json(self) -> Value {
        match self {
            Self::Auto | Self::Viridis => json!("Viridis"),
            Self::Cividis => json!("Cividis"),
            Self::RdBu => stops(RED_TO_BLUE.iter()),
            Self::Diverging => stops(RED_TO_BLUE.iter().rev()),
            Self::Blues => stops(BLUES.iter()),
            Self::Reds => stops(REDS.iter()),
            Self::Greys => stops(GREYS.iter()),
        }
    }
}

#[allow(clippy::cast_precision_loss)]
fn stops<'a>(colours: impl ExactSizeIterator<Item = &'a &'a str>) -> Value {
    let last = (colours.len() - 1) as f64;
    colours
        .enumerate()
        .map(|(index, colour)| json!([index as f64 / last, colour]))
        .collect()
}
