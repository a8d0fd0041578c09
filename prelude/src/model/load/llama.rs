//! Llama's `config.json` and that of its relatives, and their weights under TransformerLens's names.
//!
//! Source: the layouts of Hugging Face's `LlamaForCausalLM`, `MistralForCausalLM`,
//! `Qwen2ForCausalLM`, `Qwen3ForCausalLM`, `GemmaForCausalLM` and `Gemma2ForCausalLM`.

use super::fields::Fields;
use super::linear::{bias, into_heads, matrix, out_of_heads};
use super::tensors::Tensors;
use crate::error::{Error, Result};
use crate::model::config::{Activation, Architecture, Config, Normalization};
use crate::model::weights::Weights;
use candle_core::Tensor;
use serde_json::Value;
use std::collections::HashMap;

/// The config in a `config.json` of one of these families.
///
/// # Errors
/// A size is missing, or a choice is not supported.
pub(super) fn config(json: &Value, architecture: Architecture) -> Result<Config> {
    let fields = Fields(json);
    let mut config = fields.usual_sizes()?;
    config.architecture = architecture;
    config.n_key_value_heads = fields
        .find_size("num_key_value_heads")
        .filter(|heads| *heads != config.n_heads);
    config.d_head = fields.find_size("head_dim").unwrap_or(config.d_head);
    config.d_mlp = fields.size(&["intermediate_size"])?;
    config.gated_mlp = true;
    config.normalization = Normalization::Rms;
    config.eps = fields.number("rms_norm_eps")?;
    config.positions = fields.rotary(config.d_head, "rope_theta", 1.)?;
    config.attn_scale = (config.d_head as f64).sqrt();
    let activation = match architecture {
        // Old files say `gelu` and mean the approximation that the models were trained with.
        Architecture::Gemma | Architecture::Gemma2 => fields
            .text("hidden_activation")
            .unwrap_or("gelu_pytorch_tanh"),
        _ => fields.text("hidden_act").unwrap_or("silu"),
    };
    config.activation = Activation::from_name(activation)?;
    config.attn_windows = windows(fields, &config)?;
    // TransformerLens's habit for families that have no such token.
    config.default_prepend_bos = !matches!(architecture, Architecture::Qwen2 | Architecture::Qwen3);
    config.use_qk_norm = architecture == Architecture::Qwen3;
    if architecture == Architecture::Gemma2 {
        config.use_normalization_before_and_after = true;
        config.attn_scale = fields.number("query_pre_attn_scalar")?.sqrt();
        config.attn_scores_soft_cap = fields.find_number("attn_logit_softcapping");
        config.output_logits_soft_cap = fields.find_number("final_logit_softcapping");
    }
    Ok(config)
}

/// Which layers look back over a window: those that `layer_types` names; without it every other layer
/// of Gemma 2 from the first, and every layer of the other families where the window is in use.
fn windows(fields: Fields, config: &Config) -> Result<Vec<Option<usize>>> {
    let window = fields.find_size("sliding_window");
    let is_used = window.is_some() && fields.flag("use_sliding_window", true);
    if !is_used {
        return Ok(Vec::new());
    }
    if let Some(kinds) = fields.texts("layer_types") {
        let of = |kind: &str| match kind {
            "full_attention" => Ok(None),
            "sliding_attention" => Ok(window),
            other => Err(Error::new(format!(
                "attention of kind `{other}` is not known: `full_attention` and \
                 `sliding_attention` are."
            ))),
        };
        return kinds.into_iter().map(of).collect();
    }
    let slides =
        |layer: usize| config.architecture != Architecture::Gemma2 || layer.is_multiple_of(2);
    let layers = 0..config.n_layers;
    Ok(layers
        .map(|layer| window.filter(|_| slides(layer)))
        .collect())
}

/// The weights of such a model, `f32` on the CPU. The unembedding is tied to the embedding unless the
/// files have an `lm_head.weight`.
///
/// # Errors
/// A tensor is missing, damaged, or does not have the shape that the config asks for.
pub(super) fn weights(files: &Tensors, config: &Config) -> Result<Weights> {
    let (d_model, d_mlp) = (config.d_model, config.d_mlp);
    let (heads, d_head) = (config.n_heads, config.d_head);
    let shared = config.key_value_heads();
    let is_gemma = matches!(
        config.architecture,
        Architecture::Gemma | Architecture::Gemma2
    );
    // Gemma's norms multiply by 1 + w.
    let norm = |name: &str| -> Result<Tensor> {
        let w = files.get(&format!("{name}.weight"), &[d_model])?;
        Ok(if is_gemma { (w + 1.)? } else { w })
    };
    let mut tensors: HashMap<String, Tensor> = HashMap::new();

    let embedding = files.get("model.embed_tokens.weight", &[config.d_vocab, d_model])?;
    let unembedding = match files.contains("lm_head.weight") {
        true => matrix(files, "lm_head", d_model, config.d_vocab)?,
        false => embedding.t()?,
    };
    // Gemma reads its embeddings larger than it writes them.
    let embedding = match is_gemma {
        true => (embedding * (d_model as f64).sqrt())?,
        false => embedding,
    };
    tensors.insert("embed.W_E".to_owned(), embedding);
    tensors.insert("unembed.W_U".to_owned(), unembedding); // [d_model, d_vocab]

    let norms: &[(&str, &str)] = match config.architecture {
        Architecture::Gemma2 => &[
            ("ln1", "input_layernorm"),
            ("ln1_post", "post_attention_layernorm"),
            ("ln2", "pre_feedforward_layernorm"),
            ("ln2_post", "post_feedforward_layernorm"),
        ],
        _ => &[
            ("ln1", "input_layernorm"),
            ("ln2", "post_attention_layernorm"),
        ],
    };
    for layer in 0..config.n_layers {
        let mut set = |name: &str, tensor: Tensor| {
            tensors.insert(format!("blocks.{layer}.{name}"), tensor);
        };
        let block = |name: &str| format!("model.layers.{layer}.{name}");
        for (ours, theirs) in norms {
            set(&format!("{ours}.w"), norm(&block(theirs))?);
        }
        let projections = [
            ("Q", "q_proj", heads),
            ("K", "k_proj", shared),
            ("V", "v_proj", shared),
        ];
        for (which, theirs, heads) in projections {
            let name = block(&format!("self_attn.{theirs}"));
            let weight = into_heads(files, &name, [heads, d_model, d_head])?;
            set(&format!("attn.W_{which}"), weight); // [head, d_model, d_head]
            set(
                &format!("attn.b_{which}"),
                bias(files, &name, &[heads, d_head])?,
            );
        }
        if config.use_qk_norm {
            for norm in ["q_norm", "k_norm"] {
                let name = block(&format!("self_attn.{norm}.weight"));
                set(&format!("attn.{norm}.w"), files.get(&name, &[d_head])?);
            }
        }
        let output = block("self_attn.o_proj");
        set(
            "attn.W_O",
            out_of_heads(files, &output, [heads, d_head, d_model])?,
        );
        set("attn.b_O", bias(files, &output, &[d_model])?);

        let [gate, up, down] =
            ["gate", "up", "down"].map(|name| block(&format!("mlp.{name}_proj")));
        for name in [&gate, &up] {
            if files.contains(&format!("{name}.bias")) {
                return Err(Error::new(format!(
                    "`{name}.bias`: a gated MLP with biases is not supported."
                )));
            }
        }
        set("mlp.W_gate", matrix(files, &gate, d_model, d_mlp)?);
        set("mlp.W_in", matrix(files, &up, d_model, d_mlp)?);
        set("mlp.b_in", bias(files, &up, &[d_mlp])?);
        set("mlp.W_out", matrix(files, &down, d_mlp, d_model)?);
        set("mlp.b_out", bias(files, &down, &[d_model])?);
    }
    tensors.insert("ln_final.w".to_owned(), norm("model.norm")?);
    Ok(Weights::new(files.origin(), tensors))
}
