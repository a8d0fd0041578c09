//! ferrolens: mechanistic interpretability in Rust notebooks.

pub mod error;
pub mod math;
pub mod model;

pub use candle_core::{DType, Device, Tensor};
pub use error::{Error, Result};
