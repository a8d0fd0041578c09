//! The value itself: where, what, and what happens to the norm afterwards.

use super::edit::Edit;
use super::indices::Indices;
use super::place::Place;
use super::restore::Restore;
use super::subspace::Subspace;
use crate::error::Result;
use crate::model::{HookPoint, Hooks, IntoFilter, NamesFilter};
use candle_core::Tensor;
use std::fmt;
use std::sync::Arc;

/// One change of one or more activations: what, at which hook points, at which positions.
///
/// It is given to a run as hooks are. The [room's page](crate::intervene) lists what there is.
///
/// ```
/// use ferrolens::{intervene::Intervention, model::HookedTransformer};
/// let model = HookedTransformer::from_pretrained("stories-2l")?;
/// let ablation = Intervention::zero("blocks.*.hook_mlp_out").at([-2, -1]);
/// let logits = model.run_with_hooks("Once upon a time", &ablation)?;
/// println!("{ablation:?}");
/// # assert!(format!("{ablation:?}").contains("positions: index -2, index -1"));
/// # Ok::<(), ferrolens::Error>(())
/// ```
#[derive(Clone)]
pub struct Intervention {
    on: NamesFilter,
    place: Place,
    edit: Arc<dyn Edit>,
    along: Option<Subspace>,
    restore: Option<Restore>,
}

impl Intervention {
    pub(super) fn new(on: impl IntoFilter, edit: impl Edit + 'static) -> Self {
        Self {
            on: on.into_filter(),
            place: Place::default(),
            edit: Arc::new(edit),
            along: None,
            restore: None,
        }
    }

    /// At these positions only: `-1`, `[0, 3]`, `3..`; `..` for all. In scores and patterns they are
    /// those of queries.
    #[must_use]
    pub fn at(mut self, positions: impl Into<Indices>) -> Self {
        self.place.positions = Some(positions.into());
        self
    }

    /// In these prompts of the batch only.
    #[must_use]
    pub fn rows(mut self, rows: impl Into<Indices>) -> Self {
        self.place.rows = Some(rows.into());
        self
    }

    /// In these heads only, at a hook point that has heads.
    #[must_use]
    pub fn heads(mut self, heads: impl Into<Indices>) -> Self {
        self.place.heads = Some(heads.into());
        self
    }

    /// In these entries of the last dimension only: neurons of `mlp.hook_post`, keys of
    /// `attn.hook_pattern`.
    #[must_use]
    pub fn neurons(mut self, neurons: impl Into<Indices>) -> Self {
        self.place.neurons = Some(neurons.into());
        self
    }

    /// Only in the subspace that these directions span, `[d]` or `[n, d]`: what the intervention would
    /// do to the rest of the activation does not happen. A mean ablation along a direction sets the
    /// component along it to its mean.
    ///
    /// # Errors
    /// The directions are not finite, or all 0.
    pub fn along(mut self, directions: &Tensor) -> Result<Self> {
        self.along = Some(Subspace::spanned_by(directions)?);
        Ok(self)
    }

    /// And then gives each position (of each head, where there are heads) another norm.
    #[must_use]
    pub fn restoring(mut self, restore: Restore) -> Self {
        self.restore = Some(restore);
        self
    }

    /// This intervention and `others` (one more, or hooks) after it.
    #[must_use]
    pub fn and(&self, others: impl Into<Hooks>) -> Hooks {
        self.hooks().and(others)
    }

    /// The intervention as hooks. Wherever hooks are asked for, `&intervention` does as well.
    #[must_use]
    pub fn hooks(&self) -> Hooks {
        let this = self.clone();
        Hooks::new().add(&self.on, move |value: &Tensor, point: &HookPoint| {
            this.apply(value, point)
        })
    }

    /// What it makes of an activation at a hook point, `[batch, pos, ...]`, outside any run.
    ///
    /// # Errors
    /// The intervention does not fit the activation.
    pub fn apply(&self, value: &Tensor, point: &HookPoint) -> Result<Tensor> {
        let chosen = self.place.choose(value, point)?;
        let part = chosen.gather(value)?;
        let mut new = self.edit.apply(&part, &chosen)?;
        if let Some(along) = &self.along {
            new = along.only(&part, &new, &chosen)?;
        }
        if let Some(restore) = &self.restore {
            new = restore.apply(&part, &new, &chosen)?;
        }
        chosen.put(value, &new)
    }
}

impl From<Intervention> for Hooks {
    fn from(intervention: Intervention) -> Self {
        intervention.hooks()
    }
}

impl From<&Intervention> for Hooks {
    fn from(intervention: &Intervention) -> Self {
        intervention.hooks()
    }
}

impl fmt::Debug for Intervention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} on {:?}{}", self.edit, self.on, self.place)?;
        if let Some(along) = &self.along {
            write!(f, ", along {along:?}")?;
        }
        match &self.restore {
            Some(restore) => write!(f, ", restoring {restore:?}"),
            None => Ok(()),
        }
    }
}
