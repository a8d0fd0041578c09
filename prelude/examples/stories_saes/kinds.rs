//! Which autoencoders there are, and how each is trained.

use ferrolens::sae::ActivationNorm;
use ferrolens::sae::train::{Decay, TrainConfig};

/// One of the embedded autoencoders.
pub struct Kind {
    pub hook: &'static str,
    gate: Gate,
    d_sae: usize,
    /// The coefficient of L1.
    penalty: f64,
    rate: f64,
    steps: u64,
}

#[derive(Clone, Copy)]
enum Gate {
    Relu,
    /// Under noise of this standard deviation.
    Nsae(f64),
}

const fn kind(
    hook: &'static str,
    gate: Gate,
    d_sae: usize,
    penalty: f64,
    rate: f64,
    steps: u64,
) -> Kind {
    Kind {
        hook,
        gate,
        d_sae,
        penalty,
        rate,
        steps,
    }
}

const MLP_OUT: &str = "blocks.0.hook_mlp_out";
const POST: &str = "blocks.1.mlp.hook_post";
const RESID_POST: &str = "blocks.1.hook_resid_post";

/// Penalties are such that 20 to 40 latents are active at a position.
pub const KINDS: [Kind; 6] = [
    kind(MLP_OUT, Gate::Relu, 1024, 3., 1e-3, 1000),
    kind(POST, Gate::Relu, 768, 2.5, 1e-3, 700),
    kind(RESID_POST, Gate::Relu, 1024, 2.5, 1e-3, 1000),
    kind(MLP_OUT, Gate::Nsae(0.1), 1024, 0.015, 2e-3, 1000),
    kind(POST, Gate::Nsae(0.05), 768, 0.006, 4e-3, 1000),
    kind(RESID_POST, Gate::Nsae(0.1), 1024, 0.025, 1e-3, 1000),
];

impl Kind {
    pub fn name(&self) -> String {
        match self.gate {
            Gate::Relu => format!("{}-relu", self.hook),
            Gate::Nsae(_) => format!("{}-nsae", self.hook),
        }
    }

    pub fn config(&self) -> TrainConfig {
        let config = match self.gate {
            Gate::Relu => TrainConfig::relu(self.d_sae).l1(self.penalty),
            Gate::Nsae(sigma) => TrainConfig::nsae(self.d_sae, sigma, self.penalty),
        };
        config
            .normalize_activations(ActivationNorm::ExpectedAverageOnlyIn)
            .steps(self.steps)
            .batch_size(1024)
            .learning_rate(self.rate)
            .learning_rate_warm_up(100)
            .decay(Decay::Cosine)
            .penalty_warm_up(300)
            .log_every(200)
            .seed(1)
    }
}
