//! Multi-head causal attention.

mod mask;
mod projection;

pub(crate) use mask::AttentionMask;

use self::projection::Projection;
use crate::error::Result;
use crate::model::config::Config;
use crate::model::names::Site;
use crate::model::parts::{fast_layout, linear};
use crate::model::pass::{Pass, Step};
use crate::model::weights::Weights;
use candle_core::{Result as CandleResult, Tensor};

/// `softmax(Q K^T / scale + mask) V`, head by head, mixed by `W_O`.
///
/// Source: Vaswani et al. 2017 (arXiv 1706.03762); shapes and hook points as in TransformerLens.
#[derive(Debug)]
pub(crate) struct Attention {
    projection: Projection,
    /// `[head * d_head, d_model]`.
    W_O: Tensor,
    /// `[head, d_head, d_model]`.
    W_O_by_head: Tensor,
    b_O: Tensor,
    scale: f64,
}

/// What attention reads.
pub(crate) enum AttentionInput {
    /// The same for queries, keys and values of all heads: `[batch, pos, d_model]`.
    Joint(Tensor),
    /// Queries', keys' and values' own for each head: `[batch, pos, head, d_model]` each.
    Split([Tensor; 3]),
}

impl Attention {
    pub(crate) fn new(config: &Config, weights: &mut Weights, layer: usize) -> Result<Self> {
        let (d_model, heads, d_head) = (config.d_model, config.n_heads, config.d_head);
        let output = [heads, d_head, d_model];
        let by_layer = match config.scale_attn_by_inverse_layer_idx {
            true => (layer + 1) as f64,
            false => 1.,
        };
        let mut by_head = weights.get(&name("W_O", layer), &output)?;
        let W_O = fast_layout(&by_head.flatten(0, 1)?)?; // [head * d_head, d_model]
        if !W_O.track_op() {
            let view = W_O.t()?.reshape((d_model, heads, d_head))?;
            by_head = view.permute((1, 2, 0))?; // [head, d_head, d_model]
            weights.set(name("W_O", layer), by_head.clone());
        }
        Ok(Self {
            projection: Projection::new(config, weights, layer)?,
            W_O,
            W_O_by_head: by_head,
            b_O: weights.get(&name("b_O", layer), &[d_model])?,
            scale: config.attn_scale * by_layer,
        })
    }

    /// Number of query heads.
    pub(crate) fn n_heads(&self) -> usize {
        self.projection.n_heads()
    }

    /// `[batch, pos, d_model]`.
    pub(crate) fn forward(
        &self,
        input: &AttentionInput,
        mask: &AttentionMask,
        layer: usize,
        pass: &mut Pass,
    ) -> Step<Tensor> {
        let [q, k, v] = match input {
            AttentionInput::Joint(x) => self.projection.forward(x)?,
            AttentionInput::Split(inputs) => self.projection.by_head(inputs)?,
        }; // [batch, pos, head, d_head] each
        let q = pass.at(Site::Q, layer, q)?;
        let k = pass.at(Site::K, layer, k)?;
        let v = pass.at(Site::V, layer, v)?;

        let q = q.transpose(1, 2)?.contiguous()?; // [batch, head, query, d_head]
        let k = k.transpose(1, 2)?.contiguous()?; // [batch, head, key, d_head]
        let products = q.matmul(&k.t()?)?; // [batch, head, query, key]
        let pattern = mask.pattern(products, self.scale, layer, pass)?;

        let v = v.transpose(1, 2)?.contiguous()?; // [batch, head, key, d_head]
        let z = pattern.matmul(&v)?.transpose(1, 2)?; // [batch, query, head, d_head]
        let z = pass.at(Site::Z, layer, z)?;

        if pass.wants(Site::Result, layer) {
            let result = self.head_results(&z)?; // [batch, pos, head, d_model]
            let result = pass.at(Site::Result, layer, result)?;
            return Ok(result.sum(2)?.broadcast_add(&self.b_O)?);
        }
        let heads = z.flatten(2, 3)?; // [batch, pos, head * d_head]
        Ok(linear(&heads, &self.W_O, Some(&self.b_O))?)
    }

    /// What each head writes: `z[.., head, :] W_O[head]`, `[batch, pos, head, d_model]`.
    fn head_results(&self, z: &Tensor) -> CandleResult<Tensor> {
        let by_head = z.permute((2, 0, 1, 3))?.flatten(1, 2)?; // [head, batch * pos, d_head]
        let W_O = match z.device().is_cpu() {
            true => self.W_O_by_head.clone(),
            // Only the CPU's product takes any strides.
            false => self.W_O_by_head.contiguous()?,
        };
        let results = by_head.matmul(&W_O)?; // [head, batch * pos, d_model]
        let (batch, pos, heads, _) = z.dims4()?;
        let results = results.reshape((heads, batch, pos, ()))?;
        results.permute((1, 2, 0, 3))?.contiguous()
    }
}

fn name(weight: &str, layer: usize) -> String {
    format!("blocks.{layer}.attn.{weight}")
}
