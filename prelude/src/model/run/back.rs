//! Runs that go back from a number to the gradients at hook points.

use super::{Goal, Outcome, Rows, Run};
use crate::error::{Error, Result};
use crate::model::backward::Backward;
use crate::model::cache::ActivationCache;
use crate::model::filter::IntoFilter;
use crate::model::loss;
use candle_core::{DType, Tensor};

/// What a run that went back has found. Made by [`Run::backward`].
#[derive(Clone, Debug)]
pub struct BackwardPass {
    /// The number that gradients are of.
    pub metric: f32,
    /// The activations that the run kept.
    pub cache: ActivationCache,
    /// The gradient of the metric at each hook point asked for, of the same shape as the activation
    /// there.
    pub gradients: ActivationCache,
}

impl Run {
    /// Runs forward, computes a number from the logits, `[batch, pos, d_vocab]`, and goes back from
    /// it: the gradients at the points given to [`Run::gradients`] (all, where none were), and
    /// the activations given to [`Run::cache`].
    ///
    /// The first step of attribution patching (Nanda 2023): `(corrupted - clean) * gradient`.
    ///
    /// ```
    /// # use ferrolens::model::HookedTransformer;
    /// let model = HookedTransformer::from_pretrained("stories-2l")?;
    /// let (she, he) = (model.to_single_token(" she")?, model.to_single_token(" he")?);
    /// let run = model.run("Lily was happy because").cache("*.hook_z").gradients("*.hook_z");
    /// let back = run.backward(|logits| {
    ///     let last = logits.get(0)?.get(logits.dim(1)? - 1)?;
    ///     Ok((last.get(she as usize)? - last.get(he as usize)?)?)
    /// })?;
    /// let gradient = &back.gradients[("z", 0)]; // [batch, pos, head, d_head]
    /// assert_eq!(gradient.dims(), back.cache[("z", 0)].dims());
    /// # Ok::<(), ferrolens::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Run::logits`], and whatever the metric fails with; it must return one number.
    pub fn backward(self, metric: impl FnOnce(&Tensor) -> Result<Tensor>) -> Result<BackwardPass> {
        self.go_back(|logits, _| metric(logits))
    }

    /// The gradients of the mean loss, as TransformerLens's `run_with_cache(.., incl_bwd=True)` has
    /// them: see [`Run::backward`].
    ///
    /// # Errors
    /// As [`Run::loss`].
    pub fn loss_backward(self) -> Result<BackwardPass> {
        self.go_back(|logits, outcome| {
            let prompt = outcome.prompt()?;
            loss::mean_tensor(&loss::of_all(logits, prompt)?, prompt)
        })
    }

    fn go_back(
        mut self,
        metric: impl FnOnce(&Tensor, &Outcome) -> Result<Tensor>,
    ) -> Result<BackwardPass> {
        let filter = self.gradients.take().unwrap_or(().into_filter());
        let offered = self.model.offered();
        let hooks = self.model.scope().clone().and(&self.hooks);
        let backward = Backward::new(&hooks, &filter, offered)?;
        let (gradients, model) = (backward.gradients(), self.model.clone());
        let outcome = self.walk_back(Goal::Logits(Rows::All), Some(backward))?;
        let logits = outcome.output.as_ref();
        let logits = logits.ok_or_else(|| Error::new("the run stopped before it had a result."))?;
        let value = metric(logits, &outcome)?;
        if value.elem_count() != 1 {
            return Err(Error::new(format!(
                "the metric returned a tensor of shape {:?}, but gradients are of one number: sum \
                 it, or choose an entry.",
                value.dims()
            )));
        }
        let value = value.flatten_all()?.get(0)?;
        if !value.track_op() {
            return Err(Error::new(
                "the metric does not depend on the logits, so there are no gradients: compute it \
                 from the tensor that it is given, with tensor operations only.",
            ));
        }
        value.backward()?;
        let mut found = match gradients.lock() {
            Ok(mut found) => std::mem::take(&mut *found),
            Err(poisoned) => std::mem::take(&mut *poisoned.into_inner()),
        };
        // As a cache has them: in the order of the way forward.
        let order = model.firing_order();
        found.sort_by_key(|(point, _)| order.iter().position(|other| other == point));
        Ok(BackwardPass {
            metric: value.to_dtype(DType::F32)?.to_scalar()?,
            cache: outcome.cache,
            gradients: ActivationCache::new(model, found),
        })
    }
}
