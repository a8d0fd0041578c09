//! The installed kernel over real sockets.

mod asking;
mod assist;
mod commands;
mod diagnostics;
mod failures;
mod guide;
mod habits;
mod history;
mod interrupts;
mod lifecycle;
mod output;
mod protocol;
mod robustness;
mod shared_statics;
mod shortcuts;
mod teaching;
mod types;
mod widgets;
