//! The header of a GGUF file: metadata, and where its tensors are.
//!
//! Source: `docs/gguf.md` of ggml. `candle_core::quantized::gguf_file` reads headers too, but refuses
//! the whole file for one tensor of a type that it does not know, without naming it; and an alignment
//! of zero makes it panic.

#[cfg(test)]
mod tests;

use super::metadata::{Metadata, Value};
use super::stored::Stored;
use crate::error::{Error, Result};
use std::collections::HashMap;
use std::io::{ErrorKind, Read};

/// The longest header that is read, as lists take more memory than bytes of the file. Those of large
/// vocabularies take a tenth of it.
const LONGEST_HEADER: u64 = 100_000_000;
const DEEPEST_LIST: usize = 4;
const MOST_DIMENSIONS: u32 = 4;

/// What stands in front of the tensors.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) metadata: Metadata,
    pub(super) tensors: HashMap<String, Stored>,
    /// Where the tensors' bytes start.
    pub(super) start: u64,
}

impl Header {
    /// The header of a file that starts here.
    ///
    /// # Errors
    /// This is not a GGUF file, or it is damaged.
    pub(super) fn read(reader: impl Read) -> Result<Self> {
        let mut reader = Reader {
            inner: reader,
            position: 0,
            version: 3,
        };
        if reader.array::<4>()? != *b"GGUF" {
            return Err(Error::new("this is not a GGUF file."));
        }
        reader.version = reader.u32()?;
        if !(1..=3).contains(&reader.version) {
            return Err(Error::new(match reader.version.swap_bytes() {
                1..=3 => "this GGUF file is for big-endian machines.".to_owned(),
                _ => format!(
                    "this is version {} of GGUF: 1 to 3 are supported.",
                    reader.version
                ),
            }));
        }
        let n_tensors = reader.length()?;
        let n_values = reader.length()?;

        // Nothing is allocated by these counts: a wrong one ends with the file.
        let mut metadata = Metadata::default();
        for _ in 0..n_values {
            let key = reader.text()?;
            let kind = reader.u32()?;
            let value = reader
                .value(kind, 0)
                .map_err(|error| error.context(format!("`{key}`")))?;
            metadata.0.insert(key, value);
        }
        let mut tensors = HashMap::new();
        for _ in 0..n_tensors {
            let name = reader.text()?;
            let stored = reader
                .stored()
                .map_err(|error| error.context(format!("`{name}`")))?;
            if tensors.contains_key(&name) {
                return Err(Error::new(format!("the tensor `{name}` is there twice.")));
            }
            tensors.insert(name, stored);
        }
        let alignment = metadata.find_size("general.alignment")?.unwrap_or(32) as u64;
        let start = match alignment {
            0 => return Err(Error::new("`general.alignment` is zero.")),
            _ => reader.position.next_multiple_of(alignment),
        };
        Ok(Self {
            metadata,
            tensors,
            start,
        })
    }
}

struct Reader<R> {
    inner: R,
    position: u64,
    version: u32,
}

impl<R: Read> Reader<R> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let mut bytes = [0; N];
        self.advance(N as u64)?;
        match self.inner.read_exact(&mut bytes) {
            Ok(()) => Ok(bytes),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Err(cut_off()),
            Err(error) => Err(error.into()),
        }
    }

    fn advance(&mut self, by: u64) -> Result<()> {
        self.position = self.position.saturating_add(by);
        match self.position > LONGEST_HEADER {
            false => Ok(()),
            true => Err(Error::new(
                "the GGUF header does not end where it could: the file is damaged.",
            )),
        }
    }

    fn u32(&mut self) -> Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A count, which the first version wrote in half the bytes.
    fn length(&mut self) -> Result<u64> {
        match self.version {
            1 => Ok(u64::from(self.u32()?)),
            _ => self.u64(),
        }
    }

    fn text(&mut self) -> Result<String> {
        let length = self.length()?;
        self.advance(length)?;
        // Memory grows with what is really there.
        let mut bytes = Vec::new();
        let read = self.inner.by_ref().take(length).read_to_end(&mut bytes)?;
        match read as u64 == length {
            // As elsewhere, bytes that are no character become U+FFFD.
            true => Ok(String::from_utf8_lossy(&bytes).into_owned()),
            false => Err(cut_off()),
        }
    }

    fn value(&mut self, kind: u32, depth: usize) -> Result<Value> {
        Ok(match kind {
            0 => Value::Whole(i64::from(u8::from_le_bytes(self.array()?))),
            1 => Value::Whole(i64::from(i8::from_le_bytes(self.array()?))),
            2 => Value::Whole(i64::from(u16::from_le_bytes(self.array()?))),
            3 => Value::Whole(i64::from(i16::from_le_bytes(self.array()?))),
            4 => Value::Whole(i64::from(self.u32()?)),
            5 => Value::Whole(i64::from(i32::from_le_bytes(self.array()?))),
            6 => Value::Number(shortest(f32::from_le_bytes(self.array()?))),
            7 => Value::Flag(self.array()? != [0]),
            8 => Value::Text(self.text()?),
            9 => self.list(depth + 1)?,
            10 => Value::Whole(i64::try_from(self.u64()?).unwrap_or(i64::MAX)),
            11 => Value::Whole(i64::from_le_bytes(self.array()?)),
            12 => Value::Number(f64::from_le_bytes(self.array()?)),
            other => return Err(Error::new(format!("values of kind {other} are not known."))),
        })
    }

    fn list(&mut self, depth: usize) -> Result<Value> {
        if depth > DEEPEST_LIST {
            return Err(Error::new("lists are nested too deep."));
        }
        let kind = self.u32()?;
        let length = self.length()?;
        let (mut wholes, mut numbers, mut texts) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..length {
            match kind {
                6 => numbers.push(f32::from_le_bytes(self.array()?)),
                _ => match self.value(kind, depth)? {
                    // Bytes would take eight times their size; no key needs them.
                    Value::Whole(whole) if kind > 1 => wholes.push(whole),
                    Value::Text(text) => texts.push(text),
                    _ => {}
                },
            }
        }
        Ok(match kind {
            2..=5 | 10 | 11 => Value::Wholes(wholes),
            6 => Value::Numbers(numbers),
            8 => Value::Texts(texts),
            0..=12 => Value::Skipped,
            other => return Err(Error::new(format!("lists of kind {other} are not known."))),
        })
    }

    fn stored(&mut self) -> Result<Stored> {
        let n_dimensions = self.u32()?;
        if n_dimensions > MOST_DIMENSIONS {
            return Err(Error::new(format!(
                "it has {n_dimensions} dimensions: the file is damaged."
            )));
        }
        let mut shape = Vec::new();
        for _ in 0..n_dimensions {
            let size = self.length()?;
            shape.push(usize::try_from(size).unwrap_or(usize::MAX));
        }
        // GGUF names the dimension first whose numbers are neighbours.
        shape.reverse();
        Ok(Stored {
            shape,
            number_type: self.u32()?,
            offset: self.u64()?,
        })
    }
}

/// The number that the author wrote, such as `1e-5`, instead of its neighbour among `f32`.
fn shortest(number: f32) -> f64 {
    number.to_string().parse().unwrap_or(f64::from(number))
}

fn cut_off() -> Error {
    Error::new("the file is cut off inside its header. Download or copy it again.")
}
