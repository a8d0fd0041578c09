//! A SentencePiece vocabulary (BPE with scores) as a tokenizer of the `tokenizers` library.
//!
//! Source: `LlamaConverter`, `GemmaConverter` and `generate_merges` of transformers'
//! `convert_slow_tokenizer.py`, which makes `tokenizer.json` out of `tokenizer.model`.

use super::rebuilt::{Kind, Piece, add_whole_tokens, name_empty_tokens, numbered};
use crate::error::Result;
use tokenizers::Tokenizer;
use tokenizers::decoders::DecoderWrapper;
use tokenizers::decoders::byte_fallback::ByteFallback;
use tokenizers::decoders::fuse::Fuse;
use tokenizers::decoders::sequence::Sequence as Decoders;
use tokenizers::decoders::strip::Strip;
use tokenizers::models::bpe::{BPE, Merges, Vocab};
use tokenizers::normalizers::{NormalizerWrapper, Prepend, Replace, Sequence as Normalizers};

/// What SentencePiece writes for a space.
pub(super) const SPACE: &str = "\u{2581}";

/// The tokenizer of these pieces; text gets a space in front where the model was trained so.
///
/// # Errors
/// The vocabulary is damaged.
pub(super) fn tokenizer(mut pieces: Vec<Piece>, space_in_front: bool) -> Result<Tokenizer> {
    name_empty_tokens(&mut pieces)?;
    let vocabulary = numbered(&pieces)?;
    let merges = merges(&pieces, &vocabulary);
    let unknown = pieces.iter().find(|piece| piece.kind == Kind::Unknown);
    let mut model = BPE::builder()
        .vocab_and_merges(vocabulary, merges)
        .byte_fallback(pieces.iter().any(|piece| piece.kind == Kind::Byte))
        .fuse_unk(true);
    if let Some(unknown) = unknown {
        model = model.unk_token(unknown.text.clone());
    }
    let mut tokenizer = Tokenizer::new(model.build()?);

    let mut normalizers: Vec<NormalizerWrapper> = Vec::new();
    let mut decoders: Vec<DecoderWrapper> = vec![
        Replace::new(SPACE, " ")?.into(),
        ByteFallback::new().into(),
        Fuse::new().into(),
    ];
    if space_in_front {
        normalizers.push(Prepend::new(SPACE.to_owned()).into());
        decoders.push(Strip::new(' ', 1, 0).into());
    }
    normalizers.push(Replace::new(" ", SPACE)?.into());
    tokenizer.with_normalizer(Some(Normalizers::new(normalizers)))?;
    tokenizer.with_decoder(Some(Decoders::new(decoders)));
    add_whole_tokens(&mut tokenizer, &pieces)?;
    Ok(tokenizer)
}

/// All ways to make a token out of two others, the token with the best score first.
///
/// SentencePiece keeps scores instead of merges: of all neighbours it joins the two that make the
/// token with the highest one. Signs and bytes are never made out of text.
fn merges(pieces: &[Piece], vocabulary: &Vocab) -> Merges {
    let is_made = |kind| matches!(kind, Kind::Normal | Kind::UserDefined);
    let part = |text: &str| -> Option<u32> {
        let id = *vocabulary.get(text)?;
        let piece = pieces.get(id as usize)?;
        is_made(piece.kind).then_some(id)
    };
    let mut merges: Vec<(&str, &str, f32)> = Vec::new();
    for piece in pieces.iter().filter(|piece| is_made(piece.kind)) {
        let splits = piece.text.char_indices().skip(1).filter_map(|(at, _)| {
            let (left, right) = piece.text.split_at(at);
            Some((part(left)?, part(right)?, left, right))
        });
        let mut splits: Vec<_> = splits.collect();
        splits.sort_by_key(|(left, right, ..)| (*left, *right));
        merges.extend(
            splits
                .iter()
                .map(|(_, _, left, right)| (*left, *right, piece.score)),
        );
    }
    let length = |text: &str| text.chars().count();
    merges.sort_by(|a, b| {
        b.2.total_cmp(&a.2)
            .then_with(|| length(b.0).cmp(&length(a.0)))
            .then_with(|| length(b.1).cmp(&length(a.1)))
    });
    let owned = |(left, right, _): (&str, &str, f32)| (left.to_owned(), right.to_owned());
    merges.into_iter().map(owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces() -> Vec<Piece> {
        let mut pieces = vec![
            ("<unk>", Kind::Unknown),
            ("<s>", Kind::Control),
            ("</s>", Kind::Control),
        ];
        let bytes: Vec<String> = (0..256).map(|byte| format!("<0x{byte:02X}>")).collect();
        pieces.extend(bytes.iter().map(|byte| (byte.as_str(), Kind::Byte)));
        for text in ["ab", "\u{2581}a", "bc", "abc", "\u{2581}", "a", "b", "c"] {
            pieces.push((text, Kind::Normal));
        }
        pieces.push(("<tool>", Kind::UserDefined));
        pieces.push(("", Kind::Unused));
        let scored = pieces.iter().enumerate();
        let piece = |(id, (text, kind)): (usize, &(&str, Kind))| Piece {
            text: (*text).to_owned(),
            score: -(id as f32),
            kind: *kind,
        };
        scored.map(piece).collect()
    }

    fn tokens(tokenizer: &Tokenizer, text: &str) -> Vec<String> {
        tokenizer.encode(text, false).unwrap().get_tokens().to_vec()
    }

    #[test]
    fn the_best_score_is_joined_first() {
        let tokenizer = tokenizer(pieces(), true).unwrap();
        // `ab` beats `▁a` and `bc`.
        assert_eq!(tokens(&tokenizer, "abc"), ["\u{2581}", "abc"]);
        assert_eq!(tokens(&tokenizer, "ac"), ["\u{2581}a", "c"]);
    }

    #[test]
    fn what_is_no_token_becomes_bytes() {
        let tokenizer = tokenizer(pieces(), true).unwrap();
        assert_eq!(tokens(&tokenizer, "é"), ["\u{2581}", "<0xC3>", "<0xA9>"]);
        for text in [
            "a b  c\n",
            "日本 a",
            "",
            " ",
            "  abc ",
            "a<tool>b",
            "ab </s> ab",
        ] {
            let ids = tokenizer.encode(text, false).unwrap();
            let back = tokenizer.decode(ids.get_ids(), false).unwrap();
            // As in Hugging Face's files, text behind a sign gets its own space in front.
            let expected = text.replace("<tool>", "<tool> ").replace("</s>", "</s> ");
            assert_eq!(back, expected);
        }
    }

    #[test]
    fn no_space_in_front_means_none() {
        let tokenizer = tokenizer(pieces(), false).unwrap();
        assert_eq!(tokens(&tokenizer, "a<tool>b"), ["a", "<tool>", "b"]);
        let ids = tokenizer.encode(" a<tool>b c", false).unwrap();
        assert_eq!(
            tokenizer.decode(ids.get_ids(), false).unwrap(),
            " a<tool>b c"
        );
    }

    #[test]
    fn damaged_vocabularies_are_refused() {
        let mut twice = pieces();
        twice.push(twice[259].clone());
        let message = tokenizer(twice, true).unwrap_err().to_string();
        assert!(
            message.contains("\"ab\"") && message.contains("twice"),
            "{message}"
        );
        let mut long = pieces();
        long[260].text = "x".repeat(10_000);
        let message = tokenizer(long, true).unwrap_err().to_string();
        assert!(message.contains("10000 bytes"), "{message}");
    }
}
