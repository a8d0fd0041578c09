//! Activation functions that candle computes slowly on the CPU.

use super::exp::exp;
use super::gradient::{RowFunction, apply, has_rows};
use candle_core::{Result, Tensor};

/// `gelu_new`, the tanh approximation of GELU: `x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))`.
///
/// Source: Hendrycks and Gimpel 2016 (arXiv 1606.08415), as in GPT-2. Differentiable.
///
/// # Errors
/// The operation is not available for the tensor's type on its device.
pub fn gelu_new(x: &Tensor) -> Result<Tensor> {
    match has_rows(x) {
        true => apply(x, GeluNew),
        false => x.gelu(),
    }
}

struct GeluNew;

impl RowFunction for GeluNew {
    const NAME: &'static str = "gelu_new";

    fn forward(&self, _: usize, row: &[f32], result: &mut [f32]) {
        for (result, x) in result.iter_mut().zip(row) {
            *result = gelu_new_of(*x);
        }
    }

    fn backward(&self, _: usize, row: &[f32], _: &[f32], gradient: &[f32], out: &mut [f32]) {
        for ((out, x), gradient) in out.iter_mut().zip(row).zip(gradient) {
            *out = gradient * slope_of(*x);
        }
    }
}

/// `x sigmoid(2 y)`, which is the same because `1 + tanh(y) = 2 sigmoid(2 y)`.
#[inline]
fn gelu_new_of(x: f32) -> f32 {
    let two_y = SQRT_8_OVER_PI * (x + 0.044_715 * x * x * x);
    x / (1. + exp(-two_y))
}

/// The derivative of [`gelu_new_of`].
#[inline]
fn slope_of(x: f32) -> f32 {
    // Beyond these it is 1 and 0, and the products below would overflow.
    let x = x.clamp(-20., 20.);
    let two_y = SQRT_8_OVER_PI * (x + 0.044_715 * x * x * x);
    let slope_of_two_y = SQRT_8_OVER_PI * (1. + 0.134_145 * x * x);
    let sigmoid = 1. / (1. + exp(-two_y));
    sigmoid + x * sigmoid * (1. - sigmoid) * slope_of_two_y
}

const SQRT_8_OVER_PI: f32 = 1.595_769_2;

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn it_is_candles_gelu_on_every_shape() {
        let x: Vec<f32> = (0..40_000).map(|i| (i as f32 - 20_000.) / 1000.).collect();
        for shape in [(40_000, 1), (8, 5_000), (1, 40_000)] {
            let x = Tensor::from_vec(x.clone(), shape, &Device::Cpu).unwrap();
            let ours = gelu_new(&x).unwrap();
            assert_eq!(ours.dims(), x.dims());
            let difference = (ours - x.gelu().unwrap()).unwrap().abs().unwrap();
            let difference = difference.max_all().unwrap().to_scalar::<f32>().unwrap();
            assert!(difference < 2e-6, "{difference}");
        }
    }

    #[test]
    fn its_gradient_is_candles() {
        let x: Vec<f32> = (0..4_000).map(|i| (i as f32 - 2_000.) / 100.).collect();
        let x = candle_core::Var::from_vec(x, (10, 400), &Device::Cpu).unwrap();
        let gradient = |y: Tensor| {
            let gradients = y.sqr().unwrap().sum_all().unwrap().backward().unwrap();
            gradients.get(&x).unwrap().clone()
        };
        let difference = (gradient(gelu_new(&x).unwrap()) - gradient(x.gelu().unwrap())).unwrap();
        let relative = (difference / (x.abs().unwrap() + 1.).unwrap()).unwrap();
        let worst = relative
            .abs()
            .unwrap()
            .max_all()
            .unwrap()
            .to_scalar::<f32>()
            .unwrap();
        assert!(worst < 5e-6, "{worst}");
    }

    #[test]
    fn extremes_stay_finite_and_nan_stays_nan() {
        let x = Tensor::new(&[-1e30f32, 1e30, f32::NAN, 0.], &Device::Cpu).unwrap();
        let y = gelu_new(&x).unwrap().to_vec1::<f32>().unwrap();
        assert_eq!((y[0], y[1], y[3]), (-0., 1e30, 0.));
        assert!(y[2].is_nan());
    }
}
