//! The part of a hook point's activation that an autoencoder reads.

use super::autoencoder::Sae;
use crate::error::{Error, Result};
use candle_core::Tensor;

impl Sae {
    /// What it reads of an activation at its hook point: all of it, or that of one head of
    /// `[batch, pos, head, d_in]`.
    ///
    /// # Errors
    /// The activation has no such head.
    pub fn input_of(&self, activation: &Tensor) -> Result<Tensor> {
        let Some(head) = self.cfg.hook_head_index else {
            return Ok(activation.clone());
        };
        let dim = self.head_dim(activation, head)?;
        Ok(activation.narrow(dim, head, 1)?.squeeze(dim)?)
    }

    /// The activation with another value in the place of what [`Sae::input_of`] read.
    ///
    /// # Errors
    /// The activation has no such head, or the value another shape.
    pub fn put_back(&self, activation: &Tensor, value: &Tensor) -> Result<Tensor> {
        let Some(head) = self.cfg.hook_head_index else {
            return Ok(value.clone());
        };
        let dim = self.head_dim(activation, head)?;
        crate::math::set_at(activation, dim, head as isize, value.unsqueeze(dim)?)
    }

    fn head_dim(&self, activation: &Tensor, head: usize) -> Result<usize> {
        match activation.dims() {
            [.., heads, _] if activation.rank() > 2 && head < *heads => Ok(activation.rank() - 2),
            dims => Err(Error::new(format!(
                "{} reads head {head}, which an activation of shape {dims:?} does not have: give it \
                 one of [batch, pos, head, {}].",
                self.name(),
                self.cfg.d_in
            ))),
        }
    }
}
