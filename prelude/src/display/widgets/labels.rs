//! Words that change where they stand.

use super::control::is_a_control;
use super::widget::{Kind, Widget, a_text, has_a_description, is_a_widget};
use serde_json::json;

/// Plain words; see [`label`].
#[derive(Clone)]
pub struct Label {
    widget: Widget,
}

/// HTML; see [`html`].
#[derive(Clone)]
pub struct Html {
    widget: Widget,
}

static LABEL: Kind = Kind {
    name: "Label",
    library: "controls",
    view: "LabelView",
    shows: &["value"],
    accept: a_text,
};
static HTML: Kind = Kind {
    name: "HTML",
    library: "controls",
    view: "HTMLView",
    shows: &["value"],
    accept: a_text,
};

/// Words that can be changed with [`Control::set`](super::Control::set).
///
/// ```
/// use ferrolens::prelude::*;
///
/// let status = label("loading");
/// status.set("done".to_owned());
/// ```
pub fn label(text: impl Into<String>) -> Label {
    Label {
        widget: Widget::new(&LABEL, own(text.into())),
    }
}

/// HTML that can be changed with [`Control::set`](super::Control::set). To show HTML once,
/// [`Html`](crate::display::Html) is enough.
///
/// ```
/// use ferrolens::prelude::*;
///
/// let verdict = html("<b>positive</b>");
/// assert_eq!(verdict.value(), "<b>positive</b>");
/// ```
pub fn html(html: impl Into<String>) -> Html {
    Html {
        widget: Widget::new(&HTML, own(html.into())),
    }
}

fn own(value: String) -> serde_json::Value {
    json!({"value": value, "placeholder": "", "description": ""})
}

macro_rules! words {
    ($name:ident) => {
        is_a_widget!($name);
        has_a_description!($name);
        is_a_control!(
            $name,
            "value",
            String,
            |_own, json| json.as_str().unwrap_or("").to_owned(),
            |_me, new| Some(new),
            |_weak| |widget| Self { widget }
        );
    };
}
words!(Label);
words!(Html);
