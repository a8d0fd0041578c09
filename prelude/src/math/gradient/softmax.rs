//! Softmax and the logarithm of its sum.

use super::{RowFunction, apply};
use crate::math::exp::exp;
use crate::math::row::{self, max, sum};
use candle_core::{D, Result, Tensor};

/// See [`crate::math::softmax`]. Only for tensors that [`super::is_trained`].
pub(crate) fn softmax(x: &Tensor) -> Result<Tensor> {
    let causal = None;
    apply(x, Softmax { scale: 1., causal })
}

/// `softmax(scores * scale)` where query `i` sees keys 0 to `i` only: `[.., query, key]`, of which
/// nothing behind the diagonal is read.
///
/// Only for tensors that [`super::is_trained`].
pub(crate) fn causal_softmax(scores: &Tensor, scale: f32) -> Result<Tensor> {
    let causal = Some(scores.dim(D::Minus2)?);
    apply(scores, Softmax { scale, causal })
}

/// See [`crate::math::log_sum_exp`]. Only for tensors that [`super::is_trained`].
pub(crate) fn log_sum_exp(x: &Tensor) -> Result<Tensor> {
    apply(x, LogSumExp)
}

struct Softmax {
    scale: f32,
    /// How many queries follow one another, where each sees no key behind its own.
    causal: Option<usize>,
}

impl Softmax {
    fn seen(&self, index: usize, width: usize) -> usize {
        let seen = self.causal.map(|queries| index % queries + 1);
        seen.map_or(width, |seen| seen.min(width))
    }
}

impl RowFunction for Softmax {
    const NAME: &'static str = "softmax";

    fn forward(&self, index: usize, row: &[f32], result: &mut [f32]) {
        let seen = self.seen(index, row.len());
        let (row, result) = (&row[..seen], &mut result[..seen]);
        let max = max(row);
        for (p, x) in result.iter_mut().zip(row) {
            *p = exp((x - max) * self.scale);
        }
        let inverse = 1. / sum(result);
        result.iter_mut().for_each(|p| *p *= inverse);
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
        let mean = sum(out);
        for ((out, p), g) in out.iter_mut().zip(result).zip(gradient) {
            *out = self.scale * p * (g - mean);
        }
    }
}

struct LogSumExp;

impl RowFunction for LogSumExp {
    const NAME: &'static str = "log_sum_exp";
    const REDUCES: bool = true;

    fn forward(&self, _: usize, numbers: &[f32], result: &mut [f32]) {
        result.fill(row::log_sum_exp(numbers));
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

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device, Var};

    #[test]
    fn results_and_gradients_are_candles() -> Result<()> {
        let device = Device::Cpu;
        let x = Var::randn(0f32, 3., (2, 3, 11, 11), &device)?;
        let weights = Tensor::randn(0f32, 1., (2, 3, 11, 11), &device)?;
        let agree = |ours: Tensor, theirs: Tensor| -> Result<()> {
            let weights = weights.narrow(3, 0, ours.dim(3)?)?;
            let gradient = |y: &Tensor| -> Result<Tensor> {
                let gradients = (y * &weights)?.sum_all()?.backward()?;
                gradients.get(&x).cloned().map_or(x.zeros_like(), Ok)
            };
            let difference = (gradient(&ours)? - gradient(&theirs)?)?;
            assert!(largest(&gradient(&theirs)?)? > 0.01);
            assert!(largest(&difference)? < 2e-6);
            assert!(largest(&(ours - theirs)?)? < 2e-6);
            Ok(())
        };
        agree(softmax(&x)?, candle_nn::ops::softmax(&x, D::Minus1)?)?;

        let ones = Tensor::triu2(11, DType::F32, &device)?;
        let hidden = (ones - Tensor::eye(11, DType::F32, &device)?)?;
        let masked = (x.as_tensor() * 0.5)?.broadcast_add(&(hidden * -1e9)?)?;
        let expected = candle_nn::ops::softmax(&masked, D::Minus1)?;
        agree(causal_softmax(&x, 0.5)?, expected)?;

        let expected = x.as_tensor().exp()?.sum_keepdim(D::Minus1)?.log()?;
        agree(log_sum_exp(&x)?, expected)
    }

    fn largest(x: &Tensor) -> Result<f32> {
        x.abs()?.max_all()?.to_scalar()
    }
}
