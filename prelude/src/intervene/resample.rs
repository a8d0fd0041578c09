//! What other prompts gave, drawn at random, in the activation's place.

use super::edit::Edit;
use super::intervention::Intervention;
use super::place::{Chosen, select};
use super::source::Source;
use crate::error::{Error, Result};
use crate::model::IntoFilter;
use candle_core::Tensor;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::fmt;

impl Intervention {
    /// What a recorded prompt, drawn for each prompt of the batch, had at the same positions: resample
    /// ablation (Chan et al. 2022, "Causal Scrubbing"). The recorded prompts must be as long as the run
    /// at least. The same seed draws the same prompts in every run.
    ///
    /// ```
    /// use ferrolens::{intervene::Intervention, model::HookedTransformer};
    /// let model = HookedTransformer::from_pretrained("stories-2l")?;
    /// let others = model.cache_only(["Lily saw a big cat.", "Tom had a red ball."], ("z", 1))?;
    /// let ablation = Intervention::resample(("z", 1), &others, 0).heads(2);
    /// let loss = model.run("Once upon a time").hooks(&ablation).loss()?;
    /// # Ok::<(), ferrolens::Error>(())
    /// ```
    pub fn resample(on: impl IntoFilter, recorded: impl Into<Source>, seed: u64) -> Self {
        Self::new(
            on,
            Resample {
                source: recorded.into(),
                seed,
            },
        )
    }
}

struct Resample {
    source: Source,
    seed: u64,
}

impl Edit for Resample {
    fn apply(&self, part: &Tensor, chosen: &Chosen) -> Result<Tensor> {
        let recorded = self.source.batch_at(chosen, part)?;
        let (position, prompts) = (chosen.layout().position, recorded.dim(0)?);
        let positions = chosen.entries(position);
        let there = recorded.dim(position)?;
        if prompts == 0 || positions.iter().any(|at| *at as usize >= there) {
            return Err(Error::new(format!(
                "the {prompts} recorded prompts have {there} positions, but the run at `{}` has {}: \
                 record longer ones.",
                chosen.point(),
                chosen.dims()[position]
            )));
        }
        let mut random = StdRng::seed_from_u64(self.seed);
        let draws: Vec<u32> = (0..chosen.count(0))
            .map(|_| random.random_range(0..prompts) as u32)
            .collect();
        let drawn = select(&recorded, 0, &draws)?;
        // Dimension 0 was chosen by drawing.
        let drawn = select(&drawn, position, &positions)?;
        chosen.gather_within(position, &drawn)
    }
}

impl fmt::Debug for Resample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "resample ablation from {:?}, seed {}",
            self.source, self.seed
        )
    }
}
