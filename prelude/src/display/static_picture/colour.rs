//! Colours, as CSS and plotly write them.

use serde_json::Value;

/// The colours of traces that choose none, in order: plotly's default.
const COLOURWAY: [Colour; 10] = [
    Colour::rgb(0x1f, 0x77, 0xb4),
    Colour::rgb(0xff, 0x7f, 0x0e),
    Colour::rgb(0x2c, 0xa0, 0x2c),
    Colour::rgb(0xd6, 0x27, 0x28),
    Colour::rgb(0x94, 0x67, 0xbd),
    Colour::rgb(0x8c, 0x56, 0x4b),
    Colour::rgb(0xe3, 0x77, 0xc2),
    Colour::rgb(0x7f, 0x7f, 0x7f),
    Colour::rgb(0xbc, 0xbd, 0x22),
    Colour::rgb(0x17, 0xbe, 0xcf),
];

/// A colour and how much of it covers what lies below.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Colour {
    pub red: u8,
    pub green: u8,
    pub blue: u8,
    pub alpha: f64,
}

impl Colour {
    pub(super) const WHITE: Self = Self::rgb(255, 255, 255);
    /// Axis lines, titles and labels.
    pub(super) const INK: Self = Self::rgb(0x44, 0x44, 0x44);
    pub(super) const GRID: Self = Self::rgb(0xee, 0xee, 0xee);

    pub(super) const fn rgb(red: u8, green: u8, blue: u8) -> Self {
        Self {
            red,
            green,
            blue,
            alpha: 1.0,
        }
    }

    /// The colour of the trace with this number.
    pub(super) fn of_trace(index: usize, layout: &Value) -> Self {
        if let Some(colourway) = layout["colorway"].as_array()
            && !colourway.is_empty()
            && let Some(colour) = Self::read(&colourway[index % colourway.len()])
        {
            return colour;
        }
        COLOURWAY[index % COLOURWAY.len()]
    }

    /// What a figure's JSON says, if it names a colour.
    pub(super) fn read(value: &Value) -> Option<Self> {
        Self::parse(value.as_str()?)
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_lowercase();
        if let Some(digits) = text.strip_prefix('#') {
            return Self::hexadecimal(digits);
        }
        if let Some((function, rest)) = text.split_once('(') {
            return Self::function(function.trim(), rest.trim_end_matches(')'));
        }
        let (_, (red, green, blue)) = NAMED.iter().find(|(name, _)| *name == text)?;
        if text == "transparent" {
            return Some(Self {
                alpha: 0.0,
                ..Self::WHITE
            });
        }
        Some(Self::rgb(*red, *green, *blue))
    }

    fn hexadecimal(digits: &str) -> Option<Self> {
        let wide: String = match digits.len() {
            3 | 4 => digits.chars().flat_map(|digit| [digit, digit]).collect(),
            6 | 8 => digits.to_owned(),
            _ => return None,
        };
        let number = u32::from_str_radix(&wide, 16).ok()?;
        let bytes = if wide.len() == 8 {
            number
        } else {
            number << 8 | 0xff
        }
        .to_be_bytes();
        Some(Self {
            alpha: f64::from(bytes[3]) / 255.0,
            ..Self::rgb(bytes[0], bytes[1], bytes[2])
        })
    }

    fn function(function: &str, arguments: &str) -> Option<Self> {
        let parts: Vec<&str> = arguments
            .split([',', '/', ' '])
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .collect();
        let number = |index: usize, whole: f64| -> Option<f64> {
            let part = parts.get(index)?;
            match part.strip_suffix('%') {
                Some(share) => Some(share.parse::<f64>().ok()? / 100.0 * whole),
                None => part.parse().ok(),
            }
        };
        let alpha = number(3, 1.0).unwrap_or(1.0).clamp(0.0, 1.0);
        match function {
            "rgb" | "rgba" => Some(Self {
                alpha,
                ..Self::rgb(
                    byte(number(0, 255.0)?),
                    byte(number(1, 255.0)?),
                    byte(number(2, 255.0)?),
                )
            }),
            "hsl" | "hsla" => Some(Self {
                alpha,
                ..hsl(number(0, 360.0)?, number(1, 1.0)?, number(2, 1.0)?)
            }),
            _ => None,
        }
    }

    pub(super) fn with_alpha(self, alpha: f64) -> Self {
        Self {
            alpha: self.alpha * alpha,
            ..self
        }
    }

    /// The colour between this one (0) and another (1).
    pub(super) fn towards(self, other: Self, share: f64) -> Self {
        let mix =
            |from: u8, to: u8| byte(f64::from(from) + (f64::from(to) - f64::from(from)) * share);
        Self {
            red: mix(self.red, other.red),
            green: mix(self.green, other.green),
            blue: mix(self.blue, other.blue),
            alpha: self.alpha + (other.alpha - self.alpha) * share,
        }
    }

    /// Black or white, whichever can be read on this colour.
    pub(super) fn ink_on(self) -> Self {
        let luminance = 0.299 * f64::from(self.red)
            + 0.587 * f64::from(self.green)
            + 0.114 * f64::from(self.blue);
        if luminance * self.alpha + 255.0 * (1.0 - self.alpha) > 140.0 {
            Self::INK
        } else {
            Self::WHITE
        }
    }

    /// `#rrggbb`, without the alpha: SVG writes that apart.
    pub(super) fn hex(self) -> String {
        format!("#{:02x}{:02x}{:02x}", self.red, self.green, self.blue)
    }
}

#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
pub(super) fn byte(value: f64) -> u8 {
    value.round().clamp(0.0, 255.0) as u8
}

fn hsl(hue: f64, saturation: f64, lightness: f64) -> Colour {
    let reach = saturation * lightness.min(1.0 - lightness);
    let channel = |offset: f64| {
        let k = (offset + hue / 30.0).rem_euclid(12.0);
        byte(255.0 * (lightness - reach * (k - 3.0).min(9.0 - k).clamp(-1.0, 1.0)))
    };
    Colour::rgb(channel(0.0), channel(8.0), channel(4.0))
}

/// The CSS names that plots use, those of `plotly::common::color::NamedColor` that are common.
const NAMED: [(&str, (u8, u8, u8)); 44] = [
    ("aqua", (0, 255, 255)),
    ("beige", (245, 245, 220)),
    ("black", (0, 0, 0)),
    ("blue", (0, 0, 255)),
    ("brown", (165, 42, 42)),
    ("coral", (255, 127, 80)),
    ("cornflowerblue", (100, 149, 237)),
    ("crimson", (220, 20, 60)),
    ("cyan", (0, 255, 255)),
    ("darkblue", (0, 0, 139)),
    ("darkgray", (169, 169, 169)),
    ("darkgreen", (0, 100, 0)),
    ("darkorange", (255, 140, 0)),
    ("darkred", (139, 0, 0)),
    ("dodgerblue", (30, 144, 255)),
    ("firebrick", (178, 34, 34)),
    ("forestgreen", (34, 139, 34)),
    ("gold", (255, 215, 0)),
    ("gray", (128, 128, 128)),
    ("green", (0, 128, 0)),
    ("grey", (128, 128, 128)),
    ("indigo", (75, 0, 130)),
    ("lightblue", (173, 216, 230)),
    ("lightgray", (211, 211, 211)),
    ("lightgreen", (144, 238, 144)),
    ("lime", (0, 255, 0)),
    ("magenta", (255, 0, 255)),
    ("maroon", (128, 0, 0)),
    ("navy", (0, 0, 128)),
    ("olive", (128, 128, 0)),
    ("orange", (255, 165, 0)),
    ("pink", (255, 192, 203)),
    ("purple", (128, 0, 128)),
    ("red", (255, 0, 0)),
    ("royalblue", (65, 105, 225)),
    ("salmon", (250, 128, 114)),
    ("silver", (192, 192, 192)),
    ("steelblue", (70, 130, 180)),
    ("teal", (0, 128, 128)),
    ("tomato", (255, 99, 71)),
    ("transparent", (255, 255, 255)),
    ("turquoise", (64, 224, 208)),
    ("white", (255, 255, 255)),
    ("yellow", (255, 255, 0)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_red() {
        for text in [
            "red",
            "#f00",
            "#FF0000",
            "rgb(255, 0,0)",
            "rgba(255,0,0,1)",
            "hsl(0,100%,50%)",
        ] {
            assert_eq!(Colour::parse(text), Some(Colour::rgb(255, 0, 0)), "{text}");
        }
        assert_eq!(
            Colour::parse("rgba(0,0,0,0.5)").map(|colour| colour.alpha),
            Some(0.5)
        );
        assert_eq!(Colour::parse("no colour"), None);
        assert_eq!(Colour::parse("#12é"), None);
    }
}
