//! A place for output that is replaced.

use super::shown::{Showing, Shown};
use super::widget::{Kind, Widget, anything, is_a_widget};
use crate::emit::comm::{self, Capture};
use crate::emit::{display_id, send_display};
use serde_json::json;

/// A place for output; see [`output`].
#[derive(Clone)]
pub struct Output {
    widget: Widget,
}

static OUTPUT: Kind = Kind {
    name: "Output",
    library: "output",
    view: "OutputView",
    shows: &[],
    accept: anything,
};

/// A place in the page for what code prints and displays, which later code replaces.
///
/// ```
/// use ferrolens::prelude::*;
///
/// let place = output();
/// let sum = place.capture(|| {
///     println!("adding");
///     1 + 1
/// });
/// assert_eq!(sum, 2);
/// place.show(vec![sum]);
/// ```
pub fn output() -> Output {
    Output {
        widget: Widget::new(&OUTPUT, json!({"msg_id": "", "outputs": []})),
    }
}

impl Output {
    /// Runs `work`, and shows here what it prints and displays, in the place of what was there. Outside
    /// a notebook it prints as ever.
    pub fn capture<T>(&self, work: impl FnOnce() -> T) -> T {
        self.widget.open();
        let _capture = Capture::into(self.widget.id());
        work()
    }

    /// Shows a value here, in the place of what was there.
    pub fn show(&self, value: impl Shown) {
        self.capture(|| {
            show(&value.showing());
        });
    }

    /// Shows nothing here.
    pub fn clear(&self) {
        self.capture(|| ());
    }

    /// Takes it off the page.
    pub fn close(&self) {
        self.widget.close();
    }
}

is_a_widget!(Output);

/// Shows a value now; an error as one.
pub(super) fn show(showing: &Showing) {
    match showing {
        Showing::Value(bundle) => send_display(bundle.clone(), &display_id()),
        Showing::Failed { name, value } => comm::caught(name, value),
    }
}
