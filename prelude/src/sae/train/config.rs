//! What is trained, how, and for how long.

use super::penalty::Penalty;
use super::schedule::{Decay, LearningRate};
use crate::error::{Error, Result};
use crate::sae::config::ActivationNorm;
use serde::{Deserialize, Serialize};

/// The choices of a training. Start from the kind of autoencoder and change what should be otherwise.
///
/// ```
/// use ferrolens::sae::train::{Decay, TrainConfig};
/// let config = TrainConfig::relu(4096)
///     .l1(0.3)
///     .penalty_warm_up(500)
///     .steps(10_000)
///     .learning_rate(4e-4)
///     .decay(Decay::Cosine)
///     .seed(7);
/// assert_eq!(config.batch_size, 4096);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainConfig {
    /// The number of latents.
    pub d_sae: usize,
    /// How activations follow from pre-activations, with what is only chosen in training.
    pub gate: GateTraining,
    /// What is added to the squared error, each with its coefficient. L1 with 1 for ReLU and gated
    /// autoencoders (SAELens's `l1_coefficient`), nothing for the others.
    pub penalties: Vec<(Penalty, f64)>,
    /// Over how many steps the coefficients of penalties, and JumpReLU's of L0, grow in a line from 0:
    /// 0 (SAELens's `l1_warm_up_steps`).
    pub penalty_warm_up: u64,
    /// What the coefficients of penalties are multiplied with: 1, but for NSAE.
    pub penalty_scale: PenaltyScale,
    /// Whether penalties see activations multiplied by the norms of their decoder rows, so that they
    /// cannot be lowered by a larger decoder (Anthropic, April 2024; SAELens). True where the decoder's
    /// norms are free, but for NSAE, whose activations are below 1.
    pub penalty_sees_decoder_norm: bool,
    /// Steps planned: 10,000. Schedules end there; training may go on.
    pub steps: u64,
    /// Activations a step: 4096 (SAELens's `train_batch_size_tokens`).
    pub batch_size: usize,
    /// 3e-4 (SAELens's default).
    pub learning_rate: f64,
    /// Over how many steps the learning rate grows in a line from 0: 0 (SAELens's `lr_warm_up_steps`).
    pub learning_rate_warm_up: u64,
    /// How the learning rate falls: it does not.
    pub decay: Decay,
    /// Over how many last steps a constant rate falls in a line: 0 (SAELens's `lr_decay_steps`).
    pub decay_steps: u64,
    /// What the learning rate falls to: 0.
    pub final_learning_rate: f64,
    /// Adam's decay of means and of squares: 0.9 and 0.999 (Kingma and Ba 2014, arXiv 1412.6980).
    pub betas: (f64, f64),
    /// What Adam adds to the denominator: 1e-8.
    pub epsilon: f64,
    /// The largest norm of the gradient of all weights together; larger ones are scaled to it. 1
    /// (SAELens clips at 1). `None` clips nothing.
    pub gradient_clip: Option<f64>,
    /// Whether rows of the decoder are kept at norm 1: so, but for NSAE.
    pub decoder_norm: DecoderNorm,
    /// The norm of decoder rows at the start: 1 where it is kept, else 0.1 (SAELens's
    /// `decoder_init_norm`).
    pub decoder_start_norm: f64,
    /// The norm of encoder columns at the start. `None`, the default: the encoder is the transposed
    /// decoder.
    pub encoder_start_norm: Option<f64>,
    /// Whether there is a bias of the decoder: there is, but for NSAE.
    pub decoder_bias: bool,
    /// What the decoder's bias starts from: the geometric median (Bricken et al. 2023; SAELens's
    /// `b_dec_init_method` before version 6).
    pub bias_start: BiasStart,
    /// Whether the decoder's bias is subtracted from the input: it is, where there is one.
    pub apply_b_dec_to_input: bool,
    /// Whether activations are multiplied by one number that brings their mean norm to `sqrt(d_in)`, so
    /// that coefficients and rates mean the same everywhere; the number is folded into the weights of
    /// [`SaeTrainer::sae`](super::SaeTrainer::sae). `ExpectedAverageOnlyIn` or `None`, the default.
    #[serde(with = "norm_name")]
    pub normalize_activations: ActivationNorm,
    /// The coefficient of the loss by which dead latents learn what the others leave (Gao et al. 2024,
    /// section A.2): 1/32 for top-k gates (their value; SAELens's is 1), else none.
    pub auxiliary: Option<f64>,
    /// After how many steps without being active a latent counts as dead: 1000 (SAELens's
    /// `dead_feature_window`).
    pub dead_after: u64,
    /// How dead latents are made anew: not.
    pub resampling: Option<Resampling>,
    /// How many batches the buffer that mixes activations holds: 16.
    pub buffer_batches: usize,
    /// How many tokens go through the model at once: 4096.
    pub model_batch_tokens: usize,
    /// Whether the first position of every text is left out: no. Activations of BOS can be many times
    /// larger than all others.
    pub skip_first_position: bool,
    /// 0.
    pub seed: u64,
    /// Every how many steps metrics are kept: 100.
    pub log_every: u64,
}

/// The gate, and what training needs to know about it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum GateTraining {
    /// `ReLU(p)` (Bricken et al. 2023).
    Relu,
    /// Two paths with one encoder (Rajamanoharan et al. 2024, arXiv 2404.16014): penalties see the
    /// gate's path, which alone must also reconstruct the input.
    Gated {
        /// Whether that second reconstruction leaves the decoder alone, as in the paper; SAELens trains
        /// the decoder on it too.
        frozen_decoder: bool,
    },
    /// `p [p > θ]`, with gradients for `θ` from a window around it.
    JumpRelu(JumpReluTraining),
    /// The `k` largest of each position (Gao et al. 2024, arXiv 2406.04093).
    TopK {
        /// How many.
        k: usize,
    },
    /// The `k n` largest of a batch of `n` (Bussmann et al. 2024, arXiv 2412.06410). The trained gate has
    /// one threshold, a moving mean of the smallest activation of a batch.
    BatchTopK {
        /// How many a position, on average.
        k: f64,
        /// How much of the threshold is replaced in a step: 0.01 (SAELens's `topk_threshold_lr`).
        threshold_rate: f64,
    },
    /// As batch-top-k, with the squared errors of prefixes added (Bussmann et al. 2025, arXiv
    /// 2503.17547).
    Matryoshka {
        /// How many latents each autoencoder has, rising to `d_sae`.
        prefixes: Vec<usize>,
        /// How many are active a position, on average.
        k: f64,
        /// As for batch-top-k.
        threshold_rate: f64,
    },
    /// `tanh(ReLU(p + ε))`, `ε ~ N(0, σ²)` (the Normalised SAE post).
    Nsae {
        /// `σ`.
        sigma: f64,
    },
}

/// What JumpReLU's training chooses (Rajamanoharan et al. 2024, arXiv 2407.14435), with SAELens's
/// defaults.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct JumpReluTraining {
    /// `θ` at the start: 0.01.
    pub start_threshold: f64,
    /// The width of the window: 0.05.
    pub bandwidth: f64,
    /// What is counted as the number of active latents.
    pub l0_loss: L0Loss,
    /// What it is multiplied with: 1.
    pub l0_coefficient: f64,
    /// Whether the window's gradients reach the encoder as well (Anthropic), or thresholds only
    /// (DeepMind, the default).
    pub gradient_to_input: bool,
}

/// What JumpReLU is penalised for.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum L0Loss {
    /// The number of active latents (DeepMind).
    Step,
    /// `tanh(scale a |W_dec|)`, summed (Anthropic, January 2025, with a scale of 4).
    Tanh {
        /// The scale.
        scale: f64,
    },
    /// `2 / target (L0 - target)²` (Gemma Scope 2).
    Quadratic {
        /// The wanted number of active latents.
        target: f64,
    },
}

/// What the coefficients of penalties are multiplied with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PenaltyScale {
    /// 1.
    One,
    /// The square of the inputs' mean norm, so that one coefficient serves all layers: the NSAE post's
    /// `β = α mean(|x|)²`. The mean is that of the first buffer.
    SquaredMeanNorm,
}

/// What happens to the norms of the decoder's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DecoderNorm {
    /// They are set to 1 after each step, and gradients lose what is parallel to the rows before it
    /// (Bricken et al. 2023).
    Unit,
    /// They are free.
    Free,
}

/// What the decoder's bias starts from, on the activations of the first buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum BiasStart {
    /// Zeros.
    Zeros,
    /// Their mean.
    Mean,
    /// The point with the smallest sum of distances to them (Weiszfeld 1937).
    GeometricMedian,
}

/// Dead latents made anew, in the way of Bricken et al. 2023: each takes the direction of an input,
/// drawn by the square of its loss; its encoder has `encoder_scale` times the mean norm of the alive ones.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Resampling {
    /// Every how many steps.
    pub every: u64,
    /// How often at most.
    pub times: u64,
    /// 0.2.
    pub encoder_scale: f64,
}

impl TrainConfig {
    /// A ReLU autoencoder with L1 and a decoder of unit norm.
    pub fn relu(d_sae: usize) -> Self {
        Self {
            penalties: vec![(Penalty::L1, 1.)],
            ..Self::new(d_sae, GateTraining::Relu)
        }
    }

    /// A gated autoencoder.
    pub fn gated(d_sae: usize) -> Self {
        Self {
            penalties: vec![(Penalty::L1, 1.)],
            ..Self::new(
                d_sae,
                GateTraining::Gated {
                    frozen_decoder: true,
                },
            )
        }
    }

    /// A JumpReLU autoencoder.
    pub fn jump_relu(d_sae: usize) -> Self {
        let training = JumpReluTraining {
            start_threshold: 0.01,
            bandwidth: 0.05,
            l0_loss: L0Loss::Step,
            l0_coefficient: 1.,
            gradient_to_input: false,
        };
        Self::new(d_sae, GateTraining::JumpRelu(training))
    }

    /// An autoencoder of which `k` latents are active at each position.
    pub fn top_k(d_sae: usize, k: usize) -> Self {
        Self {
            auxiliary: Some(1. / 32.),
            ..Self::new(d_sae, GateTraining::TopK { k })
        }
    }

    /// An autoencoder of which `k` latents are active a position, on average over a batch.
    pub fn batch_top_k(d_sae: usize, k: f64) -> Self {
        let threshold_rate = 0.01;
        Self {
            auxiliary: Some(1. / 32.),
            ..Self::new(d_sae, GateTraining::BatchTopK { k, threshold_rate })
        }
    }

    /// Nested autoencoders of so many latents each, rising, of which `k` are active a position.
    pub fn matryoshka(prefixes: impl Into<Vec<usize>>, k: f64) -> Self {
        let prefixes = prefixes.into();
        let d_sae = prefixes.last().copied().unwrap_or(0);
        let gate = GateTraining::Matryoshka {
            prefixes,
            k,
            threshold_rate: 0.01,
        };
        Self {
            auxiliary: Some(1. / 32.),
            ..Self::new(d_sae, gate)
        }
    }

    /// The noise-robust autoencoder of the NSAE post, without a bias of the decoder: the loss is
    /// `α mean(|x|)² |c|₁ + |x̂ - x|²`.
    pub fn nsae(d_sae: usize, sigma: f64, alpha: f64) -> Self {
        Self {
            penalties: vec![(Penalty::L1, alpha)],
            penalty_scale: PenaltyScale::SquaredMeanNorm,
            decoder_norm: DecoderNorm::Free,
            decoder_start_norm: 0.1,
            decoder_bias: false,
            bias_start: BiasStart::Zeros,
            apply_b_dec_to_input: false,
            ..Self::new(d_sae, GateTraining::Nsae { sigma })
        }
    }

    fn new(d_sae: usize, gate: GateTraining) -> Self {
        Self {
            d_sae,
            gate,
            penalties: Vec::new(),
            penalty_warm_up: 0,
            penalty_scale: PenaltyScale::One,
            penalty_sees_decoder_norm: false,
            steps: 10_000,
            batch_size: 4096,
            learning_rate: 3e-4,
            learning_rate_warm_up: 0,
            decay: Decay::Constant,
            decay_steps: 0,
            final_learning_rate: 0.,
            betas: (0.9, 0.999),
            epsilon: 1e-8,
            gradient_clip: Some(1.),
            decoder_norm: DecoderNorm::Unit,
            decoder_start_norm: 1.,
            encoder_start_norm: None,
            decoder_bias: true,
            bias_start: BiasStart::GeometricMedian,
            apply_b_dec_to_input: true,
            normalize_activations: ActivationNorm::None,
            auxiliary: None,
            dead_after: 1000,
            resampling: None,
            buffer_batches: 16,
            model_batch_tokens: 4096,
            skip_first_position: false,
            seed: 0,
            log_every: 100,
        }
    }

    /// The same with this coefficient of L1.
    #[must_use]
    pub fn l1(self, coefficient: f64) -> Self {
        self.penalty(Penalty::L1, coefficient)
    }

    /// The same with this coefficient of a penalty, beside the others.
    #[must_use]
    pub fn penalty(mut self, penalty: Penalty, coefficient: f64) -> Self {
        self.penalties.retain(|(other, _)| *other != penalty);
        self.penalties.push((penalty, coefficient));
        self
    }

    /// The same with these penalties and no others, as `[(Penalty::Sqrt, 1e-4), (Penalty::HoyerSquare,
    /// 1.5e-4)]` for the combined one of sparse_coding.
    #[must_use]
    pub fn penalties(mut self, penalties: impl Into<Vec<(Penalty, f64)>>) -> Self {
        self.penalties = penalties.into();
        self
    }

    /// The same with the norms of decoder rows free or kept at 1. Where they are free, ReLU and gated
    /// autoencoders have penalties that see them.
    #[must_use]
    pub fn decoder_norm(mut self, norm: DecoderNorm) -> Self {
        self.decoder_norm = norm;
        let bounded = matches!(self.gate, GateTraining::Nsae { .. });
        self.penalty_sees_decoder_norm = norm == DecoderNorm::Free && !bounded;
        self.decoder_start_norm = match norm {
            DecoderNorm::Unit => 1.,
            DecoderNorm::Free => 0.1,
        };
        self
    }

    pub(super) fn schedule(&self) -> LearningRate {
        LearningRate {
            peak: self.learning_rate,
            last: self.final_learning_rate,
            warm_up: self.learning_rate_warm_up,
            decay: self.decay,
            decay_steps: self.decay_steps,
            steps: self.steps,
        }
    }

    /// # Errors
    /// Something is asked for that cannot be.
    pub(super) fn check(&self) -> Result<()> {
        let counts = [
            ("d_sae", self.d_sae),
            ("batch_size", self.batch_size),
            ("buffer_batches", self.buffer_batches),
            ("model_batch_tokens", self.model_batch_tokens),
        ];
        for (name, count) in counts {
            if count == 0 {
                return Err(Error::new(format!("{name} is 0: it must be at least 1.")));
            }
        }
        if self.log_every == 0 {
            return Err(Error::new("log_every is 0: it must be at least 1 step."));
        }
        let mut sizes = vec![
            ("learning_rate", self.learning_rate, false),
            ("final_learning_rate", self.final_learning_rate, true),
            ("epsilon", self.epsilon, false),
            ("decoder_start_norm", self.decoder_start_norm, false),
        ];
        sizes.extend(
            self.encoder_start_norm
                .map(|norm| ("encoder_start_norm", norm, false)),
        );
        sizes.extend(
            self.gradient_clip
                .map(|clip| ("gradient_clip", clip, false)),
        );
        sizes.extend(
            self.auxiliary
                .map(|coefficient| ("auxiliary", coefficient, true)),
        );
        let coefficients = self.penalties.iter();
        sizes.extend(coefficients.map(|(_, coefficient)| ("a penalty", *coefficient, true)));
        if let Some(resampling) = &self.resampling {
            sizes.push(("resampling.encoder_scale", resampling.encoder_scale, false));
            if resampling.every == 0 {
                return Err(Error::new(
                    "resampling.every is 0: it must be at least 1 step.",
                ));
            }
        }
        for (name, size, may_be_0) in sizes {
            let fits = size.is_finite() && (size > 0. || may_be_0 && size == 0.);
            if !fits {
                return Err(Error::new(format!(
                    "{name} is {size}: it must be a number {} 0.",
                    if may_be_0 { "of at least" } else { "above" }
                )));
            }
        }
        for beta in [self.betas.0, self.betas.1] {
            if !(0. ..1.).contains(&beta) {
                return Err(Error::new(format!(
                    "Adam's betas are {:?}: each must be at least 0 and below 1, as in (0.9, 0.999).",
                    self.betas
                )));
            }
        }
        use ActivationNorm::{ExpectedAverageOnlyIn, None};
        if !matches!(self.normalize_activations, None | ExpectedAverageOnlyIn) {
            return Err(Error::new(format!(
                "training cannot normalize activations by `{}`: choose `ActivationNorm::None` or \
                 `ActivationNorm::ExpectedAverageOnlyIn`.",
                self.normalize_activations.name()
            )));
        }
        self.gate.check(self.d_sae)
    }
}

impl GateTraining {
    fn check(&self, d_sae: usize) -> Result<()> {
        let (k, rate) = match self {
            Self::TopK { k } => (Some(*k as f64), None),
            Self::BatchTopK { k, threshold_rate }
            | Self::Matryoshka {
                k, threshold_rate, ..
            } => (Some(*k), Some(*threshold_rate)),
            _ => (None, None),
        };
        if let Some(k) = k
            && !(k > 0. && k <= d_sae as f64)
        {
            return Err(Error::new(format!(
                "k is {k}, but there are {d_sae} latents: it must be above 0 and at most {d_sae}."
            )));
        }
        if let Some(rate) = rate
            && !(rate > 0. && rate <= 1.)
        {
            return Err(Error::new(format!(
                "threshold_rate is {rate}: it must be above 0 and at most 1."
            )));
        }
        match self {
            Self::Nsae { sigma } if !(*sigma >= 0. && sigma.is_finite()) => Err(Error::new(
                format!("sigma is {sigma}: it must be 0 or above."),
            )),
            Self::JumpRelu(training) => training.check(),
            Self::Matryoshka { prefixes, .. } => {
                let rises = prefixes.windows(2).all(|pair| pair[0] < pair[1]);
                let starts = prefixes.first().is_some_and(|first| *first > 0);
                match rises && starts && prefixes.last() == Some(&d_sae) {
                    true => Ok(()),
                    false => Err(Error::new(format!(
                        "the prefixes {prefixes:?} must rise from at least 1 to d_sae, which is \
                         {d_sae}."
                    ))),
                }
            }
            _ => Ok(()),
        }
    }
}

impl JumpReluTraining {
    fn check(&self) -> Result<()> {
        let shape = match self.l0_loss {
            L0Loss::Step => 1.,
            L0Loss::Tanh { scale } => scale,
            L0Loss::Quadratic { target } => target,
        };
        let positive = [
            ("bandwidth", self.bandwidth),
            ("the number in l0_loss", shape),
        ];
        for (name, value) in positive {
            if !(value > 0. && value.is_finite()) {
                return Err(Error::new(format!(
                    "JumpReLU's {name} is {value}: it must be above 0."
                )));
            }
        }
        let not_negative = [
            ("start_threshold", self.start_threshold),
            ("l0_coefficient", self.l0_coefficient),
        ];
        for (name, value) in not_negative {
            if !(value >= 0. && value.is_finite()) {
                return Err(Error::new(format!(
                    "JumpReLU's {name} is {value}: it must be 0 or above."
                )));
            }
        }
        Ok(())
    }
}

macro_rules! choices {
    ($($(#[$doc:meta])* $name:ident: $type:ty),* $(,)?) => {
        impl TrainConfig {$(
            $(#[$doc])*
            #[must_use]
            pub fn $name(mut self, $name: $type) -> Self {
                self.$name = $name;
                self
            }
        )*}
    };
}

choices!(
    /// The same with another gate.
    gate: GateTraining,
    /// The same with another [`TrainConfig::penalty_warm_up`].
    penalty_warm_up: u64,
    /// The same with another [`TrainConfig::penalty_scale`].
    penalty_scale: PenaltyScale,
    /// The same with another [`TrainConfig::penalty_sees_decoder_norm`].
    penalty_sees_decoder_norm: bool,
    /// The same for so many steps.
    steps: u64,
    /// The same with so many activations a step.
    batch_size: usize,
    /// The same with another learning rate.
    learning_rate: f64,
    /// The same with another [`TrainConfig::learning_rate_warm_up`].
    learning_rate_warm_up: u64,
    /// The same with a learning rate that falls like this.
    decay: Decay,
    /// The same with another [`TrainConfig::decay_steps`].
    decay_steps: u64,
    /// The same with another [`TrainConfig::final_learning_rate`].
    final_learning_rate: f64,
    /// The same with other betas of Adam.
    betas: (f64, f64),
    /// The same with another epsilon of Adam.
    epsilon: f64,
    /// The same with another [`TrainConfig::gradient_clip`].
    gradient_clip: Option<f64>,
    /// The same with another [`TrainConfig::decoder_start_norm`].
    decoder_start_norm: f64,
    /// The same with another [`TrainConfig::encoder_start_norm`].
    encoder_start_norm: Option<f64>,
    /// The same with or without a bias of the decoder.
    decoder_bias: bool,
    /// The same with another [`TrainConfig::bias_start`].
    bias_start: BiasStart,
    /// The same with another [`TrainConfig::apply_b_dec_to_input`].
    apply_b_dec_to_input: bool,
    /// The same with another [`TrainConfig::normalize_activations`].
    normalize_activations: ActivationNorm,
    /// The same with another [`TrainConfig::auxiliary`].
    auxiliary: Option<f64>,
    /// The same with another [`TrainConfig::dead_after`].
    dead_after: u64,
    /// The same with another [`TrainConfig::resampling`].
    resampling: Option<Resampling>,
    /// The same with another [`TrainConfig::buffer_batches`].
    buffer_batches: usize,
    /// The same with another [`TrainConfig::model_batch_tokens`].
    model_batch_tokens: usize,
    /// The same with another [`TrainConfig::skip_first_position`].
    skip_first_position: bool,
    /// The same with another seed.
    seed: u64,
    /// The same with another [`TrainConfig::log_every`].
    log_every: u64,
);

/// SAELens's words in a file.
mod norm_name {
    use super::ActivationNorm;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    const ALL: [ActivationNorm; 4] = [
        ActivationNorm::None,
        ActivationNorm::ExpectedAverageOnlyIn,
        ActivationNorm::ConstantNormRescale,
        ActivationNorm::LayerNorm,
    ];

    pub(super) fn serialize<S: Serializer>(
        norm: &ActivationNorm,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(norm.name())
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<ActivationNorm, D::Error> {
        let name = String::deserialize(deserializer)?;
        let norm = ALL.into_iter().find(|norm| norm.name() == name);
        norm.ok_or_else(|| D::Error::custom(format!("no normalization is called `{name}`")))
    }
}
