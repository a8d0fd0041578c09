//! LayerNorm and RMSNorm, with what they divide by and what comes out as hook points.

use crate::error::Result;
use crate::math;
use crate::model::arch::On;
use crate::model::config::{Config, Normalization};
use crate::model::names::Site;
use crate::model::pass::{Pass, Step};
use crate::model::weights::Weights;
use candle_core::{D, Result as CandleResult, Tensor};

/// `(x - mean) / sqrt(var + eps)`, then `* w + b`; or, as RMSNorm, `x / sqrt(mean(x^2) + eps)`, then
/// `* w`. Where `w` and `b` were folded away, the first half only. Models without norms have the
/// identity, and none of its hook points.
///
/// Source: Ba, Kiros and Hinton 2016 (arXiv 1607.06450); Zhang and Sennrich 2019 (arXiv 1910.07467);
/// hook points as in TransformerLens: `hook_normalized` comes before `w` and `b`.
#[derive(Debug)]
pub(crate) struct Norm {
    kind: Normalization,
    w: Option<Tensor>,
    b: Option<Tensor>,
    eps: f64,
    scale: Site,
    normalized: Site,
}

/// Where in a model a norm stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NormAt {
    /// Before attention.
    Ln1,
    /// Behind attention.
    Ln1Post,
    /// On the queries of each head.
    Queries,
    /// On the keys of each head.
    Keys,
    /// Before the MLP.
    Ln2,
    /// Inside the MLP, behind its activation function.
    InsideMlp,
    /// Behind the MLP.
    Ln2Post,
    /// Before the unembedding.
    LnFinal,
}

impl NormAt {
    /// The name of its weights without `.w` and `.b`.
    pub(crate) fn name(self, layer: usize) -> String {
        let suffix = match self {
            Self::Ln1 => "ln1",
            Self::Ln1Post => "ln1_post",
            Self::Queries => "attn.q_norm",
            Self::Keys => "attn.k_norm",
            Self::Ln2 => "ln2",
            Self::InsideMlp => "mlp.ln",
            Self::Ln2Post => "ln2_post",
            Self::LnFinal => return "ln_final".to_owned(),
        };
        format!("blocks.{layer}.{suffix}")
    }

    fn sites(self) -> [Site; 2] {
        match self {
            Self::Ln1 => [Site::Ln1Scale, Site::Ln1Normalized],
            Self::Ln1Post => [Site::Ln1PostScale, Site::Ln1PostNormalized],
            Self::Queries => [Site::QNormScale, Site::QNormNormalized],
            Self::Keys => [Site::KNormScale, Site::KNormNormalized],
            Self::Ln2 => [Site::Ln2Scale, Site::Ln2Normalized],
            Self::InsideMlp => [Site::MlpLnScale, Site::MlpLnNormalized],
            Self::Ln2Post => [Site::Ln2PostScale, Site::Ln2PostNormalized],
            Self::LnFinal => [Site::LnFinalScale, Site::LnFinalNormalized],
        }
    }

    fn kind(self, config: &Config) -> Normalization {
        match self {
            Self::Ln1 | Self::Ln2 => config.normalization,
            Self::LnFinal => config.final_normalization(),
            Self::Ln1Post | Self::Ln2Post => config.normalization_behind(),
            Self::Queries | Self::Keys => Normalization::Rms,
            Self::InsideMlp if config.normalization == Normalization::LayerNorm => {
                Normalization::LayerNorm
            }
            Self::InsideMlp => Normalization::LayerNormPre,
        }
    }

    /// How many numbers it normalizes together.
    fn width(self, config: &Config) -> usize {
        match self {
            Self::Queries | Self::Keys => config.d_head,
            Self::InsideMlp => config.d_mlp,
            _ => config.d_model,
        }
    }
}

impl Norm {
    /// The norm that stands there, which is of the kind that the config says.
    pub(crate) fn new(
        config: &Config,
        weights: &Weights,
        at: NormAt,
        layer: usize,
    ) -> Result<Self> {
        let (name, width) = (at.name(layer), at.width(config));
        let get = |part: &str| weights.get(&format!("{name}.{part}"), &[width]);
        let kind = at.kind(config);
        let (w, b) = match kind {
            Normalization::LayerNorm => (Some(get("w")?), Some(get("b")?)),
            Normalization::Rms => (Some(get("w")?), None),
            Normalization::LayerNormPre | Normalization::RmsPre | Normalization::None => {
                (None, None)
            }
        };
        let [scale, normalized] = at.sites();
        Ok(Self {
            kind,
            w,
            b,
            eps: config.eps,
            scale,
            normalized,
        })
    }

    /// Its hook points, in firing order.
    pub(crate) fn sites(&self) -> Vec<(Site, On)> {
        match self.kind {
            Normalization::None => Vec::new(),
            _ => vec![(self.scale, On::Default), (self.normalized, On::Default)],
        }
    }

    /// `[.., width]` to the same shape.
    pub(crate) fn forward(&self, x: &Tensor, layer: usize, pass: &mut Pass) -> Step<Tensor> {
        if self.kind == Normalization::None {
            return Ok(x.clone());
        }
        let centres = self.kind.centres();
        // While training nobody asks for the scale, and one pass is several times faster.
        let is_fused = centres && math::gradient::is_trained(x);
        let mut y = if is_fused && !pass.wants(self.scale, layer) {
            math::gradient::layer_norm(x, self.eps)?
        } else if math::is_plain(x) {
            self.forward_plain(x, layer, pass)?
        } else {
            let centred = self.centred(x)?; // [.., width]
            let square = centred.sqr()?.mean_keepdim(D::Minus1)?; // [.., 1]
            let scale = pass.at(self.scale, layer, (square + self.eps)?.sqrt()?)?;
            centred.broadcast_div(&scale)?
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

    /// The same in one or two passes over `x`.
    fn forward_plain(&self, x: &Tensor, layer: usize, pass: &mut Pass) -> Step<Tensor> {
        let norm = math::Normalize {
            centres: self.kind.centres(),
            eps: self.eps,
        };
        let scale = match pass.wants(self.scale, layer) {
            true => Some(pass.at(self.scale, layer, norm.scale(x)?)?), // [.., 1]
            false => None,
        };
        match (norm.divide(x, scale.as_ref())?, scale) {
            (Some(y), _) => Ok(y),
            (None, Some(scale)) => Ok(self.centred(x)?.broadcast_div(&scale)?),
            (None, None) => Ok(x.clone()),
        }
    }

    fn centred(&self, x: &Tensor) -> CandleResult<Tensor> {
        match self.kind.centres() {
            true => x.broadcast_sub(&x.mean_keepdim(D::Minus1)?), // [.., width]
            false => Ok(x.clone()),
        }
    }
}
