//! Two linear maps and a ReLU, as modules of torch: those of Goodfire and qresearch on Llama, and those
//! that were trained end to end by Braun et al. (arXiv 2405.12241).
//!
//! Sources: SAELens 6.54, `goodfire` and `deepseek_r1`; e2e_sae's `sparsifiers.py`, where decoder columns
//! have norm 1 whatever the file says.

use super::draft::Draft;
use super::gemma_scope::sizes;
use super::hook_point::number_after;
use super::source::Source;
use super::weights::Weights;
use crate::error::Result;
use crate::sae::{Gate, SaeConfig};

/// What the two maps are called, and whether the decoder's columns are scaled to norm 1.
const NAMES: [(&str, &str, bool); 3] = [
    ("encoder_linear", "decoder_linear", false),
    ("encoder", "decoder", false),
    ("encoder.0", "decoder", true),
];

/// Whether these are the weights of one.
pub(super) fn is_one(weights: &Weights) -> bool {
    parts(weights).is_some()
}

/// What comes before the names, the names, and whether columns are scaled.
fn parts(weights: &Weights) -> Option<(String, &'static str, &'static str, bool)> {
    let names = weights.names();
    NAMES.iter().find_map(|(encoder, decoder, scaled)| {
        let last = format!("{encoder}.weight");
        let mut fitting = names.iter().filter_map(|name| {
            let front = name.strip_suffix(&last)?;
            let all = [".weight", ".bias"].iter().all(|kind| {
                weights.has(&format!("{front}{encoder}{kind}"))
                    && weights.has(&format!("{front}{decoder}{kind}"))
            });
            (all && (front.is_empty() || front.ends_with('.'))).then(|| front.to_owned())
        });
        // Several hook points in one file are another matter.
        match (fitting.next(), fitting.next()) {
            (Some(front), None) => Some((front, *encoder, *decoder, *scaled)),
            _ => None,
        }
    })
}

/// The autoencoder of a file.
///
/// # Errors
/// A weight is missing or does not fit the others.
pub(super) fn load(source: &Source, weights: &Weights) -> Result<Draft> {
    let found = parts(weights);
    let (front, encoder, decoder, scaled) =
        found.unwrap_or((String::new(), "encoder", "decoder", false));
    let name = |part: &str, kind: &str| format!("{front}{part}.{kind}");
    let [d_sae, d_in] = sizes(weights, &name(encoder, "weight"))?;
    let mut cfg = SaeConfig::new(d_in, d_sae);
    cfg.apply_b_dec_to_input = false;
    let W_enc = weights.turned(&name(encoder, "weight"), [d_in, d_sae])?;
    let mut W_dec = weights.turned(&name(decoder, "weight"), [d_sae, d_in])?;
    if scaled {
        let norms = W_dec.sqr()?.sum_keepdim(1)?.sqrt()?.maximum(1e-12)?;
        W_dec = W_dec.broadcast_div(&norms)?;
    }
    let b_enc = weights.get(&name(encoder, "bias"), &[d_sae])?;
    let b_dec = weights.get(&name(decoder, "bias"), &[d_in])?;
    // e2e_sae writes the hook point with dashes: `blocks-6-hook_resid_pre.encoder.0.weight`.
    let point = front.trim_end_matches('.').rsplit('.').next();
    match point.filter(|point| point.starts_with("blocks-")) {
        Some(point) => cfg.hook_name = Some(point.replace('-', ".")),
        None => describe(&mut cfg, &source.path(weights.name())),
    }
    let mut draft = Draft::new(cfg, [W_enc, b_enc, W_dec, b_dec], Gate::Relu);
    draft.done_with(weights);
    Ok(draft)
}

/// Model and layer, from `Llama-3.1-8B-Instruct-SAE-l19.pth`.
fn describe(cfg: &mut SaeConfig, path: &str) {
    let file = path.rsplit('/').next().unwrap_or_default();
    let Some((model, rest)) = file.split_once("-SAE-") else {
        return;
    };
    let owner = match model.starts_with("DeepSeek") {
        true => "deepseek-ai",
        false => "meta-llama",
    };
    cfg.model_name = Some(format!("{owner}/{model}"));
    cfg.prepend_bos = Some(true);
    let layer = number_after(rest, &["l"]);
    cfg.hook_name = layer.map(|layer| format!("blocks.{layer}.hook_resid_post"));
}
