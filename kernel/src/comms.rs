//! Comms: what is open between the process that runs cells and the front ends, and in what state.
//!
//! The table is the kernel's own, so that a page that is loaded again finds its widgets while a cell
//! runs. What front ends did waits here until no cell runs, and what a callback puts out becomes the
//! state of an output widget.
//!
//! Invariant: this room knows no socket and no header; it says what to send, and the server sends it.

mod captures;
mod table;
mod waiting;

pub use captures::{CapturedError, Captures, PAUSE, Replaced};
pub use table::{Opener, Table};
pub use waiting::{Event, Waiting};

/// The target of all widgets.
pub const WIDGET: &str = "jupyter.widget";

/// The target by which a front end asks for the states of all widgets at once.
pub const CONTROL: &str = "jupyter.widget.control";
