//! A tensor as a GGUF file holds it, in one of ggml's number types.

use super::super::file_bytes::FileBytes;
use crate::error::{Error, Result};
use candle_core::quantized::GgmlDType;
use candle_core::quantized::ggml_file::qtensor_from_ggml;
use candle_core::{Device, Tensor};

/// Where a tensor is, and what it is made of.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Stored {
    /// As elsewhere: neighbours in memory differ in the last index.
    pub(super) shape: Vec<usize>,
    /// ggml's number of the type of its numbers.
    pub(super) number_type: u32,
    /// Its place behind the header.
    pub(super) offset: u64,
}

/// Types that candle can turn into numbers: ggml's number, and candle's name.
const READABLE: &[(u32, GgmlDType)] = &[
    (0, GgmlDType::F32),
    (1, GgmlDType::F16),
    (2, GgmlDType::Q4_0),
    (3, GgmlDType::Q4_1),
    (6, GgmlDType::Q5_0),
    (7, GgmlDType::Q5_1),
    (8, GgmlDType::Q8_0),
    (10, GgmlDType::Q2K),
    (11, GgmlDType::Q3K),
    (12, GgmlDType::Q4K),
    (13, GgmlDType::Q5K),
    (14, GgmlDType::Q6K),
    (30, GgmlDType::BF16),
];

/// Types that it cannot (`enum ggml_type` of ggml.h).
const UNREADABLE: &[(u32, &str)] = &[
    (9, "Q8_1"),
    (15, "Q8_K"),
    (16, "IQ2_XXS"),
    (17, "IQ2_XS"),
    (18, "IQ3_XXS"),
    (19, "IQ1_S"),
    (20, "IQ4_NL"),
    (21, "IQ3_S"),
    (22, "IQ2_S"),
    (23, "IQ4_XS"),
    (24, "I8"),
    (25, "I16"),
    (26, "I32"),
    (27, "I64"),
    (28, "F64"),
    (29, "IQ1_M"),
    (34, "TQ1_0"),
    (35, "TQ2_0"),
    (39, "MXFP4"),
    (40, "NVFP4"),
];

impl Stored {
    fn readable_type(&self) -> Result<GgmlDType> {
        let found = READABLE
            .iter()
            .find(|(number, _)| *number == self.number_type);
        if let Some((_, readable)) = found {
            return Ok(*readable);
        }
        let name = UNREADABLE
            .iter()
            .find(|(number, _)| *number == self.number_type);
        let name = name.map_or(format!("number {}", self.number_type), |(_, name)| {
            (*name).to_owned()
        });
        Err(Error::new(format!(
            "its numbers are of ggml's type {name}, which cannot be read: F32, F16, BF16, Q4_0, \
             Q4_1, Q5_0, Q5_1, Q8_0 and Q2_K to Q6_K can. Take the model in one of these."
        )))
    }

    /// How many bytes it takes, or nothing for a shape that no file can hold.
    fn size(&self, number_type: GgmlDType) -> Option<usize> {
        let block = number_type.block_size();
        let numbers = self
            .shape
            .iter()
            .try_fold(1usize, |all, size| all.checked_mul(*size))?;
        let whole_blocks = self
            .shape
            .last()
            .copied()
            .unwrap_or(1)
            .is_multiple_of(block);
        let bytes = (numbers / block).checked_mul(number_type.type_size())?;
        // The numbers themselves, four bytes each, must be countable as well.
        (whole_blocks && numbers.checked_mul(4)? <= isize::MAX as usize).then_some(bytes)
    }

    /// Checks that the file holds all of it, where its type is known.
    ///
    /// # Errors
    /// It does not.
    pub(super) fn check(&self, start: u64, file_size: u64) -> Result<()> {
        let Ok(number_type) = self.readable_type() else {
            return Ok(());
        };
        let Some(size) = self.size(number_type) else {
            return Err(Error::new(format!(
                "its shape {:?} is not possible for numbers of type {number_type:?}: the file is \
                 damaged.",
                self.shape
            )));
        };
        let end = start.checked_add(self.offset);
        let end = end.and_then(|start| start.checked_add(size as u64));
        match end {
            Some(end) if end <= file_size => Ok(()),
            _ => Err(Error::new(format!(
                "the file is cut off: it has {file_size} bytes and should have {}. Download or copy \
                 it again.",
                end.map_or("more".to_owned(), |end| format!("{end} or more"))
            ))),
        }
    }

    /// Its numbers as `f32` on the CPU.
    ///
    /// # Errors
    /// Its type cannot be read, or the file is cut off.
    pub(super) fn read(&self, file: &FileBytes, start: u64) -> Result<Tensor> {
        let number_type = self.readable_type()?;
        self.check(start, file.size())?;
        let size = self.size(number_type).unwrap_or(0);
        let bytes = file.read(start.saturating_add(self.offset), size)?;
        let blocks = qtensor_from_ggml(number_type, &bytes, self.shape.clone(), &Device::Cpu)?;
        Ok(blocks.dequantize(&Device::Cpu)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stored(shape: &[usize], number_type: u32) -> Stored {
        Stored {
            shape: shape.to_vec(),
            number_type,
            offset: 0,
        }
    }

    #[test]
    fn sizes_are_those_of_ggml() {
        let size = |shape: &[usize], number| {
            let stored = stored(shape, number);
            stored
                .readable_type()
                .ok()
                .and_then(|kind| stored.size(kind))
        };
        assert_eq!(size(&[2, 3], 0), Some(24));
        assert_eq!(size(&[2, 64], 8), Some(4 * 34));
        assert_eq!(size(&[2, 256], 14), Some(2 * 210));
        assert_eq!(size(&[2, 33], 8), None);
        assert_eq!(size(&[usize::MAX, 2], 0), None);
        assert_eq!(size(&[usize::MAX / 2, 1], 1), None);
    }

    #[test]
    fn unreadable_types_are_named() {
        let of = |number| {
            stored(&[1], number)
                .readable_type()
                .unwrap_err()
                .to_string()
        };
        assert!(of(23).contains("IQ4_XS"));
        assert!(of(1000).contains("number 1000"));
    }
}
