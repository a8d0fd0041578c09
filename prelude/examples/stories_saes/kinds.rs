//! Which autoencoders there are, and how each is trained.

use ferrolens::sae::ActivationNorm;
use ferrolens::sae::train::{Decay, TrainConfig};

/// One of the embedded autoencoders.
pub struct Kind {
    pub hook: &'static str,
    gate: &'static str,
    d_sae: usize,
    /// The coefficient of L1.
    penalty: f64,
}

/// The noise that NSAEs are trained under.
const SIGMA: f64 = 0.1;

pub const KINDS: [Kind; 6] = [
    Kind {
        hook: "blocks.0.hook_mlp_out",
        gate: "relu",
        d_sae: 1024,
        penalty: 4.,
    },
    Kind {
        hook: "blocks.0.hook_mlp_out",
        gate: "nsae",
        d_sae: 1024,
        penalty: 0.004,
    },
    Kind {
        hook: "blocks.1.mlp.hook_post",
        gate: "relu",
        d_sae: 768,
        penalty: 4.,
    },
    Kind {
        hook: "blocks.1.mlp.hook_post",
        gate: "nsae",
        d_sae: 768,
        penalty: 0.004,
    },
    Kind {
        hook: "blocks.1.hook_resid_post",
        gate: "relu",
        d_sae: 1024,
        penalty: 4.,
    },
    Kind {
        hook: "blocks.1.hook_resid_post",
        gate: "nsae",
        d_sae: 1024,
        penalty: 0.004,
    },
];

impl Kind {
    pub fn name(&self) -> String {
        format!("{}-{}", self.hook, self.gate)
    }

    pub fn config(&self, penalty: Option<f64>, sigma: Option<f64>) -> TrainConfig {
        let penalty = penalty.unwrap_or(self.penalty);
        let config = match self.gate {
            "relu" => TrainConfig::relu(self.d_sae)
                .l1(penalty)
                .normalize_activations(ActivationNorm::ExpectedAverageOnlyIn),
            _ => TrainConfig::nsae(self.d_sae, sigma.unwrap_or(SIGMA), penalty)
                .normalize_activations(ActivationNorm::ExpectedAverageOnlyIn),
        };
        config
            .steps(3000)
            .batch_size(1024)
            .learning_rate(1e-3)
            .learning_rate_warm_up(100)
            .decay(Decay::Cosine)
            .penalty_warm_up(300)
            .log_every(200)
            .seed(1)
    }
}
