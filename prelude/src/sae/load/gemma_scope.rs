//! Gemma Scope's `params.npz` (Lieberum et al. 2024, arXiv 2408.05147): JumpReLU, without a config.
//!
//! Source: the release's tutorial, and SAELens 6.54 for what is read from paths.

use super::draft::Draft;
use super::hook_point::{in_path, number_after};
use super::source::Source;
use super::weights::Weights;
use crate::error::{Error, Result};
use crate::sae::{Gate, JumpRelu, SaeConfig};
use serde_json::json;

pub(super) const WEIGHTS: &str = "params.npz";

/// Whether these are the weights of one.
pub(super) fn is_one(weights: &Weights) -> bool {
    let names = |W: &str, w: &str| weights.has(W) || weights.has(w);
    names("W_enc", "w_enc") && names("W_dec", "w_dec") && weights.has_all(&["b_enc", "b_dec"])
}

/// The autoencoder of a file, whose path says which layer of which model it reads.
///
/// # Errors
/// A weight is missing or does not fit the others.
pub(super) fn load(source: &Source, weights: &Weights) -> Result<Draft> {
    let name = |W: &'static str, w: &'static str| match weights.has(W) {
        true => W,
        false => w,
    };
    let (W_enc, W_dec) = (name("W_enc", "w_enc"), name("W_dec", "w_dec"));
    let [d_in, d_sae] = sizes(weights, W_enc)?;
    let d_out = sizes(weights, W_dec)?[1];
    let path = source.path(weights.name());
    let mut cfg = SaeConfig::new(d_in, d_sae);
    cfg.d_out = d_out;
    cfg.apply_b_dec_to_input = false;
    cfg.prepend_bos = Some(true);
    describe(&mut cfg, &path);
    let mut W_enc = weights.get(W_enc, &[d_in, d_sae])?;
    let mut W_dec = weights.get(W_dec, &[d_sae, d_out])?;
    // Those of embeddings were trained on embeddings that are not multiplied by sqrt(d_model).
    if path.contains("/embedding/") {
        let scale = (d_in as f64).sqrt();
        W_enc = (W_enc / scale)?;
        W_dec = (W_dec * scale)?;
    }
    let gate = match weights.has("threshold") {
        true => Gate::JumpRelu(JumpRelu {
            threshold: weights.get("threshold", &[d_sae])?,
        }),
        false => Gate::Relu,
    };
    let b_enc = weights.get("b_enc", &[d_sae])?;
    let b_dec = weights.get("b_dec", &[d_out])?;
    let mut draft = Draft::new(cfg, [W_enc, b_enc, W_dec, b_dec], gate);
    draft
        .cfg
        .metadata
        .insert("file".into(), json!(path_tail(&path)));
    draft.done_with(weights);
    Ok(draft)
}

/// Model and hook points, from `google/gemma-scope-2b-pt-res/layer_0/width_16k/average_l0_105`.
fn describe(cfg: &mut SaeConfig, path: &str) {
    let of_model = path
        .split('/')
        .find_map(|part| part.strip_prefix("gemma-scope-"));
    let mut parts = of_model.into_iter().flat_map(|rest| rest.split('-'));
    let (size, kind) = (parts.next(), parts.next());
    let place = parts.next();
    cfg.model_name = size.map(|size| match kind {
        Some("it") => format!("gemma-2-{size}-it"),
        _ => format!("gemma-2-{size}"),
    });
    let layer = number_after(path, &["layer_"]);
    let point = |name: &str| layer.map(|layer| format!("blocks.{layer}.{name}"));
    cfg.hook_name = match place {
        Some("res") if path.contains("/embedding/") => Some("hook_embed".to_owned()),
        Some("res") => point("hook_resid_post"),
        Some("mlp") => point("hook_mlp_out"),
        Some("att") => point("attn.hook_z"),
        Some("transcoders") => {
            cfg.hook_name_out = point("hook_mlp_out");
            point("ln2.hook_normalized")
        }
        _ => in_path(path),
    };
    cfg.hook_z = place == Some("att");
}

/// The last parts of a path, which say what else is known.
pub(super) fn path_tail(path: &str) -> String {
    let parts: Vec<&str> = path.rsplit('/').take(5).collect();
    parts.into_iter().rev().collect::<Vec<_>>().join("/")
}

/// The sizes of a matrix.
///
/// # Errors
/// It is missing, or no matrix.
pub(super) fn sizes(weights: &Weights, name: &str) -> Result<[usize; 2]> {
    match weights.shape(name).as_deref() {
        Some([rows, columns]) => Ok([*rows, *columns]),
        Some(other) => Err(Error::new(format!(
            "{}: `{name}` has shape {other:?}, but it should be a matrix.",
            weights.origin()
        ))),
        None => weights.get(name, &[]).map(|_| [0, 0]),
    }
}
