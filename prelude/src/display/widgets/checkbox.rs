//! A box to tick.

use super::control::is_a_control;
use super::widget::{Kind, Widget, has_a_description, is_a_widget};
use crate::emit::comm::State;
use serde_json::{Value, json};

/// A box to tick; see [`checkbox`].
#[derive(Clone)]
pub struct Checkbox {
    widget: Widget,
}

static CHECKBOX: Kind = Kind {
    name: "Checkbox",
    library: "controls",
    view: "CheckboxView",
    shows: &["value"],
    accept: true_or_false,
};

/// A box to tick, ticked or not.
///
/// ```
/// use ferrolens::prelude::*;
///
/// let prepend_bos = checkbox(true).description("BOS");
/// assert!(prepend_bos.value());
/// ```
pub fn checkbox(value: bool) -> Checkbox {
    let own = json!({"value": value, "description": "", "indent": true, "disabled": false});
    Checkbox {
        widget: Widget::new(&CHECKBOX, own),
    }
}

is_a_widget!(Checkbox);
has_a_description!(Checkbox);
is_a_control!(
    Checkbox,
    "value",
    bool,
    |_own, json| json.as_bool().unwrap_or(false),
    |_me, new| Some(new),
    |_weak| |widget| Self { widget }
);

fn true_or_false(_: &State, key: &str, value: &Value) -> Option<Value> {
    (key != "value" || value.is_boolean()).then(|| value.clone())
}
