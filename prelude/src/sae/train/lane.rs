//! The training of one autoencoder: its weights, what its optimiser remembers, who is alive.

use super::adam::Adam;
use super::backward::{self, Outcome, StepInput};
use super::config::{DecoderNorm, GateTraining, PenaltyScale, TrainConfig};
use super::dead::{self, Activity, Seen};
use super::decoder;
use super::initial;
use super::noise::Noise;
use super::parameters::Parameters;
use super::penalty::Penalties;
use super::random::{Purpose, generator, mixed};
use super::schedule::warm_up;
use super::source::Place;
use crate::error::{Error, Result};
use crate::sae::Sae;
use crate::sae::config::{ActivationNorm, SaeConfig};
use crate::sae::gate::{BatchTopK, Gate, Gated, JumpRelu, Matryoshka, Nsae, TopK};
use candle_core::{DType, Device, Tensor};

/// One hook point's autoencoder in training.
#[derive(Clone, Debug)]
pub(super) struct Lane {
    pub(super) place: Place,
    /// Which one it is of those trained together.
    pub(super) index: usize,
    pub(super) weights: Parameters,
    pub(super) adam: Adam,
    pub(super) activity: Activity,
    pub(super) state: State,
}

/// Its numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct State {
    /// What activations are multiplied with.
    pub(super) factor: f64,
    /// The mean norm of activations, so multiplied.
    pub(super) mean_norm: f64,
    /// Batch-top-k's.
    pub(super) threshold: Option<f64>,
    /// Whether the first activations were seen.
    pub(super) started: bool,
    /// Whether the weights were given.
    pub(super) given: bool,
}

/// What an update did.
#[derive(Clone, Copy, Debug)]
pub(super) struct Updated {
    pub(super) learning_rate: f64,
    pub(super) gradient_norm: f64,
}

impl Lane {
    pub(super) fn new(
        config: &TrainConfig,
        place: &Place,
        index: usize,
        device: &Device,
    ) -> Result<Self> {
        let weights = initial::weights(config, place.width, index, device)?;
        Ok(Self {
            place: place.clone(),
            index,
            adam: Adam::new(&weights)?,
            weights,
            activity: Activity::new(config.d_sae),
            state: State {
                factor: 1.,
                mean_norm: 1.,
                threshold: None,
                started: false,
                given: false,
            },
        })
    }

    /// Takes what it must know from the first activations, `[n, d_in]`.
    pub(super) fn start(&mut self, config: &TrainConfig, x: &Tensor) -> Result<()> {
        let norms: Vec<f32> = x.sqr()?.sum(1)?.sqrt()?.to_vec1()?;
        let sum: f64 = norms.iter().map(|norm| f64::from(*norm)).sum();
        let mean = sum / norms.len().max(1) as f64;
        if !(mean.is_finite() && mean > 0.) {
            return Err(Error::new(format!(
                "the activations of `{}` have a mean norm of {mean}, so nothing can be trained on \
                 them: look whether they hold NaN or are all 0.",
                self.place.hook
            )));
        }
        self.state.factor = match config.normalize_activations {
            ActivationNorm::ExpectedAverageOnlyIn => (self.place.width as f64).sqrt() / mean,
            _ => 1.,
        };
        self.state.mean_norm = mean * self.state.factor;
        if self.state.given {
            // Weights for activations as the model has them.
            let weights = &mut self.weights;
            weights.W_enc = (&weights.W_enc / self.state.factor)?;
            weights.W_dec = (&weights.W_dec * self.state.factor)?;
            weights.b_dec = (&weights.b_dec * self.state.factor)?;
        } else if config.decoder_bias {
            let bias = initial::bias(config.bias_start, x)?;
            self.weights.b_dec = (bias * self.state.factor)?;
        }
        self.state.started = true;
        Ok(())
    }

    /// What coefficients of penalties are multiplied with in this step.
    pub(super) fn penalty_scale(&self, config: &TrainConfig, step: u64) -> f64 {
        let scale = match config.penalty_scale {
            PenaltyScale::One => 1.,
            PenaltyScale::SquaredMeanNorm => self.state.mean_norm.powi(2),
        };
        scale * warm_up(step, config.penalty_warm_up)
    }

    /// The loss of a batch `[n, d_in]` and its gradients; nothing changes.
    pub(super) fn pass(&self, config: &TrainConfig, x: &Tensor, step: u64) -> Result<Outcome> {
        let dead = match config.auxiliary {
            Some(_) => self.activity.dead(config.dead_after),
            None => Vec::new(),
        };
        let l0_coefficient = match &config.gate {
            GateTraining::JumpRelu(training) => {
                training.l0_coefficient * warm_up(step, config.penalty_warm_up)
            }
            _ => 0.,
        };
        let input = StepInput {
            config,
            penalties: Penalties::new(&config.penalties, self.penalty_scale(config, step)),
            l0_coefficient,
            dead: &dead,
            noise: self.noise(config, step),
        };
        let outcome = backward::pass(&self.weights, x, &input)?;
        if !outcome.losses.total().is_finite() {
            return Err(Error::new(format!(
                "the loss of `{}` is {} in step {}: the weights are those before this step. Lower \
                 `learning_rate` ({}) or the coefficients of penalties, set `gradient_clip`, or look \
                 for NaN in the activations; then go on from the last checkpoint or with \
                 `start_from(&trainer.sae()?)`.",
                self.place.hook,
                outcome.losses.total(),
                step + 1,
                config.learning_rate
            )));
        }
        Ok(outcome)
    }

    fn noise(&self, config: &TrainConfig, step: u64) -> Noise {
        match config.gate {
            GateTraining::Nsae { sigma } if sigma > 0. => Noise::Drawn {
                sigma,
                seed: mixed(
                    config.seed ^ ((self.index as u64) << 32),
                    Purpose::Noise,
                    step,
                ),
            },
            _ => Noise::None,
        }
    }

    /// Takes the step that the gradients ask for.
    pub(super) fn update(
        &mut self,
        config: &TrainConfig,
        outcome: &mut Outcome,
        step: u64,
        rows: usize,
    ) -> Result<Updated> {
        let unit = config.decoder_norm == DecoderNorm::Unit;
        let gradients = &mut outcome.gradients;
        if unit {
            gradients.W_dec = decoder::without_parallel(&gradients.W_dec, &self.weights.W_dec)?;
        }
        let mut squares = 0.;
        for (_, gradient) in gradients.named() {
            squares += backward::total(&gradient.sqr()?)?;
        }
        let gradient_norm = squares.sqrt();
        if !gradient_norm.is_finite() {
            return Err(Error::new(format!(
                "the gradient of `{}` is not finite in step {}: the weights are those before this \
                 step. Lower `learning_rate` ({}) or look for very large activations.",
                self.place.hook,
                step + 1,
                config.learning_rate
            )));
        }
        let scale = match config.gradient_clip {
            Some(largest) if gradient_norm > largest => largest / gradient_norm,
            _ => 1.,
        };
        let learning_rate = config.schedule().at(step);
        let weights = &mut self.weights;
        self.adam
            .step(weights, gradients, config, learning_rate, scale)?;
        if unit {
            weights.W_dec = decoder::normalized(&weights.W_dec)?;
        }
        for (name, value) in &mut weights.of_gate {
            if *name == "threshold" {
                *value = value.maximum(0.)?;
            }
        }
        self.activity.add(&outcome.counts, rows);
        if let GateTraining::BatchTopK { threshold_rate, .. }
        | GateTraining::Matryoshka { threshold_rate, .. } = &config.gate
            && let Some(smallest) = outcome.smallest
        {
            self.state.threshold = Some(match self.state.threshold {
                Some(threshold) => threshold + threshold_rate * (smallest - threshold),
                None => smallest,
            });
        }
        Ok(Updated {
            learning_rate,
            gradient_norm,
        })
    }

    /// Makes dead latents anew where it is time; `x` are activations as they are trained on.
    pub(super) fn resample(
        &mut self,
        config: &TrainConfig,
        x: &Tensor,
        step: u64,
    ) -> Result<usize> {
        let Some(resampling) = &config.resampling else {
            return Ok(0);
        };
        let done = step + 1;
        if !done.is_multiple_of(resampling.every) || done / resampling.every > resampling.times {
            return Ok(0);
        }
        let dead = self.activity.dead(config.dead_after.min(resampling.every));
        if dead.is_empty() {
            return Ok(0);
        }
        let left = (x - self.raw(config)?.forward(x)?)?;
        let losses: Vec<f32> = left.sqr()?.sum(1)?.to_vec1()?;
        let seen = match config.apply_b_dec_to_input {
            true => x.broadcast_sub(&self.weights.b_dec)?,
            false => x.clone(),
        };
        let count = step.wrapping_mul(1 << 10) + self.index as u64;
        let mut random = generator(config.seed, Purpose::Resampling, count);
        dead::resample(
            &mut self.weights,
            &mut self.adam,
            &mut self.activity,
            &dead,
            Seen {
                x: &seen,
                losses: &losses,
            },
            resampling,
            &mut random,
        )?;
        Ok(dead.len())
    }

    /// Starts from the weights of an autoencoder.
    ///
    /// # Errors
    /// It is of another size or kind.
    pub(super) fn start_from(&mut self, config: &TrainConfig, sae: &Sae) -> Result<()> {
        let place = &self.place;
        if sae.cfg.d_in != place.width || sae.cfg.d_out != place.width {
            return Err(Error::new(format!(
                "{} reads activations of width {} and writes {}, but those of `{}` have {}: start \
                 from one for this hook point.",
                sae.name(),
                sae.cfg.d_in,
                sae.cfg.d_out,
                place.hook,
                place.width
            )));
        }
        if sae.cfg.d_sae != config.d_sae {
            return Err(Error::new(format!(
                "{} has {} latents, but the config asks for {}: write `TrainConfig` with d_sae {}.",
                sae.name(),
                sae.cfg.d_sae,
                config.d_sae,
                sae.cfg.d_sae
            )));
        }
        if sae.cfg.apply_b_dec_to_input != config.apply_b_dec_to_input {
            return Err(Error::new(format!(
                "{} has apply_b_dec_to_input {}, but the config {}: make them the same with \
                 `.apply_b_dec_to_input({})`.",
                sae.name(),
                sae.cfg.apply_b_dec_to_input,
                config.apply_b_dec_to_input,
                sae.cfg.apply_b_dec_to_input
            )));
        }
        let other_kind = || {
            Error::new(format!(
                "{} has a gate of kind `{}`, which cannot be trained as {:?}: choose the config of \
                 its kind.",
                sae.name(),
                sae.gate.architecture(),
                config.gate
            ))
        };
        let device = self.weights.W_enc.device().clone();
        let own = |tensor: &Tensor| {
            let tensor = tensor.to_device(&device)?.to_dtype(DType::F32)?;
            Ok::<_, Error>(tensor.contiguous()?.copy()?)
        };
        let mut b_enc = own(&sae.b_enc)?;
        let mut of_gate = Vec::new();
        match (&config.gate, &sae.gate) {
            (GateTraining::JumpRelu(_), Gate::JumpRelu(gate)) => {
                of_gate.push(("threshold", own(&gate.threshold)?));
            }
            (GateTraining::Gated { .. }, Gate::Gated(gate)) => {
                b_enc = own(&gate.b_gate)?;
                of_gate.push(("r_mag", own(&gate.r_mag)?));
                of_gate.push(("b_mag", own(&gate.b_mag)?));
            }
            (GateTraining::Relu, Gate::Relu)
            | (GateTraining::TopK { .. }, Gate::TopK(_))
            | (GateTraining::Nsae { .. }, Gate::Nsae(_))
            | (GateTraining::Matryoshka { .. }, Gate::Matryoshka(_)) => {}
            (GateTraining::BatchTopK { .. }, Gate::BatchTopK(gate)) => {
                self.state.threshold = gate.threshold;
            }
            _ => return Err(other_kind()),
        }
        self.weights = Parameters {
            W_enc: own(&sae.W_enc.t()?)?,
            b_enc,
            W_dec: own(&sae.W_dec)?,
            b_dec: own(&sae.b_dec)?,
            of_gate,
        };
        self.adam = Adam::new(&self.weights)?;
        self.activity = Activity::new(config.d_sae);
        self.state.given = true;
        Ok(())
    }

    /// The autoencoder of activations as they are trained on.
    pub(super) fn raw(&self, config: &TrainConfig) -> Result<Sae> {
        let weights = self.weights.copied()?;
        let own = |name: &str| {
            let value = weights.of_gate(name).cloned();
            value.ok_or_else(|| Error::new(format!("there is no weight `{name}`.")))
        };
        let batch_top_k = |k: f64| {
            Gate::BatchTopK(BatchTopK {
                k,
                threshold: self.state.threshold,
                rescale_by_decoder_norm: false,
            })
        };
        let mut b_enc = weights.b_enc.clone();
        let gate = match &config.gate {
            GateTraining::Relu => Gate::Relu,
            GateTraining::Gated { .. } => {
                let b_gate = std::mem::replace(&mut b_enc, weights.b_enc.zeros_like()?);
                Gate::Gated(Gated {
                    r_mag: own("r_mag")?,
                    b_mag: own("b_mag")?,
                    b_gate,
                })
            }
            GateTraining::JumpRelu(_) => Gate::JumpRelu(JumpRelu {
                threshold: own("threshold")?,
            }),
            GateTraining::TopK { k } => Gate::TopK(TopK::new(*k)),
            GateTraining::BatchTopK { k, .. } => batch_top_k(*k),
            GateTraining::Matryoshka { prefixes, k, .. } => Gate::Matryoshka(Matryoshka {
                prefixes: prefixes.clone(),
                inner: Box::new(batch_top_k(*k)),
            }),
            GateTraining::Nsae { sigma } => Gate::Nsae(Nsae { sigma: *sigma }),
        };
        let mut cfg = SaeConfig::new(self.place.width, config.d_sae).hook_name(&self.place.hook);
        cfg.apply_b_dec_to_input = config.apply_b_dec_to_input;
        let W_enc = weights.W_enc.t()?.contiguous()?;
        Sae::new(cfg, W_enc, b_enc, weights.W_dec, weights.b_dec, gate)
    }

    /// The autoencoder of activations as the model has them.
    pub(super) fn sae(&self, config: &TrainConfig) -> Result<Sae> {
        let sae = self.raw(config)?;
        let mut sae = match self.state.factor == 1. {
            true => sae,
            false => sae.fold_activation_norm_scaling_factor(self.state.factor)?,
        };
        sae.cfg.hook_z = self.place.heads;
        match self.activity.counted {
            0 => Ok(sae),
            _ => {
                let log_sparsity = self.activity.log_sparsity();
                let device = sae.device();
                sae.with_log_sparsity(Tensor::new(log_sparsity, &device)?)
            }
        }
    }
}
