//! Which format a file has, and reading its pickle and its storages in either.

use super::super::pickle::{Node, Pickle};
use super::archive::Archive;
use super::legacy::{self, Legacy};
use crate::error::{Error, Result};
use std::io::{BufReader, Read, Seek, SeekFrom};

/// A file's bytes.
pub(super) type Reader<'a> = BufReader<Box<dyn ReadSeek + 'a>>;

pub(super) trait ReadSeek: Read + Seek + Send {}

impl<R: Read + Seek + Send> ReadSeek for R {}

/// What every format holds.
pub(super) struct Container<'a> {
    pub(super) pickle: Pickle,
    pub(super) storages: Storages<'a>,
}

/// The numbers of the tensors, by the keys that the pickle gives to the storages.
pub(super) enum Storages<'a> {
    Archive(Box<Archive<'a>>),
    Legacy(Legacy<'a>),
    /// A plain pickle, which holds its storages itself.
    Inside,
}

impl<'a> Container<'a> {
    pub(super) fn open(mut reader: Reader<'a>) -> Result<Self> {
        let length = reader.seek(SeekFrom::End(0))?;
        reader.seek(SeekFrom::Start(0))?;
        let mut head = Vec::new();
        reader.by_ref().take(512).read_to_end(&mut head)?;
        reader.seek(SeekFrom::Start(0))?;
        if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
            return Archive::open(reader, length);
        }
        refuse_other_formats(&head, length)?;
        let (first, next) = Pickle::read(&mut reader, 0, length)
            .map_err(|error| error.context("this is no zip file, and read as a pickle"))?;
        if legacy::is_magic(&first) {
            return Legacy::open(reader, next, length, length);
        }
        if let Node::BigInt(_) | Node::Int(_) = first.node(first.root()) {
            return Err(Error::new(
                "this is no checkpoint of PyTorch: it holds just a number.",
            ));
        }
        Ok(Self {
            pickle: first,
            storages: Storages::Inside,
        })
    }
}

impl Storages<'_> {
    /// How many bytes a storage really has.
    pub(super) fn size(&mut self, key: &str) -> Result<u64> {
        match self {
            Self::Archive(archive) => archive.size(key),
            Self::Legacy(legacy) => legacy.size(key),
            Self::Inside => Err(no_storage(key)),
        }
    }

    /// Some bytes of a storage, which must have them.
    pub(super) fn read(&mut self, key: &str, start: u64, length: usize) -> Result<Vec<u8>> {
        match self {
            Self::Archive(archive) => archive.read(key, start, length),
            Self::Legacy(legacy) => legacy.read(key, start, length),
            Self::Inside => Err(no_storage(key)),
        }
    }
}

/// The error where a tensor's storage is missing.
pub(super) fn no_storage(key: &str) -> Error {
    Error::new(format!(
        "its values are missing: the file has no storage `{key}`. Download or copy it again."
    ))
}

/// Formats that are often met under the names of checkpoints.
fn refuse_other_formats(head: &[u8], length: u64) -> Result<()> {
    let text = head.trim_ascii_start();
    let why = if head.is_empty() {
        "the file is empty. Download or copy it again."
    } else if head.get(257..262) == Some(b"ustar") {
        "this is a tar archive, as PyTorch wrote before version 0.1.10. Load it with that PyTorch, \
         and save it with a newer one."
    } else if head.starts_with(&[0x1f, 0x8b]) {
        "the file is compressed with gzip. Unpack it first: `gunzip` does."
    } else if head.starts_with(b"version https://git-lfs") {
        "this is a pointer of Git LFS, not the file itself. Run `git lfs pull`, or download the \
         file."
    } else if text.starts_with(b"<") {
        "this is a web page, not a checkpoint. Download the file itself."
    } else if is_safetensors(head, length) {
        "this is a safetensors file. Give it the ending `.safetensors`."
    } else {
        return Ok(());
    };
    Err(Error::new(why))
}

/// Whether the file starts with the length of a header and this with a brace.
fn is_safetensors(head: &[u8], length: u64) -> bool {
    let Some((header, [b'{', ..])) = head.split_first_chunk::<8>() else {
        return false;
    };
    u64::from_le_bytes(*header) < length
}
