//! A direction as a sum of a few latents': orthogonal matching pursuit (Pati, Rezaiifar and
//! Krishnaprasad 1993).

use super::unit::{unit_direction, unit_rows};
use crate::error::{Error, Result};
use crate::sae::Sae;
use candle_core::{DType, Device, Tensor};
use nalgebra::{DMatrix, DVector};
use polars::prelude::{Column, DataFrame};

/// Below this share of a direction's norm, nothing of it is left to explain.
const NOTHING: f64 = 1e-6;

/// A direction as a combination of latents': `v ≈ Σ coefficient · W_dec[latent]`.
#[derive(Clone, Debug, PartialEq)]
pub struct SparseCombination {
    /// The latents, in the order in which they were chosen.
    pub latents: Vec<u32>,
    /// What their rows of `W_dec` are multiplied with, given all of them.
    pub coefficients: Vec<f32>,
    /// `1 - |v - v̂|² / |v|²` with the first one, two, ... of them.
    pub explained: Vec<f32>,
}

impl SparseCombination {
    /// One row a latent, in the order chosen: `latent`, `coefficient`, `explained` (with it and those
    /// before it).
    ///
    /// # Errors
    /// There is no room for it.
    pub fn to_df(&self) -> Result<DataFrame> {
        let columns = vec![
            Column::new("latent".into(), &self.latents),
            Column::new("coefficient".into(), &self.coefficients),
            Column::new("explained".into(), &self.explained),
        ];
        Ok(DataFrame::new(self.latents.len(), columns)?)
    }
}

impl Sae {
    /// The direction of a latent as a combination of at most so many others.
    ///
    /// ```
    /// use ferrolens::sae::Sae;
    /// let sae = Sae::from_pretrained("stories-2l-relu", "blocks.1.hook_resid_post")?;
    /// let combination = sae.sparse_combination(7, 4)?;
    /// assert!(combination.explained.is_sorted());
    /// # Ok::<(), ferrolens::Error>(())
    /// ```
    ///
    /// # Errors
    /// There is no such latent, its direction is 0, or no terms were asked for.
    pub fn sparse_combination(&self, latent: u32, terms: usize) -> Result<SparseCombination> {
        self.pursue(&self.direction(latent)?, terms, Some(latent))
    }

    /// A direction, `[d_out]`, as a combination of at most so many latents'.
    ///
    /// # Errors
    /// It has another width, is not finite, or 0, or no terms were asked for.
    pub fn decompose_direction(
        &self,
        direction: &Tensor,
        terms: usize,
    ) -> Result<SparseCombination> {
        self.pursue(direction, terms, None)
    }

    fn pursue(
        &self,
        direction: &Tensor,
        terms: usize,
        but: Option<u32>,
    ) -> Result<SparseCombination> {
        if terms == 0 {
            return Err(Error::new(
                "a combination of no latents says nothing: ask for 1 term or more.",
            ));
        }
        // Only for its checks: the direction may be long.
        unit_direction(direction, &self.W_dec)?;
        let unit = unit_rows("the rows of W_dec", &self.W_dec)?;
        let target = DVector::from_vec(numbers(direction)?);
        let (mut residual, mut coefficients) = (target.clone(), DVector::zeros(0));
        let mut columns: Vec<f64> = Vec::new();
        let mut found = SparseCombination {
            latents: Vec::new(),
            coefficients: Vec::new(),
            explained: Vec::new(),
        };
        while found.latents.len() < terms && residual.norm() > NOTHING * target.norm() {
            crate::emit::check_interrupt()?;
            let left: Vec<f32> = residual.iter().map(|number| *number as f32).collect();
            let left = Tensor::new(left, unit.device())?.unsqueeze(1)?;
            let fits: Vec<f32> = unit.matmul(&left)?.squeeze(1)?.to_vec1()?;
            let best = fits
                .iter()
                .enumerate()
                .filter(|(latent, fit)| {
                    let latent = *latent as u32;
                    Some(latent) != but && !found.latents.contains(&latent) && **fit != 0.
                })
                .max_by(|a, b| a.1.abs().total_cmp(&b.1.abs()));
            let Some((latent, _)) = best else { break };
            let mut with: Vec<f64> = columns.clone();
            with.extend(numbers(&self.W_dec.get(latent)?)?);
            let matrix = DMatrix::from_column_slice(target.len(), found.latents.len() + 1, &with);
            let svd = matrix.clone().svd(true, true);
            let Ok(solved) = svd.solve(&target, 1e-12) else {
                break;
            };
            columns = with;
            residual = &target - matrix * &solved;
            coefficients = solved;
            found.latents.push(latent as u32);
            let left = residual.norm_squared() / target.norm_squared();
            found.explained.push((1. - left) as f32);
        }
        found.coefficients = coefficients.iter().map(|number| *number as f32).collect();
        Ok(found)
    }
}

fn numbers(vector: &Tensor) -> Result<Vec<f64>> {
    let vector = vector.to_device(&Device::Cpu)?.to_dtype(DType::F64)?;
    Ok(vector.to_vec1()?)
}
