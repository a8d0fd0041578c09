//! All tests from outside, in one binary.

mod golden;
mod kernel;
mod model;
mod odd_tensors;
mod sae;
mod tables;
mod tidy;
