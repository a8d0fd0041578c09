//! SAELens's own format: `cfg.json` and `sae_weights.safetensors`, of versions 3 to 6.
//!
//! Source: SAELens 6.54, `loading/pretrained_sae_loaders.py` (what older configs mean) and `saes/` (the
//! kinds).

mod gates;
mod known;

use super::draft::Draft;
use super::fields::Fields;
use super::source::Source;
use super::weights::{Weights, zeros};
use crate::error::{Error, Result};
use crate::sae::{ActivationNorm, SaeConfig};
use known::KNOWN;

pub(in crate::sae) const CONFIG: &str = "cfg.json";
pub(in crate::sae) const WEIGHTS: &str = "sae_weights.safetensors";
pub(in crate::sae) const SPARSITY: &str = "sparsity.safetensors";

/// What own architectures, which SAELens does not have, are called in front.
pub(in crate::sae) const OWN: &str = "ferrolens_";

/// The autoencoder of a folder.
///
/// # Errors
/// The config or a weight is missing, damaged, or of a kind that is not known.
pub(super) fn load(source: &Source) -> Result<Draft> {
    let Some(fields) = Fields::read(source, CONFIG)? else {
        return Err(source.missing(CONFIG));
    };
    let weights = Weights::open(source, WEIGHTS)?;
    let mut draft = of(fields, &weights)?;
    if let Some(sparsity) = source
        .open(SPARSITY)?
        .map(|_| Weights::open(source, SPARSITY))
    {
        let sparsity = sparsity?;
        draft.log_sparsity = Some(sparsity.get("sparsity", &[draft.cfg.d_sae])?);
        draft.done_with(&sparsity);
    }
    Ok(draft)
}

/// The autoencoder that a config of any version describes.
///
/// # Errors
/// As [`load`].
pub(super) fn of(fields: Fields, weights: &Weights) -> Result<Draft> {
    let metadata = fields.object("metadata")?;
    let about = metadata.as_ref().unwrap_or(&fields);
    let kind = gates::kind(&fields)?;

    let stored = weights.shape("W_enc").unwrap_or_default();
    let stored_d_in = stored.first().copied();
    let d_in = fields.size("d_in")?.or(stored_d_in).unwrap_or_default();
    let expansion = fields.number("expansion_factor")?;
    let expanded = expansion.map(|factor| (factor * d_in as f64) as usize);
    let stored_d_sae = stored.get(1).copied();
    let d_sae = fields.size("d_sae")?.or(expanded).or(stored_d_sae);
    let mut cfg = SaeConfig::new(d_in, d_sae.unwrap_or_default());
    cfg.d_out = fields.size("d_out")?.unwrap_or(d_in);
    cfg.model_name = about.text("model_name")?;
    cfg.hook_name = about.first_text(&["hook_name", "hook_point"])?;
    let out = ["hook_name_out", "out_hook_point", "hook_point_out"];
    let writes = about
        .first_text(&out)?
        .filter(|out| Some(out) != cfg.hook_name.as_ref());
    let head = match about.size("hook_head_index")? {
        Some(head) => Some(head),
        None => about.size("hook_point_head_index")?,
    };
    cfg.hook_head_index = head;
    cfg.prepend_bos = about.flag("prepend_bos")?;
    // Layers are part of the hook points' names.
    for name in ["hook_layer", "hook_point_layer", "device", "dtype"] {
        fields.value(name);
    }

    let is_mats_transcoder = fields.flag("is_transcoder")?.unwrap_or(false);
    if kind.is_transcoder || is_mats_transcoder {
        cfg.hook_name_out = writes;
    }
    let apply = fields.flag("apply_b_dec_to_input")?;
    cfg.apply_b_dec_to_input = apply.unwrap_or(!kind.is_transcoder);
    cfg.normalize_activations = normalization(&fields)?;
    let is_hook_z = cfg
        .hook_name
        .as_ref()
        .is_some_and(|name| name.contains("hook_z"));
    cfg.hook_z = match fields.text("reshape_activations")?.as_deref() {
        None => is_hook_z && head.is_none(),
        Some("none") => false,
        Some("hook_z") => true,
        Some(other) => {
            return Err(Error::new(format!(
                "{}: activations reshaped as `{other}` are not supported: `none` and `hook_z` are.",
                fields.origin()
            )));
        }
    };

    let (d_sae, d_out) = (cfg.d_sae, cfg.d_out);
    let W_enc = weights.get("W_enc", &[d_in, d_sae])?;
    let mut W_dec = weights.get("W_dec", &[d_sae, d_out])?;
    let b_enc = match kind.has_b_enc() {
        true => weights.get("b_enc", &[d_sae])?,
        false => zeros(d_sae)?,
    };
    let mut warnings = Vec::new();
    if let Some(factor) = finetuned(&fields, weights, d_sae, &mut warnings)? {
        W_dec = W_dec.broadcast_mul(&factor.unsqueeze(1)?)?;
    }
    let (b_pre, b_dec) = match weights.has("b_dec_out") {
        true => {
            let b_dec = weights.get("b_dec_out", &[d_out])?;
            (Some(weights.get("b_dec", &[d_in])?), b_dec)
        }
        false => (None, weights.get("b_dec", &[d_out])?),
    };
    let W_skip = match weights.has("W_skip") {
        true => Some(weights.turned("W_skip", [d_in, d_out])?),
        false => None,
    };
    let gate = kind.gate(&fields, metadata.as_ref(), weights, d_sae)?;
    let mut draft = Draft::new(cfg, [W_enc, b_enc, W_dec, b_dec], gate);
    (draft.b_pre, draft.W_skip, draft.warnings) = (b_pre, W_skip, warnings);
    draft.norm_scaling_factor = fields.number("norm_scaling_factor")?;
    draft.keep(fields, KNOWN);
    if let Some(metadata) = metadata {
        // What is in there is the writer's choice, so no key is a surprise.
        let (rest, _) = metadata.rest(&[]);
        draft.metadata(rest);
    }
    draft.done_with(weights);
    Ok(draft)
}

fn normalization(fields: &Fields) -> Result<ActivationNorm> {
    use ActivationNorm::{ConstantNormRescale, ExpectedAverageOnlyIn, LayerNorm, None as Nothing};
    let word = match fields.value("normalize_activations") {
        None => return Ok(Nothing),
        // What the key meant in April 2024.
        Some(serde_json::Value::Bool(true)) => return Ok(ExpectedAverageOnlyIn),
        Some(serde_json::Value::Bool(false)) => return Ok(Nothing),
        Some(word) => word,
    };
    for known in [
        Nothing,
        ExpectedAverageOnlyIn,
        ConstantNormRescale,
        LayerNorm,
    ] {
        if word.as_str() == Some(known.name()) {
            return Ok(known);
        }
    }
    Err(Error::new(format!(
        "{}: activations normalized as {word} are not supported: `none`, `expected_average_only_in`, \
         `constant_norm_rescale` and `layer_norm` are.",
        fields.origin()
    )))
}

/// What activations of old autoencoders are multiplied by before decoding, where it is not 1.
fn finetuned(
    fields: &Fields,
    weights: &Weights,
    d_sae: usize,
    warnings: &mut Vec<String>,
) -> Result<Option<candle_core::Tensor>> {
    let is_on = match fields.value("finetuning_scaling_factor") {
        Some(serde_json::Value::Bool(on)) => *on,
        _ => false,
    };
    let names = ["scaling_factor", "finetuning_scaling_factor"];
    let Some(name) = names.into_iter().find(|name| weights.has(name)) else {
        return Ok(None);
    };
    let factor = weights.get(name, &[d_sae])?;
    let values: Vec<f32> = factor.to_vec1()?;
    if values.iter().all(|value| (value - 1.).abs() < 1e-5) {
        return Ok(None);
    }
    if !is_on {
        warnings.push(format!(
            "{}: `{name}` is not 1 throughout, but the config says that it is not used \
             (`finetuning_scaling_factor` is false): it was not applied.",
            weights.origin()
        ));
        return Ok(None);
    }
    Ok(Some(factor))
}
