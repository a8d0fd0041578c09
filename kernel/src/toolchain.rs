//! The compiler as a session sees it: a front for cargo, the prebuilt prelude, the session's folder.
//!
//! The engine finds its tools by name: it asks `rustup` for `cargo` and `rustc`, and its analyzer
//! looks into `$CARGO_HOME/bin`. A session's folder holds this binary under those names, first in
//! the search path. As `cargo` it answers what it can answer at once (see [`front`]) and passes
//! everything else to the real tool.
//!
//! Invariant: only this room says rustc, cargo or rpath.

pub mod built_in;
pub mod cell;
pub mod folder;
pub mod front;
pub mod graph;
pub mod kept;
pub mod prebuilt;
pub(crate) mod rewrite;
pub(crate) mod syntax;
pub mod workspace;
mod wrapped;
