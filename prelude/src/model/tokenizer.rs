//! Text to token ids and back.

use crate::error::{Context, Error, Result};
use candle_core::{DType, Tensor};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

/// A tokenizer with its special tokens, shared by all clones.
#[derive(Clone)]
pub struct Tokenizer {
    inner: Arc<Inner>,
}

struct Inner {
    tokenizer: tokenizers::Tokenizer,
    bos: Option<u32>,
    eos: Option<u32>,
    pad: Option<u32>,
    prepends_bos: bool,
}

impl Tokenizer {
    /// A tokenizer from the bytes of a `tokenizer.json`.
    ///
    /// The special tokens are those of GPT-2 (`<|endoftext|>` begins, ends and pads) where the
    /// vocabulary has that token; [`Tokenizer::with_special_tokens`] sets others.
    ///
    /// # Errors
    /// The bytes are not a `tokenizer.json`.
    pub fn from_bytes(tokenizer_json: &[u8]) -> Result<Self> {
        let tokenizer = tokenizers::Tokenizer::from_bytes(tokenizer_json)
            .context(|| "tokenizer.json is not a tokenizer's file".to_owned())?;
        Ok(Self::of(tokenizer))
    }

    pub(crate) fn of(tokenizer: tokenizers::Tokenizer) -> Self {
        let end_of_text = tokenizer.token_to_id("<|endoftext|>");
        Self::build(Inner {
            bos: end_of_text,
            eos: end_of_text,
            pad: end_of_text,
            prepends_bos: true,
            tokenizer,
        })
    }

    /// A tokenizer from a `tokenizer.json`.
    ///
    /// # Errors
    /// The file cannot be read, or is not a tokenizer's.
    pub fn from_file(path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let bytes = std::fs::read(path).context(|| format!("reading {}", path.display()))?;
        Self::from_bytes(&bytes).map_err(|error| error.context(path.display()))
    }

    /// The same tokenizer with these special tokens, as named in a `tokenizer_config.json`.
    ///
    /// Where there is no padding token, or none that begins a sequence, the end-of-sequence token
    /// does it, as in TransformerLens.
    ///
    /// # Errors
    /// A token that the vocabulary does not have.
    pub fn with_special_tokens(
        &self,
        bos: Option<&str>,
        eos: Option<&str>,
        pad: Option<&str>,
    ) -> Result<Self> {
        let id = |token: Option<&str>| -> Result<Option<u32>> {
            let Some(token) = token else {
                return Ok(None);
            };
            match self.inner.tokenizer.token_to_id(token) {
                Some(id) => Ok(Some(id)),
                None => Err(Error::new(format!(
                    "the special token {token:?} is not in the tokenizer's vocabulary."
                ))),
            }
        };
        let (bos, eos, pad) = (id(bos)?, id(eos)?, id(pad)?);
        Ok(Self::build(Inner {
            tokenizer: self.inner.tokenizer.clone(),
            bos: bos.or(eos),
            eos,
            pad: pad.or(eos),
            prepends_bos: self.inner.prepends_bos,
        }))
    }

    /// The same tokenizer with another default for [`TokenOptions::prepend_bos`].
    #[must_use]
    pub fn with_prepend_bos(&self, prepends_bos: bool) -> Self {
        Self::build(Inner {
            tokenizer: self.inner.tokenizer.clone(),
            prepends_bos,
            ..*self.inner
        })
    }

    fn build(inner: Inner) -> Self {
        Self {
            inner: Arc::new(inner),
        }
    }

    /// The ids of a text, with the beginning-of-sequence token in front or not.
    ///
    /// # Errors
    /// A token is to be put in front, and the tokenizer has none.
    pub fn encode(&self, text: &str, prepend_bos: bool) -> Result<Vec<u32>> {
        let encoding = self.inner.tokenizer.encode_fast(text, false)?;
        let mut ids = Vec::with_capacity(encoding.len() + 1);
        if prepend_bos {
            ids.push(self.inner.bos.ok_or_else(|| {
                Error::new(
                    "the tokenizer has no beginning-of-sequence token to put in front: use \
                     `prepend_bos(false)`.",
                )
            })?);
        }
        ids.extend(encoding.get_ids());
        Ok(ids)
    }

    /// The text of these ids together; bytes that are no character become U+FFFD.
    ///
    /// # Errors
    /// The tokenizer's decoder fails.
    pub fn decode(&self, ids: &[u32]) -> Result<String> {
        Ok(self.inner.tokenizer.decode(ids, false)?)
    }

    /// The text of each id alone.
    ///
    /// # Errors
    /// The tokenizer's decoder fails.
    pub fn decode_each(&self, ids: &[u32]) -> Result<Vec<String>> {
        ids.iter().map(|id| self.decode(&[*id])).collect()
    }

    /// The id of a text that is one token.
    ///
    /// # Errors
    /// The text is no token or several; the error shows them.
    pub fn single_token(&self, text: &str) -> Result<u32> {
        match self.encode(text, false)?.as_slice() {
            [id] => Ok(*id),
            [] => Err(Error::new(format!("{text:?} is no token at all."))),
            ids => Err(Error::new(format!(
                "{text:?} is not a single token but {}: {:?}. In most tokenizers a word inside a \
                 sentence is the token with a space in front.",
                ids.len(),
                self.decode_each(ids)?
            ))),
        }
    }

    /// The beginning-of-sequence token.
    pub fn bos(&self) -> Option<u32> {
        self.inner.bos
    }

    /// The end-of-sequence token.
    pub fn eos(&self) -> Option<u32> {
        self.inner.eos
    }

    /// The padding token.
    ///
    /// # Errors
    /// The tokenizer has neither a padding nor an end-of-sequence token.
    pub fn pad(&self) -> Result<u32> {
        self.inner.pad.ok_or_else(|| {
            Error::new(
                "the tokenizer has no padding token, so texts of different lengths cannot form a \
                 batch: run them one by one.",
            )
        })
    }

    /// Whether a beginning-of-sequence token is put in front of text unless told otherwise.
    pub fn prepends_bos(&self) -> bool {
        self.inner.prepends_bos && self.inner.bos.is_some()
    }

    /// How many tokens the vocabulary has; a model may have a few rows more.
    pub fn vocabulary_size(&self) -> usize {
        self.inner.tokenizer.get_vocab_size(true)
    }
}

impl fmt::Debug for Tokenizer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tokenizer({} tokens)", self.vocabulary_size())
    }
}

/// How text becomes tokens, where the tokenizer's defaults do not fit.
///
/// ```
/// use ferrolens::model::{PaddingSide, TokenOptions};
/// let options = TokenOptions::new().prepend_bos(false).padding_side(PaddingSide::Left);
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct TokenOptions {
    pub(crate) prepend_bos: Option<bool>,
    pub(crate) padding_side: PaddingSide,
    pub(crate) truncate: bool,
}

impl TokenOptions {
    /// The defaults: the family's `prepend_bos`, padding on the right, nothing cut.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether to put the beginning-of-sequence token in front.
    #[must_use]
    pub fn prepend_bos(mut self, prepend_bos: bool) -> Self {
        self.prepend_bos = Some(prepend_bos);
        self
    }

    /// Where to pad shorter texts of a batch.
    #[must_use]
    pub fn padding_side(mut self, side: PaddingSide) -> Self {
        self.padding_side = side;
        self
    }

    /// Whether to cut texts to the model's `n_ctx` tokens, as TransformerLens does.
    #[must_use]
    pub fn truncate(mut self, truncate: bool) -> Self {
        self.truncate = truncate;
        self
    }
}

/// The side on which shorter rows of a batch are filled up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PaddingSide {
    /// Behind the text; what is real is not affected.
    #[default]
    Right,
    /// In front of the text: every row ends with its last real token.
    Left,
}

/// The ids of a tensor of any shape, row after row.
pub(crate) fn ids_of(tokens: &Tensor) -> Result<Vec<u32>> {
    if !tokens.dtype().is_int() {
        return Err(Error::new(format!(
            "token ids must be integers, but this tensor holds {:?}.",
            tokens.dtype()
        )));
    }
    Ok(tokens.flatten_all()?.to_dtype(DType::U32)?.to_vec1()?)
}
