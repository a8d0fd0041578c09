//! How good an autoencoder is, and what its directions are like.

// The papers' symbols are the names of weights.
#![allow(non_snake_case)]

mod geometry;
mod losses;
mod reconstruction;

use candle_core::Tensor;
use std::collections::HashMap;

/// The one number of a recorded tensor.
pub fn number(recorded: &HashMap<String, Tensor>, name: &str) -> f64 {
    f64::from(crate::golden::values(&recorded[name])[0])
}

/// Equal to a share of the size of the second.
pub fn assert_near(name: &str, ours: f64, theirs: f64, share: f64) {
    let difference = (ours - theirs).abs();
    assert!(
        difference <= share * theirs.abs().max(1e-3),
        "{name}: {ours} and {theirs}"
    );
}
