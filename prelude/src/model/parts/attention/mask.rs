//! Which keys each query may see, and the pattern that follows.

use crate::math;
use crate::model::names::Site;
use crate::model::pass::{Pass, Step};
use candle_core::{D, Result, Tensor};
use std::sync::OnceLock;

/// Which keys each query may see.
#[derive(Debug)]
pub(crate) struct AttentionMask {
    pos: usize,
    /// The first position of each row that is not padding, where rows are padded on the left.
    first: Option<Vec<usize>>,
    /// 0 where a query may look and -inf elsewhere, made when it is first needed: `[query, key]`,
    /// or `[batch, 1, query, key]` where rows are padded.
    bias: OnceLock<Tensor>,
}

impl AttentionMask {
    /// Each of `pos` queries sees itself and what came before it, down to the first position of its
    /// row that is not padding.
    pub(crate) fn causal(pos: usize, first: Option<Vec<usize>>) -> Self {
        Self {
            pos,
            first,
            bias: OnceLock::new(),
        }
    }

    /// The pattern of products `Q K^T`, `[batch, head, query, key]`: divided by `scale`, masked,
    /// through softmax, with the two hook points on the way. On the CPU it overwrites the products.
    pub(crate) fn pattern(
        &self,
        products: Tensor,
        scale: f64,
        layer: usize,
        pass: &mut Pass,
    ) -> Step<Tensor> {
        let is_plain = self.first.is_none() && math::is_plain(&products);
        let inverse = (1. / scale) as f32;
        let is_trained = self.first.is_none() && math::gradient::is_trained(&products);
        if is_trained && !pass.wants(Site::AttnScores, layer) {
            let pattern = math::gradient::causal_softmax(&products, inverse)?;
            return pass.at(Site::Pattern, layer, pattern);
        }
        if is_plain && !pass.wants(Site::AttnScores, layer) {
            let pattern = math::causal_softmax(products, inverse)?;
            return pass.at(Site::Pattern, layer, pattern);
        }
        let scores = match is_plain {
            true => math::causal_scores(products, inverse)?,
            false => {
                let scaled = (products / scale)?;
                scaled.broadcast_add(self.bias(&scaled)?)?
            }
        };
        let scores = pass.at(Site::AttnScores, layer, scores)?;
        let pattern = self.clear_empty_rows(math::softmax(&scores)?)?;
        pass.at(Site::Pattern, layer, pattern)
    }

    /// A query that is padding sees no key at all: its row of the pattern is 0, not NaN.
    fn clear_empty_rows(&self, pattern: Tensor) -> Result<Tensor> {
        if self.first.is_none() {
            return Ok(pattern);
        }
        let seen = self.bias(&pattern)?.max_keepdim(D::Minus1)?.eq(0.)?; // [batch, 1, query, 1]
        let seen = seen.broadcast_as(pattern.shape())?;
        seen.where_cond(&pattern, &pattern.zeros_like()?)
    }

    fn bias(&self, like: &Tensor) -> Result<&Tensor> {
        if let Some(bias) = self.bias.get() {
            return Ok(bias);
        }
        let no_padding = vec![0];
        let rows = self.first.as_ref().unwrap_or(&no_padding);
        let mut bias = Vec::with_capacity(rows.len() * self.pos * self.pos);
        for first in rows {
            for query in 0..self.pos {
                let seen = |key: usize| *first <= key && key <= query;
                let of = |key| if seen(key) { 0f32 } else { f32::NEG_INFINITY };
                bias.extend((0..self.pos).map(of));
            }
        }
        let shape = (rows.len(), 1, self.pos, self.pos);
        let bias = Tensor::from_vec(bias, shape, like.device())?.to_dtype(like.dtype())?;
        Ok(self.bias.get_or_init(|| bias))
    }
}
