//! Attention, then the MLP, each between two norms.
//!
//! Gemma 2 (Gemma team 2024, arXiv 2408.00118), with a soft cap on scores and on logits, and a window in
//! every other layer. `hook_attn_out` and `hook_mlp_out` come behind the second norm, as what is added
//! to the residual stream.

use super::{Block, On};
use crate::error::Result;
use crate::model::config::Config;
use crate::model::names::Site;
use crate::model::parts::{Attention, AttentionInput, Mlp, Norm, NormAt, Sequence};
use crate::model::pass::{Pass, Step};
use crate::model::weights::Weights;
use candle_core::Tensor;

#[derive(Debug)]
pub(super) struct Sandwich {
    ln1: Norm,
    attn: Attention,
    ln1_post: Norm,
    ln2: Norm,
    mlp: Mlp,
    ln2_post: Norm,
}

impl Sandwich {
    pub(super) fn new(config: &Config, weights: &mut Weights, layer: usize) -> Result<Self> {
        Ok(Self {
            ln1: Norm::new(config, weights, NormAt::Ln1, layer)?,
            attn: Attention::new(config, weights, layer)?,
            ln1_post: Norm::new(config, weights, NormAt::Ln1Post, layer)?,
            ln2: Norm::new(config, weights, NormAt::Ln2, layer)?,
            mlp: Mlp::new(config, weights, layer)?,
            ln2_post: Norm::new(config, weights, NormAt::Ln2Post, layer)?,
        })
    }
}

impl Block for Sandwich {
    fn forward(
        &self,
        layer: usize,
        residual: Tensor,
        sequence: &mut Sequence,
        pass: &mut Pass,
    ) -> Step<Tensor> {
        let resid_pre = pass.at(Site::ResidPre, layer, residual)?; // [batch, pos, d_model]

        let attn_in = AttentionInput::new(&resid_pre, &self.ln1, &self.attn, layer, pass)?;
        let attn_out = self.attn.forward(&attn_in, sequence, layer, pass)?;
        let attn_out = self.ln1_post.forward(&attn_out, layer, pass)?;
        let attn_out = pass.at(Site::AttnOut, layer, attn_out)?; // [batch, pos, d_model]
        let resid_mid = (resid_pre + attn_out)?;
        let resid_mid = pass.at(Site::ResidMid, layer, resid_mid)?; // [batch, pos, d_model]

        let mlp_in = pass.at(Site::MlpIn, layer, resid_mid.clone())?; // [batch, pos, d_model]
        let mlp_in = self.ln2.forward(&mlp_in, layer, pass)?;
        let mlp_out = self.mlp.forward(&mlp_in, layer, pass)?;
        let mlp_out = self.ln2_post.forward(&mlp_out, layer, pass)?;
        let mlp_out = pass.at(Site::MlpOut, layer, mlp_out)?; // [batch, pos, d_model]
        let resid_post = (resid_mid + mlp_out)?;
        pass.at(Site::ResidPost, layer, resid_post) // [batch, pos, d_model]
    }

    fn sites(&self) -> Vec<(Site, On)> {
        let mut sites = vec![(Site::ResidPre, On::Default)];
        sites.extend(AttentionInput::sites());
        sites.extend(self.ln1.sites());
        sites.extend(self.attn.sites());
        sites.extend(self.ln1_post.sites());
        sites.push((Site::AttnOut, On::Default));
        sites.push((Site::ResidMid, On::Default));
        sites.push((Site::MlpIn, On::Asked));
        sites.extend(self.ln2.sites());
        sites.extend(self.mlp.sites());
        sites.extend(self.ln2_post.sites());
        sites.push((Site::MlpOut, On::Default));
        sites.push((Site::ResidPost, On::Default));
        sites
    }
}
