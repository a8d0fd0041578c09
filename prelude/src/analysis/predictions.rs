//! Single predictions, and what they come from: which components, which latents, what if those were not there.
//!
//! A [`Predictions`] holds prompts whose last token is the answer: everything is asked about the position
//! before it, which predicts it. All earlier positions are computed once, so that one more ablation costs
//! one token a prompt.
//!
//! | I want to… | use |
//! | --- | --- |
//! | ablate, patch or steer at that position, and compare losses, logits and ranks | [`Predictions::compare`], [`AnswerTable`] |
//! | remove one latent after the other | [`Predictions::compare_removals`] |
//! | see which tokens become likelier | [`Predictions::boosts`] |
//! | know which components raise the answer's logit | [`Predictions::attributions`] |
//! | split that of an activation into reconstruction and remainder | [`Predictions::reconstruction_attributions`] |
//! | know which latents are active there, or would be | [`Predictions::activations`], [`Predictions::activations_under`] |
//! | know which earlier components activate a latent | [`Predictions::latent_sources`], [`Inactive`] |
//! | know which earlier latents move a later one | [`Predictions::upstream_effects`] |
//! | find pairs of latents by their weights | [`Sae::links_to`](crate::sae::Sae::links_to) |
//! | know what a latent is worth wherever it is active | [`LatentSweep::loss_increases`](crate::analysis::LatentSweep::loss_increases) |

// The papers' symbols (W_in, b_U) are the names of weights.
#![allow(non_snake_case)]

mod activations;
mod attributions;
mod average;
mod boosts;
mod compare;
mod increases;
mod links;
mod sources;
mod table;
mod upstream;

pub use activations::AnswerActivations;
pub use attributions::ComponentAttributions;
pub use average::Average;
pub use boosts::TokenBoosts;
pub use increases::{ActivePosition, LossIncreases};
pub use links::LatentLinks;
pub use sources::Inactive;
pub use table::{AnswerChanges, AnswerOutcomes, AnswerTable};
pub use upstream::{UpstreamEffect, UpstreamEffects};

use super::last_step::{self, LastStep};
use crate::data::Corpus;
use crate::emit::{self, check_interrupt};
use crate::error::{Error, Result};
use crate::model::HookedTransformer;
use candle_core::Tensor;
use std::fmt;

/// How many tokens, with padding, are run together.
const TOKENS: usize = 4096;

/// From how many prompts on it is said how far the work is.
const WORTH_A_LINE: usize = 500;

/// Prompts, each with a token whose prediction is asked about: the one that ends it.
///
/// ```
/// use ferrolens::{analysis::Predictions, data::Corpus, intervene::Intervention};
/// use ferrolens::model::HookedTransformer;
/// let model = HookedTransformer::from_pretrained("stories-2l")?;
/// let prompts = Corpus::new(&model, ["Once upon a time", "Lily and Tom like to play"])?;
/// let predictions = Predictions::new(&model, &prompts)?;
/// // Hooks see only the position that predicts the last token.
/// let no_mlp = Intervention::zero("blocks.0.hook_mlp_out");
/// let table = predictions.compare([("no first MLP", &no_mlp)])?;
/// println!("{}", table.to_df()?);
/// assert!(table.mean_loss("no first MLP")? != table.mean_loss("original")?);
/// # Ok::<(), ferrolens::Error>(())
/// ```
#[derive(Clone)]
pub struct Predictions {
    model: HookedTransformer,
    prompts: Corpus,
    answer: Option<u32>,
}

impl Predictions {
    /// The predictions of these prompts' last tokens.
    ///
    /// # Errors
    /// A prompt has only one token, which nothing predicts, or more than the model reads.
    pub fn new(model: &HookedTransformer, prompts: &Corpus) -> Result<Self> {
        let n_ctx = model.config().n_ctx;
        for (prompt, length) in prompts.lengths().into_iter().enumerate() {
            if !(2..=n_ctx).contains(&length) {
                return Err(Error::new(format!(
                    "prompt {prompt} has {length} tokens: the prediction of its last one needs 2 to n_ctx \
                     = {n_ctx}; `corpus.select(..)` leaves prompts out."
                )));
            }
        }
        Ok(Self {
            model: model.clone(),
            prompts: prompts.clone(),
            answer: None,
        })
    }

    /// The same positions, asked about this token, whatever the prompts' last ones are.
    ///
    /// # Errors
    /// The model has no such token.
    pub fn of_token(mut self, token: u32) -> Result<Self> {
        let d_vocab = self.model.config().d_vocab_out;
        if token as usize >= d_vocab {
            return Err(Error::new(format!(
                "token {token} is outside the vocabulary of {}, which has {d_vocab} tokens.",
                self.model.config().model_name
            )));
        }
        self.answer = Some(token);
        Ok(self)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.prompts.len()
    }

    /// Whether there are none: never, as a corpus holds at least one prompt.
    pub fn is_empty(&self) -> bool {
        self.prompts.is_empty()
    }

    /// The prompts, each with its last token.
    pub fn prompts(&self) -> Corpus {
        self.prompts.clone()
    }

    /// The token that each prompt is asked about.
    pub fn answers(&self) -> Vec<u32> {
        let last = |prompt| self.prompts.row(prompt).last().copied().unwrap_or(0);
        let answers = 0..self.len();
        answers
            .map(|prompt| self.answer.unwrap_or_else(|| last(prompt)))
            .collect()
    }

    /// Runs each prompt up to the position in question, together with others of similar length, and
    /// gives `each` the prompts' numbers, their answers and what is left to do.
    fn each_step(
        &self,
        label: &str,
        mut each: impl FnMut(&[usize], &[u32], &LastStep) -> Result<()>,
    ) -> Result<()> {
        let answers = self.answers();
        let is_long = self.len() >= WORTH_A_LINE;
        let mut line = is_long.then(|| emit::Progress::new(self.len()).labelled(label));
        for batch in last_step::batches(&self.prompts.lengths(), TOKENS) {
            check_interrupt()?;
            let rows: Vec<&[u32]> = batch
                .iter()
                .map(|prompt| {
                    let row = self.prompts.row(*prompt);
                    &row[..row.len().saturating_sub(1)]
                })
                .collect();
            let step = LastStep::of(&self.model, &rows)?;
            let asked: Vec<u32> = batch.iter().map(|prompt| answers[*prompt]).collect();
            each(&batch, &asked, &step)?;
            if let Some(line) = &mut line {
                line.advance(batch.len());
            }
        }
        if let Some(line) = &mut line {
            line.end();
        }
        Ok(())
    }

    /// One row a prompt, `[prompt, ..]`, of what `each` gives for the rows of a batch.
    fn rows(
        &self,
        label: &str,
        mut each: impl FnMut(&[u32], &LastStep) -> Result<Tensor>,
    ) -> Result<Tensor> {
        let (mut order, mut parts) = (Vec::with_capacity(self.len()), Vec::new());
        self.each_step(label, |batch, answers, step| {
            order.extend_from_slice(batch);
            parts.push(each(answers, step)?);
            Ok(())
        })?;
        let mut places = vec![0u32; order.len()];
        for (place, prompt) in order.into_iter().enumerate() {
            places[prompt] = place as u32;
        }
        let all = Tensor::cat(&parts, 0)?;
        Ok(all.index_select(&Tensor::new(places, all.device())?, 0)?)
    }
}

impl fmt::Debug for Predictions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Predictions({} of {:?}", self.len(), self.prompts)?;
        match self.answer {
            Some(token) => write!(f, ", asked about token {token})"),
            None => f.write_str(")"),
        }
    }
}
