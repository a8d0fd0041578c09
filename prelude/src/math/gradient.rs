//! Functions of rows that know their own gradient, so that training on the CPU makes one pass where
//! candle's composed operations make ten.
//!
//! They take tensors that are tracked for gradients; the kernels beside this file take the others.

mod gelu_new;
mod layer_norm;
mod softmax;

pub(crate) use gelu_new::gelu_new;
pub(crate) use layer_norm::layer_norm;
pub(crate) use softmax::{causal_softmax, log_sum_exp, softmax};

use candle_core::{CpuStorage, CustomOp1, CustomOp3, DType, Layout, Result, Shape, Tensor, bail};
use rayon::prelude::*;

/// Below this many elements one core is faster than waking the others.
const WORTH_SHARING: usize = 1 << 14;

/// Whether a tensor is `f32` on the CPU and tracked for gradients: for those the functions here are.
pub(crate) fn is_trained(x: &Tensor) -> bool {
    x.track_op()
        && x.device().is_cpu()
        && x.dtype() == DType::F32
        && x.elem_count() > 0
        && x.rank() > 0
}

/// A function of the rows of a tensor's last dimension.
trait RowFunction: Send + Sync + 'static {
    /// What errors call it.
    const NAME: &'static str;
    /// Whether its result has one number for each row, or as many as the row.
    const REDUCES: bool = false;

    /// Writes the result of the row of this index.
    fn forward(&self, index: usize, row: &[f32], result: &mut [f32]);

    /// Writes the gradient of the row, from the row, its result and the gradient of that.
    fn backward(
        &self,
        index: usize,
        row: &[f32],
        result: &[f32],
        gradient: &[f32],
        out: &mut [f32],
    );
}

/// The function of every row.
fn apply<F: RowFunction>(x: &Tensor, function: F) -> Result<Tensor> {
    let width = x.dims().last().copied().unwrap_or(1);
    x.contiguous()?.apply_op1(Forward { width, function })
}

struct Forward<F> {
    width: usize,
    function: F,
}

impl<F: RowFunction> Forward<F> {
    fn out_width(&self) -> usize {
        if F::REDUCES { 1 } else { self.width }
    }
}

impl<F: RowFunction> CustomOp1 for Forward<F> {
    fn name(&self) -> &'static str {
        F::NAME
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let values = values(F::NAME, storage, layout)?;
        let (width, out_width) = (self.width, self.out_width());
        let mut result = vec![0f32; values.len() / width * out_width];
        share(&mut result, out_width, width, |index, out| {
            let row = &values[index * width..][..width];
            self.function.forward(index, row, out);
        });
        let mut dims = layout.dims().to_vec();
        if let Some(last) = dims.last_mut() {
            *last = out_width;
        }
        Ok((CpuStorage::F32(result), Shape::from_dims(&dims)))
    }

    fn bwd(&self, argument: &Tensor, result: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let gradient = gradient.contiguous()?;
        let backward = Backward(self);
        argument
            .apply_op3_no_bwd(result, &gradient, &backward)
            .map(Some)
    }
}

struct Backward<'a, F>(&'a Forward<F>);

impl<F: RowFunction> CustomOp3 for Backward<'_, F> {
    fn name(&self) -> &'static str {
        F::NAME
    }

    fn cpu_fwd(
        &self,
        argument: &CpuStorage,
        argument_layout: &Layout,
        result: &CpuStorage,
        result_layout: &Layout,
        gradient: &CpuStorage,
        gradient_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let argument = values(F::NAME, argument, argument_layout)?;
        let result = values(F::NAME, result, result_layout)?;
        let gradient = values(F::NAME, gradient, gradient_layout)?;
        let Forward { width, function } = self.0;
        let (width, out_width) = (*width, self.0.out_width());
        let mut out = vec![0f32; argument.len()];
        share(&mut out, width, width, |index, out| {
            let row = &argument[index * width..][..width];
            let result = &result[index * out_width..][..out_width];
            let gradient = &gradient[index * out_width..][..out_width];
            function.backward(index, row, result, gradient, out);
        });
        let shape = argument_layout.shape().clone();
        Ok((CpuStorage::F32(out), shape))
    }
}

/// Calls `function(index, row)` for every row, on all cores where that is faster; a row costs as
/// much as `cost` numbers.
fn share(
    values: &mut [f32],
    width: usize,
    cost: usize,
    function: impl Fn(usize, &mut [f32]) + Send + Sync,
) {
    if values.is_empty() {
        return;
    }
    if values.len() / width * cost < WORTH_SHARING {
        let rows = values.chunks_mut(width).enumerate();
        rows.for_each(|(index, row)| function(index, row));
    } else {
        let at_once = (WORTH_SHARING / 4).div_ceil(cost);
        let rows = values.par_chunks_mut(width).enumerate();
        rows.with_min_len(at_once)
            .for_each(|(index, row)| function(index, row));
    }
}

fn values<'a>(name: &str, storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((start, end))) => Ok(&values[start..end]),
        _ => bail!("{name} needs contiguous f32 tensors"),
    }
}
