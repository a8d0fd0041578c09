//! What one row of numbers comes to: its sum, its largest, the logarithm of the sum of its exponentials.
//!
//! In lanes, because a sum in order cannot become vector instructions.

use super::exp::exp;

const LANES: usize = 8;

/// The sum.
#[inline]
pub(super) fn sum(row: &[f32]) -> f32 {
    sum_of(row, |x| x)
}

/// The sum of a function of the numbers: of a short one, that the compiler makes a few instructions of.
#[inline]
pub(super) fn sum_of(row: &[f32], of: impl Fn(f32) -> f32) -> f32 {
    let mut lanes = [0f32; LANES];
    let mut chunks = row.chunks_exact(LANES);
    for chunk in &mut chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane += of(*x);
        }
    }
    let rest: f32 = chunks.remainder().iter().map(|x| of(*x)).sum();
    lanes.iter().sum::<f32>() + rest
}

/// The largest value that is a number.
#[inline]
pub(super) fn max(row: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let mut chunks = row.chunks_exact(LANES);
    for chunk in &mut chunks {
        for (lane, x) in lanes.iter_mut().zip(chunk) {
            *lane = if *x > *lane { *x } else { *lane };
        }
    }
    let all = lanes.iter().chain(chunks.remainder());
    all.fold(f32::NEG_INFINITY, |max, x| if *x > max { *x } else { max })
}

/// `log(sum(exp(x)))`; NaN if one of the numbers is NaN.
pub(super) fn log_sum_exp(row: &[f32]) -> f32 {
    const BLOCK: usize = 256;
    let max = max(row);
    // What is to be subtracted: infinity from itself would be NaN.
    let max = if max.is_infinite() { 0. } else { max };
    // The compiler makes vector instructions of a loop over `exp`, and of a sum, but not of both in one.
    let mut exps = [0f32; BLOCK];
    let mut total = 0f32;
    for block in row.chunks(BLOCK) {
        let exps = &mut exps[..block.len()];
        for (e, x) in exps.iter_mut().zip(block) {
            *e = exp(x - max);
        }
        total += sum(exps);
    }
    max + total.ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows of every length about those at which loops change, without a pattern.
    fn rows() -> impl Iterator<Item = Vec<f32>> {
        let lengths = [1, 2, 7, 8, 9, 40, 255, 256, 257, 513, 50_257];
        lengths.into_iter().map(|length| {
            let value = |i: usize| (i as f32 * 1.7).sin() * 20.;
            (0..length).map(value).collect()
        })
    }

    #[test]
    fn they_are_those_of_double_precision() {
        for row in rows() {
            let exact = || row.iter().map(|x| f64::from(*x));
            let size: f64 = exact().map(f64::abs).sum();
            assert!((f64::from(sum(&row)) - exact().sum::<f64>()).abs() <= 1e-6 * size);
            let squares: f64 = exact().map(|x| x * x).sum();
            assert!((f64::from(sum_of(&row, |x| x * x)) - squares).abs() <= 1e-6 * squares);
            assert_eq!(f64::from(max(&row)), exact().fold(f64::MIN, f64::max));
            let exps: f64 = exact().map(f64::exp).sum();
            let difference = f64::from(log_sum_exp(&row)) - exps.ln();
            assert!(difference.abs() < 3e-6, "{}: {difference}", row.len());
        }
    }

    #[test]
    fn what_is_no_number_is_as_in_pytorch() {
        let inf = f32::INFINITY;
        assert!(log_sum_exp(&[1., f32::NAN, 1.]).is_nan());
        assert_eq!(log_sum_exp(&[-inf, -inf]), -inf);
        assert_eq!(log_sum_exp(&[-inf, 0.]), 0.);
        assert_eq!(log_sum_exp(&[inf, 1.]), inf);
        assert_eq!(max(&[f32::NAN, -1.]), -1.);
        assert_eq!(max(&[]), -inf);
    }
}
