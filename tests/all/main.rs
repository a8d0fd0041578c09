//! All tests from outside, in one binary.

mod golden;
mod kernel;
mod model;
mod sae;
mod tables;
mod tidy;
