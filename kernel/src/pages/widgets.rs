//! Widgets of a notebook, as they were when it was saved, in a page that has no kernel to move them.

use super::figures;
use crate::session::escaped;
use serde_json::{Map, Value};

/// What an output has where a widget stands.
const VIEW: &str = "application/vnd.jupyter.widget-view+json";
/// What a notebook's metadata has of its widgets.
const STATE: &str = "application/vnd.jupyter.widget-state+json";
/// More than any output has, each in the other and in all, so that boxes in themselves come to an end.
const DEEPEST: usize = 30;
const MOST: usize = 10_000;

const NOTE: &str =
    "<small style=\"opacity:.6\">as it was last; run the notebook to move it</small>";

/// The widgets that a notebook was saved with.
#[derive(Debug, Default)]
pub(super) struct Widgets {
    models: Map<String, Value>,
}

impl Widgets {
    pub(super) fn of(notebook: &Value) -> Self {
        let models = notebook["metadata"]["widgets"][STATE]["state"].as_object();
        Self {
            models: models.cloned().unwrap_or_default(),
        }
    }

    /// Takes what it has of widgets out of a notebook that shows none of them: a page would get the library of
    /// widgets from a server for it.
    pub(super) fn forget_unused(notebook: &mut Value) {
        let cells = notebook["cells"].as_array().into_iter().flatten();
        let mut outputs = cells
            .filter_map(|cell| cell["outputs"].as_array())
            .flatten();
        if !outputs.any(|output| output["data"].get(VIEW).is_some())
            && let Some(metadata) = notebook["metadata"].as_object_mut()
        {
            metadata.remove("widgets");
        }
    }

    /// Puts what a widget showed in its place, where all of it is known; what it shows of figures is counted.
    pub(super) fn place(&self, data: &mut Map<String, Value>, figures: &mut usize) {
        let Some(id) = data.get(VIEW).and_then(|view| view["model_id"].as_str()) else {
            return;
        };
        let mut drawing = Drawing {
            widgets: self,
            figures: 0,
            can_be_moved: false,
            drawn: 0,
        };
        let Some(html) = drawing.widget(id, 0) else {
            return;
        };
        *figures += drawing.figures;
        let note = if drawing.can_be_moved { NOTE } else { "" };
        data.remove(VIEW);
        data.insert(
            "text/html".to_owned(),
            format!("<div class=\"ferrolens-widget\">{html}{note}</div>").into(),
        );
    }
}

struct Drawing<'a> {
    widgets: &'a Widgets,
    figures: usize,
    can_be_moved: bool,
    drawn: usize,
}

impl Drawing<'_> {
    /// Nothing where it is of a kind that is not known here, or not in the notebook.
    fn widget(&mut self, id: &str, depth: usize) -> Option<String> {
        let state = &self.widgets.models.get(id)?["state"];
        self.drawn += 1;
        if depth > DEEPEST || self.drawn > MOST {
            return None;
        }
        let layout = self.reference(&state["layout"]);
        if layout.is_some_and(|layout| layout["state"]["display"] == "none") {
            return Some(String::new());
        }
        let kind = state["_model_name"].as_str()?.strip_suffix("Model")?;
        Some(match kind {
            "HBox" => row(&self.children(state, depth)?, "row"),
            "VBox" | "Box" | "GridBox" => row(&self.children(state, depth)?, "column"),
            "Tab" | "Accordion" => self.pages(state, depth)?,
            "Output" => self.outputs(state["outputs"].as_array().map_or(&[], Vec::as_slice)),
            "HTML" | "HTMLMath" => described(state, text(&state["value"])),
            "Label" => described(state, &escaped(text(&state["value"]))),
            "IntProgress" | "FloatProgress" => {
                let (from, to) = (number(&state["min"]), number(&state["max"]));
                let value = number(&state["value"]) - from;
                let bar = format!(
                    "<progress max=\"{}\" value=\"{value}\"></progress>",
                    to - from
                );
                described(state, &bar)
            }
            _ => {
                self.can_be_moved = true;
                described(state, &control(kind, state)?)
            }
        })
    }

    /// The model that a state refers to.
    fn reference(&self, value: &Value) -> Option<&Value> {
        let id = value.as_str()?.strip_prefix("IPY_MODEL_")?;
        self.widgets.models.get(id)
    }

    fn children(&mut self, state: &Value, depth: usize) -> Option<Vec<String>> {
        let children = state["children"].as_array().map_or(&[][..], Vec::as_slice);
        let id = |child: &Value| Some(child.as_str()?.strip_prefix("IPY_MODEL_")?.to_owned());
        children
            .iter()
            .map(|child| self.widget(&id(child)?, depth + 1))
            .collect()
    }

    /// The pages of a tab or an accordion, of which the chosen one is open.
    fn pages(&mut self, state: &Value, depth: usize) -> Option<String> {
        let children = self.children(state, depth)?;
        let pages = children.iter().enumerate().map(|(at, child)| {
            let title = match state["titles"][at].as_str() {
                Some(title) if !title.is_empty() => escaped(title),
                _ => (at + 1).to_string(),
            };
            let open = match state["selected_index"].as_u64() == Some(at as u64) {
                true => " open",
                false => "",
            };
            format!("<details{open}><summary>{title}</summary>{child}</details>")
        });
        Some(pages.collect())
    }

    /// What a cell, or a callback, has given.
    fn outputs(&mut self, outputs: &[Value]) -> String {
        outputs.iter().map(|output| self.output(output)).collect()
    }

    fn output(&mut self, output: &Value) -> String {
        let lines = |lines: &Value| preformatted(&figures::text(lines));
        match output["output_type"].as_str() {
            Some("stream") => return lines(&output["text"]),
            Some("error") => {
                let traceback = output["traceback"].as_array();
                let traceback = traceback.into_iter().flatten().map(text);
                return preformatted(&traceback.collect::<Vec<_>>().join("\n"));
            }
            _ => {}
        }
        let Some(mut data) = output["data"].as_object().cloned() else {
            return String::new();
        };
        if figures::place(&mut data) {
            self.figures += 1;
        }
        for kind in ["text/html", "image/svg+xml"] {
            if let Some(html) = data.get(kind) {
                return figures::text(html);
            }
        }
        for kind in ["image/png", "image/jpeg"] {
            if let Some(bytes) = data.get(kind) {
                let bytes = figures::text(bytes).replace(char::is_whitespace, "");
                return format!("<img src=\"data:{kind};base64,{bytes}\">");
            }
        }
        let plain = data.get("text/markdown").or(data.get("text/plain"));
        plain.map(lines).unwrap_or_default()
    }
}

/// Children below or beside each other.
fn row(children: &[String], direction: &str) -> String {
    format!(
        "<div style=\"display:flex;flex-direction:{direction};flex-wrap:wrap;gap:6px\">{}</div>",
        children.concat()
    )
}

/// A control that a reader could move where there is a kernel.
fn control(kind: &str, state: &Value) -> Option<String> {
    let value = &state["value"];
    let labels = state["_options_labels"].as_array();
    let labels: Vec<String> = labels
        .into_iter()
        .flatten()
        .map(|label| escaped(text(label)))
        .collect();
    let index = state["index"].as_u64().map(|index| index as usize);
    let chosen = index
        .and_then(|index| labels.get(index))
        .map_or("", String::as_str);
    let slider = |from: f64, to: f64, step: &str, at: f64, shown: &str| {
        format!(
            "<input type=\"range\" disabled min=\"{from}\" max=\"{to}\" step=\"{step}\" value=\"{at}\"> {shown}"
        )
    };
    Some(match kind {
        "IntSlider" | "FloatSlider" => slider(
            number(&state["min"]),
            number(&state["max"]),
            "any",
            number(value),
            &formatted(value, state),
        ),
        "FloatLogSlider" => {
            let base = state["base"].as_f64().unwrap_or(10.);
            slider(
                number(&state["min"]),
                number(&state["max"]),
                "any",
                number(value).log(base),
                &formatted(value, state),
            )
        }
        "SelectionSlider" => slider(
            0.,
            labels.len().saturating_sub(1) as f64,
            "1",
            index.unwrap_or(0) as f64,
            chosen,
        ),
        "Dropdown" | "Select" => {
            format!("<select disabled><option>{chosen}</option></select>")
        }
        "ToggleButtons" | "RadioButtons" => {
            let button = |(at, label): (usize, &String)| match Some(at) == index {
                true => format!("<button disabled><b>{label}</b></button>"),
                false => format!("<button disabled>{label}</button>"),
            };
            labels.iter().enumerate().map(button).collect()
        }
        "Checkbox" | "ToggleButton" => {
            let checked = if value == true { " checked" } else { "" };
            format!("<input type=\"checkbox\" disabled{checked}>")
        }
        "Text" => format!("<input disabled value=\"{}\">", escaped(text(value))),
        "IntText" | "FloatText" | "BoundedIntText" | "BoundedFloatText" => {
            format!("<input disabled value=\"{}\">", number(value))
        }
        "Textarea" => format!("<textarea disabled>{}</textarea>", escaped(text(value))),
        // Its text is its description.
        "Button" => String::new(),
        _ => return None,
    })
}

/// A widget behind what it is called; a button is called by its face.
fn described(state: &Value, html: &str) -> String {
    let description = escaped(text(&state["description"]));
    if state["_model_name"] == "ButtonModel" {
        return format!("<button disabled>{description}</button>");
    }
    let name = match description.is_empty() {
        true => String::new(),
        false => format!("<span>{description}</span> "),
    };
    format!("<div>{name}{html}</div>")
}

/// A slider's number as its read-out has it: `.2f`, or as it is.
fn formatted(value: &Value, state: &Value) -> String {
    if state["readout"] == false {
        return String::new();
    }
    let format = text(&state["readout_format"]);
    let places = format
        .strip_prefix('.')
        .and_then(|rest| rest.strip_suffix('f'));
    match places.and_then(|places| places.parse::<usize>().ok()) {
        Some(places) => format!("{:.*}", places.min(17), number(value)),
        None => number(value).to_string(),
    }
}

/// Text of a terminal, without its colours.
fn preformatted(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("\u{1b}[") {
        plain.push_str(&rest[..start]);
        let behind = &rest[start + 2..];
        let end = behind.find(|c: char| c.is_ascii_alphabetic());
        rest = end.map_or("", |end| &behind[end + 1..]);
    }
    plain.push_str(rest);
    format!("<pre>{}</pre>", escaped(&plain))
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_default()
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn shown(models: Value, id: &str) -> (Option<String>, usize) {
        let notebook = json!({"metadata": {"widgets": {STATE: {"state": models}}}});
        let mut data = Map::new();
        data.insert(VIEW.to_owned(), json!({"model_id": id}));
        let mut figures = 0;
        Widgets::of(&notebook).place(&mut data, &mut figures);
        let html = data.get("text/html").map(|html| text(html).to_owned());
        assert_eq!(html.is_some(), !data.contains_key(VIEW));
        (html, figures)
    }

    fn model(kind: &str, mut state: Value) -> Value {
        state["_model_name"] = format!("{kind}Model").into();
        json!({"state": state})
    }

    #[test]
    fn a_slider_and_what_it_showed_stand_in_their_box() {
        let models = json!({
            "box": model("VBox", json!({"children": ["IPY_MODEL_slider", "IPY_MODEL_output"]})),
            "slider": model("IntSlider", json!({"min": 0, "max": 9, "value": 3, "description": "la<yer"})),
            "output": model("Output", json!({"outputs": [
                {"output_type": "stream", "text": ["\u{1b}[1;31mred\u{1b}[0m ", "& plain"]},
                {"output_type": "display_data", "data": {"text/html": "<b>table</b>", "text/plain": "table"}},
                {"output_type": "display_data", "data": {"application/vnd.plotly.v1+json": {"data": []}}},
                {"output_type": "display_data", "data": {"image/png": "QUJD\n"}},
                {"output_type": "error", "traceback": ["one", "two"]},
            ]})),
        });
        let (html, figures) = shown(models, "box");
        let html = html.expect("every widget is known");
        assert_eq!(figures, 1);
        for part in [
            "la&lt;yer",
            "max=\"9\"",
            "value=\"3\"",
            "<pre>red &amp; plain</pre>",
            "<b>table</b>",
            "ferrolens-figure",
            "base64,QUJD\"",
            "one\ntwo",
            NOTE,
        ] {
            assert!(html.contains(part), "{part} is not in {html}");
        }
    }

    #[test]
    fn every_kind_of_widget_that_rust_can_make_is_known() {
        let of_options = json!({"_options_labels": ["one", "two"], "index": 1});
        for (kind, state, part) in [
            (
                "FloatSlider",
                json!({"value": 0.5, "readout_format": ".3f"}),
                "0.500",
            ),
            (
                "FloatLogSlider",
                json!({"value": 100.0, "base": 10.0, "max": 4.0}),
                "value=\"2\"",
            ),
            ("SelectionSlider", of_options.clone(), "two"),
            ("Dropdown", of_options.clone(), "<option>two</option>"),
            ("ToggleButtons", of_options, "<b>two</b>"),
            ("Checkbox", json!({"value": true}), "checked"),
            ("Text", json!({"value": "a\"b"}), "a&quot;b"),
            ("Textarea", json!({"value": "<x>"}), "&lt;x&gt;"),
            (
                "Button",
                json!({"description": "Go"}),
                "<button disabled>Go",
            ),
            (
                "IntProgress",
                json!({"min": 2, "max": 6, "value": 3}),
                "max=\"4\" value=\"1\"",
            ),
            (
                "FloatProgress",
                json!({"max": 1.0, "value": 0.5}),
                "value=\"0.5\"",
            ),
            ("Label", json!({"value": "<i>"}), "&lt;i&gt;"),
            ("HTML", json!({"value": "<i>x</i>"}), "<i>x</i>"),
            ("HBox", json!({"children": []}), "row"),
            ("Tab", json!({"children": []}), "ferrolens-widget"),
            ("Accordion", json!({"children": []}), "ferrolens-widget"),
        ] {
            let (html, _) = shown(json!({"it": model(kind, state)}), "it");
            let html = html.unwrap_or_else(|| panic!("{kind} is not known"));
            assert!(html.contains(part), "{kind}: {html}");
        }
    }

    #[test]
    fn what_is_not_known_stays_as_it_is() {
        let inside = json!({
            "box": model("HBox", json!({"children": ["IPY_MODEL_other"]})),
            "other": model("Map3D", json!({})),
        });
        assert_eq!(shown(inside, "box"), (None, 0));
        assert_eq!(shown(json!({}), "nowhere"), (None, 0));
        let round = json!({"box": model("HBox", json!({"children": ["IPY_MODEL_box"]}))});
        assert_eq!(shown(round, "box"), (None, 0));
        let twice: Map<String, Value> = (0..DEEPEST)
            .map(|at| {
                let inner = format!("IPY_MODEL_{}", at + 1);
                let state = json!({"children": [&inner, &inner]});
                (at.to_string(), model("VBox", state))
            })
            .chain([(DEEPEST.to_string(), model("Label", json!({})))])
            .collect();
        assert_eq!(shown(twice.into(), "0"), (None, 0));
    }

    #[test]
    fn the_chosen_page_is_open_and_what_is_hidden_is_not_there() {
        let models = json!({
            "tab": model("Tab", json!({"children": ["IPY_MODEL_a", "IPY_MODEL_b"], "titles": ["first"], "selected_index": 1})),
            "a": model("Label", json!({"value": "unseen", "layout": "IPY_MODEL_gone"})),
            "b": model("Label", json!({"value": "there"})),
            "gone": model("Layout", json!({"display": "none"})),
        });
        let html = shown(models, "tab").0.expect("html");
        assert!(html.contains("<details><summary>first"), "{html}");
        assert!(html.contains("<details open><summary>2"), "{html}");
        assert!(html.contains("there") && !html.contains("unseen"), "{html}");
    }
}
