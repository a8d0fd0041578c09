//! EleutherAI's sparsify: `cfg.json` and `sae.safetensors`.
//!
//! Source: the library's `sparse_coder.py`. SAELens 6.54 turns the decoder round that it stores, and
//! takes `normalize_decoder` for the choice of centring; this reader does as the library does.

use super::draft::Draft;
use super::fields::Fields;
use super::gemma_scope::sizes;
use super::hook_point::number_after;
use super::source::Source;
use super::weights::{Weights, zeros};
use crate::error::{Error, Result};
use crate::sae::{Gate, SaeConfig, TopK};

pub(super) const CONFIG: &str = "cfg.json";
pub(super) const WEIGHTS: &str = "sae.safetensors";

const KNOWN: &[&str] = &[
    "expansion_factor",
    "multi_topk",
    "normalize_decoder",
    "num_latents",
    "skip_connection",
];

/// The autoencoder of a folder.
///
/// # Errors
/// The config or a weight is missing, damaged, or of a kind that is not known.
pub(super) fn load(source: &Source, weights: &Weights) -> Result<Draft> {
    let Some(fields) = Fields::read(source, CONFIG)? else {
        return Err(source.missing(CONFIG));
    };
    let [d_sae, d_in] = sizes(weights, "encoder.weight")?;
    let mut cfg = SaeConfig::new(fields.size("d_in")?.unwrap_or(d_in), d_sae);
    if let Some(d_sae) = fields.size("num_latents")?.filter(|size| *size > 0) {
        cfg.d_sae = d_sae;
    }
    let transcodes = fields.flag("transcode")?.unwrap_or(false);
    cfg.apply_b_dec_to_input = !transcodes;
    describe(&mut cfg, &source.path(""), transcodes);
    match fields.text("activation")?.as_deref() {
        None | Some("topk") => {}
        Some(other) => {
            return Err(Error::new(format!(
                "{}: the activation `{other}` is not supported: `topk` is.",
                fields.origin()
            )));
        }
    }
    let Some(k) = fields.size("k")? else {
        return Err(Error::new(format!(
            "{}: `k`, the number of latents that are active at a time, is missing.",
            fields.origin()
        )));
    };
    let gate = Gate::TopK(TopK {
        signed: fields.flag("signed")?.unwrap_or(false),
        ..TopK::new(k)
    });
    let (d_in, d_sae) = (cfg.d_in, cfg.d_sae);
    let W_enc = weights.turned("encoder.weight", [d_in, d_sae])?;
    let W_dec = weights.get("W_dec", &[d_sae, d_in])?;
    let b_enc = match weights.has("encoder.bias") {
        true => weights.get("encoder.bias", &[d_sae])?,
        false => zeros(d_sae)?,
    };
    let b_dec = weights.get("b_dec", &[d_in])?;
    let mut draft = Draft::new(cfg, [W_enc, b_enc, W_dec, b_dec], gate);
    if weights.has("W_skip") {
        // Multiplied from the left there.
        draft.W_skip = Some(weights.turned("W_skip", [d_in, d_in])?);
    }
    draft.keep(fields, KNOWN);
    draft.done_with(weights);
    Ok(draft)
}

/// The hook point, from a folder called `layers.5`, `layers.5.mlp`, `gpt_neox.layers.3.attention` or
/// `embed_tokens`: a module's output.
fn describe(cfg: &mut SaeConfig, path: &str, transcodes: bool) {
    let folder = path.trim_end_matches('/').rsplit('/').next();
    let folder = folder.unwrap_or_default();
    if folder == "embed_tokens" {
        cfg.hook_name = Some("hook_embed".to_owned());
        return;
    }
    let Some(layer) = number_after(folder, &["layers.", "layers_", "h."]) else {
        return;
    };
    let output = if folder.ends_with("mlp") {
        "hook_mlp_out"
    } else if folder.contains("attn") || folder.contains("attention") {
        "hook_attn_out"
    } else {
        "hook_resid_post"
    };
    let output = format!("blocks.{layer}.{output}");
    if transcodes {
        // A module's input is what its norm gives, for which only the MLP's has a name.
        cfg.hook_name = folder
            .ends_with("mlp")
            .then(|| format!("blocks.{layer}.ln2.hook_normalized"));
        cfg.hook_name_out = Some(output);
    } else {
        cfg.hook_name = Some(output);
    }
}
