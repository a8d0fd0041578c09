//! From a number to a colour.
//!
//! The named scales are those of plotly.js 3.0.1, stop for stop, so that the picture has the
//! colours of the interactive figure.

use super::colour::Colour;
use serde_json::Value;

/// Colours at rising positions between 0 and 1, and the values that these positions stand for.
#[derive(Debug, Clone)]
pub(super) struct ColourScale {
    stops: Vec<(f64, Colour)>,
    pub low: f64,
    pub high: f64,
}

impl ColourScale {
    /// The scale of `settings`, which hold `colorscale`, `reversescale` and the bounds under names
    /// that start with `prefix`: `zmin`, `zmid`, `zmax` of a heat map, `cmin`… of markers.
    pub(super) fn read(settings: &Value, prefix: char, values: &[f64]) -> Self {
        let mut stops = stops(&settings["colorscale"]);
        if settings["reversescale"] == true {
            stops = stops
                .into_iter()
                .rev()
                .map(|(at, colour)| (1.0 - at, colour))
                .collect();
        }
        let finite = || values.iter().copied().filter(|value| value.is_finite());
        let bound = |name: &str| settings[format!("{prefix}{name}").as_str()].as_f64();
        let mut low = bound("min").unwrap_or_else(|| finite().fold(f64::INFINITY, f64::min));
        let mut high = bound("max").unwrap_or_else(|| finite().fold(f64::NEG_INFINITY, f64::max));
        if let Some(middle) = bound("mid") {
            let reach = (high - middle).max(middle - low);
            (low, high) = (middle - reach, middle + reach);
        }
        if !(low.is_finite() && high.is_finite()) {
            (low, high) = (0.0, 1.0);
        }
        if low >= high {
            (low, high) = (low - 0.5, low + 0.5);
        }
        Self { stops, low, high }
    }

    /// The colour of a value; values beyond the bounds have the colour of the bound.
    pub(super) fn colour(&self, value: f64) -> Colour {
        self.at((value - self.low) / (self.high - self.low))
    }

    /// The colour at a position between 0 and 1.
    pub(super) fn at(&self, position: f64) -> Colour {
        let position = position.clamp(0.0, 1.0);
        let mut below = self.stops[0];
        for &stop in &self.stops {
            if stop.0 >= position {
                let width = stop.0 - below.0;
                let share = if width > 0.0 {
                    (position - below.0) / width
                } else {
                    1.0
                };
                return below.1.towards(stop.1, share);
            }
            below = stop;
        }
        below.1
    }
}

/// At least one stop, whatever the figure says; plotly's default is its `RdBu`.
fn stops(scale: &Value) -> Vec<(f64, Colour)> {
    if let Some(name) = scale.as_str() {
        return named(name);
    }
    let listed: Vec<(f64, Colour)> = scale
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|stop| Some((stop[0].as_f64()?, Colour::read(&stop[1])?)))
        .collect();
    if listed.is_empty() {
        named("RdBu")
    } else {
        listed
    }
}

#[allow(clippy::cast_precision_loss)]
fn named(name: &str) -> Vec<(f64, Colour)> {
    let (positions, colours) = SCALES
        .iter()
        .find(|(known, ..)| known.eq_ignore_ascii_case(name))
        .map_or((RDBU.1, RDBU.2), |(_, positions, colours)| {
            (*positions, *colours)
        });
    let last = (colours.len() - 1) as f64;
    colours
        .iter()
        .enumerate()
        .map(|(index, &[red, green, blue])| {
            let at = positions.get(index).copied().unwrap_or(index as f64 / last);
            (at, Colour::rgb(red, green, blue))
        })
        .collect()
}

/// A name, positions (none: evenly spaced) and colours.
type Named = (&'static str, &'static [f64], &'static [[u8; 3]]);

const RDBU: Named = (
    "RdBu",
    &[0.0, 0.35, 0.5, 0.6, 0.7, 1.0],
    &[
        [5, 10, 172],
        [106, 137, 247],
        [190, 190, 190],
        [220, 170, 132],
        [230, 145, 90],
        [178, 10, 28],
    ],
);

const SCALES: [Named; 18] = [
    RDBU,
    ("Greys", &[], &[[0, 0, 0], [255, 255, 255]]),
    ("Bluered", &[], &[[0, 0, 255], [255, 0, 0]]),
    (
        "YlGnBu",
        &[],
        &[
            [8, 29, 88],
            [37, 52, 148],
            [34, 94, 168],
            [29, 145, 192],
            [65, 182, 196],
            [127, 205, 187],
            [199, 233, 180],
            [237, 248, 217],
            [255, 255, 217],
        ],
    ),
    (
        "Greens",
        &[],
        &[
            [0, 68, 27],
            [0, 109, 44],
            [35, 139, 69],
            [65, 171, 93],
            [116, 196, 118],
            [161, 217, 155],
            [199, 233, 192],
            [229, 245, 224],
            [247, 252, 245],
        ],
    ),
    (
        "YlOrRd",
        &[],
        &[
            [128, 0, 38],
            [189, 0, 38],
            [227, 26, 28],
            [252, 78, 42],
            [253, 141, 60],
            [254, 178, 76],
            [254, 217, 118],
            [255, 237, 160],
            [255, 255, 204],
        ],
    ),
    (
        "Reds",
        &[0.0, 0.2, 0.4, 1.0],
        &[
            [220, 220, 220],
            [245, 195, 157],
            [245, 160, 105],
            [178, 10, 28],
        ],
    ),
    (
        "Blues",
        &[0.0, 0.35, 0.5, 0.6, 0.7, 1.0],
        &[
            [5, 10, 172],
            [40, 60, 190],
            [70, 100, 245],
            [90, 120, 245],
            [106, 137, 247],
            [220, 220, 220],
        ],
    ),
    (
        "Picnic",
        &[],
        &[
            [0, 0, 255],
            [51, 153, 255],
            [102, 204, 255],
            [153, 204, 255],
            [204, 204, 255],
            [255, 255, 255],
            [255, 204, 255],
            [255, 153, 255],
            [255, 102, 204],
            [255, 102, 102],
            [255, 0, 0],
        ],
    ),
    (
        "Rainbow",
        &[],
        &[
            [150, 0, 90],
            [0, 0, 200],
            [0, 25, 255],
            [0, 152, 255],
            [44, 255, 150],
            [151, 255, 0],
            [255, 234, 0],
            [255, 111, 0],
            [255, 0, 0],
        ],
    ),
    (
        "Portland",
        &[],
        &[
            [12, 51, 131],
            [10, 136, 186],
            [242, 211, 56],
            [242, 143, 56],
            [217, 30, 30],
        ],
    ),
    (
        "Jet",
        &[0.0, 0.125, 0.375, 0.625, 0.875, 1.0],
        &[
            [0, 0, 131],
            [0, 60, 170],
            [5, 255, 255],
            [255, 255, 0],
            [250, 0, 0],
            [128, 0, 0],
        ],
    ),
    (
        "Hot",
        &[0.0, 0.3, 0.6, 1.0],
        &[[0, 0, 0], [230, 0, 0], [255, 210, 0], [255, 255, 255]],
    ),
    (
        "Blackbody",
        &[0.0, 0.2, 0.4, 0.7, 1.0],
        &[
            [0, 0, 0],
            [230, 0, 0],
            [230, 210, 0],
            [255, 255, 255],
            [160, 200, 255],
        ],
    ),
    (
        "Earth",
        &[0.0, 0.1, 0.2, 0.4, 0.6, 1.0],
        &[
            [0, 0, 130],
            [0, 180, 180],
            [40, 210, 40],
            [230, 230, 50],
            [120, 70, 20],
            [255, 255, 255],
        ],
    ),
    (
        "Electric",
        &[0.0, 0.15, 0.4, 0.6, 0.8, 1.0],
        &[
            [0, 0, 0],
            [30, 0, 100],
            [120, 0, 100],
            [160, 90, 0],
            [230, 200, 0],
            [255, 250, 220],
        ],
    ),
    (
        "Viridis",
        &[],
        &[
            [68, 1, 84],
            [72, 24, 106],
            [71, 45, 123],
            [66, 64, 134],
            [59, 82, 139],
            [51, 99, 141],
            [44, 114, 142],
            [38, 130, 142],
            [33, 145, 140],
            [31, 160, 136],
            [40, 174, 128],
            [63, 188, 115],
            [94, 201, 98],
            [132, 212, 75],
            [173, 220, 48],
            [216, 226, 25],
            [253, 231, 37],
        ],
    ),
    (
        "Cividis",
        &[],
        &[
            [0, 32, 76],
            [0, 42, 102],
            [0, 52, 110],
            [39, 63, 108],
            [60, 74, 107],
            [76, 85, 107],
            [91, 95, 109],
            [104, 106, 112],
            [117, 117, 117],
            [131, 129, 120],
            [146, 140, 120],
            [161, 152, 118],
            [176, 165, 114],
            [192, 177, 109],
            [209, 191, 102],
            [225, 204, 92],
            [243, 219, 79],
            [255, 233, 69],
        ],
    ),
];

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn named_listed_and_reversed_scales() {
        let values = [0.0, 10.0];
        let viridis = ColourScale::read(&json!({"colorscale": "Viridis"}), 'z', &values);
        assert_eq!(viridis.colour(0.0).hex(), "#440154");
        assert_eq!(viridis.colour(99.0).hex(), "#fde725");
        let listed = json!({"colorscale": [[0, "#000"], [1, "#fff"]], "reversescale": true});
        let listed = ColourScale::read(&listed, 'z', &values);
        assert_eq!(listed.colour(0.0), Colour::WHITE);
        assert_eq!(listed.colour(5.0).hex(), "#808080");
    }

    #[test]
    fn the_bounds_are_those_of_the_figure_or_of_the_values() {
        let centred = ColourScale::read(&json!({"zmid": 0.0}), 'z', &[-1.0, 3.0, f64::NAN]);
        assert_eq!((centred.low, centred.high), (-3.0, 3.0));
        let flat = ColourScale::read(&json!({}), 'z', &[2.0, 2.0]);
        assert_eq!((flat.low, flat.high), (1.5, 2.5));
        let empty = ColourScale::read(&json!({"zmin": null}), 'z', &[]);
        assert_eq!((empty.low, empty.high), (0.0, 1.0));
    }
}
