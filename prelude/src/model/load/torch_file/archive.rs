//! Checkpoints of PyTorch 1.6 and later: zip archives of entries that are not compressed.

use super::super::pickle::Pickle;
use super::container::{Container, Reader, Storages, no_storage};
use crate::error::{Error, Result};
use std::io::{Read, Seek, SeekFrom};
use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

/// A longer pickle is refused: those of the largest models take a few megabytes.
const LONGEST_PICKLE: u64 = 256 << 20;

const PICKLE: &str = "data.pkl";

pub(super) struct Archive<'a> {
    zip: ZipArchive<Reader<'a>>,
    /// What the names of all entries start with, with its slash.
    prefix: String,
    /// Of the whole file.
    length: u64,
}

impl<'a> Archive<'a> {
    pub(super) fn open(reader: Reader<'a>, length: u64) -> Result<Container<'a>> {
        let zip = ZipArchive::new(reader).map_err(damaged)?;
        let mut archive = Self {
            prefix: find_prefix(&zip)?,
            zip,
            length,
        };
        archive.refuse_big_endian()?;
        let pickle = archive.read_pickle()?;
        Ok(Container {
            pickle,
            storages: Storages::Archive(Box::new(archive)),
        })
    }

    pub(super) fn size(&mut self, key: &str) -> Result<u64> {
        let index = self.storage(key)?;
        self.check(index)
    }

    pub(super) fn read(&mut self, key: &str, start: u64, length: usize) -> Result<Vec<u8>> {
        let index = self.storage(key)?;
        self.check(index)?;
        let mut entry = self.zip.by_index_seek(index).map_err(damaged)?;
        entry.seek(SeekFrom::Start(start))?;
        let mut bytes = vec![0; length];
        entry.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn read_pickle(&mut self) -> Result<Pickle> {
        let index = self.find(PICKLE).ok_or_else(no_pickle)?;
        let size = self.check(index)?;
        if size > LONGEST_PICKLE {
            return Err(Error::new(format!(
                "its {PICKLE} has {size} bytes, which makes no sense: those of the largest models \
                 take a few million."
            )));
        }
        let mut entry = self.zip.by_index_seek(index).map_err(damaged)?;
        let mut bytes = vec![0; size as usize];
        entry.read_exact(&mut bytes)?;
        Pickle::parse(&bytes).map_err(|error| error.context(PICKLE))
    }

    fn refuse_big_endian(&mut self) -> Result<()> {
        let Some(index) = self.find("byteorder") else {
            return Ok(());
        };
        self.check(index)?;
        let mut order = Vec::new();
        let entry = self.zip.by_index_seek(index).map_err(damaged)?;
        entry.take(16).read_to_end(&mut order)?;
        if order.trim_ascii() == b"big" {
            return Err(big_endian());
        }
        Ok(())
    }

    fn storage(&self, key: &str) -> Result<usize> {
        self.find(&format!("data/{key}"))
            .ok_or_else(|| no_storage(key))
    }

    fn find(&self, name: &str) -> Option<usize> {
        let name = format!("{}{name}", self.prefix);
        self.zip.index_for_name_raw(name.as_bytes())
    }

    /// The size of an entry, after a look whether the file has all its bytes as they are.
    fn check(&mut self, index: usize) -> Result<u64> {
        let entry = self.zip.by_index_raw(index).map_err(damaged)?;
        let name = String::from_utf8_lossy(entry.name_raw());
        if entry.compression() != CompressionMethod::Stored || entry.encrypted() {
            return Err(Error::new(format!(
                "the entry {name} of this zip file is compressed or encrypted, which PyTorch never \
                 does. Save it again with `torch.save`."
            )));
        }
        let size = entry.compressed_size();
        let end = entry.data_start().and_then(|start| start.checked_add(size));
        if end.is_none_or(|end| end > self.length) {
            return Err(Error::new(format!(
                "the file is cut off: its entry {name} should have {size} bytes. Download or copy \
                 it again."
            )));
        }
        Ok(size)
    }
}

/// What comes before `data.pkl`: the name that the file had when it was written.
fn find_prefix(zip: &ZipArchive<Reader<'_>>) -> Result<String> {
    let prefixes = zip.file_names_raw().filter_map(|name| {
        let prefix = str::from_utf8(name).ok()?.strip_suffix(PICKLE)?;
        (prefix.is_empty() || prefix.ends_with('/')).then_some(prefix)
    });
    let outermost = prefixes.min_by_key(|prefix| prefix.matches('/').count());
    outermost.map(str::to_owned).ok_or_else(no_pickle)
}

fn no_pickle() -> Error {
    Error::new(format!(
        "this zip file is no checkpoint of PyTorch: it has no {PICKLE}."
    ))
}

/// The error about a file that another kind of machine wrote, in either format.
pub(super) fn big_endian() -> Error {
    Error::new(
        "the file comes from a machine that stores numbers the other way round (big endian). Save \
         it again on another one.",
    )
}

fn damaged(error: ZipError) -> Error {
    Error::with_source(
        format!("this zip file is cut off or damaged ({error}). Download or copy it again."),
        error,
    )
}
