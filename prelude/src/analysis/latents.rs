//! What the latents of a sparse autoencoder are active on, over a whole corpus.
//!
//! | I want to… | use |
//! | --- | --- |
//! | know density, mean, maximum and histogram of every latent | [`Sweep`], [`LatentSweep::to_df`] |
//! | see what activates a latent most, or a little | [`LatentSweep::examples`], [`Examples`] |
//! | have the maximum of each prompt and latent | [`Sweep::keep_maxima`], [`MaxActivations`] |
//! | count the tokens that activate a latent | [`Occurrences`] |
//! | know which are active in one activation, or draw some of them | [`ActiveLatents`] |
//! | look at one latent | [`LatentSweep::dashboard`] |
//!
//! A sweep goes over the corpus in batches of prompts of similar length, and no further into the model
//! than the autoencoder's hook point. What it has is kept on disk under a key of model, autoencoder and
//! corpus: one that was stopped goes on where it was, and one that was finished loads at once.

// The papers' symbols (W_dec, W_U) are the names of weights.
#![allow(non_snake_case)]

mod active;
mod choice;
mod examples;
mod latent;
mod maxima;
mod occurrences;
mod options;
mod progress;
mod sweep;
mod walk;

pub use active::ActiveLatents;
pub use choice::Examples;
pub use examples::{LatentDashboard, LatentExample, LatentExamples};
pub use latent::{Activating, ActivationHistogram};
pub use maxima::MaxActivations;
pub use occurrences::{Occurrences, TokenOccurrences};
pub use options::Sweep;
pub use sweep::LatentSweep;

#[cfg(test)]
mod tests;
