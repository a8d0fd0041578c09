//! Rewrites weights without changing probabilities, so that they are easier to read.
//!
//! Source: TransformerLens's `load_and_process_state_dict`; the order is its order.

use super::config::{Config, Normalization};
use super::weights::Weights;
use crate::error::Result;
use candle_core::{D, Tensor};

/// Which rewritings to do.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Processing {
    pub(crate) fold_ln: bool,
    pub(crate) center_writing_weights: bool,
    pub(crate) center_unembed: bool,
    pub(crate) fold_value_biases: bool,
}

impl Processing {
    pub(crate) const ALL: Self = Self {
        fold_ln: true,
        center_writing_weights: true,
        center_unembed: true,
        fold_value_biases: true,
    };

    pub(crate) const NONE: Self = Self {
        fold_ln: false,
        center_writing_weights: false,
        center_unembed: false,
        fold_value_biases: false,
    };
}

/// Rewrites the weights of a model, and its config where the rewriting changes a norm.
///
/// # Errors
/// A weight is missing.
pub(crate) fn process(
    config: &mut Config,
    weights: &mut Weights,
    processing: Processing,
) -> Result<()> {
    if processing.fold_ln && config.normalization == Normalization::LayerNorm {
        fold_layer_norms(config, weights)?;
        config.normalization = Normalization::LayerNormPre;
    }
    if processing.center_writing_weights {
        center_writing_weights(config, weights)?;
    }
    if processing.center_unembed {
        center_unembed(weights)?;
    }
    if processing.fold_value_biases {
        fold_value_biases(config, weights, processing.center_writing_weights)?;
    }
    Ok(())
}

/// `LN(x) W + b` with LayerNorm's `w` and `b` moved into `W` and `b`, and `W` centred over what it
/// reads, which the norm has centred.
fn fold_layer_norms(config: &Config, weights: &mut Weights) -> Result<()> {
    let d_model = config.d_model;
    for layer in 0..config.n_layers {
        let name = |name: &str| format!("blocks.{layer}.{name}");
        let w = weights.take(&name("ln1.w"))?.reshape((1, d_model, 1))?;
        let b = weights.take(&name("ln1.b"))?.reshape((1, d_model, 1))?;
        for which in ["Q", "K", "V"] {
            let weight = name(&format!("attn.W_{which}"));
            let bias = name(&format!("attn.b_{which}"));
            let matrix = weights.any(&weight)?; // [head, d_model, d_head]
            let through = matrix.broadcast_mul(&b)?.sum(1)?; // [head, d_head]
            weights.set(bias.as_str(), (weights.any(&bias)? + through)?);
            let matrix = matrix.broadcast_mul(&w)?;
            weights.set(weight, matrix.broadcast_sub(&matrix.mean_keepdim(1)?)?);
        }

        let w = weights.take(&name("ln2.w"))?.unsqueeze(1)?; // [d_model, 1]
        let b = weights.take(&name("ln2.b"))?.unsqueeze(0)?; // [1, d_model]
        let matrix = weights.any(&name("mlp.W_in"))?; // [d_model, d_mlp]
        let through = b.matmul(&matrix)?.squeeze(0)?; // [d_mlp]
        weights.set(
            name("mlp.b_in"),
            (weights.any(&name("mlp.b_in"))? + through)?,
        );
        let matrix = matrix.broadcast_mul(&w)?;
        let centred = matrix.broadcast_sub(&mean_of_rows(&matrix)?)?;
        weights.set(name("mlp.W_in"), centred);
    }

    let w = weights.take("ln_final.w")?; // [d_model]
    let b = weights.take("ln_final.b")?.unsqueeze(1)?; // [d_model, 1]
    let matrix = weights.any("unembed.W_U")?.t()?.contiguous()?; // [d_vocab, d_model]
    let through = matrix.matmul(&b)?.squeeze(1)?; // [d_vocab]
    let bias = match weights.find("unembed.b_U", &[config.d_vocab])? {
        Some(bias) => (bias + through)?,
        None => through,
    };
    weights.set("unembed.b_U", bias);
    let matrix = matrix.broadcast_mul(&w)?;
    let centred = matrix.broadcast_sub(&matrix.mean_keepdim(D::Minus1)?)?;
    weights.set("unembed.W_U", centred.t()?); // [d_model, d_vocab]
    Ok(())
}

/// Everything that writes to the residual stream, minus its mean over `d_model`.
fn center_writing_weights(config: &Config, weights: &mut Weights) -> Result<()> {
    let mut names = vec!["embed.W_E".to_owned(), "pos_embed.W_pos".to_owned()];
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
        let b_V = weights.any(&name("b_V"))?; // [head, d_head]
        let W_O = weights.any(&name("W_O"))?; // [head, d_head, d_model]
        let through = b_V.unsqueeze(1)?.matmul(&W_O.contiguous()?)?; // [head, 1, d_model]
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
