//! GPT-NeoX's `config.json`, and its weights under TransformerLens's names.
//!
//! Source: the layout of Hugging Face's `GPTNeoXForCausalLM`, in which Pythia models come too.

use super::fields::Fields;
use super::linear::{bias, matrix, out_of_heads};
use super::tensors::Tensors;
use crate::error::Result;
use crate::model::config::{Activation, Architecture, Config};
use crate::model::weights::Weights;
use candle_core::Tensor;
use serde_json::Value;
use std::collections::HashMap;

/// The config in a `config.json` of model type `gpt_neox`.
///
/// # Errors
/// A size is missing, or a choice is not supported.
pub(super) fn config(json: &Value) -> Result<Config> {
    let fields = Fields(json);
    let mut config = fields.usual_sizes()?;
    config.parallel_attn_mlp = fields.flag("use_parallel_residual", true);
    config.architecture = Architecture::GptNeoX;
    config.d_mlp = fields
        .find_size("intermediate_size")
        .unwrap_or(config.d_mlp);
    config.eps = fields.find_number("layer_norm_eps").unwrap_or(config.eps);
    config.activation = Activation::from_name(fields.text("hidden_act").unwrap_or("gelu"))?;
    config.positions = fields.rotary(config.d_head, "rotary_emb_base", 0.25)?;
    // TransformerLens's habit for the family: these models were trained without such a token.
    config.default_prepend_bos = false;
    Ok(config)
}

/// The weights of a GPT-NeoX, `f32` on the CPU. `query_key_value` has the three head by head.
///
/// # Errors
/// A tensor is missing, damaged, or does not have the shape that the config asks for.
pub(super) fn weights(files: &Tensors, config: &Config) -> Result<Weights> {
    let (d_model, d_mlp) = (config.d_model, config.d_mlp);
    let (heads, d_head) = (config.n_heads, config.d_head);
    let mut tensors: HashMap<String, Tensor> = HashMap::new();

    let embedding = files.get("gpt_neox.embed_in.weight", &[config.d_vocab, d_model])?;
    // transformers 5.14 calls it as all other families do.
    let head = ["embed_out", "lm_head"]
        .into_iter()
        .find(|name| files.contains(&format!("{name}.weight")));
    let unembedding = match head {
        Some(head) => matrix(files, head, d_model, config.d_vocab)?,
        None => embedding.t()?,
    };
    tensors.insert("embed.W_E".to_owned(), embedding);
    tensors.insert("unembed.W_U".to_owned(), unembedding); // [d_model, d_vocab]

    for layer in 0..config.n_layers {
        let mut set = |name: &str, tensor: Tensor| {
            tensors.insert(format!("blocks.{layer}.{name}"), tensor);
        };
        let block = |name: &str| format!("gpt_neox.layers.{layer}.{name}");
        let norms = [
            ("ln1", "input_layernorm"),
            ("ln2", "post_attention_layernorm"),
        ];
        for (ours, theirs) in norms {
            let get = |part: &str| files.get(&block(&format!("{theirs}.{part}")), &[d_model]);
            set(&format!("{ours}.w"), get("weight")?);
            set(&format!("{ours}.b"), get("bias")?);
        }
        let fused = block("attention.query_key_value");
        let all = 3 * heads * d_head;
        let weight = files.get(&format!("{fused}.weight"), &[all, d_model])?;
        let weight = weight.reshape((heads, 3, d_head, d_model))?;
        let biases = bias(files, &fused, &[heads, 3, d_head])?;
        for (index, which) in ["Q", "K", "V"].into_iter().enumerate() {
            let part = weight.narrow(1, index, 1)?.squeeze(1)?.transpose(1, 2)?;
            set(&format!("attn.W_{which}"), part); // [head, d_model, d_head]
            set(
                &format!("attn.b_{which}"),
                biases.narrow(1, index, 1)?.squeeze(1)?,
            );
        }
        let output = block("attention.dense");
        set(
            "attn.W_O",
            out_of_heads(files, &output, [heads, d_head, d_model])?,
        );
        set("attn.b_O", bias(files, &output, &[d_model])?);

        let (up, down) = (block("mlp.dense_h_to_4h"), block("mlp.dense_4h_to_h"));
        set("mlp.W_in", matrix(files, &up, d_model, d_mlp)?);
        set("mlp.b_in", bias(files, &up, &[d_mlp])?);
        set("mlp.W_out", matrix(files, &down, d_mlp, d_model)?);
        set("mlp.b_out", bias(files, &down, &[d_model])?);
    }
    for (ours, theirs) in [("w", "weight"), ("b", "bias")] {
        let tensor = files.get(&format!("gpt_neox.final_layer_norm.{theirs}"), &[d_model])?;
        tensors.insert(format!("ln_final.{ours}"), tensor);
    }
    Ok(Weights::new(files.origin(), tensors))
}
