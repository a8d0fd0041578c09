//! TransformerLens's own format: a config of its fields, and weights that have its names already.
//!
//! Neel Nanda's models (gelu-1l, solu-2l, attn-only-3l, ...) come in it, and toy models that were trained
//! with TransformerLens and saved with `torch.save(model.state_dict(), ..)`.

use super::fields::Fields;
use super::tensors::Tensors;
use crate::error::{Error, Result};
use crate::model::config::{
    Activation, Architecture, Config, Normalization, Positions, Rotary, RotaryScaling,
};
use crate::model::weights::Weights;
use candle_core::Tensor;
use serde_json::Value;
use std::collections::HashMap;

/// Whether a `config.json` is of this format.
pub(super) fn is_config(json: &Value) -> bool {
    json.get("d_model").is_some() && json.get("n_layers").is_some()
}

/// The config in such a `config.json`: TransformerLens's `HookedTransformerConfig`, or the older one
/// beside Neel Nanda's models.
///
/// # Errors
/// A size is missing, or a choice is not supported.
pub(super) fn config(json: &Value) -> Result<Config> {
    let fields = Fields(json);
    let n_layers = fields.size(&["n_layers"])?;
    let d_model = fields.size(&["d_model"])?;
    let d_head = fields.size(&["d_head"])?;
    let n_heads = match fields.find_size("n_heads") {
        Some(heads) => heads,
        None => d_model / d_head.max(1),
    };
    let (d_vocab, n_ctx) = (fields.size(&["d_vocab"])?, fields.size(&["n_ctx"])?);
    let mut config = Config::gpt2(n_layers, d_model, n_heads, d_vocab, n_ctx);
    config.architecture = Architecture::TransformerLens;
    config.d_head = d_head;
    config.d_vocab_out = fields.find_size("d_vocab_out").unwrap_or(d_vocab);
    config.n_key_value_heads = fields
        .find_size("n_key_value_heads")
        .filter(|heads| *heads != n_heads);
    config.attn_only = fields.flag("attn_only", false);
    config.d_mlp = match (config.attn_only, fields.find_size("d_mlp")) {
        (true, _) => 0,
        (false, Some(d_mlp)) => d_mlp,
        (false, None) => 4 * d_model,
    };
    config.normalization = normalization(fields)?;
    config.final_rms = fields.flag("final_rms", false) && config.normalization.centres();
    config.eps = fields.find_number("eps").unwrap_or(1e-5);
    if !config.attn_only {
        let activation = fields.text("act_fn").ok_or_else(|| {
            Error::new("`act_fn` is missing: name the activation function, as in \"gelu\".")
        })?;
        config.activation = Activation::from_name(activation)?;
    }
    config.parallel_attn_mlp = fields.flag("parallel_attn_mlp", false);
    config.gated_mlp = fields.flag("gated_mlp", false);
    config.use_qk_norm = fields.flag("use_qk_norm", false);
    config.use_normalization_before_and_after =
        fields.flag("use_normalization_before_and_after", false);
    config.attn_scale = match fields.flag("use_attn_scale", true) {
        true => fields
            .find_number("attn_scale")
            .filter(|scale| *scale > 0.)
            .unwrap_or((d_head as f64).sqrt()),
        false => 1.,
    };
    config.scale_attn_by_inverse_layer_idx = fields.flag("scale_attn_by_inverse_layer_idx", false);
    config.attn_scores_soft_cap = positive(fields, "attn_scores_soft_cap");
    config.output_logits_soft_cap = positive(fields, "output_logits_soft_cap");
    config.attn_windows = windows(fields)?;
    config.positions = positions(fields, &config)?;
    config.default_prepend_bos = fields.flag("default_prepend_bos", true);
    if fields.text("attention_dir") == Some("bidirectional") {
        return Err(Error::new(
            "`attention_dir` is \"bidirectional\": only models whose tokens see what came before \
             them are supported.",
        ));
    }
    Ok(config)
}

/// A number where 0 and less mean that there is none.
fn positive(fields: Fields, name: &str) -> Option<f64> {
    fields.find_number(name).filter(|number| *number > 0.)
}

fn normalization(fields: Fields) -> Result<Normalization> {
    let kind = fields
        .text("normalization")
        .or(fields.text("normalization_type"));
    match kind {
        None => Ok(Normalization::None),
        Some("LN") => Ok(Normalization::LayerNorm),
        Some("LNPre") => Ok(Normalization::LayerNormPre),
        Some("RMS") => Ok(Normalization::Rms),
        Some("RMSPre") => Ok(Normalization::RmsPre),
        Some(other) => Err(Error::new(format!(
            "the normalization `{other}` is not known: LN, LNPre, RMS, RMSPre and null are."
        ))),
    }
}

fn windows(fields: Fields) -> Result<Vec<Option<usize>>> {
    if !fields.flag("use_local_attn", false) {
        return Ok(Vec::new());
    }
    let window = fields.size(&["window_size"])?;
    let kinds = fields.texts("attn_types").unwrap_or_default();
    let of = |kind: &str| match kind {
        "global" => Ok(None),
        "local" => Ok(Some(window)),
        other => Err(Error::new(format!(
            "attention of kind `{other}` is not known: `global` and `local` are."
        ))),
    };
    kinds.into_iter().map(of).collect()
}

fn positions(fields: Fields, config: &Config) -> Result<Positions> {
    if fields.flag("shortformer_pos", false) {
        return Ok(Positions::Shortformer);
    }
    match fields.text("positional_embedding_type") {
        None | Some("standard") => Ok(Positions::Learned),
        Some("shortformer") => Ok(Positions::Shortformer),
        Some("rotary") => {
            let factor = fields.find_number("rotary_scaling_factor").unwrap_or(1.);
            let scaling = match fields.flag("use_NTK_by_parts_rope", false) {
                true => RotaryScaling::Llama3 {
                    factor: fields.number("NTK_by_parts_factor")?,
                    low_freq_factor: fields.number("NTK_by_parts_low_freq_factor")?,
                    high_freq_factor: fields.number("NTK_by_parts_high_freq_factor")?,
                    original_n_ctx: fields.number("NTK_original_ctx_len")?,
                },
                false if factor != 1. => RotaryScaling::Linear { factor },
                false => RotaryScaling::None,
            };
            Ok(Positions::Rotary(Rotary {
                dim: fields.find_size("rotary_dim").unwrap_or(config.d_head),
                adjacent_pairs: fields.flag("rotary_adjacent_pairs", false),
                base: fields.find_number("rotary_base").unwrap_or(10_000.),
                scaling,
            }))
        }
        Some(other) => Err(Error::new(format!(
            "positions of kind `{other}` are not supported: standard, rotary and shortformer are."
        ))),
    }
}

/// The weights of such a model, `f32` on the CPU.
///
/// Neel Nanda's first SoLU models (`*_old`) have `norm` for `ln`, and their matrices the other way
/// round, as TransformerLens's `convert_neel_solu_old_weights` says.
///
/// # Errors
/// A tensor is missing, damaged, or does not have the shape that the config asks for.
pub(super) fn weights(files: &Tensors, config: &Config) -> Result<Weights> {
    let is_old = config.model_name.ends_with("_old") || files.contains("norm.w");
    let has_old_matrices = is_old && config.n_layers <= 6;
    let has_old_positions = is_old && config.n_layers <= 8;
    let get = |name: &str, shape: &[usize]| -> Result<Tensor> {
        let is_turned = match name {
            "pos_embed.W_pos" => has_old_positions,
            name => has_old_matrices && name.contains("W_"),
        };
        let stored = stored_name(files, name);
        if !is_turned {
            return files.get(&stored, shape);
        }
        let mut turned = shape.to_vec();
        let last = turned.len() - 1;
        turned.swap(last - 1, last);
        Ok(files.get(&stored, &turned)?.transpose(last - 1, last)?)
    };
    let mut tensors: HashMap<String, Tensor> = HashMap::new();
    for (name, shape) in names_and_shapes(config) {
        let has_none = name == "unembed.b_U" && !files.contains(&name);
        let tensor = match has_none {
            true => files.zeros(&shape)?,
            false => get(&name, &shape)?,
        };
        tensors.insert(name, tensor);
    }
    Ok(Weights::new(files.origin(), tensors))
}

/// What a weight is called in the files: some have `norm` for `ln`, shared keys an underscore.
fn stored_name(files: &Tensors, name: &str) -> String {
    let variants = [
        name.to_owned(),
        name.replace("attn.", "attn._"),
        name.replace("ln_final", "norm").replace("ln", "norm"),
    ];
    let found = variants.iter().find(|variant| files.contains(variant));
    found.unwrap_or(&variants[0]).clone()
}

/// The weights of such a model: `[head, d_model, d_head]` and so on.
fn names_and_shapes(config: &Config) -> Vec<(String, Vec<usize>)> {
    let (d_model, d_mlp, d_head) = (config.d_model, config.d_mlp, config.d_head);
    let (heads, shared) = (config.n_heads, config.key_value_heads());
    let mut all = vec![
        ("embed.W_E".to_owned(), vec![config.d_vocab, d_model]),
        ("unembed.W_U".to_owned(), vec![d_model, config.d_vocab_out]),
        ("unembed.b_U".to_owned(), vec![config.d_vocab_out]),
    ];
    if !matches!(config.positions, Positions::Rotary(_)) {
        all.push(("pos_embed.W_pos".to_owned(), vec![config.n_ctx, d_model]));
    }
    norm(&mut all, "ln_final", config.final_normalization(), d_model);
    for layer in 0..config.n_layers {
        let block = |name: &str| format!("blocks.{layer}.{name}");
        norm(&mut all, &block("ln1"), config.normalization, d_model);
        for (which, heads) in [("Q", heads), ("K", shared), ("V", shared)] {
            all.push((
                block(&format!("attn.W_{which}")),
                vec![heads, d_model, d_head],
            ));
            all.push((block(&format!("attn.b_{which}")), vec![heads, d_head]));
        }
        all.push((block("attn.W_O"), vec![heads, d_head, d_model]));
        all.push((block("attn.b_O"), vec![d_model]));
        if config.use_qk_norm {
            all.push((block("attn.q_norm.w"), vec![d_head]));
            all.push((block("attn.k_norm.w"), vec![d_head]));
        }
        if config.use_normalization_before_and_after {
            let kind = config.normalization_behind();
            norm(&mut all, &block("ln1_post"), kind, d_model);
            norm(&mut all, &block("ln2_post"), kind, d_model);
        }
        if config.attn_only {
            continue;
        }
        norm(&mut all, &block("ln2"), config.normalization, d_model);
        all.push((block("mlp.W_in"), vec![d_model, d_mlp]));
        all.push((block("mlp.b_in"), vec![d_mlp]));
        all.push((block("mlp.W_out"), vec![d_mlp, d_model]));
        all.push((block("mlp.b_out"), vec![d_model]));
        if config.gated_mlp {
            all.push((block("mlp.W_gate"), vec![d_model, d_mlp]));
        }
        if config.activation == Activation::SoluLn
            && config.normalization == Normalization::LayerNorm
        {
            norm(&mut all, &block("mlp.ln"), config.normalization, d_mlp);
        }
    }
    all
}

fn norm(all: &mut Vec<(String, Vec<usize>)>, name: &str, kind: Normalization, width: usize) {
    let parts: &[&str] = match kind {
        Normalization::LayerNorm => &["w", "b"],
        Normalization::Rms => &["w"],
        Normalization::LayerNormPre | Normalization::RmsPre | Normalization::None => &[],
    };
    all.extend(
        parts
            .iter()
            .map(|part| (format!("{name}.{part}"), vec![width])),
    );
}
