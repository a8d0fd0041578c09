//! Activations of another run.

use super::edit::fitted;
use super::place::Chosen;
use crate::error::{Error, Result};
use crate::model::ActivationCache;
use candle_core::Tensor;
use std::fmt;

/// Activations that were recorded: a cache, from which each hook point takes its own, or a tensor.
#[derive(Clone)]
pub enum Source {
    /// What another run kept.
    Cache(ActivationCache),
    /// An activation, `[batch, pos, ...]`.
    Tensor(Tensor),
}

impl Source {
    /// What was recorded at the hook point, of the activation's type.
    ///
    /// # Errors
    /// Nothing was recorded there, or it is on another device.
    pub(super) fn at(&self, chosen: &Chosen, like: &Tensor) -> Result<Tensor> {
        let recorded = match self {
            Self::Cache(cache) => cache.get(chosen.point())?,
            Self::Tensor(tensor) => tensor.clone(),
        };
        fitted("the recorded activation", &recorded, like, chosen)
    }

    /// The same with a batch dimension, `[batch, pos, ...]`, where only batch and positions may be of
    /// other sizes than those of the activation.
    ///
    /// # Errors
    /// As [`Source::at`], and another shape.
    pub(super) fn batch_at(&self, chosen: &Chosen, like: &Tensor) -> Result<Tensor> {
        let recorded = self.at(chosen, like)?;
        let dims = chosen.dims();
        let recorded = match recorded.rank() + 1 == dims.len() {
            true => recorded.unsqueeze(0)?,
            false => recorded,
        };
        let position = chosen.layout().position;
        let fits = recorded.rank() == dims.len()
            && (1..dims.len()).all(|dim| dim == position || recorded.dims()[dim] == dims[dim]);
        match fits {
            true => Ok(recorded),
            false => Err(Error::new(format!(
                "the recorded activation has shape {:?}, which does not fit `{}`, {dims:?}: only \
                 the numbers of prompts and positions may differ.",
                recorded.dims(),
                chosen.point()
            ))),
        }
    }
}

impl From<&ActivationCache> for Source {
    fn from(cache: &ActivationCache) -> Self {
        Self::Cache(cache.clone())
    }
}

impl From<ActivationCache> for Source {
    fn from(cache: ActivationCache) -> Self {
        Self::Cache(cache)
    }
}

impl From<&Tensor> for Source {
    fn from(tensor: &Tensor) -> Self {
        Self::Tensor(tensor.clone())
    }
}

impl From<Tensor> for Source {
    fn from(tensor: Tensor) -> Self {
        Self::Tensor(tensor)
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cache(cache) => write!(f, "a cache of {} activations", cache.len()),
            Self::Tensor(tensor) => write!(f, "a tensor {:?}", tensor.dims()),
        }
    }
}
