//! A file read at any place.

use crate::error::Result;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::sync::{Mutex, PoisonError};

/// A file and its size.
pub(super) struct FileBytes {
    file: Mutex<File>,
    size: u64,
}

impl FileBytes {
    pub(super) fn new(file: File) -> Result<Self> {
        let size = file.metadata()?.len();
        Ok(Self {
            file: Mutex::new(file),
            size,
        })
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }

    /// `length` bytes from `start`. Callers check them against the size first, so that a damaged
    /// file cannot ask for any amount of memory.
    pub(super) fn read(&self, start: u64, length: usize) -> Result<Vec<u8>> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = vec![0; length];
        file.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}
