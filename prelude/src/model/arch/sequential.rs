//! Attention, then the MLP, each behind its own norm: most families.
//!
//! GPT-2 (Radford et al. 2019): LayerNorm, learned positions. GPT-Neo (Black et al. 2021): scores are not
//! divided, and every other layer has a window. Llama (Touvron et al. 2023, arXiv 2302.13971 and
//! 2307.09288): RMSNorm, rotary positions, a gated MLP, keys and values that query heads share. Mistral
//! (arXiv 2310.06825) looks back over a window, Qwen2 (arXiv 2407.10671) has biases on queries, keys and
//! values, Qwen3 (arXiv 2505.09388) norms on queries and keys, Gemma (arXiv 2403.08295) scaled embeddings.
//! In SoLU models (Elhage et al. 2022) the MLP has a norm inside. The parts know all that from the config.

use super::{Block, On};
use crate::error::Result;
use crate::model::config::Config;
use crate::model::names::Site;
use crate::model::parts::{Attention, AttentionInput, Mlp, Norm, NormAt, Sequence};
use crate::model::pass::{Pass, Step};
use crate::model::weights::Weights;
use candle_core::Tensor;

#[derive(Debug)]
pub(super) struct Sequential {
    ln1: Norm,
    attn: Attention,
    ln2: Norm,
    mlp: Mlp,
}

impl Sequential {
    pub(super) fn new(config: &Config, weights: &mut Weights, layer: usize) -> Result<Self> {
        Ok(Self {
            ln1: Norm::new(config, weights, NormAt::Ln1, layer)?,
            attn: Attention::new(config, weights, layer)?,
            ln2: Norm::new(config, weights, NormAt::Ln2, layer)?,
            mlp: Mlp::new(config, weights, layer)?,
        })
    }
}

impl Block for Sequential {
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
        let resid_mid = (resid_pre + attn_out)?;
        let resid_mid = pass.at(Site::ResidMid, layer, resid_mid)?; // [batch, pos, d_model]

        let mlp_in = pass.at(Site::MlpIn, layer, resid_mid.clone())?; // [batch, pos, d_model]
        let mlp_in = self.ln2.forward(&mlp_in, layer, pass)?;
        let mlp_out = self.mlp.forward(&mlp_in, layer, pass)?;
        let mlp_out = pass.at(Site::MlpOut, layer, mlp_out)?; // [batch, pos, d_model]
        let resid_post = (resid_mid + mlp_out)?;
        pass.at(Site::ResidPost, layer, resid_post) // [batch, pos, d_model]
    }

    fn sites(&self) -> Vec<(Site, On)> {
        let mut sites = vec![(Site::ResidPre, On::Default)];
        sites.extend(AttentionInput::sites());
        sites.extend(self.ln1.sites());
        sites.extend(self.attn.sites());
        sites.push((Site::AttnOut, On::Default));
        sites.push((Site::ResidMid, On::Default));
        sites.push((Site::MlpIn, On::Asked));
        sites.extend(self.ln2.sites());
        sites.extend(self.mlp.sites());
        sites.push((Site::MlpOut, On::Default));
        sites.push((Site::ResidPost, On::Default));
        sites
    }
}
