//! Tensors of the CPU as slices of `f32`.

use crate::error::{Error, Result};
use candle_core::{CpuStorage, DType, InplaceOp1, Layout, Storage, Tensor, bail};
use std::cell::RefCell;

/// Whether a tensor can be had as a slice.
pub(super) fn on_cpu(tensor: &Tensor) -> bool {
    #[cfg(test)]
    if COMPOSED.get() {
        return false;
    }
    tensor.device().is_cpu() && tensor.dtype() == DType::F32
}

/// What `function` makes of the values of a tensor, row by row.
///
/// # Errors
/// The tensor is not on the CPU or not of type `f32`.
pub(super) fn read<R>(tensor: &Tensor, function: impl FnOnce(&[f32]) -> R) -> Result<R> {
    let tensor = tensor.contiguous()?;
    let (storage, layout) = tensor.storage_and_layout();
    match (&*storage, layout.contiguous_offsets()) {
        (Storage::Cpu(CpuStorage::F32(values)), Some((start, end))) => {
            Ok(function(&values[start..end]))
        }
        _ => Err(Error::new(format!(
            "a tensor of type {:?} on {:?} cannot be read as numbers of the CPU.",
            tensor.dtype(),
            tensor.device().location()
        ))),
    }
}

/// Writes over the values of a contiguous tensor; every tensor that shares them changes with it.
///
/// # Errors
/// As [`read`], or the tensor is a view with gaps.
pub(super) fn overwrite<R>(tensor: &Tensor, function: impl FnOnce(&mut [f32]) -> R) -> Result<R> {
    let work = Overwrite {
        function: RefCell::new(Some(function)),
        result: RefCell::new(None),
    };
    tensor.inplace_op1(&work)?;
    let result = work.result.into_inner();
    result.ok_or_else(|| Error::new("a tensor that is not on the CPU cannot be written over."))
}

/// candle takes a function that may be called again; this one is called once.
struct Overwrite<F, R> {
    function: RefCell<Option<F>>,
    result: RefCell<Option<R>>,
}

impl<R, F: FnOnce(&mut [f32]) -> R> InplaceOp1 for Overwrite<F, R> {
    fn name(&self) -> &'static str {
        "overwrite"
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> candle_core::Result<()> {
        let (CpuStorage::F32(values), Some((start, end))) = (storage, layout.contiguous_offsets())
        else {
            bail!("only contiguous tensors of f32 can be written over")
        };
        if let Some(function) = self.function.take() {
            let result = function(&mut values[start..end]);
            self.result.replace(Some(result));
        }
        Ok(())
    }
}

#[cfg(test)]
thread_local! {
    static COMPOSED: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Does `work` on this thread as if every tensor were on another device.
#[cfg(test)]
pub(super) fn composed<T>(work: impl FnOnce() -> T) -> T {
    COMPOSED.set(true);
    let result = work();
    COMPOSED.set(false);
    result
}
