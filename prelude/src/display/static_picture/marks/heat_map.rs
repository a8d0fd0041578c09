//! A matrix as coloured cells.
//!
//! The cells go into the picture as one small PNG, a pixel a cell, which the viewer stretches: a
//! thousand rectangles would make a page slow. Where cells differ in width they are rectangles.

use super::{Mark, Trace, colour_axis};
use crate::display::static_picture::axis::{Axis, Kind, Reach};
use crate::display::static_picture::colour::{Colour, byte};
use crate::display::static_picture::colour_scale::ColourScale;
use crate::display::static_picture::data::{data, numbers};
use crate::display::static_picture::label::Label;
use crate::display::static_picture::paper::{Area, Paper, TextStyle};
use crate::display::static_picture::{png, ticks};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// The most cells drawn along one side; of a larger matrix, cells are averaged.
const MOST_CELLS: usize = 700;
/// The palette index of a cell without a value.
const EMPTY: u8 = 255;

pub(super) struct HeatMap {
    /// `[rows][columns]`, row 0 at the lowest y.
    z: Vec<Vec<f64>>,
    /// The edges of the cells: one more than there are columns, or rows.
    x: Vec<f64>,
    y: Vec<f64>,
    scale: ColourScale,
    settings: Value,
    json: Value,
}

/// The numbers of columns and rows of a matrix.
pub(super) fn size(z: &Value) -> (usize, usize) {
    let rows = z.as_array().map_or(&[][..], Vec::as_slice);
    let columns = rows.iter().filter_map(Value::as_array).map(Vec::len).max();
    (columns.unwrap_or(0), rows.len())
}

impl HeatMap {
    pub(super) fn new(trace: &Trace, layout: &Value, x: &Axis, y: &Axis) -> Self {
        let (columns, _) = size(&trace.json["z"]);
        let rows = trace.json["z"].as_array().map_or(&[][..], Vec::as_slice);
        let z: Vec<Vec<f64>> = rows
            .iter()
            .map(|row| {
                let mut row = numbers(row);
                row.resize(columns, f64::NAN);
                row
            })
            .collect();
        let values: Vec<f64> = z.iter().flatten().copied().collect();
        let (scale, settings) = match trace.json["coloraxis"].as_str() {
            Some(name) => colour_axis(name, layout, &values),
            None => (
                ColourScale::read(trace.json, 'z', &values),
                trace.json.clone(),
            ),
        };
        let edges = |axis: &Axis, count: usize| {
            let places: Vec<f64> = trace
                .data_along(axis.is_x())
                .iter()
                .map(|datum| axis.place(datum))
                .collect();
            edges(&places, count)
        };
        Self {
            x: edges(x, columns),
            y: edges(y, z.len()),
            z,
            scale,
            settings,
            json: trace.json.clone(),
        }
    }

    fn draw_image(&self, paper: &mut Paper, x: &Axis, y: &Axis) {
        let sides = (x.pixel(self.x[0]), x.pixel(*self.x.last().unwrap_or(&0.0)));
        let ends = (y.pixel(self.y[0]), y.pixel(*self.y.last().unwrap_or(&0.0)));
        let mut rows = averaged(&self.z);
        // The image's first row is at its top, and its first column at its left.
        if ends.0 > ends.1 {
            rows.reverse();
        }
        if sides.0 > sides.1 {
            rows.iter_mut().for_each(|row| row.reverse());
        }
        let area = Area {
            left: sides.0.min(sides.1),
            top: ends.0.min(ends.1),
            width: (sides.1 - sides.0).abs(),
            height: (ends.1 - ends.0).abs(),
        };
        let palette: Vec<[u8; 4]> = (0..=EMPTY)
            .map(|index| {
                if index == EMPTY {
                    return [255, 255, 255, 0];
                }
                let colour = self.scale.at(f64::from(index) / f64::from(EMPTY - 1));
                [
                    colour.red,
                    colour.green,
                    colour.blue,
                    byte(255.0 * colour.alpha),
                ]
            })
            .collect();
        let pixels: Vec<u8> = rows
            .iter()
            .flatten()
            .map(|value| self.palette_index(*value))
            .collect();
        let side = |cells: usize| u32::try_from(cells).unwrap_or(1).max(1);
        let columns = rows.first().map_or(0, Vec::len);
        let png = png::encode(side(columns), side(rows.len()), &palette, &pixels);
        paper.image(area, &STANDARD.encode(png));
    }

    fn palette_index(&self, value: f64) -> u8 {
        if value.is_nan() {
            return EMPTY;
        }
        let share = (value - self.scale.low) / (self.scale.high - self.scale.low);
        byte(share.clamp(0.0, 1.0) * f64::from(EMPTY - 1))
    }

    fn draw_cells(&self, paper: &mut Paper, x: &Axis, y: &Axis) {
        for (row, values) in self.z.iter().enumerate() {
            for (column, value) in values.iter().enumerate() {
                if value.is_finite() {
                    let area = self.cell(row, column, x, y);
                    paper.rectangle(area, Some(self.scale.colour(*value)), None);
                }
            }
        }
    }

    fn cell(&self, row: usize, column: usize, x: &Axis, y: &Axis) -> Area {
        let sides = (x.pixel(self.x[column]), x.pixel(self.x[column + 1]));
        let ends = (y.pixel(self.y[row]), y.pixel(self.y[row + 1]));
        Area {
            left: sides.0.min(sides.1),
            top: ends.0.min(ends.1),
            width: (sides.1 - sides.0).abs(),
            height: (ends.1 - ends.0).abs(),
        }
    }

    /// What `texttemplate` asks to be written into the cells.
    fn draw_texts(&self, paper: &mut Paper, x: &Axis, y: &Axis) {
        let Some(template) = self.json["texttemplate"].as_str() else {
            return;
        };
        let font = &self.json["textfont"];
        for (row, values) in self.z.iter().enumerate() {
            for (column, value) in values.iter().enumerate() {
                let area = self.cell(row, column, x, y);
                let text = fill_in(template, *value, &self.json["text"][row][column]);
                let label = Label::new(&text);
                let room = (area.width - 2.0) / label.width(1.0).max(0.1);
                let size = font["size"]
                    .as_f64()
                    .unwrap_or(12.0)
                    .min(room)
                    .min(area.height * 0.8);
                if size < 6.0 || value.is_nan() {
                    continue;
                }
                let colour =
                    Colour::read(&font["color"]).unwrap_or(self.scale.colour(*value).ink_on());
                let middle = (area.left + area.width / 2.0, area.top + area.height / 2.0);
                paper.text(
                    middle,
                    &label,
                    TextStyle {
                        size,
                        colour,
                        ..TextStyle::default()
                    },
                );
            }
        }
    }
}

impl Mark for HeatMap {
    fn reach(&self) -> (Reach, Reach) {
        let reach = |edges: &[f64]| Reach::of(edges.iter().copied(), false);
        (reach(&self.x), reach(&self.y))
    }

    fn draw(&self, paper: &mut Paper, x: &Axis, y: &Axis) {
        if self.z.is_empty() || self.x.len() < 2 {
            return;
        }
        let even = |axis: &Axis, edges: &[f64]| axis.kind != Kind::Log && are_even(edges);
        let few = self.z.len() * self.x.len() < 10_000;
        if few && !(even(x, &self.x) && even(y, &self.y)) {
            self.draw_cells(paper, x, y);
        } else {
            self.draw_image(paper, x, y);
        }
        if self.z.len() * self.x.len() < 5_000 {
            self.draw_texts(paper, x, y);
        }
    }

    fn colour_bar(&self) -> Option<(ColourScale, Value)> {
        (self.settings["showscale"] != false).then(|| (self.scale.clone(), self.settings.clone()))
    }

    fn note(&self) -> Option<String> {
        let (columns, rows) = (self.x.len().saturating_sub(1), self.z.len());
        (columns > MOST_CELLS || rows > MOST_CELLS)
            .then(|| format!("{rows} × {columns} cells, averaged to fit the picture"))
    }
}

/// The edges between `count` cells whose middles, or whose edges, are given.
#[allow(clippy::cast_precision_loss)]
fn edges(places: &[f64], count: usize) -> Vec<f64> {
    if places.len() == count + 1 && count > 0 {
        return places.to_vec();
    }
    if places.len() < count || places.iter().any(|place| !place.is_finite()) {
        return (0..=count).map(|index| index as f64 - 0.5).collect();
    }
    let middles = &places[..count];
    match middles {
        [] => Vec::new(),
        [middle] => vec![middle - 0.5, middle + 0.5],
        [first, second, ..] => {
            let last = middles[count - 1];
            let before_last = middles[count - 2];
            let between = middles.windows(2).map(|pair| (pair[0] + pair[1]) / 2.0);
            [first - (second - first) / 2.0]
                .into_iter()
                .chain(between)
                .chain([last + (last - before_last) / 2.0])
                .collect()
        }
    }
}

fn are_even(edges: &[f64]) -> bool {
    let steps: Vec<f64> = edges.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let first = steps.first().copied().unwrap_or(1.0);
    steps
        .iter()
        .all(|step| (step - first).abs() <= 1e-6 * first.abs())
}

/// The matrix with no more than [`MOST_CELLS`] rows and columns: the means of blocks.
fn averaged(z: &[Vec<f64>]) -> Vec<Vec<f64>> {
    let columns = z.first().map_or(0, Vec::len);
    let (tall, wide) = (z.len().div_ceil(MOST_CELLS), columns.div_ceil(MOST_CELLS));
    if tall <= 1 && wide <= 1 {
        return z.to_vec();
    }
    #[allow(clippy::cast_precision_loss)]
    let mean = |rows: &[Vec<f64>], from: usize| {
        let to = (from + wide).min(columns);
        let (mut sum, mut count) = (0.0, 0_usize);
        for value in rows
            .iter()
            .flat_map(|row| &row[from..to])
            .filter(|value| value.is_finite())
        {
            sum += value;
            count += 1;
        }
        if count == 0 {
            f64::NAN
        } else {
            sum / count as f64
        }
    };
    z.chunks(tall.max(1))
        .map(|rows| {
            (0..columns)
                .step_by(wide.max(1))
                .map(|from| mean(rows, from))
                .collect()
        })
        .collect()
}

/// `%{z}`, `%{z:.2f}` and `%{text}` replaced.
fn fill_in(template: &str, z: f64, text: &Value) -> String {
    let mut out = String::new();
    let mut rest = template;
    while let Some((before, behind)) = rest.split_once("%{") {
        out.push_str(before);
        let Some((name, after)) = behind.split_once('}') else {
            return out;
        };
        match name.split_once(':') {
            Some(("z", format)) => out.push_str(&ticks::formatted(z, format)),
            None if name == "z" => out.push_str(&ticks::short(z)),
            None if name == "text" => {
                let text = data(&Value::Array(vec![text.clone()])).unwrap_or_default();
                if let [crate::display::static_picture::data::Datum::Text(text)] = text.as_slice() {
                    out.push_str(text);
                }
            }
            _ => {}
        }
        rest = after;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn edges_lie_between_the_middles() {
        assert_eq!(edges(&[0.0, 1.0, 2.0], 3), [-0.5, 0.5, 1.5, 2.5]);
        assert_eq!(edges(&[0.0, 2.0, 3.0], 3), [-1.0, 1.0, 2.5, 3.5]);
        assert_eq!(edges(&[0.0, 1.0, 5.0], 2), [0.0, 1.0, 5.0]);
        assert_eq!(edges(&[f64::NAN, 1.0], 2), [-0.5, 0.5, 1.5]);
        assert!(are_even(&edges(&[10.0, 20.0, 30.0], 3)));
    }

    #[test]
    fn templates_are_filled_in() {
        assert_eq!(fill_in("%{z:.1f}!", 0.25, &Value::Null), "0.2!");
        assert_eq!(fill_in("%{text} %{z}", 2.0, &json!("a")), "a 2");
        assert_eq!(fill_in("%{", 2.0, &Value::Null), "");
    }

    #[test]
    fn large_matrices_are_averaged() {
        let z = vec![vec![1.0, 3.0]; 1400];
        let small = averaged(&z);
        assert_eq!((small.len(), small[0].clone()), (700, vec![1.0, 3.0]));
    }
}
