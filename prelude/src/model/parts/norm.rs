//! LayerNorm and RMSNorm, with what they divide by and what comes out as hook points.

use crate::error::Result;
use crate::math;
use crate::model::config::{Config, Normalization};
use crate::model::names::Site;
use crate::model::pass::{Pass, Step};
use crate::model::weights::Weights;
use candle_core::{D, Tensor};

/// `(x - mean) / sqrt(var + eps)`, then `* w + b`; or, as RMSNorm, `x / sqrt(mean(x^2) + eps)`, then
/// `* w`. Where `w` and `b` were folded away, the first half only.
///
/// Source: Ba, Kiros and Hinton 2016 (arXiv 1607.06450); Zhang and Sennrich 2019 (arXiv 1910.07467);
/// hook points as in TransformerLens: `hook_normalized` comes before `w` and `b`.
#[derive(Debug)]
pub(crate) struct Norm {
    centres: bool,
    w: Option<Tensor>,
    b: Option<Tensor>,
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
        sites: [Site; 2],
    ) -> Result<Self> {
        Self::of_kind(config.normalization, config, weights, name, sites)
    }

    /// A norm behind a part, whose weights are never folded.
    pub(crate) fn behind(
        config: &Config,
        weights: &Weights,
        name: &str,
        sites: [Site; 2],
    ) -> Result<Self> {
        let kind = match config.normalization.centres() {
            true => Normalization::LayerNorm,
            false => Normalization::Rms,
        };
        Self::of_kind(kind, config, weights, name, sites)
    }

    fn of_kind(
        kind: Normalization,
        config: &Config,
        weights: &Weights,
        name: &str,
        [scale, normalized]: [Site; 2],
    ) -> Result<Self> {
        let get = |part: &str| weights.get(&format!("{name}.{part}"), &[config.d_model]);
        let (w, b) = match kind {
            Normalization::LayerNorm => (Some(get("w")?), Some(get("b")?)),
            Normalization::Rms => (Some(get("w")?), None),
            Normalization::LayerNormPre | Normalization::RmsPre => (None, None),
        };
        Ok(Self {
            centres: kind.centres(),
            w,
            b,
            eps: config.eps,
            scale,
            normalized,
        })
    }

    /// `[.., d_model]` to the same shape.
    pub(crate) fn forward(&self, x: &Tensor, layer: usize, pass: &mut Pass) -> Step<Tensor> {
        // While training nobody asks for the scale, and one pass is several times faster.
        let is_fused = self.centres && math::gradient::is_trained(x);
        let mut y = match is_fused && !pass.wants(self.scale, layer) {
            true => math::gradient::layer_norm(x, self.eps)?,
            false => {
                let x = match self.centres {
                    true => x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?, // [.., d_model]
                    false => x.clone(),
                };
                let square = x.sqr()?.mean_keepdim(D::Minus1)?; // [.., 1]
                let scale = pass.at(self.scale, layer, (square + self.eps)?.sqrt()?)?;
                x.broadcast_div(&scale)?
            }
        };
        y = pass.at(self.normalized, layer, y)?;
        if let Some(w) = &self.w {
            y = y.broadcast_mul(w)?;
        }
        if let Some(b) = &self.b {
            y = y.broadcast_add(b)?;
        }
        Ok(y)
    }
}
