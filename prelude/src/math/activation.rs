//! Activation functions that candle computes slowly on the CPU.

use super::erf::erf;
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

/// GELU itself, `x/2 (1 + erf(x / sqrt(2)))`.
///
/// Source: Hendrycks and Gimpel 2016 (arXiv 1606.08415). Differentiable.
///
/// # Errors
/// The operation is not available for the tensor's type on its device.
pub fn gelu(x: &Tensor) -> Result<Tensor> {
    if !is_plain(x) {
        return x.gelu_erf();
    }
    map_rows(x, "gelu", |_, row, out| {
        for (out, x) in out.iter_mut().zip(row) {
            *out = 0.5 * x * (1. + erf(x * std::f32::consts::FRAC_1_SQRT_2));
        }
    })
}

/// `x sigmoid(x)`, also called swish.
///
/// Source: Hendrycks and Gimpel 2016 (arXiv 1606.08415), Ramachandran et al. 2017 (arXiv 1710.05941).
/// Differentiable.
///
/// # Errors
/// The operation is not available for the tensor's type on its device.
pub fn silu(x: &Tensor) -> Result<Tensor> {
    if !is_plain(x) {
        return x.silu();
    }
    map_rows(x, "silu", |_, row, out| {
        for (out, x) in out.iter_mut().zip(row) {
            *out = x / (1. + exp(-x));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn they_are_candles_on_every_shape() {
        let x: Vec<f32> = (0..40_000).map(|i| (i as f32 - 20_000.) / 1000.).collect();
        for shape in [(40_000, 1), (8, 5_000), (1, 40_000)] {
            let x = Tensor::from_vec(x.clone(), shape, &Device::Cpu).unwrap();
            for (ours, wanted) in [
                (gelu_new(&x), x.gelu()),
                (gelu(&x), x.gelu_erf()),
                (silu(&x), x.silu()),
            ] {
                let ours = ours.unwrap();
                assert_eq!(ours.dims(), x.dims());
                let difference = (ours - wanted.unwrap()).unwrap().abs().unwrap();
                let difference = difference.max_all().unwrap().to_scalar::<f32>().unwrap();
                assert!(difference < 3e-6, "{difference}");
            }
        }
    }

    #[test]
    fn extremes_stay_finite_and_nan_stays_nan() {
        let x = Tensor::new(&[-1e30f32, 1e30, f32::NAN, 0.], &Device::Cpu).unwrap();
        for y in [gelu_new(&x), gelu(&x), silu(&x)] {
            let y = y.unwrap().to_vec1::<f32>().unwrap();
            assert_eq!((y[0], y[1], y[3]), (-0., 1e30, 0.));
            assert!(y[2].is_nan());
        }
    }
}
