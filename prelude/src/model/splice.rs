//! What stands in the place of an activation and has hook points of its own, as an autoencoder does.

use super::filter::Offered;
use super::names::{HookPoint, Inner};
use super::pass::Step;
use candle_core::Tensor;
use std::collections::HashMap;
use std::sync::Arc;

/// A part of a run that reads one activation and writes the place of another, or of the same.
pub(crate) trait Splice: Send + Sync {
    /// The hook point that it reads.
    fn reads(&self) -> HookPoint;

    /// The hook point whose place it takes; its own hook points are below this one.
    fn replaces(&self) -> HookPoint;

    /// Its own hook points, in firing order.
    fn inner(&self) -> Vec<Inner>;

    /// The activation to go on with. Every tensor of a point of its own goes through `at`, which runs the
    /// hooks.
    fn run(
        &self,
        seen: Seen<'_>,
        at: &mut dyn FnMut(Inner, Tensor) -> Step<Tensor>,
    ) -> Step<Tensor>;
}

/// What a splice is given.
pub(crate) struct Seen<'a> {
    /// The activation that it reads.
    pub(crate) input: &'a Tensor,
    /// The activation whose place it takes.
    pub(crate) original: &'a Tensor,
    /// The tokens of the run, `[batch, pos]`, where it started with tokens.
    pub(crate) tokens: Option<&'a Tensor>,
    /// Whether something may change what goes through its own points.
    pub(crate) is_hooked: bool,
}

/// The splices of a scope, by the hook point whose place they take; the last one there counts.
#[derive(Clone, Default)]
pub(crate) struct Splices {
    by_place: HashMap<HookPoint, Arc<dyn Splice>>,
}

impl Splices {
    /// These, and another one.
    #[must_use]
    pub(crate) fn with(mut self, splice: Arc<dyn Splice>) -> Self {
        self.by_place.insert(splice.replaces(), splice);
        self
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.by_place.is_empty()
    }

    pub(crate) fn at(&self, point: &HookPoint) -> Option<&Arc<dyn Splice>> {
        self.by_place.get(point)
    }

    /// Whether one of them reads this point and writes elsewhere.
    pub(crate) fn read_elsewhere(&self, point: &HookPoint) -> bool {
        let mut splices = self.by_place.values();
        splices.any(|splice| splice.reads() == *point && splice.replaces() != *point)
    }

    /// The hook points of a model with these in place, where `firing_order` is the order of all points
    /// of the model without them.
    pub(crate) fn offered(&self, plain: &Offered, firing_order: &[HookPoint]) -> Offered {
        let mut by_default = Vec::new();
        for point in firing_order {
            match self.at(point) {
                Some(splice) => {
                    let inner = splice.inner().into_iter();
                    by_default.extend(inner.map(|inner| point.inside(inner)));
                }
                None if plain.by_default.contains(point) => by_default.push(*point),
                None => {}
            }
        }
        let opt_in = plain.opt_in.iter();
        Offered {
            by_default,
            opt_in: opt_in
                .filter(|point| self.at(point).is_none())
                .copied()
                .collect(),
            n_layers: plain.n_layers,
        }
    }
}
