//! Fields to write in.

use super::control::is_a_control;
use super::widget::{Kind, When, Widget, a_text, has_a_description, is_a_widget};
use serde_json::json;

/// A field for one line; see [`text_field`].
#[derive(Clone)]
pub struct TextField {
    widget: Widget,
}

/// A field for several lines; see [`textarea`].
#[derive(Clone)]
pub struct Textarea {
    widget: Widget,
}

static TEXT: Kind = Kind {
    name: "Text",
    library: "controls",
    view: "TextView",
    shows: &["value"],
    accept: a_text,
};
static TEXTAREA: Kind = Kind {
    name: "Textarea",
    library: "controls",
    view: "TextareaView",
    shows: &["value"],
    accept: a_text,
};

/// A field for one line, which counts as changed when the reader presses Enter or leaves it.
///
/// ```
/// use ferrolens::prelude::*;
///
/// let prompt = text_field("When Mary and John").description("prompt");
/// assert_eq!(prompt.value(), "When Mary and John");
/// ```
pub fn text_field(value: impl Into<String>) -> TextField {
    let own = json!({
        "value": value.into(), "placeholder": "", "description": "", "continuous_update": false,
        "disabled": false,
    });
    TextField {
        widget: Widget::new(&TEXT, own),
    }
}

/// A field for several lines, which counts as changed when the reader leaves it.
///
/// ```
/// use ferrolens::prelude::*;
///
/// let prompts = textarea("one\ntwo").rows(4);
/// assert_eq!(prompts.value().lines().count(), 2);
/// ```
pub fn textarea(value: impl Into<String>) -> Textarea {
    let own = json!({
        "value": value.into(), "placeholder": "", "description": "", "continuous_update": false,
        "disabled": false, "rows": null,
    });
    Textarea {
        widget: Widget::new(&TEXTAREA, own),
    }
}

macro_rules! builders {
    ($name:ident) => {
        impl $name {
            /// Pale words that stand in the empty field.
            #[must_use]
            pub fn placeholder(self, text: impl Into<String>) -> Self {
                self.widget.put("placeholder", text.into());
                self
            }

            /// Whether every key that is pressed counts as a change.
            #[must_use]
            pub fn continuous_update(self, continuous: bool) -> Self {
                self.widget.put("continuous_update", continuous);
                self
            }
        }

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
builders!(TextField);
builders!(Textarea);

impl TextField {
    /// Calls `submitted` with the text when the reader presses Enter.
    pub fn on_submit(&self, mut submitted: impl FnMut(String) + Send + 'static) {
        let widget = self.widget.weak();
        self.widget.when(When::Done("submit"), move |_| {
            if let Some(widget) = widget.upgrade() {
                submitted(widget.get("value").as_str().unwrap_or("").to_owned());
            }
        });
    }
}

impl Textarea {
    /// How many lines are in view.
    #[must_use]
    pub fn rows(self, rows: u32) -> Self {
        self.widget.put("rows", rows);
        self
    }
}
