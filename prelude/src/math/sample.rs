//! Drawing one of many by its score, and the largest of many.

use crate::error::{Error, Result};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Draws indices by their logits; the same seed draws the same indices.
#[derive(Clone, Debug)]
pub struct Sampler {
    temperature: f64,
    top_k: Option<usize>,
    top_p: Option<f64>,
    freq_penalty: f64,
    random: StdRng,
}

impl Sampler {
    /// A sampler of `softmax(logits / temperature)` among the `top_k` largest logits; a temperature
    /// of 0 takes the largest.
    pub fn new(temperature: f64, top_k: Option<usize>, seed: u64) -> Self {
        Self {
            temperature,
            top_k,
            top_p: None,
            freq_penalty: 0.,
            random: StdRng::seed_from_u64(seed),
        }
    }

    /// The same among the likeliest of these whose probabilities sum to `p` at least (nucleus
    /// sampling, Holtzman et al. 2020, arXiv 1904.09751).
    #[must_use]
    pub fn top_p(mut self, p: Option<f64>) -> Self {
        self.top_p = p;
        self
    }

    /// The same with so much taken from the divided logit of an index for each time that it was there
    /// before: see [`Sampler::sample_after`].
    #[must_use]
    pub fn freq_penalty(mut self, penalty: f64) -> Self {
        self.freq_penalty = penalty;
        self
    }

    /// The index of one logit, where these indices were there before.
    ///
    /// # Errors
    /// As [`Sampler::sample`].
    pub fn sample_after(&mut self, logits: &[f32], before: &[u32]) -> Result<u32> {
        if self.freq_penalty == 0. || self.temperature == 0. {
            return self.sample(logits);
        }
        let mut logits = logits.to_vec();
        // What is taken after the division by the temperature.
        let penalty = (self.freq_penalty * self.temperature) as f32;
        for index in before {
            if let Some(logit) = logits.get_mut(*index as usize) {
                *logit -= penalty;
            }
        }
        self.sample(&logits)
    }

    /// The index of one logit.
    ///
    /// # Errors
    /// There are no logits, or one of them is NaN.
    pub fn sample(&mut self, logits: &[f32]) -> Result<u32> {
        if let Some(index) = logits.iter().position(|logit| logit.is_nan()) {
            return Err(Error::new(format!(
                "the logit of token {index} is NaN, so no next token can be chosen: a hook or the \
                 weights made it so."
            )));
        }
        let k = match self.temperature {
            0. => 1,
            _ => self.top_k.unwrap_or(logits.len()),
        };
        let mut candidates = top_k_of(logits, k);
        let Some((_, max)) = candidates.first().copied() else {
            return Err(Error::new("there are no logits to choose from."));
        };
        let mut total = 0.;
        for (_, weight) in &mut candidates {
            *weight = match self.temperature {
                0. => 1.,
                temperature => (f64::from(*weight - max) / temperature).exp() as f32,
            };
            total += f64::from(*weight);
        }
        if let Some(top_p) = self.top_p {
            let mut sum = 0.;
            let reached = candidates.iter().position(|(_, weight)| {
                sum += f64::from(*weight);
                sum >= top_p * total
            });
            if let Some(last) = reached {
                candidates.truncate(last + 1);
                total = sum;
            }
        }
        let mut drawn = self.random.random::<f64>() * total;
        for (index, weight) in &candidates {
            drawn -= f64::from(*weight);
            if drawn <= 0. {
                return Ok(*index as u32);
            }
        }
        Ok(candidates[0].0 as u32)
    }
}

/// The `k` largest values with their indices, the largest first; of equal values the earlier first.
///
/// NaN counts as the smallest.
pub fn top_k_of(values: &[f32], k: usize) -> Vec<(usize, f32)> {
    let key = |value: f32| match value.is_nan() {
        true => f32::NEG_INFINITY,
        false => value,
    };
    let larger =
        |a: &(usize, f32), b: &(usize, f32)| key(b.1).total_cmp(&key(a.1)).then(a.0.cmp(&b.0));
    if k == 0 {
        return Vec::new();
    }
    // Most values are below the k-th of those before them, and only compared with it.
    let room = k.saturating_mul(4).max(64);
    let mut found: Vec<(usize, f32)> = Vec::with_capacity(room.min(values.len()));
    let mut least = None;
    for (index, value) in values.iter().enumerate() {
        if least.is_some_and(|least| key(*value).total_cmp(&least).is_le()) {
            continue;
        }
        found.push((index, *value));
        if found.len() == room {
            let (_, last, _) = found.select_nth_unstable_by(k - 1, larger);
            least = Some(key(last.1));
            found.truncate(k);
        }
    }
    found.sort_unstable_by(larger);
    found.truncate(k);
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_are_those_of_a_whole_sort() {
        // Few different values, so that many are equal; some are no numbers.
        let value = |at: usize| match at * 7919 % 101 {
            5 => f32::NAN,
            6 => f32::NEG_INFINITY,
            7 => -0.,
            rest => (rest as f32 - 50.) / 3.,
        };
        for length in [0, 1, 63, 64, 65, 5000] {
            let values: Vec<f32> = (0..length).map(value).collect();
            let number = |at: &usize| match values[*at].is_nan() {
                true => f32::NEG_INFINITY,
                false => values[*at],
            };
            let mut sorted: Vec<usize> = (0..length).collect();
            sorted.sort_by(|a, b| number(b).total_cmp(&number(a)));
            for k in [0, 1, 15, 16, 17, 500, 5000, usize::MAX] {
                let found = top_k_of(&values, k);
                let found: Vec<usize> = found.into_iter().map(|(index, _)| index).collect();
                assert_eq!(found, sorted[..k.min(length)], "{k} of {length}");
            }
        }
    }

    #[test]
    fn temperature_zero_takes_the_first_of_the_largest() {
        let mut sampler = Sampler::new(0., None, 0);
        assert_eq!(sampler.sample(&[0., 3., 3., 1.]).unwrap(), 1);
    }

    #[test]
    fn frequencies_follow_softmax_and_top_k_cuts() {
        let logits = [1f32, 2., 0., -1.];
        let count = |sampler: &mut Sampler| {
            let mut counts = [0usize; 4];
            for _ in 0..20_000 {
                counts[sampler.sample(&logits).unwrap() as usize] += 1;
            }
            counts
        };
        let counts = count(&mut Sampler::new(1., None, 7));
        let total: f32 = logits.iter().map(|logit| logit.exp()).sum();
        for (logit, count) in logits.iter().zip(counts) {
            let expected = logit.exp() / total;
            assert!(
                (count as f32 / 20_000. - expected).abs() < 0.015,
                "{counts:?}"
            );
        }
        assert_eq!(count(&mut Sampler::new(1., Some(2), 7))[2..], [0, 0]);
        assert_eq!(counts, count(&mut Sampler::new(1., None, 7)));
        // The first has 0.64 of the probability, the first two 0.88.
        let nucleus = |p: f64| count(&mut Sampler::new(1., None, 7).top_p(Some(p)));
        assert_eq!(nucleus(0.6), [0, 20_000, 0, 0]);
        let two = nucleus(0.7);
        assert!(two[0] > 4_000 && two[2..] == [0, 0], "{two:?}");
        assert_eq!(nucleus(1.), counts);
    }

    #[test]
    fn what_was_there_before_is_less_likely() {
        let logits = [1f32, 2., 0.];
        let mut sampler = Sampler::new(0.5, Some(1), 0).freq_penalty(1.5);
        assert_eq!(sampler.sample_after(&logits, &[]).unwrap(), 1);
        // Divided by the temperature: 2, 4 - 1.5, 0; then 2, 4 - 3, 0.
        assert_eq!(sampler.sample_after(&logits, &[1]).unwrap(), 1);
        assert_eq!(sampler.sample_after(&logits, &[1, 1]).unwrap(), 0);
        assert_eq!(sampler.sample_after(&logits, &[1, 1, 0, 99]).unwrap(), 1);
    }

    #[test]
    fn nan_is_an_error_with_its_place() {
        let message = Sampler::new(0., None, 0)
            .sample(&[0., f32::NAN])
            .unwrap_err();
        assert!(message.to_string().contains("token 1"), "{message}");
    }

    #[test]
    fn the_largest_come_in_order() {
        let values = [1f32, 5., f32::NAN, 5., -2., 9.];
        assert_eq!(top_k_of(&values, 3), [(5, 9.), (1, 5.), (3, 5.)]);
        assert_eq!(top_k_of(&values, 99).len(), 6);
        assert!(top_k_of(&values, 0).is_empty());
    }
}
