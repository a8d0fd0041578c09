//! Gemma Scope 2's `params.safetensors` and `config.json`: JumpReLU on Gemma 3, also as transcoders with
//! or without a skip matrix, and one layer of a cross-layer transcoder.
//!
//! Source: SAELens 6.54, `gemma_3` in `loading/pretrained_sae_loaders.py`.

use super::draft::Draft;
use super::fields::Fields;
use super::gemma_scope::{path_tail, sizes};
use super::hook_point::number_after;
use super::source::Source;
use super::weights::Weights;
use crate::error::{Error, Result};
use crate::sae::{Gate, JumpRelu, SaeConfig};
use serde_json::json;

pub(super) const WEIGHTS: &str = "params.safetensors";

const KNOWN: &[&str] = &[
    "affine_connection",
    "architecture",
    "dtype",
    "hf_hook_point_in",
    "hf_hook_point_out",
    "l0",
    "layer",
    "num_layers",
    "type",
    "width",
];

/// Whether these are the weights of one.
pub(super) fn is_one(weights: &Weights) -> bool {
    weights.has_all(&["w_enc", "w_dec", "b_enc", "b_dec", "threshold"])
}

/// The autoencoder of a file, whose path says which layer it reads.
///
/// # Errors
/// A weight is missing or does not fit the others.
pub(super) fn load(source: &Source, weights: &Weights) -> Result<Draft> {
    let fields = Fields::read(source, "config.json")?;
    let [d_in, d_sae] = sizes(weights, "w_enc")?;
    let path = source.path(weights.name());
    let mut cfg = SaeConfig::new(d_in, d_sae);
    cfg.apply_b_dec_to_input = false;
    cfg.prepend_bos = Some(true);
    if let Some(fields) = &fields {
        let kind = fields.text("architecture")?;
        if let Some(kind) = kind.filter(|kind| kind != "jump_relu") {
            return Err(Error::new(format!(
                "{}: autoencoders of the architecture `{kind}` are not supported in this format: \
                 `jump_relu` is.",
                fields.origin()
            )));
        }
        cfg.model_name = fields.text("model_name")?.map(|name| model(&name));
    }
    describe(&mut cfg, &path);
    let mut W_dec = weights.any("w_dec")?;
    let mut warnings = Vec::new();
    if let [_, layers, _] = *W_dec.dims() {
        W_dec = W_dec.sum(1)?;
        warnings.push(format!(
            "{}: what this layer writes to {layers} layers was summed, so only its activations mean \
             something, not its reconstruction.",
            weights.origin()
        ));
    }
    cfg.d_out = W_dec.dims().last().copied().unwrap_or(d_in);
    let b_dec = weights.get("b_dec", &[cfg.d_out])?;
    let W_enc = weights.get("w_enc", &[d_in, d_sae])?;
    let b_enc = weights.get("b_enc", &[d_sae])?;
    let gate = Gate::JumpRelu(JumpRelu {
        threshold: weights.get("threshold", &[d_sae])?,
    });
    let W_skip = match weights.has("affine_skip_connection") {
        true => Some(weights.get("affine_skip_connection", &[d_in, cfg.d_out])?),
        false => None,
    };
    let mut draft = Draft::new(cfg, [W_enc, b_enc, W_dec, b_dec], gate);
    (draft.W_skip, draft.warnings) = (W_skip, warnings);
    draft
        .cfg
        .metadata
        .insert("file".into(), json!(path_tail(&path)));
    if let Some(fields) = fields {
        draft.keep(fields, KNOWN);
    }
    draft.done_with(weights);
    Ok(draft)
}

/// Hook points, from `google/gemma-scope-2-1b-pt/resid_post/layer_7_width_16k_l0_medium`.
fn describe(cfg: &mut SaeConfig, path: &str) {
    if cfg.model_name.is_none() {
        let repository = path
            .split('/')
            .find(|part| part.starts_with("gemma-scope-2-"));
        let name = repository.map(|name| name.replace("gemma-scope-2", "gemma-3"));
        cfg.model_name = name.map(|name| model(&name));
    }
    let layer = number_after(path, &["layer_"]);
    let point = |name: &str| layer.map(|layer| format!("blocks.{layer}.{name}"));
    let within = |part: &str| path.contains(part);
    if within("transcoder") || within("/clt") {
        cfg.hook_name = point("hook_mlp_in");
        cfg.hook_name_out = point("hook_mlp_out");
    } else if within("resid_post") {
        cfg.hook_name = point("hook_resid_post");
    } else if within("attn_out") {
        cfg.hook_name = point("attn.hook_z");
        cfg.hook_z = true;
    } else if within("mlp_out") {
        cfg.hook_name = point("hook_mlp_out");
    }
}

/// The model's name on the Hub.
fn model(name: &str) -> String {
    let name = name.replace("-v3", "-3");
    let name = match name.contains("270m") {
        true => name.replace("-pt", ""),
        false => name,
    };
    match name.contains("google") {
        true => name,
        false => format!("google/{name}"),
    }
}
