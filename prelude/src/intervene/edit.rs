//! What an intervention does, apart from where.

use super::place::Chosen;
use crate::error::{Error, Result};
use candle_core::{DType, Tensor};
use std::fmt;

/// A change of the chosen part of an activation.
pub(super) trait Edit: fmt::Debug + Send + Sync {
    /// What stands in the part's place, of its shape.
    ///
    /// # Errors
    /// The change does not fit the activation.
    fn apply(&self, part: &Tensor, chosen: &Chosen) -> Result<Tensor>;
}

/// A tensor that a user gave, of the activation's type.
///
/// # Errors
/// It is on another device, or holds integers.
pub(super) fn fitted(what: &str, given: &Tensor, like: &Tensor, chosen: &Chosen) -> Result<Tensor> {
    if !given.device().same_device(like.device()) {
        return Err(Error::new(format!(
            "{what} is on {:?}, but the activation at `{}` is on {:?}: move it with \
             `.to_device(&model.device())?`.",
            given.device().location(),
            chosen.point(),
            like.device().location()
        )));
    }
    if !given.dtype().is_float() {
        return Err(Error::new(format!(
            "{what} is of type {:?}, but the activation at `{}` is of type {:?}: convert it with \
             `.to_dtype(model.dtype())?`.",
            given.dtype(),
            chosen.point(),
            like.dtype()
        )));
    }
    Ok(given.to_dtype(like.dtype())?)
}

/// # Errors
/// A value is NaN or infinite, or there are none.
pub(super) fn check_finite(what: &str, given: &Tensor) -> Result<()> {
    if given.elem_count() == 0 {
        return Err(Error::new(format!(
            "{what} of shape {:?} holds no numbers.",
            given.dims()
        )));
    }
    let sum = given.to_dtype(DType::F32)?.abs()?.max_all()?;
    // A maximum may pass over NaN, a sum does not.
    let total = given.to_dtype(DType::F32)?.sum_all()?;
    match sum.to_scalar::<f32>()?.is_finite() && !total.to_scalar::<f32>()?.is_nan() {
        true => Ok(()),
        false => Err(Error::new(format!(
            "{what} holds NaN or infinite values: look at where it came from."
        ))),
    }
}
