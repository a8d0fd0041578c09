//! Controls that the reader of a notebook moves, and what then happens.
//!
//! | I want to… | use |
//! | --- | --- |
//! | run a closure again whenever a control is moved | [`interact`] |
//! | choose a number | [`int_slider`], [`float_slider`], [`float_log_slider`] |
//! | choose one of several values | [`selection_slider`], [`dropdown`], [`toggle_buttons`] |
//! | switch something on and off | [`checkbox`] |
//! | enter text | [`text_field`], [`textarea`] |
//! | do something at a click | [`button`] |
//! | be told of a change | [`Control::observe`] |
//! | keep two controls in step | [`link`] |
//! | show how far something is | [`int_progress`], [`float_progress`]; for loops [`progress`](super::progress()) |
//! | show words that change | [`label`], [`html`] |
//! | have a place for output that is replaced | [`output`] |
//! | arrange widgets | [`hbox`], [`vbox`], [`tab`], [`accordion`] |
//!
//! A widget appears where it is displayed or is a cell's last expression. It is one value behind
//! handles that are cheap to clone, and lives on in the page when its variable is gone, until
//! [`Widget::close`].
//!
//! Callbacks run between cells, one after the other: what is moved while a cell runs waits, and only the
//! last position of each control counts then. They own what they use: clone a model into the closure
//! with `move`, which copies no weights.
//!
//! ```
//! use ferrolens::prelude::*;
//!
//! let numbers = vec![1.0, 4.0, 9.0];
//! let squares = numbers.clone();
//! let picked = interact(
//!     move |at: usize, half: bool| if half { squares[at] / 2.0 } else { squares[at] },
//!     (int_slider(0..=2).starting_at(1).description("at"), checkbox(false).description("half")),
//! );
//! assert!(picked.to_string().ends_with("4.0"));
//! assert_eq!(numbers.len(), 3);
//! ```
//!
//! Without a front end that draws widgets, the text form is shown, and `interact` runs once.

mod boxes;
mod button;
mod checkbox;
mod control;
mod interact;
mod labels;
mod numbers;
mod output;
mod progress;
mod selection;
mod shown;
mod texts;
mod widget;

#[cfg(test)]
mod tests;

pub use boxes::{Accordion, HBox, Tab, VBox, accordion, hbox, tab, vbox};
pub use button::{Button, button};
pub use checkbox::{Checkbox, checkbox};
pub use control::{Control, link};
pub use interact::{Interact, Interactive, interact};
pub use labels::{Html, Label, html, label};
pub use numbers::{
    FloatLogSlider, FloatSlider, IntSlider, Whole, float_log_slider, float_slider, int_slider,
};
pub use output::{Output, output};
pub use progress::{FloatProgress, IntProgress, float_progress, int_progress};
pub use selection::{
    Dropdown, SelectionSlider, ToggleButtons, dropdown, selection_slider, toggle_buttons,
};
pub use shown::{AsDebug, Shown};
pub use texts::{TextField, Textarea, text_field, textarea};
pub use widget::Widget;
