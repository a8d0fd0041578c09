//! dictionary_learning's `ae.pt` and `config.json` (Marks, Karvonen and Mueller).
//!
//! Source: the library's `dictionary.py`. Its gated and JumpReLU kinds multiply activations by the norms
//! of the decoder's columns when they encode, and divide by them when they decode; like SAELens, this
//! reader leaves that out: `fold_W_dec_norm` gives those activations.

use super::draft::Draft;
use super::fields::Fields;
use super::gemma_scope::sizes;
use super::source::Source;
use super::weights::{Weights, zeros};
use crate::error::{Error, Result};
use crate::sae::{BatchTopK, Gate, Gated, JumpRelu, Matryoshka, SaeConfig, TopK};
use candle_core::Tensor;
use serde_json::Value;

pub(super) const CONFIG: &str = "config.json";
pub(super) const WEIGHTS: &str = "ae.pt";

const CLASSES: [&str; 7] = [
    "AutoEncoder",
    "AutoEncoderNew",
    "GatedAutoEncoder",
    "AutoEncoderTopK",
    "BatchTopKSAE",
    "MatryoshkaBatchTopKSAE",
    "JumpReluAutoEncoder",
];

/// Keys of `trainer` that say how it was trained.
const KNOWN: &[&str] = &[
    "activation_dim",
    "anneal_end",
    "anneal_start",
    "auxk_alpha",
    "bandwidth",
    "decay_start",
    "device",
    "dict_class",
    "dict_size",
    "group_fractions",
    "group_sizes",
    "group_weights",
    "initial_sparsity_penalty",
    "k",
    "k_anneal_steps",
    "k_max",
    "l1_penalty",
    "layer",
    "lm_name",
    "lr",
    "n_sparsity_updates",
    "normalize_decoder",
    "p_end",
    "p_start",
    "resample_steps",
    "seed",
    "sparsity_function",
    "sparsity_penalty",
    "sparsity_queue_length",
    "sparsity_warmup_steps",
    "steps",
    "submodule_name",
    "target_l0",
    "threshold_beta",
    "threshold_start_step",
    "top_k_aux",
    "trainer_class",
    "wandb_name",
    "warmup_steps",
];

/// Whether these are the weights of one.
pub(super) fn is_one(weights: &Weights) -> bool {
    let linear = weights.has_all(&["encoder.weight", "decoder.weight"]);
    let centred = ["bias", "decoder_bias", "b_dec", "decoder.bias"];
    linear && centred.iter().any(|bias| weights.has(bias))
}

/// The autoencoder of a file and the config beside it.
///
/// # Errors
/// A weight is missing, or the kind cannot be told or is not known.
pub(super) fn load(source: &Source, weights: &Weights) -> Result<Draft> {
    let config = Fields::read(source, CONFIG)?;
    let trainer = match &config {
        Some(config) => config.object("trainer")?,
        None => None,
    };
    let class = match &trainer {
        Some(trainer) => trainer.text("dict_class")?,
        None => None,
    };
    let class = match class {
        Some(class) => class,
        None => guess(weights)?.to_owned(),
    };
    let linear = weights.has("encoder.weight");
    let [d_in, d_sae] = match linear {
        true => {
            let [d_sae, d_in] = sizes(weights, "encoder.weight")?;
            [d_in, d_sae]
        }
        false => sizes(weights, "W_enc")?,
    };
    let mut cfg = SaeConfig::new(d_in, d_sae);
    let (W_enc, W_dec) = match linear {
        true => (
            weights.turned("encoder.weight", [d_in, d_sae])?,
            weights.turned("decoder.weight", [d_sae, d_in])?,
        ),
        false => (
            weights.get("W_enc", &[d_in, d_sae])?,
            weights.get("W_dec", &[d_sae, d_in])?,
        ),
    };
    let first = |names: &[&str], size: usize| -> Result<Tensor> {
        let found = names.iter().find(|name| weights.has(name));
        weights.get(found.unwrap_or(&names[0]), &[size])
    };
    let b_dec = first(&["b_dec", "bias", "decoder_bias", "decoder.bias"], d_in)?;
    let b_enc = match class.as_str() {
        "GatedAutoEncoder" => zeros(d_sae)?,
        _ => first(&["encoder.bias", "b_enc"], d_sae)?,
    };
    // These two read inputs as they are.
    let centred = !matches!(class.as_str(), "AutoEncoderNew" | "JumpReluAutoEncoder");
    cfg.apply_b_dec_to_input = centred;
    let gate = gate(&class, weights, trainer.as_ref(), d_sae)?;
    for name in ["k", "threshold", "group_sizes", "active_groups"] {
        weights.ignore(name);
    }
    if let Some(trainer) = &trainer {
        describe(&mut cfg, trainer)?;
    }
    let mut draft = Draft::new(cfg, [W_enc, b_enc, W_dec, b_dec], gate);
    if let Some(trainer) = trainer {
        draft.keep(trainer, KNOWN);
    }
    if let Some(config) = config {
        draft.keep(config, &["buffer"]);
    }
    draft.done_with(weights);
    Ok(draft)
}

fn gate(class: &str, weights: &Weights, trainer: Option<&Fields>, d_sae: usize) -> Result<Gate> {
    let k = || -> Result<f64> {
        let said = match trainer {
            Some(trainer) => trainer.number("k")?,
            None => None,
        };
        said.or_else(|| weights.number("k")).ok_or_else(|| {
            Error::new(format!(
                "{}: `k`, the number of latents that are active at a time, is neither in the config \
                 nor in the file.",
                weights.origin()
            ))
        })
    };
    let batch_top_k = || -> Result<Gate> {
        Ok(Gate::BatchTopK(BatchTopK {
            k: k()?,
            threshold: weights.number("threshold"),
            rescale_by_decoder_norm: false,
        }))
    };
    Ok(match class {
        "AutoEncoder" | "AutoEncoderNew" => Gate::Relu,
        "GatedAutoEncoder" => Gate::Gated(Gated {
            r_mag: weights.get("r_mag", &[d_sae])?,
            b_mag: weights.get("mag_bias", &[d_sae])?,
            b_gate: weights.get("gate_bias", &[d_sae])?,
        }),
        "AutoEncoderTopK" => Gate::TopK(TopK::new(k()? as usize)),
        "BatchTopKSAE" => batch_top_k()?,
        "MatryoshkaBatchTopKSAE" => {
            let inner = Box::new(batch_top_k()?);
            match prefixes(weights, trainer, d_sae) {
                Some(prefixes) => Gate::Matryoshka(Matryoshka { prefixes, inner }),
                None => *inner,
            }
        }
        "JumpReluAutoEncoder" => Gate::JumpRelu(JumpRelu {
            threshold: weights.get("threshold", &[d_sae])?,
        }),
        other => {
            return Err(Error::new(format!(
                "{CONFIG} beside {}: autoencoders of the class `{other}` are not supported: {} are.",
                weights.origin(),
                CLASSES.join(", ")
            )));
        }
    })
}

/// The prefixes, from the sizes of the groups.
fn prefixes(weights: &Weights, trainer: Option<&Fields>, d_sae: usize) -> Option<Vec<usize>> {
    let said = trainer.and_then(|trainer| {
        let sizes = trainer.value("group_sizes")?.as_array()?.iter();
        sizes.map(Value::as_f64).collect::<Option<Vec<f64>>>()
    });
    let groups = said.or_else(|| weights.numbers("group_sizes"))?;
    let mut end = 0;
    let ends: Vec<usize> = groups
        .iter()
        .map(|size| {
            end += *size as usize;
            end
        })
        .collect();
    (ends.last() == Some(&d_sae) && groups.iter().all(|size| *size >= 1.)).then_some(ends)
}

fn describe(cfg: &mut SaeConfig, trainer: &Fields) -> Result<()> {
    let model = trainer.text("lm_name")?;
    cfg.model_name = model.map(|name| match name.rsplit_once('/') {
        Some((_, name)) => name.to_owned(),
        None => name,
    });
    let part = trainer.text("submodule_name")?.unwrap_or_default();
    let point = match part.as_str() {
        part if part.contains("resid_pre") => "hook_resid_pre",
        part if part.contains("resid_mid") => "hook_resid_mid",
        part if part.starts_with("attention") || part.starts_with("attn") => "hook_attn_out",
        part if part.starts_with("mlp") => "hook_mlp_out",
        _ => "hook_resid_post",
    };
    if let Some(layer) = trainer.size("layer")? {
        cfg.hook_name = Some(format!("blocks.{layer}.{point}"));
    }
    Ok(())
}

/// The class, where no config says it, as far as the tensors tell.
fn guess(weights: &Weights) -> Result<&'static str> {
    if weights.has("r_mag") {
        return Ok("GatedAutoEncoder");
    }
    if weights.has("group_sizes") {
        return Ok("MatryoshkaBatchTopKSAE");
    }
    if weights.has("k") {
        return Err(Error::new(format!(
            "{}: without {CONFIG} beside it, it may choose the k largest of each position \
             (AutoEncoderTopK) or of a batch (BatchTopKSAE). Put the config there; \
             {{\"trainer\": {{\"dict_class\": \"BatchTopKSAE\"}}}} is enough.",
            weights.origin()
        )));
    }
    if weights.has("threshold") {
        return Ok("JumpReluAutoEncoder");
    }
    match weights.has("decoder.bias") {
        true => Ok("AutoEncoderNew"),
        false => Ok("AutoEncoder"),
    }
}
