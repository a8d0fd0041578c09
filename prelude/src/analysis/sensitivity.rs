//! How far a model's output moves when an activation is pushed: activation plateaus and sensitive
//! directions.
//!
//! | I want to… | use |
//! | --- | --- |
//! | push the last position of many prompts | [`HookedTransformer::sensitivity`], [`Sensitivity::push`] |
//! | choose where to push it to | [`Direction`] |
//! | read what that did, at every length | [`SensitivityCurves`], [`Readout`] |
//! | see how far a plateau goes | [`SensitivityCurves::length_to`], [`SensitivityCurves::plateaus`] |
//!
//! Source: Heimersheim and Mendel 2024, "Activation plateaus" and "Interpreting Language Models'
//! sensitive directions" (arXiv 2410.12555).
//!
//! [`HookedTransformer::sensitivity`]: crate::model::HookedTransformer::sensitivity

mod curves;
mod direction;
mod push;

pub(crate) use curves::spreads;
pub use curves::{Readout, SensitivityCurve, SensitivityCurves};
pub use direction::Direction;
pub use push::Sensitivity;

#[cfg(test)]
mod tests;
