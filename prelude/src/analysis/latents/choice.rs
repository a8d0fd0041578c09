//! Which prompts to look at: the strongest, or some from below.

use super::latent::Activating;

/// Which of the prompts that activate a latent.
///
/// The published notebook's modes begin at a third or a tenth of the maximum, which it rounds down to a
/// whole number (so to 0 where the maximum is below 1); here nothing is rounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Examples {
    /// Those with the largest activation.
    #[default]
    Top,
    /// The largest of those with at most two thirds of the maximum.
    Upper,
    /// The largest of those with at most a third of the maximum.
    Middle,
    /// The largest of those with at most a tenth of the maximum.
    Lower,
    /// Some, evenly spread, of the `group`th of `of` groups of equally many prompts; group 0 has the
    /// largest activations.
    Quantile {
        /// 0 to `of - 1`.
        group: usize,
        /// How many groups there are.
        of: usize,
    },
}

impl Examples {
    /// At most `count` of these prompts, which are in order; `max` is the latent's maximum.
    pub(super) fn choose(self, active: &[Activating], max: f32, count: usize) -> Vec<Activating> {
        let share = match self {
            Self::Top => 1.,
            Self::Upper => 2. / 3.,
            Self::Middle => 1. / 3.,
            Self::Lower => 0.1,
            Self::Quantile { group, of } => return quantile(active, group, of, count),
        };
        let below = active.partition_point(|prompt| prompt.activation > share * max);
        active.iter().skip(below).take(count).copied().collect()
    }
}

fn quantile(active: &[Activating], group: usize, of: usize, count: usize) -> Vec<Activating> {
    let edge = |group: usize| match of {
        0 => 0,
        of => active.len() * group.min(of) / of,
    };
    let group = active.get(edge(group)..edge(group + 1)).unwrap_or_default();
    let count = count.min(group.len());
    (0..count)
        .map(|at| group[at * group.len() / count])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prompts(examples: Examples, count: usize) -> Vec<usize> {
        let of = |prompt: usize| Activating {
            prompt,
            position: 0,
            activation: (30 - prompt) as f32 / 100.,
        };
        let active: Vec<Activating> = (0..30).map(of).collect();
        let chosen = examples.choose(&active, 0.3, count);
        chosen.iter().map(|prompt| prompt.prompt).collect()
    }

    #[test]
    fn shares_of_the_maximum() {
        assert_eq!(prompts(Examples::Top, 2), [0, 1]);
        assert_eq!(prompts(Examples::Upper, 2), [10, 11]);
        assert_eq!(prompts(Examples::Middle, 2), [20, 21]);
        assert_eq!(prompts(Examples::Lower, 2), [27, 28]);
        assert_eq!(prompts(Examples::Lower, 9), [27, 28, 29]);
    }

    #[test]
    fn groups_of_equally_many() {
        let quantile = |group, of| Examples::Quantile { group, of };
        assert_eq!(prompts(quantile(0, 3), 2), [0, 5]);
        assert_eq!(prompts(quantile(2, 3), 10), (20..30).collect::<Vec<_>>());
        assert!(prompts(quantile(3, 3), 2).is_empty());
        assert!(prompts(quantile(0, 0), 2).is_empty());
    }
}
