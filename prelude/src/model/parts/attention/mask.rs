//! Which keys each query may see, and the pattern that follows.

use crate::math;
use crate::model::names::Site;
use crate::model::pass::{Pass, Step};
use candle_core::{D, Result, Tensor};

/// How a layer turns products into scores.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scores {
    /// What products are divided by.
    pub(super) scale: f64,
    /// `cap * tanh(scores / cap)`, where there is a cap.
    pub(super) soft_cap: Option<f64>,
    /// How many positions a query sees, its own among them; nothing for all before it.
    pub(super) window: Option<usize>,
}

/// Which keys each query may see.
#[derive(Debug)]
pub(super) struct AttentionMask {
    /// How many keys there are before the first query's own.
    past: usize,
    /// How many queries there are.
    pos: usize,
    /// The first position of each row that is not padding, where rows are padded on the left.
    first: Option<Vec<usize>>,
    /// For each window 0 where a query may look and -inf elsewhere, made when it is first needed:
    /// `[1 or batch, 1, query, key]`.
    biases: Vec<(Option<usize>, Tensor)>,
}

impl AttentionMask {
    /// Each of `pos` queries sees itself and what came before it, `past` earlier keys among that, down
    /// to the first position of its row that is not padding.
    pub(super) fn causal(past: usize, pos: usize, first: Option<Vec<usize>>) -> Self {
        Self {
            past,
            pos,
            first,
            biases: Vec::new(),
        }
    }

    pub(super) fn past(&self) -> usize {
        self.past
    }

    pub(super) fn pos(&self) -> usize {
        self.pos
    }

    pub(super) fn first(&self) -> Option<&[usize]> {
        self.first.as_deref()
    }

    /// The pattern of products `Q K^T`, `[batch, head, query, key]`: divided, capped, masked, through
    /// softmax, with the two hook points on the way. On the CPU it may overwrite the products.
    pub(super) fn pattern(
        &mut self,
        products: Tensor,
        of: Scores,
        layer: usize,
        pass: &mut Pass,
    ) -> Step<Tensor> {
        let window = of.window.filter(|window| *window < self.past + self.pos);
        let is_whole = self.first.is_none() && self.past == 0;
        let is_simple = is_whole && window.is_none() && of.soft_cap.is_none();
        let inverse = (1. / of.scale) as f32;
        if is_simple && !pass.wants(Site::AttnScores, layer) {
            if math::gradient::is_trained(&products) {
                let pattern = math::gradient::causal_softmax(&products, inverse)?;
                return pass.at(Site::Pattern, layer, pattern);
            }
            if math::is_plain(&products) {
                let pattern = math::causal_softmax(products, inverse)?;
                return pass.at(Site::Pattern, layer, pattern);
            }
        }
        let scores = match is_simple && math::is_plain(&products) {
            true => math::causal_scores(products, inverse)?,
            false => {
                let scaled = (products / of.scale)?;
                let capped = match of.soft_cap {
                    Some(cap) => ((scaled / cap)?.tanh()? * cap)?,
                    None => scaled,
                };
                capped.broadcast_add(&self.bias(window, &capped)?)?
            }
        };
        let scores = pass.at(Site::AttnScores, layer, scores)?;
        let pattern = self.clear_empty_rows(window, math::softmax(&scores)?)?;
        pass.at(Site::Pattern, layer, pattern)
    }

    /// A query that is padding sees no key at all: its row of the pattern is 0, not NaN.
    fn clear_empty_rows(&mut self, window: Option<usize>, pattern: Tensor) -> Result<Tensor> {
        if self.first.is_none() {
            return Ok(pattern);
        }
        let bias = self.bias(window, &pattern)?;
        let seen = bias.max_keepdim(D::Minus1)?.eq(0.)?; // [batch, 1, query, 1]
        let seen = seen.broadcast_as(pattern.shape())?;
        seen.where_cond(&pattern, &pattern.zeros_like()?)
    }

    fn bias(&mut self, window: Option<usize>, like: &Tensor) -> Result<Tensor> {
        if let Some((_, bias)) = self.biases.iter().find(|(of, _)| *of == window) {
            return Ok(bias.clone());
        }
        let no_padding = vec![0];
        let rows = self.first.as_ref().unwrap_or(&no_padding);
        let keys = self.past + self.pos;
        let mut bias = Vec::with_capacity(rows.len() * self.pos * keys);
        for first in rows {
            for query in self.past..keys {
                let oldest = window.map_or(0, |window| (query + 1).saturating_sub(window));
                let seen = |key: usize| *first <= key && oldest <= key && key <= query;
                let of = |key| if seen(key) { 0f32 } else { f32::NEG_INFINITY };
                bias.extend((0..keys).map(of));
            }
        }
        let shape = (rows.len(), 1, self.pos, keys);
        let bias = Tensor::from_vec(bias, shape, like.device())?.to_dtype(like.dtype())?;
        self.biases.push((window, bias.clone()));
        Ok(bias)
    }
}
