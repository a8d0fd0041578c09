//! Qwen Scope: `layer0.sae.pt` in a repository whose name says how many latents are active.
//!
//! Source: SAELens 6.54, `qwen_scope`.

use super::draft::Draft;
use super::hook_point::number_after;
use super::plain;
use super::source::Source;
use super::weights::Weights;
use crate::error::{Error, Result};
use crate::sae::{Gate, TopK};

/// Whether a file is called as theirs are.
pub(super) fn is_one(weights: &Weights) -> bool {
    weights.name().ends_with(".sae.pt") && plain::is_one(weights)
}

/// The autoencoder of a file.
///
/// # Errors
/// A weight does not fit the others, or the path does not say `k`.
pub(super) fn load(source: &Source, weights: &Weights) -> Result<Draft> {
    let path = source.path(weights.name());
    let Some(k) = number_after(&path, &["-L0_"]) else {
        return Err(Error::new(format!(
            "{}: how many latents are active at a time is said by its folder's name, as in \
             SAE-Res-Qwen3-1.7B-Base-W32K-L0_50: give it such a name.",
            weights.origin()
        )));
    };
    let mut draft = plain::of(weights)?;
    draft.gate = Gate::TopK(TopK::new(k));
    let cfg = &mut draft.cfg;
    cfg.apply_b_dec_to_input = false;
    cfg.prepend_bos = Some(true);
    let layer = number_after(weights.name(), &["layer"]);
    cfg.hook_name = layer.map(|layer| format!("blocks.{layer}.hook_resid_post"));
    let model = path.split("SAE-Res-").nth(1);
    let model = model
        .and_then(|rest| rest.split_once("-W"))
        .map(|(name, _)| name);
    cfg.model_name = model.map(|name| format!("Qwen/{name}"));
    Ok(draft)
}
