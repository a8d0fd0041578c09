//! Named columns of numbers in a safetensors file, with a key and a checksum.

use super::fingerprint::Fingerprint;
use super::store::write_whole;
use crate::error::{Error, Result};
use safetensors::tensor::{Dtype, SafeTensors, View};
use std::borrow::Cow;
use std::collections::HashMap;
use std::path::Path;

/// Numbers of one kind.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Array {
    U32(Vec<u32>),
    U64(Vec<u64>),
    F32(Vec<f32>),
    F64(Vec<f64>),
}

/// What is kept on disk: columns by name, and texts beside them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Record {
    pub(crate) notes: HashMap<String, String>,
    pub(crate) columns: HashMap<String, Array>,
}

const CHECKSUM: &str = "checksum";

impl Record {
    /// Puts a column under a name.
    pub(crate) fn set(&mut self, name: &str, array: Array) {
        self.columns.insert(name.to_owned(), array);
    }

    /// Writes it whole or not at all.
    ///
    /// # Errors
    /// As [`write_whole`].
    pub(crate) fn save(&self, path: &Path) -> Result<()> {
        let mut notes = self.notes.clone();
        notes.insert(CHECKSUM.to_owned(), self.checksum());
        let columns = self.columns.iter().map(|(name, array)| {
            let shape = [array.len()];
            (name, Column { array, shape })
        });
        write_whole(path, &safetensors::serialize(columns, Some(notes))?)
    }

    /// What [`Record::save`] wrote; nothing where there is no file.
    ///
    /// # Errors
    /// The file is damaged, or another program's.
    pub(crate) fn load(path: &Path) -> Result<Option<Self>> {
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let (_, header) = SafeTensors::read_metadata(&bytes)?;
        let tensors = SafeTensors::deserialize(&bytes)?;
        let mut record = Self {
            notes: header.metadata().clone().unwrap_or_default(),
            columns: HashMap::new(),
        };
        for (name, view) in tensors.tensors() {
            record.set(&name, Array::read(view.dtype(), view.data())?);
        }
        match record.notes.remove(CHECKSUM) {
            Some(checksum) if checksum == record.checksum() => Ok(Some(record)),
            _ => Err(Error::new("its checksum is not that of its contents")),
        }
    }

    fn checksum(&self) -> String {
        let mut whole = Fingerprint::new("record");
        let mut notes: Vec<_> = self.notes.iter().collect();
        notes.sort_unstable();
        for (name, note) in notes {
            whole.text(name);
            whole.text(note);
        }
        let mut columns: Vec<_> = self.columns.iter().collect();
        columns.sort_unstable_by_key(|(name, _)| *name);
        for (name, array) in columns {
            whole.text(name);
            array.hash(&mut whole);
        }
        whole.finish()
    }

    pub(crate) fn u32(&self, name: &str) -> Result<&[u32]> {
        match self.columns.get(name) {
            Some(Array::U32(values)) => Ok(values),
            _ => Err(missing(name)),
        }
    }

    pub(crate) fn u64(&self, name: &str) -> Result<&[u64]> {
        match self.columns.get(name) {
            Some(Array::U64(values)) => Ok(values),
            _ => Err(missing(name)),
        }
    }

    pub(crate) fn f32(&self, name: &str) -> Result<&[f32]> {
        match self.columns.get(name) {
            Some(Array::F32(values)) => Ok(values),
            _ => Err(missing(name)),
        }
    }

    pub(crate) fn f64(&self, name: &str) -> Result<&[f64]> {
        match self.columns.get(name) {
            Some(Array::F64(values)) => Ok(values),
            _ => Err(missing(name)),
        }
    }
}

fn missing(name: &str) -> Error {
    Error::new(format!("it has no column `{name}` of the right kind"))
}

macro_rules! numbers {
    ($($kind:ident $number:ty, $size:literal);*) => {
        impl Array {
            fn len(&self) -> usize {
                match self { $(Self::$kind(values) => values.len()),* }
            }

            fn bytes(&self) -> usize {
                match self { $(Self::$kind(values) => values.len() * $size),* }
            }

            fn dtype(&self) -> Dtype {
                match self { $(Self::$kind(_) => Dtype::$kind),* }
            }

            fn to_bytes(&self) -> Vec<u8> {
                match self {
                    $(Self::$kind(values) => {
                        values.iter().flat_map(|value| value.to_le_bytes()).collect()
                    })*
                }
            }

            fn read(dtype: Dtype, bytes: &[u8]) -> Result<Self> {
                match dtype {
                    $(Dtype::$kind => {
                        let (words, _) = bytes.as_chunks::<$size>();
                        let values = words.iter().map(|word| <$number>::from_le_bytes(*word));
                        Ok(Self::$kind(values.collect()))
                    })*
                    other => Err(Error::new(format!("it holds numbers of type {other:?}"))),
                }
            }

            fn hash(&self, whole: &mut Fingerprint) {
                match self {
                    $(Self::$kind(values) => {
                        whole.number(values.len() as u64);
                        for value in values {
                            let mut word = [0; 8];
                            word[..$size].copy_from_slice(&value.to_le_bytes());
                            whole.number(u64::from_le_bytes(word));
                        }
                    })*
                }
            }
        }
    };
}

numbers!(U32 u32, 4; U64 u64, 8; F32 f32, 4; F64 f64, 8);

/// A column as the format's writer asks for it.
struct Column<'a> {
    array: &'a Array,
    shape: [usize; 1],
}

impl View for Column<'_> {
    fn dtype(&self) -> Dtype {
        self.array.dtype()
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        self.array.to_bytes().into()
    }

    fn data_len(&self) -> usize {
        self.array.bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        let mut record = Record::default();
        record.notes.insert("key".into(), "value".into());
        record.set("a", Array::U32(vec![1, 2, 3]));
        record.set("b", Array::F64(vec![0.5, f64::MAX]));
        record.set("c", Array::F32(vec![]));
        record.set("d", Array::U64(vec![u64::MAX]));
        record
    }

    #[test]
    fn what_was_saved_is_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        assert_eq!(Record::load(&path).unwrap(), None);
        record().save(&path).unwrap();
        assert_eq!(Record::load(&path).unwrap(), Some(record()));
        assert!(record().u32("b").is_err() && record().f64("b").is_ok());
    }

    #[test]
    fn a_damaged_file_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.safetensors");
        record().save(&path).unwrap();
        let whole = std::fs::read(&path).unwrap();
        let mut at = whole.len();
        while at > 9 {
            at -= 3;
            let mut changed = whole.clone();
            changed[at] ^= 4;
            std::fs::write(&path, &changed).unwrap();
            assert!(Record::load(&path).is_err(), "byte {at}");
            std::fs::write(&path, &whole[..at]).unwrap();
            assert!(Record::load(&path).is_err(), "the first {at} bytes");
        }
    }
}
