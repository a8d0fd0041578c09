//! ferrolens: mechanistic interpretability in Rust notebooks, on candle.

pub mod display;
pub mod emit;
pub mod error;
pub mod prelude;

pub use error::{Error, Result};

pub use {candle_core, candle_nn, plotly, polars, serde_json, tokenizers};
