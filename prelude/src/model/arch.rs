//! Model families: each file is one forward pass that reads like its paper.

mod gemma2;
mod gpt2;
mod gpt_neox;
mod llama;

use super::config::{Architecture, Config};
use super::filter::Offered;
use super::names::{HookPoint, Site};
use super::padded::Padded;
use super::parts::AttentionMask;
use super::pass::{Pass, Step};
use super::weights::Weights;
use crate::error::Result;
use candle_core::Tensor;
use std::fmt::Debug;

/// The forward pass of a family, cut where a run may start or stop.
///
/// To add a family: a variant of [`Architecture`], a file here that implements this trait, a line
/// in [`build`], its config and weight names under `load/`, and a row in the table of names.
pub(crate) trait Network: Debug + Send + Sync {
    /// `[batch, pos]` token ids to the first residual stream, `[batch, pos, d_model]`.
    fn embed(&self, tokens: &Padded, pass: &mut Pass) -> Step<Tensor>;

    /// One block: `[batch, pos, d_model]` to the same shape.
    fn block(
        &self,
        layer: usize,
        residual: Tensor,
        mask: &AttentionMask,
        pass: &mut Pass,
    ) -> Step<Tensor>;

    /// The final norm: `[batch, pos, d_model]` to the same shape.
    fn final_norm(&self, residual: Tensor, pass: &mut Pass) -> Step<Tensor>;

    /// The logits, `[batch, pos, d_vocab]`.
    fn unembed(&self, normalized: Tensor, pass: &mut Pass) -> Step<Tensor>;

    /// The points of one block, in firing order, and those of them that are opt-in.
    fn block_sites(&self) -> &'static [(Site, On)];

    /// The points after the last block, in firing order.
    fn final_sites(&self) -> &'static [(Site, On)];

    /// The points before the first block, in firing order.
    fn embed_sites(&self) -> &'static [(Site, On)];
}

/// When a hook point is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum On {
    /// In every run that asks for everything.
    Default,
    /// Only in runs that ask for it by name.
    Asked,
}

/// The network of a config, out of weights in TransformerLens's names.
///
/// Where a part keeps its weights in another layout, `weights` afterwards holds views of that
/// layout, so that nothing is in memory twice.
///
/// # Errors
/// A weight is missing or has the wrong shape.
pub(crate) fn build(config: &Config, weights: &mut Weights) -> Result<Box<dyn Network>> {
    match config.architecture {
        // GPT-Neo (Black et al. 2021) differs in its config only: scores are not divided, and every
        // other layer has a window.
        Architecture::Gpt2 | Architecture::GptNeo => {
            Ok(Box::new(gpt2::Gpt2::new(config, weights)?))
        }
        Architecture::GptNeoX => Ok(Box::new(gpt_neox::GptNeoX::new(config, weights)?)),
        Architecture::Llama | Architecture::Gemma => {
            Ok(Box::new(llama::Llama::new(config, weights)?))
        }
        Architecture::Gemma2 => Ok(Box::new(gemma2::Gemma2::new(config, weights)?)),
    }
}

/// All hook points of a network, in firing order.
///
/// `switched_on` are the opt-in sites that count as default ones.
pub(crate) fn offered(network: &dyn Network, n_layers: usize, switched_on: &[Site]) -> Offered {
    let mut offered = Offered {
        by_default: Vec::new(),
        opt_in: Vec::new(),
        n_layers,
    };
    let mut offer = |sites: &[(Site, On)], layer: usize| {
        for (site, on) in sites {
            let point = HookPoint::new(*site, layer);
            if *on == On::Default || switched_on.contains(site) {
                offered.by_default.push(point);
            } else {
                offered.opt_in.push(point);
            }
        }
    };
    offer(network.embed_sites(), 0);
    (0..n_layers).for_each(|layer| offer(network.block_sites(), layer));
    offer(network.final_sites(), 0);
    offered
}
