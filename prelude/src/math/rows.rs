//! Runs a function over the rows of a contiguous `f32` tensor on the CPU, on all cores.

use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result, Shape, Tensor, bail};
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

pub(super) struct Rows<F> {
    pub(super) name: &'static str,
    pub(super) width: usize,
    pub(super) out_width: usize,
    pub(super) function: F,
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
        let read_and_written = self.width.max(self.out_width);
        share_rows(
            &mut result,
            self.out_width,
            read_and_written,
            |index, out| {
                (self.function)(index, &values[index * self.width..][..self.width], out);
            },
        );
        let mut dims = layout.dims().to_vec();
        if let Some(last) = dims.last_mut() {
            *last = self.out_width;
        }
        Ok((CpuStorage::F32(result), Shape::from_dims(&dims)))
    }
}

/// Calls `function(index, row)` for every row of this width, on all cores where that is faster.
pub(super) fn share(
    values: &mut [f32],
    width: usize,
    function: impl Fn(usize, &mut [f32]) + Send + Sync,
) {
    share_rows(values, width, width, function);
}

/// The same, where a row costs as much as `cost` numbers.
fn share_rows(
    values: &mut [f32],
    width: usize,
    cost: usize,
    function: impl Fn(usize, &mut [f32]) + Send + Sync,
) {
    let rows = values.len() / width;
    if rows * cost < WORTH_SHARING {
        let rows = values.chunks_mut(width).enumerate();
        rows.for_each(|(index, row)| function(index, row));
    } else {
        let at_once = (WORTH_SHARING / 4).div_ceil(cost);
        let rows = values.par_chunks_mut(width).enumerate();
        rows.with_min_len(at_once)
            .for_each(|(index, row)| function(index, row));
    }
}
