//! LayerNorm without weights.

use super::{RowFunction, apply};
use crate::math::row::sum;
use candle_core::{Result, Tensor};

/// `(x - mean) / sqrt(variance + eps)` of each row. Differentiable.
///
/// Only for tensors that [`super::is_trained`].
pub(crate) fn layer_norm(x: &Tensor, eps: f64) -> Result<Tensor> {
    apply(x, LayerNorm { eps: eps as f32 })
}

struct LayerNorm {
    eps: f32,
}

impl LayerNorm {
    /// Writes `row - mean`, and returns one over the standard deviation.
    fn centre(&self, row: &[f32], centred: &mut [f32]) -> f32 {
        let width = row.len() as f32;
        let mean = sum(row) / width;
        let mut squares = [0f32; 8];
        for (x, y) in row.chunks(8).zip(centred.chunks_mut(8)) {
            for ((x, y), square) in x.iter().zip(y).zip(&mut squares) {
                *y = x - mean;
                *square += *y * *y;
            }
        }
        1. / (sum(&squares) / width + self.eps).sqrt()
    }
}

impl RowFunction for LayerNorm {
    const NAME: &'static str = "layer_norm";

    fn forward(&self, _: usize, row: &[f32], result: &mut [f32]) {
        let inverse = self.centre(row, result);
        result.iter_mut().for_each(|y| *y *= inverse);
    }

    fn backward(&self, _: usize, row: &[f32], result: &[f32], gradient: &[f32], out: &mut [f32]) {
        let width = row.len() as f32;
        let inverse = self.centre(row, out);
        let mean = sum(gradient) / width;
        for ((out, g), y) in out.iter_mut().zip(gradient).zip(result) {
            *out = g * y;
        }
        let along = sum(out) / width;
        for ((out, g), y) in out.iter_mut().zip(gradient).zip(result) {
            *out = inverse * (g - mean - y * along);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{D, Device, Var};

    #[test]
    fn result_and_gradient_are_those_of_the_composed_operations() -> Result<()> {
        let x = Var::randn(1f32, 2., (5, 37), &Device::Cpu)?;
        let weights = Tensor::randn(0f32, 1., (5, 37), &Device::Cpu)?;
        let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
        let deviation = (centred.sqr()?.mean_keepdim(D::Minus1)? + 1e-5)?.sqrt()?;
        let expected = centred.broadcast_div(&deviation)?;
        let ours = layer_norm(&x, 1e-5)?;
        assert!(largest(&(&ours - &expected)?)? < 1e-6);
        let gradient = |y: &Tensor| -> Result<Tensor> {
            let gradients = (y * &weights)?.sum_all()?.backward()?;
            Ok(gradients.get(&x).cloned().unwrap_or(x.zeros_like()?))
        };
        let (ours, expected) = (gradient(&ours)?, gradient(&expected)?);
        assert!(largest(&expected)? > 0.1);
        assert!(largest(&(ours - expected)?)? < 1e-5);
        Ok(())
    }

    fn largest(x: &Tensor) -> Result<f32> {
        x.abs()?.max_all()?.to_scalar()
    }
}
