//! The directions that components are projected onto.

use super::ResidualStack;
use super::options::ResidOptions;
use crate::error::{Error, Result};
use crate::model::cache::ActivationCache;
use candle_core::Tensor;

impl ActivationCache {
    /// The directions asked for, `[d_model, directions]`.
    ///
    /// # Errors
    /// They are not of the width of the residual stream.
    pub(super) fn directions(&self, options: &ResidOptions) -> Result<Option<Tensor>> {
        let Some(given) = &options.project_output_onto else {
            return Ok(None);
        };
        let model = self.model();
        let d_model = model.config().d_model;
        let directions = match given.dims() {
            [width] if *width == d_model => given.unsqueeze(1)?,
            [width, _] if *width == d_model => given.clone(),
            dims => {
                return Err(Error::new(format!(
                    "components cannot be projected onto a tensor of shape {dims:?}: give one \
                     direction [{d_model}] or several [{d_model}, directions], such as `W_U` or \
                     `tokens_to_residual_directions(..)?` transposed."
                )));
            }
        };
        let directions = directions.to_device(&model.device())?;
        Ok(Some(directions.to_dtype(model.dtype())?))
    }

    /// What parts are projected onto, `[d_model, directions]`.
    ///
    /// A norm that centres what it reads is linear but for its scale, so that centring the directions
    /// does the same, once for all parts: `(x - mean(x)) p = x (p - mean(p))`.
    ///
    /// # Errors
    /// As [`ActivationCache::directions`].
    pub(super) fn onto(&self, options: &ResidOptions, layer: usize) -> Result<Option<Tensor>> {
        let Some(directions) = self.directions(options)? else {
            return Ok(None);
        };
        let (kind, _) = self.norm_before(layer, options.mlp_input);
        match options.apply_ln && kind.centres() {
            true => {
                let mean = directions.mean_keepdim(0)?;
                Ok(Some(directions.broadcast_sub(&mean)?))
            }
            false => Ok(Some(directions)),
        }
    }
}

/// Without the dimension of the directions, where one was given by itself.
pub(super) fn squeezed(mut stack: ResidualStack, options: &ResidOptions) -> Result<ResidualStack> {
    let given = options.project_output_onto.as_ref();
    if given.is_some_and(|given| given.rank() == 1) {
        let last = stack.components.rank() - 1;
        stack.components = stack.components.squeeze(last)?;
    }
    Ok(stack)
}
