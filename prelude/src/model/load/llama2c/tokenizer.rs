//! llama2.c's `tokenizer.bin`: a SentencePiece vocabulary with scores.
//!
//! Source: `build_tokenizer`, `encode` and `decode` of `run.c`, and `tokenizer.py`, in two editions:
//! bytes are written as `<0x0A>` or, before August 2023, as the character of that number.

use super::super::rebuilt::{Kind, Piece, RebuiltTokenizer};
use super::super::sentencepiece::{self, SPACE};
use crate::error::{Error, Result};

/// The first tokens are `<unk>`, `<s>` and `</s>` in every such vocabulary (`run.c`), and bytes follow.
pub(super) const BOS: usize = 1;
pub(super) const EOS: usize = 2;
const SIGNS: [(&str, Kind); 3] = [
    ("<unk>", Kind::Unknown),
    ("<s>", Kind::Control),
    ("</s>", Kind::Control),
];
const BYTES: usize = 256;

/// The tokenizer of a vocabulary of this size.
///
/// # Errors
/// The bytes are damaged, or hold a vocabulary of another size.
pub(super) fn tokenizer(tokenizer_bin: &[u8], vocabulary: usize) -> Result<RebuiltTokenizer> {
    let mut pieces = pieces(tokenizer_bin)?;
    if pieces.len() != vocabulary {
        return Err(Error::new(format!(
            "the tokenizer has {} tokens, but the model {vocabulary}: it belongs to another model.",
            pieces.len()
        )));
    }
    for (piece, (text, kind)) in pieces.iter_mut().zip(SIGNS) {
        (piece.text, piece.kind) = (text.to_owned(), kind);
    }
    let is_byte = |piece: &Piece, byte: u8| {
        piece.text == name_of(byte) || piece.text == char::from(byte).to_string()
    };
    let has_bytes = pieces.len() >= SIGNS.len() + BYTES;
    let after_signs = |pieces: &'_ [Piece]| -> bool {
        let bytes = pieces.iter().skip(SIGNS.len()).zip(0..=u8::MAX);
        bytes.into_iter().all(|(piece, byte)| is_byte(piece, byte))
    };
    if has_bytes && after_signs(&pieces) {
        let bytes = pieces.iter_mut().skip(SIGNS.len()).zip(0..=u8::MAX);
        for (piece, byte) in bytes {
            (piece.text, piece.kind) = (name_of(byte), Kind::Byte);
        }
    }
    for piece in pieces.iter_mut().filter(|piece| piece.kind == Kind::Normal) {
        piece.text = piece.text.replace(' ', SPACE);
    }
    let text = |id: usize| pieces.get(id).map(|piece| piece.text.clone());
    let (bos, eos) = (text(BOS), text(EOS));
    Ok(RebuiltTokenizer {
        tokenizer: sentencepiece::tokenizer(pieces, true)?,
        bos,
        eos,
        pad: None,
        add_bos: true,
    })
}

fn name_of(byte: u8) -> String {
    format!("<0x{byte:02X}>")
}

fn pieces(tokenizer_bin: &[u8]) -> Result<Vec<Piece>> {
    let cut_off = || Error::new("the tokenizer is cut off. Download or copy it again.");
    // The longest token's length in front is not needed.
    let (_, mut rest) = tokenizer_bin.split_first_chunk::<4>().ok_or_else(cut_off)?;
    let mut pieces = Vec::new();
    while !rest.is_empty() {
        let (score, behind) = rest.split_first_chunk().ok_or_else(cut_off)?;
        let (length, behind) = behind.split_first_chunk().ok_or_else(cut_off)?;
        let length = u32::from_le_bytes(*length) as usize;
        let (text, behind) = behind.split_at_checked(length).ok_or_else(cut_off)?;
        let Ok(text) = std::str::from_utf8(text) else {
            return Err(Error::new(format!(
                "token {} is no text: this is not a tokenizer of llama2.c.",
                pieces.len()
            )));
        };
        pieces.push(Piece {
            text: text.to_owned(),
            score: f32::from_le_bytes(*score),
            kind: Kind::Normal,
        });
        rest = behind;
    }
    Ok(pieces)
}
