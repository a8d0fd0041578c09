//! Prompts that are run as they are, and then with interventions.

use super::{Effects, Measure};
use crate::emit::check_interrupt;
use crate::error::{Error, Result};
use crate::math::log_softmax;
use crate::model::{
    ActivationCache, HookPoint, HookedTransformer, Hooks, IntoFilter, NamesFilter, Run,
};
use crate::sae::Sae;
use candle_core::{DType, Tensor};
use std::fmt;

/// Prompts, what is to be looked at behind their last token, and what is seen there where nothing
/// intervenes.
///
/// ```
/// use ferrolens::analysis::Downstream;
/// use ferrolens::intervene::Intervention;
/// use ferrolens::model::HookedTransformer;
/// use ferrolens::sae::Sae;
/// let model = HookedTransformer::from_pretrained("stories-2l")?;
/// let sae = Sae::from_pretrained("stories-2l-relu", "blocks.1.hook_resid_post")?;
/// let prompts: Vec<Vec<u32>> = (0..4).map(|at| (10 + at..20 + at).collect()).collect();
/// let downstream = Downstream::new(&model, &prompts, "blocks.0.hook_resid_post", &[&sae])?;
///
/// let half = vec![Intervention::scale("blocks.0.hook_attn_out", 0.5).at(-1); prompts.len()];
/// let none = vec![Intervention::zero("blocks.0.hook_attn_out").at(-1); prompts.len()];
/// let half = downstream.effects("half", &half)?;
/// let none = downstream.effects("none", &none)?;
/// println!("{:?}", none.estimate("KL")?);
/// none.compare(&[&half])?.to_df()?;
/// # Ok::<(), ferrolens::Error>(())
/// ```
#[derive(Clone)]
pub struct Downstream {
    model: HookedTransformer,
    /// Without the token that is to be predicted.
    prompts: Vec<Vec<u32>>,
    targets: Vec<u32>,
    points: Vec<HookPoint>,
    saes: Vec<(HookPoint, Sae)>,
    kept: NamesFilter,
    clean: Vec<Seen>,
}

/// What there is to see in one run, at the last position.
#[derive(Clone)]
struct Seen {
    norms: Vec<f64>,
    /// `[d_vocab]`.
    log_probabilities: Vec<f32>,
    /// Activations of each autoencoder's latents.
    acts: Vec<Vec<f32>>,
    /// `|x - x̂| / |x|` of each autoencoder.
    errors: Vec<f64>,
}

impl Downstream {
    /// Runs the model on each row without its last token, which is the one to be predicted. At the last
    /// position of the rest are looked at: the norms at the hook points (of all heads together, where there
    /// are heads), the latents of the autoencoders (which only look), and the prediction.
    ///
    /// # Errors
    /// There is no row, one is shorter than two tokens, a hook point is not the model's, or an autoencoder
    /// does not fit.
    pub fn new(
        model: &HookedTransformer,
        rows: &[Vec<u32>],
        hook_points: impl IntoFilter,
        saes: &[&Sae],
    ) -> Result<Self> {
        let mut prompts = Vec::with_capacity(rows.len());
        let mut targets = Vec::with_capacity(rows.len());
        for (at, row) in rows.iter().enumerate() {
            let Some((target, prompt)) = row.split_last().filter(|(_, prompt)| !prompt.is_empty())
            else {
                return Err(Error::new(format!(
                    "row {at} has {} tokens: give a prompt and the token that is to be predicted, at least \
                     two.",
                    row.len()
                )));
            };
            prompts.push(prompt.to_vec());
            targets.push(*target);
        }
        let Some(first) = prompts.first() else {
            return Err(Error::new(
                "there are no prompts: give rows of token ids, such as `corpus.ids(0)?`.",
            ));
        };
        let watched = hook_points.into_filter();
        let points = model.cache_only(first, &watched)?.keys();
        let saes = saes.iter().map(|sae| {
            if sae.is_transcoder() {
                return Err(Error::new(format!(
                    "{} is a transcoder, and has no reconstruction of what it reads: leave it out.",
                    sae.name()
                )));
            }
            Ok((sae.hook_point(model)?, (*sae).clone()))
        });
        let saes = saes.collect::<Result<Vec<_>>>()?;
        let read: Vec<String> = saes.iter().map(|(point, _)| point.name()).collect();
        let names = points.iter().map(HookPoint::name);
        let mut this = Self {
            model: model.clone(),
            kept: names.chain(read).collect::<Vec<String>>().into_filter(),
            prompts,
            targets,
            points,
            saes,
            clean: Vec::new(),
        };
        this.clean = this
            .prompts
            .iter()
            .map(|prompt| this.see(model.run(prompt)))
            .collect::<Result<_>>()?;
        Ok(this)
    }

    /// What these interventions do, one a prompt.
    ///
    /// # Errors
    /// There are not as many as prompts, or one of them fails.
    pub fn effects<H>(&self, name: impl Into<String>, interventions: &[H]) -> Result<Effects>
    where
        for<'a> &'a H: Into<Hooks>,
    {
        if interventions.len() != self.prompts.len() {
            return Err(Error::new(format!(
                "{} interventions for {} prompts: give one for each, in their order.",
                interventions.len(),
                self.prompts.len()
            )));
        }
        let mut measures: Vec<Measure> = self.measures().map(Measure::empty).collect();
        for (at, (prompt, intervention)) in self.prompts.iter().zip(interventions).enumerate() {
            check_interrupt()?;
            let hooks: Hooks = intervention.into();
            let seen = self.see(self.model.run(prompt).hooks(hooks))?;
            let values = self.clean[at].to(&seen, self.targets[at] as usize);
            for (measure, value) in measures.iter_mut().zip(values) {
                measure.values.push(value);
            }
        }
        Ok(Effects {
            name: name.into(),
            measures,
        })
    }

    /// Names of what is measured, in the order of [`Seen::to`].
    fn measures(&self) -> impl Iterator<Item = String> {
        let of_point = |point: &HookPoint| {
            [
                format!("norm ratio, {point}"),
                format!("norm change, {point}"),
            ]
        };
        let of_sae = |(point, _): &(HookPoint, Sae)| {
            [
                format!("latents changed, {point}"),
                format!("error added, {point}"),
            ]
        };
        let of_points = self.points.iter().flat_map(of_point);
        of_points
            .chain(self.saes.iter().flat_map(of_sae))
            .chain(["KL".to_owned(), "loss added".to_owned()])
    }

    fn see(&self, run: Run) -> Result<Seen> {
        let run = run.cache(&self.kept).pos_slice(-1);
        let (logits, cache) = run.logits_at_and_cache(-1)?;
        let logits = log_softmax(&logits.to_dtype(DType::F32)?)?;
        let (mut acts, mut errors) = (Vec::new(), Vec::new());
        for (point, sae) in &self.saes {
            let x = sae.input_of(&cache.get(point)?)?;
            let of_x = sae.encode(&x)?;
            let recon = sae.decode_for(&of_x, &x)?.reshape(x.shape())?;
            acts.push(numbers(&of_x)?);
            errors.push(length(&(&x - recon)?)? / length(&x)?.max(f64::MIN_POSITIVE));
        }
        Ok(Seen {
            norms: self.norms(&cache)?,
            log_probabilities: numbers(&logits)?,
            acts,
            errors,
        })
    }

    fn norms(&self, cache: &ActivationCache) -> Result<Vec<f64>> {
        let points = self.points.iter();
        points.map(|point| length(&cache.get(point)?)).collect()
    }
}

impl Seen {
    /// What changes from this clean run to another.
    fn to(&self, other: &Self, target: usize) -> Vec<f64> {
        let mut values = Vec::new();
        for (clean, new) in self.norms.iter().zip(&other.norms) {
            let ratio = new / (clean + 1e-9);
            values.extend([ratio, (ratio - 1.).abs()]);
        }
        let saes = self.acts.iter().zip(&other.acts);
        for ((clean, new), (error, new_error)) in saes.zip(self.errors.iter().zip(&other.errors)) {
            let apart = |x: &f32, y: &f32| f64::from(x - y).powi(2);
            let moved: f64 = clean.iter().zip(new).map(|(x, y)| apart(x, y)).sum();
            let all: f64 = clean.iter().map(|x| f64::from(*x).powi(2)).sum();
            // Where nothing was active, a share of it has no meaning, and NaN is left out of means.
            values.extend([(moved / all).sqrt(), new_error - error]);
        }
        let pairs = self.log_probabilities.iter().zip(&other.log_probabilities);
        let divergence = pairs
            .map(|(clean, new)| f64::from(clean.exp()) * f64::from(clean - new))
            .sum();
        let of = |seen: &Self| {
            let chosen = seen.log_probabilities.get(target);
            chosen.copied().map_or(f64::NAN, f64::from)
        };
        values.extend([divergence, of(self) - of(other)]);
        values
    }
}

impl fmt::Debug for Downstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Downstream of {} prompts: norms at {} hook points, latents of {} autoencoders, predictions",
            self.prompts.len(),
            self.points.len(),
            self.saes.len()
        )
    }
}

fn numbers(x: &Tensor) -> Result<Vec<f32>> {
    let flat = x.flatten_all()?.to_dtype(DType::F32)?;
    Ok(flat.to_device(&candle_core::Device::Cpu)?.to_vec1()?)
}

pub(super) fn length(x: &Tensor) -> Result<f64> {
    let squares = numbers(x)?.into_iter().map(|x| f64::from(x).powi(2));
    Ok(squares.sum::<f64>().sqrt())
}
