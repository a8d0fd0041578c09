//! Where a tensor's values are.

mod inside;

use super::super::pickle::{Id, Node, Pickle};
use super::container::Storages;
use super::dtype::Dtype;
use super::strided::Strided;
use super::tensor::{StorageRef, rebuilt};
use crate::error::{Error, Result};
use inside::Inside;

/// The most dimensions that torch allows.
const MOST_DIMENSIONS: usize = 64;

/// A tensor's type, its shape, and how its values lie in a storage.
pub(super) struct Layout {
    pub(super) dtype: Dtype,
    pub(super) shape: Vec<usize>,
    /// In values, one per dimension.
    strides: Vec<usize>,
    /// How many values of the storage come first.
    offset: usize,
    storage: Storage,
}

enum Storage {
    /// Beside the pickle.
    Key(String),
    /// In the pickle itself.
    Inside(Inside),
    /// The tensor cannot be read, for this reason.
    Unknown(String),
}

impl Layout {
    /// How the tensor that this object describes lies.
    ///
    /// # Errors
    /// The description is damaged.
    pub(super) fn of(pickle: &Pickle, id: Id) -> Result<Self> {
        let damaged = || Error::new("its description is damaged. Download or copy the file again.");
        let (function, args) = rebuilt(pickle, id).ok_or_else(damaged)?;
        let (base, rest) = match (function, args) {
            ("_rebuild_tensor" | "_rebuild_tensor_v2" | "_rebuild_tensor_v3", args) => {
                args.split_first_chunk::<4>().ok_or_else(damaged)?
            }
            (unknown, _) => return Ok(Self::unknown(unknown)),
        };
        let [storage, offset, shape, strides] = base;
        let (storage, dtype, skipped) = find_storage(pickle, *storage)?;
        let offset = pickle.as_usize(*offset).ok_or_else(damaged)?;
        let mut layout = Self {
            dtype,
            shape: numbers(pickle, *shape).ok_or_else(damaged)?,
            strides: numbers(pickle, *strides).ok_or_else(damaged)?,
            offset: offset.checked_add(skipped).ok_or_else(damaged)?,
            storage,
        };
        if layout.shape.len() != layout.strides.len() {
            return Err(damaged());
        }
        match (function, rest) {
            ("_rebuild_tensor_v3", [_, _, dtype, metadata @ ..]) => {
                let name = pickle.global(*dtype).map(|(_, name)| name);
                layout.dtype = name.and_then(Dtype::named).unwrap_or(UNKNOWN);
                layout.refuse_lazy(pickle, metadata);
            }
            ("_rebuild_tensor_v2", [_, _, metadata @ ..]) => layout.refuse_lazy(pickle, metadata),
            _ => {}
        }
        Ok(layout)
    }

    /// The tensor's values in row-major order.
    pub(super) fn read(&self, pickle: &Pickle, storages: &mut Storages<'_>) -> Result<Vec<u8>> {
        if let Storage::Unknown(why) = &self.storage {
            return Err(Error::new(why.as_str()));
        }
        if let Dtype::Other(name) = self.dtype {
            return Err(Error::new(format!(
                "its values are of type {name}, which this reader does not read. Convert it in \
                 Python, such as with `tensor.float()`."
            )));
        }
        let bytes = match &self.storage {
            Storage::Key(key) => storages.size(key)?,
            Storage::Inside(inside) => inside.size(),
            Storage::Unknown(_) => 0,
        };
        let size = self.dtype.size();
        let strided = Strided::new(&self.shape, &self.strides, size);
        let (start, length) = strided.span(self.offset, bytes)?;
        if length == 0 {
            return Ok(Vec::new());
        }
        let span = match &self.storage {
            Storage::Key(key) => storages.read(key, start, length)?,
            Storage::Inside(inside) => inside.read(pickle, start, length)?,
            Storage::Unknown(_) => Vec::new(),
        };
        strided.gather(span)
    }

    fn unknown(function: &str) -> Self {
        let why = format!(
            "it is of a kind that this reader does not read (`{function}`). Convert it in Python, \
             such as with `tensor.to_dense()` or `tensor.dequantize()`."
        );
        Self {
            dtype: Dtype::Other(kind(function)),
            shape: Vec::new(),
            strides: Vec::new(),
            offset: 0,
            storage: Storage::Unknown(why),
        }
    }

    /// Torch can note that values are to be negated or conjugated, instead of doing it.
    fn refuse_lazy(&mut self, pickle: &Pickle, metadata: &[Id]) {
        let Some(metadata) = metadata.first() else {
            return;
        };
        let set = |key| pickle.get(*metadata, key).and_then(|id| pickle.as_bool(id)) == Some(true);
        if set("neg") || set("conj") {
            self.storage = Storage::Unknown(
                "its values are stored with another sign than they have. Save \
                 `tensor.resolve_neg().resolve_conj()` instead."
                    .to_owned(),
            );
        }
    }
}

const UNKNOWN: Dtype = Dtype::Other("unknown");

fn find_storage(pickle: &Pickle, id: Id) -> Result<(Storage, Dtype, usize)> {
    if let Node::Persistent(id) = pickle.node(id)
        && let Some(storage) = StorageRef::from_persistent(pickle, *id)
    {
        let key = Storage::Key(storage.key.to_owned());
        return Ok((key, storage.dtype, storage.skipped));
    }
    if let Some((inside, dtype)) = Inside::find(pickle, id)? {
        return Ok((Storage::Inside(inside), dtype, 0));
    }
    let why = "its values are in a storage of a kind that this reader does not know. Save it again \
               with a newer PyTorch.";
    Ok((Storage::Unknown(why.to_owned()), UNKNOWN, 0))
}

/// Sizes or strides, which must not be negative.
fn numbers(pickle: &Pickle, id: Id) -> Option<Vec<usize>> {
    let numbers = pickle.items(id)?;
    if numbers.len() > MOST_DIMENSIONS {
        return None;
    }
    numbers.iter().map(|id| pickle.as_usize(*id)).collect()
}

/// What tensors are called that torch rebuilds with a function of their own.
fn kind(function: &str) -> &'static str {
    match function {
        "_rebuild_sparse_tensor" => "sparse",
        "_rebuild_qtensor" => "quantized",
        "_rebuild_nested_tensor" => "nested",
        "_rebuild_meta_tensor_no_storage" => "meta",
        _ => "unknown",
    }
}
