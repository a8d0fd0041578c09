//! The two-layer MLP.

use crate::error::Result;
use crate::math;
use crate::model::config::{Activation, Config};
use crate::model::names::Site;
use crate::model::parts::{fast_layout, linear};
use crate::model::pass::{Pass, Step};
use crate::model::weights::Weights;
use candle_core::Tensor;

/// `act(x W_in + b_in) W_out + b_out`.
#[derive(Debug)]
pub(crate) struct Mlp {
    W_in: Tensor,
    b_in: Tensor,
    W_out: Tensor,
    b_out: Tensor,
    activation: Activation,
}

impl Mlp {
    pub(crate) fn new(config: &Config, weights: &mut Weights, layer: usize) -> Result<Self> {
        let (d_model, d_mlp) = (config.d_model, config.d_mlp);
        let name = |name: &str| format!("blocks.{layer}.mlp.{name}");
        let W_in = fast_layout(&weights.get(&name("W_in"), &[d_model, d_mlp])?)?;
        let W_out = fast_layout(&weights.get(&name("W_out"), &[d_mlp, d_model])?)?;
        weights.set(name("W_in"), W_in.clone());
        weights.set(name("W_out"), W_out.clone());
        Ok(Self {
            W_in,
            b_in: weights.get(&name("b_in"), &[d_mlp])?,
            W_out,
            b_out: weights.get(&name("b_out"), &[d_model])?,
            activation: config.activation,
        })
    }

    /// `[batch, pos, d_model]` to the same shape.
    pub(crate) fn forward(&self, x: &Tensor, layer: usize, pass: &mut Pass) -> Step<Tensor> {
        let pre = linear(x, &self.W_in, Some(&self.b_in))?; // [batch, pos, d_mlp]
        let pre = pass.at(Site::Pre, layer, pre)?;
        let post = match self.activation {
            Activation::GeluNew => math::gelu_new(&pre)?,
            Activation::Gelu => pre.gelu_erf()?,
            Activation::Relu => pre.relu()?,
            Activation::Silu => pre.silu()?,
        };
        let post = pass.at(Site::Post, layer, post)?;
        Ok(linear(&post, &self.W_out, Some(&self.b_out))?)
    }
}
