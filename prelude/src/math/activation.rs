//! Activation functions that candle computes slowly on the CPU.

use super::exp::exp;
use super::gradient;
use super::rows::{is_plain, map_rows};
use candle_core::{Result, Tensor};

/// `gelu_new`, the tanh approximation of GELU: `x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))`.
///
/// Source: Hendrycks and Gimpel 2016 (arXiv 1606.08415), as in GPT-2. Differentiable.
///
/// # Errors
/// The operation is not available for the tensor's type on its device.
pub fn gelu_new(x: &Tensor) -> Result<Tensor> {
    if gradient::is_trained(x) {
        return gradient::gelu_new(x);
    }
    if !is_plain(x) {
        return x.gelu();
    }
    map_rows(x, "gelu_new", |_, row, out| {
        for (out, x) in out.iter_mut().zip(row) {
            *out = gelu_new_of(*x);
        }
    })
}

/// `x sigmoid(2 y)`, which is the same because `1 + tanh(y) = 2 sigmoid(2 y)`.
#[inline]
fn gelu_new_of(x: f32) -> f32 {
    const SQRT_8_OVER_PI: f32 = 1.595_769_2;
    let two_y = SQRT_8_OVER_PI * (x + 0.044_715 * x * x * x);
    x / (1. + exp(-two_y))
}

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
    fn extremes_stay_finite_and_nan_stays_nan() {
        let x = Tensor::new(&[-1e30f32, 1e30, f32::NAN, 0.], &Device::Cpu).unwrap();
        let y = gelu_new(&x).unwrap().to_vec1::<f32>().unwrap();
        assert_eq!((y[0], y[1], y[3]), (-0., 1e30, 0.));
        assert!(y[2].is_nan());
    }
}
