//! The directions of latents: how long, how close to each other, made of which others, writing what.
//!
//! | I want to… | use |
//! | --- | --- |
//! | see which latents write long vectors (pillars) | [`Sae::decoder_norms`], [`Sae::pillar_vectors`] |
//! | see how close directions are to each other | [`Sae::decoder_cosines`], [`CosineHistogram`] |
//! | compare with directions drawn at random | [`Sae::compare_decoder_cosines`], [`isotropic_directions`], [`covariance_matched_directions`] |
//! | find the latents near one, or near a direction | [`Sae::nearest_latents`], [`Sae::latents_near`] |
//! | find pairs that are nearly one (direction vectors) | [`Sae::direction_vectors`] |
//! | write a latent as a combination of a few others | [`Sae::sparse_combination`], [`Sae::decompose_direction`] |
//! | ask whether latents are composites of others | [`Sae::composites`], [`Composites`] |
//! | see which tokens a latent promotes | [`Sae::top_tokens`], [`Sae::logit_weights`] |
//!
//! No `d_sae²` matrix is ever in memory: cosines are counted block by block, each pair once.
//!
//! [`Sae::decoder_norms`]: crate::sae::Sae::decoder_norms
//! [`Sae::pillar_vectors`]: crate::sae::Sae::pillar_vectors
//! [`Sae::decoder_cosines`]: crate::sae::Sae::decoder_cosines
//! [`Sae::compare_decoder_cosines`]: crate::sae::Sae::compare_decoder_cosines
//! [`Sae::nearest_latents`]: crate::sae::Sae::nearest_latents
//! [`Sae::latents_near`]: crate::sae::Sae::latents_near
//! [`Sae::direction_vectors`]: crate::sae::Sae::direction_vectors
//! [`Sae::sparse_combination`]: crate::sae::Sae::sparse_combination
//! [`Sae::decompose_direction`]: crate::sae::Sae::decompose_direction
//! [`Sae::composites`]: crate::sae::Sae::composites
//! [`Sae::top_tokens`]: crate::sae::Sae::top_tokens
//! [`Sae::logit_weights`]: crate::sae::Sae::logit_weights

mod composites;
mod cosines;
mod logits;
mod nearest;
mod norms;
mod pairs;
mod pursuit;
mod random;
mod unit;

pub use composites::Composites;
pub use cosines::{CosineHistogram, DecoderCosines};
pub use logits::{LatentTokens, TokenWeight};
pub use nearest::LatentRanking;
pub use pairs::LatentPairs;
pub use pursuit::SparseCombination;
pub use random::{
    covariance, covariance_matched_directions, difference_directions, isotropic_directions,
};
pub(crate) use unit::{blocks, unit_rows};
