//! Norms after an intervention.
//!
//! An ablation makes activations smaller, and a LayerNorm behind it then makes everything else larger.
//! These keep the norm, so that only the direction changes.

use super::edit::{Edit, check_finite, fitted};
use super::intervention::Intervention;
use super::place::Chosen;
use super::steer::norm;
use crate::error::{Error, Result};
use crate::model::IntoFilter;
use candle_core::{D, DType, Tensor};
use std::fmt;

/// What norm (of the last dimension, at each position) an activation is given after an intervention.
#[derive(Clone)]
pub enum Restore {
    /// That which it had before this intervention, by scaling: `y |x| / |y|`.
    CleanNorm,
    /// This one at every position, such as the mean norm of many prompts, by scaling: `y c / |y|`.
    Norm(f64),
    /// That of this activation at the same position, by scaling: one that a clean run recorded at the
    /// same hook point, `[batch, pos, ...]`, where interventions before this one changed it too.
    NormOf(Tensor),
    /// That which it had before this intervention, by adding along this direction, the mean activation
    /// `m`, `[d]`: `y + t m / |m|`, with the `t` of least size that restores the norm, and above 0
    /// where the norm had become smaller. Where none does, that which comes nearest.
    AlongMean(Tensor),
}

impl Intervention {
    /// Another norm for the activation, which is otherwise left as interventions before this one made
    /// it.
    ///
    /// ```
    /// use ferrolens::{intervene::{Intervention, Restore}, model::HookedTransformer};
    /// let model = HookedTransformer::from_pretrained("stories-2l")?;
    /// let (prompt, point) = ("Once upon a time", "blocks.1.hook_resid_pre");
    /// let clean = model.cache_only(prompt, point)?;
    /// let no_mlp = Intervention::zero("blocks.0.hook_mlp_out");
    /// let restored = Intervention::restore(point, Restore::NormOf(clean[point].clone()));
    /// let loss = model.run(prompt).hooks(no_mlp.and(&restored)).loss()?;
    /// # Ok::<(), ferrolens::Error>(())
    /// ```
    pub fn restore(on: impl IntoFilter, restore: Restore) -> Self {
        Self::new(on, Keep).restoring(restore)
    }
}

impl Restore {
    /// # Errors
    /// The norm is not one, or a tensor does not fit the activation.
    pub(super) fn apply(&self, old: &Tensor, new: &Tensor, chosen: &Chosen) -> Result<Tensor> {
        let wanted = match self {
            Self::CleanNorm => norm(old)?,
            Self::Norm(wanted) => {
                if !(wanted.is_finite() && *wanted >= 0.) {
                    return Err(Error::new(format!(
                        "{wanted} is not a norm: give a number of 0 or more."
                    )));
                }
                Tensor::new(*wanted as f32, old.device())?
            }
            Self::NormOf(recorded) => {
                let recorded = fitted("the recorded activation", recorded, old, chosen)?;
                norm(&chosen.gather_broadcast("the recorded activation", &recorded)?)?
            }
            Self::AlongMean(mean) => return along_mean(mean, old, new, chosen),
        };
        // What became 0 has no direction, and stays 0.
        let now = norm(new)?.maximum(f64::from(f32::MIN_POSITIVE))?;
        let scaled = new
            .to_dtype(DType::F32)?
            .broadcast_mul(&wanted.broadcast_div(&now)?)?;
        Ok(scaled.to_dtype(new.dtype())?)
    }
}

fn along_mean(mean: &Tensor, old: &Tensor, new: &Tensor, chosen: &Chosen) -> Result<Tensor> {
    check_finite("the mean", mean)?;
    let mean = fitted("the mean", mean, old, chosen)?.to_dtype(DType::F32)?;
    let length = norm(&mean)?;
    if length.min_all()?.to_scalar::<f32>()? == 0. {
        return Err(Error::new(
            "the mean is 0, so nothing can be added along it: give one that is not.",
        ));
    }
    let unit = mean.broadcast_div(&length)?;
    let unit = match unit.dims() == old.dims() {
        true => unit,
        false => chosen.gather_broadcast("the mean", &unit)?,
    };
    let y = new.to_dtype(DType::F32)?;
    // |y + t u|² = |x|² is t² + 2 b t + |y|² - |x|² = 0.
    let b = (&y * &unit)?.sum_keepdim(D::Minus1)?;
    let missing = (norm(old)?.sqr()? - norm(&y)?.sqr()?)?;
    let root = (b.sqr()? + &missing)?.relu()?.sqrt()?;
    let (up, down) = ((&root - &b)?, (b.neg()? - &root)?);
    let takes_up = missing.ge(0f32)?.maximum(&b.ge(0f32)?)?;
    let t = takes_up.where_cond(&up, &down)?;
    Ok((y + unit.broadcast_mul(&t)?)?.to_dtype(new.dtype())?)
}

impl fmt::Debug for Restore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CleanNorm => f.write_str("the clean norm"),
            Self::Norm(norm) => write!(f, "a norm of {norm}"),
            Self::NormOf(_) => f.write_str("the norms of a recorded activation"),
            Self::AlongMean(_) => f.write_str("the clean norm along the mean"),
        }
    }
}

struct Keep;

impl Edit for Keep {
    fn apply(&self, part: &Tensor, _: &Chosen) -> Result<Tensor> {
        Ok(part.clone())
    }
}

impl fmt::Debug for Keep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no change")
    }
}
