//! The names of tensors in GGUF files and in Hugging Face's.
//!
//! Source: `gguf-py/gguf/tensor_mapping.py` and `constants.py` of llama.cpp for the names, and its
//! converters (`convert_hf_to_gguf.py`, now `conversion/`) for which families are changed how.

use super::change::{Change, Heads};
use crate::error::{Error, Result};

/// A family of models by llama.cpp's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    Llama,
    Qwen2,
    Qwen3,
    Gemma,
    Gemma2,
    Gpt2,
    GptNeoX,
}

impl Family {
    /// The family of a `general.architecture`.
    ///
    /// # Errors
    /// It is none of those whose tensors are known here.
    pub(super) fn from_name(name: &str) -> Result<Self> {
        Ok(match name {
            "llama" => Self::Llama,
            "qwen2" => Self::Qwen2,
            "qwen3" => Self::Qwen3,
            "gemma" => Self::Gemma,
            "gemma2" => Self::Gemma2,
            "gpt2" => Self::Gpt2,
            "gptneox" => Self::GptNeoX,
            other => {
                return Err(Error::new(format!(
                    "GGUF files of architecture `{other}` are not supported: gemma, gemma2, gpt2, \
                     gptneox, llama (Mistral and SmolLM2 among them), qwen2 and qwen3 are."
                )));
            }
        })
    }
}

/// Hugging Face's name for a tensor of a GGUF file, and what was changed in it; nothing for a tensor
/// that the family does not have.
pub(super) fn hugging_face(family: Family, gguf: &str) -> Option<(String, Change)> {
    match gguf.strip_prefix("blk.") {
        Some(inner) => {
            let (layer, inner) = inner.split_once('.')?;
            let layer: usize = layer.parse().ok()?;
            let (module, part) = inner.rsplit_once('.')?;
            let (module, change) = of_layer(family, module, part)?;
            let prefix = match family {
                Family::Gpt2 => "h",
                Family::GptNeoX => "gpt_neox.layers",
                _ => "model.layers",
            };
            Some((format!("{prefix}.{layer}.{module}.{part}"), change))
        }
        None => {
            let (name, change) = of_model(family, gguf)?;
            Some((name.to_owned(), change))
        }
    }
}

fn of_model(family: Family, gguf: &str) -> Option<(&'static str, Change)> {
    let plain = |name| Some((name, Change::None));
    match (family, gguf) {
        (Family::Gpt2, "token_embd.weight") => plain("wte.weight"),
        (Family::Gpt2, "position_embd.weight") => plain("wpe.weight"),
        (Family::Gpt2, "output_norm.weight") => plain("ln_f.weight"),
        (Family::Gpt2, "output_norm.bias") => plain("ln_f.bias"),
        (Family::GptNeoX, "token_embd.weight") => plain("gpt_neox.embed_in.weight"),
        (Family::GptNeoX, "output_norm.weight") => plain("gpt_neox.final_layer_norm.weight"),
        (Family::GptNeoX, "output_norm.bias") => plain("gpt_neox.final_layer_norm.bias"),
        (Family::GptNeoX, "output.weight") => plain("embed_out.weight"),
        (_, "output.weight") => plain("lm_head.weight"),
        (_, "token_embd.weight") => plain("model.embed_tokens.weight"),
        (Family::Gemma | Family::Gemma2, "output_norm.weight") => {
            Some(("model.norm.weight", Change::PlusOne))
        }
        (_, "output_norm.weight") => plain("model.norm.weight"),
        _ => None,
    }
}

fn of_layer(family: Family, module: &str, part: &str) -> Option<(&'static str, Change)> {
    let is_weight = match part {
        "weight" => true,
        "bias" => false,
        _ => return None,
    };
    match family {
        Family::Gpt2 => {
            let matrix = if is_weight {
                Change::Transposed
            } else {
                Change::None
            };
            Some(match module {
                "attn_norm" => ("ln_1", Change::None),
                "attn_qkv" => ("attn.c_attn", matrix),
                "attn_output" => ("attn.c_proj", matrix),
                "ffn_norm" => ("ln_2", Change::None),
                "ffn_up" => ("mlp.c_fc", matrix),
                "ffn_down" => ("mlp.c_proj", matrix),
                _ => return None,
            })
        }
        Family::GptNeoX => Some(match module {
            "attn_norm" => ("input_layernorm", Change::None),
            "attn_qkv" => ("attention.query_key_value", Change::Split),
            "attn_output" => ("attention.dense", Change::None),
            "ffn_norm" => ("post_attention_layernorm", Change::None),
            "ffn_up" => ("mlp.dense_h_to_4h", Change::None),
            "ffn_down" => ("mlp.dense_4h_to_h", Change::None),
            _ => return None,
        }),
        _ => of_llama_layer(family, module, is_weight),
    }
}

fn of_llama_layer(family: Family, module: &str, is_weight: bool) -> Option<(&'static str, Change)> {
    let pairs = |heads| match family {
        Family::Llama => Change::Pairs(heads),
        _ => Change::None,
    };
    let projection = match module {
        "attn_q" => Some(("self_attn.q_proj", pairs(Heads::Query))),
        "attn_k" => Some(("self_attn.k_proj", pairs(Heads::Key))),
        "attn_v" => Some(("self_attn.v_proj", Change::None)),
        "attn_output" => Some(("self_attn.o_proj", Change::None)),
        "ffn_gate" => Some(("mlp.gate_proj", Change::None)),
        "ffn_up" => Some(("mlp.up_proj", Change::None)),
        "ffn_down" => Some(("mlp.down_proj", Change::None)),
        _ => None,
    };
    if projection.is_some() {
        return projection;
    }
    let norm = match (family, module) {
        (_, "attn_norm") => "input_layernorm",
        (Family::Gemma2, "ffn_norm") => "pre_feedforward_layernorm",
        (Family::Gemma2, "post_attention_norm") => "post_attention_layernorm",
        (Family::Gemma2, "post_ffw_norm") => "post_feedforward_layernorm",
        (_, "ffn_norm") => "post_attention_layernorm",
        (Family::Qwen3, "attn_q_norm") => "self_attn.q_norm",
        (Family::Qwen3, "attn_k_norm") => "self_attn.k_norm",
        _ => return None,
    };
    let change = match family {
        Family::Gemma | Family::Gemma2 => Change::PlusOne,
        _ => Change::None,
    };
    is_weight.then_some((norm, change))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_hugging_face() {
        let of = |family, name| hugging_face(family, name).unwrap();
        assert_eq!(
            of(Family::Llama, "blk.12.attn_k.weight"),
            (
                "model.layers.12.self_attn.k_proj.weight".to_owned(),
                Change::Pairs(Heads::Key)
            )
        );
        assert_eq!(
            of(Family::Qwen2, "blk.0.attn_q.bias"),
            (
                "model.layers.0.self_attn.q_proj.bias".to_owned(),
                Change::None
            )
        );
        assert_eq!(
            of(Family::Gemma2, "blk.3.ffn_norm.weight"),
            (
                "model.layers.3.pre_feedforward_layernorm.weight".to_owned(),
                Change::PlusOne
            )
        );
        assert_eq!(
            of(Family::Gpt2, "blk.3.attn_qkv.weight"),
            ("h.3.attn.c_attn.weight".to_owned(), Change::Transposed)
        );
        assert_eq!(of(Family::Gpt2, "blk.3.attn_qkv.bias").1, Change::None);
        assert_eq!(
            of(Family::GptNeoX, "output.weight"),
            ("embed_out.weight".to_owned(), Change::None)
        );
        for strange in [
            "blk.x.attn_q.weight",
            "blk.0",
            "blk.0.attn_q",
            "rope_freqs.weight",
            "",
        ] {
            assert_eq!(hugging_face(Family::Llama, strange), None);
        }
        assert_eq!(
            hugging_face(Family::Llama, "blk.0.ffn_gate_exps.weight"),
            None
        );
    }
}
