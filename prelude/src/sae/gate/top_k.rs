//! Gao et al. 2024, "Scaling and evaluating sparse autoencoders" (arXiv 2406.04093); with signs: Yao et
//! al. 2025, "AbsTopK" (arXiv 2510.00404).

use super::Scale;
use crate::error::Result;
use crate::math::{top_k_of, update_rows};
use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;

/// `ReLU` of the `k` largest pre-activations of each position, 0 for the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TopK {
    /// How many latents are active at each position.
    pub k: usize,
    /// Whether latents are compared as if their rows of `W_dec` had norm 1: pre-activations are
    /// multiplied by these norms, and coefficients divided by them.
    pub rescale_by_decoder_norm: bool,
    /// Whether the largest are those farthest from 0, which keep their sign.
    pub signed: bool,
}

impl TopK {
    /// The gate of `k` latents a position, as they are.
    pub fn new(k: usize) -> Self {
        Self {
            k,
            rescale_by_decoder_norm: false,
            signed: false,
        }
    }

    pub(super) fn acts(&self, pre: &Tensor, scale: &Scale<'_>) -> Result<Tensor> {
        let pre = match self.rescale_by_decoder_norm {
            true => pre.broadcast_mul(&scale.norms()?)?,
            false => pre.clone(),
        };
        if self.signed {
            return Ok((&pre * largest_mask(&pre.abs()?, self.k)?)?);
        }
        Ok((pre.relu()? * largest_mask(&pre, self.k)?)?)
    }

    pub(super) fn acts_in_place(
        &self,
        projected: Tensor,
        bias: &[f32],
        scale: &Scale<'_>,
    ) -> Result<Tensor> {
        let factors = scale.factors(self.rescale_by_decoder_norm)?;
        let choose = |_: usize, row: &mut [f32]| {
            for (act, (bias, factor)) in row.iter_mut().zip(bias.iter().zip(&factors)) {
                *act = (*act + bias) * factor;
            }
            let chosen: Vec<(usize, f32)> = match self.signed {
                true => {
                    let sizes: Vec<f32> = row.iter().map(|pre| pre.abs()).collect();
                    let largest = top_k_of(&sizes, self.k).into_iter();
                    largest.map(|(latent, _)| (latent, row[latent])).collect()
                }
                false => top_k_of(row, self.k),
            };
            row.fill(0.);
            for (latent, pre) in chosen {
                if self.signed || pre > 0. {
                    row[latent] = pre;
                }
            }
        };
        Ok(update_rows(projected, "top k", choose)?)
    }
}

/// 1 where one of the `k` largest of a row of the last dimension is, 0 elsewhere. Of equals the first
/// are taken.
pub(super) fn largest_mask(values: &Tensor, k: usize) -> Result<Tensor> {
    let width = values.dims().last().copied().unwrap_or(1);
    let rows = values.detach().to_device(&Device::Cpu)?;
    let rows: Vec<f32> = rows.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?;
    let mut mask = vec![0f32; rows.len()];
    // Without numbers there are no rows, whatever their width.
    let width = width.max(1);
    mask.par_chunks_mut(width)
        .zip(rows.par_chunks(width))
        .for_each(|(mask, row)| {
            for (latent, _) in top_k_of(row, k) {
                mask[latent] = 1.;
            }
        });
    let mask = Tensor::from_vec(mask, values.shape(), &Device::Cpu)?;
    Ok(mask.to_device(values.device())?.to_dtype(values.dtype())?)
}
