//! Attention and nothing else: the attn-only models of Elhage et al. 2021 ("A Mathematical Framework
//! for Transformer Circuits"). In the older of them positions go beside the residual stream, to queries
//! and keys only (shortformer, Press et al. 2021, arXiv 2012.15832).

use super::{Block, On};
use crate::error::Result;
use crate::model::config::Config;
use crate::model::names::Site;
use crate::model::parts::{Attention, AttentionInput, Norm, NormAt, Sequence};
use crate::model::pass::{Pass, Step};
use crate::model::weights::Weights;
use candle_core::Tensor;

#[derive(Debug)]
pub(super) struct AttentionOnly {
    ln1: Norm,
    attn: Attention,
}

impl AttentionOnly {
    pub(super) fn new(config: &Config, weights: &mut Weights, layer: usize) -> Result<Self> {
        Ok(Self {
            ln1: Norm::new(config, weights, NormAt::Ln1, layer)?,
            attn: Attention::new(config, weights, layer)?,
        })
    }
}

impl Block for AttentionOnly {
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
        let resid_post = (resid_pre + attn_out)?;
        pass.at(Site::ResidPost, layer, resid_post) // [batch, pos, d_model]
    }

    fn sites(&self) -> Vec<(Site, On)> {
        let mut sites = vec![(Site::ResidPre, On::Default)];
        sites.extend(AttentionInput::sites());
        sites.extend(self.ln1.sites());
        sites.extend(self.attn.sites());
        sites.push((Site::AttnOut, On::Default));
        sites.push((Site::ResidPost, On::Default));
        sites
    }
}
