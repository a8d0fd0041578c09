//! Hooks as a value: what to do with which activations during one call.

use super::filter::{IntoFilter, NamesFilter, Offered};
use super::names::HookPoint;
use crate::error::{Error, Result};
use candle_core::Tensor;
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// A list of functions to call at hook points, given to one run of a model.
///
/// Each function sees the activation and its [`HookPoint`], and may return a new activation of the
/// same shape. Functions at one point run in the order of the list, each seeing what the one
/// before it left. There is no state on the model: the next run without these hooks is clean.
///
/// ```
/// use ferrolens::{Tensor, model::{Hooks, HookPoint}};
/// let hooks = Hooks::new()
///     // Zero attention's output in block 0.
///     .add(("attn_out", 0), |value, _| value.zeros_like())
///     // Only look.
///     .add("blocks.*.hook_resid_post", |value: &Tensor, point: &HookPoint| {
///         println!("{point}: {:?}", value.dims());
///     });
/// assert_eq!(hooks.len(), 2);
/// ```
#[derive(Clone, Default)]
pub struct Hooks {
    entries: Vec<Entry>,
}

#[derive(Clone)]
struct Entry {
    filter: NamesFilter,
    function: HookFunction,
    direction: Direction,
}

/// What a hook's function is called with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// Activations, on the way from tokens to logits.
    Forward,
    /// Gradients, on the way back.
    Backward,
}

pub(crate) type HookFunction =
    Arc<dyn Fn(&Tensor, &HookPoint) -> Result<Option<Tensor>> + Send + Sync>;

impl Hooks {
    /// No hooks.
    pub fn new() -> Self {
        Self::default()
    }

    /// These hooks and, after them, `function` at the points that `filter` chooses.
    ///
    /// The function may return a tensor or a `Result` of one (the new activation), `()` (it only
    /// looked), or an `Option` of a tensor. Where it uses `?`, write its result type:
    /// `|value, point| -> Result<Tensor> { ... }`.
    #[must_use]
    pub fn add<F, R>(self, filter: impl IntoFilter, function: F) -> Self
    where
        F: Fn(&Tensor, &HookPoint) -> R + Send + Sync + 'static,
        R: HookOutput,
    {
        self.with(Direction::Forward, filter, function)
    }

    /// These hooks and, after them, `function` on the gradients at the points that `filter` chooses:
    /// what it returns is what flows further back. Such hooks are for
    /// [`Run::backward`](super::Run::backward).
    #[must_use]
    pub fn add_backward<F, R>(self, filter: impl IntoFilter, function: F) -> Self
    where
        F: Fn(&Tensor, &HookPoint) -> R + Send + Sync + 'static,
        R: HookOutput,
    {
        self.with(Direction::Backward, filter, function)
    }

    fn with<F, R>(mut self, direction: Direction, filter: impl IntoFilter, function: F) -> Self
    where
        F: Fn(&Tensor, &HookPoint) -> R + Send + Sync + 'static,
        R: HookOutput,
    {
        let function: HookFunction =
            Arc::new(move |value, point| function(value, point).replacement());
        self.entries.push(Entry {
            filter: filter.into_filter(),
            function,
            direction,
        });
        self
    }

    /// These hooks, and `others` (hooks, or an [`Intervention`](crate::intervene::Intervention)) after
    /// them.
    #[must_use]
    pub fn and(mut self, others: impl Into<Hooks>) -> Self {
        self.entries.extend(others.into().entries);
        self
    }

    /// How many functions the list holds.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are no hooks.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether any of the functions are for gradients.
    pub(crate) fn have_backward(&self) -> bool {
        (0..self.len()).any(|index| self.is_backward(index))
    }

    /// Whether the function of one entry is for gradients.
    pub(crate) fn is_backward(&self, index: usize) -> bool {
        let entry = self.entries.get(index);
        entry.is_some_and(|entry| entry.direction == Direction::Backward)
    }

    /// The functions of one direction of each hook point, in the order of the list, each with its
    /// place there.
    ///
    /// # Errors
    /// A hook whose filter means no hook point of the model.
    pub(crate) fn resolve(
        &self,
        direction: Direction,
        offered: &Offered,
    ) -> Result<HashMap<HookPoint, Vec<(usize, HookFunction)>>> {
        let mut functions: HashMap<HookPoint, Vec<(usize, HookFunction)>> = HashMap::new();
        for (index, entry) in self.entries.iter().enumerate() {
            if entry.direction != direction {
                continue;
            }
            for point in entry.filter.resolve(offered)? {
                let here = functions.entry(point).or_default();
                here.push((index, entry.function.clone()));
            }
        }
        Ok(functions)
    }

    /// What the filter of one entry was made of.
    pub(crate) fn filter(&self, index: usize) -> String {
        let entry = self.entries.get(index);
        entry
            .map(|entry| format!("{:?}", entry.filter))
            .unwrap_or_default()
    }
}

impl From<&Hooks> for Hooks {
    fn from(hooks: &Hooks) -> Self {
        hooks.clone()
    }
}

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let filters = self.entries.iter().map(|entry| &entry.filter);
        f.write_str("Hooks on ")?;
        f.debug_list().entries(filters).finish()
    }
}

/// What a hook's function may return.
#[diagnostic::on_unimplemented(
    message = "a hook's function cannot return `{Self}`",
    label = "this hook's function returns `{Self}`",
    note = "it returns the new activation (a tensor, or a `Result` of one), or `()` where it only looks; what it \
            was given is cloned for that: `value.clone()`"
)]
pub trait HookOutput {
    /// The activation to go on with; nothing where it stays as it is.
    ///
    /// # Errors
    /// Whatever the hook's function failed with.
    fn replacement(self) -> Result<Option<Tensor>>;
}

impl HookOutput for () {
    fn replacement(self) -> Result<Option<Tensor>> {
        Ok(None)
    }
}

impl HookOutput for Tensor {
    fn replacement(self) -> Result<Option<Tensor>> {
        Ok(Some(self))
    }
}

impl HookOutput for Option<Tensor> {
    fn replacement(self) -> Result<Option<Tensor>> {
        Ok(self)
    }
}

impl<T: HookOutput, E: Into<Error>> HookOutput for std::result::Result<T, E> {
    fn replacement(self) -> Result<Option<Tensor>> {
        self.map_err(Into::into)?.replacement()
    }
}
