//! Entries of a dimension, as a notebook writes them.

use crate::error::{Error, Result};
use crate::math::Span;
use crate::model::HookPoint;
use std::fmt;
use std::ops::{Range, RangeFrom, RangeFull, RangeInclusive, RangeTo};

/// Some entries of a dimension: `-1`, `3..`, `[0, 2, -1]`, `..`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Indices(Vec<Span>);

impl Indices {
    /// The entries of a dimension, in the order given.
    ///
    /// # Errors
    /// None were named, or one is not there.
    pub(super) fn of(
        &self,
        noun: &str,
        dim: usize,
        dims: &[usize],
        point: &HookPoint,
    ) -> Result<Vec<u32>> {
        let mut found = Vec::new();
        for span in &self.0 {
            let range = span.resolve(dim, dims).map_err(|_| {
                Error::new(format!(
                    "{span} of the {noun}s is not there: the activation at `{point}`, {dims:?}, has \
                     {} {noun}s. Use 0 to {}, or -1 for the last.",
                    dims[dim],
                    dims[dim].saturating_sub(1)
                ))
            })?;
            found.extend(range.map(|index| index as u32));
        }
        match found.is_empty() {
            true => Err(Error::new(format!(
                "no {noun}s of `{point}` were named: name at least one, or leave the choice out for \
                 all of them."
            ))),
            false => Ok(found),
        }
    }
}

impl fmt::Display for Indices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, span) in self.0.iter().enumerate() {
            let separator = if at == 0 { "" } else { ", " };
            write!(f, "{separator}{span}")?;
        }
        Ok(())
    }
}

macro_rules! indices_from {
    ($($one:ty),*) => {$(
        impl From<$one> for Indices {
            fn from(one: $one) -> Self {
                Self(vec![one.into()])
            }
        }
    )*};
}

macro_rules! indices_from_integer {
    ($($integer:ty),*) => {$(
        indices_from!(
            $integer,
            Range<$integer>,
            RangeFrom<$integer>,
            RangeTo<$integer>,
            RangeInclusive<$integer>
        );
        impl<const N: usize> From<[$integer; N]> for Indices {
            fn from(several: [$integer; N]) -> Self {
                Self(several.into_iter().map(Span::from).collect())
            }
        }
        impl From<Vec<$integer>> for Indices {
            fn from(several: Vec<$integer>) -> Self {
                several.as_slice().into()
            }
        }
        impl From<&Vec<$integer>> for Indices {
            fn from(several: &Vec<$integer>) -> Self {
                several.as_slice().into()
            }
        }
        impl From<&[$integer]> for Indices {
            fn from(several: &[$integer]) -> Self {
                Self(several.iter().map(|one| Span::from(*one)).collect())
            }
        }
    )*};
}

indices_from_integer!(usize, isize, i32);
indices_from!(RangeFull, Span);

impl From<&Indices> for Indices {
    fn from(indices: &Indices) -> Self {
        indices.clone()
    }
}
