//! Texts, arrows, lines and boxes that a figure puts on itself; subplot titles are such texts.

use super::axis::{Axis, Kind};
use super::colour::Colour;
use super::data::Datum;
use super::frame;
use super::label::Label;
use super::marks::dashes;
use super::paper::{Anchor, Area, Paper, Stroke, TextStyle};
use super::sheet::Sheet;
use serde_json::Value;

/// The room that texts above the plot need: subplot titles stand there.
pub(super) fn height_above(layout: &Value) -> f64 {
    let is_above = |annotation: &&Value| {
        let paper = annotation["yref"]
            .as_str()
            .is_none_or(|yref| yref == "paper");
        paper
            && annotation["y"].as_f64().is_some_and(|y| y > 0.98)
            && annotation["showarrow"] == false
    };
    let heights = entries(&layout["annotations"])
        .iter()
        .filter(is_above)
        .map(|annotation| frame::lines_height(&Label::new(text(annotation)), size(annotation)));
    heights.fold(0.0, f64::max)
}

pub(super) fn draw(paper: &mut Paper, sheet: &Sheet) {
    for annotation in entries(&sheet.layout()["annotations"]) {
        let label = Label::new(text(annotation));
        let place = |name: &str| pixel(sheet, annotation, name, name, name == "x");
        let (Some(x), Some(y)) = (place("x"), place("y")) else {
            continue;
        };
        if annotation["visible"] == false {
            continue;
        }
        let size = size(annotation);
        let colour = Colour::read(&annotation["font"]["color"])
            .unwrap_or_else(|| frame::ink(sheet.layout()));
        let (width, height) = (label.width(size), frame::lines_height(&label, size));
        let mut at = (x, y);
        let arrow = annotation["showarrow"] != false;
        if arrow {
            at.0 += annotation["ax"].as_f64().unwrap_or(-10.0);
            at.1 += annotation["ay"].as_f64().unwrap_or(-30.0);
            let colour = Colour::read(&annotation["arrowcolor"]).unwrap_or(Colour::INK);
            draw_arrow(paper, at, (x, y), colour);
        }
        // Without an arrow a text on the paper leans inwards at the edges.
        let lean = |name: &str, reference: &str| match annotation[name].as_f64() {
            Some(share) if !arrow && is_paper(annotation, reference) => share,
            _ => 0.5,
        };
        let anchor = match annotation["xanchor"].as_str() {
            Some("left") => Anchor::Start,
            Some("right") => Anchor::End,
            Some("center") => Anchor::Middle,
            _ if lean("x", "xref") < 1.0 / 3.0 => Anchor::Start,
            _ if lean("x", "xref") > 2.0 / 3.0 => Anchor::End,
            _ => Anchor::Middle,
        };
        at.1 += match annotation["yanchor"].as_str() {
            Some("bottom") => -height / 2.0,
            Some("top") => height / 2.0,
            Some("middle") => 0.0,
            _ if lean("y", "yref") < 1.0 / 3.0 => -height / 2.0,
            _ if lean("y", "yref") > 2.0 / 3.0 => height / 2.0,
            _ => 0.0,
        };
        at.0 += annotation["xshift"].as_f64().unwrap_or(0.0);
        at.1 -= annotation["yshift"].as_f64().unwrap_or(0.0);
        if let Some(ground) = Colour::read(&annotation["bgcolor"]) {
            let left = match anchor {
                Anchor::Start => at.0,
                Anchor::Middle => at.0 - width / 2.0,
                Anchor::End => at.0 - width,
            };
            let area = Area {
                left: left - 2.0,
                top: at.1 - height / 2.0,
                width: width + 4.0,
                height,
            };
            paper.rectangle(area, Some(ground), None);
        }
        let angle = annotation["textangle"].as_f64().unwrap_or(0.0);
        paper.text(
            at,
            &label,
            TextStyle {
                size,
                anchor,
                angle,
                colour,
            },
        );
    }
}

/// Lines and boxes, those below the traces or those above.
pub(super) fn draw_shapes(paper: &mut Paper, sheet: &Sheet, below: bool) {
    for shape in entries(&sheet.layout()["shapes"]) {
        if (shape["layer"] == "below") != below || shape["visible"] == false {
            continue;
        }
        let place = |name: &str| pixel(sheet, shape, name, &name[..1], name.starts_with('x'));
        let ends = (place("x0"), place("y0"), place("x1"), place("y1"));
        let (Some(x0), Some(y0), Some(x1), Some(y1)) = ends else {
            continue;
        };
        let opacity = shape["opacity"].as_f64().unwrap_or(1.0);
        let line = &shape["line"];
        let stroke = Stroke {
            colour: Colour::read(&line["color"])
                .unwrap_or(Colour::INK)
                .with_alpha(opacity),
            width: line["width"].as_f64().unwrap_or(2.0),
            dashes: dashes(line["dash"].as_str().unwrap_or_default()),
        };
        let stroke = Some(stroke).filter(|stroke| stroke.width > 0.0);
        let fill = Colour::read(&shape["fillcolor"]).map(|fill| fill.with_alpha(opacity));
        let area = Area {
            left: x0.min(x1),
            top: y0.min(y1),
            width: (x1 - x0).abs(),
            height: (y1 - y0).abs(),
        };
        match (shape["type"].as_str(), stroke) {
            (Some("line"), Some(stroke)) => paper.line((x0, y0), (x1, y1), stroke),
            (Some("circle"), stroke) => {
                let middle = (area.left + area.width / 2.0, area.top + area.height / 2.0);
                paper.circle(middle, area.width.min(area.height) / 2.0, fill, stroke);
            }
            (Some("line" | "path"), _) => {}
            (_, stroke) => paper.rectangle(area, fill, stroke),
        }
    }
}

fn draw_arrow(paper: &mut Paper, from: (f64, f64), to: (f64, f64), colour: Colour) {
    let stroke = Stroke::new(colour, 1.2);
    paper.line(from, to, stroke);
    let (dx, dy) = (to.0 - from.0, to.1 - from.1);
    let length = dx.hypot(dy).max(1e-6);
    let (ux, uy) = (dx / length, dy / length);
    for side in [-1.0, 1.0] {
        let back = (
            to.0 - 7.0 * ux + side * 3.5 * uy,
            to.1 - 7.0 * uy - side * 3.5 * ux,
        );
        paper.line(to, back, stroke);
    }
}

/// The pixels of a coordinate, which is a share of the paper, of an axis's domain, or a datum.
fn pixel(sheet: &Sheet, entry: &Value, name: &str, letter: &str, is_x: bool) -> Option<f64> {
    let reference = entry[format!("{letter}ref").as_str()]
        .as_str()
        .unwrap_or(letter);
    let value = &entry[name];
    let plot = sheet.plot();
    if reference == "paper" {
        let share = value.as_f64()?;
        return Some(if is_x {
            plot.left + share * plot.width
        } else {
            plot.bottom() - share * plot.height
        });
    }
    let (id, domain) = match reference.split_once(' ') {
        Some((id, "domain")) => (id, true),
        _ => (reference, false),
    };
    let axis: &Axis = sheet.axis(id)?;
    if domain {
        let (first, second) = axis.pixels();
        return Some(first + value.as_f64()? * (second - first));
    }
    // On a log axis an annotation gives the exponent, and a shape the value.
    let pixel = match value.as_f64() {
        Some(exponent) if axis.kind == Kind::Log && name.len() == 1 => axis.pixel(exponent),
        _ => axis.pixel_of(&Datum::read(value)),
    };
    pixel.is_finite().then_some(pixel)
}

fn is_paper(annotation: &Value, reference: &str) -> bool {
    annotation[reference] == "paper"
}

fn entries(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

fn text(annotation: &Value) -> &str {
    annotation["text"].as_str().unwrap_or_default()
}

fn size(annotation: &Value) -> f64 {
    annotation["font"]["size"]
        .as_f64()
        .unwrap_or(12.0)
        .clamp(4.0, 60.0)
}
