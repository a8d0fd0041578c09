//! What latents are worth wherever they are active: the loss that their removal adds.

use super::average::Average;
use crate::analysis::LatentSweep;
use crate::data::{Corpus, TokenBatch};
use crate::emit::{self, check_interrupt};
use crate::error::{Error, Result};
use crate::intervene::{Intervention, Latents, Removal};
use crate::model::{ActivationCache, Answer, HookPoint, HookedTransformer};
use crate::sae::Sae;
use candle_core::{D, DType, Tensor};
use polars::prelude::{Column, DataFrame};
use std::fmt;

/// How many tokens, with padding, are run together.
const TOKENS: usize = 4096;

/// A position at which the latents in question are active.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ActivePosition {
    /// The prompt's number in the corpus.
    pub prompt: usize,
    /// The position.
    pub position: usize,
    /// The token that comes next.
    pub next: u32,
    /// How active the latents are there, together.
    pub activation: f32,
    /// The loss of predicting the next token, in nats.
    pub loss: f32,
    /// The same without the latents, which were removed from all positions.
    pub loss_without: f32,
    /// What the latents add to the next token's logit by the direct path.
    pub direct: f32,
}

/// Every position at which some latents are active, with the loss there with and without them.
#[derive(Clone)]
pub struct LossIncreases {
    /// In the order of prompts and positions.
    pub positions: Vec<ActivePosition>,
    corpus: Corpus,
}

impl LatentSweep {
    /// Goes over the sweep's corpus with and without these latents, and keeps the positions at which one
    /// of them is above `share` of its maximum (0: active at all). The last position of a prompt, which
    /// predicts nothing that is known, does not count.
    ///
    /// # Errors
    /// As [`Intervention::remove_latents`] and [`Sae::logit_weights`](crate::sae::Sae::logit_weights);
    /// a share outside 0 to 1.
    pub fn loss_increases(&self, latents: impl Into<Latents>, share: f32) -> Result<LossIncreases> {
        if !(0. ..1.).contains(&share) {
            return Err(Error::new(format!(
                "a share of {share} of the maximum cannot be: give 0 for all active positions, and less \
                 than 1."
            )));
        }
        let (model, sae, corpus) = (self.model(), self.sae(), self.corpus());
        let latents = latents.into().of(&sae)?;
        let study = Study {
            point: self.hook_point(),
            thresholds: self.thresholds(&latents, share)?,
            removal: Intervention::remove_latents(&sae, latents.clone(), Removal::AtOnce)?,
            directions: sae.residual_directions(&model, latents.clone())?,
            latents,
            model,
            sae,
        };
        let mut positions = Vec::new();
        let mut line = emit::Progress::new(corpus.tokens()).labelled("tokens with and without");
        for batch in corpus.batches(TOKENS)? {
            check_interrupt()?;
            line.advance(batch.tokens());
            if batch.width() > 1 {
                positions.extend(study.of_batch(&batch)?);
            }
        }
        line.end();
        positions.sort_by_key(|found| (found.prompt, found.position));
        Ok(LossIncreases { positions, corpus })
    }

    /// What each latent has to be above: `share` of its maximum.
    fn thresholds(&self, latents: &[u32], share: f32) -> Result<Vec<f32>> {
        if share == 0. {
            return Ok(vec![0.; latents.len()]);
        }
        let (known, maxima) = (self.latents(), self.max());
        let max_of = |latent: &u32| {
            let at = known.iter().position(|other| other == latent);
            at.and_then(|at| maxima.get(at)).map(|max| share * max)
        };
        latents
            .iter()
            .map(|latent| {
                max_of(latent).ok_or_else(|| {
                    Error::new(format!("the sweep was about other latents than {latent}."))
                })
            })
            .collect()
    }
}

/// Latents, and the same predictions with and without them.
struct Study {
    model: HookedTransformer,
    sae: Sae,
    point: HookPoint,
    latents: Vec<u32>,
    thresholds: Vec<f32>,
    removal: Intervention,
    /// What each latent adds to the residual stream, `[latents, d_model]`.
    directions: Tensor,
}

impl Study {
    /// The positions of a batch at which one of the latents is active and a token follows.
    fn of_batch(&self, batch: &TokenBatch) -> Result<Vec<ActivePosition>> {
        let (model, predicted) = (&self.model, batch.width() - 1);
        let kept = [self.point.name(), "ln_final.hook_scale".into()];
        let (logits, cache) = model.run(batch.input()).cache(kept).logits_and_cache()?;
        let read = self.sae.input_of(&cache.get(self.point)?)?;
        let acts = self.sae.encode_latents(&read, &self.latents)?;
        let acts = acts.to_dtype(DType::F32)?.to_device(&model.device())?;
        let acts = acts.narrow(1, 0, predicted)?.contiguous()?; // [batch, pos - 1, latents]
        let each: Vec<Vec<Vec<f32>>> = acts.to_vec3()?;
        if !each.iter().flatten().any(|acts| self.is_active(acts)) {
            return Ok(Vec::new());
        }
        let losses = model.loss_fn_per_token(&logits, batch.input())?;
        let run = model.run(batch.input()).hooks(&self.removal);
        let without = run.loss_per_token()?;
        let direct = self.direct(batch, &acts, &cache)?;
        let numbers = |tensor: &Tensor| -> Result<Vec<Vec<f32>>> {
            Ok(tensor.to_dtype(DType::F32)?.to_vec2()?)
        };
        let (losses, without) = (numbers(&losses)?, numbers(&without)?);
        let (direct, sums) = (numbers(&direct)?, numbers(&acts.sum(D::Minus1)?)?);
        let mut found = Vec::new();
        for (row, (prompt, length)) in batch.prompts.iter().zip(&batch.lengths).enumerate() {
            for position in 0..length.saturating_sub(1) {
                if self.is_active(&each[row][position]) {
                    found.push(ActivePosition {
                        prompt: *prompt,
                        position,
                        next: batch.rows[row].get(position + 1).copied().unwrap_or(0),
                        activation: sums[row][position],
                        loss: losses[row][position],
                        loss_without: without[row][position],
                        direct: direct[row][position],
                    });
                }
            }
        }
        Ok(found)
    }

    /// What the latents add to the logit of each next token, `[batch, pos - 1]`, from their activations.
    fn direct(&self, batch: &TokenBatch, acts: &Tensor, cache: &ActivationCache) -> Result<Tensor> {
        let (rows, predicted, width) = acts.dims3()?;
        let next = batch.rows.iter().flat_map(|row| &row[1..]).copied();
        let next: Vec<u32> = next.collect();
        let next = Tensor::from_vec(next, (rows, predicted), &self.model.device())?;
        let wrote = acts.reshape((rows * predicted, width))?;
        let wrote = wrote.matmul(&self.directions)?;
        let wrote = wrote.reshape((1, rows, predicted, ()))?; // [1, batch, pos - 1, d_model]
        let direct = cache.logit_attrs(
            &wrote.to_dtype(self.model.dtype())?,
            Answer::Tokens(next),
            None,
            ..predicted as isize,
        )?;
        Ok(direct.squeeze(0)?)
    }

    fn is_active(&self, acts: &[f32]) -> bool {
        let mut pairs = acts.iter().zip(&self.thresholds);
        pairs.any(|(act, threshold)| act > threshold)
    }
}

impl ActivePosition {
    /// By how much the loss is larger without the latents.
    pub fn increase(&self) -> f32 {
        self.loss_without - self.loss
    }
}

impl LossIncreases {
    /// Mean, spread and interval of the increases.
    pub fn estimate(&self) -> Average {
        Average::of(
            self.positions
                .iter()
                .map(|found| f64::from(found.increase())),
        )
    }

    /// The `k` positions with the largest increase, the largest first.
    pub fn largest(&self, k: usize) -> Self {
        let mut positions = self.positions.clone();
        positions.sort_by(|a, b| b.increase().total_cmp(&a.increase()));
        positions.truncate(k);
        self.with(positions)
    }

    /// Those that a condition holds for: `found.filter(|position| position.next == token)`.
    #[must_use]
    pub fn filter(&self, keep: impl Fn(&ActivePosition) -> bool) -> Self {
        let positions = self.positions.iter().filter(|found| keep(found));
        self.with(positions.copied().collect())
    }

    /// At most `k` positions, evenly spread over the order that they are in: to draw.
    pub fn thinned(&self, k: usize) -> Self {
        let count = self.positions.len();
        let k = k.min(count);
        let chosen = (0..k).filter_map(|at| self.positions.get(at * count / k));
        self.with(chosen.copied().collect())
    }

    /// A number of each position: `found.of(|position| position.activation)`.
    pub fn of(&self, part: impl Fn(&ActivePosition) -> f32) -> Vec<f32> {
        self.positions.iter().map(part).collect()
    }

    /// A row a position: `prompt`, `position`, `text` (what stands before the next token), `next`,
    /// `activation`, `loss`, `loss without`, `increase`, `direct`.
    ///
    /// # Errors
    /// The table cannot be made.
    pub fn to_df(&self) -> Result<DataFrame> {
        let (mut texts, mut next) = (vec![], vec![]);
        for found in &self.positions {
            let words = self.corpus.str_tokens(found.prompt)?;
            let end = (found.position + 1).min(words.len());
            let start = end.saturating_sub(SHOWN);
            texts.push(words[start..end].concat());
            next.push(words.get(end).cloned().unwrap_or_default());
        }
        let ids = |part: fn(&ActivePosition) -> usize| -> Vec<u64> {
            self.positions
                .iter()
                .map(|found| part(found) as u64)
                .collect()
        };
        let columns = vec![
            Column::new("prompt".into(), ids(|found| found.prompt)),
            Column::new("position".into(), ids(|found| found.position)),
            Column::new("text".into(), texts),
            Column::new("next".into(), next),
            Column::new("activation".into(), self.of(|found| found.activation)),
            Column::new("loss".into(), self.of(|found| found.loss)),
            Column::new("loss without".into(), self.of(|found| found.loss_without)),
            Column::new("increase".into(), self.of(ActivePosition::increase)),
            Column::new("direct".into(), self.of(|found| found.direct)),
        ];
        Ok(DataFrame::new(self.positions.len(), columns)?)
    }

    fn with(&self, positions: Vec<ActivePosition>) -> Self {
        Self {
            positions,
            corpus: self.corpus.clone(),
        }
    }
}

/// How many tokens of the text are shown.
const SHOWN: usize = 12;

impl fmt::Debug for LossIncreases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = self.estimate();
        write!(
            f,
            "LossIncreases({} positions, {:.4} ± {:.4} nats)",
            of.count, of.mean, of.std
        )
    }
}
