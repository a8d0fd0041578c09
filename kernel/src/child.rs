//! The process that runs cells: this binary again, started by the engine with
//! `EVCXR_IS_RUNTIME=1`.
//!
//! It speaks the engine's protocol (`LOAD_AND_RUN <library> <function>` on its standard input, one
//! line when the function has returned) on private copies of the pipes, so that nothing a cell
//! prints can be taken for a control line. Everything else goes through the [`door`], as frames.
//!
//! Invariant: this room knows nothing of evcxr's Rust API, of Jupyter, or of the prelude's types.

pub mod door;
mod legacy;
mod runtime;
mod sleep;
mod threads;

/// The engine sets this for the process that is to run cells.
const IS_RUNTIME_ENV: &str = "EVCXR_IS_RUNTIME";

/// Numbers of the inherited write ends `stdout,stderr` for what bypasses the door: output of
/// processes that a cell starts, and of C libraries.
pub const PIPES_ENV: &str = "FERROLENS_PIPES";

/// The prelude's shared library, loaded before the first cell.
pub const PRELUDE_ENV: &str = "FERROLENS_PRELUDE";

/// The session's folder, which a child removes when its kernel has gone without doing so.
pub const FOLDER_ENV: &str = "FERROLENS_SESSION_FOLDER";

/// Becomes the child, and does not return, when the engine started this process as one.
pub fn run_if_child() {
    if std::env::var_os(IS_RUNTIME_ENV).is_some() {
        runtime::run();
    }
}
