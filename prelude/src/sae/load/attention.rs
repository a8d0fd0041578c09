//! Autoencoders of attention's `hook_z` by Kissane and Krzyzanowski: `<run>.pt` and `<run>_cfg.json`.
//!
//! Source: SAELens 6.54, `connor_rob_hook_z`.

use super::draft::Draft;
use super::fields::Fields;
use super::plain;
use super::weights::Weights;
use crate::error::Result;

const KNOWN: &[&str] = &[
    "act_name",
    "act_size",
    "anthropic_resample_batches",
    "anthropic_resample_last",
    "batch_size",
    "beta1",
    "beta2",
    "buffer_batches",
    "buffer_mult",
    "buffer_size",
    "concat_heads",
    "d_head",
    "d_mlp",
    "d_model",
    "dec_norm",
    "device",
    "dict_mult",
    "dict_size",
    "enc_dtype",
    "eps",
    "head",
    "l1_coeff",
    "layer",
    "lr",
    "model_batch_size",
    "model_name",
    "n_heads",
    "name_only",
    "num_tokens",
    "remove_rare_dir",
    "resample_every",
    "resample_factor",
    "resample_scheme",
    "save_every",
    "seed",
    "seq_len",
    "site",
    "version",
    "wandb_mode_online",
    "weight_decay",
];

/// The name of the config beside a file.
pub(super) fn config_of(name: &str) -> Option<String> {
    Some(format!("{}_cfg.json", name.strip_suffix(".pt")?))
}

/// The autoencoder of a pair.
///
/// # Errors
/// A weight is missing, or has another size than the config says.
pub(super) fn load(fields: Fields, weights: &Weights) -> Result<Draft> {
    let mut draft = plain::of(weights)?;
    draft.cfg.d_in = fields.size("act_size")?.unwrap_or(draft.cfg.d_in);
    draft.cfg.d_out = draft.cfg.d_in;
    draft.cfg.d_sae = fields.size("dict_size")?.unwrap_or(draft.cfg.d_sae);
    draft.cfg.hook_name = fields.text("act_name")?;
    draft.cfg.model_name = fields.text("model_name")?;
    draft.cfg.prepend_bos = Some(true);
    let is_hook_z = draft.cfg.hook_name.as_ref();
    draft.cfg.hook_z = is_hook_z.is_none_or(|name| name.contains("hook_z"));
    draft.keep(fields, KNOWN);
    Ok(draft)
}
