//! What latents are worth wherever they are active: the loss that their removal adds.

use super::average::Average;
use crate::analysis::LatentSweep;
use crate::data::Corpus;
use crate::emit::{self, check_interrupt};
use crate::error::{Error, Result};
use crate::intervene::{Intervention, Latents, Removal};
use crate::model::Answer;
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
        let (model, sae, corpus, point) =
            (self.model(), self.sae(), self.corpus(), self.hook_point());
        let latents = latents.into().of(&sae)?;
        let thresholds = self.thresholds(&latents, share)?;
        let removal = Intervention::remove_latents(&sae, latents.clone(), Removal::AtOnce)?;
        let directions = sae.residual_directions(&model, latents.clone())?; // [latents, d_model]
        let mut positions = Vec::new();
        let mut line = emit::Progress::new(corpus.tokens()).labelled("tokens with and without");
        for batch in corpus.batches(TOKENS)? {
            check_interrupt()?;
            line.advance(batch.tokens());
            if batch.width() < 2 {
                continue;
            }
            let predicted = batch.width() - 1;
            let cache = model
                .run(batch.input())
                .cache([point.name(), "ln_final.hook_scale".into()]);
            let (logits, cache) = cache.logits_and_cache()?;
            let acts = sae.encode_latents(&sae.input_of(&cache.get(point)?)?, &latents)?;
            let acts = acts.to_dtype(DType::F32)?.to_device(&model.device())?;
            let acts = acts.narrow(1, 0, predicted)?.contiguous()?; // [batch, pos - 1, latents]
            let of_batch: Vec<Vec<Vec<f32>>> = acts.to_vec3()?;
            let is_active = |acts: &[f32]| {
                let mut pairs = acts.iter().zip(&thresholds);
                pairs.any(|(act, threshold)| act > threshold)
            };
            if !of_batch.iter().flatten().any(|acts| is_active(acts)) {
                continue;
            }
            let losses = model.loss_fn_per_token(&logits, batch.input())?;
            let without = model.run(batch.input()).hooks(&removal).loss_per_token()?;
            let next: Vec<u32> = batch
                .rows
                .iter()
                .flat_map(|row| row[1..].to_vec())
                .collect();
            let next = Tensor::from_vec(next, (batch.rows.len(), predicted), &model.device())?;
            let (rows, width) = (batch.rows.len() * predicted, latents.len());
            let wrote = acts.reshape((rows, width))?.matmul(&directions)?;
            let wrote = wrote
                .reshape((batch.rows.len(), predicted, ()))?
                .to_dtype(model.dtype())?;
            let direct = cache.logit_attrs(
                &wrote.unsqueeze(0)?,
                Answer::Tokens(next),
                None,
                ..predicted as isize,
            )?;
            let numbers = |tensor: &Tensor| -> Result<Vec<Vec<f32>>> {
                Ok(tensor.to_dtype(DType::F32)?.to_vec2()?)
            };
            let (losses, without) = (numbers(&losses)?, numbers(&without)?);
            let (direct, sums) = (
                numbers(&direct.squeeze(0)?)?,
                numbers(&acts.sum(D::Minus1)?)?,
            );
            for (row, (prompt, length)) in batch.prompts.iter().zip(&batch.lengths).enumerate() {
                for position in 0..length.saturating_sub(1) {
                    if is_active(&of_batch[row][position]) {
                        positions.push(ActivePosition {
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
