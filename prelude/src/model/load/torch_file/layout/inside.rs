//! Storages inside a pickle, as plain `pickle.dump` writes tensors: each a torch file of its own.

use super::super::container::{Container, Reader, Storages};
use super::super::dtype::Dtype;
use super::super::legacy::{self, Legacy};
use super::super::tensor::StorageRef;
use super::{Id, Node, Pickle};
use crate::error::{Error, Result};
use std::io::{BufReader, Cursor};

/// The pickles around one storage are short; the limit keeps it cheap to read them each time.
const LONGEST_PICKLES: u64 = 1 << 16;

pub(super) struct Inside {
    /// The bytes in the pickle.
    file: Id,
    /// Where in these the storage is.
    start: usize,
    length: usize,
}

impl Inside {
    /// The storage that `torch.storage._load_from_bytes(file)` gives; nothing for other objects.
    pub(super) fn find(pickle: &Pickle, id: Id) -> Result<Option<(Self, Dtype)>> {
        let file = match pickle.call(id) {
            Some(call) if (call.module, call.name) == ("torch.storage", "_load_from_bytes") => {
                call.args.first().copied()
            }
            _ => None,
        };
        let Some(file) = file else {
            return Ok(None);
        };
        let Some(bytes) = pickle.as_bytes(file) else {
            return Ok(None);
        };
        Self::locate(file, &bytes).map(Some)
    }

    pub(super) fn size(&self) -> u64 {
        self.length as u64
    }

    /// Some bytes of the storage, which must have them.
    pub(super) fn read(&self, pickle: &Pickle, start: u64, length: usize) -> Result<Vec<u8>> {
        let start = usize::try_from(start).ok();
        let start = start.and_then(|start| start.checked_add(self.start));
        let range = start.and_then(|start| Some(start..start.checked_add(length)?));
        let bytes = pickle.as_bytes(self.file);
        let found = bytes.and_then(|bytes| Some(bytes.get(range?)?.to_vec()));
        found.ok_or_else(damaged)
    }

    fn locate(file: Id, bytes: &[u8]) -> Result<(Self, Dtype)> {
        let length = bytes.len() as u64;
        let pickle_end = length.min(LONGEST_PICKLES);
        let mut reader: Reader<'_> = BufReader::new(Box::new(Cursor::new(bytes)));
        let (first, next) = Pickle::read(&mut reader, 0, pickle_end)?;
        if !legacy::is_magic(&first) {
            return Err(damaged());
        }
        let Container { pickle, storages } = Legacy::open(reader, next, pickle_end, length)?;
        let storage = match pickle.node(pickle.root()) {
            Node::Persistent(id) => StorageRef::from_persistent(&pickle, *id),
            _ => None,
        };
        let (Some(storage), Storages::Legacy(legacy)) = (storage, storages) else {
            return Err(damaged());
        };
        let (start, length) = legacy.place(storage.key)?;
        let skipped = (storage.skipped as u64).checked_mul(storage.dtype.size() as u64);
        let skipped = skipped.filter(|skipped| *skipped <= length);
        let skipped = skipped.ok_or_else(damaged)?;
        let inside = Self {
            file,
            start: usize::try_from(start + skipped).map_err(|_| damaged())?,
            length: usize::try_from(length - skipped).map_err(|_| damaged())?,
        };
        Ok((inside, storage.dtype))
    }
}

fn damaged() -> Error {
    Error::new("its values are damaged. Download or copy the file again.")
}
