//! Multi-head causal attention.

use crate::error::Result;
use crate::math;
use crate::model::config::Config;
use crate::model::names::Site;
use crate::model::parts::linear;
use crate::model::pass::{Pass, Step};
use crate::model::weights::Weights;
use candle_core::{D, DType, Device, Result as CandleResult, Tensor};

/// `softmax(Q K^T / scale + mask) V`, head by head, mixed by `W_O`.
///
/// Source: Vaswani et al. 2017 (arXiv 1706.03762); shapes and hook points as in TransformerLens.
#[derive(Debug)]
pub(crate) struct Attention {
    projection: Projection,
    W_O: Tensor,
    b_O: Tensor,
    n_heads: usize,
    d_head: usize,
    scale: f64,
}

/// How queries, keys and values are computed.
#[derive(Debug)]
enum Projection {
    /// One product: `[d_model, 3 * head * d_head]`, laid out in memory the other way round so that
    /// `W_Q`, `W_K` and `W_V` are views of it, and `[3 * head * d_head]`.
    Fused(Tensor, Tensor),
    /// Three products, for weights that are being trained: a fused copy would not follow them.
    Separate([(Tensor, Tensor); 3]),
}

impl Attention {
    pub(crate) fn new(config: &Config, weights: &mut Weights, layer: usize) -> Result<Self> {
        let (d_model, heads, d_head) = (config.d_model, config.n_heads, config.d_head);
        let output = [heads, d_head, d_model];
        let by_layer = match config.scale_attn_by_inverse_layer_idx {
            true => (layer + 1) as f64,
            false => 1.,
        };
        Ok(Self {
            projection: Projection::new(config, weights, layer)?,
            W_O: weights.get(&name("W_O", layer), &output)?.contiguous()?,
            b_O: weights.get(&name("b_O", layer), &[d_model])?,
            n_heads: heads,
            d_head,
            scale: config.attn_scale * by_layer,
        })
    }

    /// `[batch, pos, d_model]` to the same shape.
    pub(crate) fn forward(
        &self,
        x: &Tensor,
        mask: &AttentionMask,
        layer: usize,
        pass: &mut Pass,
    ) -> Step<Tensor> {
        let [q, k, v] = self.queries_keys_values(x)?; // [batch, pos, head, d_head] each
        let q = pass.at(Site::Q, layer, q)?;
        let k = pass.at(Site::K, layer, k)?;
        let v = pass.at(Site::V, layer, v)?;

        let q = q.transpose(1, 2)?.contiguous()?; // [batch, head, query, d_head]
        let k = k.permute((0, 2, 3, 1))?.contiguous()?; // [batch, head, d_head, key]
        let scores = (q.matmul(&k)? / self.scale)?; // [batch, head, query, key]
        let scores = pass.at(Site::AttnScores, layer, mask.apply(&scores)?)?;
        let pattern = math::softmax(&scores)?; // [batch, head, query, key]
        let pattern = pass.at(Site::Pattern, layer, mask.clear_empty_rows(pattern)?)?;

        let v = v.transpose(1, 2)?.contiguous()?; // [batch, head, key, d_head]
        let z = pattern.matmul(&v)?.transpose(1, 2)?; // [batch, query, head, d_head]
        let z = pass.at(Site::Z, layer, z)?;

        if pass.wants(Site::Result, layer) {
            let result = self.head_results(&z)?; // [batch, pos, head, d_model]
            let result = pass.at(Site::Result, layer, result)?;
            return Ok(result.sum(2)?.broadcast_add(&self.b_O)?);
        }
        let heads = z.flatten(2, 3)?; // [batch, pos, head * d_head]
        let W_O = self.W_O.flatten(0, 1)?; // [head * d_head, d_model]
        Ok(linear(&heads, &W_O, Some(&self.b_O))?)
    }

    fn queries_keys_values(&self, x: &Tensor) -> CandleResult<[Tensor; 3]> {
        let (batch, pos, _) = x.dims3()?;
        let heads = (batch, pos, self.n_heads, self.d_head);
        match &self.projection {
            Projection::Fused(weight, bias) => {
                let all = linear(x, weight, Some(bias))?; // [batch, pos, 3 * head * d_head]
                let all = all.reshape((batch, pos, 3, self.n_heads, self.d_head))?;
                let one = |index| all.narrow(2, index, 1)?.squeeze(2);
                Ok([one(0)?, one(1)?, one(2)?])
            }
            Projection::Separate(projections) => {
                let one = |(weight, bias): &(Tensor, Tensor)| {
                    let weight = heads_side_by_side(weight)?; // [d_model, head * d_head]
                    linear(x, &weight, Some(&bias.flatten_all()?))?.reshape(heads)
                };
                let [q, k, v] = projections;
                Ok([one(q)?, one(k)?, one(v)?])
            }
        }
    }

    /// What each head writes: `z[.., head, :] W_O[head]`, `[batch, pos, head, d_model]`.
    fn head_results(&self, z: &Tensor) -> CandleResult<Tensor> {
        let by_head = z.permute((2, 0, 1, 3))?.flatten(1, 2)?; // [head, batch * pos, d_head]
        let results = by_head.matmul(&self.W_O)?; // [head, batch * pos, d_model]
        let (batch, pos, heads, _) = z.dims4()?;
        let results = results.reshape((heads, batch, pos, ()))?;
        results.permute((1, 2, 0, 3))?.contiguous()
    }
}

impl Projection {
    fn new(config: &Config, weights: &mut Weights, layer: usize) -> Result<Self> {
        let (d_model, heads, d_head) = (config.d_model, config.n_heads, config.d_head);
        let get = |which: &str| -> Result<(Tensor, Tensor)> {
            let weight = weights.get(
                &name(&format!("W_{which}"), layer),
                &[heads, d_model, d_head],
            )?;
            let bias = weights.get(&name(&format!("b_{which}"), layer), &[heads, d_head])?;
            Ok((weight, bias))
        };
        let projections = [get("Q")?, get("K")?, get("V")?];
        let trained = |(weight, bias): &(Tensor, Tensor)| weight.track_op() || bias.track_op();
        if projections.iter().any(trained) {
            return Ok(Self::Separate(projections));
        }

        let transposed: Vec<Tensor> = projections
            .iter()
            .map(|(weight, _)| weight.transpose(1, 2)?.flatten(0, 1))
            .collect::<CandleResult<_>>()?;
        let fused = Tensor::cat(&transposed, 0)?.contiguous()?; // [3 * head * d_head, d_model]
        for (index, which) in ["W_Q", "W_K", "W_V"].into_iter().enumerate() {
            let view = fused.narrow(0, index * heads * d_head, heads * d_head)?;
            let view = view.reshape((heads, d_head, d_model))?.transpose(1, 2)?;
            weights.set(name(which, layer), view); // [head, d_model, d_head]
        }
        let biases: Vec<Tensor> = projections
            .iter()
            .map(|(_, bias)| bias.flatten_all())
            .collect::<CandleResult<_>>()?;
        Ok(Self::Fused(fused.t()?, Tensor::cat(&biases, 0)?))
    }
}

fn name(weight: &str, layer: usize) -> String {
    format!("blocks.{layer}.attn.{weight}")
}

/// `[head, d_model, d_head]` to `[d_model, head * d_head]`.
fn heads_side_by_side(weight: &Tensor) -> CandleResult<Tensor> {
    weight.permute((1, 0, 2))?.flatten(1, 2)
}

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
    pub(crate) fn causal(pos: usize, dtype: DType, device: &Device) -> CandleResult<Self> {
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
    ) -> CandleResult<Self> {
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

    fn apply(&self, scores: &Tensor) -> CandleResult<Tensor> {
        scores.broadcast_add(&self.bias)
    }

    /// A padding query sees no key at all: its row of the pattern is 0, not NaN.
    fn clear_empty_rows(&self, pattern: Tensor) -> CandleResult<Tensor> {
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
