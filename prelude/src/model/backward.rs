//! The way back: gradients at hook points.

use super::filter::{NamesFilter, Offered};
use super::hooks::{Direction, HookFunction, Hooks};
use super::names::HookPoint;
use crate::error::Result;
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CudaStorage, CustomOp1, Layout, MetalStorage, Shape, Tensor, Var};
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex};

/// What is to happen to the gradients of one run.
pub(crate) struct Backward {
    functions: HashMap<HookPoint, Vec<(usize, HookFunction)>>,
    kept: HashSet<HookPoint>,
    gradients: Gradients,
}

/// Gradients as they were met, the last hook point first.
pub(crate) type Gradients = Arc<Mutex<Vec<(HookPoint, Tensor)>>>;

impl Backward {
    /// # Errors
    /// A filter that means no hook point of the model.
    pub(crate) fn new(hooks: &Hooks, kept: &NamesFilter, offered: &Offered) -> Result<Self> {
        Ok(Self {
            functions: hooks.resolve(Direction::Backward, offered)?,
            kept: kept.resolve(offered)?,
            gradients: Gradients::default(),
        })
    }

    /// Where the gradients will be.
    pub(crate) fn gradients(&self) -> Gradients {
        self.gradients.clone()
    }

    /// Whether the gradient at this point is asked for.
    pub(crate) fn wants(&self, point: &HookPoint) -> bool {
        self.kept.contains(point) || self.functions.contains_key(point)
    }

    /// The same value, whose gradient will be seen where somebody asked for it.
    pub(crate) fn watch(&self, point: &HookPoint, value: Tensor) -> Result<Tensor> {
        if !self.wants(point) {
            return Ok(value);
        }
        // What nothing before it is tracked by starts to be tracked here.
        let value = match value.track_op() {
            true => value,
            false => {
                let nothing = Var::zeros(value.shape(), value.dtype(), value.device())?;
                (value + nothing.as_tensor())?
            }
        };
        let functions = self.functions.get(point).into_iter().flatten();
        let watch = Watch {
            point: *point,
            functions: functions.map(|(_, function)| function.clone()).collect(),
            keeps: self.kept.contains(point),
            gradients: self.gradients.clone(),
        };
        Ok(value.force_contiguous()?.apply_op1(watch)?)
    }
}

/// The identity, whose gradient is looked at on its way back.
struct Watch {
    point: HookPoint,
    functions: Vec<HookFunction>,
    keeps: bool,
    gradients: Gradients,
}

impl CustomOp1 for Watch {
    fn name(&self) -> &'static str {
        "hook"
    }

    fn cpu_fwd(
        &self,
        storage: &CpuStorage,
        layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        Ok((storage.try_clone(layout)?, layout.shape().clone()))
    }

    fn cuda_fwd(
        &self,
        storage: &CudaStorage,
        layout: &Layout,
    ) -> candle_core::Result<(CudaStorage, Shape)> {
        Ok((storage.try_clone(layout)?, layout.shape().clone()))
    }

    fn metal_fwd(
        &self,
        storage: &MetalStorage,
        layout: &Layout,
    ) -> candle_core::Result<(MetalStorage, Shape)> {
        Ok((storage.try_clone(layout)?, layout.shape().clone()))
    }

    fn bwd(
        &self,
        _value: &Tensor,
        _result: &Tensor,
        gradient: &Tensor,
    ) -> candle_core::Result<Option<Tensor>> {
        let mut gradient = gradient.clone();
        for function in &self.functions {
            let returned = function(&gradient, &self.point).map_err(|error| {
                candle_core::Error::Msg(
                    error
                        .context(format!("in the hook on the gradient at `{}`", self.point))
                        .to_string(),
                )
            })?;
            if let Some(returned) = returned {
                if returned.shape() != gradient.shape() {
                    candle_core::bail!(
                        "the hook on the gradient at `{}` returned a tensor of shape {:?}, but the \
                         gradient has shape {:?}: return one of the same shape",
                        self.point,
                        returned.dims(),
                        gradient.dims()
                    );
                }
                gradient = returned;
            }
        }
        if self.keeps
            && let Ok(mut gradients) = self.gradients.lock()
        {
            gradients.push((self.point, gradient.detach().contiguous()?));
        }
        Ok(Some(gradient))
    }
}
