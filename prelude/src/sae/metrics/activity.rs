//! How many latents are active, and how much, in one pass over their activations.

use crate::error::Result;
use candle_core::{Device, Tensor};
use rayon::prelude::*;

/// What a batch of activations says of tokens and of latents.
pub(super) struct Activity {
    /// `Σ_i [a_i ≠ 0]` of each token: as in SAELens, negative ones are active.
    pub(super) l0: Vec<f32>,
    /// `Σ_i |a_i|` of each token.
    pub(super) l1: Vec<f32>,
    /// The tokens that each latent is active on.
    pub(super) tokens: Vec<u64>,
}

impl Activity {
    /// Of activations, `[n, d_sae]` of `f32`.
    pub(super) fn of(acts: &Tensor) -> Result<Self> {
        let (rows, latents) = acts.dims2()?;
        let values: Vec<f32> = acts.to_device(&Device::Cpu)?.flatten_all()?.to_vec1()?;
        let share = rows.div_ceil(rayon::current_num_threads()).max(1) * latents;
        let parts: Vec<Self> = values
            .par_chunks(share)
            .map(|values| Self::of_rows(values, latents))
            .collect();
        let mut whole = Self::of_rows(&[], latents);
        for part in parts {
            whole.l0.extend(part.l0);
            whole.l1.extend(part.l1);
            for (total, more) in whole.tokens.iter_mut().zip(part.tokens) {
                *total += more;
            }
        }
        Ok(whole)
    }

    fn of_rows(values: &[f32], latents: usize) -> Self {
        let mut part = Self {
            l0: Vec::new(),
            l1: Vec::new(),
            tokens: vec![0; latents],
        };
        for row in values.chunks_exact(latents) {
            let (mut active, mut sum) = (0u32, 0f64);
            for (value, tokens) in row.iter().zip(&mut part.tokens) {
                if *value != 0. {
                    active += 1;
                    sum += f64::from(value.abs());
                    *tokens += 1;
                }
            }
            part.l0.push(active as f32);
            part.l1.push(sum as f32);
        }
        part
    }
}
