//! Runs a function over the rows of a contiguous `f32` tensor on the CPU, on all cores.

use candle_core::{CpuStorage, CustomOp1, DType, InplaceOp1, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

/// Below this many elements one core is faster than waking the others.
const WORTH_SHARING: usize = 1 << 14;

/// Whether the fast path applies: `f32` on the CPU, outside any gradient.
///
/// The kernels here have no backward pass; a tensor that is tracked for gradients goes through
/// candle's own operations instead.
pub(crate) fn is_plain(x: &Tensor) -> bool {
    x.device().is_cpu() && x.dtype() == DType::F32 && !x.track_op() && x.elem_count() > 0
}

/// A new tensor of the same shape, `function(index, row, new row)` for rows of the last dimension.
pub(crate) fn map_rows(
    x: &Tensor,
    name: &'static str,
    function: impl Fn(usize, &[f32], &mut [f32]) + Send + Sync,
) -> Result<Tensor> {
    let width = x.dims().last().copied().unwrap_or(1);
    let kernel = Rows {
        name,
        width,
        out_width: width,
        function,
    };
    x.contiguous()?.apply_op1_no_bwd(&kernel)
}

/// A tensor with 1 for its last dimension, `function(row)` for each row.
pub(crate) fn reduce_rows(
    x: &Tensor,
    name: &'static str,
    function: impl Fn(&[f32]) -> f32 + Send + Sync,
) -> Result<Tensor> {
    let width = x.dims().last().copied().unwrap_or(1);
    let function = |_: usize, row: &[f32], out: &mut [f32]| out.fill(function(row));
    let kernel = Rows {
        name,
        width,
        out_width: 1,
        function,
    };
    x.contiguous()?.apply_op1_no_bwd(&kernel)
}

/// A tensor with another last dimension, `function(row, new row)` for each row; a new row begins as zeros.
pub(crate) fn rows_to(
    x: &Tensor,
    out_width: usize,
    name: &'static str,
    function: impl Fn(&[f32], &mut [f32]) + Send + Sync,
) -> Result<Tensor> {
    let width = x.dims().last().copied().unwrap_or(1);
    let function = |_: usize, row: &[f32], out: &mut [f32]| function(row, out);
    let kernel = Rows {
        name,
        width,
        out_width,
        function,
    };
    x.contiguous()?.apply_op1_no_bwd(&kernel)
}

/// Overwrites a contiguous tensor that nobody else holds, `function(index, row)` for rows of the last
/// dimension. A large fresh tensor costs more than most functions, as its memory is mapped anew.
pub(crate) fn update_rows(
    x: Tensor,
    name: &'static str,
    function: impl Fn(usize, &mut [f32]) + Send + Sync,
) -> Result<Tensor> {
    let width = x.dims().last().copied().unwrap_or(1);
    let x = x.contiguous()?;
    x.inplace_op1(&RowsInPlace {
        name,
        width,
        function,
    })?;
    Ok(x)
}

struct RowsInPlace<F> {
    name: &'static str,
    width: usize,
    function: F,
}

impl<F: Fn(usize, &mut [f32]) + Send + Sync> InplaceOp1 for RowsInPlace<F> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let (CpuStorage::F32(values), Some((start, end))) = (storage, layout.contiguous_offsets())
        else {
            bail!("{} needs a contiguous f32 tensor", self.name)
        };
        let values = &mut values[start..end];
        if values.len() < WORTH_SHARING {
            let rows = values.chunks_mut(self.width).enumerate();
            rows.for_each(|(index, row)| (self.function)(index, row));
        } else {
            let rows = values.par_chunks_mut(self.width).enumerate();
            rows.with_min_len(rows_at_once(self.width))
                .for_each(|(index, row)| (self.function)(index, row));
        }
        Ok(())
    }
}

/// How many rows are worth handing to another core.
fn rows_at_once(width: usize) -> usize {
    (WORTH_SHARING / 4).div_ceil(width)
}

struct Rows<F> {
    name: &'static str,
    width: usize,
    out_width: usize,
    function: F,
}

impl<F: Fn(usize, &[f32], &mut [f32]) + Send + Sync> CustomOp1 for Rows<F> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (CpuStorage::F32(values), Some((start, end))) = (storage, layout.contiguous_offsets())
        else {
            bail!("{} needs a contiguous f32 tensor", self.name)
        };
        let values = &values[start..end];
        let rows = values.len() / self.width;
        let mut result = vec![0f32; rows * self.out_width];
        if values.len() < WORTH_SHARING {
            let pairs = values
                .chunks(self.width)
                .zip(result.chunks_mut(self.out_width));
            let numbered = pairs.enumerate();
            numbered.for_each(|(index, (row, out))| (self.function)(index, row, out));
        } else {
            let pairs = values
                .par_chunks(self.width)
                .zip(result.par_chunks_mut(self.out_width))
                .enumerate();
            pairs
                .with_min_len(rows_at_once(self.width))
                .for_each(|(index, (row, out))| (self.function)(index, row, out));
        }
        let mut dims = layout.dims().to_vec();
        if let Some(last) = dims.last_mut() {
            *last = self.out_width;
        }
        Ok((CpuStorage::F32(result), Shape::from_dims(&dims)))
    }
}
