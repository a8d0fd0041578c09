//! The header of a llama2.c checkpoint.

use crate::error::{Error, Result};

/// The length of the header of versions 1 and 2; the first version's has seven numbers only.
pub(super) const LONGEST_HEADER: u64 = 256;
/// `ak42`.
const MAGIC: u32 = 0x616b_3432;

/// The seven numbers that every header has.
#[derive(Debug)]
pub(super) struct Sizes {
    pub(super) d_model: usize,
    pub(super) d_mlp: usize,
    pub(super) n_layers: usize,
    pub(super) heads: usize,
    pub(super) key_heads: usize,
    pub(super) vocabulary: usize,
    pub(super) n_ctx: usize,
}

impl Sizes {
    pub(super) fn d_head(&self) -> usize {
        self.d_model / self.heads.max(1)
    }
}

/// A checkpoint's header.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) sizes: Sizes,
    /// Whether the embedding is the unembedding, too.
    pub(super) is_tied: bool,
    pub(super) version: Version,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Version {
    /// Without a magic number (`legacy_export`).
    Legacy,
    /// `version1_export`.
    Floats,
    /// `version2_export`: bytes, and a scale for each group of them.
    Bytes { group: usize },
}

impl Header {
    /// # Errors
    /// The sizes cannot be those of a model.
    pub(super) fn read(bytes: &[u8]) -> Result<Self> {
        let number = |index: usize| -> Result<i32> {
            let bytes = bytes.get(4 * index..4 * index + 4);
            let bytes = bytes.and_then(|bytes| <[u8; 4]>::try_from(bytes).ok());
            bytes.map(i32::from_le_bytes).ok_or_else(|| {
                Error::new("the file is cut off inside its header. Download or copy it again.")
            })
        };
        let has_magic = number(0)? == MAGIC as i32;
        let first = if has_magic { 2 } else { 0 };
        let size = |index: usize, name: &str| -> Result<usize> {
            let found = number(first + index)?;
            match usize::try_from(found) {
                Ok(size) if size > 0 => Ok(size),
                _ => Err(Error::new(format!(
                    "{name} = {found}: this is not a checkpoint of llama2.c."
                ))),
            }
        };
        let vocabulary = number(first + 5)?;
        let sizes = Sizes {
            d_model: size(0, "dim")?,
            d_mlp: size(1, "hidden_dim")?,
            n_layers: size(2, "n_layers")?,
            heads: size(3, "n_heads")?,
            key_heads: size(4, "n_kv_heads")?,
            vocabulary: match (has_magic, vocabulary) {
                // Here a negative size means that the unembedding is a matrix of its own.
                (false, i32::MIN..0) => vocabulary.unsigned_abs() as usize,
                _ => size(5, "vocab_size")?,
            },
            n_ctx: size(6, "seq_len")?,
        };
        let is_flagged = || bytes.get(36).is_some_and(|flag| *flag != 0);
        let (version, is_tied) = match (has_magic, number(1)?) {
            (false, _) => (Version::Legacy, vocabulary > 0),
            (true, 1) => (Version::Floats, is_flagged()),
            (true, 2) => {
                // Behind the flag, so not at a multiple of four.
                let group = bytes.get(37..41).and_then(|bytes| bytes.try_into().ok());
                let group = usize::try_from(group.map_or(0, i32::from_le_bytes)).unwrap_or(0);
                (Version::Bytes { group }, is_flagged())
            }
            (true, other) => {
                return Err(Error::new(format!(
                    "this is version {other} of llama2.c's format: those without a number, 1 and 2 \
                     are supported."
                )));
            }
        };
        let header = Self {
            sizes,
            is_tied,
            version,
        };
        header.check()?;
        Ok(header)
    }

    fn check(&self) -> Result<()> {
        let sizes = &self.sizes;
        if !sizes.d_model.is_multiple_of(2 * sizes.heads)
            || !sizes.heads.is_multiple_of(sizes.key_heads)
        {
            return Err(Error::new(format!(
                "a width of {} with {} heads and {} key-value heads is not possible: this is not a \
                 checkpoint of llama2.c.",
                sizes.d_model, sizes.heads, sizes.key_heads
            )));
        }
        if let Version::Bytes { group } = self.version {
            let is_whole = |width: usize| group > 0 && width.is_multiple_of(group);
            if !is_whole(sizes.d_model) {
                return Err(Error::new(format!(
                    "groups of {group} bytes do not fit a width of {}: the file is damaged.",
                    sizes.d_model
                )));
            }
        }
        Ok(())
    }
}
