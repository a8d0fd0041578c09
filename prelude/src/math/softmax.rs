//! Softmax and its relatives over the last dimension.

use super::exp::exp;
use super::rows::{is_plain, map_rows, reduce_rows};
use candle_core::{D, Result, Tensor};

/// Probabilities along the last dimension, of the same shape. Differentiable.
///
/// A row of nothing but -inf becomes NaN, as in PyTorch.
///
/// # Errors
/// The tensor has no dimensions, or is not of a floating-point type.
pub fn softmax(x: &Tensor) -> Result<Tensor> {
    if !is_plain(x) {
        return candle_nn::ops::softmax(x, D::Minus1);
    }
    map_rows(x, "softmax", |row, out| {
        let max = max_of(row);
        let mut sum = 0.;
        for (out, x) in out.iter_mut().zip(row) {
            *out = exp(*x - max);
        }
        for lane in out.chunks(8) {
            sum += lane.iter().sum::<f32>();
        }
        let inverse = 1. / sum;
        out.iter_mut().for_each(|out| *out *= inverse);
    })
}

/// `log(sum(exp(x)))` along the last dimension, which becomes 1. Differentiable.
///
/// # Errors
/// The tensor has no dimensions, or is not of a floating-point type.
pub fn log_sum_exp(x: &Tensor) -> Result<Tensor> {
    if !is_plain(x) {
        let max = x.max_keepdim(D::Minus1)?.detach();
        let sum = x.broadcast_sub(&max)?.exp()?.sum_keepdim(D::Minus1)?;
        return sum.log()? + max;
    }
    reduce_rows(x, "log_sum_exp", |row| {
        let max = max_of(row);
        let mut lanes = [0f32; 8];
        let mut chunks = row.chunks_exact(8);
        for chunk in &mut chunks {
            for (lane, x) in lanes.iter_mut().zip(chunk) {
                *lane += exp(*x - max);
            }
        }
        let rest: f32 = chunks.remainder().iter().map(|x| exp(*x - max)).sum();
        max + (lanes.iter().sum::<f32>() + rest).ln()
    })
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
    use candle_core::Device;

    fn largest_difference(a: &Tensor, b: &Tensor) -> f32 {
        let difference = (a - b).unwrap().abs().unwrap().max_all().unwrap();
        difference.to_scalar().unwrap()
    }

    #[test]
    fn it_agrees_with_candle() {
        let device = Device::Cpu;
        let x = (Tensor::randn(0f32, 4., (3, 7, 5001), &device)).unwrap();
        let reference = candle_nn::ops::softmax(&x, D::Minus1).unwrap();
        assert!(largest_difference(&softmax(&x).unwrap(), &reference) < 1e-6);
        let reference = candle_nn::ops::log_softmax(&x, D::Minus1).unwrap();
        assert!(largest_difference(&log_softmax(&x).unwrap(), &reference) < 1e-5);
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
