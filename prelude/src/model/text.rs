//! Text and tokens, asked of the model.

use super::input::Input;
use super::padded::Rows;
use super::residual::Answer;
use super::tokenizer::{TokenOptions, ids_of};
use super::transformer::HookedTransformer;
use crate::error::{Error, Result};
use candle_core::Tensor;

/// Which of a token's places in a prompt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Occurrence {
    /// The first.
    #[default]
    First,
    /// The last.
    Last,
}

impl HookedTransformer {
    /// Text as token ids, `[batch, pos]` (`u32`), with the family's beginning-of-sequence token in
    /// front; several texts are padded on the right.
    ///
    /// # Errors
    /// The model has no tokenizer, or ids given in the place of text do not fit the model.
    pub fn to_tokens(&self, text: impl Into<Input>) -> Result<Tensor> {
        self.to_tokens_with(text, TokenOptions::new())
    }

    /// Text as token ids, `[batch, pos]`, made as the options say.
    ///
    /// # Errors
    /// As [`HookedTransformer::to_tokens`].
    pub fn to_tokens_with(&self, text: impl Into<Input>, options: TokenOptions) -> Result<Tensor> {
        let tokens = match text.into() {
            Input::Text(text) => self.texts_to_tokens(&[text], options)?,
            Input::Texts(texts) => self.texts_to_tokens(&texts, options)?,
            ids => self.prepare(&ids, None, None)?.tokens,
        };
        let n_ctx = self.config().n_ctx;
        match options.truncate && tokens.dim(1)? > n_ctx {
            true => Ok(tokens.narrow(1, 0, n_ctx)?.contiguous()?),
            false => Ok(tokens),
        }
    }

    fn texts_to_tokens(&self, texts: &[String], options: TokenOptions) -> Result<Tensor> {
        let tokenizer = self.tokenizer()?;
        let prepend_bos = options.prepend_bos.unwrap_or(tokenizer.prepends_bos());
        let rows = Rows::of_texts(&tokenizer, texts, prepend_bos, options.padding_side)?;
        rows.tensor(&self.device())
    }

    /// Each token of a prompt as text, decoded alone: bytes that are only part of a character show
    /// as U+FFFD.
    ///
    /// # Errors
    /// The model has no tokenizer, or there are several prompts.
    pub fn to_str_tokens(&self, input: impl Into<Input>) -> Result<Vec<String>> {
        self.to_str_tokens_with(input, TokenOptions::new())
    }

    /// Each token of a prompt as text, with text made into tokens as the options say.
    ///
    /// # Errors
    /// As [`HookedTransformer::to_str_tokens`].
    pub fn to_str_tokens_with(
        &self,
        input: impl Into<Input>,
        options: TokenOptions,
    ) -> Result<Vec<String>> {
        let tokens = match input.into() {
            Input::Tokens(tokens) => rows_of(&tokens)?,
            Input::Ids(rows) => rows,
            text => rows_of(&self.to_tokens_with(text, options)?)?,
        };
        self.tokenizer()?
            .decode_each(&only(tokens, "to_str_tokens")?)
    }

    /// The text of a prompt's tokens; [`HookedTransformer::to_strings`] is for batches.
    ///
    /// # Errors
    /// The model has no tokenizer, or there are several prompts.
    pub fn to_string(&self, tokens: impl Into<Input>) -> Result<String> {
        let mut texts = self.to_strings(tokens)?;
        match texts.len() {
            1 => Ok(texts.remove(0)),
            prompts => Err(several(prompts, "to_strings")),
        }
    }

    /// The text of each prompt of a batch, padding included.
    ///
    /// # Errors
    /// The model has no tokenizer.
    pub fn to_strings(&self, tokens: impl Into<Input>) -> Result<Vec<String>> {
        let rows = match tokens.into() {
            Input::Text(text) => return Ok(vec![text]),
            Input::Texts(texts) => return Ok(texts),
            Input::Tokens(tokens) => rows_of(&tokens)?,
            Input::Ids(rows) => rows,
        };
        let tokenizer = self.tokenizer()?;
        rows.iter().map(|ids| tokenizer.decode(ids)).collect()
    }

    /// The id of a text that is exactly one token, such as `" the"`.
    ///
    /// # Errors
    /// The text is several tokens; the error shows them.
    pub fn to_single_token(&self, text: &str) -> Result<u32> {
        self.tokenizer()?.single_token(text)
    }

    /// Where a token stands in a prompt: the first or the last of its places.
    ///
    /// ```
    /// use ferrolens::model::{HookedTransformer, Occurrence};
    /// let model = HookedTransformer::from_pretrained("stories-2l")?;
    /// let text = "Once upon a time there was a cat.";
    /// let first = model.get_token_position(" a", text, Occurrence::First)?;
    /// assert!(first < model.get_token_position(" a", text, Occurrence::Last)?);
    /// # Ok::<(), ferrolens::Error>(())
    /// ```
    ///
    /// # Errors
    /// The token is a text of several tokens, or does not occur; more than one prompt was given.
    pub fn get_token_position(
        &self,
        token: impl Into<Answer>,
        input: impl Into<Input>,
        which: Occurrence,
    ) -> Result<usize> {
        let id = match token.into() {
            Answer::Text(text) => self.to_single_token(&text)?,
            Answer::Token(id) => id,
            Answer::Tokens(tokens) => match ids_of(&tokens)?.as_slice() {
                [id] => *id,
                ids => {
                    return Err(Error::new(format!(
                        "one token has a position, but {} were given.",
                        ids.len()
                    )));
                }
            },
        };
        let tokens = self.to_tokens(input)?;
        if tokens.dim(0)? != 1 {
            return Err(Error::new(format!(
                "a token's position is asked of one prompt, but the batch has {}: ask of each.",
                tokens.dim(0)?
            )));
        }
        let ids = ids_of(&tokens)?;
        let found = match which {
            Occurrence::First => ids.iter().position(|other| *other == id),
            Occurrence::Last => ids.iter().rposition(|other| *other == id),
        };
        found.ok_or_else(|| {
            let shown = self.to_single_str_token(id).unwrap_or_default();
            Error::new(format!(
                "the token {shown:?} ({id}) does not occur in the prompt: \
                 `model.to_str_tokens(..)` shows its tokens."
            ))
        })
    }

    /// The text of one token.
    ///
    /// # Errors
    /// The model has no tokenizer.
    pub fn to_single_str_token(&self, token: u32) -> Result<String> {
        self.tokenizer()?.decode(&[token])
    }
}

/// Rows of ids: a tensor `[pos]` is one row, and so is a single id.
fn rows_of(tokens: &Tensor) -> Result<Vec<Vec<u32>>> {
    let ids = ids_of(tokens)?;
    let pos = match tokens.rank() {
        0 | 1 => ids.len(),
        _ => tokens.dims().last().copied().unwrap_or(0),
    };
    Ok(match pos {
        0 => vec![ids],
        pos => ids.chunks(pos).map(<[u32]>::to_vec).collect(),
    })
}

fn only(mut rows: Vec<Vec<u32>>, ask: &str) -> Result<Vec<u32>> {
    match rows.len() {
        1 => Ok(rows.remove(0)),
        prompts => Err(several(prompts, ask)),
    }
}

fn several(prompts: usize, ask: &str) -> Error {
    Error::new(format!(
        "there are {prompts} prompts, and this is for one: take one with `tokens.get(0)?`, or use \
         `{ask}` for each."
    ))
}
