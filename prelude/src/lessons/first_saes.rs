//! Lesson 11: encode, decode, measure, name, ablate, splice, train.

use super::tensors::{difference, largest, near, values};
use super::verdict::Verdict;
use crate::error::{Error, Result};
use crate::intervene::{Intervention, Removal};
use crate::math::top_k_of;
use crate::model::{HookedTransformer, Input};
use crate::sae::metrics::{LossMetrics, SaeMetrics};
use crate::sae::{Gate, Sae};
use candle_core::{IndexOp, Tensor};

/// What an autoencoder of exercise 8 must reach on text that it was not trained on.
const MOST_ACTIVE: f64 = 40.;
const LEAST_EXPLAINED: f64 = 0.6;

/// The checks of the lesson about autoencoders, for one model, one ReLU autoencoder of it, and one prompt.
///
/// ```
/// use ferrolens::lessons::FirstSaes;
/// use ferrolens::model::HookedTransformer;
/// use ferrolens::sae::Sae;
/// let model = HookedTransformer::from_pretrained("stories-2l")?;
/// let sae = Sae::from_pretrained("stories-2l-relu", "blocks.1.hook_resid_post")?;
/// let check = FirstSaes::new(&model, &sae, "Once upon a time, there was a little dog")?;
/// let x = model.cache_only("Once upon a time, there was a little dog", "blocks.1.hook_resid_post")?;
/// let acts = sae.encode(&x["blocks.1.hook_resid_post"].squeeze(0)?)?; // [pos, d_sae]
/// assert!(check.encoded(Some(&acts))?.is_right());
/// # Ok::<(), ferrolens::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct FirstSaes {
    model: HookedTransformer,
    sae: Sae,
    prompt: String,
    /// `[pos, d_in]`.
    x: Tensor,
    /// `[pos, d_sae]`.
    acts: Tensor,
}

impl FirstSaes {
    /// The checks for this model, autoencoder and prompt.
    ///
    /// # Errors
    /// The autoencoder's gate is not a ReLU, it reads no hook point of the model, or the prompt does not fit the model.
    pub fn new(model: &HookedTransformer, sae: &Sae, prompt: &str) -> Result<Self> {
        if !matches!(sae.gate, Gate::Relu) {
            return Err(Error::new(format!(
                "this lesson computes with ReLU(…), and the gate of {} is {}: take a ReLU autoencoder, as \
                 `Sae::from_pretrained(\"stories-2l-relu\", \"blocks.1.hook_resid_post\")?`.",
                sae.name(),
                sae.gate.architecture()
            )));
        }
        let point = sae.hook_point(model)?;
        let x = model.cache_only(prompt, point)?.get(point)?;
        let x = sae.input_of(&x)?.squeeze(0)?;
        if x.dim(0)? < 2 {
            return Err(Error::new(
                "a prompt of one token predicts nothing that is known: choose a longer one.",
            ));
        }
        Ok(Self {
            acts: sae.encode(&x)?,
            model: model.clone(),
            sae: sae.clone(),
            prompt: prompt.to_owned(),
            x,
        })
    }

    /// Exercise 1: the activations of the latents on the prompt, from the weights: `ReLU((x - b_dec) W_enc + b_enc)`,
    /// `[pos, d_sae]`.
    ///
    /// # Errors
    /// The answer cannot be read from its device.
    pub fn encoded(&self, answer: Option<&Tensor>) -> Result<Verdict> {
        const AT: u32 = 1;
        let Some(answer) = answer else {
            return Ok(Verdict::open(AT));
        };
        let Some(said) = difference(answer, &self.acts, "[pos, d_sae]")? else {
            return Ok(Verdict::right(
                AT,
                format!(
                    "{:?}, and {} of them are not 0.",
                    self.acts.dims(),
                    count(&self.acts)?
                ),
            ));
        };
        let (sae, x) = (&self.sae, &self.x);
        let centred = x.broadcast_sub(&sae.b_dec)?;
        let slips = [
            (
                centred.matmul(&sae.W_enc)?.broadcast_add(&sae.b_enc)?,
                "the ReLU is missing: nothing may be below 0.",
            ),
            (
                centred.matmul(&sae.W_enc)?.relu()?,
                "the bias of the encoder, b_enc, is missing.",
            ),
            (
                x.matmul(&sae.W_enc)?.broadcast_add(&sae.b_enc)?.relu()?,
                "b_dec is not subtracted from the input. It is the point that everything is measured from.",
            ),
            (
                centred
                    .matmul(&sae.W_enc)?
                    .relu()?
                    .broadcast_add(&sae.b_enc)?,
                "the bias of the encoder comes before the ReLU, not after it.",
            ),
        ];
        for (slip, what) in slips {
            if difference(answer, &slip, "")?.is_none() {
                return Ok(Verdict::wrong(AT, what));
            }
        }
        Ok(Verdict::wrong(AT, said))
    }

    /// Exercise 2: L0, how many latents are active at a token on average, over all positions of the prompt.
    ///
    /// # Errors
    /// The activations cannot be read from their device.
    pub fn l0(&self, answer: Option<f64>) -> Result<Verdict> {
        const AT: u32 = 2;
        let Some(answer) = answer else {
            return Ok(Verdict::open(AT));
        };
        let (positions, d_sae) = self.acts.dims2()?;
        let active = count(&self.acts)? as f64;
        let right = active / positions as f64;
        Ok(if near(answer, right) {
            Verdict::right(
                AT,
                format!(
                    "{right:.1} of {d_sae} latents are active at a token, {:.1} %.",
                    100. * right / d_sae as f64
                ),
            )
        } else if near(answer, active) {
            Verdict::wrong(
                AT,
                "that is how many are active at all positions together; asked is how many at one, on average.",
            )
        } else if near(answer, right / d_sae as f64) {
            Verdict::wrong(
                AT,
                "that is the share of latents that are active; asked is how many.",
            )
        } else if near(
            answer,
            f64::from(self.acts.sum_all()?.to_scalar::<f32>()?) / positions as f64,
        ) {
            Verdict::wrong(
                AT,
                "that is L1, the sum of activations. L0 counts those that are not 0: `acts.gt(0.)?`.",
            )
        } else {
            Verdict::wrong(
                AT,
                format!(
                    "{answer:.3} is not it: count the activations above 0 and divide by the number of positions, {positions}."
                ),
            )
        })
    }

    /// Exercise 3: explained variance of the reconstruction over the prompt, `1 - Σ |x - x̂|² / Σ |x - mean x|²`, with
    /// the mean over positions.
    ///
    /// # Errors
    /// The activations cannot be read from their device.
    pub fn explained_variance(&self, answer: Option<f64>) -> Result<Verdict> {
        const AT: u32 = 3;
        let Some(answer) = answer else {
            return Ok(Verdict::open(AT));
        };
        let squares = |of: &Tensor| -> Result<f64> {
            Ok(f64::from(of.sqr()?.sum_all()?.to_scalar::<f32>()?))
        };
        let error = squares(&self.x.sub(&self.sae.decode(&self.acts)?)?)?;
        let spread = squares(&self.x.broadcast_sub(&self.x.mean_keepdim(0)?)?)?;
        let right = 1. - error / spread;
        Ok(if near(answer, right) {
            Verdict::right(
                AT,
                format!(
                    "{right:.3}: the latents say {:.0} % of what is different between tokens.",
                    100. * right
                ),
            )
        } else if near(answer, 1. - error / squares(&self.x)?) {
            Verdict::wrong(
                AT,
                "the denominator is the spread around the mean over positions, not around 0: what all tokens share is no news.",
            )
        } else if near(answer, error / spread) {
            Verdict::wrong(
                AT,
                "that is the part that is not explained: subtract it from 1.",
            )
        } else if near(
            answer,
            1. - squares(&self.x.sub(&self.acts.matmul(&self.sae.W_dec)?)?)? / spread,
        ) {
            Verdict::wrong(
                AT,
                "b_dec is missing in the reconstruction: `acts W_dec + b_dec`, or `sae.decode(&acts)?`.",
            )
        } else {
            Verdict::wrong(
                AT,
                format!(
                    "{answer:.4} is not it. Sums go over positions and dimensions; `sae.decode(&acts)?` is x̂."
                ),
            )
        })
    }

    /// Exercise 4: the latent that is most active at the last position but one, from which the prompt's last token is
    /// predicted.
    ///
    /// # Errors
    /// The activations cannot be read from their device.
    pub fn strongest(&self, answer: Option<u32>) -> Result<Verdict> {
        const AT: u32 = 4;
        let Some(answer) = answer else {
            return Ok(Verdict::open(AT));
        };
        let last = self.where_it_counts()?;
        let right = self.strongest_where_it_counts()?;
        let Some(act) = last.get(answer as usize) else {
            return Ok(Verdict::wrong(
                AT,
                format!(
                    "there is no latent {answer}: the last of {} is {}.",
                    last.len(),
                    last.len() - 1
                ),
            ));
        };
        let most = last[right as usize];
        Ok(if answer == right {
            Verdict::right(AT, format!("latent {right} is active by {most:.2}."))
        } else if *act > 0. {
            Verdict::wrong(
                AT,
                format!(
                    "latent {answer} is active by {act:.2}, and there is one with {most:.2}. The last position is `acts.dim(0)? - 1`, the one before it is asked."
                ),
            )
        } else {
            Verdict::wrong(
                AT,
                format!(
                    "latent {answer} is not active at the last position but one; the strongest has {most:.2}."
                ),
            )
        })
    }

    /// Exercise 5: the five tokens whose logits this latent raises most, strongest first.
    ///
    /// # Errors
    /// There is no direct path from the autoencoder's hook point to the logits.
    pub fn promoted(&self, answer: Option<&[String]>) -> Result<Verdict> {
        const AT: u32 = 5;
        let Some(answer) = answer else {
            return Ok(Verdict::open(AT));
        };
        let latent = self.strongest_where_it_counts()?;
        let weights = values(&self.sae.logit_weights(&self.model, latent)?)?;
        let name = |token: usize| self.model.to_single_str_token(token as u32);
        let right = top_k_of(&weights, 5)
            .into_iter()
            .map(|(token, _)| name(token))
            .collect::<Result<Vec<_>>>()?;
        let lowered: Vec<f32> = weights.iter().map(|weight| -weight).collect();
        let lowered = top_k_of(&lowered, 5)
            .into_iter()
            .map(|(token, _)| name(token))
            .collect::<Result<Vec<_>>>()?;
        let (mut sorted, mut wanted) = (answer.to_vec(), right.clone());
        sorted.sort();
        wanted.sort();
        Ok(if answer == right {
            Verdict::right(AT, format!("latent {latent} writes towards {right:?}."))
        } else if answer == lowered {
            Verdict::wrong(AT, "those are the five that it lowers most.")
        } else if sorted == wanted {
            Verdict::wrong(AT, "these are the tokens; the strongest comes first.")
        } else if answer.len() != 5 {
            Verdict::wrong(
                AT,
                format!("five tokens are asked; there are {}.", answer.len()),
            )
        } else {
            let stranger = answer.iter().find(|token| !right.contains(token));
            let stranger = stranger.map(String::as_str).unwrap_or_default();
            Verdict::wrong(
                AT,
                format!(
                    "{stranger:?} is not among them. The direction is row {latent} of W_dec; times W_U it is what it adds to the logits."
                ),
            )
        })
    }

    /// Exercise 6: what the mean loss of the prompt rises by when that latent is removed at all positions.
    ///
    /// # Errors
    /// The prompt is a single token.
    pub fn added_loss(&self, answer: Option<f32>) -> Result<Verdict> {
        const AT: u32 = 6;
        let Some(answer) = answer else {
            return Ok(Verdict::open(AT));
        };
        let latent = self.strongest_where_it_counts()?;
        let removal = Intervention::remove_latents(&self.sae, latent, Removal::AtOnce)?;
        let clean = self.model.loss(self.prompt.as_str())?;
        let loss = |hooks: Intervention| self.model.run(self.prompt.as_str()).hooks(hooks).loss();
        let without = loss(removal.clone())?;
        let right = without - clean;
        let close = |value: f32| (answer - value).abs() <= 2e-4 + 1e-3 * value.abs();
        Ok(if close(right) {
            Verdict::right(
                AT,
                format!(
                    "the loss goes from {clean:.4} to {without:.4} nats without latent {latent}."
                ),
            )
        } else if close(without) {
            Verdict::wrong(
                AT,
                "that is the loss without the latent; asked is what it rises by.",
            )
        } else if close(-right) {
            Verdict::wrong(
                AT,
                "the sign is the other way round: with the removal minus without.",
            )
        } else if close(loss(removal.at(-2))? - clean) {
            Verdict::wrong(
                AT,
                "that is a removal at one position only. Remove it at all positions.",
            )
        } else if close(
            self.model
                .run(self.prompt.as_str())
                .hooks(Intervention::reconstruct(
                    &self.sae,
                    crate::intervene::ErrorTerm::Dropped,
                )?)
                .loss()?
                - clean,
        ) {
            Verdict::wrong(
                AT,
                "that is what the whole reconstruction costs; only one latent goes, the error of the reconstruction stays.",
            )
        } else {
            Verdict::wrong(
                AT,
                format!(
                    "{answer:.4} is not it. `Intervention::remove_latents(&sae, {latent}, Removal::AtOnce)?` as hooks of a run, and its loss minus the clean one."
                ),
            )
        })
    }

    /// Exercise 7: the share of the loss that the reconstruction recovers, `(zero - reconstructed) / (zero - clean)`, on
    /// these prompts.
    ///
    /// # Errors
    /// A prompt does not fit the model.
    pub fn loss_recovered(
        &self,
        prompts: impl Into<Input>,
        answer: Option<f64>,
    ) -> Result<Verdict> {
        const AT: u32 = 7;
        let Some(answer) = answer else {
            return Ok(Verdict::open(AT));
        };
        let mut losses = LossMetrics::new(&self.model, &self.sae)?;
        losses.update(prompts)?;
        let report = losses.finish()?;
        let right = report.loss_recovered();
        Ok(if near(answer, right) {
            Verdict::right(
                AT,
                format!(
                    "clean {:.3}, reconstructed {:.3}, zeros {:.3} nats: {:.1} % recovered.",
                    report.clean,
                    report.recon,
                    report.zero,
                    100. * right
                ),
            )
        } else if near(answer, 1. - right) {
            Verdict::wrong(
                AT,
                "that is the share that is lost: zeros are at 0, the clean model is at 1.",
            )
        } else if near(answer, report.clean / report.recon) {
            Verdict::wrong(
                AT,
                "a ratio of losses has no zero to start from: compare with the loss when the hook point is zero.",
            )
        } else if near(answer, report.loss_recovered_from_mean()) {
            Verdict::wrong(
                AT,
                "that is measured from mean ablation; asked is from zeros.",
            )
        } else {
            Verdict::wrong(
                AT,
                format!(
                    "{answer:.4} is not it. Three losses are needed: clean, with `Intervention::zero`, and with `sae` spliced in (`model.with_saes(&sae)?`)."
                ),
            )
        })
    }

    /// Exercise 8: an autoencoder of your own for the same hook point. On the prompts of the check, which are not for
    /// training, it is to have at most 40 latents active at a token and to explain 60 % of the variance.
    ///
    /// # Errors
    /// It does not fit the model.
    pub fn trained(&self, held_out: impl Into<Input>, answer: Option<&Sae>) -> Result<Verdict> {
        const AT: u32 = 8;
        let Some(answer) = answer else {
            return Ok(Verdict::open(AT));
        };
        let (asked, given) = (
            self.sae.hook_point(&self.model)?,
            answer.hook_point(&self.model)?,
        );
        if asked.name() != given.name() {
            return Ok(Verdict::wrong(
                AT,
                format!(
                    "it reads `{}`; asked is one for `{}`.",
                    given.name(),
                    asked.name()
                ),
            ));
        }
        if same(answer, &self.sae)? {
            return Ok(Verdict::wrong(
                AT,
                "that is the one that ships with ferrolens. Train one: it takes a minute.",
            ));
        }
        let mut metrics = SaeMetrics::new(answer);
        let x = self.model.cache_only(held_out, asked)?.get(asked)?;
        metrics.update(&answer.input_of(&x)?)?;
        let report = metrics.finish()?;
        let said = format!(
            "L0 {:.1}, explained variance {:.3}, {:.0} % of {} latents alive",
            report.l0,
            report.explained_variance,
            100. * report.density.fraction_alive(),
            answer.cfg.d_sae
        );
        Ok(if report.l0 > MOST_ACTIVE {
            Verdict::wrong(
                AT,
                format!(
                    "{said}: more than {MOST_ACTIVE} latents are active. Raise the penalty, `.l1(…)`."
                ),
            )
        } else if report.explained_variance < LEAST_EXPLAINED {
            Verdict::wrong(
                AT,
                format!(
                    "{said}: less than {LEAST_EXPLAINED} is explained. More steps, or a smaller penalty, or more latents."
                ),
            )
        } else {
            Verdict::right(AT, format!("{said}."))
        })
    }

    /// What each latent has at the last position but one: the last from which a token is predicted that is known.
    fn where_it_counts(&self) -> Result<Vec<f32>> {
        values(&self.acts.i(self.acts.dim(0)? - 2)?)
    }

    fn strongest_where_it_counts(&self) -> Result<u32> {
        Ok(largest(&self.where_it_counts()?) as u32)
    }
}

/// How many activations are not 0.
fn count(acts: &Tensor) -> Result<usize> {
    Ok(values(acts)?.iter().filter(|act| **act != 0.).count())
}

fn same(left: &Sae, right: &Sae) -> Result<bool> {
    Ok(left.cfg.d_sae == right.cfg.d_sae && difference(&left.W_dec, &right.W_dec, "")?.is_none())
}
