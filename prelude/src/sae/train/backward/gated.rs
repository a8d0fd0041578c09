//! Gated autoencoders: one path says which latents are active, the other how much, and the first alone
//! must reconstruct as well.

use super::super::parameters::Parameters;
use super::super::penalty::RowSums;
use super::support::through_norms;
use super::{Batch, Found, Losses, column_sums, counts, row_norms};
use crate::error::{Error, Result};
use candle_core::Tensor;

pub(super) fn pass(batch: &Batch<'_>, frozen_decoder: bool) -> Result<Found> {
    let (weights, step) = (batch.weights, batch.step);
    let of_gate = |name| {
        weights
            .of_gate(name)
            .ok_or_else(|| Error::new(format!("a gated autoencoder needs `{name}`.")))
    };
    let (r_mag, b_mag) = (of_gate("r_mag")?, of_gate("b_mag")?);
    let projected = batch.projected()?; // [n, d_sae]
    let type_ = projected.dtype();
    let positive = |values: &Tensor| values.gt(0.)?.to_dtype(type_);
    let gate = projected.broadcast_add(&weights.b_enc)?;
    let scale = r_mag.exp()?;
    let magnitude = projected.broadcast_mul(&scale)?.broadcast_add(b_mag)?;
    let open = positive(&gate)?;
    let acts = (&open * magnitude.relu()?)?;
    let decode = |acts: &Tensor| acts.matmul(&weights.W_dec)?.broadcast_add(&weights.b_dec);
    let written = decode(&acts)?;
    let (squared_error, errors) = batch.squared_error(&written)?;

    let opening = gate.relu()?; // what the gate's path says by itself
    let (other_errors, other) = batch.squared_error(&decode(&opening)?)?;
    let mut by_opening = other.matmul(&weights.W_dec.t()?)?;
    let mut W_dec = acts.t()?.matmul(&errors)?;
    let mut b_dec = column_sums(&errors)?;
    if !frozen_decoder {
        W_dec = (W_dec + opening.t()?.matmul(&other)?)?;
        b_dec = (b_dec + column_sums(&other)?)?;
    }
    let mut penalty = 0.;
    if !step.penalties.is_empty() {
        let norms = match step.config.penalty_sees_decoder_norm {
            true => Some(row_norms(&weights.W_dec)?),
            false => None,
        };
        let seen = match &norms {
            Some(norms) => opening.broadcast_mul(norms)?,
            None => opening.clone(),
        };
        let sums = RowSums::of(&seen, &step.penalties)?;
        let (value, slope) = step.penalties.of(&sums, step.config.d_sae);
        penalty = value;
        let mut slope = slope.tensor(&seen)?;
        if let Some(norms) = &norms {
            let by_norm = column_sums(&(&slope * &opening)?)?;
            W_dec = (W_dec + through_norms(&by_norm, &weights.W_dec, norms)?)?;
            slope = slope.broadcast_mul(norms)?;
        }
        by_opening = (by_opening + slope)?;
    }
    let by_gate = (by_opening * &open)?;
    let by_acts = errors.matmul(&weights.W_dec.t()?)?;
    let by_magnitude = ((by_acts * &open)? * positive(&magnitude)?)?;
    let by_projected = (&by_gate + by_magnitude.broadcast_mul(&scale)?)?;
    let r_mag = (column_sums(&(&by_magnitude * &projected)?)? * &scale)?;
    let b_enc = column_sums(&by_gate)?;
    let gradients = Parameters {
        W_enc: by_projected.t()?.matmul(batch.centred)?,
        b_enc: b_enc.clone(),
        W_dec,
        b_dec,
        of_gate: vec![("r_mag", r_mag), ("b_mag", column_sums(&by_magnitude)?)],
    };
    Ok(Found {
        losses: Losses {
            squared_error,
            other_errors,
            penalty,
            auxiliary: 0.,
        },
        gradients,
        b_enc,
        pre_sums: column_sums(&by_projected)?,
        written,
        sums: RowSums::of(&acts, &step.penalties)?,
        counts: counts(&acts)?,
        smallest: None,
    })
}
