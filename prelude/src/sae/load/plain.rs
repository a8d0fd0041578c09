//! Plain weights: `W_enc`, `b_enc`, `W_dec`, `b_dec` and what goes with them, without a config.

use super::draft::Draft;
use super::hook_point::in_path;
use super::source::Source;
use super::weights::Weights;
use crate::error::{Error, Result};
use crate::sae::{Gate, Gated, JumpRelu, SaeConfig};
use candle_core::Tensor;

/// Whether these are the weights of one.
pub(super) fn is_one(weights: &Weights) -> bool {
    weights.has_all(&["W_enc", "W_dec", "b_dec"])
        && (weights.has("b_enc") || weights.has_all(&["r_mag", "b_mag", "b_gate"]))
}

/// The autoencoder of a file.
///
/// # Errors
/// A weight is missing or does not fit the others.
pub(super) fn load(source: &Source, weights: &Weights) -> Result<Draft> {
    let mut draft = of(weights)?;
    draft.cfg.hook_name = in_path(&source.path(weights.name()));
    draft.warnings.push(format!(
        "{}: there is no config beside it, so `b_dec` was taken to be subtracted from the input, and \
         the gate to be `{}`. `SaeLoadOptions::new().apply_b_dec_to_input(false)` says otherwise for \
         the first.",
        weights.origin(),
        draft.gate.architecture()
    ));
    Ok(draft)
}

/// The autoencoder of a file, of which more is known than the weights say.
///
/// # Errors
/// As [`load`].
pub(super) fn of(weights: &Weights) -> Result<Draft> {
    let d_sae = match weights.has("b_enc") {
        true => length(weights, "b_enc")?,
        false => length(weights, "b_gate")?,
    };
    let d_out = length(weights, "b_dec")?;
    let mut warnings = Vec::new();
    let W_enc = turned(weights, "W_enc", d_sae, 1, &mut warnings)?;
    let W_dec = turned(weights, "W_dec", d_sae, 0, &mut warnings)?;
    let d_in = W_enc.dim(0)?;
    let mut cfg = SaeConfig::new(d_in, d_sae);
    cfg.d_out = d_out;
    cfg.apply_b_dec_to_input = d_in == d_out;
    let b_enc = match weights.has("b_enc") {
        true => weights.get("b_enc", &[d_sae])?,
        false => super::weights::zeros(d_sae)?,
    };
    let b_dec = weights.get("b_dec", &[d_out])?;
    let get = |name: &str| weights.get(name, &[d_sae]);
    let gate = if weights.has_all(&["r_mag", "b_mag", "b_gate"]) {
        Gate::Gated(Gated {
            r_mag: get("r_mag")?,
            b_mag: get("b_mag")?,
            b_gate: get("b_gate")?,
        })
    } else if weights.has("threshold") {
        Gate::JumpRelu(JumpRelu {
            threshold: get("threshold")?,
        })
    } else {
        Gate::Relu
    };
    let mut draft = Draft::new(cfg, [W_enc, b_enc, W_dec, b_dec], gate);
    draft.warnings = warnings;
    if weights.has("W_skip") {
        draft.W_skip = Some(weights.turned("W_skip", [d_in, d_out])?);
    }
    draft.done_with(weights);
    Ok(draft)
}

/// A matrix with its latents along `dim`, turned where they are along the other.
fn turned(
    weights: &Weights,
    name: &str,
    d_sae: usize,
    dim: usize,
    warnings: &mut Vec<String>,
) -> Result<Tensor> {
    let matrix = weights.any(name)?;
    let &[rows, columns] = matrix.dims() else {
        return Err(Error::new(format!(
            "{}: `{name}` has shape {:?}, but it should be a matrix.",
            weights.origin(),
            matrix.dims()
        )));
    };
    if rows == columns && rows == d_sae {
        warnings.push(format!(
            "{}: `{name}` is as wide as it is high, so its shape does not tell whether it is \
             transposed; it was taken as it is, {}.",
            weights.origin(),
            ["[d_sae, d_in]", "[d_in, d_sae]"][dim]
        ));
        return Ok(matrix);
    }
    match [rows, columns].iter().position(|size| *size == d_sae) {
        Some(at) if at == dim => Ok(matrix),
        Some(_) => Ok(matrix.t()?.contiguous()?),
        None => Err(Error::new(format!(
            "{}: `{name}` has shape [{rows}, {columns}], but neither size is {d_sae}, the length of \
             `b_enc`.",
            weights.origin()
        ))),
    }
}

fn length(weights: &Weights, name: &str) -> Result<usize> {
    match weights.shape(name).as_deref() {
        Some([length]) => Ok(*length),
        Some(other) => Err(Error::new(format!(
            "{}: `{name}` has shape {other:?}, but it should have one dimension.",
            weights.origin()
        ))),
        None => weights.get(name, &[]).map(|_| 0),
    }
}
