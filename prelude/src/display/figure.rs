//! A plotly figure as a notebook output.
//!
//! Front ends take the representation that they like best, so each must be right where it wins:
//!
//! | front end | takes |
//! | --- | --- |
//! | JupyterLab with the `plotly` Python package, VS Code | `application/vnd.plotly.v1+json`: interactive |
//! | JupyterLab without it, GitHub, LaTeX and PDF exports | `image/svg+xml`: our static picture |
//! | `nbconvert --to html` | `text/html` where there is one, else `image/svg+xml` |
//! | a terminal | `text/plain` |
//!
//! `text/html` beats the picture nearly everywhere, and can draw only where the notebook holds the
//! library: so it is sent only once [`init_plotly`](super::init_plotly) has put it there. Inside,
//! the picture stands as an `<img>` (sanitisers remove an inline `<svg>`, and scripts), which the
//! script replaces when it finds `window.Plotly`. A notebook thus stays small, shows something
//! wherever it is opened, and a plot whose library was cleared is still a picture.

use super::{escape, handle, library, static_picture};
use crate::emit::{Bundle, Rich, text};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use plotly::Plot;
use serde_json::Value;

/// The MIME type of a plotly figure.
pub(super) const MIME: &str = "application/vnd.plotly.v1+json";

impl Rich for Plot {
    fn bundle(&self) -> Bundle {
        match serde_json::to_value(self) {
            Ok(figure) => bundle(figure),
            Err(error) => text(format!("this plot cannot be written as JSON: {error}")),
        }
    }

    fn prepare(&self) {
        library::prepare();
    }
}

/// Every representation of the figure `{"data": […], "layout": {…}, "config": {…}}`.
pub(super) fn bundle(mut figure: Value) -> Bundle {
    // plotly's crate writes `"frames": null`.
    if let Some(parts) = figure.as_object_mut() {
        parts.retain(|_, part| !part.is_null());
    }
    let picture = static_picture::draw(&figure);
    let mut bundle = text(description(&figure));
    if library::is_there() {
        bundle.insert("text/html".to_owned(), html(&figure, &picture).into());
    }
    bundle.insert("image/svg+xml".to_owned(), picture.into());
    bundle.insert(MIME.to_owned(), figure);
    bundle
}

fn html(figure: &Value, picture: &str) -> String {
    let id = handle::new_id();
    let json = escape::script(&figure.to_string());
    let picture = STANDARD.encode(picture);
    let label = escape::html(&description(figure));
    // The library may be evaluated after the plot: JupyterLab draws cells as they come into view.
    format!(
        "<div id=\"{id}\" style=\"max-width:100%\">\
         <img alt=\"{label}\" src=\"data:image/svg+xml;base64,{picture}\" style=\"max-width:100%\">\
         </div>\n\
         <script>(function(){{var figure={json};var tries=0;function draw(){{\
         var place=document.getElementById(\"{id}\");\
         if(window.Plotly&&place){{place.textContent=\"\";\
         window.Plotly.newPlot(place,figure.data,figure.layout,\
         Object.assign({{responsive:true}},figure.config))\
         .then(function(){{if(figure.frames)window.Plotly.addFrames(place,figure.frames);}});}}\
         else if(tries++<50)setTimeout(draw,200);}}draw();}})();</script>"
    )
}

/// One line of text: `Plot "Loss" of 2 traces: scatter, bar`.
fn description(figure: &Value) -> String {
    let traces = figure["data"].as_array().map_or(&[][..], Vec::as_slice);
    let mut kinds: Vec<&str> = traces
        .iter()
        .map(|trace| trace["type"].as_str().unwrap_or("scatter"))
        .collect();
    kinds.dedup();
    let title = &figure["layout"]["title"];
    let title = title["text"]
        .as_str()
        .or(title.as_str())
        .unwrap_or_default();
    let title = if title.is_empty() {
        String::new()
    } else {
        format!(" {title:?}")
    };
    let plural = if traces.len() == 1 { "" } else { "s" };
    format!(
        "Plot{title} of {} trace{plural}: {}",
        traces.len(),
        kinds.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use plotly::{Bar, Layout};

    fn plot() -> Plot {
        let mut plot = Plot::new();
        plot.add_trace(Bar::new(vec!["</script><b>"], vec![1.5]));
        plot.set_layout(Layout::new().title("Strength"));
        plot
    }

    #[test]
    fn without_the_library_the_picture_is_what_pages_show() {
        let _turn = library::tests::TURN.lock();
        library::output_was_cleared();
        let bundle = plot().bundle();
        let kinds: Vec<&str> = bundle.keys().map(String::as_str).collect();
        assert_eq!(kinds, [MIME, "image/svg+xml", "text/plain"]);
        assert_eq!(bundle["text/plain"], "Plot \"Strength\" of 1 trace: bar");
        assert_eq!(bundle[MIME]["data"][0]["y"][0], 1.5);
        assert!(bundle[MIME].get("frames").is_none());
    }

    #[test]
    fn with_the_library_a_page_draws_and_nothing_escapes_from_the_script() {
        let _turn = library::tests::TURN.lock();
        let (bundle, _) = crate::emit::fake::with_host(|| {
            super::super::init_plotly();
            let bundle = plot().bundle();
            library::output_was_cleared();
            bundle
        });
        let html = bundle["text/html"].as_str().expect("html");
        assert_eq!(html.matches("</script>").count(), 1);
        assert!(html.contains("\\u003c/script>\\u003cb>") && html.contains("window.Plotly"));
        assert!(html.contains("<img") && !html.contains("<svg"));
    }
}
