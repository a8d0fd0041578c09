//! Figures of a notebook, in a page that draws them.

use super::widgets::Widgets;
use serde_json::{Map, Value};

/// plotly's own type.
const MIME: &str = "application/vnd.plotly.v1+json";

/// What marks a figure's place in the page.
const CLASS: &str = "ferrolens-figure";

/// Draws every figure of the page in the place of its picture.
const DRAW: &str = r#"<script>
for (const place of document.querySelectorAll(".ferrolens-figure")) {
  const figure = JSON.parse(place.querySelector("script").textContent);
  const room = document.createElement("div");
  place.replaceWith(room);
  Plotly.newPlot(room, figure.data, figure.layout, Object.assign({responsive: true}, figure.config))
    .then(() => figure.frames && Plotly.addFrames(room, figure.frames));
}
</script>
"#;

/// What a notebook has of figures.
#[derive(Debug, Default)]
pub(super) struct Figures {
    pub(super) count: usize,
    pub(super) unexecuted: bool,
}

impl Figures {
    /// Gives every figure of the notebook a place for the page; nothing where this is no notebook.
    pub(super) fn prepare(notebook: &mut Value) -> Option<Self> {
        let widgets = Widgets::of(notebook);
        let cells = notebook.get_mut("cells")?.as_array_mut()?;
        let mut found = Self {
            unexecuted: cells.iter().any(|cell| cell["cell_type"] == "code"),
            ..Self::default()
        };
        for cell in cells {
            let Some(outputs) = cell.get_mut("outputs").and_then(Value::as_array_mut) else {
                continue;
            };
            found.unexecuted &= outputs.is_empty();
            outputs.retain(|output| !is_library(output));
            for output in outputs {
                let Some(data) = output.get_mut("data").and_then(Value::as_object_mut) else {
                    continue;
                };
                widgets.place(data, &mut found.count);
                if place(data) {
                    found.count += 1;
                }
            }
        }
        Widgets::forget_unused(notebook);
        Some(found)
    }

    /// The page with the plotting library, and the call that draws.
    pub(super) fn finish(&self, page: String) -> String {
        if self.count == 0 {
            return page;
        }
        let Some(end) = page.rfind("</body>") else {
            return page;
        };
        let (page, rest) = page.split_at(end);
        [page, library(), DRAW, rest].concat()
    }
}

/// The figure in the representation that a page takes, in front of the picture that the notebook has; false where
/// there is no figure.
pub(super) fn place(data: &mut Map<String, Value>) -> bool {
    let Some(figure) = data.remove(MIME) else {
        return false;
    };
    let html = data.get("text/html").map(text).unwrap_or_default();
    let picture = image(&html);
    // No `</script>` in a title ends the element.
    let json = figure.to_string().replace('<', "\\u003c");
    let html = format!(
        "<div class=\"{CLASS}\"><script type=\"application/json\">{json}</script>{picture}</div>"
    );
    data.insert("text/html".to_owned(), html.into());
    true
}

/// The `<img>` of a figure, without the script that draws it where its notebook holds the library.
fn image(html: &str) -> &str {
    html.find("<img")
        .and_then(|start| {
            let end = html[start..].find('>')?;
            Some(&html[start..=start + end])
        })
        .unwrap_or_default()
}

/// Whether an output is the library itself, which a page gets once and at its end.
fn is_library(output: &Value) -> bool {
    let html = &output["data"]["text/html"];
    !html.is_null() && output["data"]["text/plain"] == "[plotly.js, for the plots below]"
}

/// A text in a notebook is one string or a list of lines.
pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Array(lines) => lines.iter().filter_map(Value::as_str).collect(),
        other => other.as_str().unwrap_or_default().to_owned(),
    }
}

/// plotly.js as a script element. What the crate offers goes on with MathJax, which pages have.
fn library() -> &'static str {
    use std::sync::LazyLock;
    static LIBRARY: LazyLock<String> = LazyLock::new(|| {
        let mut sources = plotly::Plot::offline_js_sources();
        if let Some(end) = sources.find("</script>") {
            sources.truncate(end + "</script>".len());
        }
        sources
    });
    &LIBRARY
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn notebook(outputs: Value) -> Value {
        json!({"cells": [{"cell_type": "markdown", "source": "text"}, {"cell_type": "code", "outputs": outputs}]})
    }

    #[test]
    fn a_figure_gets_its_place_and_keeps_its_picture() {
        let figure = json!({"data": [{"x": ["</script>"]}], "layout": {}});
        let html = json!([
            "<div id=\"a\"><img alt=\"Plot\" ",
            "src=\"data:x\"></div>\n<script>old</script>"
        ]);
        let mut notebook = notebook(json!([
            {"data": {"text/html": "<script>plotly</script>", "text/plain": "[plotly.js, for the plots below]"}},
            {"data": {MIME: figure, "text/html": html}},
            {"data": {"text/html": "<table>"}},
        ]));
        let figures = Figures::prepare(&mut notebook).expect("a notebook");
        assert_eq!((figures.count, figures.unexecuted), (1, false));
        let outputs = notebook["cells"][1]["outputs"].as_array().expect("outputs");
        assert_eq!(outputs.len(), 2, "the library is not a figure: {outputs:?}");
        let html = outputs[0]["data"]["text/html"].as_str().expect("html");
        assert!(
            html.contains("<img alt=\"Plot\" src=\"data:x\"></div>"),
            "{html}"
        );
        assert!(
            !html.contains("old") && html.matches("</script>").count() == 1,
            "{html}"
        );
        assert!(outputs[0]["data"].get(MIME).is_none());
        assert_eq!(outputs[1]["data"]["text/html"], "<table>");

        let page = figures.finish("<html><body>x</body></html>".to_owned());
        assert!(
            page.starts_with("<html><body>x<script") && page.ends_with("</script>\n</body></html>")
        );
        assert_eq!(page.matches("<script").count(), 2);
        assert!(page.contains("plotly.js v3") && page.contains(&format!(".{CLASS}")));
    }

    #[test]
    fn a_page_without_figures_gets_no_library() {
        let mut notebook = notebook(json!([]));
        let figures = Figures::prepare(&mut notebook).expect("a notebook");
        assert!(figures.unexecuted);
        assert_eq!(figures.finish("<body></body>".to_owned()), "<body></body>");
        assert!(Figures::prepare(&mut json!({"worksheets": []})).is_none());
    }
}
