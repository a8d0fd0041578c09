//! Values that lie in a storage with strides, brought into row-major order.

use crate::error::{Error, Result};

/// A tensor may repeat the values of its storage this many times, by strides of zero.
const MOST_REPEATS: u64 = 16;

/// A tensor of fewer bytes may repeat its values as often as it likes.
const SMALL: u64 = 1 << 20;

/// Sizes and strides of the dimensions that matter: those of more than one value.
pub(super) struct Strided {
    dimensions: Vec<(usize, usize)>,
    empty: bool,
    value_size: usize,
}

impl Strided {
    pub(super) fn new(shape: &[usize], strides: &[usize], value_size: usize) -> Self {
        let dimensions = shape.iter().copied().zip(strides.iter().copied());
        Self {
            dimensions: dimensions.filter(|(size, _)| *size != 1).collect(),
            empty: shape.contains(&0),
            value_size,
        }
    }

    /// From which byte of its storage the tensor's values lie, and over how many bytes.
    ///
    /// # Errors
    /// They do not lie in a storage of `available` bytes, or would become far more bytes than that.
    pub(super) fn span(&self, offset: usize, available: u64) -> Result<(u64, usize)> {
        if self.empty {
            return Ok((0, 0));
        }
        let span = self.checked_span(offset);
        let span = span.filter(|(start, length)| {
            let end = start.checked_add(*length as u64);
            end.is_some_and(|end| end <= available)
        });
        let Some(span) = span else {
            return Err(Error::new(format!(
                "its values reach behind the end of their storage of {available} bytes. Download \
                 or copy the file again."
            )));
        };
        let most = available.saturating_mul(MOST_REPEATS).max(SMALL);
        let total = self.total().filter(|total| *total as u64 <= most);
        if total.is_none() {
            return Err(Error::new(format!(
                "its shape repeats the {available} bytes of its storage more than {MOST_REPEATS} \
                 times. Save `tensor.contiguous()` instead, if this is no mistake."
            )));
        }
        Ok(span)
    }

    fn checked_span(&self, offset: usize) -> Option<(u64, usize)> {
        let mut last = 0_usize;
        for (size, stride) in &self.dimensions {
            let steps = size.checked_sub(1)?;
            last = last.checked_add(steps.checked_mul(*stride)?)?;
        }
        let start = (offset as u64).checked_mul(self.value_size as u64)?;
        let length = last.checked_add(1)?.checked_mul(self.value_size)?;
        Some((start, length))
    }

    /// How many bytes the values take in row-major order.
    fn total(&self) -> Option<usize> {
        let sizes = self.dimensions.iter().map(|(size, _)| *size);
        let mut sizes = sizes.chain([self.value_size]);
        sizes.try_fold(1_usize, usize::checked_mul)
    }

    /// The values in row-major order, out of the bytes of the span.
    pub(super) fn gather(&self, span: Vec<u8>) -> Result<Vec<u8>> {
        if self.is_contiguous() {
            return Ok(span);
        }
        let gathered = self.copy(&span);
        gathered.ok_or_else(|| Error::new("its strides make no sense."))
    }

    fn is_contiguous(&self) -> bool {
        let mut expected = Some(1_usize);
        self.dimensions.iter().rev().all(|(size, stride)| {
            let fits = expected == Some(*stride);
            expected = expected.and_then(|expected| expected.checked_mul(*size));
            fits
        })
    }

    fn copy(&self, span: &[u8]) -> Option<Vec<u8>> {
        let mut values = Vec::with_capacity(self.total()?);
        let (row, outer) = self.row();
        let mut indices = vec![0_usize; outer.len()];
        let mut position = 0_usize;
        loop {
            self.copy_row(span, position, row, &mut values)?;
            // Counts up like the digits of a number, the last dimension first.
            let mut digits = indices.iter_mut().zip(outer).rev();
            loop {
                let Some((index, (size, stride))) = digits.next() else {
                    return Some(values);
                };
                *index += 1;
                if *index < *size {
                    position += stride;
                    break;
                }
                *index = 0;
                position -= stride * (size - 1);
            }
        }
    }

    /// The last dimension, and those before it.
    fn row(&self) -> ((usize, usize), &[(usize, usize)]) {
        match self.dimensions.split_last() {
            Some((row, outer)) => (*row, outer),
            None => ((1, 1), &[]),
        }
    }

    fn copy_row(
        &self,
        span: &[u8],
        position: usize,
        (size, stride): (usize, usize),
        values: &mut Vec<u8>,
    ) -> Option<()> {
        let start = position * self.value_size;
        if stride == 1 {
            values.extend_from_slice(span.get(start..start + size * self.value_size)?);
            return Some(());
        }
        for step in 0..size {
            let start = start + step * stride * self.value_size;
            values.extend_from_slice(span.get(start..start + self.value_size)?);
        }
        Some(())
    }
}
