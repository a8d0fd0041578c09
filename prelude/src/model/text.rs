//! Text and tokens, asked of the model.

use super::input::Input;
use super::padded::Rows;
use super::tokenizer::{TokenOptions, ids_of};
use super::transformer::HookedTransformer;
use crate::error::Result;
use candle_core::Tensor;

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
            ids => self.prepare(&ids, None)?.tokens,
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
    /// The model has no tokenizer.
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
        let ids = match input.into() {
            Input::Tokens(tokens) => ids_of(&tokens)?,
            Input::Ids(rows) => rows.concat(),
            text => ids_of(&self.to_tokens_with(text, options)?)?,
        };
        self.tokenizer()?.decode_each(&ids)
    }

    /// The text of a prompt's tokens.
    ///
    /// # Errors
    /// The model has no tokenizer.
    pub fn to_string(&self, tokens: impl Into<Input>) -> Result<String> {
        let ids = match tokens.into() {
            Input::Text(text) => return Ok(text),
            Input::Texts(texts) => return Ok(texts.concat()),
            Input::Tokens(tokens) => ids_of(&tokens)?,
            Input::Ids(rows) => rows.concat(),
        };
        self.tokenizer()?.decode(&ids)
    }

    /// The id of a text that is exactly one token, such as `" the"`.
    ///
    /// # Errors
    /// The text is several tokens; the error shows them.
    pub fn to_single_token(&self, text: &str) -> Result<u32> {
        self.tokenizer()?.single_token(text)
    }

    /// The text of one token.
    ///
    /// # Errors
    /// The model has no tokenizer.
    pub fn to_single_str_token(&self, token: u32) -> Result<String> {
        self.tokenizer()?.decode(&[token])
    }
}
