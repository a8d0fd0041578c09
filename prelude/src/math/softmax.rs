//! Softmax and its relatives over the last dimension.

use super::exp::exp;
use super::rows::{is_plain, map_rows, reduce_rows, update_rows};
use super::{gradient, row};
use candle_core::{D, Result, Tensor, bail};

/// Probabilities along the last dimension, of the same shape. Differentiable.
///
/// A row of nothing but -inf becomes NaN, as in PyTorch.
///
/// # Errors
/// The tensor has no dimensions, or is not of a floating-point type.
pub fn softmax(x: &Tensor) -> Result<Tensor> {
    has_rows_of_floats(x, "softmax")?;
    if gradient::is_trained(x) {
        return gradient::softmax(x);
    }
    if x.track_op() {
        return candle_nn::ops::softmax(x, D::Minus1);
    }
    if x.elem_count() == 0 {
        return Ok(x.clone());
    }
    if !is_plain(x) {
        return candle_nn::ops::softmax_last_dim(&x.contiguous()?);
    }
    map_rows(x, "softmax", |_, row, out| {
        out.copy_from_slice(row);
        softmax_row(out, 1.);
    })
}

/// `softmax(scores * scale)` where query `i` sees keys 0 to `i` only: `[.., query, key]`, of which
/// nothing behind the diagonal is read. Overwrites the scores.
///
/// Only for tensors that [`is_plain`] and that nobody else holds.
pub(crate) fn causal_softmax(scores: Tensor, scale: f32) -> Result<Tensor> {
    let queries = scores.dim(D::Minus2)?;
    update_rows(scores, "causal_softmax", move |index, row| {
        let seen = (index % queries + 1).min(row.len());
        let (visible, hidden) = row.split_at_mut(seen);
        softmax_row(visible, scale);
        hidden.fill(0.);
    })
}

/// `scores * scale`, and -inf behind the diagonal: `[.., query, key]`. Overwrites the scores.
///
/// Only for tensors that [`is_plain`] and that nobody else holds.
pub(crate) fn causal_scores(scores: Tensor, scale: f32) -> Result<Tensor> {
    let queries = scores.dim(D::Minus2)?;
    update_rows(scores, "causal_scores", move |index, row| {
        let seen = (index % queries + 1).min(row.len());
        let (visible, hidden) = row.split_at_mut(seen);
        visible.iter_mut().for_each(|score| *score *= scale);
        hidden.fill(f32::NEG_INFINITY);
    })
}

/// `softmax(row * scale)`, for `scale > 0`.
fn softmax_row(row: &mut [f32], scale: f32) {
    let max = row::max(row);
    for x in row.iter_mut() {
        *x = exp((*x - max) * scale);
    }
    let inverse = 1. / row::sum(row);
    row.iter_mut().for_each(|x| *x *= inverse);
}

/// `log(sum(exp(x)))` along the last dimension, which becomes 1. Differentiable.
///
/// # Errors
/// The tensor has no dimensions, or is not of a floating-point type.
pub fn log_sum_exp(x: &Tensor) -> Result<Tensor> {
    has_rows_of_floats(x, "log_sum_exp")?;
    if gradient::is_trained(x) {
        return gradient::log_sum_exp(x);
    }
    if !is_plain(x) {
        let max = x.max_keepdim(D::Minus1)?.detach();
        // Infinity from itself would be NaN.
        let max = max.clamp(f32::MIN, f32::MAX)?;
        let sum = x.broadcast_sub(&max)?.exp()?.sum_keepdim(D::Minus1)?;
        return sum.log()? + max;
    }
    reduce_rows(x, "log_sum_exp", row::log_sum_exp)
}

/// Log-probabilities along the last dimension, of the same shape. Differentiable.
///
/// # Errors
/// The tensor has no dimensions, or is not of a floating-point type.
pub fn log_softmax(x: &Tensor) -> Result<Tensor> {
    has_rows_of_floats(x, "log_softmax")?;
    x.broadcast_sub(&log_sum_exp(x)?)
}

fn has_rows_of_floats(x: &Tensor, name: &str) -> Result<()> {
    if x.rank() == 0 {
        bail!("{name} goes along the last dimension, and a single number has none.")
    }
    if !x.dtype().is_float() {
        bail!(
            "{name} calculates with numbers that have a point, and was given {:?} of shape {:?}: use \
             `.to_dtype(DType::F32)?`.",
            x.dtype(),
            x.dims()
        )
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};

    fn largest_difference(a: &Tensor, b: &Tensor) -> f64 {
        let (a, b) = (
            a.to_dtype(DType::F64).unwrap(),
            b.to_dtype(DType::F64).unwrap(),
        );
        let difference = (a - b).unwrap().abs().unwrap().max_all().unwrap();
        difference.to_scalar().unwrap()
    }

    /// Values between -8 and 8 without a pattern.
    fn scattered(shape: &[usize]) -> Tensor {
        let count: usize = shape.iter().product();
        let values: Vec<f32> = (0..count).map(|i| (i as f32 * 1.7).sin() * 8.).collect();
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
    }

    #[test]
    fn it_agrees_with_candle_in_double_precision() {
        let x = scattered(&[3, 7, 5001]);
        let exact = x.to_dtype(DType::F64).unwrap();
        let reference = candle_nn::ops::softmax(&exact, D::Minus1).unwrap();
        assert!(largest_difference(&softmax(&x).unwrap(), &reference) < 1e-6);
        assert!(largest_difference(&softmax(&exact).unwrap(), &reference) < 1e-14);
        let reference = candle_nn::ops::log_softmax(&exact, D::Minus1).unwrap();
        assert!(largest_difference(&log_softmax(&x).unwrap(), &reference) < 1e-5);
        assert!(largest_difference(&log_softmax(&exact).unwrap(), &reference) < 1e-12);
    }

    #[test]
    fn a_row_of_infinities_comes_to_infinity_in_every_precision() {
        let inf = f32::INFINITY;
        let x = Tensor::new(&[[-inf, -inf], [inf, 1.], [-inf, 0.]], &Device::Cpu).unwrap();
        for dtype in [DType::F32, DType::F64] {
            let sums = log_sum_exp(&x.to_dtype(dtype).unwrap()).unwrap();
            let sums = sums.flatten_all().unwrap().to_dtype(DType::F32).unwrap();
            assert_eq!(sums.to_vec1::<f32>().unwrap(), [-inf, inf, 0.], "{dtype:?}");
        }
    }

    #[test]
    fn the_causal_kernels_are_scale_mask_and_softmax() {
        let scores = scattered(&[2, 3, 37, 37]);
        let copy = || scores.copy().unwrap();
        let masked = causal_scores(copy(), 0.125).unwrap();
        let rows = masked.flatten_to(2).unwrap().to_vec2::<f32>().unwrap();
        let plain = (&scores * 0.125).unwrap().flatten_to(2).unwrap();
        let plain = plain.to_vec2::<f32>().unwrap();
        for (index, (row, plain)) in rows.iter().zip(&plain).enumerate() {
            let seen = index % 37 + 1;
            assert_eq!(row[..seen], plain[..seen]);
            assert!(row[seen..].iter().all(|score| *score == f32::NEG_INFINITY));
        }
        let two_steps = softmax(&masked).unwrap();
        let fused = causal_softmax(copy(), 0.125).unwrap();
        assert!(largest_difference(&two_steps, &fused) < 1e-6);
    }

    #[test]
    fn masked_entries_are_exactly_zero_and_empty_rows_nan() {
        let inf = f32::NEG_INFINITY;
        let x = Tensor::new(&[[1f32, inf, 1.], [inf, inf, inf]], &Device::Cpu).unwrap();
        let y = softmax(&x).unwrap().to_vec2::<f32>().unwrap();
        assert_eq!(y[0], [0.5, 0., 0.5]);
        assert!(y[1].iter().all(|y| y.is_nan()));
    }

    #[test]
    fn a_nan_makes_its_row_nan() {
        let x = Tensor::new(&[[1f32, f32::NAN, 1.], [0., 0., 0.]], &Device::Cpu).unwrap();
        let y = softmax(&x).unwrap().to_vec2::<f32>().unwrap();
        assert!(y[0].iter().all(|y| y.is_nan()));
        assert!(log_sum_exp(&x).unwrap().to_vec2::<f32>().unwrap()[0][0].is_nan());
        assert!((y[1][0] - 1. / 3.).abs() < 1e-7);
    }
}
