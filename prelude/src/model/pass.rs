//! One walk through a model: which hooks are called where, what is kept, when to stop.

use super::backward::Backward;
use super::filter::{NamesFilter, Offered};
use super::hooks::{Direction, HookFunction, Hooks};
use super::names::{HookPoint, Site};
use super::splice::{Seen, Splice, Splices};
use crate::error::{Error, Result};
use crate::math::Span;
use candle_core::Tensor;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// The hooks and captures of one forward pass, and what it has captured so far.
pub(crate) struct Pass {
    hooks: Hooks,
    functions: HashMap<HookPoint, Vec<(usize, HookFunction)>>,
    /// Which entries of the hooks have been called. Those of a scope need not be: it may hold runs that
    /// stop early.
    reached: Vec<bool>,
    /// The positions whose activations are kept.
    pos_slice: Option<Span>,
    kept: HashSet<HookPoint>,
    stop_when_done: bool,
    /// How often a wanted point is still to come.
    unvisited: usize,
    has_repeats: bool,
    captured: Vec<(HookPoint, Tensor)>,
    /// What is to happen to gradients, in a run that goes back.
    backward: Option<Backward>,
    splices: Splices,
    /// What splices read that write elsewhere.
    read: HashMap<HookPoint, Tensor>,
    /// `[batch, pos]`, where the run starts with tokens.
    tokens: Option<Tensor>,
}

/// Why a forward pass ended before its end.
pub(crate) enum Halt {
    /// Everything asked for has been computed.
    Done,
    /// It failed.
    Failed(Error),
}

/// The result of a step inside a forward pass.
pub(crate) type Step<T> = std::result::Result<T, Halt>;

impl<E: Into<Error>> From<E> for Halt {
    fn from(error: E) -> Self {
        Halt::Failed(error.into())
    }
}

impl Pass {
    /// A pass that calls `hooks` and keeps the points of `kept`, of those `offered`.
    ///
    /// With `stop_when_done` it halts after the last point that has a hook or is kept.
    ///
    /// # Errors
    /// A filter that means no hook point of the model; hooks on gradients in a run that has none.
    pub(crate) fn new(
        scope: &Hooks,
        hooks: &Hooks,
        kept: Option<&NamesFilter>,
        stop_when_done: bool,
        backward: Option<Backward>,
        offered: &Offered,
    ) -> Result<Self> {
        if (hooks.have_backward() || scope.have_backward()) && backward.is_none() {
            return Err(Error::new(
                "there is a hook on gradients, but the run computes none: end it with \
                 `.backward(..)` or `.loss_backward()`.",
            ));
        }
        let in_scope = scope.len();
        let hooks = &scope.clone().and(hooks);
        let functions = hooks.resolve(Direction::Forward, offered)?;
        let kept = match kept {
            Some(filter) => filter.resolve(offered)?,
            None => HashSet::new(),
        };
        let hooked_only = functions.keys().filter(|point| !kept.contains(point));
        let unvisited = kept.len() + hooked_only.count();
        Ok(Self {
            reached: (0..hooks.len())
                .map(|entry| entry < in_scope || hooks.is_backward(entry))
                .collect(),
            pos_slice: None,
            hooks: hooks.clone(),
            captured: Vec::with_capacity(kept.len()),
            functions,
            kept,
            stop_when_done,
            unvisited,
            has_repeats: false,
            backward,
            splices: Splices::default(),
            read: HashMap::new(),
            tokens: None,
        })
    }

    /// Keeps these positions of activations only.
    pub(crate) fn keep_positions(&mut self, positions: Option<Span>) {
        self.pos_slice = positions;
    }

    /// Puts these in the places that they take.
    pub(crate) fn splice(&mut self, splices: Splices) {
        self.splices = splices;
    }

    /// Says what the tokens of the run are, `[batch, pos]`.
    pub(crate) fn set_tokens(&mut self, tokens: &Tensor) {
        self.tokens = Some(tokens.clone());
    }

    /// Whether a hook, the cache or a splice asked for this point.
    pub(crate) fn wants(&self, site: Site, layer: usize) -> bool {
        let point = HookPoint::new(site, layer);
        self.kept.contains(&point)
            || self.functions.contains_key(&point)
            || self.goes_back_through(&point)
            || self.splices.at(&point).is_some()
            || self.splices.read_elsewhere(&point)
    }

    fn goes_back_through(&self, point: &HookPoint) -> bool {
        let backward = self.backward.as_ref();
        backward.is_some_and(|backward| backward.wants(point))
    }

    /// Whether nobody asked for anything, so that activations may be computed in fused form.
    pub(crate) fn wants_nothing(&self) -> bool {
        self.kept.is_empty()
            && self.functions.is_empty()
            && self.backward.is_none()
            && self.splices.is_empty()
    }

    /// Says that a point comes more often than once; the cache keeps the last.
    pub(crate) fn repeats(&mut self, site: Site, layer: usize, times: usize) {
        self.has_repeats = true;
        if self.wants(site, layer) {
            self.unvisited += times - 1;
        }
    }

    /// The activation to go on with at this point: `value`, or what the hooks made of it.
    pub(crate) fn at(&mut self, site: Site, layer: usize, value: Tensor) -> Step<Tensor> {
        if self.wants_nothing() {
            return Ok(value);
        }
        let point = HookPoint::new(site, layer);
        if let Some(splice) = self.splices.at(&point) {
            let splice = Arc::clone(splice);
            return self.through(splice.as_ref(), point, &value);
        }
        let value = self.visit(point, value)?;
        if self.splices.read_elsewhere(&point) {
            self.read.insert(point, value.clone());
        }
        Ok(value)
    }

    /// What a splice makes of the activation at its place.
    fn through(
        &mut self,
        splice: &dyn Splice,
        point: HookPoint,
        original: &Tensor,
    ) -> Step<Tensor> {
        let input = match splice.reads() == point {
            true => original.clone(),
            false => self.read.get(&splice.reads()).cloned().ok_or_else(|| {
                Error::new(format!(
                    "what stands at `{point}` reads `{}`, which this run does not compute before it.",
                    splice.reads()
                ))
            })?,
        };
        let inner = splice.inner().into_iter();
        let is_hooked = inner
            .map(|inner| point.inside(inner))
            .any(|point| self.functions.contains_key(&point));
        let tokens = self.tokens.clone();
        let seen = Seen {
            input: &input,
            original,
            tokens: tokens.as_ref(),
            is_hooked,
        };
        let output = splice.run(seen, &mut |inner, value| {
            self.visit(point.inside(inner), value)
        })?;
        Ok(output)
    }

    /// The activation to go on with at one point of the model, or of what stands in it.
    fn visit(&mut self, point: HookPoint, value: Tensor) -> Step<Tensor> {
        let hooked = self.functions.get(&point);
        let kept = self.kept.contains(&point);
        if hooked.is_none() && !kept && !self.goes_back_through(&point) {
            return Ok(value);
        }
        let mut value = value;
        for (entry, function) in hooked.into_iter().flatten() {
            self.reached[*entry] = true;
            let returned = function(&value, &point)
                .map_err(|error| error.context(format!("in the hook on `{point}`")))?;
            if let Some(returned) = returned {
                check_replacement(&point, &value, &returned)?;
                value = returned;
            }
        }
        if kept {
            // A view would keep alive the larger tensor that it was cut from, and a tensor that
            // knows its gradient all that it was made of.
            let whole = match &self.pos_slice {
                None => value.detach().contiguous()?,
                Some(positions) => {
                    let dim = value.rank().saturating_sub(point.dims_behind_pos());
                    positions.kept_in(&value.detach(), dim)?.contiguous()?
                }
            };
            let mut earlier = self.captured.iter_mut().filter(|_| self.has_repeats);
            match earlier.find(|(captured, _)| *captured == point) {
                Some((_, earlier)) => *earlier = whole,
                None => self.captured.push((point, whole)),
            }
        }
        if let Some(backward) = &self.backward {
            value = backward.watch(&point, value)?;
        }
        self.unvisited = self.unvisited.saturating_sub(1);
        if self.stop_when_done && self.unvisited == 0 {
            return Err(Halt::Done);
        }
        Ok(value)
    }

    /// Checks that no hook was left uncalled, as one behind the stopping point is.
    ///
    /// # Errors
    /// A hook was not called.
    pub(crate) fn check_all_reached(&self) -> Result<()> {
        match self.reached.iter().position(|reached| !reached) {
            None => Ok(()),
            Some(entry) => Err(Error::new(format!(
                "the hook on {} was never called: the run stops before it, or starts behind it.",
                self.hooks.filter(entry)
            ))),
        }
    }

    /// What was captured, in firing order.
    pub(crate) fn into_captured(self) -> Vec<(HookPoint, Tensor)> {
        self.captured
    }
}

fn check_replacement(point: &HookPoint, value: &Tensor, returned: &Tensor) -> Result<()> {
    if returned.dims() != value.dims() {
        return Err(Error::new(format!(
            "the hook on `{point}` returned a tensor of shape {:?}, but the activation has shape \
             {:?}: return one of the same shape.",
            returned.dims(),
            value.dims()
        )));
    }
    if returned.dtype() != value.dtype() {
        return Err(Error::new(format!(
            "the hook on `{point}` returned a tensor of type {:?}, but the activation has type \
             {:?}: convert it with `.to_dtype(value.dtype())?`.",
            returned.dtype(),
            value.dtype()
        )));
    }
    if !returned.device().same_device(value.device()) {
        return Err(Error::new(format!(
            "the hook on `{point}` returned a tensor on {:?}, but the activation is on {:?}: move \
             it with `.to_device(value.device())?`.",
            returned.device().location(),
            value.device().location()
        )));
    }
    Ok(())
}
