//! Tensors out of a safetensors file, one at a time and checked.

use super::file_bytes::FileBytes;
use super::source::Opened;
use super::tensors::TensorFile;
use crate::error::{Context, Error, Result};
use candle_core::{DType, Device, Tensor};
use safetensors::tensor::TensorInfo;
use serde_json::Value;
use std::collections::HashMap;

/// The longest header that is read: a damaged file may announce any length.
const LONGEST_HEADER: u64 = 100_000_000;

/// How many bytes are read at a time: a multiple of every type's size.
const PIECE: usize = 1 << 18;

/// One safetensors file.
pub(crate) struct Safetensors {
    data: Data,
    /// Where the tensors' bytes start.
    start: u64,
    tensors: HashMap<String, TensorInfo>,
}

enum Data {
    Bytes(&'static [u8]),
    File(FileBytes),
}

impl Safetensors {
    /// Reads the header.
    ///
    /// # Errors
    /// The file is cut off, or is none of this kind.
    pub(crate) fn open(opened: Opened) -> Result<Self> {
        let (data, size) = match opened {
            Opened::Bytes(bytes) => (Data::Bytes(bytes), bytes.len() as u64),
            Opened::File(file) => {
                let file = FileBytes::new(file)?;
                let size = file.size();
                (Data::File(file), size)
            }
        };
        let truncated = |expected: u64| {
            Error::new(format!(
                "the file is cut off: it should have {expected} bytes and has {size}. Download or \
                 copy it again."
            ))
        };
        if size < 8 {
            return Err(truncated(8));
        }
        let length = data.read(0, 8)?;
        let length = <[u8; 8]>::try_from(length.as_slice()).map_or(u64::MAX, u64::from_le_bytes);
        if length > LONGEST_HEADER {
            return Err(Error::new(
                "this is not a safetensors file: its header's length makes no sense.",
            ));
        }
        let start = 8 + length;
        if size < start {
            return Err(truncated(start));
        }
        let header = data.read(8, length as usize)?;
        let mut header: HashMap<String, Value> = serde_json::from_slice(&header)
            .context(|| "this is not a safetensors file: its header is damaged".to_owned())?;
        header.remove("__metadata__");
        let tensors = header
            .into_iter()
            .map(|(name, info)| {
                let info: TensorInfo = serde_json::from_value(info)
                    .context(|| format!("the header's entry of `{name}` is damaged"))?;
                Ok((name, info))
            })
            .collect::<Result<HashMap<_, _>>>()?;
        let end = tensors
            .values()
            .map(|info| info.data_offsets.1 as u64)
            .max();
        let expected = start.saturating_add(end.unwrap_or(0));
        if size < expected {
            return Err(truncated(expected));
        }
        Ok(Self {
            data,
            start,
            tensors,
        })
    }
}

impl TensorFile for Safetensors {
    fn names(&self) -> Vec<String> {
        self.tensors.keys().cloned().collect()
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.tensors.get(name).map(|info| info.shape.clone())
    }

    fn read(&self, name: &str) -> Result<Tensor> {
        let Some(info) = self.tensors.get(name) else {
            return Err(Error::new("it is missing."));
        };
        let dtype = DType::try_from(info.dtype)?;
        if !dtype.is_float() {
            return Err(Error::new(format!(
                "it holds {dtype:?} instead of numbers with a fraction."
            )));
        }
        let (from, to) = info.data_offsets;
        let shape = info.shape.as_slice();
        let elements = shape
            .iter()
            .try_fold(1usize, |all, size| all.checked_mul(*size));
        let expected = elements.and_then(|all| all.checked_mul(dtype.size_in_bytes()));
        let Some(expected) = expected.filter(|expected| to.checked_sub(from) == Some(*expected))
        else {
            return Err(Error::new(format!(
                "its bytes {from}..{to} do not hold {shape:?} numbers of type {dtype:?}: the file \
                 is damaged."
            )));
        };
        // Piece by piece, so that nothing but the result is as large as the tensor.
        let mut values = Vec::with_capacity(expected / dtype.size_in_bytes());
        for at in (0..expected).step_by(PIECE) {
            let length = PIECE.min(expected - at);
            let bytes = self.data.read(self.start + (from + at) as u64, length)?;
            let count = length / dtype.size_in_bytes();
            let piece = Tensor::from_raw_buffer(&bytes, dtype, &[count], &Device::Cpu)?;
            values.extend(piece.to_dtype(DType::F32)?.to_vec1::<f32>()?);
        }
        Ok(Tensor::from_vec(values, shape, &Device::Cpu)?)
    }
}

impl Data {
    fn read(&self, start: u64, length: usize) -> Result<Vec<u8>> {
        match self {
            Data::Bytes(bytes) => {
                let start = start as usize;
                let found = bytes.get(start..start.saturating_add(length));
                let found = found.ok_or_else(|| Error::new("the file is cut off."))?;
                Ok(found.to_vec())
            }
            Data::File(file) => file.read(start, length),
        }
    }
}
