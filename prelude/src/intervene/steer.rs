//! Something added along a direction.

use super::edit::{Edit, check_finite, fitted};
use super::intervention::Intervention;
use super::place::Chosen;
use crate::error::{Error, Result};
use crate::model::IntoFilter;
use candle_core::{D, DType, Tensor};
use std::fmt;

/// How much of a direction is added.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Strength {
    /// The direction as it is, times this: `x + c v`.
    Times(f64),
    /// So much of it that the step has this length: `x + c v / |v|`.
    Length(f64),
    /// So much of it that the step has this share of the activation's norm at each position:
    /// `x + c |x| v / |v|`.
    ShareOfNorm(f64),
}

impl From<f64> for Strength {
    fn from(times: f64) -> Self {
        Self::Times(times)
    }
}

impl From<f32> for Strength {
    fn from(times: f32) -> Self {
        Self::Times(f64::from(times))
    }
}

impl Intervention {
    /// A direction added to the activation: `[d_model]`, or any shape that broadcasts to the activation.
    ///
    /// ```
    /// use ferrolens::{intervene::{Intervention, Strength}, model::HookedTransformer};
    /// let model = HookedTransformer::from_pretrained("stories-2l")?;
    /// let point = "blocks.1.hook_resid_pre";
    /// let happy = model.cache_only("Lily was happy", point)?;
    /// let sad = model.cache_only("Lily was sad", point)?;
    /// let direction = (happy[point].get(0)?.get(3)? - sad[point].get(0)?.get(3)?)?; // [d_model]
    /// let steer = Intervention::steer(point, &direction, 4.)?;
    /// let gently = Intervention::steer(point, &direction, Strength::ShareOfNorm(0.2))?.at(2..);
    /// let loss = model.run("Lily was happy").hooks(&gently).loss()?;
    /// # Ok::<(), ferrolens::Error>(())
    /// ```
    ///
    /// # Errors
    /// The direction holds NaN, or has no length where one is needed.
    pub fn steer(
        on: impl IntoFilter,
        direction: &Tensor,
        strength: impl Into<Strength>,
    ) -> Result<Self> {
        check_finite("the direction", direction)?;
        let strength = strength.into();
        let step = match strength {
            Strength::Times(times) => (direction * times)?,
            Strength::Length(share) | Strength::ShareOfNorm(share) => {
                let norms = norm(direction)?;
                if norms.min_all()?.to_scalar::<f32>()? == 0. {
                    return Err(Error::new(
                        "the direction is 0, so it cannot be given a length: give one that is not.",
                    ));
                }
                let unit = direction.to_dtype(DType::F32)?.broadcast_div(&norms)?;
                (unit * share)?.to_dtype(direction.dtype())?
            }
        };
        Ok(Self::new(on, Steer { step, strength }))
    }
}

struct Steer {
    step: Tensor,
    strength: Strength,
}

impl Edit for Steer {
    fn apply(&self, part: &Tensor, chosen: &Chosen) -> Result<Tensor> {
        let step = fitted("the direction", &self.step, part, chosen)?;
        let step = match step.dims() == part.dims() {
            true => step,
            false => chosen.gather_broadcast("the direction", &step)?,
        };
        match self.strength {
            Strength::ShareOfNorm(_) => {
                let norms = norm(part)?.to_dtype(part.dtype())?;
                Ok((part + step.broadcast_mul(&norms)?)?)
            }
            _ => Ok((part + step)?),
        }
    }
}

impl fmt::Debug for Steer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "steering, {:?}", self.strength)
    }
}

/// The norms of the last dimension, `[.., 1]` of `f32`.
pub(super) fn norm(x: &Tensor) -> Result<Tensor> {
    let x = x.to_dtype(DType::F32)?;
    Ok(x.sqr()?.sum_keepdim(D::Minus1)?.sqrt()?)
}
