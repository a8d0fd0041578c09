//! Numpy's archives (`.npz`): a zip file of arrays, as they are or deflated.

mod npy;

use crate::error::{Context, Error, Result};
use crate::model::load::tensors::TensorFile;
use candle_core::Tensor;
use flate2::read::DeflateDecoder;
use npy::Header;
use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::sync::{Mutex, PoisonError};
use zip::result::ZipError;
use zip::{CompressionMethod, ZipArchive};

/// Deflate cannot do better than this many times.
const MOST_TIMES: u64 = 1032;

/// One archive.
pub(super) struct Npz {
    zip: Mutex<ZipArchive<BufReader<File>>>,
    size: u64,
    arrays: HashMap<String, (usize, Header)>,
}

impl Npz {
    /// Whether a zip file holds arrays, rather than a checkpoint of PyTorch.
    pub(super) fn is_one(file: &File) -> bool {
        let Ok(file) = file.try_clone() else {
            return false;
        };
        let zip = ZipArchive::new(BufReader::new(file));
        zip.is_ok_and(|zip| zip.file_names_raw().any(|name| name.ends_with(b".npy")))
    }

    /// Reads the headers of all arrays.
    ///
    /// # Errors
    /// The archive or an array's header is damaged.
    pub(super) fn open(mut file: File) -> Result<Self> {
        std::io::Seek::rewind(&mut file)?;
        let size = file.metadata()?.len();
        let mut zip = ZipArchive::new(BufReader::new(file)).map_err(damaged)?;
        let mut arrays = HashMap::new();
        for index in 0..zip.len() {
            let name = name_of(&mut zip, index)?;
            let Some(short) = name.strip_suffix(".npy") else {
                continue;
            };
            let header = with_entry(&mut zip, size, index, Header::read);
            let header = header.context(|| format!("the array `{short}`"))?;
            arrays.insert(short.to_owned(), (index, header));
        }
        Ok(Self {
            zip: Mutex::new(zip),
            size,
            arrays,
        })
    }
}

impl TensorFile for Npz {
    fn names(&self) -> Vec<String> {
        self.arrays.keys().cloned().collect()
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        let (_, header) = self.arrays.get(name)?;
        Some(header.shape.clone())
    }

    fn read(&self, name: &str) -> Result<Tensor> {
        let Some((index, _)) = self.arrays.get(name) else {
            return Err(Error::new("it is missing."));
        };
        let mut zip = self.zip.lock().unwrap_or_else(PoisonError::into_inner);
        with_entry(&mut zip, self.size, *index, |reader| {
            Header::read(reader)?.values(reader)
        })
    }
}

fn name_of(zip: &mut ZipArchive<BufReader<File>>, index: usize) -> Result<String> {
    let entry = zip.by_index_raw(index).map_err(damaged)?;
    Ok(String::from_utf8_lossy(entry.name_raw()).into_owned())
}

/// Reads an entry, after a look whether the archive can hold what it announces.
fn with_entry<T>(
    zip: &mut ZipArchive<BufReader<File>>,
    file_size: u64,
    index: usize,
    read: impl FnOnce(&mut dyn Read) -> Result<T>,
) -> Result<T> {
    let mut entry = zip.by_index_raw(index).map_err(damaged)?;
    let (stored, unpacked) = (entry.compressed_size(), entry.size());
    let end = entry
        .data_start()
        .and_then(|start| start.checked_add(stored));
    if end.is_none_or(|end| end > file_size) || entry.encrypted() {
        return Err(Error::new(format!(
            "the file is cut off or encrypted: this entry should have {stored} bytes. Download or copy \
             it again."
        )));
    }
    match entry.compression() {
        CompressionMethod::Stored => read(&mut entry.by_ref().take(stored)),
        // The deflate feature of the zip library is not built in: the method is known by its number.
        method if is_deflated(method) && unpacked <= stored.saturating_mul(MOST_TIMES) => {
            let packed = BufReader::new(entry.by_ref().take(stored));
            read(&mut DeflateDecoder::new(packed).take(unpacked))
        }
        method => Err(Error::new(format!(
            "its entry is packed by {method:?}, or announces more than that can hold: numpy stores or \
             deflates."
        ))),
    }
}

#[allow(
    deprecated,
    reason = "without its feature the method has no other name"
)]
fn is_deflated(method: CompressionMethod) -> bool {
    method.to_u16() == 8
}

fn damaged(error: ZipError) -> Error {
    Error::with_source(
        format!("this archive is cut off or damaged ({error}). Download or copy it again."),
        error,
    )
}
