//! The tokenizer in a GGUF file's metadata.

use super::super::rebuilt::{
    Kind, Piece, RebuiltTokenizer, add_whole_tokens, name_empty_tokens, numbered,
};
use super::super::sentencepiece;
use super::metadata::Metadata;
use super::names::Family;
use super::pre_tokenizer::Rules;
use crate::error::{Error, Result};
use tokenizers::Tokenizer;
use tokenizers::models::bpe::{BPE, Merges, Vocab};
use tokenizers::normalizers::NFC;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;

/// The tokenizer, or nothing where the file has none.
///
/// # Errors
/// It is damaged, or of a kind that is not supported.
pub(super) fn tokenizer(metadata: &Metadata, family: Family) -> Result<Option<RebuiltTokenizer>> {
    let kind = match metadata.text("tokenizer.ggml.model") {
        None | Some("none" | "no_vocab") => return Ok(None),
        Some(kind) => kind,
    };
    let is_sentencepiece = match kind {
        "llama" => true,
        "gpt2" => false,
        other => {
            return Err(Error::new(format!(
                "tokenizers of kind `{other}` are not supported: `gpt2` (byte pairs) and `llama` \
                 (SentencePiece) are."
            )));
        }
    };
    let mut pieces = pieces(metadata)?;
    // llama.cpp's defaults are those of Llama's SentencePiece model.
    let special = |name: &str, default: usize| {
        let id = metadata.id(&format!("tokenizer.ggml.{name}_token_id"));
        id.or(is_sentencepiece.then_some(default))
    };
    let (bos, eos) = (special("bos", 1), special("eos", 2));
    let unknown = special("unknown", 0).filter(|_| is_sentencepiece);
    let pad = metadata.id("tokenizer.ggml.padding_token_id");
    let has_kinds = metadata.wholes("tokenizer.ggml.token_type").is_some();
    for id in [bos, eos, pad].into_iter().flatten().filter(|_| !has_kinds) {
        if let Some(piece) = pieces.get_mut(id) {
            piece.kind = Kind::Control;
        }
    }
    if let Some(piece) = unknown.and_then(|id| pieces.get_mut(id))
        && (!has_kinds || piece.kind == Kind::Control)
    {
        piece.kind = Kind::Unknown;
    }
    let text = |id: Option<usize>| Some(pieces.get(id?)?.text.clone());
    let (bos, eos, pad) = (text(bos), text(eos), text(pad));
    let adds_bos = metadata.flag("tokenizer.ggml.add_bos_token");
    let (tokenizer, usually_adds_bos) = match is_sentencepiece {
        true => {
            let space = metadata
                .flag("tokenizer.ggml.add_space_prefix")
                .unwrap_or(true);
            (sentencepiece::tokenizer(pieces, space)?, true)
        }
        false => {
            let rules = Rules::of(metadata.text("tokenizer.ggml.pre"), family)?;
            let merges = metadata.texts("tokenizer.ggml.merges").unwrap_or_default();
            (byte_pairs(pieces, merges, rules)?, rules.adds_bos)
        }
    };
    Ok(Some(RebuiltTokenizer {
        tokenizer,
        bos,
        eos,
        pad,
        add_bos: adds_bos.unwrap_or(usually_adds_bos),
    }))
}

fn pieces(metadata: &Metadata) -> Result<Vec<Piece>> {
    let Some(texts) = metadata.texts("tokenizer.ggml.tokens") else {
        return Err(Error::new("`tokenizer.ggml.tokens` is missing."));
    };
    let scores = metadata.numbers("tokenizer.ggml.scores");
    let kinds = metadata.wholes("tokenizer.ggml.token_type");
    let lengths = [
        ("scores", scores.map(<[f32]>::len)),
        ("token_type", kinds.map(<[i64]>::len)),
    ];
    for (name, length) in lengths {
        if let Some(length) = length.filter(|length| *length != texts.len()) {
            return Err(Error::new(format!(
                "`tokenizer.ggml.{name}` has {length} entries for {} tokens: the file is damaged.",
                texts.len()
            )));
        }
    }
    let piece = |(id, text): (usize, &String)| Piece {
        text: text.clone(),
        score: scores
            .and_then(|scores| scores.get(id))
            .copied()
            .unwrap_or(0.),
        kind: match kinds.and_then(|kinds| kinds.get(id)) {
            Some(number) => Kind::from_number(*number),
            None => Kind::Normal,
        },
    };
    Ok(texts.iter().enumerate().map(piece).collect())
}

/// The tokenizer of GPT-2's kind: bytes as characters, joined by merges.
fn byte_pairs(mut pieces: Vec<Piece>, merges: &[String], rules: Rules) -> Result<Tokenizer> {
    name_empty_tokens(&mut pieces)?;
    let vocabulary = numbered(&pieces)?;
    let merges = merges
        .iter()
        .map(|merge| split_merge(merge, &vocabulary))
        .collect::<Result<Merges>>()?;
    let model = BPE::builder()
        .vocab_and_merges(vocabulary, merges)
        .ignore_merges(rules.keeps_words)
        .build()?;
    let mut tokenizer = Tokenizer::new(model);
    if rules.composes {
        tokenizer.with_normalizer(Some(NFC))?;
    }
    tokenizer.with_pre_tokenizer(Some(rules.pre_tokenizer()?));
    tokenizer.with_decoder(Some(ByteLevel::new(false, true, true)));
    add_whole_tokens(&mut tokenizer, &pieces)?;
    Ok(tokenizer)
}

/// The two tokens of a merge. The library behind panics where the token that they make is longer than
/// all others, so what is no token is refused here.
fn split_merge(merge: &str, vocabulary: &Vocab) -> Result<(String, String)> {
    let space = merge
        .char_indices()
        .skip(1)
        .find(|(_, character)| *character == ' ');
    let parts = space.and_then(|(at, _)| Some((merge.get(..at)?, merge.get(at + 1..)?)));
    let is_token = |text: &str| vocabulary.contains_key(text);
    match parts {
        Some((left, right))
            if is_token(left) && is_token(right) && is_token(&format!("{left}{right}")) =>
        {
            Ok((left.to_owned(), right.to_owned()))
        }
        _ => Err(Error::new(format!(
            "the merge {merge:?} does not join two tokens to another: the file is damaged."
        ))),
    }
}
