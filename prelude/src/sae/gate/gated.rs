//! Rajamanoharan et al. 2024, "Improving Dictionary Learning with Gated Sparse Autoencoders" (arXiv
//! 2404.16014).

use crate::error::Result;
use candle_core::Tensor;

/// `[π > 0] ReLU(m)` with `π = (x - b_dec) W_enc + b_gate` and
/// `m = (x - b_dec) (W_enc exp(r_mag)) + b_mag`.
#[derive(Clone, Debug)]
pub struct Gated {
    /// `[d_sae]`: the logarithm of what the shared encoder is scaled by for magnitudes.
    pub r_mag: Tensor,
    /// `[d_sae]`.
    pub b_mag: Tensor,
    /// `[d_sae]`.
    pub b_gate: Tensor,
}

impl Gated {
    /// `m`, which is what `hook_sae_acts_pre` shows.
    pub(super) fn magnitudes(&self, projected: &Tensor) -> Result<Tensor> {
        let scaled = projected.broadcast_mul(&self.r_mag.exp()?)?;
        Ok(scaled.broadcast_add(&self.b_mag)?)
    }

    pub(super) fn acts(&self, magnitudes: &Tensor, projected: &Tensor) -> Result<Tensor> {
        let gate = projected.broadcast_add(&self.b_gate)?;
        let active = gate.gt(0.)?.to_dtype(gate.dtype())?;
        Ok((active * magnitudes.relu()?)?)
    }
}
