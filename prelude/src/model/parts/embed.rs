//! Tokens in, logits out.

use super::{Matrix, Sequence};
use crate::error::Result;
use crate::model::arch::On;
use crate::model::config::{Config, Positions};
use crate::model::names::Site;
use crate::model::weights::Weights;
use candle_core::{Result as CandleResult, Tensor};

/// Token embeddings, and learned positional embeddings.
#[derive(Debug)]
pub(crate) struct Embed {
    W_E: Tensor,
    W_pos: Option<Tensor>,
    stands_beside: bool,
}

impl Embed {
    pub(crate) fn new(config: &Config, weights: &Weights) -> Result<Self> {
        Ok(Self {
            W_E: weights.get("embed.W_E", &[config.d_vocab, config.d_model])?,
            W_pos: match config.positions {
                Positions::Learned | Positions::Shortformer => {
                    Some(weights.get("pos_embed.W_pos", &[config.n_ctx, config.d_model])?)
                }
                Positions::Rotary(_) => None,
            },
            stands_beside: config.positions == Positions::Shortformer,
        })
    }

    /// `[batch, pos]` token ids to `[batch, pos, d_model]`.
    pub(crate) fn tokens(&self, tokens: &Tensor) -> CandleResult<Tensor> {
        let (batch, pos) = tokens.dims2()?;
        let rows = self.W_E.index_select(&tokens.flatten_all()?, 0)?; // [batch * pos, d_model]
        rows.reshape((batch, pos, ()))
    }

    /// The embeddings of a sequence's positions, `[batch, pos, d_model]`: 0, 1, ... from the first
    /// real token. Nothing where positions are not learned.
    pub(crate) fn positions(
        &self,
        batch: usize,
        sequence: &Sequence,
    ) -> CandleResult<Option<Tensor>> {
        let Some(W_pos) = &self.W_pos else {
            return Ok(None);
        };
        let (past, pos) = (sequence.past(), sequence.pos());
        let Some(first) = sequence.first() else {
            let rows = W_pos.narrow(0, past, pos)?.unsqueeze(0)?; // [1, pos, d_model]
            return rows.broadcast_as((batch, pos, W_pos.dim(1)?)).map(Some);
        };
        let shifted = first
            .iter()
            .map(|first| {
                let padding = first.saturating_sub(past).min(pos);
                let start = (past + padding).saturating_sub(*first);
                let rows = W_pos.narrow(0, start, pos - padding)?;
                rows.pad_with_zeros(0, padding, 0)
            })
            .collect::<CandleResult<Vec<_>>>()?;
        Tensor::stack(&shifted, 0).map(Some)
    }

    /// Whether positions are not added to the residual stream, but read beside it by queries and keys.
    pub(crate) fn stand_beside(&self) -> bool {
        self.stands_beside
    }

    /// Its hook points, in firing order.
    pub(crate) fn sites(&self) -> Vec<(Site, On)> {
        let mut sites = vec![(Site::Embed, On::Default)];
        if self.W_pos.is_some() {
            sites.push((Site::PosEmbed, On::Default));
        }
        sites
    }
}

/// `x W_U + b_U`: from the residual stream to the vocabulary.
#[derive(Debug)]
pub(crate) struct Unembed {
    /// `[d_model, d_vocab]`; the same memory as `W_E` where the two are tied.
    W_U: Matrix,
    b_U: Option<Tensor>,
    soft_cap: Option<f64>,
}

impl Unembed {
    pub(crate) fn new(config: &Config, weights: &mut Weights) -> Result<Self> {
        let (name, shape) = ("unembed.W_U", [config.d_model, config.d_vocab_out]);
        Ok(Self {
            W_U: match weights.are_tied("embed.W_E", name) {
                true => Matrix::tied(&weights.get(name, &shape)?)?,
                false => Matrix::new(weights, name, shape)?,
            },
            b_U: weights.find("unembed.b_U", &[config.d_vocab_out])?,
            soft_cap: config.output_logits_soft_cap,
        })
    }

    /// Its hook points, in firing order.
    pub(crate) fn sites(&self) -> Vec<(Site, On)> {
        vec![(Site::UnembedIn, On::Asked), (Site::UnembedOut, On::Asked)]
    }

    /// `[batch, pos, d_model]` to `[batch, pos, d_vocab]`.
    pub(crate) fn forward(&self, x: &Tensor) -> CandleResult<Tensor> {
        self.W_U.times(x, self.b_U.as_ref())
    }

    /// `W_U`, without the bias and the cap.
    pub(crate) fn matrix(&self) -> &Matrix {
        &self.W_U
    }

    /// The logits that leave the model: `cap * tanh(logits / cap)` where there is a cap.
    pub(crate) fn cap(&self, logits: Tensor) -> CandleResult<Tensor> {
        match self.soft_cap {
            Some(cap) => (logits / cap)?.tanh()? * cap,
            None => Ok(logits),
        }
    }
}
