//! What a model can be run on: text, texts, or tokens.

use candle_core::Tensor;

/// A prompt or a batch of prompts, as text or as token ids.
///
/// Made from `"text"`, `["one", "two"]`, `vec![1u32, 2, 3]`, `vec![vec![..], vec![..]]` or a
/// tensor of ids, `[pos]` or `[batch, pos]`.
#[derive(Clone, Debug)]
pub enum Input {
    /// One text; it becomes a batch of one.
    Text(String),
    /// Several texts, padded to the longest when they become tokens.
    Texts(Vec<String>),
    /// Token ids, `[pos]` or `[batch, pos]`, of any integer type.
    Tokens(Tensor),
    /// Token ids, one row a prompt; all rows have the same length.
    Ids(Vec<Vec<u32>>),
}

impl Input {
    /// Whether this is text, which the model's tokenizer will make into tokens.
    pub(crate) fn is_text(&self) -> bool {
        matches!(self, Self::Text(_) | Self::Texts(_))
    }
}

macro_rules! input_from {
    ($($from:ty => |$value:ident| $input:expr),* $(,)?) => {$(
        impl From<$from> for Input {
            fn from($value: $from) -> Self {
                $input
            }
        }
    )*};
}

input_from!(
    &str => |text| Self::Text(text.to_owned()),
    String => |text| Self::Text(text),
    &String => |text| Self::Text(text.clone()),
    &[&str] => |texts| Self::Texts(texts.iter().map(|text| (*text).to_owned()).collect()),
    &[String] => |texts| Self::Texts(texts.to_vec()),
    Vec<&str> => |texts| texts.as_slice().into(),
    &Vec<&str> => |texts| texts.as_slice().into(),
    Vec<String> => |texts| Self::Texts(texts),
    &Vec<String> => |texts| Self::Texts(texts.clone()),
    Tensor => |tokens| Self::Tokens(tokens),
    &Tensor => |tokens| Self::Tokens(tokens.clone()),
    &[u32] => |ids| Self::Ids(vec![ids.to_vec()]),
    Vec<u32> => |ids| Self::Ids(vec![ids]),
    &Vec<u32> => |ids| Self::Ids(vec![ids.clone()]),
    Vec<Vec<u32>> => |ids| Self::Ids(ids),
    &[Vec<u32>] => |ids| Self::Ids(ids.to_vec()),
    &Vec<Vec<u32>> => |ids| Self::Ids(ids.clone()),
    &Input => |input| input.clone(),
);

impl<const N: usize> From<[&str; N]> for Input {
    fn from(texts: [&str; N]) -> Self {
        texts.as_slice().into()
    }
}

impl<const N: usize> From<&[&str; N]> for Input {
    fn from(texts: &[&str; N]) -> Self {
        texts.as_slice().into()
    }
}

impl<const N: usize> From<[u32; N]> for Input {
    fn from(ids: [u32; N]) -> Self {
        ids.as_slice().into()
    }
}

impl<const N: usize> From<&[u32; N]> for Input {
    fn from(ids: &[u32; N]) -> Self {
        ids.as_slice().into()
    }
}
