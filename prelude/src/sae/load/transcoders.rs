//! Transcoders for circuit tracing: `layer_0.safetensors` of one layer, or `W_enc_0.safetensors` and
//! `W_dec_0.safetensors` of one that writes to all later layers, with `config.yaml` beside.
//!
//! Source: SAELens 6.54, `mwhanna_transcoder` and `mntss_clt_layer_transcoder`.

use super::draft::Draft;
use super::gemma_scope::sizes;
use super::hook_point::number_after;
use super::plain;
use super::source::Source;
use super::weights::Weights;
use crate::error::Result;
use crate::sae::{Gate, SaeConfig};

const CONFIG: &str = "config.yaml";

/// Whether this is a file of one layer.
pub(super) fn is_layer(source: &Source, weights: &Weights) -> bool {
    let name = weights.name();
    plain::is_one(weights)
        && number_after(name, &["layer_"]).is_some()
        && (source.path("").contains("transcoder") || source.has(CONFIG))
}

/// The transcoder of one layer.
///
/// # Errors
/// A weight is missing or does not fit the others.
pub(super) fn load_layer(source: &Source, weights: &Weights) -> Result<Draft> {
    let mut draft = plain::of(weights)?;
    let layer = number_after(weights.name(), &["layer_"]);
    describe(source, &mut draft.cfg, layer)?;
    Ok(draft)
}

/// The layer of a file of encoders of a cross-layer transcoder.
pub(super) fn cross_layer(weights: &Weights) -> Option<usize> {
    let layer = number_after(weights.name(), &["W_enc_"])?;
    weights.has(&format!("W_enc_{layer}")).then_some(layer)
}

/// The name of the file of encoders of a layer.
pub(super) fn encoders(layer: &str) -> String {
    format!("W_enc_{layer}.safetensors")
}

/// One layer of a cross-layer transcoder, as if it wrote to one place.
///
/// # Errors
/// A weight is missing or does not fit the others.
pub(super) fn load_cross_layer(source: &Source, weights: &Weights, layer: usize) -> Result<Draft> {
    let name = |weight: &str| format!("{weight}_{layer}");
    let [d_sae, d_in] = sizes(weights, &name("W_enc"))?;
    let W_enc = weights.turned(&name("W_enc"), [d_in, d_sae])?;
    let b_enc = weights.get(&name("b_enc"), &[d_sae])?;
    let b_dec = weights.get(&name("b_dec"), &[d_in])?;
    let decoders = Weights::open(source, &format!("W_dec_{layer}.safetensors"))?;
    let W_dec = decoders.any(&name("W_dec"))?.sum(1)?;
    let mut cfg = SaeConfig::new(d_in, d_sae);
    describe(source, &mut cfg, Some(layer))?;
    let mut draft = Draft::new(cfg, [W_enc, b_enc, W_dec, b_dec], Gate::Relu);
    draft.warnings.push(format!(
        "{}: what this layer writes to later layers was summed, so only its activations mean \
         something, not its reconstruction.",
        weights.origin()
    ));
    draft.done_with(weights);
    draft.done_with(&decoders);
    Ok(draft)
}

fn describe(source: &Source, cfg: &mut SaeConfig, layer: Option<usize>) -> Result<()> {
    let text = source.read(CONFIG)?.unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let said = |key: &str| {
        let line = text
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        line.map(|value| value.trim().trim_matches(['"', '\'']).to_owned())
    };
    let point = |point: String| layer.map(|layer| format!("blocks.{layer}.{point}"));
    let reads = said("feature_input_hook").unwrap_or_else(|| "mlp.hook_in".to_owned());
    let writes = said("feature_output_hook").unwrap_or_else(|| "hook_mlp_out".to_owned());
    cfg.hook_name = point(reads);
    cfg.hook_name_out = point(writes);
    cfg.model_name = said("model_name");
    cfg.apply_b_dec_to_input = false;
    Ok(())
}
