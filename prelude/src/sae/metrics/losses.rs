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
        let prompts = prompts.into();
        let prepared = self.model.prepare(&prompts, None, None)?;
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
        let counts =
            |row: usize, at: usize| real(row, at) && !self.excluded.contains(&ids[row][at]);
        let every = || (0..batch).flat_map(|row| (0..pos).map(move |at| (row, at)));
        // The prediction at a position is of the next token.
        let positions: Vec<bool> = every().map(|(row, at)| counts(row, at)).collect();
        let predictions: Vec<bool> = every()
            .map(|(row, at)| at + 1 < pos && counts(row, at) && real(row, at + 1))
            .collect();
        let counted = |mask: &[bool]| mask.iter().filter(|counts| **counts).count() as u64;
        if counted(&predictions) == 0 {
            return Err(Error::new(
                "the prompts predict no token that counts, so they have no loss: give longer ones.",
            ));
        }
        let clean = log_probabilities(self.model.run(&prompts))?;
        let of = |new: &Tensor| -> Result<(f64, f64)> {
            let targets = Tensor::cat(
                &[&tokens.narrow(1, 1, pos - 1)?, &tokens.narrow(1, 0, 1)?],
                1,
            )?;
            let chosen = new.gather(&targets.unsqueeze(D::Minus1)?.contiguous()?, D::Minus1)?;
            let divergence = (clean.exp()? * (&clean - new)?)?.sum(D::Minus1)?;
            Ok((
                -sum(&chosen.squeeze(D::Minus1)?, &predictions)?,
                sum(&divergence, &positions)?,
            ))
        };
        let ablated = |mean: bool| -> Result<Tensor> {
            let hooks = self.ablation(mean);
            log_probabilities(self.model.run(&prompts).hooks(&hooks))
        };
        let found = [
            of(&clean)?,
            of(&ablated(false)?)?,
            of(&ablated(true)?)?,
            of(&log_probabilities(self.spliced.run(&prompts))?)?,
        ];
        self.sums.predictions += counted(&predictions);
        self.sums.positions += counted(&positions);
        for (at, (loss, divergence)) in found.into_iter().enumerate() {
            self.sums.losses[at] += loss;
            self.sums.divergences[at] += divergence;
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
