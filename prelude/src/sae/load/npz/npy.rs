//! One array of numpy: a line of Python that says type, order and shape, and the values.
//!
//! Source: numpy's NEP 1, "A Simple File Format for NumPy Arrays".

use crate::error::{Error, Result};
use candle_core::{DType, Device, Tensor};
use std::io::Read;

/// Headers are a few dozen bytes long.
const LONGEST_HEADER: usize = 1 << 16;

/// What comes before the values.
#[derive(Debug, PartialEq)]
pub(super) struct Header {
    pub(super) dtype: DType,
    pub(super) shape: Vec<usize>,
    /// Whether the first dimension is the one whose entries lie side by side.
    fortran_order: bool,
}

impl Header {
    /// Reads the header at which `reader` stands.
    ///
    /// # Errors
    /// It is damaged, or of a type that is not read.
    pub(super) fn read(reader: &mut dyn Read) -> Result<Self> {
        let mut start = [0; 8];
        reader.read_exact(&mut start).map_err(|_| cut_off())?;
        if !start.starts_with(b"\x93NUMPY") {
            return Err(Error::new("it is no array of numpy."));
        }
        let length = match start[6] {
            1 => {
                let mut length = [0; 2];
                reader.read_exact(&mut length).map_err(|_| cut_off())?;
                u16::from_le_bytes(length) as usize
            }
            2 | 3 => {
                let mut length = [0; 4];
                reader.read_exact(&mut length).map_err(|_| cut_off())?;
                u32::from_le_bytes(length) as usize
            }
            other => {
                return Err(Error::new(format!(
                    "it is in version {other} of numpy's format: versions 1 to 3 are read."
                )));
            }
        };
        if length > LONGEST_HEADER {
            return Err(Error::new(format!(
                "its header announces {length} bytes, which makes no sense."
            )));
        }
        let mut text = vec![0; length];
        reader.read_exact(&mut text).map_err(|_| cut_off())?;
        Self::parse(&String::from_utf8_lossy(&text))
    }

    /// Reads `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`.
    fn parse(text: &str) -> Result<Self> {
        let damaged = || Error::new(format!("its header is damaged: `{}`.", text.trim()));
        let value = |key: &str| {
            let (_, rest) = text.split_once(&format!("'{key}':"))?;
            Some(rest.trim_start())
        };
        let descr = value("descr").ok_or_else(damaged)?;
        let descr = descr
            .strip_prefix('\'')
            .and_then(|rest| rest.split_once('\''));
        let (descr, _) = descr.ok_or_else(damaged)?;
        let fortran_order = match value("fortran_order") {
            Some(rest) if rest.starts_with("False") => false,
            Some(rest) if rest.starts_with("True") => true,
            _ => return Err(damaged()),
        };
        let shape = value("shape").and_then(|rest| rest.strip_prefix('('));
        let (shape, _) = shape
            .and_then(|rest| rest.split_once(')'))
            .ok_or_else(damaged)?;
        let sizes = shape.split(',').map(str::trim);
        let sizes = sizes.filter(|size| !size.is_empty()).map(str::parse);
        Ok(Self {
            dtype: dtype(descr)?,
            shape: sizes.collect::<Result<_, _>>().map_err(|_| damaged())?,
            fortran_order,
        })
    }

    /// The values, which follow the header. Memory grows with what is really there.
    ///
    /// # Errors
    /// They are cut off, or their number makes no sense.
    pub(super) fn values(&self, reader: &mut dyn Read) -> Result<Tensor> {
        let count = self
            .shape
            .iter()
            .try_fold(self.dtype.size_in_bytes(), |bytes, size| {
                bytes.checked_mul(*size)
            });
        let Some(bytes) = count else {
            return Err(Error::new(format!(
                "its shape {:?} makes no sense.",
                self.shape
            )));
        };
        let mut values = Vec::new();
        reader.take(bytes as u64).read_to_end(&mut values)?;
        if values.len() != bytes {
            return Err(Error::new(format!(
                "it is cut off: {:?} values take {bytes} bytes and {} are there. Download or copy the \
                 file again.",
                self.shape,
                values.len()
            )));
        }
        if !self.fortran_order {
            let tensor = Tensor::from_raw_buffer(&values, self.dtype, &self.shape, &Device::Cpu)?;
            return Ok(tensor);
        }
        let reversed: Vec<usize> = self.shape.iter().rev().copied().collect();
        let tensor = Tensor::from_raw_buffer(&values, self.dtype, &reversed, &Device::Cpu)?;
        let dims: Vec<usize> = (0..reversed.len()).rev().collect();
        Ok(tensor.permute(dims)?.contiguous()?)
    }
}

fn dtype(descr: &str) -> Result<DType> {
    match descr {
        "<f8" => Ok(DType::F64),
        "<f4" => Ok(DType::F32),
        "<f2" => Ok(DType::F16),
        // Numpy has no bfloat16: JAX's are two bytes of nothing it knows.
        "|V2" | "<V2" | "bfloat16" => Ok(DType::BF16),
        other => Err(Error::new(format!(
            "its values are of numpy's type `{other}`: `<f4`, `<f2`, `<f8` and `|V2` (bfloat16) are \
             read. Convert it in Python with `.astype(\"float32\")`."
        ))),
    }
}

fn cut_off() -> Error {
    Error::new("it is cut off. Download or copy the file again.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn npy(header: &str, values: &[u8]) -> Vec<u8> {
        let length = (header.len() as u16).to_le_bytes();
        [b"\x93NUMPY\x01\0", &length[..], header.as_bytes(), values].concat()
    }

    fn read(bytes: &[u8]) -> Result<Tensor> {
        let mut reader = bytes;
        Header::read(&mut reader)?.values(&mut reader)
    }

    fn floats(values: &[f32]) -> Vec<u8> {
        values
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect()
    }

    #[test]
    fn both_orders_and_all_types_are_read() {
        let values = floats(&[1., 2., 3., 4., 5., 6.]);
        let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n";
        let rows = read(&npy(header, &values)).unwrap();
        assert_eq!(rows.to_vec2::<f32>().unwrap(), [[1., 2., 3.], [4., 5., 6.]]);
        let turned = read(&npy(&header.replace("False", "True"), &values)).unwrap();
        assert_eq!(
            turned.to_vec2::<f32>().unwrap(),
            [[1., 3., 5.], [2., 4., 6.]]
        );
        let header = "{'descr': '|V2', 'fortran_order': False, 'shape': (1,)}";
        let one = read(&npy(header, &[0x80, 0x3f])).unwrap();
        assert_eq!(one.dtype(), DType::BF16);
        assert_eq!(
            one.to_dtype(DType::F32).unwrap().to_vec1::<f32>().unwrap(),
            [1.]
        );
        let header = "{'shape': (), 'fortran_order': False, 'descr': '<f8'}";
        let alone = read(&npy(header, &2f64.to_le_bytes())).unwrap();
        assert_eq!(alone.to_scalar::<f64>().unwrap(), 2.);
    }

    #[test]
    fn bad_arrays_are_sentences() {
        let message = |bytes: &[u8]| read(bytes).unwrap_err().to_string();
        let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }";
        let values = floats(&[1.; 5]);
        assert!(message(&npy(header, &values)).contains("24 bytes and 20 are"));
        assert!(message(b"\x93NUMPY\x01\0\xff").contains("cut off"));
        assert!(message(b"PK\x03\x04xxxxxxxx").contains("no array"));
        let big = header.replace("<f4", ">f4");
        assert!(message(&npy(&big, &values)).contains("`>f4`"));
        let huge = header.replace("(2, 3)", "(99999999999, 99999999999, 9)");
        assert!(message(&npy(&huge, &values)).contains("makes no sense"));
        assert!(message(&npy("{'descr': 4}", &values)).contains("damaged"));
    }
}
