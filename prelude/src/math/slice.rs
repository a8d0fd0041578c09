//! Setting part of a tensor: one line for `value[:, :, 3] = 0`.

use crate::error::{Error, Result};
use candle_core::Tensor;
use std::ops::{Bound, Range, RangeBounds, RangeFrom, RangeFull, RangeInclusive, RangeTo};

/// A copy of `tensor` in which the entries at `at` of dimension `dim` are `value`.
///
/// `at` is an index (negative: from the end) or a range. `value` is a number, or a tensor that
/// broadcasts to the place it goes to. Differentiable in both.
///
/// ```
/// use ferrolens::{Device, Tensor, math::set_at};
/// let z = Tensor::ones((1, 5, 4, 8), ferrolens::DType::F32, &Device::Cpu)?;
/// // Zero head 3 of `hook_z`, which is `[batch, pos, head, d_head]`.
/// let z = set_at(&z, 2, 3, 0.)?;
/// assert_eq!(z.sum_all()?.to_scalar::<f32>()?, (5 * 3 * 8) as f32);
/// # Ok::<(), ferrolens::Error>(())
/// ```
///
/// # Errors
/// A dimension or index outside the tensor, or a value that does not fit.
pub fn set_at(
    tensor: &Tensor,
    dim: usize,
    at: impl Into<Span>,
    value: impl Into<Fill>,
) -> Result<Tensor> {
    let rank = tensor.rank();
    if dim >= rank {
        return Err(Error::new(format!(
            "dimension {dim} does not exist in a tensor of shape {:?}: use 0 to {}.",
            tensor.dims(),
            rank.saturating_sub(1)
        )));
    }
    let mut spans = vec![Span::all(); rank];
    spans[dim] = at.into();
    set_slice(tensor, &spans, value)
}

/// A copy of `tensor` in which the block chosen by one [`Span`] a dimension is `value`.
///
/// Dimensions that are left out at the end are taken whole.
///
/// ```
/// use ferrolens::{Device, Tensor, math::{Span, set_slice}};
/// let scores = Tensor::zeros((1, 2, 6, 6), ferrolens::DType::F32, &Device::Cpu)?;
/// // scores[:, 0, 3:, 2] = -inf
/// let at = [Span::all(), 0.into(), (3..).into(), 2.into()];
/// let scores = set_slice(&scores, &at, f64::NEG_INFINITY)?;
/// # Ok::<(), ferrolens::Error>(())
/// ```
///
/// # Errors
/// More spans than dimensions, an index outside the tensor, or a value that does not fit.
pub fn set_slice(tensor: &Tensor, at: &[Span], value: impl Into<Fill>) -> Result<Tensor> {
    let ranges = resolved(tensor, at)?;
    let mut place = tensor.clone();
    for (dim, range) in ranges.iter().enumerate() {
        place = place.narrow(dim, range.start, range.len())?;
    }
    if place.elem_count() == 0 {
        return Ok(tensor.clone());
    }
    let value = match value.into() {
        Fill::Number(number) => {
            Tensor::full(number, place.shape(), tensor.device())?.to_dtype(tensor.dtype())?
        }
        Fill::Tensor(value) => {
            // A part that was taken out at an index lacks the index's dimension.
            let one = |dim: usize| at.get(dim).is_some_and(|span| span.one);
            let dims = place.dims().iter().enumerate();
            let without: Vec<usize> = dims
                .filter(|(dim, _)| !one(*dim))
                .map(|(_, size)| *size)
                .collect();
            let value = match value.dims() == without {
                true => value.reshape(place.shape())?,
                false => value,
            };
            value.broadcast_as(place.shape()).map_err(|_| {
            Error::new(format!(
                "a value of shape {:?} does not fit into the part of shape {:?} that is being set \
                 in a tensor of shape {:?}.",
                value.dims(),
                place.dims(),
                tensor.dims()
            ))
        })?
        }
    };
    Ok(tensor.slice_assign(&ranges, &value.contiguous()?)?)
}

/// The range of every dimension of a tensor.
fn resolved(tensor: &Tensor, at: &[Span]) -> Result<Vec<Range<usize>>> {
    let dims = tensor.dims();
    if at.len() > dims.len() {
        return Err(Error::new(format!(
            "{} indices were given for a tensor of shape {dims:?}: give at most one a dimension.",
            at.len(),
        )));
    }
    let given = |(dim, size): (usize, &usize)| match at.get(dim) {
        Some(span) => span.resolve(dim, dims),
        None => Ok(0..*size),
    };
    dims.iter().enumerate().map(given).collect()
}

/// Parts of a tensor by one index or range a dimension, as `value[:, -1]` is in Python.
///
/// ```
/// use ferrolens::{DType, Device, Tensor, math::Slice};
/// let z = Tensor::ones((1, 5, 4, 8), DType::F32, &Device::Cpu)?;
/// // z[:, -2:, 3] = 0
/// let z = z.set((.., -2.., 3), 0.)?;
/// assert_eq!(z.sum_all()?.to_scalar::<f32>()?, (5 * 4 * 8 - 2 * 8) as f32);
/// // z[0, -1]
/// assert_eq!(z.at((0, -1))?.dims(), [4, 8]);
/// # Ok::<(), ferrolens::Error>(())
/// ```
pub trait Slice {
    /// The block at `at`, one index or range a dimension; negative ones count from the end. An index leaves
    /// out its dimension, and dimensions left out at the end are taken whole. Nothing is copied.
    ///
    /// candle's own `i` counts from the start only.
    ///
    /// # Errors
    /// More indices than dimensions, or one outside the tensor.
    fn at(&self, at: impl Into<Spans>) -> Result<Tensor>;

    /// A copy in which the block at `at`, one index or range a dimension, is `value`, a number or a
    /// tensor that broadcasts to it. Dimensions left out at the end are taken whole.
    ///
    /// # Errors
    /// As [`set_slice`].
    fn set(&self, at: impl Into<Spans>, value: impl Into<Fill>) -> Result<Tensor>;
}

impl Slice for Tensor {
    fn at(&self, at: impl Into<Spans>) -> Result<Tensor> {
        let spans = at.into().0;
        let ranges = resolved(self, &spans)?;
        let mut part = self.clone();
        // From the last, so that the dimensions before keep their numbers.
        for (dim, (span, range)) in spans.iter().zip(ranges).enumerate().rev() {
            part = part.narrow(dim, range.start, range.len())?;
            if span.one {
                part = part.squeeze(dim)?;
            }
        }
        Ok(part)
    }

    fn set(&self, at: impl Into<Spans>, value: impl Into<Fill>) -> Result<Tensor> {
        set_slice(self, &at.into().0, value)
    }
}

/// One [`Span`] a dimension: an index or a range for the first, or a tuple of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spans(Vec<Span>);

macro_rules! spans_from_tuple {
    ($($type:ident)+) => {
        impl<$($type: Into<Span>),+> From<($($type,)+)> for Spans {
            #[allow(non_snake_case)]
            fn from(($($type,)+): ($($type,)+)) -> Self {
                Self(vec![$($type.into()),+])
            }
        }
    };
}

impl<A: Into<Span>> From<A> for Spans {
    fn from(span: A) -> Self {
        Self(vec![span.into()])
    }
}

spans_from_tuple!(A);
spans_from_tuple!(A B);
spans_from_tuple!(A B C);
spans_from_tuple!(A B C D);

/// Which entries of one dimension: an index, a range, or all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    start: isize,
    /// Nothing: to the end.
    end: Option<isize>,
    one: bool,
}

impl Span {
    /// Every entry.
    pub fn all() -> Self {
        (..).into()
    }

    fn between(start: isize, end: Option<isize>) -> Self {
        Self {
            start,
            end,
            one: false,
        }
    }

    /// Whether this is one entry, given by its index.
    pub(crate) fn is_one(&self) -> bool {
        self.one
    }

    /// These entries of a dimension of a tensor; one entry leaves out the dimension.
    ///
    /// # Errors
    /// The dimension has no such entries.
    pub fn of(&self, tensor: &Tensor, dim: usize) -> Result<Tensor> {
        let part = self.kept_in(tensor, dim)?;
        Ok(if self.one { part.squeeze(dim)? } else { part })
    }

    /// These entries of a dimension of a tensor; one entry leaves a dimension of size 1.
    ///
    /// # Errors
    /// The dimension has no such entries.
    pub fn kept_in(&self, tensor: &Tensor, dim: usize) -> Result<Tensor> {
        if dim >= tensor.rank() {
            return Err(Error::new(format!(
                "dimension {dim} does not exist in a tensor of shape {:?}.",
                tensor.dims()
            )));
        }
        let range = self.resolve(dim, tensor.dims())?;
        Ok(tensor.narrow(dim, range.start, range.len())?)
    }

    /// The entries as a range of a dimension; negative ends count from the back.
    pub(crate) fn resolve(&self, dim: usize, dims: &[usize]) -> Result<Range<usize>> {
        let size = dims[dim];
        let from_back = |index: isize| match usize::try_from(index) {
            Ok(index) => Some(index),
            Err(_) => size.checked_sub(index.unsigned_abs()),
        };
        let start = from_back(self.start);
        let end = match (self.one, self.end) {
            (true, _) => start.map(|start| start + 1),
            (false, Some(end)) => from_back(end),
            (false, None) => Some(size),
        };
        match (start, end) {
            (Some(start), Some(end)) if start <= end && end <= size => Ok(start..end),
            _ => Err(Error::new(format!(
                "{self} is outside dimension {dim} of a tensor of shape {dims:?}, which has {size} \
                 entries there."
            ))),
        }
    }
}

impl std::fmt::Display for Span {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match (self.one, self.end) {
            (true, _) => write!(f, "index {}", self.start),
            (false, Some(end)) => write!(f, "the range {}..{end}", self.start),
            (false, None) => write!(f, "the range {}..", self.start),
        }
    }
}

macro_rules! span_from_integer {
    ($($integer:ty),*) => {$(
        impl From<$integer> for Span {
            fn from(index: $integer) -> Self {
                Self { start: index as isize, end: None, one: true }
            }
        }
        impl From<Range<$integer>> for Span {
            fn from(range: Range<$integer>) -> Self {
                Self::between(range.start as isize, Some(range.end as isize))
            }
        }
        impl From<RangeFrom<$integer>> for Span {
            fn from(range: RangeFrom<$integer>) -> Self {
                Self::between(range.start as isize, None)
            }
        }
        impl From<RangeTo<$integer>> for Span {
            fn from(range: RangeTo<$integer>) -> Self {
                Self::between(0, Some(range.end as isize))
            }
        }
        impl From<RangeInclusive<$integer>> for Span {
            fn from(range: RangeInclusive<$integer>) -> Self {
                let end = match range.end_bound() {
                    Bound::Included(end) => Some((*end as isize).saturating_add(1)).filter(|end| *end != 0),
                    _ => None,
                };
                Self::between(*range.start() as isize, end)
            }
        }
    )*};
}

span_from_integer!(usize, isize, i32);

impl From<RangeFull> for Span {
    fn from(_: RangeFull) -> Self {
        Self::between(0, None)
    }
}

/// What to put into part of a tensor: a number, or a tensor that broadcasts to that part.
#[derive(Clone, Debug)]
pub enum Fill {
    /// The same number everywhere.
    Number(f64),
    /// A tensor whose shape broadcasts to the part being set.
    Tensor(Tensor),
}

impl From<f64> for Fill {
    fn from(number: f64) -> Self {
        Self::Number(number)
    }
}

impl From<f32> for Fill {
    fn from(number: f32) -> Self {
        Self::Number(f64::from(number))
    }
}

impl From<Tensor> for Fill {
    fn from(tensor: Tensor) -> Self {
        Self::Tensor(tensor)
    }
}

impl From<&Tensor> for Fill {
    fn from(tensor: &Tensor) -> Self {
        Self::Tensor(tensor.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};

    fn grid() -> Tensor {
        Tensor::arange(0f32, 12., &Device::Cpu)
            .unwrap()
            .reshape((3, 4))
            .unwrap()
    }

    fn rows(tensor: &Tensor) -> Vec<Vec<f32>> {
        tensor.to_vec2().unwrap()
    }

    #[test]
    fn a_part_is_read_as_in_python() {
        let part = |at: Spans| grid().at(at).unwrap();
        assert_eq!(
            part((-1).into()).to_vec1::<f32>().unwrap(),
            [8., 9., 10., 11.]
        );
        assert_eq!(part((0, -1).into()).to_scalar::<f32>().unwrap(), 3.);
        let columns = part((.., -2..).into());
        assert_eq!(rows(&columns), [[2., 3.], [6., 7.], [10., 11.]]);
        assert_eq!(part((1..1, 2).into()).dims(), [0]);
        assert_eq!(part((1..=2).into()).dims(), [2, 4]);
        for (at, expected) in [
            (
                Spans::from(3),
                "index 3 is outside dimension 0 of a tensor of shape [3, 4], which has 3",
            ),
            ((0, -5).into(), "index -5 is outside dimension 1"),
            ((0, 0..=isize::MAX).into(), "outside dimension 1"),
            (
                (0, 0, 0).into(),
                "3 indices were given for a tensor of shape [3, 4]",
            ),
        ] {
            let error = grid().at(at).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn an_index_a_negative_index_and_a_range() {
        let set = set_at(&grid(), 0, 1, 0.).unwrap();
        assert_eq!(rows(&set)[1], [0.; 4]);
        let set = set_at(&grid(), 1, -1, 0.).unwrap();
        assert_eq!(rows(&set)[0], [0., 1., 2., 0.]);
        let set = set_at(&grid(), 1, 1..3, -1.).unwrap();
        assert_eq!(rows(&set)[2], [8., -1., -1., 11.]);
        let set = set_at(&grid(), 1, -2.., -1.).unwrap();
        assert_eq!(rows(&set)[0], [0., 1., -1., -1.]);
        let set = set_at(&grid(), 1, 0..=1, -1.).unwrap();
        assert_eq!(rows(&set)[0], [-1., -1., 2., 3.]);
    }

    #[test]
    fn a_tensor_broadcasts_into_its_place() {
        let row = Tensor::new(&[9f32, 8., 7., 6.], &Device::Cpu).unwrap();
        let set = set_at(&grid(), 0, 1.., &row).unwrap();
        assert_eq!(rows(&set)[2], [9., 8., 7., 6.]);
        assert_eq!(rows(&set)[0], [0., 1., 2., 3.]);
    }

    #[test]
    fn a_block_of_several_dimensions() {
        let set = set_slice(&grid(), &[(1..).into(), 2.into()], f64::NEG_INFINITY).unwrap();
        assert_eq!(rows(&set)[0][2], 2.);
        assert_eq!(rows(&set)[1], [4., 5., f32::NEG_INFINITY, 7.]);
        assert_eq!(rows(&set)[2][2], f32::NEG_INFINITY);
    }

    #[test]
    fn errors_name_shapes() {
        let message = set_at(&grid(), 1, 4, 0.).unwrap_err().to_string();
        assert!(
            message.contains("index 4") && message.contains("[3, 4]"),
            "{message}"
        );
        assert!(set_at(&grid(), 2, 0, 0.).is_err());
        let wrong = Tensor::zeros((5,), DType::F32, &Device::Cpu).unwrap();
        let message = set_at(&grid(), 0, 0, &wrong).unwrap_err().to_string();
        assert!(
            message.contains("[5]") && message.contains("[1, 4]"),
            "{message}"
        );
    }
}
