//! A straight line through points, and how likely chance draws one as steep.

use crate::error::{Error, Result};
use statrs::function::beta::checked_beta_reg;
use std::fmt;

/// The line of least squares through pairs of numbers, `y = intercept + slope x`, with the test whether there
/// is any slope.
///
/// The p-value is that of the two-sided t-test with `count - 2` degrees of freedom: how often pairs that do
/// not depend on each other, with normal errors of one width, would have a slope as far from 0. The same
/// numbers as scipy's `linregress`.
#[derive(Clone, Copy, PartialEq)]
pub struct LinearFit {
    /// How many pairs were finite, and counted.
    pub count: usize,
    /// By how much y rises with x.
    pub slope: f64,
    /// Where the line is at x = 0.
    pub intercept: f64,
    /// Pearson's correlation of x and y.
    pub r: f64,
    /// The standard error of the slope.
    pub slope_error: f64,
    /// Of the hypothesis that the slope is 0.
    pub p_value: f64,
}

impl LinearFit {
    /// The line through these pairs. Pairs of which one number is not finite do not count.
    ///
    /// ```
    /// use ferrolens::math::LinearFit;
    /// let fit = LinearFit::of(&[1., 2., 3., 4.], &[2., 4.1, 5.9, 8.])?;
    /// assert!((fit.slope - 1.98).abs() < 1e-12 && fit.p_value < 0.001);
    /// assert!((fit.at(5.) - 9.95).abs() < 1e-12);
    /// # Ok::<(), ferrolens::Error>(())
    /// ```
    ///
    /// # Errors
    /// `x` and `y` are not equally many, fewer than three pairs count, or all x are one.
    pub fn of(x: &[f64], y: &[f64]) -> Result<Self> {
        if x.len() != y.len() {
            return Err(Error::new(format!(
                "{} x values and {} y values make no pairs: give as many of each.",
                x.len(),
                y.len()
            )));
        }
        let pairs = x.iter().copied().zip(y.iter().copied());
        let pairs: Vec<(f64, f64)> = pairs
            .filter(|(x, y)| x.is_finite() && y.is_finite())
            .collect();
        let count = pairs.len();
        if count < 3 {
            return Err(Error::new(format!(
                "{count} pairs of finite numbers say nothing about a line, through two of which there is \
                 always one: give at least 3."
            )));
        }
        let mean = |of: fn(&(f64, f64)) -> f64| pairs.iter().map(of).sum::<f64>() / count as f64;
        let (mean_x, mean_y) = (mean(|pair| pair.0), mean(|pair| pair.1));
        let (mut xx, mut xy, mut yy) = (0., 0., 0.);
        for (x, y) in &pairs {
            let (x, y) = (x - mean_x, y - mean_y);
            xx += x * x;
            xy += x * y;
            yy += y * y;
        }
        if xx == 0. {
            return Err(Error::new(format!(
                "all {count} x values are {mean_x}, and no line has a slope there: give values that differ."
            )));
        }
        let slope = xy / xx;
        let intercept = mean_y - slope * mean_x;
        // From the residuals themselves: `yy - slope xy` would cancel where the line fits well.
        let left = |(x, y): &(f64, f64)| ((y - mean_y) - slope * (x - mean_x)).powi(2);
        let left: f64 = pairs.iter().map(left).sum();
        let freedom = (count - 2) as f64;
        Ok(Self {
            count,
            slope,
            intercept,
            r: if yy == 0. { 0. } else { xy / (xx * yy).sqrt() },
            slope_error: (left / freedom / xx).sqrt(),
            // P(|t| > t₀) = I(ν / 2, 1/2) at ν / (ν + t₀²), which is the share of y that is left.
            p_value: match yy == 0. {
                true => 1.,
                // Out of reach are only sums of squares that no `f64` holds.
                false => checked_beta_reg(freedom / 2., 0.5, (left / yy).clamp(0., 1.))
                    .unwrap_or(f64::NAN),
            },
        })
    }

    /// Where the line is at this x.
    pub fn at(&self, x: f64) -> f64 {
        self.intercept + self.slope * x
    }
}

impl fmt::Debug for LinearFit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "y = {:.4} + {:.4} x (± {:.4}), r {:.3}, p {}, {} points",
            self.intercept,
            self.slope,
            self.slope_error,
            self.r,
            shown(self.p_value),
            self.count
        )
    }
}

/// A p-value with two digits: `0.042`, `3.1e-7`.
pub(crate) fn shown(p: f64) -> String {
    match p {
        p if p >= 0.1 => format!("{p:.2}"),
        p if p >= 0.01 => format!("{p:.3}"),
        p if p >= 0.001 => format!("{p:.4}"),
        p => format!("{p:.1e}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(found: f64, expected: f64) {
        let off = (found - expected).abs();
        assert!(off <= 1e-9 * expected.abs(), "{found} is not {expected}");
    }

    /// scipy 1.17: `linregress(x, y)`.
    #[test]
    fn it_is_scipys_linregress() {
        let fit = LinearFit::of(
            &[1.0, 1.7, 35.4, 36.2, 51.3, 0.9, f64::NAN, 20.1, 5.5],
            &[12., 15., 80., 91., 88., 9., 1e9, 70., 22.],
        )
        .unwrap();
        assert_eq!(fit.count, 8);
        close(fit.slope, 1.770_812_490_114_901_8);
        close(fit.intercept, 14.707_427_531_690_428);
        close(fit.r, 0.949_546_032_522_616_4);
        close(fit.slope_error, 0.238_778_564_183_246_2);
        close(fit.p_value, 0.000_309_061_835_578_893_5);
        let y = [2.1, -1.3, 0.4, 3.3, -2.2, 1.9, 0.8];
        let none = LinearFit::of(&[1., 2., 3., 4., 5., 6., 7.], &y).unwrap();
        close(none.p_value, 0.993_261_637_938_388_1);
        close(none.slope_error, 0.402_387_644_351_228_26);
        // Far out in the tail, where a difference to 1 would leave nothing.
        let x: Vec<f64> = (0..40u32).map(f64::from).collect();
        let y: Vec<f64> = (0..40u32)
            .map(|i| 2. * f64::from(i) + f64::from(i * 7919 % 13) / 13.)
            .collect();
        let sure = LinearFit::of(&x, &y).unwrap();
        close(sure.slope, 2.002_251_407_129_456);
        assert!((sure.p_value / 9.294_183_717_974_778e-74 - 1.).abs() < 1e-6);
    }

    #[test]
    fn points_on_a_line_leave_no_doubt_and_points_on_a_level_no_slope() {
        let line = LinearFit::of(&[1., 2., 3., 4.], &[3., 5., 7., 9.]).unwrap();
        assert_eq!((line.slope, line.intercept, line.r), (2., 1., 1.));
        assert_eq!((line.slope_error, line.p_value), (0., 0.));
        let level = LinearFit::of(&[1., 2., 3., 4.], &[5.; 4]).unwrap();
        assert_eq!((level.slope, level.r, level.p_value), (0., 0., 1.));
    }

    #[test]
    fn chance_is_below_a_p_value_as_often_as_it_says() {
        use rand::rngs::StdRng;
        use rand::{Rng, SeedableRng};
        fn ten(random: &mut StdRng) -> Vec<f64> {
            let mut normal = || (0..12).map(|_| random.random::<f64>()).sum();
            (0..10).map(|_| normal()).collect()
        }
        let mut random = StdRng::seed_from_u64(5);
        let mut below = 0;
        for _ in 0..1000 {
            let (x, y) = (ten(&mut random), ten(&mut random));
            below += usize::from(LinearFit::of(&x, &y).unwrap().p_value < 0.1);
        }
        assert!((70..=130).contains(&below), "{below} of 1000");
    }

    #[test]
    fn what_has_no_line_is_an_error_that_says_why() {
        let message = |x: &[f64], y: &[f64]| LinearFit::of(x, y).unwrap_err().to_string();
        assert!(message(&[1.], &[1., 2.]).contains("1 x values and 2 y values"));
        assert!(message(&[1., 2., f64::NAN], &[1., 2., 3.]).contains("at least 3"));
        assert!(message(&[2.; 4], &[1., 2., 3., 4.]).contains("all 4 x values are 2"));
    }

    #[test]
    fn p_values_are_written_short() {
        assert_eq!(shown(0.456), "0.46");
        assert_eq!(shown(0.0421), "0.042");
        assert_eq!(shown(0.00421), "0.0042");
        assert_eq!(shown(3.14e-7), "3.1e-7");
    }
}
