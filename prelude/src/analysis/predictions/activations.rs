//! Which latents are active where the answers are predicted.

use super::Predictions;
use crate::analysis::LatentRanking;
use crate::error::{Error, Result};
use crate::model::Hooks;
use crate::sae::Sae;
use candle_core::{DType, Device, Tensor};

/// How active each latent is where each prompt's answer is predicted.
#[derive(Clone, Debug)]
pub struct AnswerActivations {
    /// `[prompt, d_sae]` of `f32`, on the CPU.
    pub values: Tensor,
}

impl Predictions {
    /// The activations of an autoencoder's latents at the predicting position.
    ///
    /// # Errors
    /// The autoencoder does not fit the model.
    pub fn activations(&self, sae: &Sae) -> Result<AnswerActivations> {
        self.activations_under(sae, Hooks::new())
    }

    /// The same under hooks at that position, such as the removal of an earlier latent.
    ///
    /// # Errors
    /// As [`Predictions::activations`]; hooks fail.
    pub fn activations_under(
        &self,
        sae: &Sae,
        hooks: impl Into<Hooks>,
    ) -> Result<AnswerActivations> {
        let hooks = hooks.into();
        let point = sae.hook_point(&self.model)?;
        let values = self.rows("prompts read", |_, step| {
            let x = sae.input_of(
                &step
                    .run()
                    .hooks(&hooks)
                    .cache(point)
                    .cache_only()?
                    .get(point)?,
            )?;
            let acts = sae.encode(&x.to_device(&sae.device())?)?; // [batch, 1, d_sae]
            Ok(acts
                .to_device(&Device::Cpu)?
                .to_dtype(DType::F32)?
                .squeeze(1)?)
        })?;
        Ok(AnswerActivations { values })
    }
}

impl AnswerActivations {
    /// The mean of each latent over the prompts.
    ///
    /// # Errors
    /// The values cannot be read.
    pub fn mean(&self) -> Result<Vec<f32>> {
        Ok(self.values.mean(0)?.to_vec1()?)
    }

    /// The latents that are above `share` of their `maxima` in at least `of_prompts` of the prompts, with
    /// the share of prompts in which they are; those of most prompts first.
    ///
    /// # Errors
    /// There are not as many maxima as latents.
    pub fn active(&self, maxima: &[f32], share: f32, of_prompts: f32) -> Result<LatentRanking> {
        let rows: Vec<Vec<f32>> = self.values.to_vec2()?;
        let d_sae = self.values.dim(1)?;
        if maxima.len() != d_sae {
            return Err(Error::new(format!(
                "{} maxima for {d_sae} latents: give one a latent, such as `&sweep.max()`.",
                maxima.len()
            )));
        }
        let shares: Vec<f32> = maxima
            .iter()
            .enumerate()
            .map(|(latent, max)| {
                let above = |row: &&Vec<f32>| row[latent] > share * max && row[latent] > 0.;
                rows.iter().filter(above).count() as f32 / rows.len().max(1) as f32
            })
            .collect();
        let enough = shares.iter().filter(|share| **share >= of_prompts).count();
        Ok(LatentRanking::largest(
            "share of prompts",
            &shares,
            enough,
            None,
        ))
    }

    /// The mean activation of each latent times what it adds to a token's logit by the direct path when it
    /// is active by 1 ([`Sae::logit_weights`]), before the final norm's scale: the `k` largest.
    ///
    /// # Errors
    /// As [`Sae::logit_weights`]; there is no such token.
    pub fn direct_effects(
        &self,
        sae: &Sae,
        predictions: &Predictions,
        token: u32,
        k: usize,
    ) -> Result<LatentRanking> {
        let means = self.mean()?;
        let weights = sae.logit_weights(&predictions.model, 0..sae.cfg.d_sae as u32)?;
        if token as usize >= weights.dim(1)? {
            return Err(Error::new(format!(
                "token {token} is outside the vocabulary, which has {} tokens.",
                weights.dim(1)?
            )));
        }
        let weights: Vec<f32> = weights
            .narrow(1, token as usize, 1)?
            .squeeze(1)?
            .to_vec1()?;
        let effects: Vec<f32> = means
            .iter()
            .zip(weights)
            .map(|(mean, weight)| mean * weight)
            .collect();
        Ok(LatentRanking::largest(
            "mean direct effect",
            &effects,
            k,
            None,
        ))
    }

    /// Whether latents are active (above `threshold`) in the same prompts: the correlations of yes and no,
    /// `[latents, latents]` of `f32`. NaN for a latent that is active in all prompts or in none.
    ///
    /// # Errors
    /// There is no such latent.
    pub fn correlations(&self, latents: &[u32], threshold: f32) -> Result<Tensor> {
        let columns: Vec<Vec<f64>> = latents
            .iter()
            .map(|latent| {
                if *latent as usize >= self.values.dim(1)? {
                    return Err(Error::new(format!(
                        "latent {latent} is not there: there are latents 0 to {}.",
                        self.values.dim(1)?.saturating_sub(1)
                    )));
                }
                let column: Vec<f32> = self
                    .values
                    .narrow(1, *latent as usize, 1)?
                    .flatten_all()?
                    .to_vec1()?;
                let active = column
                    .iter()
                    .map(|value| f64::from(u8::from(*value > threshold)));
                let active: Vec<f64> = active.collect();
                let mean = active.iter().sum::<f64>() / active.len() as f64;
                Ok(active.iter().map(|value| value - mean).collect())
            })
            .collect::<Result<_>>()?;
        let product = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let mut correlations = Vec::with_capacity(columns.len().pow(2));
        for a in &columns {
            for b in &columns {
                let norms = (product(a, a) * product(b, b)).sqrt();
                correlations.push((product(a, b) / norms) as f32);
            }
        }
        let shape = (columns.len(), columns.len());
        Ok(Tensor::from_vec(correlations, shape, &Device::Cpu)?)
    }
}
