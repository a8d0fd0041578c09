//! Multi-head causal attention.

mod input;
mod mask;
mod projection;
mod rotary;
mod sequence;

pub(crate) use input::AttentionInput;
pub(crate) use sequence::{KeyValueCache, Sequence};

use self::mask::Scores;
use self::projection::{Projection, for_every_head};
use self::rotary::Rotary;
use crate::error::Result;
use crate::math;
use crate::model::arch::On;
use crate::model::config::Config;
use crate::model::names::Site;
use crate::model::parts::{Matrix, Norm, NormAt, Shown};
use crate::model::pass::{Pass, Step};
use crate::model::weights::Weights;
use candle_core::{Result as CandleResult, Tensor};

/// `softmax(Q K^T / scale + mask) V`, head by head, mixed by `W_O`. Several query heads may share the
/// keys and values of one.
///
/// Source: Vaswani et al. 2017 (arXiv 1706.03762), Ainslie et al. 2023 (arXiv 2305.13245) for shared
/// keys and values; shapes and hook points as in TransformerLens.
#[derive(Debug)]
pub(crate) struct Attention {
    projection: Projection,
    /// `[head * d_head, d_model]`.
    W_O: Matrix,
    b_O: Tensor,
    /// On the queries and on the keys of each head.
    norms: Option<[Norm; 2]>,
    rotary: Option<Rotary>,
    scores: Scores,
}

impl Attention {
    pub(crate) fn new(config: &Config, weights: &mut Weights, layer: usize) -> Result<Self> {
        let (d_model, heads, d_head) = (config.d_model, config.n_heads, config.d_head);
        let output = [heads, d_head, d_model];
        let by_layer = match config.scale_attn_by_inverse_layer_idx {
            true => (layer + 1) as f64,
            false => 1.,
        };
        let W_O = weights.get(&name("W_O", layer), &output)?;
        let W_O = Matrix::of(&W_O.flatten(0, 1)?)?; // [head * d_head, d_model]
        W_O.show(
            weights,
            name("W_O", layer),
            0..d_model,
            Shown::HeadsIn { d_head },
        )?;
        Ok(Self {
            projection: Projection::new(config, weights, layer)?,
            W_O,
            b_O: weights.get(&name("b_O", layer), &[d_model])?,
            norms: match config.use_qk_norm {
                true => Some([
                    Norm::new(config, weights, NormAt::Queries, layer)?,
                    Norm::new(config, weights, NormAt::Keys, layer)?,
                ]),
                false => None,
            },
            rotary: Rotary::new(&config.positions),
            scores: Scores {
                scale: config.attn_scale * by_layer,
                soft_cap: config.attn_scores_soft_cap,
                window: config.attn_window(layer),
            },
        })
    }

    /// Number of query heads.
    pub(crate) fn n_heads(&self) -> usize {
        self.projection.n_heads()
    }

    /// Number of heads that keys and values have.
    pub(crate) fn n_key_value_heads(&self) -> usize {
        self.projection.n_key_value_heads()
    }

    /// Its hook points, in firing order.
    pub(crate) fn sites(&self) -> Vec<(Site, On)> {
        let mut sites = vec![
            (Site::Q, On::Default),
            (Site::K, On::Default),
            (Site::V, On::Default),
        ];
        for norm in self.norms.iter().flatten() {
            sites.extend(norm.sites());
        }
        if self.rotary.is_some() {
            sites.extend([(Site::RotQ, On::Default), (Site::RotK, On::Default)]);
        }
        sites.extend([
            (Site::AttnScores, On::Default),
            (Site::Pattern, On::Default),
            (Site::Z, On::Default),
            (Site::Result, On::Asked),
        ]);
        sites
    }

    /// `[batch, pos, d_model]`.
    pub(crate) fn forward(
        &self,
        input: &AttentionInput,
        sequence: &mut Sequence,
        layer: usize,
        pass: &mut Pass,
    ) -> Step<Tensor> {
        let [q, mut k, mut v] = self.project(input, sequence.beside())?; // [batch, pos, head, d_head] each
        if pass.ungroups() {
            k = for_every_head(k, 2, self.n_heads())?;
            v = for_every_head(v, 2, self.n_heads())?;
        }
        let q = pass.at(Site::Q, layer, q)?;
        let k = pass.at(Site::K, layer, k)?;
        let v = pass.at(Site::V, layer, v)?;

        let (q, k) = match &self.norms {
            None => (q, k),
            Some([on_queries, on_keys]) => (
                on_queries.forward(&q, layer, pass)?,
                on_keys.forward(&k, layer, pass)?,
            ),
        };
        let (q, k) = match &self.rotary {
            None => (q, k),
            Some(rotary) => {
                let angles = sequence.angles(rotary, &q)?;
                let q = pass.at(Site::RotQ, layer, rotary.turn(&q, &angles)?)?;
                let k = pass.at(Site::RotK, layer, rotary.turn(&k, &angles)?)?;
                (q, k)
            }
        };
        let (k, v) = sequence.remember(layer, k, v)?; // [batch, key, head, d_head]
        let is_plain = math::heads::are_plain(&[&q, &k, &v]);
        let past = sequence.past();
        let products = match is_plain {
            true => math::heads::scores(&q, &k, past)?, // [batch, head, query, key]
            false => {
                let k = for_every_head(k, 2, self.n_heads())?; // [batch, pos, head, d_head]
                let q = q.transpose(1, 2)?.contiguous()?; // [batch, head, query, d_head]
                let k = k.transpose(1, 2)?.contiguous()?; // [batch, head, key, d_head]
                q.matmul(&k.t()?)?
            }
        };
        let pattern = sequence
            .mask()
            .pattern(products, self.scores, layer, pass)?;

        let z = match is_plain && math::is_plain(&pattern) {
            true => {
                // A hook may have a query look ahead.
                let has_hooks =
                    pass.wants(Site::AttnScores, layer) || pass.wants(Site::Pattern, layer);
                let past = (!has_hooks).then_some(past);
                math::heads::mix(&pattern, &v, past)? // [batch, query, head, d_head]
            }
            false => {
                let v = for_every_head(v, 2, self.n_heads())?; // [batch, pos, head, d_head]
                let v = v.transpose(1, 2)?.contiguous()?; // [batch, head, key, d_head]
                pattern.matmul(&v)?.transpose(1, 2)?
            }
        };
        let z = pass.at(Site::Z, layer, z)?;

        if pass.wants(Site::Result, layer) {
            let result = self.head_results(&z)?; // [batch, pos, head, d_model]
            let result = pass.at(Site::Result, layer, result)?;
            return Ok(result.sum(2)?.broadcast_add(&self.b_O)?);
        }
        let heads = z.flatten(2, 3)?; // [batch, pos, head * d_head]
        Ok(self.W_O.times(&heads, Some(&self.b_O))?)
    }

    /// Queries, keys and values, where queries and keys may read positions beside their input.
    fn project(
        &self,
        input: &AttentionInput,
        beside: Option<&Tensor>,
    ) -> CandleResult<[Tensor; 3]> {
        match (input, beside) {
            (AttentionInput::Joint(x), None) => self.projection.forward(x),
            (AttentionInput::Joint(x), Some(beside)) => {
                let [_, _, v] = self.projection.forward(x)?;
                let [q, k, _] = self.projection.forward(&(x + beside)?)?;
                Ok([q, k, v])
            }
            (AttentionInput::Split(inputs), None) => self.projection.by_head(inputs),
            (AttentionInput::Split([q, k, v]), Some(beside)) => {
                let beside = beside.unsqueeze(2)?; // [batch, pos, 1, d_model]
                let (q, k) = (q.broadcast_add(&beside)?, k.broadcast_add(&beside)?);
                self.projection.by_head(&[q, k, v.clone()])
            }
        }
    }

    /// What each head writes: `z[.., head, :] W_O[head]`, `[batch, pos, head, d_model]`.
    fn head_results(&self, z: &Tensor) -> CandleResult<Tensor> {
        let by_head = z.permute((2, 0, 1, 3))?.flatten(1, 2)?; // [head, batch * pos, d_head]
        let (heads, d_head) = (z.dim(2)?, z.dim(3)?);
        let W_O = self.W_O.tensor()?.reshape((heads, d_head, ()))?; // [head, d_head, d_model]
        let results = by_head.matmul(&W_O)?; // [head, batch * pos, d_model]
        let (batch, pos, _, _) = z.dims4()?;
        let results = results.reshape((heads, batch, pos, ()))?;
        results.permute((1, 2, 0, 3))?.contiguous()
    }
}

fn name(weight: &str, layer: usize) -> String {
    format!("blocks.{layer}.attn.{weight}")
}
