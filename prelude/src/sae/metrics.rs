//! How good an autoencoder is, each measure with its formula. Nothing here keeps a corpus in memory:
//! batches go in one by one.
//!
//! | I want to know… | use |
//! | --- | --- |
//! | how sparse it is, what it explains, what it suppresses | [`SaeMetrics`], batch by batch; [`SaeReport`] |
//! | which latents are dead, how often each is active | [`SaeReport::density`], a [`Density`] |
//! | what a model loses with it in place | [`LossMetrics`], prompt by prompt; [`LossReport`] |
//! | how several compare on the same texts | [`SaeEvaluation`]; [`SaeComparison`] |
//!
//! `x` is an input, `x̂` its reconstruction, `a` the activations of its latents; `E` is the mean over
//! tokens, `|.|` the Euclidean norm. Where libraries differ, both conventions are there.

mod activity;
mod comparison;
mod density;
mod evaluation;
mod losses;
mod reconstruction;
mod report;
mod spread;

pub use comparison::{MeasuredSae, SaeComparison};
pub use density::{Density, DensityHistogram};
pub use evaluation::SaeEvaluation;
pub use losses::LossMetrics;
pub use reconstruction::SaeMetrics;
pub use report::{LossReport, SaeReport};
