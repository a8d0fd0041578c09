//! Inputs become checked token ids on the model's device.

use super::input::Input;
use super::tokenizer::{PaddingSide, Tokenizer};
use super::transformer::HookedTransformer;
use crate::error::{Error, Result};
use candle_core::{DType, Device, Tensor};

/// A batch of token ids, and which of them are real.
#[derive(Clone, Debug)]
pub(crate) struct Padded {
    /// `[batch, pos]`, `u32`, on the model's device.
    pub(crate) tokens: Tensor,
    /// The first real position of each row, where rows are padded on the left.
    pub(crate) first: Option<Vec<usize>>,
    /// How many positions of each row are real, where rows are padded on the right.
    pub(crate) lengths: Option<Vec<usize>>,
}

impl Padded {
    /// The tokens of an input. `side` says where token rows that are given as ids are padded;
    /// `prepend_bos` whether texts begin with that token, where the tokenizer's habit does not fit.
    ///
    /// # Errors
    /// The input is empty, too long, ragged, or has an id outside the vocabulary.
    pub(crate) fn new(
        model: &HookedTransformer,
        input: &Input,
        side: Option<PaddingSide>,
        prepend_bos: Option<bool>,
    ) -> Result<Self> {
        let batch = match input {
            Input::Text(text) => {
                let tokenizer = model.tokenizer()?;
                let prepend_bos = prepend_bos.unwrap_or(tokenizer.prepends_bos());
                Rows::real(vec![tokenizer.encode(text, prepend_bos)?])
            }
            Input::Texts(texts) => {
                let tokenizer = model.tokenizer()?;
                let prepend_bos = prepend_bos.unwrap_or(tokenizer.prepends_bos());
                Rows::of_texts(&tokenizer, texts, prepend_bos, side.unwrap_or_default())?
            }
            Input::Ids(rows) => Rows::given(model, rows.clone(), side, prepend_bos)?,
            Input::Tokens(tokens) => Rows::given(model, rows_of(tokens)?, side, prepend_bos)?,
        };
        batch.check(model)?;
        let on_device = match input {
            Input::Tokens(tokens) if tokens.device().same_device(&model.device()) => {
                let (batch, pos) = (batch.rows.len(), batch.width());
                tokens.reshape((batch, pos))?.to_dtype(DType::U32)?
            }
            _ => batch.tensor(&model.device())?,
        };
        Ok(Self {
            tokens: on_device,
            first: batch.first,
            lengths: batch.lengths,
        })
    }
}

/// Token ids on the host.
pub(crate) struct Rows {
    pub(crate) rows: Vec<Vec<u32>>,
    first: Option<Vec<usize>>,
    lengths: Option<Vec<usize>>,
}

impl Rows {
    fn real(rows: Vec<Vec<u32>>) -> Self {
        Self {
            rows,
            first: None,
            lengths: None,
        }
    }

    /// Texts as ids, padded to the longest.
    pub(crate) fn of_texts(
        tokenizer: &Tokenizer,
        texts: &[String],
        prepend_bos: bool,
        side: PaddingSide,
    ) -> Result<Self> {
        let mut rows = texts
            .iter()
            .map(|text| tokenizer.encode(text, prepend_bos))
            .collect::<Result<Vec<_>>>()?;
        let lengths: Vec<usize> = rows.iter().map(Vec::len).collect();
        let longest = lengths.iter().copied().max().unwrap_or(0);
        if lengths.iter().all(|length| *length == longest) {
            return Ok(Self::real(rows));
        }
        let pad = tokenizer.pad()?;
        for row in &mut rows {
            let padding = std::iter::repeat_n(pad, longest - row.len());
            match side {
                PaddingSide::Right => row.extend(padding),
                PaddingSide::Left => drop(row.splice(0..0, padding)),
            }
        }
        let mut batch = Self::real(rows);
        match side {
            PaddingSide::Right => batch.lengths = Some(lengths),
            PaddingSide::Left => {
                batch.first = Some(lengths.iter().map(|length| longest - length).collect());
            }
        }
        Ok(batch)
    }

    /// Ids as they are; where they are said to be padded, which of them are real is read off the
    /// padding tokens, by TransformerLens's rule.
    fn given(
        model: &HookedTransformer,
        rows: Vec<Vec<u32>>,
        side: Option<PaddingSide>,
        prepend_bos: Option<bool>,
    ) -> Result<Self> {
        let mut batch = Self::real(rows);
        let Some(side) = side else {
            return Ok(batch);
        };
        let tokenizer = model.tokenizer()?;
        let pad = tokenizer.pad()?;
        let is_pad = |id: &&u32| **id == pad;
        match side {
            PaddingSide::Right => {
                let lengths = batch.rows.iter();
                let lengths =
                    lengths.map(|row| row.len() - row.iter().rev().take_while(is_pad).count());
                batch.lengths = Some(lengths.collect());
            }
            PaddingSide::Left => {
                // Where BOS and padding are one token, the last of the leading ones is the BOS.
                let prepends_bos = prepend_bos.unwrap_or(tokenizer.prepends_bos());
                let keep_bos = prepends_bos && tokenizer.bos() == Some(pad);
                let first = batch.rows.iter().map(|row| {
                    let padding = row.iter().take_while(is_pad).count();
                    padding.saturating_sub(usize::from(keep_bos))
                });
                batch.first = Some(first.collect());
            }
        }
        Ok(batch)
    }

    fn width(&self) -> usize {
        self.rows.first().map_or(0, Vec::len)
    }

    fn check(&self, model: &HookedTransformer) -> Result<()> {
        let config = model.config();
        let pos = self.width();
        if self.rows.is_empty() || pos == 0 {
            return Err(Error::new(
                "the prompt is empty: give at least one token (an empty text needs `prepend_bos`).",
            ));
        }
        if let Some(row) = self.rows.iter().find(|row| row.len() != pos) {
            return Err(Error::new(format!(
                "the prompts of a batch have {pos} and {} tokens: make them equally long, or give \
                 texts, which are padded for you.",
                row.len()
            )));
        }
        if pos > config.n_ctx {
            return Err(Error::new(format!(
                "the prompt has {pos} tokens, but {} reads at most n_ctx = {}: shorten it, or cut \
                 the tokens with `tokens.narrow(1, 0, {})?`.",
                config.model_name, config.n_ctx, config.n_ctx
            )));
        }
        let outside = |(_, id): &(usize, &u32)| **id as usize >= config.d_vocab;
        for (index, row) in self.rows.iter().enumerate() {
            if let Some((position, id)) = row.iter().enumerate().find(outside) {
                return Err(Error::new(format!(
                    "token {id} at position {position} of prompt {index} is outside the vocabulary \
                     of {}, which has d_vocab = {} tokens (0 to {}).",
                    config.model_name,
                    config.d_vocab,
                    config.d_vocab - 1
                )));
            }
        }
        Ok(())
    }

    /// `[batch, pos]`, `u32`.
    pub(crate) fn tensor(&self, device: &Device) -> Result<Tensor> {
        let shape = (self.rows.len(), self.width());
        Ok(Tensor::from_vec(self.rows.concat(), shape, device)?)
    }
}

/// Rows of ids on the host; a tensor on a device is waited for and copied.
fn rows_of(tokens: &Tensor) -> Result<Vec<Vec<u32>>> {
    let wrong = || {
        Error::new(format!(
            "tokens must be integers of shape [pos] or [batch, pos], but these are {:?} of shape \
             {:?}.",
            tokens.dtype(),
            tokens.dims()
        ))
    };
    let tokens = match (tokens.rank(), tokens.dtype().is_int()) {
        (1, true) => tokens.unsqueeze(0)?,
        (2, true) => tokens.clone(),
        _ => return Err(wrong()),
    };
    let rows = tokens.to_dtype(DType::I64)?.to_vec2::<i64>()?;
    let id = |id: i64| {
        u32::try_from(id)
            .map_err(|_| Error::new(format!("{id} is not a token id: ids start at 0.")))
    };
    rows.into_iter()
        .map(|row| row.into_iter().map(id).collect())
        .collect()
}
