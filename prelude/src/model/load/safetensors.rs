//! Tensors out of safetensors files, one at a time and checked.

use super::source::{Opened, Source};
use crate::error::{Context, Error, Result, suggestion};
use candle_core::{DType, Device, Tensor};
use safetensors::tensor::TensorInfo;
use serde_json::Value;
use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::sync::Mutex;

/// The longest header that is read: a damaged file may announce any length.
const LONGEST_HEADER: u64 = 100_000_000;

/// All safetensors files of a model.
pub(super) struct TensorFiles {
    files: Vec<TensorFile>,
    file_of: HashMap<String, usize>,
}

struct TensorFile {
    name: String,
    data: Data,
    /// Where the tensors' bytes start.
    start: u64,
    tensors: HashMap<String, TensorInfo>,
}

enum Data {
    Bytes(&'static [u8]),
    File(Mutex<File>),
}

impl TensorFiles {
    /// `model.safetensors`, or the shards that `model.safetensors.index.json` lists.
    ///
    /// # Errors
    /// There is neither, or a file is damaged.
    pub(super) fn open(source: &Source) -> Result<Self> {
        const WHOLE: &str = "model.safetensors";
        const INDEX: &str = "model.safetensors.index.json";
        if let Some(opened) = source.open(WHOLE)? {
            return Ok(Self::of(vec![TensorFile::open(
                source.describe(WHOLE),
                opened,
            )?]));
        }
        let Some(index) = source.read(INDEX)? else {
            return Err(source.missing(WHOLE));
        };
        let index: Value = serde_json::from_slice(&index).context(|| source.describe(INDEX))?;
        let shards = index.get("weight_map").and_then(Value::as_object);
        let mut shards: Vec<&str> = shards
            .map(|shards| shards.values().filter_map(Value::as_str).collect())
            .unwrap_or_default();
        shards.sort_unstable();
        shards.dedup();
        let open = |shard: &str| {
            let opened = source.open(shard)?.ok_or_else(|| source.missing(shard))?;
            TensorFile::open(source.describe(shard), opened)
        };
        let files = shards.into_iter().map(open).collect::<Result<Vec<_>>>()?;
        Ok(Self::of(files))
    }

    fn of(files: Vec<TensorFile>) -> Self {
        let mut file_of = HashMap::new();
        for (index, file) in files.iter().enumerate() {
            file_of.extend(file.tensors.keys().map(|name| (name.clone(), index)));
        }
        Self { files, file_of }
    }

    /// Whether there is a tensor of this name.
    pub(super) fn contains(&self, name: &str) -> bool {
        self.file_of.contains_key(name)
    }

    /// Where the tensors come from, for an error message.
    pub(super) fn origin(&self) -> String {
        let names: Vec<&str> = self.files.iter().map(|file| file.name.as_str()).collect();
        names.join(", ")
    }

    /// The tensor of this name and shape as `f32` on the CPU.
    ///
    /// # Errors
    /// It is missing, has another shape, cannot be read, or holds values that are not finite.
    pub(super) fn get(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let Some(file) = self
            .file_of
            .get(name)
            .and_then(|index| self.files.get(*index))
        else {
            let suggestion = suggestion(name, self.file_of.keys());
            return Err(Error::new(format!(
                "{}: the tensor `{name}` of shape {shape:?} is missing.{suggestion}",
                self.origin()
            )));
        };
        file.get(name, shape)
            .map_err(|error| error.context(format!("{}: the tensor `{name}`", file.name)))
    }
}

impl TensorFile {
    fn open(name: String, opened: Opened) -> Result<Self> {
        let doing = name.clone();
        Self::parse(name, opened).map_err(|error| error.context(doing))
    }

    fn parse(name: String, opened: Opened) -> Result<Self> {
        let (data, size) = match opened {
            Opened::Bytes(bytes) => (Data::Bytes(bytes), bytes.len() as u64),
            Opened::File(file) => {
                let size = file.metadata()?.len();
                (Data::File(Mutex::new(file)), size)
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
            name,
            data,
            start,
            tensors,
        })
    }

    fn get(&self, name: &str, shape: &[usize]) -> Result<Tensor> {
        let Some(info) = self.tensors.get(name) else {
            return Err(Error::new("it is missing."));
        };
        if info.shape != shape {
            return Err(Error::new(format!(
                "it has shape {:?}, but the config asks for {shape:?}.",
                info.shape
            )));
        }
        let dtype = DType::try_from(info.dtype)?;
        if !dtype.is_float() {
            return Err(Error::new(format!(
                "it holds {dtype:?} instead of numbers with a fraction."
            )));
        }
        let (from, to) = info.data_offsets;
        let expected = shape.iter().product::<usize>() * dtype.size_in_bytes();
        if to.checked_sub(from) != Some(expected) {
            return Err(Error::new(format!(
                "its bytes {from}..{to} do not hold {shape:?} numbers of type {dtype:?}: the file \
                 is damaged."
            )));
        }
        let bytes = self.data.read(self.start + from as u64, expected)?;
        let tensor = Tensor::from_raw_buffer(&bytes, dtype, shape, &Device::Cpu)?;
        let tensor = tensor.to_dtype(DType::F32)?;
        if !tensor.sum_all()?.to_scalar::<f32>()?.is_finite() {
            return Err(Error::new(
                "it holds values that are not finite (NaN or infinity): the weights are damaged.",
            ));
        }
        Ok(tensor)
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
            Data::File(file) => {
                let mut file = match file.lock() {
                    Ok(file) => file,
                    Err(poisoned) => poisoned.into_inner(),
                };
                file.seek(SeekFrom::Start(start))?;
                let mut bytes = vec![0; length];
                file.read_exact(&mut bytes)?;
                Ok(bytes)
            }
        }
    }
}
