//! GPT-2's `config.json`, and its weights under TransformerLens's names.
//!
//! Source: the layout of Hugging Face's `GPT2LMHeadModel`. Matrices are `Conv1D`: `[in, out]`.

use super::fields::Fields;
use super::tensors::Tensors;
use crate::error::{Error, Result};
use crate::model::config::{Activation, Config};
use crate::model::weights::Weights;
use candle_core::Tensor;
use serde_json::Value;
use std::collections::HashMap;

/// The config in a `config.json` of model type `gpt2`.
///
/// # Errors
/// A size is missing, or a choice is not supported.
pub(super) fn config(json: &Value) -> Result<Config> {
    let fields = Fields(json);
    let n_ctx = fields.size(&["n_positions", "n_ctx"])?;
    let mut config = Config::gpt2(
        fields.size(&["n_layer"])?,
        fields.size(&["n_embd"])?,
        fields.size(&["n_head"])?,
        fields.size(&["vocab_size"])?,
        n_ctx,
    );
    if config.d_head * config.n_heads != config.d_model {
        return Err(Error::new(format!(
            "`n_embd` = {} is not a multiple of `n_head` = {}.",
            config.d_model, config.n_heads
        )));
    }
    config.d_mlp = fields.find_size("n_inner").unwrap_or(config.d_mlp);
    if let Some(activation) = fields.text("activation_function") {
        config.activation = Activation::from_name(activation)?;
    }
    config.eps = fields
        .find_number("layer_norm_epsilon")
        .unwrap_or(config.eps);
    if !fields.flag("scale_attn_weights", true) {
        config.attn_scale = 1.;
    }
    config.scale_attn_by_inverse_layer_idx = fields.flag("scale_attn_by_inverse_layer_idx", false);
    Ok(config)
}

/// The weights of a GPT-2, `f32` on the CPU.
///
/// Key names may have the prefix `transformer.` or not; masks (`h.0.attn.bias`) are not read; the
/// unembedding is tied to the embedding unless the file has an `lm_head.weight`.
///
/// # Errors
/// A tensor is missing, damaged, or does not have the shape that the config asks for.
pub(super) fn weights(files: &Tensors, config: &Config) -> Result<Weights> {
    let prefix = match files.contains("transformer.wte.weight") {
        true => "transformer.",
        false => "",
    };
    let get = |name: &str, shape: &[usize]| files.get(&format!("{prefix}{name}"), shape);
    let (d_model, d_mlp) = (config.d_model, config.d_mlp);
    let (heads, d_head) = (config.n_heads, config.d_head);
    let mut tensors: HashMap<String, Tensor> = HashMap::new();

    let embedding = get("wte.weight", &[config.d_vocab, d_model])?;
    let head = "lm_head.weight";
    let unembedding = match files.contains(head) {
        true => files.get(head, &[config.d_vocab, d_model])?.t()?,
        false => embedding.t()?,
    };
    tensors.insert("embed.W_E".to_owned(), embedding);
    tensors.insert("unembed.W_U".to_owned(), unembedding); // [d_model, d_vocab]
    let positions = get("wpe.weight", &[config.n_ctx, d_model])?;
    tensors.insert("pos_embed.W_pos".to_owned(), positions);

    for layer in 0..config.n_layers {
        let mut set = |name: &str, tensor: Tensor| {
            tensors.insert(format!("blocks.{layer}.{name}"), tensor);
        };
        let get = |name: &str, shape: &[usize]| get(&format!("h.{layer}.{name}"), shape);
        set("ln1.w", get("ln_1.weight", &[d_model])?);
        set("ln1.b", get("ln_1.bias", &[d_model])?);
        set("ln2.w", get("ln_2.weight", &[d_model])?);
        set("ln2.b", get("ln_2.bias", &[d_model])?);

        let matrix = get("attn.c_attn.weight", &[d_model, 3 * d_model])?;
        let bias = get("attn.c_attn.bias", &[3 * d_model])?;
        for (index, which) in ["Q", "K", "V"].into_iter().enumerate() {
            let part = matrix.narrow(1, index * d_model, d_model)?.contiguous()?;
            let part = part.reshape((d_model, heads, d_head))?.permute((1, 0, 2))?;
            set(&format!("attn.W_{which}"), part); // [head, d_model, d_head]
            let part = bias.narrow(0, index * d_model, d_model)?;
            set(&format!("attn.b_{which}"), part.reshape((heads, d_head))?);
        }
        let output = get("attn.c_proj.weight", &[d_model, d_model])?;
        set("attn.W_O", output.reshape((heads, d_head, d_model))?);
        set("attn.b_O", get("attn.c_proj.bias", &[d_model])?);

        set("mlp.W_in", get("mlp.c_fc.weight", &[d_model, d_mlp])?);
        set("mlp.b_in", get("mlp.c_fc.bias", &[d_mlp])?);
        set("mlp.W_out", get("mlp.c_proj.weight", &[d_mlp, d_model])?);
        set("mlp.b_out", get("mlp.c_proj.bias", &[d_model])?);
    }
    tensors.insert("ln_final.w".to_owned(), get("ln_f.weight", &[d_model])?);
    tensors.insert("ln_final.b".to_owned(), get("ln_f.bias", &[d_model])?);
    Ok(Weights::new(files.origin(), tensors))
}
