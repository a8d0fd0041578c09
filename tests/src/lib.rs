//! A front end that speaks real ZMQ to the installed kernel, for the tests in `all/`.
//!
//! It is strict: a message that no test asked for, a process or a folder that outlives its kernel,
//! is a failure.

mod front_end;
mod fuzz;
mod installed;
mod memory_group;
mod outputs;
pub mod process;
mod sequences;

pub use front_end::{FrontEnd, Reply};
pub use fuzz::{Sent, fuzz};
pub use installed::{installed_kernel, shared};
pub use memory_group::MemoryGroup;
pub use outputs::Outputs;
pub use sequences::{Seen, notebook, run};
