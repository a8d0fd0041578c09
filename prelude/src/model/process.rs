//! Rewrites weights without changing probabilities, so that they are easier to read.
//!
//! Source: TransformerLens's `load_and_process_state_dict`; the order is its order.

use super::config::{Config, Normalization, Positions};
use super::weights::Weights;
use crate::error::{Error, Result};
use candle_core::{D, Tensor};

/// Which rewritings to do; nothing: where they apply.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Processing {
    pub(crate) fold_ln: Option<bool>,
    pub(crate) center_writing_weights: Option<bool>,
    pub(crate) center_unembed: Option<bool>,
    pub(crate) fold_value_biases: Option<bool>,
}

impl Processing {
    pub(crate) const ALL: Self = Self::each(None);
    pub(crate) const NONE: Self = Self::each(Some(false));

    const fn each(on: Option<bool>) -> Self {
        Self {
            fold_ln: on,
            center_writing_weights: on,
            center_unembed: on,
            fold_value_biases: on,
        }
    }
}

/// Rewrites the weights of a model, and its config where the rewriting changes a norm.
///
/// # Errors
/// A weight is missing, or a rewriting was asked for that would change what the model predicts.
pub(crate) fn process(
    config: &mut Config,
    weights: &mut Weights,
    processing: Processing,
) -> Result<()> {
    let centres = config.normalization.centres();
    let center_writing_weights = wanted(processing.center_writing_weights, centres, || {
        format!(
            "`center_writing_weights` would change what {} predicts: its norms are RMSNorm, which \
             does not subtract the mean. Leave it out.",
            config.model_name
        )
    })?;
    let has_no_cap = config.output_logits_soft_cap.is_none();
    let center_unembed = wanted(processing.center_unembed, has_no_cap, || {
        format!(
            "`center_unembed` would change what {} predicts: it has a soft cap on its logits, which \
             softmax does not undo. Leave it out.",
            config.model_name
        )
    })?;
    if processing.fold_ln.unwrap_or(true) {
        fold_norms(config, weights)?;
    }
    if center_writing_weights {
        self::center_writing_weights(config, weights)?;
    }
    if center_unembed {
        self::center_unembed(weights)?;
    }
    if processing.fold_value_biases.unwrap_or(true) {
        fold_value_biases(config, weights, center_writing_weights)?;
    }
    Ok(())
}

/// Whether to do a rewriting that applies only to some models.
fn wanted(asked: Option<bool>, applies: bool, reason: impl FnOnce() -> String) -> Result<bool> {
    match asked {
        Some(true) if !applies => Err(Error::new(reason())),
        Some(on) => Ok(on),
        None => Ok(applies),
    }
}

/// `norm(x) W + b` with the norm's `w` and `b` moved into `W` and `b`, and `W` centred over what it
/// reads where the norm has centred that.
fn fold_norms(config: &mut Config, weights: &mut Weights) -> Result<()> {
    let folded = match config.normalization {
        Normalization::LayerNorm => Normalization::LayerNormPre,
        Normalization::Rms => Normalization::RmsPre,
        Normalization::LayerNormPre | Normalization::RmsPre => return Ok(()),
    };
    for layer in 0..config.n_layers {
        let name = |name: &str| format!("blocks.{layer}.{name}");
        let ln1 = Folded::take(weights, &name("ln1"), config.normalization)?;
        for which in ["Q", "K", "V"] {
            let weight = name(&format!("attn.W_{which}"));
            let bias = name(&format!("attn.b_{which}"));
            let matrix = weights.any(&weight)?; // [head, d_model, d_head]
            if let Some(through) = ln1.through(&matrix)? {
                weights.set(bias.as_str(), (weights.any(&bias)? + through)?); // [head, d_head]
            }
            weights.set(weight, ln1.applied_to(&matrix)?);
        }

        let ln2 = Folded::take(weights, &name("ln2"), config.normalization)?;
        let matrix = weights.any(&name("mlp.W_in"))?; // [d_model, d_mlp]
        if let Some(through) = ln2.through(&matrix)? {
            weights.set(
                name("mlp.b_in"),
                (weights.any(&name("mlp.b_in"))? + through)?,
            );
        }
        weights.set(name("mlp.W_in"), ln2.applied_to(&matrix)?);
        if config.gated_mlp {
            let matrix = weights.any(&name("mlp.W_gate"))?; // [d_model, d_mlp]
            weights.set(name("mlp.W_gate"), ln2.applied_to(&matrix)?);
        }
    }

    let ln_final = Folded::take(weights, "ln_final", config.normalization)?;
    let matrix = weights.any("unembed.W_U")?.t()?.contiguous()?; // [d_vocab, d_model]
    if let Some(b) = &ln_final.b {
        let through = matrix.matmul(&b.unsqueeze(1)?)?.squeeze(1)?; // [d_vocab]
        let bias = match weights.find("unembed.b_U", &[config.d_vocab])? {
            Some(bias) => (bias + through)?,
            None => through,
        };
        weights.set("unembed.b_U", bias);
    }
    let mut matrix = matrix.broadcast_mul(&ln_final.w)?;
    if ln_final.centres {
        matrix = matrix.broadcast_sub(&matrix.mean_keepdim(D::Minus1)?)?;
    }
    weights.set("unembed.W_U", matrix.t()?); // [d_model, d_vocab]
    config.normalization = folded;
    Ok(())
}

/// A norm's weights on their way into the matrices behind it.
struct Folded {
    w: Tensor,
    b: Option<Tensor>,
    centres: bool,
}

impl Folded {
    fn take(weights: &mut Weights, name: &str, kind: Normalization) -> Result<Self> {
        let centres = kind.centres();
        Ok(Self {
            w: weights.take(&format!("{name}.w"))?,
            b: match centres {
                true => Some(weights.take(&format!("{name}.b"))?),
                false => None,
            },
            centres,
        })
    }

    /// What `b` comes to behind the matrix `[.., d_model, d_out]`: `[.., d_out]`.
    fn through(&self, matrix: &Tensor) -> Result<Option<Tensor>> {
        let Some(b) = &self.b else {
            return Ok(None);
        };
        let b = b.unsqueeze(0)?; // [1, d_model]
        Ok(Some(match matrix.rank() {
            2 => b.matmul(matrix)?.squeeze(0)?,
            _ => {
                let heads = matrix.dim(0)?;
                let b = b.unsqueeze(0)?.repeat((heads, 1, 1))?; // [head, 1, d_model]
                b.matmul(&matrix.contiguous()?)?.squeeze(1)?
            }
        }))
    }

    /// The matrix `[.., d_model, d_out]` with `w` in it, centred where the norm centres.
    fn applied_to(&self, matrix: &Tensor) -> Result<Tensor> {
        let matrix = matrix.broadcast_mul(&self.w.unsqueeze(1)?)?;
        if !self.centres {
            return Ok(matrix);
        }
        let mean = match matrix.rank() {
            2 => mean_of_rows(&matrix)?,
            _ => matrix.mean_keepdim(D::Minus2)?,
        };
        Ok(matrix.broadcast_sub(&mean)?)
    }
}

/// Everything that writes to the residual stream, minus its mean over `d_model`.
fn center_writing_weights(config: &Config, weights: &mut Weights) -> Result<()> {
    let mut names = vec!["embed.W_E".to_owned()];
    if config.positions == Positions::Learned {
        names.push("pos_embed.W_pos".to_owned());
    }
    for layer in 0..config.n_layers {
        for name in ["attn.W_O", "attn.b_O", "mlp.W_out", "mlp.b_out"] {
            names.push(format!("blocks.{layer}.{name}"));
        }
    }
    for name in names {
        let tensor = weights.any(&name)?;
        let mean = tensor.mean_keepdim(D::Minus1)?;
        weights.set(name, tensor.broadcast_sub(&mean)?);
    }
    Ok(())
}

/// The unembedding minus its mean over the vocabulary.
fn center_unembed(weights: &mut Weights) -> Result<()> {
    let matrix = weights.any("unembed.W_U")?.t()?.contiguous()?; // [d_vocab, d_model]
    let centred = matrix.broadcast_sub(&mean_of_rows(&matrix)?)?;
    weights.set("unembed.W_U", centred.t()?);
    if let Ok(bias) = weights.any("unembed.b_U") {
        let mean = bias.mean_keepdim(0)?;
        weights.set("unembed.b_U", bias.broadcast_sub(&mean)?);
    }
    Ok(())
}

/// `b_O + sum over heads of b_V W_O`: every query takes each head's value bias exactly once.
fn fold_value_biases(config: &Config, weights: &mut Weights, centred: bool) -> Result<()> {
    for layer in 0..config.n_layers {
        let name = |name: &str| format!("blocks.{layer}.attn.{name}");
        let b_V = weights.any(&name("b_V"))?; // [key-value head, d_head]
        let W_O = weights.any(&name("W_O"))?; // [head, d_head, d_model]
        let sharing = config.n_heads / config.key_value_heads();
        let (shared, d_head) = b_V.dims2()?;
        let of_heads = b_V.unsqueeze(1)?.broadcast_as((shared, sharing, d_head))?;
        let of_heads = of_heads.flatten(0, 1)?; // [head, d_head]
        let through = of_heads.unsqueeze(1)?.matmul(&W_O.contiguous()?)?; // [head, 1, d_model]
        let mut b_O = (weights.any(&name("b_O"))? + through.sum((0, 1))?)?;
        if centred {
            b_O = b_O.broadcast_sub(&b_O.mean_keepdim(0)?)?;
        }
        weights.set(name("b_O"), b_O);
        weights.set(name("b_V"), b_V.zeros_like()?);
    }
    Ok(())
}

/// The mean over the first dimension, `[rows, columns]` to `[1, columns]`.
///
/// As a matrix product: candle's sum over the first dimension of a large matrix is slow.
fn mean_of_rows(matrix: &Tensor) -> candle_core::Result<Tensor> {
    let rows = matrix.dim(0)?;
    let weights = Tensor::full(1. / rows as f64, (1, rows), matrix.device())?;
    weights.to_dtype(matrix.dtype())?.matmul(matrix)
}
