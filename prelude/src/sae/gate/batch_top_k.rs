//! Bussmann, Leask and Nanda 2024, "BatchTopK Sparse Autoencoders" (arXiv 2412.06410).

use super::Scale;
use super::top_k::largest_mask;
use crate::error::{Error, Result};
use crate::math::update_rows;
use candle_core::Tensor;

/// In training the `k n` largest activations of a batch of `n` positions; afterwards those above one
/// threshold, so that a position does not depend on its neighbours.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchTopK {
    /// How many latents are active at a position, on average.
    pub k: f64,
    /// What activations must exceed. Where there is none the batch decides, as in training.
    pub threshold: Option<f64>,
    /// As [`TopK::rescale_by_decoder_norm`](super::TopK::rescale_by_decoder_norm).
    pub rescale_by_decoder_norm: bool,
}

impl BatchTopK {
    pub(super) fn acts(&self, pre: &Tensor, scale: &Scale<'_>) -> Result<Tensor> {
        let pre = match self.rescale_by_decoder_norm {
            true => pre.broadcast_mul(&scale.norms()?)?,
            false => pre.clone(),
        };
        let acts = pre.relu()?;
        let mask = match self.threshold {
            Some(threshold) => acts.gt(threshold)?.to_dtype(acts.dtype())?,
            None => {
                let width = acts.dims().last().copied().unwrap_or(1).max(1);
                let wanted = self.k * (acts.elem_count() / width) as f64;
                let flat = acts.flatten_all()?;
                largest_mask(&flat, wanted as usize)?.reshape(acts.shape())?
            }
        };
        Ok((acts * mask)?)
    }

    pub(super) fn acts_in_place(
        &self,
        projected: Tensor,
        bias: &[f32],
        threshold: f32,
        scale: &Scale<'_>,
    ) -> Result<Tensor> {
        let factors = scale.factors(self.rescale_by_decoder_norm)?;
        let jump = |_: usize, row: &mut [f32]| {
            for (act, (bias, factor)) in row.iter_mut().zip(bias.iter().zip(&factors)) {
                let pre = (*act + bias) * factor;
                *act = if (pre > threshold) & (pre > 0.) {
                    pre
                } else {
                    0.
                };
            }
        };
        Ok(update_rows(projected, "relu above a threshold", jump)?)
    }

    pub(super) fn check(&self, d_sae: usize) -> Result<()> {
        match self.k > 0. && self.k <= d_sae as f64 {
            true => Ok(()),
            false => Err(Error::new(format!(
                "k is {}, but there are {d_sae} latents: it must be above 0 and at most {d_sae}.",
                self.k
            ))),
        }
    }
}
