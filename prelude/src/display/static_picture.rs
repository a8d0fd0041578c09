//! A plotly figure as a picture that needs no script: for pages, exports and GitHub.
//!
//! It reads the same JSON as plotly.js and draws what this field plots: scatter, bars, histograms,
//! heat maps and boxes, on linear, log and category axes, in subplots, with colour bars, legends,
//! annotations and shapes. What it does not know it names in the picture. It follows plotly.js's
//! defaults (colours, gaps, bins, tick formats) so that the picture and the interactive figure look
//! alike; it does not promise the same pixels.

mod annotations;
mod axis;
mod colour;
mod colour_bar;
mod colour_scale;
mod data;
mod frame;
mod label;
mod legend;
mod marks;
mod paper;
mod png;
mod sheet;
mod ticks;

use colour::Colour;
use label::Label;
use marks::Trace;
use paper::{Anchor, Paper, TextStyle};
use serde_json::Value;
use sheet::Sheet;

pub(super) use ticks::nice_step;

/// plotly's size of a figure that names none.
const DEFAULT_SIZE: (f64, f64) = (700.0, 450.0);

/// [`draw`], or a picture that says that it failed: no figure is lost for its picture. A panic is
/// then on stderr, where panics that a cell survives are told.
pub(super) fn draw_or_say(figure: &Value) -> String {
    let drawn = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| draw(figure)));
    drawn.unwrap_or_else(|_| could_not_draw())
}

fn could_not_draw() -> String {
    let (width, height) = DEFAULT_SIZE;
    let mut paper = Paper::new(width, height, Colour::WHITE);
    let text = "This figure has no picture.<br>Open the notebook in JupyterLab to see it.";
    paper.text(
        (width / 2.0, height / 2.0),
        &Label::new(text),
        TextStyle::default(),
    );
    paper.finish("A figure without a picture")
}

/// Draws the figure `{"data": […], "layout": {…}}` as SVG.
fn draw(figure: &Value) -> String {
    let layout = with_template(&figure["layout"]);
    let (width, height) = size(&layout);
    let shown: Vec<Trace> = figure["data"]
        .as_array()
        .map_or(&[][..], Vec::as_slice)
        .iter()
        .enumerate()
        .filter_map(|(index, json)| Trace::new(json, index, &layout))
        .collect();
    let mut notes: Vec<String> = shown
        .iter()
        .filter(|trace| !trace.is_known())
        .map(|trace| marks::unknown(trace.kind))
        .collect();
    notes.dedup();
    let known: Vec<Trace> = shown.into_iter().filter(Trace::is_known).collect();
    let background = Colour::read(&layout["paper_bgcolor"]).unwrap_or(Colour::WHITE);
    let mut paper = Paper::new(width, height, background);
    let title = data::title(&layout["title"]);
    if known.is_empty() {
        let text = if notes.is_empty() {
            "An empty plot".to_owned()
        } else {
            notes.join("<br>")
        };
        paper.text(
            (width / 2.0, height / 2.0),
            &Label::new(&text),
            TextStyle::default(),
        );
        draw_title(&mut paper, &layout, width);
        return paper.finish(title);
    }
    let sheet = Sheet::new(&known, &layout, width, height);
    sheet.draw(&mut paper);
    draw_title(&mut paper, &layout, width);
    notes.extend(sheet.notes());
    let moves = |part: &Value| part.as_array().is_some_and(|entries| !entries.is_empty());
    if moves(&layout["sliders"]) || moves(&layout["updatemenus"]) || moves(&figure["frames"]) {
        notes.push("sliders, buttons and animations work in JupyterLab".to_owned());
    }
    if !notes.is_empty() {
        let label = Label {
            lines: vec![notes.join("; ")],
            bold: false,
        };
        let style = TextStyle {
            size: 10.0,
            anchor: Anchor::End,
            ..TextStyle::default()
        };
        paper.text((width - 6.0, height - 8.0), &label, style);
    }
    paper.finish(title)
}

fn size(layout: &Value) -> (f64, f64) {
    let side = |name: &str, default: f64| {
        layout[name]
            .as_f64()
            .filter(|side| *side >= 10.0)
            .unwrap_or(default)
            .min(4000.0)
    };
    (
        side("width", DEFAULT_SIZE.0),
        side("height", DEFAULT_SIZE.1),
    )
}

fn draw_title(paper: &mut Paper, layout: &Value, width: f64) {
    let settings = &layout["title"];
    let label = Label::new(data::title(settings));
    let x = settings["x"].as_f64().unwrap_or(0.5);
    let anchor = if x < 1.0 / 3.0 {
        Anchor::Start
    } else if x > 2.0 / 3.0 {
        Anchor::End
    } else {
        Anchor::Middle
    };
    let style = TextStyle {
        anchor,
        ..frame::title_style(layout)
    };
    let height = frame::lines_height(&label, style.size);
    paper.text((x * width, 14.0 + height / 2.0), &label, style);
}

/// The layout over its template's layout: what the figure says comes first.
fn with_template(layout: &Value) -> Value {
    let mut merged = layout["template"]["layout"].clone();
    merge(&mut merged, layout);
    // A template speaks of `xaxis` for every x axis.
    if let Some(parts) = merged.as_object().cloned() {
        for (name, own) in &parts {
            for letter in ["xaxis", "yaxis"] {
                let is_further = name
                    .strip_prefix(letter)
                    .is_some_and(|number| !number.is_empty());
                if is_further {
                    let mut axis = layout["template"]["layout"][letter].clone();
                    merge(&mut axis, own);
                    merged[name] = axis;
                }
            }
        }
    }
    merged
}

fn merge(under: &mut Value, over: &Value) {
    match (under, over) {
        (Value::Object(under), Value::Object(over)) => {
            for (name, value) in over {
                merge(under.entry(name).or_insert(Value::Null), value);
            }
        }
        (_, Value::Null) => {}
        (under, over) => *under = over.clone(),
    }
}

#[cfg(test)]
mod tests;
