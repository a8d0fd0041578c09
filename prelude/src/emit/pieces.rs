//! Loops in pieces: between two of them a loop looks whether it should stop, and inside a piece it is the
//! loop that the user wrote, which the compiler can turn into vectors.

use std::ops::Range;
use std::slice::{Iter, IterMut};

/// How many steps a loop goes between two looks.
pub const PIECE: usize = 16_384;

/// What a `for` loop of a cell goes through, a piece at a time. The kernel puts it around the loop.
///
/// A range of numbers and the elements of a slice are cut; anything else is one piece that looks before each step.
///
/// ```
/// use ferrolens::emit::{AnyPieces as _, pieces};
///
/// let mut sum = 0;
/// let mut rest = pieces(0..10_000);
/// while let Some(piece) = rest.piece() {
///     for i in piece {
///         sum += i;
///     }
/// }
/// assert_eq!(sum, 49_995_000);
/// ```
#[derive(Debug)]
pub struct Pieces<I> {
    rest: Option<I>,
}

/// Cuts what a loop goes through.
#[inline(always)]
pub fn pieces<I: IntoIterator>(all: I) -> Pieces<I::IntoIter> {
    Pieces {
        rest: Some(all.into_iter()),
    }
}

/// A number that a range can be cut at.
pub trait Whole: Copy + PartialOrd {
    /// The number a piece further on, and at most `end`.
    #[must_use]
    fn ahead(self, end: Self) -> Self;
}

macro_rules! whole {
    ($($number:ty)*) => {$(
        impl Whole for $number {
            #[inline(always)]
            fn ahead(self, end: Self) -> Self {
                match Self::try_from(PIECE).ok().and_then(|piece| self.checked_add(piece)) {
                    Some(ahead) if ahead < end => ahead,
                    _ => end,
                }
            }
        }
    )*};
}
whole!(u8 u16 u32 u64 u128 usize i8 i16 i32 i64 i128 isize);

impl<N: Whole> Pieces<Range<N>> {
    /// The next numbers.
    #[inline(always)]
    pub fn piece(&mut self) -> Option<Range<N>> {
        super::stop_point();
        let rest = self.rest.as_mut().filter(|rest| rest.start < rest.end)?;
        let piece = rest.start..rest.start.ahead(rest.end);
        rest.start = piece.end;
        Some(piece)
    }
}

impl<'a, T> Pieces<Iter<'a, T>> {
    /// The next elements.
    #[inline(always)]
    pub fn piece(&mut self) -> Option<Iter<'a, T>> {
        super::stop_point();
        let rest = self.rest.as_ref()?.as_slice();
        let (piece, rest) = rest.split_at(rest.len().min(PIECE));
        self.rest = Some(rest.iter());
        (!piece.is_empty()).then(|| piece.iter())
    }
}

impl<'a, T> Pieces<IterMut<'a, T>> {
    /// The next elements.
    #[inline(always)]
    pub fn piece(&mut self) -> Option<IterMut<'a, T>> {
        super::stop_point();
        let rest = self.rest.take()?.into_slice();
        let (piece, rest) = rest.split_at_mut(rest.len().min(PIECE));
        self.rest = Some(rest.iter_mut());
        (!piece.is_empty()).then(|| piece.iter_mut())
    }
}

/// The piece of what cannot be cut: all of it.
pub trait AnyPieces {
    /// What looks before each step.
    type Piece;

    /// Everything, once.
    fn piece(&mut self) -> Option<Self::Piece>;
}

impl<I: Iterator> AnyPieces for Pieces<I> {
    type Piece = Looking<I>;

    #[inline(always)]
    fn piece(&mut self) -> Option<Looking<I>> {
        self.rest.take().map(Looking)
    }
}

/// An iterator that looks at the interrupt before each step.
#[derive(Debug)]
pub struct Looking<I>(I);

impl<I: Iterator> Iterator for Looking<I> {
    type Item = I::Item;

    #[inline(always)]
    fn next(&mut self) -> Option<I::Item> {
        super::stop_point();
        self.0.next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the generated loop sees, and in how many pieces.
    macro_rules! seen {
        ($all:expr) => {{
            let (mut seen, mut count) = (Vec::new(), 0);
            let mut rest = pieces($all);
            while let Some(piece) = rest.piece() {
                count += 1;
                for it in piece {
                    seen.push(it);
                }
            }
            (seen, count)
        }};
    }

    #[test]
    fn nothing_is_left_out_and_nothing_comes_twice() {
        for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE, 100_000] {
            let expected: Vec<usize> = (0..length).collect();
            let count = length.div_ceil(PIECE);
            assert_eq!(seen!(0..length), (expected.clone(), count));
            let (seen, pieces_seen) = seen!(&expected);
            assert_eq!(
                (seen.into_iter().copied().collect(), pieces_seen),
                (expected.clone(), count)
            );
            let mut changed = expected.clone();
            let mut rest = pieces(&mut changed);
            while let Some(piece) = rest.piece() {
                for it in piece {
                    *it += 1;
                }
            }
            assert_eq!(changed, (1..=length).collect::<Vec<_>>());
            assert_eq!(seen!(expected.iter().enumerate()).0.len(), length);
            assert_eq!(seen!(expected.clone()).0, expected);
        }
    }

    #[test]
    fn ranges_end_where_numbers_do() {
        assert_eq!(seen!(250..255_u8).0.len(), 5);
        assert_eq!(seen!(i64::MAX - 5000..i64::MAX).0.len(), 5000);
        assert_eq!(seen!(-5000..5000_i32).0.len(), 10_000);
        let end = 3;
        assert_eq!(seen!(5..end).0, Vec::<i32>::new());
        assert_eq!(seen!('a'..'d').0, ['a', 'b', 'c']);
    }
}
