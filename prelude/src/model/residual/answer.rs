//! Tokens as a question names them.

use candle_core::Tensor;

/// A token, or several: what `logit_attrs` asks about.
///
/// Made from a text that is one token, an id, or a tensor of ids.
#[derive(Clone, Debug)]
pub enum Answer {
    /// A text that is one token.
    Text(String),
    /// The id of a token.
    Token(u32),
    /// Ids of any shape.
    Tokens(Tensor),
}

impl From<&str> for Answer {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Answer {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<u32> for Answer {
    fn from(token: u32) -> Self {
        Self::Token(token)
    }
}

impl From<Tensor> for Answer {
    fn from(tokens: Tensor) -> Self {
        Self::Tokens(tokens)
    }
}

impl From<&Tensor> for Answer {
    fn from(tokens: &Tensor) -> Self {
        Self::Tokens(tokens.clone())
    }
}
