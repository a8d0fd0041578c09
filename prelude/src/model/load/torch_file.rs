//! PyTorch's checkpoint files (`.bin`, `.pth`, `.pt`), read without running anything in them.
//!
//! Such a file is a pickle beside the bytes of the tensors' storages, in a zip archive or, in
//! older files, one behind the other. The pickle says which tensor lies where in which storage.

mod archive;
mod container;
mod dtype;
mod layout;
mod legacy;
mod names;
mod strided;
mod tensor;

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod fuzz;
#[cfg(test)]
mod tests;

pub(crate) use dtype::Dtype;

use super::pickle::{Id, Pickle};
use super::tensors::TensorFile;
use crate::error::{Context, Error, Result, suggestion};
use candle_core::{DType, Device, Tensor};
use container::{Container, Storages};
use layout::Layout;
use std::collections::HashMap;
use std::io::{BufReader, Read, Seek};
use std::sync::{Mutex, PoisonError};

/// A checkpoint whose tensors are read one at a time.
pub(crate) struct TorchFile {
    pickle: Pickle,
    storages: Mutex<Storages<'static>>,
    tensors: Vec<(String, Id)>,
    /// Where in `tensors` a name is.
    index: HashMap<String, usize>,
}

/// What a tensor is, without its values.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TensorInfo {
    pub(crate) dtype: Dtype,
    /// Empty, too, for tensors of a kind that this reader does not know.
    pub(crate) shape: Vec<usize>,
}

impl TorchFile {
    /// Reads which tensors a file holds; `name` is what errors call the file.
    ///
    /// Plain pickles that hold tensors are read as well.
    ///
    /// # Errors
    /// The file is of another format, damaged, or only calls something that this reader does not.
    pub(crate) fn open(name: String, source: impl Read + Seek + Send + 'static) -> Result<Self> {
        let container = Container::open(BufReader::new(Box::new(source)));
        let Container { pickle, storages } = container.context(|| name.clone())?;
        let tensors = names::tensors(&pickle).context(|| name.clone())?;
        let places = tensors.iter().enumerate();
        let index = places
            .map(|(place, (name, _))| (name.clone(), place))
            .collect();
        Ok(Self {
            pickle,
            storages: Mutex::new(storages),
            tensors,
            index,
        })
    }

    /// The names of the tensors, in the order of the file. A tensor that is alone in its file, and
    /// hence without a name, is called `tensor`.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.iter().map(|(name, _)| name.as_str())
    }

    /// What the tensor of this name is, where there is one.
    pub(crate) fn info(&self, name: &str) -> Option<TensorInfo> {
        let layout = Layout::of(&self.pickle, self.find(name)?);
        Some(match layout {
            Ok(layout) => TensorInfo {
                dtype: layout.dtype,
                shape: layout.shape,
            },
            Err(_) => TensorInfo {
                dtype: Dtype::Other("unreadable"),
                shape: Vec::new(),
            },
        })
    }

    /// The values of the tensor of this name, in row-major order, with their type and the shape.
    ///
    /// # Errors
    /// There is no such tensor, its values are not of a known type, or the file is damaged.
    pub(crate) fn read(&self, name: &str) -> Result<(Dtype, Vec<usize>, Vec<u8>)> {
        let Some(id) = self.find(name) else {
            return Err(Error::new(format!(
                "there is no tensor `{name}`.{}",
                suggestion(name, self.names())
            )));
        };
        let layout = Layout::of(&self.pickle, id)?;
        let mut storages = self.storages.lock().unwrap_or_else(PoisonError::into_inner);
        let values = layout.read(&self.pickle, &mut storages)?;
        Ok((layout.dtype, layout.shape, values))
    }

    /// Everything in the file beside the tensors' values, such as a model's configuration.
    pub(crate) fn pickle(&self) -> &Pickle {
        &self.pickle
    }

    fn find(&self, name: &str) -> Option<Id> {
        let place = self.index.get(name)?;
        self.tensors.get(*place).map(|(_, id)| *id)
    }
}

impl TensorFile for TorchFile {
    fn names(&self) -> Vec<String> {
        self.names().map(str::to_owned).collect()
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.info(name).map(|info| info.shape)
    }

    fn read(&self, name: &str) -> Result<Tensor> {
        let (dtype, shape, values) = TorchFile::read(self, name)?;
        let dtype = match dtype {
            Dtype::F64 => DType::F64,
            Dtype::F32 => DType::F32,
            Dtype::F16 => DType::F16,
            Dtype::BF16 => DType::BF16,
            other => {
                return Err(Error::new(format!(
                    "it holds {} instead of numbers with a fraction.",
                    other.name()
                )));
            }
        };
        Ok(Tensor::from_raw_buffer(
            &values,
            dtype,
            &shape,
            &Device::Cpu,
        )?)
    }
}
