//! The rows of a matrix that is too large to be there twice.

use crate::error::Result;
use candle_core::{Result as CandleResult, Tensor};

/// How many numbers are there twice while a matrix changes.
const BLOCK: usize = 1 << 20;

/// Whose memory a tensor lies in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Memory {
    /// Its own, which may be written over.
    Own,
    /// Another's as well, who would see what is written there.
    Shared,
}

/// A matrix `[rows, columns]` whose rows went through `change`, a block of them at a time: in its own
/// memory where it may be written over, else in one new matrix.
///
/// # Errors
/// There is no room, or the change makes rows of another width.
pub(super) fn change_rows(
    matrix: &Tensor,
    memory: Memory,
    change: impl Fn(&Tensor) -> CandleResult<Tensor>,
) -> Result<Tensor> {
    // What is written into memory has no gradient.
    if matrix.track_op() {
        return Ok(change(matrix)?);
    }
    let (rows, columns) = matrix.dims2()?;
    let target = match memory == Memory::Own && matrix.is_contiguous() {
        true => matrix.clone(),
        false => Tensor::zeros((rows, columns), matrix.dtype(), matrix.device())?,
    };
    let at_a_time = (BLOCK / columns.max(1)).max(1);
    for start in (0..rows).step_by(at_a_time) {
        let count = at_a_time.min(rows - start);
        let changed = change(&matrix.narrow(0, start, count)?)?;
        target.slice_set(&changed.contiguous()?, 0, start)?;
    }
    Ok(target)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{D, DType, Device};

    /// More rows than go at a time, and not a whole number of blocks.
    fn matrix() -> Tensor {
        let numbers = Tensor::arange(0f32, (3 * 700_001) as f32, &Device::Cpu).unwrap();
        numbers.reshape((700_001, 3)).unwrap()
    }

    fn centred(rows: &Tensor) -> CandleResult<Tensor> {
        rows.broadcast_sub(&rows.mean_keepdim(D::Minus1)?)
    }

    fn values(tensor: &Tensor) -> Vec<f32> {
        tensor.flatten_all().unwrap().to_vec1().unwrap()
    }

    #[test]
    fn blocks_are_the_whole() {
        let matrix = matrix();
        let whole = values(&centred(&matrix).unwrap());
        let before = values(&matrix);
        let new = change_rows(&matrix, Memory::Shared, centred).unwrap();
        assert_eq!(values(&new), whole);
        assert_eq!(values(&matrix), before, "what is shared stays as it was");
        let same = change_rows(&matrix, Memory::Own, centred).unwrap();
        assert_eq!(values(&same), whole);
        assert_eq!(values(&matrix), whole, "no second matrix was made");
    }

    #[test]
    fn a_matrix_that_lies_the_other_way_is_copied() {
        let matrix = Tensor::new(&[[1f32, 2.], [3., 6.]], &Device::Cpu).unwrap();
        let turned = matrix.t().unwrap();
        let changed = change_rows(&turned, Memory::Own, centred).unwrap();
        assert_eq!(values(&changed), [-1., 1., -2., 2.]);
        assert_eq!(values(&matrix), [1., 2., 3., 6.]);
    }

    #[test]
    fn a_matrix_that_is_trained_keeps_its_gradient() {
        let trained = candle_core::Var::zeros((2, 3), DType::F32, &Device::Cpu).unwrap();
        let changed = change_rows(&trained, Memory::Own, |rows| rows * 2.).unwrap();
        let gradients = changed.sum_all().unwrap().backward().unwrap();
        let gradient = gradients.get(&trained).unwrap();
        assert_eq!(values(gradient), [2.; 6]);
    }
}
