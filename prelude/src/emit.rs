//! The child's door: how a value, a text or an error of a cell reaches the notebook.
//!
//! The process that runs cells owns a socket to the kernel and exports a handful of C symbols;
//! this module finds them by name once, and sends [`ferrolens_frames::Frame`]s through them.
//! Where they are missing (plain evcxr, `cargo test`, a binary of your own) a value goes out in
//! evcxr's markers, or its text goes to stdout: the crate stands alone as a library.
//!
//! | I want to… | use |
//! | --- | --- |
//! | say what a type of mine looks like | [`Rich`] |
//! | show a value now, and change it later | [`crate::display::display`] |
//! | show how far a loop is | [`progress`](progress()), [`Progress`] |
//! | stop a long loop when the user asks | [`check_interrupt`] |
//! | ask the reader for a line | [`input`], [`password`] |
//!
//! The rest ([`Last`], [`cell_panicked`], [`cell_failed`], [`control`], [`stop_point`]) is called
//! by the code that the kernel generates around a cell.

mod asking;
mod calls;
pub(crate) mod comm;
mod describe;
mod exports;
mod failure;
mod fallback;
mod flusher;
mod host;
mod interrupt;
mod last;
mod line;
mod panics;
mod pieces;
mod progress;
mod rich;
mod sending;
mod symbols;
mod timeit;
mod type_names;
pub mod variables;

pub use asking::{input, password};
pub use describe::{Describe, DescribeDebug, DescribeNothing, DescribeRich, Describing};
pub use failure::{cell_failed, cell_failed_debug};
pub use host::control;
pub use interrupt::{Interrupted, check_interrupt, interrupted, stop_point};
pub use last::{EvcxrDisplay, IntoLast, Last, LastRich};
pub use panics::cell_panicked;
pub use pieces::{AnyPieces, Looking, PIECE, Pieces, Whole, pieces};
pub use progress::{Progress, ProgressIter, progress};
pub use rich::{Bundle, Rich, text};
pub use timeit::{Left, timeit};
pub(crate) use type_names::failure as describe_error;
pub use variables::{Keep, KeepCopy, KeepNothing, Keepable};

pub(crate) use host::Host;
#[cfg(test)]
pub(crate) use host::fake;
pub(crate) use line::Line;
pub(crate) use sending::{clear, display_id, inside_write, send_display, send_update, send_words};
