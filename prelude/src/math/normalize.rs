//! LayerNorm and RMSNorm without weights, for tensors on the CPU that no gradient is wanted for.

use super::row::{sum, sum_of};
use super::rows::{is_plain, map_rows, reduce_rows};
use candle_core::{Result, Tensor};

/// What is normalized, and how.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Normalize {
    /// Whether the mean is taken off first.
    pub(crate) centres: bool,
    pub(crate) eps: f64,
}

impl Normalize {
    /// `sqrt(variance + eps)` of each row, or of RMSNorm `sqrt(mean(x^2) + eps)`: `[.., width]` to `[.., 1]`.
    ///
    /// Only for tensors that [`is_plain`].
    pub(crate) fn scale(self, x: &Tensor) -> Result<Tensor> {
        reduce_rows(x, "scale of a norm", move |row| {
            self.scale_of(row, self.mean_of(row))
        })
    }

    /// Each row, centred and divided by its scale; where the scales, `[.., 1]`, are nothing, by its own.
    /// Nothing where the scales are not those of one row each.
    ///
    /// Only for tensors that [`is_plain`].
    pub(crate) fn divide(self, x: &Tensor, scales: Option<&Tensor>) -> Result<Option<Tensor>> {
        let Some(scales) = scales else {
            return self
                .map(x, |row, mean, _| self.scale_of(row, mean))
                .map(Some);
        };
        let rows = x.elem_count() / x.dims().last().copied().unwrap_or(1);
        let fits = scales.rank() == x.rank()
            && scales.dims()[..x.rank() - 1] == x.dims()[..x.rank() - 1]
            && scales.elem_count() == rows;
        if !fits || !is_plain(scales) {
            return Ok(None);
        }
        let scales: Vec<f32> = scales.flatten_all()?.to_vec1()?;
        self.map(x, move |_, _, index| scales[index]).map(Some)
    }

    fn map(
        self,
        x: &Tensor,
        scale: impl Fn(&[f32], f32, usize) -> f32 + Send + Sync,
    ) -> Result<Tensor> {
        map_rows(x, "a norm", move |index, row, out| {
            let mean = self.mean_of(row);
            let inverse = 1. / scale(row, mean, index);
            for (out, x) in out.iter_mut().zip(row) {
                *out = (x - mean) * inverse;
            }
        })
    }

    fn mean_of(self, row: &[f32]) -> f32 {
        match self.centres {
            true => sum(row) / row.len() as f32,
            false => 0.,
        }
    }

    fn scale_of(self, row: &[f32], mean: f32) -> f32 {
        let squares = sum_of(row, |x| (x - mean) * (x - mean));
        (squares / row.len() as f32 + self.eps as f32).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{D, Device};

    #[test]
    fn it_is_the_equation() {
        for shape in [vec![2, 3, 70], vec![1, 1], vec![5, 512]] {
            let x = (Tensor::randn(0f32, 3., shape, &Device::Cpu).unwrap() + 2.).unwrap();
            for centres in [true, false] {
                let norm = Normalize { centres, eps: 1e-5 };
                let centred = match centres {
                    true => x.broadcast_sub(&x.mean_keepdim(D::Minus1).unwrap()),
                    false => Ok(x.clone()),
                };
                let centred = centred.unwrap();
                let square = centred.sqr().unwrap().mean_keepdim(D::Minus1).unwrap();
                let wanted = (square + 1e-5).unwrap().sqrt().unwrap();
                let scale = norm.scale(&x).unwrap();
                close(&scale, &wanted);
                let y = centred.broadcast_div(&wanted).unwrap();
                close(&norm.divide(&x, None).unwrap().unwrap(), &y);
                let twice = (wanted * 2.).unwrap();
                let half = norm.divide(&x, Some(&twice)).unwrap().unwrap();
                close(&half, &(y / 2.).unwrap());
            }
        }
    }

    #[test]
    fn scales_of_another_shape_are_left_to_others() {
        let x = Tensor::ones((2, 3, 4), candle_core::DType::F32, &Device::Cpu).unwrap();
        let norm = Normalize {
            centres: true,
            eps: 1e-5,
        };
        for shape in [vec![1, 1, 1], vec![2, 3, 4], vec![3, 1], vec![3, 2, 1]] {
            let scales = Tensor::ones(shape, candle_core::DType::F32, &Device::Cpu).unwrap();
            assert!(norm.divide(&x, Some(&scales)).unwrap().is_none());
        }
    }

    fn close(found: &Tensor, wanted: &Tensor) {
        assert_eq!(found.dims(), wanted.dims());
        let difference = (found - wanted).unwrap().abs().unwrap();
        let difference = difference.flatten_all().unwrap().max(0).unwrap();
        assert!(difference.to_scalar::<f32>().unwrap() < 1e-5);
    }
}
