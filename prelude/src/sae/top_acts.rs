//! Activations of the few latents that are active.

use crate::error::{Error, Result};
use crate::math::top_k_of;
use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;

/// The `k` largest activations of every position, where a dense `[.., d_sae]` would waste memory.
#[derive(Clone, Debug)]
pub struct TopActs {
    /// Latents, `[.., k]` of `u32`, on the CPU; of the largest activation first.
    pub indices: Tensor,
    /// Their activations, `[.., k]` of `f32`, on the CPU; 0 where fewer than `k` are active.
    pub values: Tensor,
}

impl TopActs {
    /// The `k` largest of dense activations, `[.., d_sae]`.
    ///
    /// # Errors
    /// `k` is 0 or above `d_sae`.
    pub fn largest(acts: &Tensor, k: usize) -> Result<Self> {
        let Some((&d_sae, rest)) = acts.dims().split_last() else {
            return Err(Error::new(
                "a single number has no latents: give activations of shape [.., d_sae].",
            ));
        };
        if k == 0 || k > d_sae {
            return Err(Error::new(format!(
                "the {k} largest of {d_sae} activations cannot be had: k must be 1 to {d_sae}."
            )));
        }
        let values = acts.to_device(&Device::Cpu)?.to_dtype(DType::F32)?;
        let values: Vec<f32> = values.flatten_all()?.to_vec1()?;
        let top: Vec<Vec<(usize, f32)>> = values
            .par_chunks(d_sae)
            .map(|row| top_k_of(row, k))
            .collect();
        let flat = || top.iter().flatten();
        let indices: Vec<u32> = flat().map(|(latent, _)| *latent as u32).collect();
        let values: Vec<f32> = flat().map(|(_, value)| *value).collect();
        let mut dims = rest.to_vec();
        dims.push(k);
        Ok(Self {
            indices: Tensor::from_vec(indices, dims.as_slice(), &Device::Cpu)?,
            values: Tensor::from_vec(values, dims.as_slice(), &Device::Cpu)?,
        })
    }

    /// The activations of all latents, `[.., d_sae]`, on the CPU.
    ///
    /// # Errors
    /// A latent is `d_sae` or more.
    pub fn to_dense(&self, d_sae: usize) -> Result<Tensor> {
        let indices: Vec<u32> = self.indices.flatten_all()?.to_vec1()?;
        let values: Vec<f32> = self.values.flatten_all()?.to_vec1()?;
        let Some((&k, rest)) = self.indices.dims().split_last() else {
            return Err(Error::new("there are no positions to spread out."));
        };
        if indices.len() != values.len() {
            return Err(Error::new(format!(
                "there are {} latents and {} activations: they must be as many.",
                indices.len(),
                values.len()
            )));
        }
        if let Some(latent) = indices.iter().find(|latent| **latent as usize >= d_sae) {
            return Err(Error::new(format!(
                "latent {latent} is not there: there are latents 0 to {}.",
                d_sae.saturating_sub(1)
            )));
        }
        let rows = indices.len().checked_div(k).unwrap_or(0);
        let mut dense = vec![0f32; rows * d_sae];
        for (at, (latent, value)) in indices.iter().zip(values).enumerate() {
            dense[at / k * d_sae + *latent as usize] = value;
        }
        let mut dims = rest.to_vec();
        dims.push(d_sae);
        Ok(Tensor::from_vec(dense, dims, &Device::Cpu)?)
    }
}
