//! A button.

use super::widget::{Kind, When, Widget, anything, has_a_description, is_a_widget};
use serde_json::json;

/// A button; see [`button`].
#[derive(Clone)]
pub struct Button {
    widget: Widget,
}

static BUTTON: Kind = Kind {
    name: "Button",
    library: "controls",
    view: "ButtonView",
    shows: &["description"],
    accept: anything,
};

/// A button with these words.
///
/// ```
/// use ferrolens::prelude::*;
///
/// let (again, place) = (button("sample again"), output());
/// let shown = place.clone();
/// again.on_click(move || shown.capture(|| println!("…")));
/// vbox([Widget::from(again), place.into()]);
/// ```
pub fn button(words: impl Into<String>) -> Button {
    let own = json!({
        "description": words.into(), "icon": "", "button_style": "", "disabled": false,
    });
    Button {
        widget: Widget::new(&BUTTON, own),
    }
}

impl Button {
    /// Calls `clicked` at each click. What it prints goes to the log of the front end, except inside
    /// [`Output::capture`](super::Output::capture).
    pub fn on_click(&self, mut clicked: impl FnMut() + Send + 'static) {
        self.widget.when(When::Done("click"), move |_| clicked());
    }

    /// A picture beside the words, by its name in Font Awesome, e.g. `play`.
    #[must_use]
    pub fn icon(self, name: impl Into<String>) -> Self {
        self.widget.put("icon", name.into());
        self
    }

    /// Its look: `primary`, `success`, `info`, `warning` or `danger`.
    #[must_use]
    pub fn style(self, style: impl Into<String>) -> Self {
        self.widget.put("button_style", style.into());
        self
    }
}

is_a_widget!(Button);
has_a_description!(Button);
