//! Which keys each query may see.

use candle_core::{D, DType, Device, Result, Tensor};

/// Which keys each query may see.
#[derive(Clone, Debug)]
pub(crate) struct AttentionMask {
    /// 0 where a query may look and -inf elsewhere: `[query, key]`, or `[batch, 1, query, key]`
    /// where some keys are padding.
    bias: Tensor,
    padded: bool,
}

impl AttentionMask {
    /// Each query sees itself and what came before it.
    pub(crate) fn causal(pos: usize, dtype: DType, device: &Device) -> Result<Self> {
        let bias: Vec<f32> = (0..pos)
            .flat_map(|query| (0..pos).map(move |key| visible(key <= query)))
            .collect();
        Ok(Self {
            bias: Tensor::from_vec(bias, (pos, pos), device)?.to_dtype(dtype)?,
            padded: false,
        })
    }

    /// Causal, and no key that is padding is seen: `first[row]` is the first real position.
    pub(crate) fn left_padded(
        first: &[usize],
        pos: usize,
        dtype: DType,
        device: &Device,
    ) -> Result<Self> {
        let mut bias = Vec::with_capacity(first.len() * pos * pos);
        for first in first {
            for query in 0..pos {
                bias.extend((0..pos).map(|key| visible(*first <= key && key <= query)));
            }
        }
        let shape = (first.len(), 1, pos, pos);
        Ok(Self {
            bias: Tensor::from_vec(bias, shape, device)?.to_dtype(dtype)?,
            padded: true,
        })
    }

    /// The scores, with -inf where a query may not look.
    pub(crate) fn apply(&self, scores: &Tensor) -> Result<Tensor> {
        scores.broadcast_add(&self.bias)
    }

    /// A padding query sees no key at all: its row of the pattern is 0, not NaN.
    pub(crate) fn clear_empty_rows(&self, pattern: Tensor) -> Result<Tensor> {
        if !self.padded {
            return Ok(pattern);
        }
        let seen = self.bias.max_keepdim(D::Minus1)?.eq(0.)?; // [batch, 1, query, 1]
        let seen = seen.broadcast_as(pattern.shape())?;
        seen.where_cond(&pattern, &pattern.zeros_like()?)
    }
}

fn visible(visible: bool) -> f32 {
    if visible { 0. } else { f32::NEG_INFINITY }
}
