//! Rajamanoharan et al. 2024, "Improving Dictionary Learning with Gated Sparse Autoencoders" (arXiv
//! 2404.16014).

use crate::error::Result;
use crate::math::update_rows;
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

    pub(super) fn acts_in_place(&self, projected: Tensor) -> Result<Tensor> {
        let factors: Vec<f32> = self.r_mag.exp()?.to_vec1()?;
        let (b_mag, b_gate): (Vec<f32>, Vec<f32>) = (self.b_mag.to_vec1()?, self.b_gate.to_vec1()?);
        let gate = |_: usize, row: &mut [f32]| {
            let biases = b_mag.iter().zip(&b_gate);
            for (act, (factor, (b_mag, b_gate))) in row.iter_mut().zip(factors.iter().zip(biases)) {
                let magnitude = *act * factor + b_mag;
                let is_active = (*act + b_gate > 0.) & (magnitude > 0.);
                *act = if is_active { magnitude } else { 0. };
            }
        };
        Ok(update_rows(projected, "gated relu", gate)?)
    }
}
