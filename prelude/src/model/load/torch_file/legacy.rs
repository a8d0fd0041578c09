//! Checkpoints of PyTorch before 1.6: five pickles and then the storages, one behind the other.

use super::super::pickle::{Id, Node, Pickle};
use super::archive::big_endian;
use super::container::{Container, Reader, Storages, no_storage};
use super::tensor::StorageRef;
use crate::error::{Error, Result};
use std::collections::HashMap;
use std::io::{Read, Seek, SeekFrom};

const PROTOCOL: i64 = 1001;

pub(super) struct Legacy<'a> {
    reader: Reader<'a>,
    /// Where a storage's bytes start, and how many there are.
    places: HashMap<String, (u64, u64)>,
}

/// Whether this first pickle of a file is the number that marks the format.
pub(super) fn is_magic(pickle: &Pickle) -> bool {
    const MAGIC: [&str; 2] = ["0x1950a86a20f9469cfc6c", "119547037146038801333356"];
    matches!(pickle.node(pickle.root()), Node::BigInt(number) if MAGIC.contains(&&**number))
}

impl<'a> Legacy<'a> {
    /// Goes on behind the magic number, at byte `start`. The pickles must end before `pickle_end`.
    pub(super) fn open(
        mut reader: Reader<'a>,
        start: u64,
        pickle_end: u64,
        length: u64,
    ) -> Result<Container<'a>> {
        let (pickle, next, keys) = read_pickles(&mut reader, start, pickle_end)?;
        let places = find_storages(&mut reader, next, length, &pickle, &keys)?;
        Ok(Container {
            pickle,
            storages: Storages::Legacy(Self { reader, places }),
        })
    }

    pub(super) fn size(&self, key: &str) -> Result<u64> {
        self.place(key).map(|(_, length)| length)
    }

    pub(super) fn read(&mut self, key: &str, start: u64, length: usize) -> Result<Vec<u8>> {
        let (first, _) = self.place(key)?;
        self.reader
            .seek(SeekFrom::Start(first.saturating_add(start)))?;
        let mut bytes = vec![0; length];
        self.reader.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Where a storage's bytes start, and how many there are.
    pub(super) fn place(&self, key: &str) -> Result<(u64, u64)> {
        self.places.get(key).copied().ok_or_else(|| no_storage(key))
    }
}

/// The pickle of the tensors, where the storages start, and the pickle of their keys.
fn read_pickles(reader: &mut Reader<'_>, start: u64, end: u64) -> Result<(Pickle, u64, Pickle)> {
    let (protocol, next) = Pickle::read(reader, start, end)?;
    if protocol.as_i64(protocol.root()) != Some(PROTOCOL) {
        return Err(Error::new(format!(
            "the file's format has a number other than {PROTOCOL}, the only one that PyTorch ever \
             wrote. Download or copy it again."
        )));
    }
    let (system, next) = Pickle::read(reader, next, end)?;
    let little = system.get(system.root(), "little_endian");
    if little.and_then(|little| system.as_bool(little)) == Some(false) {
        return Err(big_endian());
    }
    let (pickle, next) = Pickle::read(reader, next, end)?;
    let (keys, next) = Pickle::read(reader, next, end)?;
    Ok((pickle, next, keys))
}

/// Walks over the storages: each is its count of values and then these.
fn find_storages(
    reader: &mut Reader<'_>,
    start: u64,
    end: u64,
    pickle: &Pickle,
    keys: &Pickle,
) -> Result<HashMap<String, (u64, u64)>> {
    let sizes = value_sizes(pickle);
    let mut places = HashMap::new();
    let mut next = start;
    let Some(keys_in_order) = keys.items(keys.root()) else {
        return Err(Error::new(
            "the file's list of storages is damaged. Download or copy it again.",
        ));
    };
    for key in keys_in_order {
        let key = keys.as_str(*key).unwrap_or_default();
        let Some(size) = sizes.get(key) else {
            return Err(Error::new(format!(
                "the file has a storage `{key}` of unknown type, behind which nothing can be read. \
                 Save it again with a newer PyTorch."
            )));
        };
        let cut_off = || {
            Error::new(format!(
                "the file is cut off: its storage `{key}` does not fit. Download or copy it again."
            ))
        };
        let first = next.checked_add(8).filter(|first| *first <= end);
        let first = first.ok_or_else(cut_off)?;
        let mut count = [0; 8];
        reader.seek(SeekFrom::Start(next))?;
        reader.read_exact(&mut count)?;
        let length = u64::from_le_bytes(count).checked_mul(*size);
        let behind = length.and_then(|length| first.checked_add(length));
        next = behind.filter(|behind| *behind <= end).ok_or_else(cut_off)?;
        if places
            .insert(key.to_owned(), (first, next - first))
            .is_some()
        {
            return Err(Error::new(format!(
                "the file has its storage `{key}` twice. Download or copy it again."
            )));
        }
    }
    Ok(places)
}

/// How many bytes a value has, for each storage that the pickle mentions.
fn value_sizes(pickle: &Pickle) -> HashMap<&str, u64> {
    let ids = pickle.nodes().filter_map(|node| match node {
        Node::Persistent(id) => Some(*id),
        _ => None,
    });
    let storages = ids.filter_map(|id| StorageRef::from_persistent(pickle, id));
    // First by the text's number: a long text that many storages share is not hashed for each.
    let by_text: HashMap<Id, StorageRef<'_>> =
        storages.map(|storage| (storage.key_id, storage)).collect();
    let storages = by_text.into_values();
    storages
        .map(|storage| (storage.key, storage.dtype.size() as u64))
        .collect()
}
