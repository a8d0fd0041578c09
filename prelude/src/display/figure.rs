//! A plotly figure as a notebook output.
//!
//! Front ends take the representation that they like best, so each must be right where it wins:
//!
//! | front end | takes |
//! | --- | --- |
//! | JupyterLab with the `plotly` Python package, VS Code | `application/vnd.plotly.v1+json`: interactive |
//! | JupyterLab without it, `nbconvert --to html`, GitHub | `text/html` |
//! | LaTeX and PDF exports, consoles with graphics | `image/svg+xml` |
//! | a terminal | `text/plain` |
//!
//! `text/html` holds our static picture as an `<img>` with a data address: of all ways to put a
//! picture into a notebook it is the one that is shown everywhere. JupyterLab shows no
//! `image/svg+xml` of a notebook that is not trusted (one that somebody else has run), and
//! sanitisers remove an inline `<svg>`; both keep the `<img>`.
//!
//! Once [`init_plotly`](super::init_plotly) has put the library into the notebook, `text/html`
//! also carries the figure and a script, which replaces the picture where it finds
//! `window.Plotly`. Before that it would only make the notebook larger.

use super::{escape, library, static_picture};
use crate::emit::{self, Bundle, Rich, text};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use plotly::Plot;
use serde_json::Value;

/// What a bundle shows without plotly; nothing where there is no plotly in it.
pub(super) fn picture(bundle: &Bundle) -> Option<Bundle> {
    let mut picture = bundle.clone();
    picture.remove(MIME).map(|_| picture)
}

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
    let picture = static_picture::draw_or_say(&figure);
    stand_titles_off(&mut figure["layout"]);
    let mut bundle = text(description(&figure));
    bundle.insert("text/html".to_owned(), html(&figure, &picture).into());
    bundle.insert("image/svg+xml".to_owned(), picture.into());
    bundle.insert(MIME.to_owned(), figure);
    bundle
}

/// Keeps axis titles clear of long tick labels: without a distance of its own plotly writes the
/// title among them, and its Rust crate has no field for one.
fn stand_titles_off(layout: &mut Value) {
    const PIXELS: u32 = 12;
    for (name, axis) in layout.as_object_mut().into_iter().flatten() {
        let is_axis = name.starts_with("xaxis") || name.starts_with("yaxis");
        if is_axis
            && axis["automargin"] == true
            && let Some(title) = axis.get_mut("title").and_then(Value::as_object_mut)
        {
            title.entry("standoff").or_insert_with(|| PIXELS.into());
        }
    }
}

fn html(figure: &Value, picture: &str) -> String {
    let id = emit::display_id();
    let label = escape::html(&description(figure));
    let picture = STANDARD.encode(picture);
    let image = format!(
        "<div id=\"{id}\" style=\"max-width:100%;overflow-x:auto\">\
         <img alt=\"{label}\" src=\"data:image/svg+xml;base64,{picture}\" style=\"max-width:100%\">\
         </div>"
    );
    if library::is_there() {
        format!("{image}\n{}", script(figure, &id))
    } else {
        image
    }
}

/// Replaces the picture in the element `id` by the interactive figure.
fn script(figure: &Value, id: &str) -> String {
    let json = escape::script(&figure.to_string());
    // The library may be evaluated after the plot: JupyterLab draws cells as they come into view.
    format!(
        "<script>(function(){{var figure={json};var tries=0;function draw(){{\
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
    let kinds = if kinds.is_empty() {
        String::new()
    } else {
        format!(": {}", kinds.join(", "))
    };
    format!("Plot{title} of {} trace{plural}{kinds}", traces.len())
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
        assert_eq!(kinds, [MIME, "image/svg+xml", "text/html", "text/plain"]);
        let html = bundle["text/html"].as_str().expect("html");
        assert!(html.contains("<img") && !html.contains("<script"));
        assert_eq!(bundle["text/plain"], "Plot \"Strength\" of 1 trace: bar");
        assert_eq!(bundle[MIME]["data"][0]["y"][0], 1.5);
        assert!(bundle[MIME].get("frames").is_none());
    }

    #[test]
    fn titles_keep_clear_of_labels_unless_the_figure_says_otherwise() {
        let mut layout = serde_json::json!({
            "xaxis": {"automargin": true, "title": {"text": "token"}},
            "xaxis2": {"automargin": true, "title": {"text": "token", "standoff": 3}},
            "yaxis": {"title": {"text": "nats"}},
            "yaxis2": {"automargin": true},
        });
        let given = layout.clone();
        stand_titles_off(&mut layout);
        assert_eq!(layout["xaxis"]["title"]["standoff"], 12);
        for untouched in ["xaxis2", "yaxis", "yaxis2"] {
            assert_eq!(layout[untouched], given[untouched]);
        }
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
