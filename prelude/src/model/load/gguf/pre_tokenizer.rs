//! How text is cut into words before byte pairs are joined, by the names of `tokenizer.ggml.pre`.
//!
//! Source: the `tokenizer.json` of the models that llama.cpp's converter names in
//! `get_vocab_base_pre`, and the table of `llama-vocab.cpp`.

use super::names::Family;
use crate::error::{Error, Result};
use tokenizers::SplitDelimiterBehavior;
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::pre_tokenizers::split::{Split, SplitPattern};

/// Where words end, and what else goes with a pre-tokenizer's name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Rules {
    words: Words,
    /// Whether characters are composed first (Unicode's NFC).
    pub(super) composes: bool,
    /// Whether a word that is a token stays one, whatever its merges.
    pub(super) keeps_words: bool,
    /// Whether text has a beginning-of-sequence token in front unless the file says otherwise.
    pub(super) adds_bos: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Words {
    /// GPT-2's.
    Gpt2,
    /// GPT-2's, each digit apart.
    Digits,
    /// What this regular expression finds.
    Regex(&'static str),
}

const LLAMA_3: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|",
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
);
const QWEN_2: &str = concat!(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|",
    r" ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
);
const TEKKEN: &str = concat!(
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}|",
    r" ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
);

impl Rules {
    /// The rules by their name; files from before there were names mean those of their family.
    ///
    /// # Errors
    /// There is no such name here.
    pub(super) fn of(name: Option<&str>, family: Family) -> Result<Self> {
        let name = name.filter(|name| *name != "default");
        let plain = Self {
            words: Words::Gpt2,
            composes: false,
            keeps_words: false,
            adds_bos: false,
        };
        Ok(match (name, family) {
            (Some("gpt-2" | "phi-2" | "exaone4"), _) | (None, Family::Gpt2) => plain,
            // The tokenizer of GPT-NeoX, in several editions.
            (Some("mpt" | "olmo"), _) | (None, Family::GptNeoX) => Self {
                composes: true,
                ..plain
            },
            (Some("smollm" | "starcoder" | "refact"), _) => Self {
                words: Words::Digits,
                ..plain
            },
            (Some("llama-bpe" | "llama3" | "llama-v3"), _) => Self {
                words: Words::Regex(LLAMA_3),
                keeps_words: true,
                adds_bos: true,
                ..plain
            },
            (Some("smaug-bpe" | "dbrx"), _) => Self {
                words: Words::Regex(LLAMA_3),
                ..plain
            },
            (Some("tekken"), _) => Self {
                words: Words::Regex(TEKKEN),
                keeps_words: true,
                adds_bos: true,
                ..plain
            },
            (Some("qwen2" | "deepseek-r1-qwen"), _) | (None, Family::Qwen2 | Family::Qwen3) => {
                Self {
                    words: Words::Regex(QWEN_2),
                    composes: true,
                    ..plain
                }
            }
            (Some("stablelm2"), _) => Self {
                words: Words::Regex(QWEN_2),
                ..plain
            },
            (Some(other), _) => {
                return Err(Error::new(format!(
                    "the pre-tokenizer `{other}` is not supported: gpt-2, llama-bpe, mpt, olmo, \
                     qwen2, smollm, starcoder, tekken and their like are."
                )));
            }
            (None, _) => {
                return Err(Error::new(
                    "the file does not name its pre-tokenizer (`tokenizer.ggml.pre`): convert the \
                     model again with a newer llama.cpp.",
                ));
            }
        })
    }

    /// The pre-tokenizer itself, with bytes as characters.
    ///
    /// # Errors
    /// The regular expression is refused.
    pub(super) fn pre_tokenizer(self) -> Result<PreTokenizerWrapper> {
        let gpt2 = ByteLevel::new(false, true, true);
        Ok(match self.words {
            Words::Gpt2 => gpt2.into(),
            Words::Digits => Sequence::new(vec![Digits::new(true).into(), gpt2.into()]).into(),
            Words::Regex(regex) => {
                let pattern = SplitPattern::Regex(regex.to_owned());
                let split = Split::new(pattern, SplitDelimiterBehavior::Isolated, false)?;
                let bytes = ByteLevel::new(false, true, false);
                Sequence::new(vec![split.into(), bytes.into()]).into()
            }
        })
    }
}
