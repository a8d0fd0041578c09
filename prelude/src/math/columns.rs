//! The product with some columns of a matrix, on the CPU: where all of them at once are more than caches hold.

use super::rows::is_plain;
use candle_core::{CpuStorage, Result, Storage, Tensor, bail};
use std::ops::Range;

/// `x W[:, columns]`, `[rows, columns.len()]`, for `x [rows, n]` and `W [n, m]`, whose columns are read where they lie.
///
/// # Errors
/// The shapes do not fit, or there are no such columns.
pub(crate) fn times_columns(x: &Tensor, W: &Tensor, columns: Range<usize>) -> Result<Tensor> {
    let ((rows, n), (down, m)) = (x.dims2()?, W.dims2()?);
    if n != down || columns.end > m || columns.is_empty() {
        bail!("{x:?} cannot be multiplied by columns {columns:?} of {W:?}")
    }
    let (first, width) = (columns.start, columns.len());
    if !is_plain(x) || !is_plain(W) || !W.is_contiguous() {
        return x.matmul(&W.narrow(1, first, width)?.contiguous()?);
    }
    let x = x.contiguous()?;
    let product = with_values(&x, |x| {
        with_values(W, |W| {
            let mut out = Vec::<f32>::with_capacity(rows * width);
            // SAFETY: reads `rows` rows of `n` numbers at `x`, and of each of `n` rows of `W`, `m` apart, the numbers
            // `first..first + width`, all of which are there, as was checked. Writes, without reading them before,
            // `rows` times `width` numbers to `out`, which has room for them, and all of which are written.
            unsafe {
                gemm::gemm(
                    rows,
                    width,
                    n,
                    out.as_mut_ptr(),
                    1,
                    width.cast_signed(),
                    false,
                    x.as_ptr(),
                    1,
                    n.cast_signed(),
                    W.as_ptr().add(first),
                    1,
                    m.cast_signed(),
                    0f32,
                    1f32,
                    false,
                    false,
                    false,
                    gemm::Parallelism::Rayon(rayon::current_num_threads()),
                );
                out.set_len(rows * width);
            }
            out
        })
    })??;
    Tensor::from_vec(product, (rows, width), x.device())
}

fn with_values<R>(tensor: &Tensor, function: impl FnOnce(&[f32]) -> R) -> Result<R> {
    let (storage, layout) = tensor.storage_and_layout();
    match (&*storage, layout.contiguous_offsets()) {
        (Storage::Cpu(CpuStorage::F32(values)), Some((start, end))) => {
            Ok(function(&values[start..end]))
        }
        _ => bail!("a product with columns needs contiguous f32 numbers on the CPU"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device, Var};

    #[test]
    fn they_are_those_of_the_whole_product() -> Result<()> {
        let x = Tensor::randn(0f32, 1., (70, 40), &Device::Cpu)?;
        let W = Tensor::randn(0f32, 1., (40, 300), &Device::Cpu)?;
        let turned = W.t()?.contiguous()?.t()?;
        let part = W.narrow(0, 3, 37)?;
        let tracked = Var::from_tensor(&W)?;
        for (first, end) in [(0, 300), (0, 1), (64, 130), (299, 300)] {
            for W in [&W, &turned, tracked.as_tensor()] {
                let whole = x.matmul(&W.contiguous()?)?.narrow(1, first, end - first)?;
                let some = times_columns(&x, W, first..end)?;
                let apart = (some - whole)?.abs()?.max_all()?.to_scalar::<f32>()?;
                assert!(apart < 1e-5, "{first}..{end}: {apart}");
            }
            let x = x.narrow(1, 3, 37)?;
            let whole = x.contiguous()?.matmul(&part)?;
            let apart =
                times_columns(&x, &part, first..end)? - whole.narrow(1, first, end - first)?;
            assert!(apart?.abs()?.max_all()?.to_scalar::<f32>()? < 1e-5);
            let (x, W) = (x.to_dtype(DType::F64)?, part.to_dtype(DType::F64)?);
            assert_eq!(times_columns(&x, &W, first..end)?.dims(), [70, end - first]);
        }
        Ok(())
    }

    #[test]
    fn what_does_not_fit_is_an_error() -> Result<()> {
        let x = Tensor::zeros((2, 3), DType::F32, &Device::Cpu)?;
        let W = Tensor::zeros((3, 4), DType::F32, &Device::Cpu)?;
        assert!(times_columns(&x, &W, 1..5).is_err());
        assert!(times_columns(&x, &W, 2..2).is_err());
        assert!(times_columns(&W, &x, 0..1).is_err());
        Ok(())
    }
}
