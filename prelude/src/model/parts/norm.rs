//! LayerNorm, with what it divides by and what comes out as hook points.

use crate::error::Result;
use crate::math;
use crate::model::config::{Config, Normalization};
use crate::model::names::Site;
use crate::model::pass::{Pass, Step};
use crate::model::weights::Weights;
use candle_core::{D, Tensor};

/// `(x - mean) / sqrt(var + eps)`, then `* w + b` where these were not folded away.
///
/// Source: Ba, Kiros and Hinton 2016 (arXiv 1607.06450); hook points as in TransformerLens's
/// `LayerNorm` and `LayerNormPre`: `hook_normalized` comes before `w` and `b`.
#[derive(Debug)]
pub(crate) struct Norm {
    affine: Option<(Tensor, Tensor)>,
    eps: f64,
    scale: Site,
    normalized: Site,
}

impl Norm {
    /// The norm whose weights are `{name}.w` and `{name}.b`, with its two hook points.
    pub(crate) fn new(
        config: &Config,
        weights: &Weights,
        name: &str,
        [scale, normalized]: [Site; 2],
    ) -> Result<Self> {
        let shape = [config.d_model];
        let affine = match config.normalization {
            Normalization::LayerNorm => Some((
                weights.get(&format!("{name}.w"), &shape)?,
                weights.get(&format!("{name}.b"), &shape)?,
            )),
            Normalization::LayerNormPre => None,
        };
        Ok(Self {
            affine,
            eps: config.eps,
            scale,
            normalized,
        })
    }

    /// `[batch, pos, d_model]` to the same shape.
    pub(crate) fn forward(&self, x: &Tensor, layer: usize, pass: &mut Pass) -> Step<Tensor> {
        // While training nobody asks for the scale, and one pass is several times faster.
        let normalized = match math::gradient::is_trained(x) && !pass.wants(self.scale, layer) {
            true => math::gradient::layer_norm(x, self.eps)?,
            false => {
                let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?; // [batch, pos, d_model]
                let variance = centred.sqr()?.mean_keepdim(D::Minus1)?; // [batch, pos, 1]
                let scale = pass.at(self.scale, layer, (variance + self.eps)?.sqrt()?)?;
                centred.broadcast_div(&scale)?
            }
        };
        let normalized = pass.at(self.normalized, layer, normalized)?;
        match &self.affine {
            Some((w, b)) => Ok(normalized.broadcast_mul(w)?.broadcast_add(b)?),
            None => Ok(normalized),
        }
    }
}
