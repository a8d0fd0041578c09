//! One walk through a model: which hooks are called where, what is kept, when to stop.

use super::filter::{NamesFilter, Offered};
use super::hooks::{HookFunction, Hooks};
use super::names::{HookPoint, Site};
use crate::error::{Error, Result};
use candle_core::Tensor;
use std::collections::{HashMap, HashSet};

/// The hooks and captures of one forward pass, and what it has captured so far.
pub(crate) struct Pass {
    hooks: Hooks,
    functions: HashMap<HookPoint, Vec<(usize, HookFunction)>>,
    /// Which entries of the hooks have been called.
    reached: Vec<bool>,
    kept: HashSet<HookPoint>,
    stop_when_done: bool,
    /// How often a wanted point is still to come.
    unvisited: usize,
    has_repeats: bool,
    captured: Vec<(HookPoint, Tensor)>,
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
    /// A filter that means no hook point of the model.
    pub(crate) fn new(
        hooks: &Hooks,
        kept: Option<&NamesFilter>,
        stop_when_done: bool,
        offered: &Offered,
    ) -> Result<Self> {
        let functions = hooks.resolve(offered)?;
        let kept = match kept {
            Some(filter) => filter.resolve(offered)?,
            None => HashSet::new(),
        };
        let hooked_only = functions.keys().filter(|point| !kept.contains(point));
        let unvisited = kept.len() + hooked_only.count();
        Ok(Self {
            reached: vec![false; hooks.len()],
            hooks: hooks.clone(),
            captured: Vec::with_capacity(kept.len()),
            functions,
            kept,
            stop_when_done,
            unvisited,
            has_repeats: false,
        })
    }

    /// Whether a hook or the cache asked for this point.
    pub(crate) fn wants(&self, site: Site, layer: usize) -> bool {
        let point = HookPoint::new(site, layer);
        self.kept.contains(&point) || self.functions.contains_key(&point)
    }

    /// Whether nobody asked for anything, so that activations may be computed in fused form.
    pub(crate) fn wants_nothing(&self) -> bool {
        self.kept.is_empty() && self.functions.is_empty()
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
        let hooked = self.functions.get(&point);
        let kept = self.kept.contains(&point);
        if hooked.is_none() && !kept {
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
            // A view would keep alive the larger tensor that it was cut from.
            let whole = value.contiguous()?;
            let mut earlier = self.captured.iter_mut().filter(|_| self.has_repeats);
            match earlier.find(|(captured, _)| *captured == point) {
                Some((_, earlier)) => *earlier = whole,
                None => self.captured.push((point, whole)),
            }
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
