//! The tanh approximation of GELU.

use super::{RowFunction, apply};
use crate::math::exp::exp;
use candle_core::{Result, Tensor};

/// See [`crate::math::gelu_new`]. Only for tensors that [`super::is_trained`].
pub(crate) fn gelu_new(x: &Tensor) -> Result<Tensor> {
    apply(x, GeluNew)
}

struct GeluNew;

impl RowFunction for GeluNew {
    const NAME: &'static str = "gelu_new";

    fn forward(&self, _: usize, row: &[f32], result: &mut [f32]) {
        for (result, x) in result.iter_mut().zip(row) {
            *result = x * sigmoid(two_y(*x));
        }
    }

    fn backward(&self, _: usize, row: &[f32], _: &[f32], gradient: &[f32], out: &mut [f32]) {
        for ((out, x), gradient) in out.iter_mut().zip(row).zip(gradient) {
            // Beyond these the slope is 0 or 1, and the product would overflow.
            let x = x.clamp(-20., 20.);
            let s = sigmoid(two_y(x));
            let slope_of_two_y = SQRT_8_OVER_PI * (1. + 3. * CUBIC * x * x);
            *out = gradient * (s + x * s * (1. - s) * slope_of_two_y);
        }
    }
}

const SQRT_8_OVER_PI: f32 = 1.595_769_2;
const CUBIC: f32 = 0.044_715;

/// `gelu_new(x) = x sigmoid(2 y)` with this.
fn two_y(x: f32) -> f32 {
    SQRT_8_OVER_PI * (x + CUBIC * x * x * x)
}

fn sigmoid(x: f32) -> f32 {
    1. / (1. + exp(-x))
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    #[test]
    fn result_and_gradient_are_candles() -> Result<()> {
        let x: Vec<f32> = (0..6_000).map(|i| (i as f32 - 3_000.) / 100.).collect();
        let x = Var::from_vec(x, (10, 600), &Device::Cpu)?;
        let difference = (gelu_new(&x)? - x.gelu()?)?.abs()?.max_all()?;
        assert!(difference.to_scalar::<f32>()? < 2e-6);
        let gradient = |y: Tensor| -> Result<Vec<f32>> {
            let gradients = y.sum_all()?.backward()?;
            let gradient = gradients.get(&x).cloned();
            gradient.map_or(Ok(Vec::new()), |found| found.flatten_all()?.to_vec1())
        };
        let (ours, theirs) = (gradient(gelu_new(&x)?)?, gradient(x.gelu()?)?);
        assert_eq!((ours.len(), theirs.len()), (6_000, 6_000));
        let differences = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs());
        let worst = differences.fold(0., f32::max);
        assert!(worst < 1e-5, "{worst}");
        Ok(())
    }
}
