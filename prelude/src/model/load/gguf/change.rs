//! How the numbers of a GGUF file differ from Hugging Face's.
//!
//! Source: `modify_tensors` of llama.cpp's converters (`convert_hf_to_gguf.py`, now `conversion/`).

use super::super::pairs::halves_of_pairs;
use crate::error::{Error, Result};
use candle_core::Tensor;

/// What llama.cpp's converter did to a tensor, to be undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    None,
    /// The rows of queries or keys were put into adjacent pairs.
    Pairs(Heads),
    /// One was added: Gemma's norms multiply by `1 + w`.
    PlusOne,
    /// A `Conv1D` was transposed to a `Linear`.
    Transposed,
    /// All queries, then all keys, then all values, instead of the three head by head.
    Split,
}

/// Whose heads: as many as of queries, or as of keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heads {
    Query,
    Key,
}

impl Change {
    /// Hugging Face's tensor.
    ///
    /// # Errors
    /// The shape does not fit the heads.
    pub(super) fn undo(
        self,
        stored: Tensor,
        query_heads: usize,
        key_heads: usize,
    ) -> Result<Tensor> {
        match self {
            Self::None => Ok(stored),
            Self::Pairs(Heads::Query) => halves_of_pairs(&stored, query_heads),
            Self::Pairs(Heads::Key) => halves_of_pairs(&stored, key_heads),
            Self::PlusOne => Ok((stored - 1.)?),
            Self::Transposed => Ok(stored.t()?.contiguous()?),
            Self::Split => {
                let shape = stored.dims();
                let rows = shape.first().copied().unwrap_or(0);
                if query_heads == 0 || rows == 0 || !rows.is_multiple_of(3 * query_heads) {
                    return Err(Error::new(format!(
                        "its {rows} rows are not the queries, keys and values of {query_heads} heads."
                    )));
                }
                let d_head = rows / 3 / query_heads;
                let columns = stored.elem_count() / rows;
                let heads = stored
                    .reshape((3, query_heads, d_head, columns))?
                    .transpose(0, 1)?;
                Ok(heads.contiguous()?.reshape(shape)?)
            }
        }
    }

    /// The shape of Hugging Face's tensor.
    pub(super) fn shape(self, stored: &[usize]) -> Vec<usize> {
        let mut shape = stored.to_vec();
        if self == Self::Transposed {
            shape.reverse();
        }
        shape
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn queries_keys_and_values_go_back_to_their_heads() {
        // Two heads of width 2: q0 q0 q1 q1 k0 k0 k1 k1 v0 v0 v1 v1.
        let stored = Tensor::arange(0f32, 12., &Device::Cpu).unwrap();
        let original: Vec<f32> = Change::Split.undo(stored, 2, 2).unwrap().to_vec1().unwrap();
        assert_eq!(original, [0., 1., 4., 5., 8., 9., 2., 3., 6., 7., 10., 11.]);
        let odd = Tensor::arange(0f32, 10., &Device::Cpu).unwrap();
        assert!(Change::Split.undo(odd, 2, 2).is_err());
    }
}
