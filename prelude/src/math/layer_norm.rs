//! LayerNorm without weights, on the CPU in one pass.

use super::gradient::{RowFunction, apply};
use candle_core::{Result, Tensor};

/// `(x - mean) / sqrt(variance + eps)` of each row. Differentiable.
///
/// Only for tensors that [`super::has_rows`].
pub(crate) fn layer_norm(x: &Tensor, eps: f64) -> Result<Tensor> {
    apply(x, LayerNorm { eps: eps as f32 })
}

struct LayerNorm {
    eps: f32,
}

impl LayerNorm {
    /// The mean, and one over the standard deviation.
    fn moments(&self, row: &[f32]) -> (f32, f32) {
        let width = row.len() as f32;
        let mean = sum(row, |x| *x) / width;
        let variance = sum(row, |x| (x - mean) * (x - mean)) / width;
        (mean, 1. / (variance + self.eps).sqrt())
    }
}

impl RowFunction for LayerNorm {
    const NAME: &'static str = "layer_norm";

    fn forward(&self, _: usize, row: &[f32], result: &mut [f32]) {
        let (mean, inverse) = self.moments(row);
        for (result, x) in result.iter_mut().zip(row) {
            *result = (x - mean) * inverse;
        }
    }

    fn backward(&self, _: usize, row: &[f32], result: &[f32], gradient: &[f32], out: &mut [f32]) {
        let width = row.len() as f32;
        let (_, inverse) = self.moments(row);
        let mean = sum(gradient, |g| *g) / width;
        for ((out, g), y) in out.iter_mut().zip(gradient).zip(result) {
            *out = g * y;
        }
        let along = sum(out, |product| *product) / width;
        for ((out, g), y) in out.iter_mut().zip(gradient).zip(result) {
            *out = inverse * (g - mean - y * along);
        }
    }
}

/// The sum of a function of the items, in eight lanes.
fn sum(items: &[f32], function: impl Fn(&f32) -> f32) -> f32 {
    let mut lanes = [0f32; 8];
    let mut chunks = items.chunks_exact(8);
    for chunk in &mut chunks {
        lanes
            .iter_mut()
            .zip(chunk)
            .for_each(|(lane, x)| *lane += function(x));
    }
    lanes.iter().sum::<f32>() + chunks.remainder().iter().map(function).sum::<f32>()
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
