//! The two-layer MLP, with a gate or without.

use crate::error::Result;
use crate::math;
use crate::model::arch::On;
use crate::model::config::{Activation, Config};
use crate::model::names::Site;
use crate::model::parts::{Norm, NormAt, fast_layout, linear};
use crate::model::pass::{Pass, Step};
use crate::model::weights::Weights;
use candle_core::{Result as CandleResult, Tensor};

/// `act(x W_in + b_in) W_out + b_out`, or with a gate `(act(x W_gate) * (x W_in) + b_in) W_out + b_out`.
///
/// Behind SoLU, `x softmax(x)`, there is a norm: `ln(solu(x W_in + b_in)) W_out + b_out`.
///
/// Source of the gate: Shazeer 2020 (arXiv 2002.05202), of SoLU: Elhage et al. 2022
/// (transformer-circuits.pub/2022/solu); hook points as in TransformerLens, where `hook_pre` is what the
/// activation function reads.
#[derive(Debug)]
pub(crate) struct Mlp {
    W_gate: Option<Tensor>,
    W_in: Tensor,
    b_in: Tensor,
    W_out: Tensor,
    b_out: Tensor,
    activation: Activation,
    /// Behind the activation function.
    ln: Option<Norm>,
}

impl Mlp {
    pub(crate) fn new(config: &Config, weights: &mut Weights, layer: usize) -> Result<Self> {
        let (d_model, d_mlp) = (config.d_model, config.d_mlp);
        let name = |name: &str| format!("blocks.{layer}.mlp.{name}");
        let W_in = fast_layout(&weights.get(&name("W_in"), &[d_model, d_mlp])?)?;
        let W_out = fast_layout(&weights.get(&name("W_out"), &[d_mlp, d_model])?)?;
        weights.set(name("W_in"), W_in.clone());
        weights.set(name("W_out"), W_out.clone());
        let W_gate = match config.gated_mlp {
            true => {
                let W_gate = fast_layout(&weights.get(&name("W_gate"), &[d_model, d_mlp])?)?;
                weights.set(name("W_gate"), W_gate.clone());
                Some(W_gate)
            }
            false => None,
        };
        Ok(Self {
            W_gate,
            W_in,
            b_in: weights.get(&name("b_in"), &[d_mlp])?,
            W_out,
            b_out: weights.get(&name("b_out"), &[d_model])?,
            activation: config.activation,
            ln: match config.activation {
                Activation::SoluLn => Some(Norm::new(config, weights, NormAt::InsideMlp, layer)?),
                _ => None,
            },
        })
    }

    /// Its hook points, in firing order.
    pub(crate) fn sites(&self) -> Vec<(Site, On)> {
        let mut sites = vec![(Site::MlpHookIn, On::Asked), (Site::Pre, On::Default)];
        if self.W_gate.is_some() {
            sites.push((Site::PreLinear, On::Default));
        }
        if let Some(ln) = &self.ln {
            sites.push((Site::Mid, On::Default));
            sites.extend(ln.sites());
        }
        sites.push((Site::Post, On::Default));
        sites.push((Site::MlpHookOut, On::Asked));
        sites
    }

    /// `[batch, pos, d_model]` to the same shape.
    pub(crate) fn forward(&self, x: &Tensor, layer: usize, pass: &mut Pass) -> Step<Tensor> {
        let x = &pass.at(Site::MlpHookIn, layer, x.clone())?; // [batch, pos, d_model]
        let post = match &self.W_gate {
            None => {
                let pre = linear(x, &self.W_in, Some(&self.b_in))?; // [batch, pos, d_mlp]
                let pre = pass.at(Site::Pre, layer, pre)?;
                self.activate(&pre)?
            }
            Some(W_gate) => {
                let pre = pass.at(Site::Pre, layer, linear(x, W_gate, None)?)?;
                let linear = pass.at(Site::PreLinear, layer, linear(x, &self.W_in, None)?)?;
                (self.activate(&pre)? * linear)?.broadcast_add(&self.b_in)?
            }
        };
        let post = match &self.ln {
            None => post,
            Some(ln) => {
                let mid = pass.at(Site::Mid, layer, post)?; // [batch, pos, d_mlp]
                ln.forward(&mid, layer, pass)?
            }
        };
        let post = pass.at(Site::Post, layer, post)?;
        let out = linear(&post, &self.W_out, Some(&self.b_out))?; // [batch, pos, d_model]
        pass.at(Site::MlpHookOut, layer, out)
    }

    fn activate(&self, pre: &Tensor) -> CandleResult<Tensor> {
        match self.activation {
            Activation::GeluNew => math::gelu_new(pre),
            Activation::Gelu => pre.gelu_erf(),
            Activation::Relu => pre.relu(),
            Activation::Silu => pre.silu(),
            Activation::Solu | Activation::SoluLn => pre * math::softmax(pre)?,
        }
    }
}
