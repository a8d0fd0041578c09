//! Controls that choose one of several values.

use super::control::is_a_control;
use super::numbers::slider;
use super::widget::{Kind, Widget, has_a_description, index, is_a_widget};
use crate::emit::comm::State;
use serde_json::{Value, json};
use std::fmt::Display;
use std::sync::Arc;

/// A type whose values can be chosen among.
pub trait Choice: Clone + PartialEq + Send + Sync + 'static {}
impl<T: Clone + PartialEq + Send + Sync + 'static> Choice for T {}

macro_rules! selection {
    ($name:ident, $function:ident, $kind:ident, $view:literal, $own:expr, $what:literal, $example:literal) => {
        #[doc = concat!($what, "; see [`", stringify!($function), "`].")]
        #[derive(Clone)]
        pub struct $name<T: Choice> {
            widget: Widget,
            options: Arc<[T]>,
        }

        static $kind: Kind = Kind {
            name: stringify!($name),
            library: "controls",
            view: $view,
            shows: &["options"],
            accept: a_place,
        };

        #[doc = concat!($what, " over these values, at the first, which shows them as text.")]
        ///
        /// ```
        /// use ferrolens::prelude::*;
        ///
        #[doc = $example]
        /// assert_eq!(chosen.value(), "b");
        /// ```
        ///
        /// # Panics
        /// When there is no value to choose.
        pub fn $function<T: Choice + Display>(
            options: impl IntoIterator<Item = T>,
        ) -> $name<T> {
            let options: Arc<[T]> = options.into_iter().collect();
            assert!(
                !options.is_empty(),
                concat!("`", stringify!($function), "` was given no values: give it one at least")
            );
            let labels: Vec<String> = options.iter().map(ToString::to_string).collect();
            let mut own: Value = $own;
            own["_options_labels"] = labels.into();
            own["index"] = 0.into();
            $name {
                widget: Widget::new(&$kind, own),
                options,
            }
        }

        impl<T: Choice> $name<T> {
            /// Which value is chosen at first. One that is not among them changes nothing.
            #[must_use]
            pub fn starting_at(self, value: T) -> Self {
                super::Control::set(&self, value);
                self
            }

            /// Other words for the values, in their order.
            #[must_use]
            pub fn labels<L: Into<String>>(self, labels: impl IntoIterator<Item = L>) -> Self {
                let mut labels: Vec<String> = labels.into_iter().map(Into::into).collect();
                let usual = self.widget.labels();
                labels.truncate(usual.len());
                labels.extend(usual.into_iter().skip(labels.len()));
                self.widget.put("_options_labels", labels);
                self
            }
        }

        is_a_widget!($name<T: Choice>);
        has_a_description!($name<T: Choice>);
        is_a_control!(
            $name<T: Choice>, "index", T,
            |own, json| own.options[index(&json).min(own.options.len() - 1)].clone(),
            |me, new| me
                .options
                .iter()
                .position(|option| *option == new)
                .map(Value::from),
            |weak| {
                let options = weak.options;
                move |widget| Self { widget, options: options.clone() }
            }
        );
    };
}

selection!(
    SelectionSlider,
    selection_slider,
    SELECTION_SLIDER,
    "SelectionSliderView",
    slider(json!({})),
    "A slider",
    "let chosen = selection_slider([\"a\", \"b\", \"c\"]).starting_at(\"b\");"
);
selection!(
    Dropdown,
    dropdown,
    DROPDOWN,
    "DropdownView",
    json!({"description": "", "disabled": false}),
    "A list that drops down",
    "let chosen = dropdown([\"a\", \"b\", \"c\"]).starting_at(\"b\");"
);
selection!(
    ToggleButtons,
    toggle_buttons,
    TOGGLE_BUTTONS,
    "ToggleButtonsView",
    json!({"description": "", "disabled": false, "button_style": "", "icons": [], "tooltips": []}),
    "A row of buttons of which one is pressed",
    "let chosen = toggle_buttons([\"a\", \"b\", \"c\"]).starting_at(\"b\");"
);

/// A place among the options.
fn a_place(state: &State, key: &str, value: &Value) -> Option<Value> {
    let options = state["_options_labels"].as_array().map_or(0, Vec::len);
    (key != "index" || index(value) < options).then(|| value.clone())
}
