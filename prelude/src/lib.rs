//! ferrolens: mechanistic interpretability in Rust notebooks, on candle.
//!
//! A notebook starts with [`prelude`]; the rooms behind it are below.

pub mod analysis;
pub mod data;
pub mod display;
pub mod emit;
pub mod error;
pub mod intervene;
pub mod lessons;
pub mod math;
pub mod model;
pub mod prelude;
pub mod sae;

pub use candle_core::{DType, Device, Tensor};
pub use error::{Error, Result};

pub use {
    candle_core, candle_nn, candle_transformers, hf_hub, plotly, polars, rand, rayon, serde_json,
    tokenizers,
};
