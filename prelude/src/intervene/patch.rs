//! Activations of another run in the place of this one's.

use super::edit::Edit;
use super::indices::Indices;
use super::intervention::Intervention;
use super::place::{Chosen, select};
use super::source::Source;
use crate::error::{Error, Result};
use crate::model::IntoFilter;
use candle_core::Tensor;
use std::fmt;

impl Intervention {
    /// What another run had at the same prompts and positions: a cache, from which each hook point takes
    /// its own, or a tensor, `[batch, pos, ...]`. One prompt serves all of the batch.
    ///
    /// ```
    /// use ferrolens::{intervene::Intervention, model::HookedTransformer};
    /// let model = HookedTransformer::from_pretrained("stories-2l")?;
    /// let (lily, tom) = ("Lily saw the cat", "Tom saw the cat");
    /// let of_tom = model.cache_only(tom, "blocks.*.hook_resid_pre")?;
    /// let patch = Intervention::patch("blocks.1.hook_resid_pre", &of_tom).at(-1);
    /// let logits = model.run(lily).hooks(&patch).logits_at(-1)?;
    /// # Ok::<(), ferrolens::Error>(())
    /// ```
    pub fn patch(on: impl IntoFilter, source: impl Into<Source>) -> Self {
        Self::new(
            on,
            Patch {
                source: source.into(),
                from: None,
            },
        )
    }

    /// The same from other positions: as many as the intervention is [at](Intervention::at), in order.
    /// The runs need not be equally long.
    ///
    /// ```
    /// use ferrolens::{intervene::Intervention, model::HookedTransformer};
    /// let model = HookedTransformer::from_pretrained("stories-2l")?;
    /// let other = model.cache_only("One day, Tom saw the big cat", "blocks.1.hook_resid_pre")?;
    /// let patch = Intervention::patch_from("blocks.1.hook_resid_pre", &other, [3, -1]).at([1, -1]);
    /// let logits = model.run("Lily saw the cat").hooks(&patch).logits_at(-1)?;
    /// # Ok::<(), ferrolens::Error>(())
    /// ```
    pub fn patch_from(
        on: impl IntoFilter,
        source: impl Into<Source>,
        positions: impl Into<Indices>,
    ) -> Self {
        Self::new(
            on,
            Patch {
                source: source.into(),
                from: Some(positions.into()),
            },
        )
    }
}

struct Patch {
    source: Source,
    from: Option<Indices>,
}

impl Edit for Patch {
    fn apply(&self, part: &Tensor, chosen: &Chosen) -> Result<Tensor> {
        let recorded = self.source.batch_at(chosen, part)?;
        let (position, point) = (chosen.layout().position, chosen.point());
        let positions = match &self.from {
            Some(from) => from.of("position", position, recorded.dims(), point)?,
            None => chosen.entries(position),
        };
        let there = recorded.dim(position)?;
        let fits = positions.iter().all(|at| (*at as usize) < there)
            && positions.len() == chosen.count(position)
            // Two runs of different lengths do not correspond position by position.
            && (self.from.is_some() || chosen.is_at_some(position) || there == positions.len());
        if !fits {
            return Err(Error::new(format!(
                "{} positions of a recorded activation of {there} positions cannot stand in the place \
                 of {} at `{point}`: name as many on both sides, as with \
                 `Intervention::patch_from(point, &cache, 3..5).at(4..6)`.",
                positions.len(),
                chosen.count(position)
            )));
        }
        let rows = chosen.dims()[0];
        let mut whole = recorded.dims().to_vec();
        whole[0] = rows;
        let recorded = match recorded.dim(0)? {
            1 => recorded.broadcast_as(whole)?,
            prompts if prompts == rows => recorded,
            prompts => {
                return Err(Error::new(format!(
                    "the recorded activation has {prompts} prompts, but this run has {rows}: record \
                     one, or as many."
                )));
            }
        };
        chosen.gather_but(position, &select(&recorded, position, &positions)?)
    }
}

impl fmt::Debug for Patch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "patching from {:?}", self.source)?;
        match &self.from {
            Some(from) => write!(f, ", positions: {from}"),
            None => Ok(()),
        }
    }
}
