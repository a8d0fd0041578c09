//! The error function for `f32`, written so that a loop over it becomes vector instructions.

use super::exp::exp;

/// `erf(x)` with an absolute error below 2e-7; NaN stays NaN.
///
/// A polynomial in `x^2` below 1, and `1 - exp(polynomial)` above; both are fitted at the roots of a
/// Chebyshev polynomial, the second weighted with what it is subtracted from 1.
#[inline]
#[allow(clippy::excessive_precision)] // The coefficients are exact f32.
pub(crate) fn erf(x: f32) -> f32 {
    let size = x.abs();
    let square = if size < 1. { x * x } else { 1. };
    let mut small = 7.882_497_4e-5;
    for coefficient in [
        -8.018_855e-4,
        5.189_312e-3,
        -2.685_432_9e-2,
        1.128_359_7e-1,
        -3.761_262_6e-1,
        std::f32::consts::FRAC_2_SQRT_PI,
    ] {
        small = small * square + coefficient;
    }
    // From 4 on it is 1 as far as f32 can tell.
    let far = if size > 4. { 4. } else { size };
    let mut log = 1.590_157_5e-6;
    for coefficient in [
        -4.518_895e-5,
        5.900_005_3e-4,
        -4.730_175_7e-3,
        2.634_438_9e-2,
        -1.099_563_8e-1,
        -6.319_464_4e-1,
        -1.130_168_6,
        3.053_336_7e-4,
    ] {
        log = log * far + coefficient;
    }
    let large = (1. - exp(log)).copysign(x);
    if size < 1. { x * small } else { large }
}

#[cfg(test)]
mod tests {
    use super::erf;

    #[test]
    fn it_is_erf() {
        let mut worst = 0f64;
        for step in -600_000..600_000 {
            let x = step as f32 / 1e5;
            let exact = candle_core::cpu::erf::erf_f64(f64::from(x));
            worst = worst.max((f64::from(erf(x)) - exact).abs());
        }
        assert!(worst < 2e-7, "{worst}");
    }

    #[test]
    fn it_keeps_the_special_values() {
        assert_eq!(erf(0.), 0.);
        assert_eq!((erf(f32::INFINITY), erf(f32::NEG_INFINITY)), (1., -1.));
        assert_eq!((erf(1e30), erf(-30.)), (1., -1.));
        assert!(erf(f32::NAN).is_nan());
    }
}
