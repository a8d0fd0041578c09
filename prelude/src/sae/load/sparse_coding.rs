//! The pair `<run>.json` and `<run>.pt` of the sparse_coding notebooks.
//!
//! Source: the notebooks' `autoencoder_utils`, whose `AutoEncoderConfig` has these keys.

use super::draft::Draft;
use super::fields::Fields;
use super::gemma_scope::sizes;
use super::source::Source;
use super::weights::Weights;
use crate::error::Result;
use crate::sae::{Gate, SaeConfig};
use serde_json::json;

const KNOWN: &[&str] = &[
    "batch_size",
    "beta1",
    "beta2",
    "buffer_size",
    "cfg_name",
    "d_hidden",
    "d_in",
    "d_mlp",
    "expansion_factor",
    "l1_coeff",
    "lr",
    "num_tokens",
    "reg",
    "run_name",
    "save_name",
    "seed",
    "seq_len",
    "wandb_name",
    "weight_decay",
];

/// The name of the config beside a file.
pub(super) fn config_of(name: &str) -> Option<String> {
    Some(format!("{}.json", name.strip_suffix(".pt")?))
}

/// Whether this is the config of one.
pub(super) fn is_config(fields: &Fields) -> bool {
    fields.has("layer") && (fields.has("act") || fields.has("act_name"))
}

/// The autoencoder of a pair.
///
/// # Errors
/// A weight is missing, or the config says something impossible.
pub(super) fn load(fields: Fields, weights: &Weights, source: &Source) -> Result<Draft> {
    let [d_in, d_sae] = sizes(weights, "W_enc")?;
    let mut cfg = SaeConfig::new(fields.size("d_in")?.unwrap_or(d_in), d_sae);
    if let Some(factor) = fields.number("expansion_factor")? {
        cfg.d_sae = (cfg.d_in as f64 * factor) as usize;
    }
    let act = fields.first_text(&["act_name", "act"])?;
    cfg.hook_name = match (fields.size("layer")?, act) {
        (Some(layer), Some(act)) => Some(format!("blocks.{layer}.{act}")),
        _ => None,
    };
    cfg.hook_head_index = fields.size("head_idx")?;
    // The folder of a run is called after its model.
    let path = source.path("");
    let folder = path.trim_end_matches('/').rsplit('/').next();
    let said = fields.first_text(&["model", "model_name"])?;
    cfg.model_name = said.or_else(|| folder.map(str::to_owned));
    // For these two no key means one thing, so that they are said in full.
    let l1_coeff = fields.value("l1_coeff").cloned();
    let reg = fields.text("reg")?.unwrap_or_else(|| "l1".to_owned());
    let (d_in, d_sae) = (cfg.d_in, cfg.d_sae);
    let W_enc = weights.get("W_enc", &[d_in, d_sae])?;
    let b_enc = weights.get("b_enc", &[d_sae])?;
    let W_dec = weights.get("W_dec", &[d_sae, d_in])?;
    let b_dec = weights.get("b_dec", &[d_in])?;
    let mut draft = Draft::new(cfg, [W_enc, b_enc, W_dec, b_dec], Gate::Relu);
    draft.keep(fields, KNOWN);
    let metadata = &mut draft.cfg.metadata;
    metadata.insert("reg".into(), json!(reg));
    metadata.insert("l1_coeff".into(), json!(l1_coeff));
    draft.done_with(weights);
    Ok(draft)
}
