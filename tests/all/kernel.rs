//! The installed kernel over real sockets.

mod assist;
mod failures;
mod guide;
mod lifecycle;
mod output;
mod protocol;
mod shared_statics;
