//! Sparse autoencoders: one type for every kind, loaded from any format, with its latents within reach.
//!
//! | I want to… | use |
//! | --- | --- |
//! | load one | [`Sae::load`], [`Sae::from_pretrained`], [`Sae::load_all_hooks`] |
//! | keep one | [`Sae::save`] |
//! | know which latents are active | [`Sae::encode`], [`Sae::encode_latents`], [`Sae::encode_top`] |
//! | know what they write | [`Sae::decode`], `sae.W_dec` |
//! | know what some of them are worth | [`Sae::without_latents`] |
//! | run a model through it, and change latents on the way | [`RunWithSaes`] |
//! | know what is left | [`Sae::forward`], [`Sae::error`] |

// The papers' symbols (W_enc, b_dec) are the names of weights.
#![allow(non_snake_case)]

mod autoencoder;
mod config;
mod encode;
mod few;
mod fold;
mod gate;
mod load;
pub mod metrics;
mod normalize;
mod part;
mod place;
mod ranges;
mod save;
mod splice;
mod top_acts;
pub mod train;

pub use autoencoder::Sae;
pub use config::{ActivationNorm, SaeConfig};
pub use gate::{BatchTopK, Gate, Gated, JumpRelu, Matryoshka, Nsae, TopK};
pub(crate) use load::sae_names;
pub use load::{SaeLoadOptions, SaesByHook, sae_releases};
pub(crate) use ranges::FEWEST_LATENTS;
pub use splice::{IntoSplices, RunWithSaes, SaeSplice};
pub use top_acts::TopActs;
