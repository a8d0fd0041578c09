//! SVG, written piece by piece. Everything that is drawn goes through here, escaped.

use super::colour::Colour;
use super::label::Label;
use crate::display::escape;
use std::fmt::Write;

/// How high a line of text is, in units of its font size.
pub(super) const LINE_HEIGHT: f64 = 1.3;

/// A rectangle on the paper, in pixels; y grows downwards.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Area {
    pub left: f64,
    pub top: f64,
    pub width: f64,
    pub height: f64,
}

impl Area {
    pub(super) fn right(self) -> f64 {
        self.left + self.width
    }

    pub(super) fn bottom(self) -> f64 {
        self.top + self.height
    }
}

/// Where a text's point lies along it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// How a text looks. Its point is at the middle of its height.
#[derive(Debug, Clone, Copy)]
pub(super) struct TextStyle {
    pub size: f64,
    pub anchor: Anchor,
    /// Degrees, clockwise.
    pub angle: f64,
    pub colour: Colour,
}

impl Default for TextStyle {
    fn default() -> Self {
        Self {
            size: 12.0,
            anchor: Anchor::Middle,
            angle: 0.0,
            colour: Colour::INK,
        }
    }
}

/// How a line looks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stroke {
    pub colour: Colour,
    pub width: f64,
    /// SVG's dash pattern, in pixels; empty for a full line.
    pub dashes: &'static str,
}

impl Stroke {
    pub(super) const fn new(colour: Colour, width: f64) -> Self {
        Self {
            colour,
            width,
            dashes: "",
        }
    }
}

/// A picture that grows.
#[derive(Debug)]
pub(super) struct Paper {
    width: f64,
    height: f64,
    body: String,
}

impl Paper {
    pub(super) fn new(width: f64, height: f64, background: Colour) -> Self {
        let mut paper = Self {
            width,
            height,
            body: String::new(),
        };
        let all = Area {
            left: 0.0,
            top: 0.0,
            width,
            height,
        };
        paper.rectangle(all, Some(background), None);
        paper
    }

    pub(super) fn finish(self, title: &str) -> String {
        let (width, height) = (px(self.width), px(self.height));
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"0 0 {width} {height}\" role=\"img\" \
             font-family=\"&quot;Open Sans&quot;, Verdana, Arial, sans-serif\">\
             <title>{}</title>{}</svg>",
            escape::html(title),
            self.body
        )
    }

    pub(super) fn rectangle(&mut self, area: Area, fill: Option<Colour>, stroke: Option<Stroke>) {
        if fill.is_none_or(|fill| fill.alpha <= 0.0) && stroke.is_none() {
            return;
        }
        let _ = write!(
            self.body,
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"",
            px(area.left),
            px(area.top),
            px(area.width.max(0.0)),
            px(area.height.max(0.0)),
        );
        if stroke.is_none() {
            // Neighbours touch without a seam.
            self.body.push_str(" shape-rendering=\"crispEdges\"");
        }
        self.paint(fill, stroke);
        self.body.push_str("/>");
    }

    pub(super) fn line(&mut self, from: (f64, f64), to: (f64, f64), stroke: Stroke) {
        self.path(
            &format!("M{},{}L{},{}", px(from.0), px(from.1), px(to.0), px(to.1)),
            None,
            Some(stroke),
        );
    }

    /// A path in SVG's own words: coordinates only, never text from data.
    pub(super) fn path(&mut self, path: &str, fill: Option<Colour>, stroke: Option<Stroke>) {
        let _ = write!(self.body, "<path d=\"{path}\"");
        self.paint(fill, stroke);
        self.body.push_str("/>");
    }

    pub(super) fn circle(
        &mut self,
        at: (f64, f64),
        radius: f64,
        fill: Option<Colour>,
        stroke: Option<Stroke>,
    ) {
        let _ = write!(
            self.body,
            "<circle cx=\"{}\" cy=\"{}\" r=\"{}\"",
            px(at.0),
            px(at.1),
            px(radius)
        );
        self.paint(fill, stroke);
        self.body.push_str("/>");
    }

    /// A PNG, stretched over the area with sharp cell edges.
    pub(super) fn image(&mut self, area: Area, png_base64: &str) {
        let _ = write!(
            self.body,
            "<image x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" preserveAspectRatio=\"none\" \
             style=\"image-rendering:pixelated\" href=\"data:image/png;base64,{png_base64}\"/>",
            px(area.left),
            px(area.top),
            px(area.width),
            px(area.height),
        );
    }

    pub(super) fn text(&mut self, at: (f64, f64), label: &Label, style: TextStyle) {
        if label.is_empty() {
            return;
        }
        let anchor = match style.anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        let (x, y) = (px(at.0), px(at.1));
        let turn = if style.angle == 0.0 {
            String::new()
        } else {
            format!(" transform=\"rotate({} {x} {y})\"", px(style.angle))
        };
        let weight = if label.bold {
            " font-weight=\"bold\""
        } else {
            ""
        };
        let _ = write!(
            self.body,
            "<text text-anchor=\"{anchor}\" font-size=\"{}\" xml:space=\"preserve\"{weight}{turn}",
            px(style.size),
        );
        self.paint(Some(style.colour), None);
        self.body.push('>');
        #[allow(clippy::cast_precision_loss)]
        for (index, line) in label.lines.iter().enumerate() {
            let middle = (label.lines.len() - 1) as f64 / 2.0;
            // Baselines lie 0.35 em below the middle of a line.
            let shift = style.size * ((index as f64 - middle) * LINE_HEIGHT + 0.35);
            let _ = write!(
                self.body,
                "<tspan x=\"{x}\" y=\"{}\">{}</tspan>",
                px(at.1 + shift),
                escape::html(line)
            );
        }
        self.body.push_str("</text>");
    }

    /// What `draw` draws is seen within the area only. An inner picture clips without an id, which
    /// could be that of another picture in the same page.
    pub(super) fn clipped(&mut self, area: Area, draw: impl FnOnce(&mut Self)) {
        let (x, y) = (px(area.left), px(area.top));
        let (width, height) = (px(area.width.max(0.0)), px(area.height.max(0.0)));
        let _ = write!(
            self.body,
            "<svg x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" \
             viewBox=\"{x} {y} {width} {height}\" overflow=\"hidden\">"
        );
        draw(self);
        self.body.push_str("</svg>");
    }

    fn paint(&mut self, fill: Option<Colour>, stroke: Option<Stroke>) {
        match fill {
            None => self.body.push_str(" fill=\"none\""),
            Some(fill) => {
                let _ = write!(self.body, " fill=\"{}\"", fill.hex());
                if fill.alpha < 1.0 {
                    let _ = write!(self.body, " fill-opacity=\"{}\"", px(fill.alpha));
                }
            }
        }
        if let Some(stroke) = stroke {
            let _ = write!(
                self.body,
                " stroke=\"{}\" stroke-width=\"{}\"",
                stroke.colour.hex(),
                px(stroke.width)
            );
            if stroke.colour.alpha < 1.0 {
                let _ = write!(self.body, " stroke-opacity=\"{}\"", px(stroke.colour.alpha));
            }
            if !stroke.dashes.is_empty() {
                let _ = write!(self.body, " stroke-dasharray=\"{}\"", stroke.dashes);
            }
        }
    }
}

/// A coordinate with two decimals at most; what is not a number becomes 0.
pub(super) fn px(value: f64) -> String {
    if !value.is_finite() {
        return "0".to_owned();
    }
    let text = format!("{:.2}", value.clamp(-1e6, 1e6));
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" {
        "0".to_owned()
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_cannot_break_out_of_the_picture() {
        let mut paper = Paper::new(100.0, 50.0, Colour::WHITE);
        let hostile = Label::new("&lt;/text&gt;&lt;script&gt;\"'\u{0}");
        paper.text((1.0, 2.0), &hostile, TextStyle::default());
        let svg = paper.finish("</title><script>");
        roxmltree::Document::parse(&svg).expect("well-formed");
        assert!(!svg.contains("<script"));
    }

    #[test]
    fn coordinates_are_short() {
        assert_eq!(px(1.0), "1");
        assert_eq!(px(-0.001), "0");
        assert_eq!(px(12.345_6), "12.35");
        assert_eq!(px(f64::NAN), "0");
    }
}
