//! Latents in the order of a number each.

use super::unit::{unit_direction, unit_rows};
use crate::error::{Error, Result};
use crate::math::top_k_of;
use crate::sae::Sae;
use candle_core::Tensor;
use polars::prelude::{Column, DataFrame};

/// Latents with a number each, the largest first.
#[derive(Clone, Debug, PartialEq)]
pub struct LatentRanking {
    /// What the numbers are.
    pub measure: String,
    /// The latents.
    pub latents: Vec<u32>,
    /// Their numbers.
    pub values: Vec<f32>,
}

impl LatentRanking {
    /// The `k` largest of one number a latent.
    pub(crate) fn largest(measure: &str, values: &[f32], k: usize, but: Option<u32>) -> Self {
        let of_all = top_k_of(values, k.saturating_add(usize::from(but.is_some())));
        let kept = of_all
            .into_iter()
            .filter(|(latent, _)| Some(*latent as u32) != but);
        let (latents, values) = kept
            .take(k)
            .map(|(latent, value)| (latent as u32, value))
            .unzip();
        Self {
            measure: measure.to_owned(),
            latents,
            values,
        }
    }

    /// One row a latent: `latent` and the measure.
    ///
    /// # Errors
    /// There is no room for it.
    pub fn to_df(&self) -> Result<DataFrame> {
        let columns = vec![
            Column::new("latent".into(), &self.latents),
            Column::new(self.measure.as_str().into(), &self.values),
        ];
        Ok(DataFrame::new(self.latents.len(), columns)?)
    }
}

impl Sae {
    /// The `k` latents whose directions have the largest cosine with that of a latent, which is left out.
    ///
    /// ```
    /// use ferrolens::sae::Sae;
    /// let sae = Sae::from_pretrained("stories-2l-relu", "blocks.1.hook_resid_post")?;
    /// let near = sae.nearest_latents(7, 5)?;
    /// assert!(near.latents.len() == 5 && !near.latents.contains(&7));
    /// assert_eq!(near.to_df()?.height(), 5);
    /// # Ok::<(), ferrolens::Error>(())
    /// ```
    ///
    /// # Errors
    /// There is no such latent, or its direction is 0.
    pub fn nearest_latents(&self, latent: u32, k: usize) -> Result<LatentRanking> {
        let cosines = self.cosines_with(&self.direction(latent)?)?;
        Ok(LatentRanking::largest("cosine", &cosines, k, Some(latent)))
    }

    /// The `k` latents whose directions have the largest cosine with this one, `[d_out]`.
    ///
    /// # Errors
    /// The direction has another width, is not finite, or 0.
    pub fn latents_near(&self, direction: &Tensor, k: usize) -> Result<LatentRanking> {
        let cosines = self.cosines_with(direction)?;
        Ok(LatentRanking::largest("cosine", &cosines, k, None))
    }

    /// The direction that a latent writes, `[d_out]`: its row of `W_dec`.
    ///
    /// # Errors
    /// There is no such latent.
    pub fn direction(&self, latent: u32) -> Result<Tensor> {
        match (latent as usize) < self.cfg.d_sae {
            true => Ok(self.W_dec.get(latent as usize)?),
            false => Err(Error::new(format!(
                "latent {latent} is not there: {} has latents 0 to {}.",
                self.name(),
                self.cfg.d_sae.saturating_sub(1)
            ))),
        }
    }

    fn cosines_with(&self, direction: &Tensor) -> Result<Vec<f32>> {
        let direction = unit_direction(direction, &self.W_dec)?;
        let rows = unit_rows("the rows of W_dec", &self.W_dec)?;
        Ok(rows
            .matmul(&direction.unsqueeze(1)?)?
            .squeeze(1)?
            .to_vec1()?)
    }
}
