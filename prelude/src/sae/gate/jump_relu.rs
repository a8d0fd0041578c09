//! Rajamanoharan et al. 2024, "Jumping Ahead: Improving Reconstruction Fidelity with JumpReLU Sparse
//! Autoencoders" (arXiv 2407.14435).

use crate::error::Result;
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
}
