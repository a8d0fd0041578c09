//! Points and lines.

use super::error_bars::error_at;
use super::polyline::{stepped, thinned};
use super::{MOST_POINTS, Mark, Trace, colour_axis, dashes, is_near, symbol};
use crate::display::static_picture::axis::{Axis, Kind, Reach};
use crate::display::static_picture::colour::Colour;
use crate::display::static_picture::colour_scale::ColourScale;
use crate::display::static_picture::data::{number_at, numbers, text_at};
use crate::display::static_picture::label::Label;
use crate::display::static_picture::paper::{Anchor, Area, Paper, Stroke, TextStyle, px};
use serde_json::Value;

pub(super) struct Scatter {
    points: Vec<(f64, f64)>,
    json: Value,
    colour: Colour,
    lines: bool,
    markers: bool,
    texts: bool,
    scale: Option<(ColourScale, Value)>,
    /// The points of the trace before, where this one fills down to them.
    earlier: Option<Vec<(f64, f64)>>,
    logarithmic: (bool, bool),
}

impl Scatter {
    pub(super) fn new(
        trace: &Trace,
        layout: &Value,
        x: &Axis,
        y: &Axis,
        earlier: Option<Vec<(f64, f64)>>,
    ) -> Self {
        let along = |axis: &Axis| -> Vec<f64> {
            trace
                .data_along(axis.is_x())
                .iter()
                .map(|datum| axis.place(datum))
                .collect()
        };
        let points: Vec<(f64, f64)> = along(x).into_iter().zip(along(y)).collect();
        // plotly's rule: few points are worth a mark each.
        let default = if points.len() < 20 {
            "lines+markers"
        } else {
            "lines"
        };
        let mode = trace.json["mode"].as_str().unwrap_or(default);
        let marker = &trace.json["marker"];
        let own_colour =
            Colour::read(&marker["color"]).or_else(|| Colour::read(&trace.json["line"]["color"]));
        let colour = own_colour
            .unwrap_or(trace.colour)
            .with_alpha(trace.opacity());
        Self {
            points,
            json: trace.json.clone(),
            colour,
            lines: mode.contains("lines"),
            markers: mode.contains("markers"),
            texts: mode.contains("text"),
            scale: scale(marker, layout),
            earlier,
            logarithmic: (x.kind == Kind::Log, y.kind == Kind::Log),
        }
    }

    pub(super) fn points(&self) -> Vec<(f64, f64)> {
        self.points.clone()
    }

    fn line_stroke(&self) -> Stroke {
        let line = &self.json["line"];
        let colour = Colour::read(&line["color"]).unwrap_or(self.colour);
        Stroke {
            colour,
            width: line["width"].as_f64().unwrap_or(2.0),
            dashes: dashes(line["dash"].as_str().unwrap_or_default()),
        }
    }

    fn draw_fill(&self, paper: &mut Paper, x: &Axis, y: &Axis) {
        let fill = self.json["fill"].as_str().unwrap_or("none");
        let mut outline: Vec<(f64, f64)> = pixels(&self.points, x, y);
        let Some((first, last)) = outline.first().copied().zip(outline.last().copied()) else {
            return;
        };
        match fill {
            "tozeroy" => {
                outline.extend([(last.0, y.pixel(y.base())), (first.0, y.pixel(y.base()))])
            }
            "tozerox" => {
                outline.extend([(x.pixel(x.base()), last.1), (x.pixel(x.base()), first.1)])
            }
            "tonexty" | "tonextx" | "tonext" => match &self.earlier {
                Some(earlier) => outline.extend(pixels(earlier, x, y).into_iter().rev()),
                None => outline.extend([(last.0, y.pixel(y.base())), (first.0, y.pixel(y.base()))]),
            },
            "toself" => {}
            _ => return,
        }
        let colour = Colour::read(&self.json["fillcolor"]).unwrap_or(self.colour.with_alpha(0.5));
        paper.path(&format!("{}Z", path(&outline)), Some(colour), None);
    }

    fn draw_line(&self, paper: &mut Paper, x: &Axis, y: &Axis) {
        let shape = self.json["line"]["shape"].as_str().unwrap_or("linear");
        let bridges = self.json["connectgaps"] == true;
        let mut pieces = String::new();
        for piece in self.points.split(|point| !bridges && !is_finite(point)) {
            let piece: Vec<(f64, f64)> = piece.iter().copied().filter(is_finite).collect();
            let piece = pixels(&thinned(&piece), x, y);
            pieces.push_str(&path(&stepped(&piece, shape)));
        }
        if !pieces.is_empty() {
            paper.path(&pieces, None, Some(self.line_stroke()));
        }
    }

    fn draw_errors(&self, paper: &mut Paper, x: &Axis, y: &Axis) {
        for (name, is_x) in [("error_x", true), ("error_y", false)] {
            let error = &self.json[name];
            if error["visible"] == false || !error.is_object() {
                continue;
            }
            let stroke = Stroke::new(
                Colour::read(&error["color"]).unwrap_or(self.colour),
                error["thickness"].as_f64().unwrap_or(2.0),
            );
            for (index, point) in self.points.iter().enumerate() {
                let value = if is_x { point.0 } else { point.1 };
                let Some((below, above)) = error_at(error, index, value) else {
                    continue;
                };
                let end = |place: f64| {
                    if is_x {
                        (x.pixel(place), y.pixel(point.1))
                    } else {
                        (x.pixel(point.0), y.pixel(place))
                    }
                };
                let (from, to) = (end(value - below), end(value + above));
                paper.line(from, to, stroke);
                for at in [from, to] {
                    let cap = if is_x { (0.0, 4.0) } else { (4.0, 0.0) };
                    paper.line(
                        (at.0 - cap.0, at.1 - cap.1),
                        (at.0 + cap.0, at.1 + cap.1),
                        stroke,
                    );
                }
            }
        }
    }

    fn draw_markers(&self, paper: &mut Paper, area: Area, x: &Axis, y: &Axis) {
        let marker = &self.json["marker"];
        let values = numbers(&marker["color"]);
        let opacity = marker["opacity"].as_f64();
        let outline = marker["line"]["width"]
            .as_f64()
            .filter(|width| *width > 0.0)
            .map(|width| {
                Stroke::new(
                    Colour::read(&marker["line"]["color"]).unwrap_or(Colour::INK),
                    width,
                )
            });
        for (index, &(px_place, py_place)) in self.points.iter().enumerate().step_by(self.stride())
        {
            let at = (x.pixel(px_place), y.pixel(py_place));
            if !is_finite(&at) || !is_near(area, at) {
                continue;
            }
            let listed = marker["color"].get(index).and_then(Colour::read);
            let scaled = || {
                let value = values
                    .get(index)
                    .copied()
                    .filter(|value| value.is_finite())?;
                Some(self.scale.as_ref()?.0.colour(value))
            };
            let colour = listed.or_else(scaled).unwrap_or(self.colour);
            let alpha = opacity
                .or_else(|| number_at(&marker["opacity"], index))
                .unwrap_or(1.0);
            let shape = text_at(&marker["symbol"], index).unwrap_or_default();
            symbol(
                paper,
                &shape,
                at,
                size(marker, index),
                colour.with_alpha(alpha),
                outline,
            );
        }
    }

    fn draw_texts(&self, paper: &mut Paper, area: Area, x: &Axis, y: &Axis) {
        let font = &self.json["textfont"];
        let size = font["size"].as_f64().unwrap_or(12.0);
        for (index, &(px_place, py_place)) in self.points.iter().enumerate().step_by(self.stride())
        {
            let at = (x.pixel(px_place), y.pixel(py_place));
            let Some(text) = text_at(&self.json["text"], index) else {
                continue;
            };
            if !is_finite(&at) || !is_near(area, at) {
                continue;
            }
            let place = text_at(&self.json["textposition"], index);
            let place = place.as_deref().unwrap_or("middle center");
            let away = if self.markers { size * 0.6 + 4.0 } else { 0.0 };
            let (anchor, dx) = if place.contains("left") {
                (Anchor::End, -away)
            } else if place.contains("right") {
                (Anchor::Start, away)
            } else {
                (Anchor::Middle, 0.0)
            };
            let dy = if place.starts_with("top") {
                -away.max(size * 0.8)
            } else if place.starts_with("bottom") {
                away.max(size * 0.8)
            } else {
                0.0
            };
            let colour = Colour::read(&font["color"]).unwrap_or(Colour::INK);
            let style = TextStyle {
                size,
                anchor,
                colour,
                angle: 0.0,
            };
            paper.text((at.0 + dx, at.1 + dy), &Label::new(&text), style);
        }
    }

    fn stride(&self) -> usize {
        self.points.len().div_ceil(MOST_POINTS).max(1)
    }
}

impl Mark for Scatter {
    fn reach(&self) -> (Reach, Reach) {
        let finite = || self.points.iter().filter(|point| is_finite(point));
        let mut x = Reach::of(finite().map(|point| point.0), self.markers || self.texts);
        let mut y = Reach::of(finite().map(|point| point.1), true);
        for (name, is_x) in [("error_x", true), ("error_y", false)] {
            let ends = finite().enumerate().filter_map(|(index, point)| {
                let value = if is_x { point.0 } else { point.1 };
                let (below, above) = error_at(&self.json[name], index, value)?;
                Some([value - below, value + above])
            });
            let errors = Reach::of(ends.flatten(), true);
            if is_x {
                x = widest(x, errors)
            } else {
                y = widest(y, errors)
            }
        }
        match self.json["fill"].as_str() {
            Some("tozeroy") if !self.logarithmic.1 => y = widest(y, Reach::of([0.0], false)),
            Some("tozerox") if !self.logarithmic.0 => x = widest(x, Reach::of([0.0], false)),
            _ => {}
        }
        (x, y)
    }

    fn draw(&self, paper: &mut Paper, x: &Axis, y: &Axis) {
        let area = area(x, y);
        self.draw_fill(paper, x, y);
        if self.lines {
            self.draw_line(paper, x, y);
        }
        self.draw_errors(paper, x, y);
        if self.markers {
            self.draw_markers(paper, area, x, y);
        }
        if self.texts {
            self.draw_texts(paper, area, x, y);
        }
    }

    fn colour_bar(&self) -> Option<(ColourScale, Value)> {
        self.scale
            .clone()
            .filter(|(_, settings)| settings["showscale"] == true)
    }

    fn note(&self) -> Option<String> {
        (self.stride() > 1 && self.markers).then(|| {
            let drawn = self.points.len().div_ceil(self.stride());
            format!("{drawn} of {} points drawn", self.points.len())
        })
    }
}

fn scale(marker: &Value, layout: &Value) -> Option<(ColourScale, Value)> {
    let values = numbers(&marker["color"]);
    if values.iter().all(|value| value.is_nan()) {
        return None;
    }
    Some(match marker["coloraxis"].as_str() {
        Some(name) => colour_axis(name, layout, &values),
        None => (ColourScale::read(marker, 'c', &values), marker.clone()),
    })
}

/// The diameter of a point, in pixels.
fn size(marker: &Value, index: usize) -> f64 {
    let size = number_at(&marker["size"], index).unwrap_or(6.0);
    let reference = marker["sizeref"]
        .as_f64()
        .filter(|reference| *reference > 0.0)
        .unwrap_or(1.0);
    let diameter = if marker["sizemode"] == "area" {
        (size / reference).max(0.0).sqrt()
    } else {
        size / reference
    };
    diameter
        .max(marker["sizemin"].as_f64().unwrap_or(0.0))
        .min(200.0)
}

/// The reach of both; where one has no end, that of the other.
pub(super) fn widest(one: Reach, other: Reach) -> Reach {
    Reach {
        low: one.low.min(other.low),
        high: one.high.max(other.high),
        air_below: if other.low < one.low {
            other.air_below
        } else {
            one.air_below
        },
        air_above: if other.high > one.high {
            other.air_above
        } else {
            one.air_above
        },
    }
}

/// The rectangle that two axes span.
pub(super) fn area(x: &Axis, y: &Axis) -> Area {
    let across = (x.pixel(x.span().0), x.pixel(x.span().1));
    let down = (y.pixel(y.span().0), y.pixel(y.span().1));
    Area {
        left: across.0.min(across.1),
        top: down.0.min(down.1),
        width: (across.1 - across.0).abs(),
        height: (down.1 - down.0).abs(),
    }
}

fn is_finite(point: &(f64, f64)) -> bool {
    point.0.is_finite() && point.1.is_finite()
}

fn pixels(points: &[(f64, f64)], x: &Axis, y: &Axis) -> Vec<(f64, f64)> {
    let points = points.iter().filter(|point| is_finite(point));
    points
        .map(|point| (x.pixel(point.0), y.pixel(point.1)))
        .collect()
}

fn path(points: &[(f64, f64)]) -> String {
    let mut path = String::new();
    for (index, point) in points.iter().enumerate() {
        path.push(if index == 0 { 'M' } else { 'L' });
        path.push_str(&format!("{},{}", px(point.0), px(point.1)));
    }
    path
}
