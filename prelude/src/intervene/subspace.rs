//! The part of an activation that lies in a few directions.

use super::edit::{check_finite, fitted};
use super::intervention::Intervention;
use super::place::Chosen;
use crate::error::{Error, Result};
use crate::model::IntoFilter;
use candle_core::{DType, Device, Tensor};
use nalgebra::DMatrix;
use std::fmt;

/// Singular values below this share of the largest are those of directions that depend on others.
const NEGLIGIBLE: f64 = 1e-6;

impl Intervention {
    /// The activation without its part in a direction, `[d]`, or in the subspace that several span, `[n,
    /// d]`: `x - B^T B x` for an orthonormal basis `B`. They need not be orthogonal, nor of norm 1.
    ///
    /// ```
    /// use ferrolens::{Tensor, intervene::Intervention, model::HookedTransformer};
    /// let model = HookedTransformer::from_pretrained("stories-2l")?;
    /// let directions = model.W_U()?.t()?.narrow(0, 300, 2)?; // [2, d_model]
    /// let blind = Intervention::project_out("blocks.1.hook_resid_post", &directions)?;
    /// let logits = model.run("Once upon a time").hooks(&blind).logits()?;
    /// # Ok::<(), ferrolens::Error>(())
    /// ```
    ///
    /// # Errors
    /// The directions are not finite, or all 0.
    pub fn project_out(on: impl IntoFilter, directions: &Tensor) -> Result<Self> {
        Self::zero(on).along(directions)
    }
}

/// A subspace by an orthonormal basis.
#[derive(Clone)]
pub(super) struct Subspace {
    /// `[n, d]`.
    basis: Tensor,
}

impl Subspace {
    /// # Errors
    /// The directions are neither `[d]` nor `[n, d]`, not finite, or all 0.
    pub(super) fn spanned_by(directions: &Tensor) -> Result<Self> {
        let rows = match directions.rank() {
            1 => directions.unsqueeze(0)?,
            2 => directions.clone(),
            _ => {
                return Err(Error::new(format!(
                    "directions of shape {:?} do not span a subspace: give [d] or [n, d].",
                    directions.dims()
                )));
            }
        };
        check_finite("the directions' tensor", &rows)?;
        let (n, d) = rows.dims2()?;
        let numbers = rows.to_device(&Device::Cpu)?.to_dtype(DType::F64)?;
        let numbers: Vec<f64> = numbers.flatten_all()?.to_vec1()?;
        // The left singular vectors of `[d, n]` are a basis of what its columns span.
        let columns = DMatrix::from_column_slice(d, n, &numbers);
        let svd = columns
            .try_svd(true, false, f64::EPSILON, 0)
            .ok_or_else(|| Error::new("the directions have no singular value decomposition."))?;
        let largest = svd.singular_values.max();
        let Some(u) = svd.u.filter(|_| largest > 0.) else {
            return Err(Error::new(
                "the directions are all 0, so they span nothing: give one that is not.",
            ));
        };
        let kept: Vec<f64> = svd
            .singular_values
            .iter()
            .zip(u.column_iter())
            .filter(|(value, _)| **value > NEGLIGIBLE * largest)
            .flat_map(|(_, column)| column.iter().copied().collect::<Vec<_>>())
            .collect();
        let basis = Tensor::from_vec(kept.clone(), (kept.len() / d, d), &Device::Cpu)?;
        let basis = basis.to_dtype(DType::F32)?.to_device(directions.device())?;
        // Integers are found out where the activation is known.
        Ok(Self {
            basis: match directions.dtype().is_float() {
                true => basis,
                false => basis.to_dtype(directions.dtype())?,
            },
        })
    }

    /// The old activation with as much of the change as lies in the subspace.
    ///
    /// # Errors
    /// The subspace is of another width than the activation, or on another device.
    pub(super) fn only(&self, old: &Tensor, new: &Tensor, chosen: &Chosen) -> Result<Tensor> {
        let basis = fitted("the directions' tensor", &self.basis, old, chosen)?;
        let basis = basis.to_dtype(DType::F32)?;
        let (_, width) = basis.dims2()?;
        if old.dims().last() != Some(&width) {
            return Err(Error::new(format!(
                "directions of {width} entries do not fit the activation at `{}`, which is {:?}: its \
                 last dimension must be as wide.",
                chosen.point(),
                old.dims()
            )));
        }
        let old = old.contiguous()?;
        let change = (new - &old)?.to_dtype(DType::F32)?.reshape(((), width))?;
        let inside = change.matmul(&basis.t()?)?.matmul(&basis)?;
        Ok((&old + inside.to_dtype(old.dtype())?.reshape(old.shape())?)?)
    }
}

impl fmt::Debug for Subspace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.basis.dims() {
            [1, d] => write!(f, "a direction of {d} entries"),
            [n, d] => write!(f, "{n} dimensions of {d}"),
            _ => f.write_str("nothing"),
        }
    }
}
