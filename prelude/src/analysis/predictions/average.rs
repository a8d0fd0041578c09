//! A mean, and how sure one can be of it.

/// Mean, spread and 95 % interval of some numbers.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Average {
    /// How many numbers there are.
    pub count: usize,
    /// Their mean; NaN where there are none.
    pub mean: f64,
    /// Their standard deviation, `sqrt(E (x - mean)²)`.
    pub std: f64,
    /// Half the width of the 95 % interval of the mean: `1.96 std / sqrt(count)`, as the field's
    /// notebooks have it.
    pub ci95: f64,
}

impl Average {
    /// Of these numbers.
    ///
    /// ```
    /// use ferrolens::analysis::Average;
    /// let of = Average::of([1., 2., 3.]);
    /// assert_eq!((of.count, of.mean), (3, 2.));
    /// ```
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let values: Vec<f64> = values.into_iter().collect();
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares = values.iter().map(|value| (value - mean).powi(2));
        let std = (squares.sum::<f64>() / count).sqrt();
        Self {
            count: values.len(),
            mean,
            std,
            ci95: 1.96 * std / count.sqrt(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_spread_and_interval() {
        let of = Average::of([1., 2., 3., 4.]);
        assert!((of.mean - 2.5).abs() < 1e-12 && (of.std - 1.25f64.sqrt()).abs() < 1e-12);
        assert!((of.ci95 - 1.96 * 1.25f64.sqrt() / 2.).abs() < 1e-12);
        assert!(Average::of([]).mean.is_nan());
    }
}
