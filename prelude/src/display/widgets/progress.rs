//! Bars that show how far something is.

use super::control::is_a_control;
use super::numbers::{a_number, a_whole_number};
use super::widget::{Kind, Widget, has_a_description, is_a_widget};
use serde_json::json;

/// A bar that counts; see [`int_progress`].
#[derive(Clone)]
pub struct IntProgress {
    widget: Widget,
}

/// A bar of a quantity; see [`float_progress`].
#[derive(Clone)]
pub struct FloatProgress {
    widget: Widget,
}

static INT: Kind = Kind {
    name: "IntProgress",
    library: "controls",
    view: "ProgressView",
    shows: &["value", "max"],
    accept: a_whole_number,
};
static FLOAT: Kind = Kind {
    name: "FloatProgress",
    library: "controls",
    view: "ProgressView",
    shows: &["value", "max"],
    accept: a_number,
};

/// A bar from 0 to `total`, at 0. For loops, [`progress`](crate::display::progress()) is easier.
///
/// ```
/// use ferrolens::prelude::*;
///
/// let bar = int_progress(10).description("prompts");
/// bar.set(4);
/// assert_eq!(bar.value(), 4);
/// ```
pub fn int_progress(total: usize) -> IntProgress {
    let own = json!({
        "value": 0, "min": 0, "max": total, "bar_style": "", "description": "",
        "orientation": "horizontal",
    });
    IntProgress {
        widget: Widget::new(&INT, own),
    }
}

/// A bar from 0 to `total`, at 0.
///
/// ```
/// use ferrolens::prelude::*;
///
/// let bar = float_progress(1.0);
/// bar.set(0.25);
/// assert_eq!(bar.value(), 0.25);
/// ```
pub fn float_progress(total: f64) -> FloatProgress {
    let own = json!({
        "value": 0.0, "min": 0.0, "max": total, "bar_style": "", "description": "",
        "orientation": "horizontal",
    });
    FloatProgress {
        widget: Widget::new(&FLOAT, own),
    }
}

macro_rules! bar {
    ($name:ident, $value:ty, $read:expr) => {
        impl $name {
            /// Its look: `success`, `info`, `warning` or `danger`.
            #[must_use]
            pub fn style(self, style: impl Into<String>) -> Self {
                self.widget.put("bar_style", style.into());
                self
            }
        }

        is_a_widget!($name);
        has_a_description!($name);
        is_a_control!(
            $name,
            "value",
            $value,
            |_own, json| $read(&json).unwrap_or_default(),
            |me, new| me.widget.accepted("value", &json!(new)),
            |_weak| |widget| Self { widget }
        );
    };
}
bar!(IntProgress, i64, serde_json::Value::as_i64);
bar!(FloatProgress, f64, serde_json::Value::as_f64);
