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
/// unembedding is tied to the embedding unless the file has an `lm_head.weight`. minGPT and nanoGPT
/// (Karpathy) write the same names with `nn.Linear`'s matrices, and may have no biases at all.
///
/// # Errors
/// A tensor is missing, damaged, or does not have the shape that the config asks for.
pub(super) fn weights(files: &Tensors, config: &Config) -> Result<Weights> {
    let prefixes = ["transformer.", "", "_orig_mod.transformer."];
    let has = |prefix: &&&str| files.contains(&format!("{prefix}wte.weight"));
    let prefix = prefixes.iter().find(has).copied().unwrap_or("");
    let (d_model, d_mlp) = (config.d_model, config.d_mlp);
    let (heads, d_head) = (config.n_heads, config.d_head);
    let get = |name: &str, shape: &[usize]| files.get(&format!("{prefix}{name}"), shape);
    let joint = format!("{prefix}h.0.attn.c_attn.weight");
    let is_linear = files.shape(&joint) == Some(vec![3 * d_model, d_model]);
    let matrix = |name: &str, d_in: usize, d_out: usize| -> Result<Tensor> {
        match is_linear {
            true => Ok(get(&format!("{name}.weight"), &[d_out, d_in])?.t()?),
            false => get(&format!("{name}.weight"), &[d_in, d_out]),
        }
    };
    let has_biases = files.contains(&format!("{prefix}h.0.attn.c_proj.bias"));
    let bias = |name: &str, size: usize| match has_biases {
        true => get(&format!("{name}.bias"), &[size]),
        false => files.zeros(&[size]),
    };
    let mut tensors: HashMap<String, Tensor> = HashMap::new();

    let embedding = get("wte.weight", &[config.d_vocab, d_model])?;
    let heads_of = ["lm_head.weight", "_orig_mod.lm_head.weight"];
    let unembedding = match heads_of.iter().find(|head| files.contains(head)) {
        Some(head) => files.get(head, &[config.d_vocab, d_model])?.t()?,
        None => embedding.t()?,
    };
    tensors.insert("embed.W_E".to_owned(), embedding);
    tensors.insert("unembed.W_U".to_owned(), unembedding); // [d_model, d_vocab]
    let positions = get("wpe.weight", &[config.n_ctx, d_model])?;
    tensors.insert("pos_embed.W_pos".to_owned(), positions);

    for layer in 0..config.n_layers {
        let mut set = |name: &str, tensor: Tensor| {
            tensors.insert(format!("blocks.{layer}.{name}"), tensor);
        };
        let block = |name: &str| format!("h.{layer}.{name}");
        for (ours, theirs) in [("ln1", "ln_1"), ("ln2", "ln_2")] {
            let theirs = block(theirs);
            set(
                &format!("{ours}.w"),
                get(&format!("{theirs}.weight"), &[d_model])?,
            );
            set(&format!("{ours}.b"), bias(&theirs, d_model)?);
        }
        let joint = matrix(&block("attn.c_attn"), d_model, 3 * d_model)?;
        let biases = bias(&block("attn.c_attn"), 3 * d_model)?;
        for (index, which) in ["Q", "K", "V"].into_iter().enumerate() {
            let part = joint.narrow(1, index * d_model, d_model)?.contiguous()?;
            let part = part.reshape((d_model, heads, d_head))?.permute((1, 0, 2))?;
            set(&format!("attn.W_{which}"), part); // [head, d_model, d_head]
            let part = biases.narrow(0, index * d_model, d_model)?;
            set(&format!("attn.b_{which}"), part.reshape((heads, d_head))?);
        }
        let output = matrix(&block("attn.c_proj"), d_model, d_model)?;
        set("attn.W_O", output.reshape((heads, d_head, d_model))?);
        set("attn.b_O", bias(&block("attn.c_proj"), d_model)?);

        set("mlp.W_in", matrix(&block("mlp.c_fc"), d_model, d_mlp)?);
        set("mlp.b_in", bias(&block("mlp.c_fc"), d_mlp)?);
        set("mlp.W_out", matrix(&block("mlp.c_proj"), d_mlp, d_model)?);
        set("mlp.b_out", bias(&block("mlp.c_proj"), d_model)?);
    }
    tensors.insert("ln_final.w".to_owned(), get("ln_f.weight", &[d_model])?);
    tensors.insert("ln_final.b".to_owned(), bias("ln_f", d_model)?);
    Ok(Weights::new(files.origin(), tensors))
}
