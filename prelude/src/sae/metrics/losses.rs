//! What a model loses where an autoencoder's reconstruction stands in the place of an activation.

use super::report::LossReport;
use crate::error::{Error, Result};
use crate::math::log_softmax;
use crate::model::{HookPoint, HookedTransformer, Hooks, Input};
use crate::sae::{RunWithSaes, Sae};
use candle_core::{D, DType, Tensor};
use std::fmt;

/// Losses of a model as it is, and with its activation at an autoencoder's hook point replaced by zeros,
/// its mean, and its reconstruction.
///
/// Losses are means over predictions of real tokens, in nats; the Kullback-Leibler divergences are means
/// over positions. Source: SAELens's `get_downstream_reconstruction_metrics`.
///
/// ```
/// use ferrolens::model::HookedTransformer;
/// use ferrolens::sae::metrics::LossMetrics;
/// use ferrolens::sae::Sae;
/// let model = HookedTransformer::from_pretrained("stories-2l")?;
/// let sae = Sae::from_pretrained("stories-2l-relu", "blocks.1.hook_resid_post")?;
/// let mut metrics = LossMetrics::new(&model, &sae)?.exclude_bos()?;
/// for text in ["Lily saw a big cat.", "Tom had a red ball."] {
///     metrics.update(text)?;
/// }
/// let report = metrics.finish()?;
/// println!("loss recovered: {:.3}", report.loss_recovered());
/// # assert!(report.zero > report.clean && report.kl_zero > 0.);
/// # Ok::<(), ferrolens::Error>(())
/// ```
#[derive(Clone)]
pub struct LossMetrics {
    model: HookedTransformer,
    spliced: HookedTransformer,
    sae: Sae,
    point: HookPoint,
    excluded: Vec<u32>,
    mean: Option<Tensor>,
    sums: Sums,
}

/// Sums of losses and divergences: clean, zero, mean, reconstructed.
#[derive(Clone, Copy, Default)]
struct Sums {
    predictions: u64,
    positions: u64,
    losses: [f64; 4],
    divergences: [f64; 4],
}

impl LossMetrics {
    /// Nothing measured yet.
    ///
    /// # Errors
    /// The autoencoder has no hook point, one that the model does not have, or one of another width.
    pub fn new(model: &HookedTransformer, sae: &Sae) -> Result<Self> {
        Ok(Self {
            model: model.clone(),
            spliced: model.with_saes(sae)?,
            sae: sae.clone(),
            point: sae.hook_point_out(model)?,
            excluded: Vec::new(),
            mean: None,
            sums: Sums::default(),
        })
    }

    /// Without the beginning-of-sequence token: as [`LossMetrics::exclude_tokens`] with it.
    ///
    /// # Errors
    /// The model has no tokenizer, or one without such a token.
    pub fn exclude_bos(self) -> Result<Self> {
        let bos = self.model.tokenizer()?.bos().ok_or_else(|| {
            Error::new(
                "the model's tokenizer has no beginning-of-sequence token: name the tokens to leave out \
                 with `.exclude_tokens([..])`.",
            )
        })?;
        self.exclude_tokens([bos])
    }

    /// Without these tokens: their activation is not reconstructed, and neither the prediction made from
    /// them nor their divergence counts. Zeros and means stand in the place of all (SAELens's
    /// `exclude_special_tokens`).
    ///
    /// # Errors
    /// As [`LossMetrics::new`].
    pub fn exclude_tokens(mut self, tokens: impl Into<Vec<u32>>) -> Result<Self> {
        self.excluded.extend(tokens.into());
        let splice = self.sae.splice().exclude_tokens(self.excluded.clone());
        self.spliced = self.model.with_saes(splice)?;
        Ok(self)
    }

    /// With this mean, which broadcasts to the activation, instead of that of each batch's positions.
    #[must_use]
    pub fn mean(mut self, mean: &Tensor) -> Self {
        self.mean = Some(mean.clone());
        self
    }

    /// With these prompts too: four runs of the model.
    ///
    /// # Errors
    /// The prompts do not fit the model, or predict nothing.
    pub fn update(&mut self, prompts: impl Into<Input>) -> Result<()> {
        let clean = Clean::of(&self.model, prompts.into(), &self.excluded)?;
        let ablated = self.ablated(&clean)?;
        self.add(&clean, ablated)
    }

    /// What zeros and the mean at the hook point do to these predictions, whatever the autoencoder is.
    pub(super) fn ablated(&self, clean: &Clean) -> Result<[Outcome; 2]> {
        let of = |mean: bool| {
            let hooks = self.ablation(mean);
            clean.against(&log_probabilities(
                self.model.run(&clean.prompts).hooks(&hooks),
            )?)
        };
        Ok([of(false)?, of(true)?])
    }

    /// With these prompts too, of which it is known what zeros and the mean do: one run of the model.
    pub(super) fn add(&mut self, clean: &Clean, [zero, mean]: [Outcome; 2]) -> Result<()> {
        let recon = clean.against(&log_probabilities(self.spliced.run(&clean.prompts))?)?;
        let found = [clean.own, zero, mean, recon];
        self.sums.predictions += clean.count_predictions();
        self.sums.positions += counted(&clean.positions);
        for (at, outcome) in found.into_iter().enumerate() {
            self.sums.losses[at] += outcome.loss;
            self.sums.divergences[at] += outcome.divergence;
        }
        Ok(())
    }

    /// Zeros, or the mean, in the place of what the autoencoder writes.
    fn ablation(&self, takes_mean: bool) -> Hooks {
        let (sae, mean) = (self.sae.clone(), self.mean.clone());
        let is_head = sae.cfg.hook_head_index.is_some() && sae.cfg.hook_name_out.is_none();
        Hooks::new().add(
            self.point,
            move |value: &Tensor, _: &HookPoint| -> Result<Tensor> {
                let old = match is_head {
                    true => sae.input_of(value)?,
                    false => value.clone(),
                };
                let new = match (takes_mean, &mean) {
                    (false, _) => old.zeros_like()?,
                    (true, Some(mean)) => mean.to_dtype(old.dtype())?.broadcast_as(old.shape())?,
                    (true, None) => old.mean_keepdim((0, 1))?.broadcast_as(old.shape())?,
                };
                match is_head {
                    true => sae.put_back(value, &new.contiguous()?),
                    false => Ok(new.contiguous()?),
                }
            },
        )
    }

    /// The means over all prompts so far. More may follow.
    ///
    /// # Errors
    /// There were no prompts.
    pub fn finish(&self) -> Result<LossReport> {
        let sums = self.sums;
        if sums.predictions == 0 {
            return Err(Error::new(
                "nothing was measured: give prompts with `metrics.update(prompts)?` first.",
            ));
        }
        let [clean, zero, mean, recon] = sums.losses.map(|loss| loss / sums.predictions as f64);
        let [_, kl_zero, kl_mean, kl_recon] = sums
            .divergences
            .map(|divergence| divergence / sums.positions as f64);
        Ok(LossReport {
            predictions: sums.predictions,
            positions: sums.positions,
            clean,
            zero,
            mean,
            recon,
            kl_zero,
            kl_mean,
            kl_recon,
        })
    }
}

/// Sums over some predictions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outcome {
    loss: f64,
    divergence: f64,
}

/// What a model predicts for some prompts as it is, and which of these predictions count.
pub(super) struct Clean {
    pub(super) prompts: Input,
    /// `[batch, pos]`.
    tokens: Tensor,
    /// Whether the prediction at a position counts, which is of the next token.
    predictions: Vec<bool>,
    /// Whether a position is a real token that is not left out.
    positions: Vec<bool>,
    /// `[batch, pos, d_vocab]`.
    log_probabilities: Tensor,
    /// Of these predictions themselves.
    own: Outcome,
}

impl Clean {
    pub(super) fn of(model: &HookedTransformer, prompts: Input, excluded: &[u32]) -> Result<Self> {
        let run = model.run(&prompts);
        Self::after(model, prompts, excluded, log_probabilities(run)?)
    }

    /// The same where a run has given the logits already.
    pub(super) fn from_logits(
        model: &HookedTransformer,
        prompts: Input,
        excluded: &[u32],
        logits: &Tensor,
    ) -> Result<Self> {
        let log_probabilities = log_softmax(&logits.to_dtype(DType::F32)?)?;
        Self::after(model, prompts, excluded, log_probabilities)
    }

    fn after(
        model: &HookedTransformer,
        prompts: Input,
        excluded: &[u32],
        log_probabilities: Tensor,
    ) -> Result<Self> {
        let prepared = model.prepare(&prompts, None, None)?;
        let tokens = prepared.tokens.clone(); // [batch, pos]
        let (batch, pos) = tokens.dims2()?;
        let ids: Vec<Vec<u32>> = tokens.to_device(&candle_core::Device::Cpu)?.to_vec2()?;
        let real = |row: usize, at: usize| {
            let first = prepared.first.as_ref().map_or(0, |first| first[row]);
            let end = prepared
                .lengths
                .as_ref()
                .map_or(pos, |lengths| lengths[row]);
            (first..end).contains(&at)
        };
        let counts = |row: usize, at: usize| real(row, at) && !excluded.contains(&ids[row][at]);
        let every = || (0..batch).flat_map(|row| (0..pos).map(move |at| (row, at)));
        let positions: Vec<bool> = every().map(|(row, at)| counts(row, at)).collect();
        let predictions: Vec<bool> = every()
            .map(|(row, at)| at + 1 < pos && counts(row, at) && real(row, at + 1))
            .collect();
        if counted(&predictions) == 0 {
            return Err(Error::new(
                "the prompts predict no token that counts, so they have no loss: give longer ones.",
            ));
        }
        let nothing = Outcome {
            loss: 0.,
            divergence: 0.,
        };
        let mut clean = Self {
            prompts,
            tokens,
            predictions,
            positions,
            log_probabilities,
            own: nothing,
        };
        clean.own = clean.against(&clean.log_probabilities)?;
        Ok(clean)
    }

    /// The loss of other predictions, and how far they are from these.
    fn against(&self, new: &Tensor) -> Result<Outcome> {
        let pos = self.tokens.dim(1)?;
        let clean = &self.log_probabilities;
        let following = [
            &self.tokens.narrow(1, 1, pos - 1)?,
            &self.tokens.narrow(1, 0, 1)?,
        ];
        let targets = Tensor::cat(&following, 1)?;
        let chosen = new.gather(&targets.unsqueeze(D::Minus1)?.contiguous()?, D::Minus1)?;
        let divergence = (clean.exp()? * (clean - new)?)?.sum(D::Minus1)?;
        Ok(Outcome {
            loss: -sum(&chosen.squeeze(D::Minus1)?, &self.predictions)?,
            divergence: sum(&divergence, &self.positions)?,
        })
    }

    pub(super) fn count_predictions(&self) -> u64 {
        counted(&self.predictions)
    }

    /// 1 at each position that counts, else 0, `[batch * pos]`.
    pub(super) fn mask(&self) -> Result<Tensor> {
        let mask = self.positions.iter().map(|counts| u8::from(*counts));
        Ok(Tensor::new(
            mask.collect::<Vec<u8>>(),
            &candle_core::Device::Cpu,
        )?)
    }
}

fn counted(mask: &[bool]) -> u64 {
    mask.iter().filter(|counts| **counts).count() as u64
}

/// `[batch, pos, d_vocab]`, in `f32`.
fn log_probabilities(run: crate::model::Run) -> Result<Tensor> {
    Ok(log_softmax(&run.logits()?.to_dtype(DType::F32)?)?)
}

/// The sum of the entries that count, of `[batch, pos]`.
fn sum(values: &Tensor, counts: &[bool]) -> Result<f64> {
    let values: Vec<f32> = super::spread::on_host(&values.flatten_all()?)?;
    let counted = values.iter().zip(counts).filter(|(_, counts)| **counts);
    Ok(counted.map(|(value, _)| f64::from(*value)).sum())
}

impl fmt::Debug for LossMetrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "LossMetrics of {} after {} predictions",
            self.sae.name(),
            self.sums.predictions
        )
    }
}
