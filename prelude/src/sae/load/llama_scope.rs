//! Llama Scope (He et al. 2024, arXiv 2410.20526): `hyperparams.json` and
//! `checkpoints/final.safetensors`; of the series on R1, `config.json` and `sae_weights.safetensors`.
//!
//! Source: SAELens 6.54, `llama_scope` and `llama_scope_r1_distill`.

use super::draft::Draft;
use super::fields::Fields;
use super::gemma_scope::sizes;
use super::source::Source;
use super::weights::Weights;
use crate::error::{Error, Result};
use crate::sae::{ActivationNorm, Gate, JumpRelu, SaeConfig};
use candle_core::Tensor;

pub(super) const CONFIG: &str = "hyperparams.json";
pub(super) const WEIGHTS: &str = "checkpoints/final.safetensors";
pub(super) const NEWER_CONFIG: &str = "config.json";

const KNOWN: &[&str] = &[
    "act_fn",
    "apply_decoder_bias_to_pre_encoder",
    "d_model",
    "d_sae",
    "decoder_bias_init_method",
    "decoder_exactly_fixed_norm",
    "device",
    "dtype",
    "expansion_factor",
    "hook_point_out",
    "init_decoder_norm",
    "init_encoder_norm",
    "init_encoder_with_decoder_transpose",
    "jumprelu_threshold_window",
    "lp",
    "norm_activation",
    "sae_pretrained_name_or_path",
    "sae_type",
    "seed",
    "skip_bos",
    "sparsity_include_decoder_norm",
    "strict_loading",
    "tensor_paralleled",
    "top_k",
    "tp_size",
    "use_decoder_bias",
    "use_ghost_grads",
    "use_triton_kernel",
];

/// Whether these are the weights of one of the newer series.
pub(super) fn is_newer(weights: &Weights) -> bool {
    weights.has("log_jumprelu_threshold")
}

/// The autoencoder of a folder of the first series.
///
/// # Errors
/// The config or a weight is missing or damaged.
pub(super) fn load(source: &Source, weights: &Weights) -> Result<Draft> {
    let Some(fields) = Fields::read(source, CONFIG)? else {
        return Err(source.missing(CONFIG));
    };
    let Some(threshold) = fields.number("jump_relu_threshold")? else {
        return Err(Error::new(format!(
            "{}: `jump_relu_threshold` is missing.",
            fields.origin()
        )));
    };
    let factor = scale(&fields)?;
    if factor.is_none() {
        return Err(Error::new(format!(
            "{}: `dataset_average_activation_norm` is missing, by which activations were scaled.",
            fields.origin()
        )));
    }
    // The threshold is in the scale of activations before they were scaled.
    let threshold = threshold * factor.unwrap_or(1.);
    finish(fields, weights, factor, |d_sae| {
        Ok((Tensor::ones(d_sae, candle_core::DType::F32, &candle_core::Device::Cpu)? * threshold)?)
    })
}

/// The autoencoder of a folder of the newer series.
///
/// # Errors
/// As [`load`].
pub(super) fn load_newer(source: &Source, weights: &Weights) -> Result<Draft> {
    let Some(fields) = Fields::read(source, NEWER_CONFIG)? else {
        return Err(source.missing(NEWER_CONFIG));
    };
    let factor = scale(&fields)?;
    finish(fields, weights, factor, |d_sae| {
        Ok(weights.get("log_jumprelu_threshold", &[d_sae])?.exp()?)
    })
}

/// What activations were multiplied by: to a mean norm of `sqrt(d_model)`.
fn scale(fields: &Fields) -> Result<Option<f64>> {
    let d_model = fields.number("d_model")?;
    let norms = fields.object("dataset_average_activation_norm")?;
    let norm = match norms {
        Some(norms) => {
            norms.value("out");
            norms.number("in")?
        }
        None => None,
    };
    Ok(match (d_model, norm) {
        (Some(d_model), Some(norm)) if norm > 0. => Some(d_model.sqrt() / norm),
        _ => None,
    })
}

fn finish(
    fields: Fields,
    weights: &Weights,
    factor: Option<f64>,
    threshold: impl FnOnce(usize) -> Result<Tensor>,
) -> Result<Draft> {
    let [d_sae, d_in] = sizes(weights, "encoder.weight")?;
    let mut cfg = SaeConfig::new(fields.size("d_model")?.unwrap_or(d_in), d_sae);
    if let Some(d_sae) = fields.size("d_sae")? {
        cfg.d_sae = d_sae;
    }
    cfg.model_name = Some("meta-llama/Llama-3.1-8B".to_owned());
    cfg.hook_name = fields.text("hook_point_in")?;
    cfg.prepend_bos = Some(true);
    cfg.apply_b_dec_to_input = false;
    cfg.normalize_activations = ActivationNorm::ExpectedAverageOnlyIn;
    let (d_in, d_sae) = (cfg.d_in, cfg.d_sae);
    let W_enc = weights.turned("encoder.weight", [d_in, d_sae])?;
    let W_dec = weights.turned("decoder.weight", [d_sae, d_in])?;
    let b_enc = weights.get("encoder.bias", &[d_sae])?;
    let b_dec = weights.get("decoder.bias", &[d_in])?;
    let gate = Gate::JumpRelu(JumpRelu {
        threshold: threshold(d_sae)?,
    });
    let mut draft = Draft::new(cfg, [W_enc, b_enc, W_dec, b_dec], gate);
    draft.norm_scaling_factor = factor;
    draft.keep(fields, KNOWN);
    draft.done_with(weights);
    Ok(draft)
}
