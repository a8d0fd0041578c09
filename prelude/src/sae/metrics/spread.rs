//! Means and total variances of vectors that come in batches.

use crate::error::Result;
use candle_core::{DType, Device, Tensor};

/// Count, mean and summed squared distance to the mean of all vectors so far, by the parallel algorithm
/// of Chan, Golub and LeVeque 1979: nothing large cancels.
#[derive(Clone, Default)]
pub(super) struct Spread {
    count: f64,
    mean: Vec<f64>,
    /// `Σ |x - mean|²`, over all dimensions.
    squares: f64,
}

impl Spread {
    /// With these vectors too, `[n, d]`. Returns their squared distances to their own mean, `[n]`.
    pub(super) fn add(&mut self, vectors: &Tensor) -> Result<Vec<f32>> {
        let count = vectors.dim(0)? as f64;
        let batch_mean = vectors.mean_keepdim(0)?; // [1, d]
        let distances = vectors.broadcast_sub(&batch_mean)?.sqr()?.sum(1)?;
        let distances: Vec<f32> = on_host(&distances)?;
        let mean: Vec<f32> = on_host(&batch_mean.squeeze(0)?)?;
        if self.mean.is_empty() {
            self.mean = vec![0.; mean.len()];
        }
        let total = self.count + count;
        let mut apart = 0.;
        for (mean, of_batch) in self.mean.iter_mut().zip(mean) {
            let step = f64::from(of_batch) - *mean;
            apart += step * step;
            *mean += step * count / total;
        }
        self.squares += distances.iter().map(|x| f64::from(*x)).sum::<f64>()
            + apart * self.count * count / total;
        self.count = total;
        Ok(distances)
    }

    /// `Σ |x - mean|²`.
    pub(super) fn squares(&self) -> f64 {
        self.squares
    }
}

/// The numbers of a vector.
pub(super) fn on_host(vector: &Tensor) -> Result<Vec<f32>> {
    let vector = vector.to_dtype(DType::F32)?.to_device(&Device::Cpu)?;
    Ok(vector.to_vec1()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_of_any_size_give_the_variance_of_all() {
        let rows: Vec<Vec<f32>> = (0..7u8)
            .map(|at| vec![1e4 + f32::from(at), f32::from(at * at)])
            .collect();
        let mut spread = Spread::default();
        for batch in [&rows[..1], &rows[1..5], &rows[5..]] {
            let batch = Tensor::new(batch.to_vec(), &Device::Cpu).unwrap();
            spread.add(&batch).unwrap();
        }
        let mean = |at: usize| rows.iter().map(|row| f64::from(row[at])).sum::<f64>() / 7.;
        let squares = |at: usize| {
            let mean = mean(at);
            let squares = rows.iter().map(|row| (f64::from(row[at]) - mean).powi(2));
            squares.sum::<f64>()
        };
        assert!((spread.squares() - squares(0) - squares(1)).abs() < 1e-3);
    }
}
