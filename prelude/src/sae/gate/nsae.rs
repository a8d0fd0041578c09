//! The noise-robust autoencoder of the NSAE post: `c = tanh(ReLU(x W_enc + b_enc + ε))`.

use crate::error::{Error, Result};
use crate::math::update_rows;
use candle_core::Tensor;

/// `tanh(ReLU(p + ε))`, with `ε ~ N(0, σ²)` in training only.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nsae {
    /// `σ`; 0 for autoencoders that were trained without noise (SAELens's `tanh-relu`).
    pub sigma: f64,
}

impl Nsae {
    pub(super) fn acts(&self, pre: &Tensor) -> Result<Tensor> {
        Ok(pre.relu()?.tanh()?)
    }

    pub(super) fn acts_in_place(&self, projected: Tensor, bias: &[f32]) -> Result<Tensor> {
        let squash = |_: usize, row: &mut [f32]| {
            for (act, bias) in row.iter_mut().zip(bias) {
                let pre = *act + bias;
                *act = if pre > 0. { pre.tanh() } else { 0. };
            }
        };
        Ok(update_rows(projected, "tanh of relu", squash)?)
    }

    pub(super) fn check(&self) -> Result<()> {
        match self.sigma >= 0. && self.sigma.is_finite() {
            true => Ok(()),
            false => Err(Error::new(format!(
                "sigma is {}: it must be 0 or above.",
                self.sigma
            ))),
        }
    }
}
