//! What a model is between its tokens and its logits: a stack of blocks of one kind. Each file here is
//! one kind of block, and reads like the papers of the families that are made of it.

mod attention_only;
mod parallel;
mod sandwich;
mod sequential;

use super::config::Config;
use super::filter::Offered;
use super::names::{HookPoint, Site};
use super::padded::Padded;
use super::parts::{Embed, Matrix, Norm, NormAt, Sequence, Unembed};
use super::pass::{Pass, Step};
use super::weights::Weights;
use crate::error::Result;
use candle_core::Tensor;
use std::fmt::Debug;

/// One block of a model: `[batch, pos, d_model]` to the same shape.
///
/// To add a family whose blocks differ from all of these: a file here that implements this trait, and
/// a line in [`Network::new`]. To add any other: its config and weight names under `load/`, and a row
/// in the table of names.
trait Block: Debug + Send + Sync {
    fn forward(
        &self,
        layer: usize,
        residual: Tensor,
        sequence: &mut Sequence,
        pass: &mut Pass,
    ) -> Step<Tensor>;

    /// The hook points of the block, in firing order.
    fn sites(&self) -> Vec<(Site, On)>;
}

/// When a hook point is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum On {
    /// In every run that asks for everything.
    Default,
    /// Only in runs that ask for it by name.
    Asked,
}

/// A model's forward pass, cut where a run may start or stop.
#[derive(Debug)]
pub(crate) struct Network {
    embed: Embed,
    blocks: Vec<Box<dyn Block>>,
    ln_final: Norm,
    unembed: Unembed,
}

impl Network {
    /// The network of a config, out of weights in TransformerLens's names.
    ///
    /// Where a part keeps its weights in another layout, `weights` afterwards holds views of that
    /// layout, so that nothing is in memory twice.
    ///
    /// # Errors
    /// A weight is missing or has the wrong shape.
    pub(crate) fn new(config: &Config, weights: &mut Weights) -> Result<Self> {
        let embed = Embed::new(config, weights)?;
        let block = |layer: usize| -> Result<Box<dyn Block>> {
            Ok(if config.attn_only {
                Box::new(attention_only::AttentionOnly::new(config, weights, layer)?)
            } else if config.use_normalization_before_and_after {
                Box::new(sandwich::Sandwich::new(config, weights, layer)?)
            } else if config.parallel_attn_mlp {
                Box::new(parallel::Parallel::new(config, weights, layer)?)
            } else {
                Box::new(sequential::Sequential::new(config, weights, layer)?)
            })
        };
        let blocks = (0..config.n_layers).map(block).collect::<Result<_>>()?;
        Ok(Self {
            embed,
            blocks,
            ln_final: Norm::new(config, weights, NormAt::LnFinal, 0)?,
            unembed: Unembed::new(config, weights)?,
        })
    }

    /// The unembedding, `[d_model, d_vocab]`.
    pub(crate) fn unembedding(&self) -> &Matrix {
        self.unembed.matrix()
    }

    /// `[batch, pos]` token ids to the first residual stream, `[batch, pos, d_model]`.
    pub(crate) fn embed(
        &self,
        prompt: &Padded,
        sequence: &mut Sequence,
        pass: &mut Pass,
    ) -> Step<Tensor> {
        let embed = self.embed.tokens(&prompt.tokens)?; // [batch, pos, d_model]
        let embed = pass.at(Site::Embed, 0, embed)?;
        let Some(pos_embed) = self.embed.positions(embed.dim(0)?, sequence)? else {
            return Ok(embed);
        };
        let pos_embed = pass.at(Site::PosEmbed, 0, pos_embed)?; // [batch, pos, d_model]
        if self.embed.stand_beside() {
            sequence.set_beside(pos_embed);
            return Ok(embed);
        }
        Ok((embed + pos_embed)?)
    }

    /// What blocks need beside a residual stream that did not come from [`Network::embed`].
    pub(crate) fn prepare(&self, batch: usize, sequence: &mut Sequence) -> Result<()> {
        if self.embed.stand_beside()
            && let Some(pos_embed) = self.embed.positions(batch, sequence)?
        {
            sequence.set_beside(pos_embed);
        }
        Ok(())
    }

    /// One block: `[batch, pos, d_model]` to the same shape.
    pub(crate) fn block(
        &self,
        layer: usize,
        residual: Tensor,
        sequence: &mut Sequence,
        pass: &mut Pass,
    ) -> Step<Tensor> {
        self.blocks[layer].forward(layer, residual, sequence, pass)
    }

    /// The final norm: `[batch, pos, d_model]` to the same shape.
    pub(crate) fn final_norm(&self, residual: Tensor, pass: &mut Pass) -> Step<Tensor> {
        self.ln_final.forward(&residual, 0, pass)
    }

    /// The logits, `[batch, pos, d_vocab]`.
    pub(crate) fn unembed(&self, normalized: Tensor, pass: &mut Pass) -> Step<Tensor> {
        let normalized = pass.at(Site::UnembedIn, 0, normalized)?; // [batch, pos, d_model]
        let logits = self.unembed.forward(&normalized)?; // [batch, pos, d_vocab]
        let logits = pass.at(Site::UnembedOut, 0, logits)?;
        Ok(self.unembed.cap(logits)?)
    }

    /// All hook points, in firing order. `switched_on` are the opt-in sites that count as default
    /// ones.
    pub(crate) fn offered(&self, switched_on: &[Site]) -> Offered {
        let mut offered = Offered {
            by_default: Vec::new(),
            opt_in: Vec::new(),
            n_layers: self.blocks.len(),
        };
        let mut offer = |sites: Vec<(Site, On)>, layer: usize| {
            for (site, on) in sites {
                let point = HookPoint::new(site, layer);
                if on == On::Default || switched_on.contains(&site) {
                    offered.by_default.push(point);
                } else {
                    offered.opt_in.push(point);
                }
            }
        };
        offer(self.embed.sites(), 0);
        for (layer, block) in self.blocks.iter().enumerate() {
            offer(block.sites(), layer);
        }
        offer(self.ln_final.sites(), 0);
        offer(self.unembed.sites(), 0);
        offered
    }
}
