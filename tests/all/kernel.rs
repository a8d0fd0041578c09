//! The installed kernel over real sockets.

mod asking;
mod commands;
mod failures;
mod guide;
mod history;
mod lifecycle;
mod output;
mod protocol;
mod shared_statics;
mod teaching;
