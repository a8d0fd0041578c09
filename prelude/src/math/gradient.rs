//! Functions of rows that know their own gradient, so that training on the CPU makes one pass where candle's
//! composed operations make ten.

use super::rows::{Rows, share};
use candle_core::{CpuStorage, CustomOp1, CustomOp3, DType, Layout, Result, Shape, Tensor, bail};

/// A function of the rows of a tensor's last dimension.
pub(crate) trait RowFunction: Send + Sync + 'static {
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

/// Whether [`apply`] takes a tensor: `f32` on the CPU, tracked for gradients or not.
pub(crate) fn has_rows(x: &Tensor) -> bool {
    x.device().is_cpu() && x.dtype() == DType::F32 && x.elem_count() > 0 && x.rank() > 0
}

/// The function of every row, differentiable where the tensor is tracked.
pub(crate) fn apply<F: RowFunction>(x: &Tensor, function: F) -> Result<Tensor> {
    let x = x.contiguous()?;
    let kernel = Forward {
        width: x.dims().last().copied().unwrap_or(1),
        function,
    };
    match x.track_op() {
        true => x.apply_op1(kernel),
        false => x.apply_op1_no_bwd(&kernel),
    }
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
        let rows = Rows {
            name: F::NAME,
            width: self.width,
            out_width: self.out_width(),
            function: |index: usize, row: &[f32], out: &mut [f32]| {
                self.function.forward(index, row, out)
            },
        };
        rows.cpu_fwd(storage, layout)
    }

    fn bwd(&self, argument: &Tensor, result: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let gradient = gradient.contiguous()?;
        let argument = argument.contiguous()?;
        argument
            .apply_op3_no_bwd(result, &gradient, &Backward(self))
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
        let (width, out_width) = (self.0.width, self.0.out_width());
        let mut out = vec![0f32; argument.len()];
        share(&mut out, width, |index, out| {
            let row = &argument[index * width..][..width];
            let result = &result[index * out_width..][..out_width];
            let gradient = &gradient[index * out_width..][..out_width];
            self.0.function.backward(index, row, result, gradient, out);
        });
        Ok((CpuStorage::F32(out), argument_layout.shape().clone()))
    }
}

fn values<'a>(name: &str, storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match (storage, layout.contiguous_offsets()) {
        (CpuStorage::F32(values), Some((start, end))) => Ok(&values[start..end]),
        _ => bail!("the gradient of {name} needs contiguous f32 tensors"),
    }
}
