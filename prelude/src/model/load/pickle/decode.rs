//! The instructions that hold numbers, text and bytes.

mod escape;
mod integer;

use super::input::Input;
use super::machine::Machine;
use super::node::{Id, Node};
use crate::error::Result;

impl Machine<'_> {
    pub(super) fn int<T: Into<i64>>(
        &mut self,
        read: impl FnOnce(&mut Input<'_>) -> Result<T>,
    ) -> Result<()> {
        let value = read(&mut self.input)?;
        self.push_new(Node::Int(value.into()))
    }

    /// An integer in decimal; protocol 1 writes booleans as `00` and `01`.
    pub(super) fn int_line(&mut self) -> Result<()> {
        let line = self.input.line()?;
        match line.as_slice() {
            b"00" => self.push(Id::FALSE),
            b"01" => self.push(Id::TRUE),
            digits => self.decimal(digits),
        }
    }

    pub(super) fn long_line(&mut self) -> Result<()> {
        let line = self.input.line()?;
        let digits = line.strip_suffix(b"L").unwrap_or(&line);
        self.decimal(digits)
    }

    fn decimal(&mut self, digits: &[u8]) -> Result<()> {
        match integer::from_decimal(digits) {
            Some(node) => self.push_new(node),
            None => Err(self
                .input
                .damaged("an integer has other characters than digits")),
        }
    }

    /// An integer of any size, behind its length.
    pub(super) fn long(&mut self, length_bytes: u8) -> Result<()> {
        let length = self.signed_length(length_bytes)?;
        let bytes = self.input.bytes(length)?;
        self.push_new(integer::from_little_endian(&bytes))
    }

    pub(super) fn float_line(&mut self) -> Result<()> {
        let line = self.input.line()?;
        let number = str::from_utf8(&line).ok();
        match number.and_then(|number| number.trim().parse().ok()) {
            Some(number) => self.push_new(Node::Float(number)),
            None => Err(self.input.damaged("a number cannot be read")),
        }
    }

    pub(super) fn float(&mut self) -> Result<()> {
        let bytes = self.input.array()?;
        self.push_new(Node::Float(f64::from_be_bytes(bytes)))
    }

    pub(super) fn string_line(&mut self) -> Result<()> {
        let line = self.input.line()?;
        match escape::unquote(&line) {
            Some(bytes) => self.push_string(bytes),
            None => Err(self.input.damaged("a string is not in quotes")),
        }
    }

    pub(super) fn string(&mut self, length_bytes: u8) -> Result<()> {
        let length = self.signed_length(length_bytes)?;
        let bytes = self.input.bytes(length)?;
        self.push_string(bytes)
    }

    /// A string of Python 2, which may be text or bytes: it is text where it can be.
    fn push_string(&mut self, bytes: Vec<u8>) -> Result<()> {
        self.push_new(match String::from_utf8(bytes) {
            Ok(text) => Node::Text(text.into()),
            Err(error) => Node::Bytes(error.into_bytes().into()),
        })
    }

    pub(super) fn unicode_line(&mut self) -> Result<()> {
        let line = self.input.line()?;
        self.push_new(Node::Text(escape::unescape_unicode(&line).into()))
    }

    pub(super) fn unicode(&mut self, length_bytes: u8) -> Result<()> {
        let length = self.unsigned(length_bytes)?;
        let bytes = self.input.bytes(length)?;
        self.push_new(Node::Text(String::from_utf8_lossy(&bytes).into()))
    }

    pub(super) fn bytes(&mut self, length_bytes: u8) -> Result<()> {
        let length = self.unsigned(length_bytes)?;
        let bytes = self.input.bytes(length)?;
        self.push_new(Node::Bytes(bytes.into()))
    }

    pub(super) fn memo_line(&mut self) -> Result<u64> {
        let line = self.input.line()?;
        let number = str::from_utf8(&line).ok();
        let number = number.and_then(|number| number.parse().ok());
        number.ok_or_else(|| self.input.damaged("a number of the memo cannot be read"))
    }

    /// A little-endian number of 1, 4 or 8 bytes.
    pub(super) fn unsigned(&mut self, bytes: u8) -> Result<u64> {
        Ok(match bytes {
            1 => self.input.byte()?.into(),
            4 => u32::from_le_bytes(self.input.array()?).into(),
            _ => u64::from_le_bytes(self.input.array()?),
        })
    }

    /// A length of 1 byte, or of 4 bytes with a sign, which must not be set.
    fn signed_length(&mut self, bytes: u8) -> Result<u64> {
        let length = self.unsigned(bytes)?;
        if length > i32::MAX as u64 {
            return Err(self.input.damaged("a length is negative"));
        }
        Ok(length)
    }
}
