//! The maximum of every prompt and latent, where it was asked for.

use super::latent::Latent;
use crate::error::Result;
use candle_core::{Device, Tensor};

/// The largest activation of each latent in each prompt, and its position; over the positions that the
/// sweep looked at.
#[derive(Clone, Debug)]
pub struct MaxActivations {
    /// The latent of each column.
    pub latents: Vec<u32>,
    /// `[prompt, latent]`, `f32`, on the CPU; 0 where the latent is not active in the prompt.
    pub values: Tensor,
    /// `[prompt, latent]`, `u32`, on the CPU: the first position with that activation.
    pub positions: Tensor,
}

impl MaxActivations {
    pub(super) fn new(latents: Vec<u32>, prompts: usize, each: &[Latent]) -> Result<Self> {
        // Latents keep theirs side by side.
        let (mut values, mut positions) = (
            Vec::with_capacity(prompts * each.len()),
            Vec::with_capacity(prompts * each.len()),
        );
        for prompt in 0..prompts {
            values.extend(each.iter().map(|latent| latent.maxima[prompt]));
            positions.extend(each.iter().map(|latent| latent.positions[prompt]));
        }
        let shape = (prompts, latents.len());
        Ok(Self {
            values: Tensor::from_vec(values, shape, &Device::Cpu)?,
            positions: Tensor::from_vec(positions, shape, &Device::Cpu)?,
            latents,
        })
    }
}
