//! Attention and the MLP side by side: both read the residual stream as it comes into the block.
//!
//! GPT-NeoX (Black et al. 2022, arXiv 2204.06745) and Pythia (Biderman et al. 2023, arXiv 2304.01373),
//! with rotary positions on a part of each head. There is no `hook_resid_mid`.

use super::{Block, On};
use crate::error::Result;
use crate::model::config::Config;
use crate::model::names::Site;
use crate::model::parts::{Attention, AttentionInput, Mlp, Norm, NormAt, Sequence};
use crate::model::pass::{Pass, Step};
use crate::model::weights::Weights;
use candle_core::Tensor;

#[derive(Debug)]
pub(super) struct Parallel {
    ln1: Norm,
    attn: Attention,
    ln2: Norm,
    mlp: Mlp,
}

impl Parallel {
    pub(super) fn new(config: &Config, weights: &mut Weights, layer: usize) -> Result<Self> {
        Ok(Self {
            ln1: Norm::new(config, weights, NormAt::Ln1, layer)?,
            attn: Attention::new(config, weights, layer)?,
            ln2: Norm::new(config, weights, NormAt::Ln2, layer)?,
            mlp: Mlp::new(config, weights, layer)?,
        })
    }
}

impl Block for Parallel {
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
        let attn_out = pass.at(Site::AttnOut, layer, attn_out)?; // [batch, pos, d_model]

        let mlp_in = pass.at(Site::MlpIn, layer, resid_pre.clone())?; // [batch, pos, d_model]
        let mlp_in = self.ln2.forward(&mlp_in, layer, pass)?;
        let mlp_out = self.mlp.forward(&mlp_in, layer, pass)?;
        let mlp_out = pass.at(Site::MlpOut, layer, mlp_out)?; // [batch, pos, d_model]

        let resid_post = ((resid_pre + attn_out)? + mlp_out)?;
        pass.at(Site::ResidPost, layer, resid_post) // [batch, pos, d_model]
    }

    fn sites(&self) -> Vec<(Site, On)> {
        let mut sites = vec![(Site::ResidPre, On::Default)];
        sites.extend(AttentionInput::sites());
        sites.extend(self.ln1.sites());
        sites.extend(self.attn.sites());
        sites.push((Site::AttnOut, On::Default));
        sites.push((Site::MlpIn, On::Asked));
        sites.extend(self.ln2.sites());
        sites.extend(self.mlp.sites());
        sites.push((Site::MlpOut, On::Default));
        sites.push((Site::ResidPost, On::Default));
        sites
    }
}
