//! Softmax and its relatives over the last dimension.

use super::exp::exp;
use super::gradient::{RowFunction, apply, has_rows};
use super::rows::map_rows;
use candle_core::{D, Result, Tensor};

/// Probabilities along the last dimension, of the same shape. Differentiable.
///
/// A row of nothing but -inf becomes NaN, as in PyTorch.
///
/// # Errors
/// The tensor has no dimensions, or is not of a floating-point type.
pub fn softmax(x: &Tensor) -> Result<Tensor> {
    if has_rows(x) {
        let causal = None;
        return apply(x, Softmax { scale: 1., causal });
    }
    match x.track_op() || x.rank() == 0 {
        true => candle_nn::ops::softmax(x, D::Minus1),
        false => candle_nn::ops::softmax_last_dim(&x.contiguous()?),
    }
}

/// `softmax(scores * scale)` where query `i` sees keys 0 to `i` only: `[.., query, key]`, of which
/// nothing behind the diagonal is read. Differentiable.
///
/// Only for tensors that [`has_rows`].
pub(crate) fn causal_softmax(scores: &Tensor, scale: f32) -> Result<Tensor> {
    let causal = Some(scores.dim(D::Minus2)?);
    apply(scores, Softmax { scale, causal })
}

struct Softmax {
    scale: f32,
    /// How many queries follow one another, where each sees no key behind its own.
    causal: Option<usize>,
}

impl Softmax {
    fn seen(&self, index: usize, width: usize) -> usize {
        self.causal
            .map_or(width, |queries| (index % queries + 1).min(width))
    }
}

impl RowFunction for Softmax {
    const NAME: &'static str = "softmax";

    fn forward(&self, index: usize, row: &[f32], result: &mut [f32]) {
        let seen = self.seen(index, row.len());
        softmax_row(&row[..seen], self.scale, &mut result[..seen]);
    }

    fn backward(
        &self,
        index: usize,
        row: &[f32],
        result: &[f32],
        gradient: &[f32],
        out: &mut [f32],
    ) {
        let seen = self.seen(index, row.len());
        let (result, gradient, out) = (&result[..seen], &gradient[..seen], &mut out[..seen]);
        for ((out, p), g) in out.iter_mut().zip(result).zip(gradient) {
            *out = p * g;
        }
        let mean = sum_of(out);
        for ((out, p), g) in out.iter_mut().zip(result).zip(gradient) {
            *out = self.scale * p * (g - mean);
        }
    }
}

/// `scores * scale`, and -inf behind the diagonal: `[.., query, key]`.
///
/// Only for tensors that [`is_plain`].
pub(crate) fn causal_scores(scores: &Tensor, scale: f32) -> Result<Tensor> {
    let queries = scores.dim(D::Minus2)?;
    map_rows(scores, "causal_scores", move |index, row, out| {
        let seen = (index % queries + 1).min(row.len());
        let (visible, hidden) = out.split_at_mut(seen);
        visible
            .iter_mut()
            .zip(row)
            .for_each(|(out, score)| *out = score * scale);
        hidden.fill(f32::NEG_INFINITY);
    })
}

/// `softmax(row * scale)`, for `scale > 0`.
fn softmax_row(row: &[f32], scale: f32, out: &mut [f32]) {
    let max = max_of(row);
    for (out, x) in out.iter_mut().zip(row) {
        *out = exp((*x - max) * scale);
    }
    let inverse = 1. / sum_of(out);
    out.iter_mut().for_each(|out| *out *= inverse);
}

/// The sum, in eight lanes.
fn sum_of(items: &[f32]) -> f32 {
    let mut lanes = [0f32; 8];
    let mut chunks = items.chunks_exact(8);
    for chunk in &mut chunks {
        lanes.iter_mut().zip(chunk).for_each(|(lane, x)| *lane += x);
    }
    lanes.iter().sum::<f32>() + chunks.remainder().iter().sum::<f32>()
}

/// `log(sum(exp(x)))` along the last dimension, which becomes 1. Differentiable.
///
/// # Errors
/// The tensor has no dimensions, or is not of a floating-point type.
pub fn log_sum_exp(x: &Tensor) -> Result<Tensor> {
    if has_rows(x) {
        return apply(x, LogSumExp);
    }
    let max = x.max_keepdim(D::Minus1)?.detach();
    let sum = x.broadcast_sub(&max)?.exp()?.sum_keepdim(D::Minus1)?;
    sum.log()? + max
}

struct LogSumExp;

impl RowFunction for LogSumExp {
    const NAME: &'static str = "log_sum_exp";
    const REDUCES: bool = true;

    fn forward(&self, _: usize, row: &[f32], result: &mut [f32]) {
        let max = max_of(row);
        let mut lanes = [0f32; 8];
        let mut chunks = row.chunks_exact(8);
        for chunk in &mut chunks {
            for (lane, x) in lanes.iter_mut().zip(chunk) {
                *lane += exp(*x - max);
            }
        }
        let rest: f32 = chunks.remainder().iter().map(|x| exp(*x - max)).sum();
        result.fill(max + (lanes.iter().sum::<f32>() + rest).ln());
    }

    fn backward(&self, _: usize, row: &[f32], result: &[f32], gradient: &[f32], out: &mut [f32]) {
        let (Some(total), Some(gradient)) = (result.first(), gradient.first()) else {
            return;
        };
        for (out, x) in out.iter_mut().zip(row) {
            *out = gradient * exp(x - total);
        }
    }
}

/// Log-probabilities along the last dimension, of the same shape. Differentiable.
///
/// # Errors
/// The tensor has no dimensions, or is not of a floating-point type.
pub fn log_softmax(x: &Tensor) -> Result<Tensor> {
    x.broadcast_sub(&log_sum_exp(x)?)
}

/// The largest value that is a number.
fn max_of(row: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; 8];
    let mut chunks = row.chunks_exact(8);
    for chunk in &mut chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane = if *x > *lane { *x } else { *lane };
        }
    }
    let all = lanes.iter().chain(chunks.remainder());
    all.fold(f32::NEG_INFINITY, |max, x| if *x > max { *x } else { max })
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
    fn the_causal_kernels_are_scale_mask_and_softmax() {
        let scores = scattered(&[2, 3, 37, 37]);
        let masked = causal_scores(&scores, 0.125).unwrap();
        let rows = masked.flatten_to(2).unwrap().to_vec2::<f32>().unwrap();
        let plain = (&scores * 0.125).unwrap().flatten_to(2).unwrap();
        let plain = plain.to_vec2::<f32>().unwrap();
        for (index, (row, plain)) in rows.iter().zip(&plain).enumerate() {
            let seen = index % 37 + 1;
            assert_eq!(row[..seen], plain[..seen]);
            assert!(row[seen..].iter().all(|score| *score == f32::NEG_INFINITY));
        }
        let two_steps = softmax(&masked).unwrap();
        let fused = causal_softmax(&scores, 0.125).unwrap();
        assert!(largest_difference(&two_steps, &fused) < 1e-6);
    }

    #[test]
    fn gradients_agree_with_candles() {
        let device = Device::Cpu;
        let x = candle_core::Var::randn(0f32, 3., (2, 3, 11, 11), &device).unwrap();
        let weights = Tensor::randn(0f32, 1., (2, 3, 11, 11), &device).unwrap();
        let gradient = |y: Tensor| {
            let weights = weights.narrow(3, 0, y.dim(3).unwrap()).unwrap();
            let gradients = (y * weights)
                .unwrap()
                .sum_all()
                .unwrap()
                .backward()
                .unwrap();
            gradients.get(&x).unwrap().clone()
        };
        let expected = gradient(candle_nn::ops::softmax(&x, D::Minus1).unwrap());
        assert!(largest_difference(&gradient(softmax(&x).unwrap()), &expected) < 1e-6);

        let hidden = Tensor::triu2(11, DType::F32, &device).unwrap()
            - Tensor::eye(11, DType::F32, &device).unwrap();
        let bias = (hidden.unwrap() * -1e9).unwrap();
        let masked = (x.as_tensor() * 0.5).unwrap().broadcast_add(&bias).unwrap();
        let expected = gradient(candle_nn::ops::softmax(&masked, D::Minus1).unwrap());
        assert!(largest_difference(&gradient(causal_softmax(&x, 0.5).unwrap()), &expected) < 1e-6);

        let expected = gradient(x.log_sum_exp(D::Minus1).unwrap().unsqueeze(3).unwrap());
        assert!(largest_difference(&gradient(log_sum_exp(&x).unwrap()), &expected) < 1e-6);
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
