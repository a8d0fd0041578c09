//! The `config.json` that a GGUF file's metadata stands for.
//!
//! Source: `set_gguf_parameters` of llama.cpp's converters, read backwards; defaults are those of its
//! loader (`llama-model.cpp`).

use super::metadata::Metadata;
use super::names::Family;
use super::rotary;
use crate::error::{Error, Result};
use serde_json::{Map, Value, json};

/// A `config.json` in Hugging Face's words.
///
/// # Errors
/// A size is missing, or a choice is not supported.
pub(super) fn config(
    metadata: &Metadata,
    family: Family,
    vocabulary: Option<usize>,
    is_tied: bool,
    frequencies: Option<&[f32]>,
) -> Result<Value> {
    let keys = Keys {
        metadata,
        architecture: metadata.text("general.architecture").unwrap_or_default(),
    };
    if keys
        .find_size("expert_count")?
        .is_some_and(|experts| experts > 0)
    {
        return Err(Error::new("mixtures of experts are not supported."));
    }
    let mut config = Map::new();
    let mut set = |name: &str, value: Value| {
        config.insert(name.to_owned(), value);
    };
    let listed = metadata.texts("tokenizer.ggml.tokens").map(<[String]>::len);
    let Some(vocabulary) = vocabulary.or(keys.find_size("vocab_size")?).or(listed) else {
        return Err(Error::new(
            "there is neither an embedding nor a vocabulary.",
        ));
    };
    set("vocab_size", json!(vocabulary));
    set("tie_word_embeddings", json!(is_tied));
    for (name, key) in [("bos_token_id", "bos"), ("eos_token_id", "eos")] {
        if let Some(id) = metadata.id(&format!("tokenizer.ggml.{key}_token_id")) {
            set(name, json!(id));
        }
    }
    match family {
        Family::Gpt2 => gpt2(keys, set)?,
        Family::GptNeoX => gpt_neox(keys, set, frequencies)?,
        _ => llama(keys, family, set, frequencies)?,
    }
    Ok(Value::Object(config))
}

/// Metadata under the name of its architecture.
#[derive(Clone, Copy)]
struct Keys<'a> {
    metadata: &'a Metadata,
    architecture: &'a str,
}

impl Keys<'_> {
    fn key(self, name: &str) -> String {
        format!("{}.{name}", self.architecture)
    }

    fn size(self, name: &str) -> Result<usize> {
        self.metadata.size(&self.key(name))
    }

    fn find_size(self, name: &str) -> Result<Option<usize>> {
        self.metadata.find_size(&self.key(name))
    }

    fn find_number(self, name: &str) -> Option<f64> {
        self.metadata.number(&self.key(name))
    }

    fn number(self, name: &str) -> Result<f64> {
        let found = self.find_number(name);
        found.ok_or_else(|| Error::new(format!("`{}` is missing or no number.", self.key(name))))
    }

    /// Numbers of a head, which queries, keys and values have in common.
    fn d_head(self) -> Result<usize> {
        let (d_model, heads) = (
            self.size("embedding_length")?,
            self.size("attention.head_count")?,
        );
        let d_head = self
            .find_size("attention.key_length")?
            .unwrap_or(d_model / heads);
        let of_values = self.find_size("attention.value_length")?.unwrap_or(d_head);
        match of_values == d_head {
            true => Ok(d_head),
            false => Err(Error::new(format!(
                "heads with keys of {d_head} and values of {of_values} numbers are not supported."
            ))),
        }
    }

    /// The base of the rotary frequencies.
    fn rotary_base(self) -> f64 {
        self.find_number("rope.freq_base").unwrap_or(10_000.)
    }

    fn rotary(self, frequencies: Option<&[f32]>, mut set: impl FnMut(&str, Value)) -> Result<()> {
        let base = self.rotary_base();
        let scaling = rotary::scaling(self.metadata, self.architecture, base, frequencies)?;
        if let Some(scaling) = scaling {
            set("rope_scaling", scaling);
        }
        Ok(())
    }
}

fn gpt2(keys: Keys, mut set: impl FnMut(&str, Value)) -> Result<()> {
    set("model_type", json!("gpt2"));
    set("n_layer", json!(keys.size("block_count")?));
    set("n_embd", json!(keys.size("embedding_length")?));
    set("n_head", json!(keys.size("attention.head_count")?));
    set("n_positions", json!(keys.size("context_length")?));
    set("n_inner", json!(keys.size("feed_forward_length")?));
    set(
        "layer_norm_epsilon",
        json!(keys.number("attention.layer_norm_epsilon")?),
    );
    set("activation_function", json!("gelu_new"));
    Ok(())
}

fn sizes(keys: Keys, mut set: impl FnMut(&str, Value)) -> Result<()> {
    set("num_hidden_layers", json!(keys.size("block_count")?));
    set("hidden_size", json!(keys.size("embedding_length")?));
    set(
        "num_attention_heads",
        json!(keys.size("attention.head_count")?),
    );
    set(
        "intermediate_size",
        json!(keys.size("feed_forward_length")?),
    );
    set(
        "max_position_embeddings",
        json!(keys.size("context_length")?),
    );
    Ok(())
}

fn gpt_neox(
    keys: Keys,
    mut set: impl FnMut(&str, Value),
    frequencies: Option<&[f32]>,
) -> Result<()> {
    set("model_type", json!("gpt_neox"));
    sizes(keys, &mut set)?;
    set(
        "layer_norm_eps",
        json!(keys.number("attention.layer_norm_epsilon")?),
    );
    let d_head = keys.d_head()?;
    let turned = keys.find_size("rope.dimension_count")?.unwrap_or(d_head);
    set("rotary_pct", json!(turned as f64 / d_head.max(1) as f64));
    set("rotary_emb_base", json!(keys.rotary_base()));
    let parallel = keys.metadata.flag(&keys.key("use_parallel_residual"));
    set("use_parallel_residual", json!(parallel.unwrap_or(true)));
    // The only one that llama.cpp's forward pass knows for the family.
    set("hidden_act", json!("gelu"));
    keys.rotary(frequencies, set)
}

fn llama(
    keys: Keys,
    family: Family,
    mut set: impl FnMut(&str, Value),
    frequencies: Option<&[f32]>,
) -> Result<()> {
    let (model_type, activation) = match family {
        Family::Qwen2 => ("qwen2", "silu"),
        Family::Qwen3 => ("qwen3", "silu"),
        Family::Gemma => ("gemma", "gelu_pytorch_tanh"),
        Family::Gemma2 => ("gemma2", "gelu_pytorch_tanh"),
        _ => ("llama", "silu"),
    };
    set("model_type", json!(model_type));
    set("hidden_act", json!(activation));
    if matches!(family, Family::Gemma | Family::Gemma2) {
        set("hidden_activation", json!(activation));
    }
    sizes(keys, &mut set)?;
    let heads = keys.size("attention.head_count")?;
    let key_heads = keys.find_size("attention.head_count_kv")?;
    set("num_key_value_heads", json!(key_heads.unwrap_or(heads)));
    let d_head = keys.d_head()?;
    set("head_dim", json!(d_head));
    set(
        "rms_norm_eps",
        json!(keys.number("attention.layer_norm_rms_epsilon")?),
    );
    let turned = keys.find_size("rope.dimension_count")?.unwrap_or(d_head);
    if turned != d_head {
        return Err(Error::new(format!(
            "rotary embeddings of {turned} of the {d_head} numbers of a head are not supported for \
             this architecture."
        )));
    }
    set("rope_theta", json!(keys.rotary_base()));
    let window = keys
        .find_size("attention.sliding_window")?
        .filter(|window| *window > 0);
    if family == Family::Gemma2 {
        set("sliding_window", json!(window.unwrap_or(4096)));
        let cap = |name: &str| keys.find_number(&format!("{name}_logit_softcapping"));
        set("attn_logit_softcapping", json!(cap("attn").unwrap_or(50.)));
        set(
            "final_logit_softcapping",
            json!(cap("final").unwrap_or(30.)),
        );
        // The file does not say it; llama.cpp tells the 27B model by its layers.
        let scalar = match keys.size("block_count")? {
            46 => keys.size("embedding_length")? / heads,
            _ => d_head,
        };
        set("query_pre_attn_scalar", json!(scalar));
    } else if let Some(window) = window {
        set("sliding_window", json!(window));
        set("use_sliding_window", json!(true));
    }
    keys.rotary(frequencies, set)
}
