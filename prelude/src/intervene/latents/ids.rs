//! Which latents, and what they are set to, as a notebook writes them.

use crate::error::{Error, Result};
use crate::sae::Sae;
use candle_core::Tensor;
use std::fmt;
use std::ops::Range;

/// One latent or several: `7`, `[7, 9]`, `vec![7u32, 9]`, `0..16`.
#[derive(Clone, PartialEq, Eq)]
pub struct Latents(Vec<i64>);

impl Latents {
    /// # Errors
    /// There are none, or one is not the autoencoder's.
    pub(crate) fn of(&self, sae: &Sae) -> Result<Vec<u32>> {
        let ids: Vec<u32> = self
            .0
            .iter()
            .map(|latent| {
                u32::try_from(*latent).map_err(|_| {
                    Error::new(format!(
                        "latent {latent} is not there: {} has latents 0 to {}.",
                        sae.name(),
                        sae.cfg.d_sae.saturating_sub(1)
                    ))
                })
            })
            .collect::<Result<_>>()?;
        sae.check_latents(&ids)?;
        Ok(ids)
    }

    /// # Errors
    /// As [`Latents::of`], and a latent that is named twice, which has no meaning where all are changed
    /// at once.
    pub(super) fn once_each(&self, sae: &Sae) -> Result<Vec<u32>> {
        let ids = self.of(sae)?;
        let mut sorted = ids.clone();
        sorted.sort_unstable();
        match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            None => Ok(ids),
            Some(pair) => Err(Error::new(format!(
                "latent {} is named twice: name each latent once.",
                pair[0]
            ))),
        }
    }
}

impl fmt::Debug for Latents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [one] => write!(f, "latent {one}"),
            several if several.len() <= 12 => write!(f, "latents {several:?}"),
            several => write!(f, "{} latents", several.len()),
        }
    }
}

macro_rules! latents_from {
    ($($integer:ty),*) => {$(
        impl From<$integer> for Latents {
            fn from(one: $integer) -> Self {
                Self(vec![one as i64])
            }
        }
        impl From<&[$integer]> for Latents {
            fn from(several: &[$integer]) -> Self {
                Self(several.iter().map(|one| *one as i64).collect())
            }
        }
        impl<const N: usize> From<[$integer; N]> for Latents {
            fn from(several: [$integer; N]) -> Self {
                several.as_slice().into()
            }
        }
        impl<const N: usize> From<&[$integer; N]> for Latents {
            fn from(several: &[$integer; N]) -> Self {
                several.as_slice().into()
            }
        }
        impl From<Vec<$integer>> for Latents {
            fn from(several: Vec<$integer>) -> Self {
                several.as_slice().into()
            }
        }
        impl From<&Vec<$integer>> for Latents {
            fn from(several: &Vec<$integer>) -> Self {
                several.as_slice().into()
            }
        }
        impl From<Range<$integer>> for Latents {
            fn from(several: Range<$integer>) -> Self {
                Self(several.map(|one| one as i64).collect())
            }
        }
    )*};
}

latents_from!(u32, usize, i32);

/// What latents are set to, or multiplied by: a number for all of them, one for each, or a tensor that
/// broadcasts to their activations, `[.., latents]`.
#[derive(Clone, Debug)]
pub enum LatentValues {
    /// The same for all.
    Number(f64),
    /// One for each, in the order of the latents.
    Each(Vec<f64>),
    /// `[.., latents]`.
    Tensor(Tensor),
}

impl LatentValues {
    /// As a tensor that broadcasts to these activations.
    ///
    /// # Errors
    /// There are not as many as latents, or the tensor does not fit.
    pub(super) fn like(&self, acts: &Tensor) -> Result<Tensor> {
        let values = match self {
            Self::Number(number) => Tensor::new(*number, acts.device())?,
            Self::Each(each) => Tensor::new(each.as_slice(), acts.device())?,
            Self::Tensor(tensor) if tensor.device().same_device(acts.device()) => tensor.clone(),
            Self::Tensor(tensor) => {
                return Err(Error::new(format!(
                    "the values of the latents are on {:?}, but the activations are on {:?}: move \
                     them with `.to_device(..)?`.",
                    tensor.device().location(),
                    acts.device().location()
                )));
            }
        };
        let values = values.to_dtype(acts.dtype())?;
        values.broadcast_as(acts.shape()).map_err(|_| {
            Error::new(format!(
                "values of shape {:?} do not fit the activations of the latents, {:?}: give one \
                 number, or one for each latent.",
                values.dims(),
                acts.dims()
            ))
        })
    }

    /// # Errors
    /// There are not as many as latents.
    pub(super) fn check(&self, latents: usize) -> Result<()> {
        match self {
            Self::Each(each) if each.len() != latents => Err(Error::new(format!(
                "there are {} values for {latents} latents: give one number, or one for each latent.",
                each.len()
            ))),
            _ => Ok(()),
        }
    }
}

impl From<f64> for LatentValues {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<f32> for LatentValues {
    fn from(number: f32) -> Self {
        Self::Number(f64::from(number))
    }
}

impl<const N: usize> From<[f64; N]> for LatentValues {
    fn from(each: [f64; N]) -> Self {
        Self::Each(each.to_vec())
    }
}

impl From<Vec<f64>> for LatentValues {
    fn from(each: Vec<f64>) -> Self {
        Self::Each(each)
    }
}

impl From<Vec<f32>> for LatentValues {
    fn from(each: Vec<f32>) -> Self {
        Self::Each(each.into_iter().map(f64::from).collect())
    }
}

impl From<&Tensor> for LatentValues {
    fn from(tensor: &Tensor) -> Self {
        Self::Tensor(tensor.clone())
    }
}

impl From<Tensor> for LatentValues {
    fn from(tensor: Tensor) -> Self {
        Self::Tensor(tensor)
    }
}
