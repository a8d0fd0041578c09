//! Rajamanoharan et al. 2024, "Jumping Ahead: Improving Reconstruction Fidelity with JumpReLU Sparse
//! Autoencoders" (arXiv 2407.14435).

use crate::error::Result;
use crate::math::update_rows;
use candle_core::Tensor;

/// `ReLU(p) [p > θ]`.
#[derive(Clone, Debug)]
pub struct JumpRelu {
    /// `θ`, `[d_sae]`.
    pub threshold: Tensor,
}

impl JumpRelu {
    pub(super) fn acts(&self, pre: &Tensor) -> Result<Tensor> {
        let above = pre.broadcast_gt(&self.threshold)?.to_dtype(pre.dtype())?;
        Ok((pre.relu()? * above)?)
    }

    pub(super) fn acts_in_place(&self, projected: Tensor, bias: &[f32]) -> Result<Tensor> {
        let thresholds: Vec<f32> = self.threshold.to_vec1()?;
        let jump = |_: usize, row: &mut [f32]| {
            let each = row.iter_mut().zip(bias.iter().zip(&thresholds));
            for (act, (bias, threshold)) in each {
                let pre = *act + bias;
                *act = if (pre > *threshold) & (pre > 0.) {
                    pre
                } else {
                    0.
                };
            }
        };
        Ok(update_rows(projected, "jump relu", jump)?)
    }
}
