//! Means with an interval that says how far a sample may be off.

use crate::error::{Error, Result};

/// Half the width of a 95 % interval, in standard errors.
const Z: f64 = 1.959_963_985;

/// A mean, or a ratio of means, of one number a sample, with its 95 % confidence interval.
///
/// The interval is the normal one, `estimate ± 1.96` standard errors: right for many samples that do not
/// depend on each other, too narrow for a handful.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// How many samples were finite, and counted.
    pub count: usize,
    /// The mean, or the ratio of the means.
    pub mean: f64,
    /// The standard deviation of the samples, with `count - 1` below the sum; of a ratio that of `x - r
    /// y`, divided by the mean of `y`. NaN for a single sample.
    pub std: f64,
    /// Where the interval begins.
    pub low: f64,
    /// Where it ends.
    pub high: f64,
}

impl Estimate {
    /// The mean of these numbers. What is not finite does not count.
    ///
    /// ```
    /// use ferrolens::math::Estimate;
    /// let losses = Estimate::of_mean(&[1., 2., 3., 4.])?;
    /// assert_eq!((losses.mean, losses.count), (2.5, 4));
    /// assert!(losses.low < 2. && losses.high > 3.);
    /// # Ok::<(), ferrolens::Error>(())
    /// ```
    ///
    /// # Errors
    /// None of them is finite.
    pub fn of_mean(values: &[f64]) -> Result<Self> {
        let finite: Vec<f64> = values.iter().copied().filter(|x| x.is_finite()).collect();
        if finite.is_empty() {
            return Err(Error::new(format!(
                "{} numbers have no mean, because none of them is finite: look at where they came from.",
                values.len()
            )));
        }
        let mean = mean(&finite);
        let residuals: Vec<f64> = finite.iter().map(|x| x - mean).collect();
        Ok(Self::around(mean, &residuals))
    }

    /// `r = mean(x) / mean(y)` of pairs: what was measured of one thing twice. The interval is that of the
    /// delta method, from the residuals `x - r y`, so that what x and y share cancels. Pairs of which one
    /// is not finite do not count.
    ///
    /// # Errors
    /// `x` and `y` are not equally many, no pair is finite, or the mean of `y` is 0.
    pub fn of_ratio(x: &[f64], y: &[f64]) -> Result<Self> {
        if x.len() != y.len() {
            return Err(Error::new(format!(
                "{} numbers and {} numbers make no pairs: give as many of each.",
                x.len(),
                y.len()
            )));
        }
        let pairs = x.iter().copied().zip(y.iter().copied());
        let (x, y): (Vec<f64>, Vec<f64>) = pairs
            .filter(|(x, y)| x.is_finite() && y.is_finite())
            .unzip();
        let below = mean(&y);
        if y.is_empty() || below == 0. {
            return Err(Error::new(
                "a ratio of means needs pairs of finite numbers, and a mean below that is not 0.",
            ));
        }
        let ratio = mean(&x) / below;
        let residuals: Vec<f64> = x
            .iter()
            .zip(&y)
            .map(|(x, y)| (x - ratio * y) / below)
            .collect();
        Ok(Self::around(ratio, &residuals))
    }

    /// An estimate whose samples lie so far from it; their sum is 0.
    fn around(mean: f64, residuals: &[f64]) -> Self {
        let count = residuals.len();
        let squares: f64 = residuals.iter().map(|residual| residual * residual).sum();
        let std = (squares / (count as f64 - 1.)).sqrt();
        let off = Z * std / (count as f64).sqrt();
        Self {
            count,
            mean,
            std,
            low: mean - off,
            high: mean + off,
        }
    }

    /// What is not known: NaN.
    pub(crate) fn unknown() -> Self {
        Self {
            count: 0,
            mean: f64::NAN,
            std: f64::NAN,
            low: f64::NAN,
            high: f64::NAN,
        }
    }

    /// How far the interval goes to either side.
    pub fn half_width(&self) -> f64 {
        self.high - self.mean
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    #[test]
    fn a_mean_has_the_interval_of_the_textbook() {
        let estimate = Estimate::of_mean(&[2., 4., f64::NAN, 4., 4., 5., 5., 7., 9.]).unwrap();
        // numpy: std(ddof=1) = 2.13809.
        assert_eq!((estimate.count, estimate.mean), (8, 5.));
        assert!((estimate.std - 2.138_09).abs() < 1e-5);
        assert!((estimate.half_width() - 1.481_596).abs() < 1e-4);
        let none = Estimate::of_mean(&[f64::NAN]).unwrap_err().to_string();
        assert!(none.contains("none of them is finite"), "{none}");
    }

    #[test]
    fn a_ratio_covers_the_truth_as_often_as_it_says() {
        let mut random = StdRng::seed_from_u64(3);
        let mut covered = 0;
        for _ in 0..400 {
            let (x, y): (Vec<f64>, Vec<f64>) = (0..100)
                .map(|_| {
                    let y = 1. + random.random::<f64>();
                    (0.7 * y + 0.2 * (random.random::<f64>() - 0.5), y)
                })
                .unzip();
            let ratio = Estimate::of_ratio(&x, &y).unwrap();
            covered += usize::from(ratio.low < 0.7 && 0.7 < ratio.high);
        }
        assert!((370..=392).contains(&covered), "{covered} of 400");
    }

    #[test]
    fn what_is_proportional_has_a_ratio_without_doubt() {
        let ratio = Estimate::of_ratio(&[2., 4., 6.], &[1., 2., 3.]).unwrap();
        assert_eq!((ratio.mean, ratio.low, ratio.high), (2., 2., 2.));
        assert!(Estimate::of_ratio(&[1.], &[0.]).is_err());
        assert!(Estimate::of_ratio(&[1.], &[]).is_err());
    }
}
