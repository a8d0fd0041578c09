//! A pickle's bytes, one after the other.

use crate::error::{Error, Result};
use std::io::Read;

/// Bytes that are read in order and never past their end.
///
/// The end is known from the start, so that a length that a damaged pickle announces is refused
/// before anything is allocated for it.
pub(super) struct Input<'a> {
    reader: &'a mut dyn Read,
    position: u64,
    end: u64,
    /// Where the instruction that is being followed starts, for error messages.
    instruction: u64,
}

impl<'a> Input<'a> {
    pub(super) fn new(reader: &'a mut dyn Read, start: u64, end: u64) -> Self {
        Self {
            reader,
            position: start,
            end,
            instruction: start,
        }
    }

    pub(super) fn position(&self) -> u64 {
        self.position
    }

    /// The byte that says what to do next.
    pub(super) fn instruction(&mut self) -> Result<u8> {
        self.instruction = self.position;
        if self.position >= self.end {
            return Err(self.cut_off("it stops without its closing mark"));
        }
        self.byte()
    }

    pub(super) fn byte(&mut self) -> Result<u8> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        self.check(N as u64)?;
        let mut bytes = [0; N];
        self.reader.read_exact(&mut bytes)?;
        self.position += N as u64;
        Ok(bytes)
    }

    pub(super) fn bytes(&mut self, length: u64) -> Result<Vec<u8>> {
        self.check(length)?;
        let size = usize::try_from(length).map_err(|_| self.damaged("a value is too long"))?;
        let mut bytes = vec![0; size];
        self.reader.read_exact(&mut bytes)?;
        self.position += length;
        Ok(bytes)
    }

    /// The bytes up to the next line feed, which is read but not returned.
    pub(super) fn line(&mut self) -> Result<Vec<u8>> {
        let mut line = Vec::new();
        loop {
            if self.position >= self.end {
                return Err(self.cut_off("a line of text does not end"));
            }
            match self.byte()? {
                b'\n' => return Ok(line),
                byte => line.push(byte),
            }
        }
    }

    /// Whether this many bytes are left.
    ///
    /// # Errors
    /// They are not.
    pub(super) fn check(&self, length: u64) -> Result<()> {
        let left = self.end.saturating_sub(self.position);
        if length > left {
            return Err(self.cut_off(format_args!(
                "{length} bytes should follow and {left} are left"
            )));
        }
        Ok(())
    }

    /// An error at the instruction that is being followed.
    pub(super) fn damaged(&self, why: impl std::fmt::Display) -> Error {
        Error::new(format!(
            "the pickle is damaged at byte {}: {why}. Download or copy it again.",
            self.instruction
        ))
    }

    /// An error about something that a pickle may hold and this reader does not read.
    pub(super) fn unsupported(&self, why: impl std::fmt::Display) -> Error {
        Error::new(format!(
            "the pickle cannot be read at byte {}: {why}.",
            self.instruction
        ))
    }

    fn cut_off(&self, why: impl std::fmt::Display) -> Error {
        Error::new(format!(
            "the pickle is cut off at byte {}: {why}. Download or copy it again.",
            self.position
        ))
    }
}
