//! The shapes of points and lines.

use crate::display::static_picture::colour::Colour;
use crate::display::static_picture::paper::{Paper, Stroke, px};

/// Draws a point in plotly's words: `circle`, `square-open`, `triangle-up`…
pub(in crate::display::static_picture) fn symbol(
    paper: &mut Paper,
    name: &str,
    at: (f64, f64),
    diameter: f64,
    colour: Colour,
    outline: Option<Stroke>,
) {
    let radius = (diameter / 2.0).max(0.5);
    let (shape, open) = match name
        .strip_suffix("-open")
        .or_else(|| name.strip_suffix("-open-dot"))
    {
        Some(shape) => (shape, true),
        None => (name, false),
    };
    let (fill, stroke) = if open {
        (None, Some(Stroke::new(colour, 1.5)))
    } else {
        (Some(colour), outline)
    };
    let r = radius;
    let corners: &[(f64, f64)] = match shape {
        "square" => &[(-0.89, -0.89), (0.89, -0.89), (0.89, 0.89), (-0.89, 0.89)],
        "diamond" => &[(0.0, -1.3), (1.3, 0.0), (0.0, 1.3), (-1.3, 0.0)],
        "triangle-up" => &[(0.0, -1.2), (1.15, 0.8), (-1.15, 0.8)],
        "triangle-down" => &[(0.0, 1.2), (-1.15, -0.8), (1.15, -0.8)],
        "triangle-left" => &[(-1.2, 0.0), (0.8, 1.15), (0.8, -1.15)],
        "triangle-right" => &[(1.2, 0.0), (-0.8, -1.15), (-0.8, 1.15)],
        "star" => &[
            (0.0, -1.4),
            (0.32, -0.44),
            (1.33, -0.43),
            (0.52, 0.17),
            (0.82, 1.13),
            (0.0, 0.55),
            (-0.82, 1.13),
            (-0.52, 0.17),
            (-1.33, -0.43),
            (-0.32, -0.44),
        ],
        "cross" => &[
            (-0.4, -1.2),
            (0.4, -1.2),
            (0.4, -0.4),
            (1.2, -0.4),
            (1.2, 0.4),
            (0.4, 0.4),
            (0.4, 1.2),
            (-0.4, 1.2),
            (-0.4, 0.4),
            (-1.2, 0.4),
            (-1.2, -0.4),
            (-0.4, -0.4),
        ],
        "x" => &[
            (-1.1, -0.55),
            (-0.55, -1.1),
            (0.0, -0.55),
            (0.55, -1.1),
            (1.1, -0.55),
            (0.55, 0.0),
            (1.1, 0.55),
            (0.55, 1.1),
            (0.0, 0.55),
            (-0.55, 1.1),
            (-1.1, 0.55),
            (-0.55, 0.0),
        ],
        _ => {
            paper.circle(at, r, fill, stroke);
            return;
        }
    };
    let mut path = String::new();
    for (index, (dx, dy)) in corners.iter().enumerate() {
        path.push(if index == 0 { 'M' } else { 'L' });
        path.push_str(&format!("{},{}", px(at.0 + r * dx), px(at.1 + r * dy)));
    }
    path.push('Z');
    paper.path(&path, fill, stroke);
}

/// plotly's names of dash patterns, as SVG writes them for a line about 2 pixels wide.
pub(in crate::display::static_picture) fn dashes(name: &str) -> &'static str {
    match name {
        "dot" => "2 3",
        "dash" => "8 6",
        "longdash" => "14 7",
        "dashdot" => "8 5 2 5",
        "longdashdot" => "14 6 2 6",
        _ => "",
    }
}
