//! A tokenizer rebuilt from a vocabulary that came without a `tokenizer.json`.

use crate::error::{Error, Result};
use std::collections::HashMap;
use tokenizers::models::bpe::Vocab;
use tokenizers::{AddedToken, Tokenizer};

/// The longest token there may be, in bytes: a damaged file may hold anything.
const LONGEST_TOKEN: usize = 4096;

/// A tokenizer, and what a `tokenizer_config.json` would say about it.
pub(super) struct RebuiltTokenizer {
    pub(super) tokenizer: Tokenizer,
    /// The text of the beginning-of-sequence token.
    pub(super) bos: Option<String>,
    /// The text of the end-of-sequence token.
    pub(super) eos: Option<String>,
    /// The text of the padding token.
    pub(super) pad: Option<String>,
    /// Whether the model was made for a beginning-of-sequence token in front of text.
    pub(super) add_bos: bool,
}

/// One token of a vocabulary.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Piece {
    pub(super) text: String,
    pub(super) score: f32,
    pub(super) kind: Kind,
}

/// What a token is for, in SentencePiece's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Normal,
    /// What no token says.
    Unknown,
    /// A sign such as the beginning of a sequence: not text.
    Control,
    /// A token that is taken whole before anything else.
    UserDefined,
    /// A number without a token.
    Unused,
    /// One byte, `<0x0A>`.
    Byte,
}

impl Kind {
    /// The kind by its number in a SentencePiece model, which GGUF's `token_type` took over.
    pub(super) fn from_number(number: i64) -> Self {
        match number {
            2 => Self::Unknown,
            3 => Self::Control,
            4 => Self::UserDefined,
            5 => Self::Unused,
            6 => Self::Byte,
            _ => Self::Normal,
        }
    }
}

/// Gives tokens without a text one, as llama.cpp does.
///
/// # Errors
/// A token is too long to be one.
pub(super) fn name_empty_tokens(pieces: &mut [Piece]) -> Result<()> {
    for (id, piece) in pieces.iter_mut().enumerate() {
        if piece.text.is_empty() {
            piece.text = format!("[EMPTY_{id}]");
        }
        if piece.text.len() > LONGEST_TOKEN {
            return Err(Error::new(format!(
                "token {id} is {} bytes long: the vocabulary is damaged.",
                piece.text.len()
            )));
        }
    }
    Ok(())
}

/// Every token's number.
///
/// # Errors
/// A token is there twice.
pub(super) fn numbered(pieces: &[Piece]) -> Result<Vocab> {
    let mut seen: HashMap<&str, usize> = HashMap::with_capacity(pieces.len());
    for (id, piece) in pieces.iter().enumerate() {
        if let Some(first) = seen.insert(&piece.text, id) {
            return Err(Error::new(format!(
                "the token {:?} is in the vocabulary twice, as {first} and {id}.",
                piece.text
            )));
        }
    }
    let numbered = pieces.iter().zip(0..);
    Ok(numbered
        .map(|(piece, id)| (piece.text.clone(), id))
        .collect())
}

/// Makes the tokenizer take special and user-defined tokens whole, wherever they stand in a text.
///
/// # Errors
/// The tokenizer refuses them.
pub(super) fn add_whole_tokens(tokenizer: &mut Tokenizer, pieces: &[Piece]) -> Result<()> {
    let added = pieces.iter().filter_map(|piece| {
        let special = match piece.kind {
            Kind::Unknown | Kind::Control => true,
            Kind::UserDefined => false,
            Kind::Normal | Kind::Unused | Kind::Byte => return None,
        };
        // Text is compared as it is written, before any normaliser.
        Some(AddedToken::from(piece.text.clone(), special).normalized(false))
    });
    tokenizer.add_tokens(added)?;
    Ok(())
}
