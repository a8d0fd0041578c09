//! A file that is on its way, and the lock that makes it one process's.

use super::DownloadProgress;
use super::client::Facts;
use super::retry::TICK;
use super::snapshot::Snapshots;
use super::trouble::Trouble;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Seek, SeekFrom, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// What has arrived of a file. Its name holds the etag and the size that it was begun with, so that
/// nothing of another content is ever put behind it. It is not the name that hf-hub uses, which puts
/// the text of an error behind a part, nor Python's, where parts may have holes.
pub(super) struct Part {
    path: PathBuf,
    file: File,
    length: u64,
    total: Option<u64>,
}

impl Part {
    /// The part that an earlier download left, or an empty one. Only who holds the lock may have it.
    pub(super) fn open(snapshots: &Snapshots, facts: &Facts) -> Result<Self, Trouble> {
        let total = facts.total.map(|total| total.to_string());
        let total = total.as_deref().unwrap_or("unknown");
        let path = snapshots.blob(&format!("{}.{total}.ferrolens-part", facts.etag));
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)?;
        let length = file.metadata()?.len();
        let mut part = Self {
            path,
            file,
            length,
            total: facts.total,
        };
        // Nobody knows what is behind the bytes of a file of unknown size.
        if part.total.is_none_or(|total| part.length > total) {
            part.cut(0)?;
        }
        Ok(part)
    }

    pub(super) fn length(&self) -> u64 {
        self.length
    }

    pub(super) fn is_complete(&self) -> bool {
        self.total == Some(self.length)
    }

    /// Keeps so many bytes, and goes on behind them.
    pub(super) fn cut(&mut self, length: u64) -> Result<(), Trouble> {
        self.file.set_len(length)?;
        self.file.seek(SeekFrom::Start(length))?;
        self.length = length;
        Ok(())
    }

    /// # Errors
    /// The disk takes no more, or there is more than was announced.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Trouble> {
        let length = self.length + bytes.len() as u64;
        if let Some(total) = self.total.filter(|total| length > *total) {
            self.cut(0)?;
            return Err(Trouble::Damaged(format!(
                "more than the {total} bytes that were announced"
            )));
        }
        self.file.write_all(bytes)?;
        self.length = length;
        Ok(())
    }

    /// Puts the complete file where it belongs.
    ///
    /// # Errors
    /// It is too short, or the disk does not let it.
    pub(super) fn finish(self, blob: PathBuf) -> Result<(), Trouble> {
        let on_disk = self.file.metadata()?.len();
        let total = self.total.unwrap_or(self.length);
        if self.length < total {
            return Err(Trouble::Cut(format!("{} of {total} bytes", self.length)));
        }
        if on_disk != total {
            std::fs::remove_file(&self.path)?;
            return Err(Trouble::Damaged(format!(
                "{on_disk} bytes on the disk, where {total} were announced"
            )));
        }
        drop(self.file);
        Ok(std::fs::rename(&self.path, blob)?)
    }

    /// Leaves nothing behind.
    pub(super) fn discard(self) -> Result<(), Trouble> {
        drop(self.file);
        Ok(std::fs::remove_file(&self.path)?)
    }
}

/// The right to write a content into the cache. The system gives it back when the process ends.
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Waits until no other process, of Python's libraries either, fetches the same content.
    ///
    /// # Errors
    /// It takes too long, or the disk knows no locks.
    pub(super) fn acquire(
        path: PathBuf,
        patience: Duration,
        progress: &mut dyn DownloadProgress,
    ) -> Result<Self, Trouble> {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)?;
        let end = Instant::now() + patience;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(Self { _file: file }),
                Err(TryLockError::Error(error)) => return Err(error.into()),
                Err(TryLockError::WouldBlock) if Instant::now() > end => {
                    return Err(Trouble::Locked);
                }
                Err(TryLockError::WouldBlock) => {
                    progress.advance(0)?;
                    std::thread::sleep(TICK);
                }
            }
        }
    }
}
