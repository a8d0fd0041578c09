//! GPT-Neo's `config.json`, and its weights under TransformerLens's names.
//!
//! Source: the layout of Hugging Face's `GPTNeoForCausalLM`, in which TinyStories models come too.

use super::fields::Fields;
use super::linear::{bias, into_heads, matrix, out_of_heads};
use super::tensors::Tensors;
use crate::error::{Error, Result};
use crate::model::config::{Activation, Architecture, Config};
use crate::model::weights::Weights;
use candle_core::Tensor;
use serde_json::Value;
use std::collections::HashMap;

/// The config in a `config.json` of model type `gpt_neo`.
///
/// # Errors
/// A size is missing, or a choice is not supported.
pub(super) fn config(json: &Value) -> Result<Config> {
    let fields = Fields(json);
    let mut config = Config::gpt2(
        fields.size(&["num_layers"])?,
        fields.size(&["hidden_size"])?,
        fields.size(&["num_heads"])?,
        fields.size(&["vocab_size"])?,
        fields.size(&["max_position_embeddings"])?,
    );
    config.architecture = Architecture::GptNeo;
    config.attn_scale = 1.;
    config.d_mlp = fields
        .find_size("intermediate_size")
        .unwrap_or(config.d_mlp);
    config.eps = fields
        .find_number("layer_norm_epsilon")
        .unwrap_or(config.eps);
    if let Some(activation) = fields.text("activation_function") {
        config.activation = Activation::from_name(activation)?;
    }
    let window = fields.find_size("window_size").unwrap_or(256);
    config.attn_windows = attention_layers(json, config.n_layers)?
        .into_iter()
        .map(|kind| match kind {
            "global" => Ok(None),
            "local" => Ok(Some(window)),
            other => Err(Error::new(format!(
                "attention of kind `{other}` is not known: `global` and `local` are."
            ))),
        })
        .collect::<Result<_>>()?;
    Ok(config)
}

/// Each layer's kind of attention: `attention_layers`, or what `attention_types` says in short, a
/// list of kinds and how often to repeat it.
fn attention_layers(json: &Value, n_layers: usize) -> Result<Vec<&str>> {
    let mut layers = Fields(json).texts("attention_layers").unwrap_or_default();
    if layers.is_empty() {
        let groups = json.get("attention_types").and_then(Value::as_array);
        for group in groups.into_iter().flatten() {
            let kinds = group.get(0).and_then(Value::as_array);
            let times = group.get(1).and_then(Value::as_u64).unwrap_or(0);
            let kinds = kinds.into_iter().flatten().filter_map(Value::as_str);
            let kinds: Vec<&str> = kinds.collect();
            for _ in 0..times.min(n_layers as u64) {
                layers.extend(&kinds);
            }
        }
    }
    match layers.len() == n_layers {
        true => Ok(layers),
        false => Err(Error::new(format!(
            "`attention_layers` (or `attention_types`) says the kind of {} layers, but the model \
             has {n_layers}.",
            layers.len()
        ))),
    }
}

/// The weights of a GPT-Neo, `f32` on the CPU.
///
/// # Errors
/// A tensor is missing, damaged, or does not have the shape that the config asks for.
pub(super) fn weights(files: &Tensors, config: &Config) -> Result<Weights> {
    let (d_model, d_mlp) = (config.d_model, config.d_mlp);
    let (heads, d_head) = (config.n_heads, config.d_head);
    let mut tensors: HashMap<String, Tensor> = HashMap::new();

    let embedding = files.get("transformer.wte.weight", &[config.d_vocab, d_model])?;
    let unembedding = match files.contains("lm_head.weight") {
        true => matrix(files, "lm_head", d_model, config.d_vocab)?,
        false => embedding.t()?,
    };
    tensors.insert("embed.W_E".to_owned(), embedding);
    tensors.insert("unembed.W_U".to_owned(), unembedding); // [d_model, d_vocab]
    let positions = files.get("transformer.wpe.weight", &[config.n_ctx, d_model])?;
    tensors.insert("pos_embed.W_pos".to_owned(), positions);

    for layer in 0..config.n_layers {
        let mut set = |name: &str, tensor: Tensor| {
            tensors.insert(format!("blocks.{layer}.{name}"), tensor);
        };
        let block = |name: &str| format!("transformer.h.{layer}.{name}");
        for (ours, theirs) in [("ln1", "ln_1"), ("ln2", "ln_2")] {
            let get = |part: &str| files.get(&block(&format!("{theirs}.{part}")), &[d_model]);
            set(&format!("{ours}.w"), get("weight")?);
            set(&format!("{ours}.b"), get("bias")?);
        }
        for (which, theirs) in [("Q", "q_proj"), ("K", "k_proj"), ("V", "v_proj")] {
            let name = block(&format!("attn.attention.{theirs}"));
            let weight = into_heads(files, &name, [heads, d_model, d_head])?;
            set(&format!("attn.W_{which}"), weight); // [head, d_model, d_head]
            set(&format!("attn.b_{which}"), files.zeros(&[heads, d_head])?);
        }
        let output = block("attn.attention.out_proj");
        set(
            "attn.W_O",
            out_of_heads(files, &output, [heads, d_head, d_model])?,
        );
        set("attn.b_O", bias(files, &output, &[d_model])?);

        set(
            "mlp.W_in",
            matrix(files, &block("mlp.c_fc"), d_model, d_mlp)?,
        );
        set("mlp.b_in", bias(files, &block("mlp.c_fc"), &[d_mlp])?);
        set(
            "mlp.W_out",
            matrix(files, &block("mlp.c_proj"), d_mlp, d_model)?,
        );
        set("mlp.b_out", bias(files, &block("mlp.c_proj"), &[d_model])?);
    }
    for (ours, theirs) in [("w", "weight"), ("b", "bias")] {
        let tensor = files.get(&format!("transformer.ln_f.{theirs}"), &[d_model])?;
        tensors.insert(format!("ln_final.{ours}"), tensor);
    }
    Ok(Weights::new(files.origin(), tensors))
}
