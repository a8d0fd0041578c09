//! Bytes on sockets: the connection file, five sockets, signatures, and the one owner of order on
//! iopub. The only room that says zeromq.
//!
//! `jupyter-zmq-client` was read first. Its heartbeat answers `pong` instead of echoing, and a
//! message whose content it cannot parse is lost with its header, so that no reply is possible; so
//! the sockets are bound here, and the message types are taken from `jupyter-protocol`.

mod answers;
mod client;
pub mod connection;
pub mod iopub;
pub mod message;
mod ports;
mod replays;
pub mod sockets;

pub use client::Client;
pub use connection::Connection;
pub use iopub::{Iopub, Text};
pub use message::{Malformed, Message};
pub use ports::Ports;
pub use sockets::{Channel, Incoming, Sockets};
