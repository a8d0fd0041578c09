//! A cell that ended in an `Err`, which left it through `?`.

use super::{Host, control, interrupt, type_names};
use crate::error::with_next_step;
use ferrolens_frames::{Call, Frame, SourcePlace};
use std::cell::Cell;
use std::fmt::{Debug, Display};
use std::io::Write as _;

/// evcxr's control line for a failed `?`: the variables that the cell defined are forgotten.
const ERROR_OCCURRED: &str = "EVCXR_ERROR_OCCURRED";

thread_local! {
    static HAS_FAILED: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread has reported a failure since [`take_has_failed`] was called.
pub(super) fn has_failed() -> bool {
    HAS_FAILED.get()
}

/// Whether this thread has reported a failure since the last call.
pub(super) fn take_has_failed() -> bool {
    HAS_FAILED.replace(false)
}

/// How a cell failed: name, message and place of an error in a notebook.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Failure {
    pub name: String,
    pub value: String,
    pub at: Option<SourcePlace>,
    /// Of a panic: its thread where cells do not run there, the calls that led to it, and the function
    /// of a library in which it happened.
    pub thread: Option<String>,
    pub calls: Vec<Call>,
    pub inside: Option<String>,
}

impl Failure {
    /// The failure that an interrupt makes of a cell.
    pub(super) fn interrupted() -> Self {
        Self {
            name: "Interrupted".to_owned(),
            value: interrupt::MESSAGE.to_owned(),
            ..Self::default()
        }
    }

    /// Tells the kernel, or writes to stderr where there is none.
    pub(super) fn report(self) {
        HAS_FAILED.set(true);
        match Host::find() {
            Some(host) => host.send(&Frame::Failed {
                cell: host.cell(),
                name: self.name,
                value: self.value,
                at: self.at,
                thread: self.thread,
                calls: self.calls,
                inside: self.inside,
            }),
            None => {
                let line = format!("{}: {}\n", self.name, self.value);
                let _ = std::io::stderr().write_all(line.as_bytes());
            }
        }
    }
}

/// Reports that the cell ended because it was asked to.
pub(super) fn interrupted() {
    Failure::interrupted().report();
}

/// Reports an error that left the cell through `?`. The kernel's generated code calls it.
#[track_caller]
pub fn cell_failed<E: Display + ?Sized>(error: &E) {
    fail(std::any::type_name::<E>(), &|| error.to_string());
}

/// [`cell_failed`] for an error that has no `Display`.
#[track_caller]
pub fn cell_failed_debug<E: Debug + ?Sized>(error: &E) {
    fail(std::any::type_name::<E>(), &|| format!("{error:?}"));
}

#[track_caller]
#[inline(never)]
fn fail(type_name: &str, value: &dyn Fn() -> String) {
    let value = with_next_step(value());
    let place = std::panic::Location::caller();
    let was_interrupted = value.contains(interrupt::MESSAGE) || interrupt::interrupted();
    Failure {
        name: if was_interrupted {
            "Interrupted".to_owned()
        } else {
            type_names::short(type_name)
        },
        value,
        at: Some(SourcePlace {
            file: place.file().to_owned(),
            line: place.line(),
            column: place.column(),
        }),
        ..Failure::default()
    }
    .report();
    control(ERROR_OCCURRED);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit::host::fake;
    use crate::error::Error;

    fn failed(sent: &fake::Sent) -> (&str, &str) {
        let [
            Frame::Failed {
                cell: 7,
                name,
                value,
                at: Some(_),
                ..
            },
        ] = sent.frames.as_slice()
        else {
            panic!("one failure was expected: {sent:?}");
        };
        assert_eq!(sent.control, ["EVCXR_ERROR_OCCURRED"]);
        (name, value)
    }

    #[test]
    fn an_error_is_named_by_its_type() {
        let ((), sent) = fake::with_host(|| cell_failed(&Error::new("no such layer")));
        assert_eq!(failed(&sent), ("ferrolens::Error", "no such layer"));
        let ((), sent) = fake::with_host(|| cell_failed("a text"));
        assert_eq!(failed(&sent), ("str", "a text"));
        let ((), sent) = fake::with_host(|| cell_failed_debug(&Some(1)));
        assert_eq!(failed(&sent), ("Option<i32>", "Some(1)"));
    }

    #[test]
    fn an_interrupt_is_named_so_even_behind_context() {
        let error = interrupt::error().context("layer 3");
        let ((), sent) = fake::with_host(|| cell_failed(&error));
        assert_eq!(failed(&sent).0, "Interrupted");
    }
}
