//! All Rust tests that need more than one crate, in one binary.

mod kernel;
mod tidy;
