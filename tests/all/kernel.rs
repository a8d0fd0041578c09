//! The installed kernel over real sockets.

mod failures;
mod guide;
mod interrupts;
mod lifecycle;
mod output;
mod protocol;
mod robustness;
mod shared_statics;
