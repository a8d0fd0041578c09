//! The two-layer MLP, with a gate or without.

use crate::error::Result;
use crate::math;
use crate::model::arch::On;
use crate::model::config::{Activation, Config};
use crate::model::names::Site;
use crate::model::parts::{Matrix, Norm, NormAt};
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
    W_gate: Option<Matrix>,
    W_in: Matrix,
    b_in: Tensor,
    W_out: Matrix,
    b_out: Tensor,
    activation: Activation,
    /// Behind the activation function.
    ln: Option<Norm>,
}

impl Mlp {
    pub(crate) fn new(config: &Config, weights: &mut Weights, layer: usize) -> Result<Self> {
        let (d_model, d_mlp) = (config.d_model, config.d_mlp);
        let name = |name: &str| format!("blocks.{layer}.mlp.{name}");
        let W_gate = match config.gated_mlp {
            true => Some(Matrix::new(weights, name("W_gate"), [d_model, d_mlp])?),
            false => None,
        };
        Ok(Self {
            W_gate,
            W_in: Matrix::new(weights, name("W_in"), [d_model, d_mlp])?,
            b_in: weights.get(&name("b_in"), &[d_mlp])?,
            W_out: Matrix::new(weights, name("W_out"), [d_mlp, d_model])?,
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
                let pre = self.W_in.times(x, Some(&self.b_in))?; // [batch, pos, d_mlp]
                let pre = pass.at(Site::Pre, layer, pre)?;
                self.activate(&pre)?
            }
            Some(W_gate) => {
                let pre = pass.at(Site::Pre, layer, W_gate.times(x, None)?)?;
                let linear = pass.at(Site::PreLinear, layer, self.W_in.times(x, None)?)?;
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
        let out = self.W_out.times(&post, Some(&self.b_out))?; // [batch, pos, d_model]
        pass.at(Site::MlpHookOut, layer, out)
    }

    fn activate(&self, pre: &Tensor) -> CandleResult<Tensor> {
        match self.activation {
            Activation::GeluNew => math::gelu_new(pre),
            Activation::Gelu => math::gelu(pre),
            Activation::Relu => pre.relu(),
            Activation::Silu => math::silu(pre),
            Activation::Solu | Activation::SoluLn => pre * math::softmax(pre)?,
        }
    }
}
