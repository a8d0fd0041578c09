//! How the learning rate and the penalties change over a training.

use serde::{Deserialize, Serialize};

/// How the learning rate falls after its warm-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Decay {
    /// It does not, until the last `decay_steps`, over which it falls in a line to the final rate.
    Constant,
    /// In a line from the end of the warm-up to the final rate.
    Linear,
    /// Along half a cosine from the end of the warm-up to the final rate (Loshchilov and Hutter 2017,
    /// arXiv 1608.03983).
    Cosine,
}

/// What of its final value something has in step `step`, counted from 0, of a warm-up in a line: `1/n`
/// in the first step and 1 from the `n`th on, as SAELens counts.
pub(super) fn warm_up(step: u64, steps: u64) -> f64 {
    match step < steps {
        true => (step + 1) as f64 / steps as f64,
        false => 1.,
    }
}

/// The learning rate over a training.
#[derive(Clone, Copy, Debug)]
pub(super) struct LearningRate {
    pub(super) peak: f64,
    pub(super) last: f64,
    pub(super) warm_up: u64,
    pub(super) decay: Decay,
    pub(super) decay_steps: u64,
    /// Of the whole training.
    pub(super) steps: u64,
}

impl LearningRate {
    /// In step `step`, counted from 0; the final rate from the planned end on.
    pub(super) fn at(&self, step: u64) -> f64 {
        if step < self.warm_up {
            return self.peak * warm_up(step, self.warm_up);
        }
        let start = match self.decay {
            Decay::Constant => self
                .steps
                .saturating_sub(self.decay_steps)
                .max(self.warm_up),
            Decay::Linear | Decay::Cosine => self.warm_up,
        };
        let decays = self.decay != Decay::Constant || self.decay_steps > 0;
        if !decays || step < start {
            return self.peak;
        }
        let length = self.steps.saturating_sub(start).max(1);
        let passed = ((step - start) as f64 / length as f64).min(1.);
        let left = match self.decay {
            Decay::Cosine => (1. + (std::f64::consts::PI * passed).cos()) / 2.,
            Decay::Constant | Decay::Linear => 1. - passed,
        };
        self.last + (self.peak - self.last) * left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(decay: Decay, decay_steps: u64) -> LearningRate {
        LearningRate {
            peak: 1.,
            last: 0.1,
            warm_up: 4,
            decay,
            decay_steps,
            steps: 24,
        }
    }

    #[test]
    fn the_rate_warms_up_and_falls() {
        let cases = [
            (rate(Decay::Constant, 0), [0.25, 1., 1., 1., 1.]),
            (rate(Decay::Constant, 10), [0.25, 1., 1., 0.55, 0.1]),
            (rate(Decay::Linear, 0), [0.25, 1., 0.55, 0.325, 0.1]),
            (rate(Decay::Cosine, 0), [0.25, 1., 0.55, 0.231_801_9, 0.1]),
        ];
        for (rate, expected) in cases {
            for (step, expected) in [0, 3, 14, 19, 400].into_iter().zip(expected) {
                let got = rate.at(step);
                assert!((got - expected).abs() < 1e-6, "{rate:?} {step}: {got}");
            }
        }
    }
}
