//! Which tokens something makes likelier, over many prompts.

use super::Predictions;
use crate::error::{Error, Result};
use crate::math::{log_softmax, top_k_of};
use crate::model::{HookedTransformer, Hooks};
use candle_core::{DType, Tensor};
use polars::prelude::{Column, DataFrame};

/// By how much each token is likelier as the model is than where something was removed.
#[derive(Clone, Debug)]
pub struct TokenBoosts {
    /// `[d_vocab]`, nats: the mean over prompts of the log-probability as the model is, minus that
    /// under the condition.
    pub values: Vec<f32>,
    model: HookedTransformer,
}

impl Predictions {
    /// Which tokens these hooks make less likely at the predicting position: what is removed there
    /// boosted them.
    ///
    /// # Errors
    /// Hooks fail, as where they ask for other positions.
    pub fn boosts(&self, hooks: impl Into<Hooks>) -> Result<TokenBoosts> {
        let hooks = hooks.into();
        let mut sum: Option<Tensor> = None;
        self.each_step("predictions compared", |_, _, step| {
            let log_probs = |hooks: &Hooks| -> Result<Tensor> {
                let logits = step.run().hooks(hooks).logits_at(-1)?;
                Ok(log_softmax(&logits.to_dtype(DType::F32)?)?)
            };
            let lost = (log_probs(&Hooks::new())? - log_probs(&hooks)?)?.sum(0)?; // [d_vocab]
            sum = Some(match sum.take() {
                Some(sum) => (sum + lost)?,
                None => lost,
            });
            Ok(())
        })?;
        let sum = sum.ok_or_else(|| Error::new("there are no prompts: give at least one."))?;
        Ok(TokenBoosts {
            values: (sum / self.len() as f64)?.to_vec1()?,
            model: self.model.clone(),
        })
    }
}

impl TokenBoosts {
    /// The `k` tokens that are boosted most, of those that occur at least `least` times in a corpus with
    /// these counts ([`Corpus::token_counts`](crate::data::Corpus::token_counts)): `token`, `boost`,
    /// `occurrences`. Rare tokens move most and say least; 0 keeps all.
    ///
    /// # Errors
    /// The table cannot be made.
    pub fn top(&self, k: usize, counts: &[u64], least: u64) -> Result<DataFrame> {
        let count = |token: usize| counts.get(token).copied().unwrap_or(0);
        let kept: Vec<f32> = self
            .values
            .iter()
            .enumerate()
            .map(|(token, boost)| match count(token) >= least {
                true => *boost,
                false => f32::NEG_INFINITY,
            })
            .collect();
        let top: Vec<(usize, f32)> = top_k_of(&kept, k)
            .into_iter()
            .filter(|(_, boost)| *boost > f32::NEG_INFINITY)
            .collect();
        let texts: Vec<String> = top
            .iter()
            .map(|(token, _)| {
                let text = self.model.to_single_str_token(*token as u32);
                text.unwrap_or_else(|_| token.to_string())
            })
            .collect();
        let boosts: Vec<f32> = top.iter().map(|(_, boost)| *boost).collect();
        let occurrences: Vec<u64> = top.iter().map(|(token, _)| count(*token)).collect();
        let columns = vec![
            Column::new("token".into(), &texts),
            Column::new("boost".into(), boosts),
            Column::new("occurrences".into(), occurrences),
        ];
        Ok(DataFrame::new(texts.len(), columns)?)
    }
}
