//! JumpReLU, with gradients for its thresholds from a window around them.

use super::super::config::{JumpReluTraining, L0Loss};
use super::super::parameters::Parameters;
use super::super::penalty::RowSums;
use super::support::through_norms;
use super::{Batch, Found, Losses, column_sums, counts, row_norms, total};
use crate::error::{Error, Result};
use candle_core::Tensor;

pub(super) fn pass(batch: &Batch<'_>, training: &JumpReluTraining) -> Result<Found> {
    let (weights, step) = (batch.weights, batch.step);
    let Some(threshold) = weights.of_gate("threshold") else {
        return Err(Error::new("a JumpReLU autoencoder needs thresholds."));
    };
    let rows = batch.x.dim(0)? as f64;
    let pre = batch.projected()?.broadcast_add(&weights.b_enc)?; // [n, d_sae]
    let type_ = pre.dtype();
    let above = pre.broadcast_gt(threshold)?.to_dtype(type_)?;
    let acts = (pre.relu()? * &above)?;
    let written = acts.matmul(&weights.W_dec)?.broadcast_add(&weights.b_dec)?;
    let (squared_error, errors) = batch.squared_error(&written)?;
    let mut W_dec = acts.t()?.matmul(&errors)?;
    let mut gradient = errors.matmul(&weights.W_dec.t()?)?; // with respect to acts

    let sums = RowSums::of(&acts, &step.penalties)?;
    let (mut penalty, slope) = step.penalties.of(&sums, step.config.d_sae);
    if !step.penalties.is_empty() {
        gradient = (gradient + (slope.tensor(&acts)? * &above)?)?;
    }
    let l0: Vec<f32> = sums.active.clone();
    let coefficient = step.l0_coefficient;
    // The gradient with respect to whether a latent counts, [n, 1].
    let mut by_count: Option<Tensor> = None;
    match training.l0_loss {
        L0Loss::Step => {
            penalty += coefficient * sums.l0();
            let each = vec![(coefficient / rows) as f32; l0.len()];
            by_count = Some(Tensor::new(each, pre.device())?.unsqueeze(1)?);
        }
        L0Loss::Quadratic { target } => {
            let excess = l0.iter().map(|l0| f64::from(*l0) - target);
            let excess: Vec<f64> = excess.collect();
            let squares: f64 = excess.iter().map(|excess| excess * excess).sum();
            penalty += coefficient * 2. / target * squares / rows;
            let each = excess.iter();
            let each = each.map(|excess| (coefficient * 4. / target * excess / rows) as f32);
            by_count = Some(Tensor::new(each.collect::<Vec<f32>>(), pre.device())?.unsqueeze(1)?);
        }
        L0Loss::Tanh { scale } => {
            let norms = row_norms(&weights.W_dec)?;
            let bounded = (acts.broadcast_mul(&norms)? * scale)?.tanh()?;
            penalty += coefficient * total(&bounded)? / rows;
            // With respect to acts times norms.
            let slope = (bounded.sqr()?.affine(-1., 1.)? * (coefficient * scale / rows))?;
            let by_norm = column_sums(&(&slope * &acts)?)?;
            W_dec = (W_dec + through_norms(&by_norm, &weights.W_dec, &norms)?)?;
            gradient = (gradient + slope.broadcast_mul(&norms)?)?;
        }
    }

    let distance = pre.broadcast_sub(threshold)?.abs()?;
    let window = distance.lt(training.bandwidth / 2.)?.to_dtype(type_)?;
    let mut through_window = gradient.broadcast_mul(&(threshold / training.bandwidth)?)?;
    if let Some(by_count) = &by_count {
        through_window = through_window.broadcast_add(&(by_count / training.bandwidth)?)?;
    }
    let through_window = (window * through_window)?;
    let mut by_pre = (gradient * above)?;
    if training.gradient_to_input {
        by_pre = (by_pre + &through_window)?;
    }
    let b_enc = column_sums(&by_pre)?;
    let gradients = Parameters {
        W_enc: by_pre.t()?.matmul(batch.centred)?,
        b_enc: b_enc.clone(),
        W_dec,
        b_dec: column_sums(&errors)?,
        of_gate: vec![("threshold", column_sums(&through_window)?.neg()?)],
    };
    Ok(Found {
        losses: Losses {
            squared_error,
            penalty,
            ..Losses::default()
        },
        gradients,
        pre_sums: b_enc.clone(),
        b_enc,
        written,
        counts: counts(&acts)?,
        sums,
        smallest: None,
    })
}
