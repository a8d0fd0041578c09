//! GPT-2's tokenizer out of its two files, for repositories from before `tokenizer.json`.

use crate::error::{Context, Error, Result};
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, Tokenizer};

/// The token that begins, ends and pads texts of these models.
const END_OF_TEXT: &str = "<|endoftext|>";

/// Byte-pair encoding of bytes: `vocab.json` says each token's id, `merges.txt` which pairs become one,
/// the most frequent first.
///
/// # Errors
/// A file is damaged, or the two do not belong together.
pub(super) fn tokenizer(vocabulary: &[u8], merges: &[u8]) -> Result<Tokenizer> {
    let vocabulary: std::collections::HashMap<String, u32> =
        serde_json::from_slice(vocabulary).context(|| "it is no list of tokens".to_owned())?;
    let vocabulary: Vocab = vocabulary.into_iter().collect();
    let merges = String::from_utf8_lossy(merges);
    let lines = merges.lines();
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with("#version"));
    let pairs = lines.map(|line| {
        let known = |token: &str| vocabulary.contains_key(token);
        let pair = line.split_once(' ').filter(|(left, right)| {
            known(left) && known(right) && known(&format!("{left}{right}"))
        });
        let (left, right) = pair.ok_or_else(|| {
            Error::new(format!(
                "the line {line:?} of merges.txt does not fit its tokens."
            ))
        })?;
        Ok((left.to_owned(), right.to_owned()))
    });
    let pairs = pairs.collect::<Result<Vec<_>>>()?;
    let has_end = vocabulary.contains_key(END_OF_TEXT);
    let model = BPE::builder().vocab_and_merges(vocabulary, pairs).build()?;
    let mut tokenizer = Tokenizer::new(model);
    let bytes = ByteLevel::default().add_prefix_space(false);
    tokenizer.with_pre_tokenizer(Some(bytes));
    tokenizer.with_decoder(Some(bytes));
    if has_end {
        tokenizer.add_special_tokens([AddedToken::from(END_OF_TEXT, true)])?;
    }
    Ok(tokenizer)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VOCABULARY: &[u8] =
        r#"{"a": 0, "b": 1, "Ġ": 2, "ab": 3, "Ġab": 4, "<|endoftext|>": 5}"#.as_bytes();

    #[test]
    fn pairs_are_merged_in_their_order() {
        let merges = "#version: 0.2\na b\nĠ ab\n".as_bytes();
        let tokenizer = tokenizer(VOCABULARY, merges).unwrap();
        let encoding = tokenizer.encode("ab abb<|endoftext|>", false).unwrap();
        assert_eq!(encoding.get_ids(), [3, 4, 1, 5]);
        assert_eq!(tokenizer.decode(&[3, 4, 1], false).unwrap(), "ab abb");
    }

    #[test]
    fn files_that_do_not_belong_together_are_refused() {
        let error = tokenizer(VOCABULARY, b"b a\n").unwrap_err().to_string();
        assert!(error.contains("\"b a\""), "{error}");
        let error = tokenizer(VOCABULARY, b"ab\n").unwrap_err().to_string();
        assert!(error.contains("\"ab\""), "{error}");
        assert!(tokenizer(b"[]", b"").is_err());
    }
}
