//! Llama: RMSNorm before attention and MLP, rotary positions, gated MLP, keys and values that query
//! heads share.
//!
//! Source: Touvron et al. 2023 (arXiv 2302.13971 and 2307.09288). Mistral (arXiv 2310.06825) looks back
//! over a window, Qwen2 (arXiv 2407.10671) has biases on queries, keys and values, and Gemma (arXiv
//! 2403.08295) scales embeddings, which its loader does: their forward pass is this one. Hook points
//! have TransformerLens's names, shapes and order.

use super::{Network, On};
use crate::error::Result;
use crate::model::config::Config;
use crate::model::names::Site;
use crate::model::padded::Padded;
use crate::model::parts::{Attention, AttentionInput, AttentionMask, Embed, Mlp, Norm, Unembed};
use crate::model::pass::{Pass, Step};
use crate::model::weights::Weights;
use candle_core::Tensor;

#[derive(Debug)]
pub(super) struct Llama {
    embed: Embed,
    blocks: Vec<Block>,
    ln_final: Norm,
    unembed: Unembed,
}

#[derive(Debug)]
struct Block {
    ln1: Norm,
    attn: Attention,
    ln2: Norm,
    mlp: Mlp,
}

impl Llama {
    pub(super) fn new(config: &Config, weights: &mut Weights) -> Result<Self> {
        let embed = Embed::new(config, weights)?;
        let blocks = (0..config.n_layers)
            .map(|layer| Block::new(config, weights, layer))
            .collect::<Result<_>>()?;
        let sites = [Site::LnFinalScale, Site::LnFinalNormalized];
        let ln_final = Norm::new(config, weights, "ln_final", sites)?;
        Ok(Self {
            embed,
            blocks,
            ln_final,
            unembed: Unembed::new(config, weights)?,
        })
    }
}

impl Block {
    fn new(config: &Config, weights: &mut Weights, layer: usize) -> Result<Self> {
        let ln1 = [Site::Ln1Scale, Site::Ln1Normalized];
        let ln2 = [Site::Ln2Scale, Site::Ln2Normalized];
        Ok(Self {
            ln1: Norm::new(config, weights, &format!("blocks.{layer}.ln1"), ln1)?,
            attn: Attention::new(config, weights, layer)?,
            ln2: Norm::new(config, weights, &format!("blocks.{layer}.ln2"), ln2)?,
            mlp: Mlp::new(config, weights, layer)?,
        })
    }
}

impl Network for Llama {
    fn embed(&self, tokens: &Padded, pass: &mut Pass) -> Step<Tensor> {
        let embed = self.embed.tokens(&tokens.tokens)?; // [batch, pos, d_model]
        pass.at(Site::Embed, 0, embed)
    }

    fn block(
        &self,
        layer: usize,
        residual: Tensor,
        mask: &AttentionMask,
        pass: &mut Pass,
    ) -> Step<Tensor> {
        let Block {
            ln1,
            attn,
            ln2,
            mlp,
        } = &self.blocks[layer];
        let resid_pre = pass.at(Site::ResidPre, layer, residual)?; // [batch, pos, d_model]

        let attn_in = AttentionInput::new(&resid_pre, ln1, attn, layer, pass)?;
        let attn_out = attn.forward(&attn_in, mask, layer, pass)?;
        let attn_out = pass.at(Site::AttnOut, layer, attn_out)?; // [batch, pos, d_model]
        let resid_mid = (resid_pre + attn_out)?;
        let resid_mid = pass.at(Site::ResidMid, layer, resid_mid)?; // [batch, pos, d_model]

        let mlp_in = pass.at(Site::MlpIn, layer, resid_mid.clone())?; // [batch, pos, d_model]
        let mlp_in = ln2.forward(&mlp_in, layer, pass)?;
        let mlp_out = mlp.forward(&mlp_in, layer, pass)?;
        let mlp_out = pass.at(Site::MlpOut, layer, mlp_out)?; // [batch, pos, d_model]
        let resid_post = (resid_mid + mlp_out)?;
        pass.at(Site::ResidPost, layer, resid_post) // [batch, pos, d_model]
    }

    fn final_norm(&self, residual: Tensor, pass: &mut Pass) -> Step<Tensor> {
        self.ln_final.forward(&residual, 0, pass) // [batch, pos, d_model]
    }

    fn unembed(&self, normalized: Tensor, pass: &mut Pass) -> Step<Tensor> {
        let normalized = pass.at(Site::UnembedIn, 0, normalized)?; // [batch, pos, d_model]
        let logits = self.unembed.forward(&normalized)?; // [batch, pos, d_vocab]
        pass.at(Site::UnembedOut, 0, logits)
    }

    fn embed_sites(&self) -> &'static [(Site, On)] {
        &[(Site::Embed, On::Default)]
    }

    fn block_sites(&self) -> &'static [(Site, On)] {
        &[
            (Site::ResidPre, On::Default),
            (Site::AttnIn, On::Asked),
            (Site::QInput, On::Asked),
            (Site::KInput, On::Asked),
            (Site::VInput, On::Asked),
            (Site::Ln1Scale, On::Default),
            (Site::Ln1Normalized, On::Default),
            (Site::Q, On::Default),
            (Site::K, On::Default),
            (Site::V, On::Default),
            (Site::RotQ, On::Default),
            (Site::RotK, On::Default),
            (Site::AttnScores, On::Default),
            (Site::Pattern, On::Default),
            (Site::Z, On::Default),
            (Site::Result, On::Asked),
            (Site::AttnOut, On::Default),
            (Site::ResidMid, On::Default),
            (Site::MlpIn, On::Asked),
            (Site::Ln2Scale, On::Default),
            (Site::Ln2Normalized, On::Default),
            (Site::Pre, On::Default),
            (Site::PreLinear, On::Default),
            (Site::Post, On::Default),
            (Site::MlpOut, On::Default),
            (Site::ResidPost, On::Default),
        ]
    }

    fn final_sites(&self) -> &'static [(Site, On)] {
        &[
            (Site::LnFinalScale, On::Default),
            (Site::LnFinalNormalized, On::Default),
            (Site::UnembedIn, On::Asked),
            (Site::UnembedOut, On::Asked),
        ]
    }
}
