//! Sparse autoencoders against recorded values.

mod core;
mod embedded;
mod formats;
pub mod interventions;
mod measures;
mod predictions;
mod splices;
mod sweeps;
mod training;
