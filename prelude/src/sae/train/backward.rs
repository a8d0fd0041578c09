//! The loss of one batch and its gradients, written out: five products of matrices, where automatic
//! differentiation makes six.

mod gated;
mod jump_relu;
mod support;

use super::auxiliary;
use super::config::{GateTraining, TrainConfig};
use super::noise::Noise;
use super::parameters::Parameters;
use super::penalty::{Penalties, RowSums};
use super::slices;
use crate::error::Result;
use candle_core::{DType, Tensor};
use rayon::prelude::*;

/// What one step needs to know besides weights and inputs.
#[derive(Clone, Debug)]
pub(super) struct StepInput<'a> {
    pub(super) config: &'a TrainConfig,
    /// With the coefficients of this step.
    pub(super) penalties: Penalties,
    /// Of JumpReLU's L0, in this step.
    pub(super) l0_coefficient: f64,
    /// Latents for which the auxiliary loss is.
    pub(super) dead: &'a [u32],
    pub(super) noise: Noise,
}

/// The terms of a loss, each with its coefficient in it and averaged over the batch.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Losses {
    /// `|x̂ - x|²`.
    pub(super) squared_error: f64,
    /// The same of shorter prefixes, or of a gated autoencoder's second path.
    pub(super) other_errors: f64,
    /// Penalties, and JumpReLU's of L0.
    pub(super) penalty: f64,
    /// That of dead latents.
    pub(super) auxiliary: f64,
}

impl Losses {
    pub(super) fn total(&self) -> f64 {
        self.squared_error + self.other_errors + self.penalty + self.auxiliary
    }
}

/// What a pass has found.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) losses: Losses,
    pub(super) gradients: Parameters,
    pub(super) sums: RowSums,
    /// On how many rows each latent was active.
    pub(super) counts: Vec<u32>,
    /// The smallest activation above 0, where the gate asks for it.
    pub(super) smallest: Option<f64>,
}

/// The loss of a batch `x [n, d_in]` and its gradients.
pub(super) fn pass(weights: &Parameters, x: &Tensor, step: &StepInput<'_>) -> Result<Outcome> {
    let centred = match step.config.apply_b_dec_to_input {
        true => x.broadcast_sub(&weights.b_dec)?,
        false => x.clone(),
    };
    let batch = Batch {
        x,
        centred: &centred,
        weights,
        step,
    };
    let mut found = match &step.config.gate {
        GateTraining::JumpRelu(training) => jump_relu::pass(&batch, training)?,
        GateTraining::Gated { frozen_decoder } => gated::pass(&batch, *frozen_decoder)?,
        _ => support::pass(&batch)?,
    };
    if let Some(coefficient) = step.config.auxiliary
        && !step.dead.is_empty()
    {
        let residual = (x - &found.written)?;
        found.losses.auxiliary =
            auxiliary::add(&batch, coefficient, &residual, &mut found.gradients)?;
    }
    let mut gradients = found.gradients;
    if step.config.apply_b_dec_to_input {
        // What reaches the input of the encoder, added up over the batch before it is multiplied out.
        let through = found
            .pre_sums
            .add(&auxiliary_sums(&gradients, &found.b_enc)?)?;
        let through = through.unsqueeze(0)?.matmul(&weights.W_enc)?.squeeze(0)?;
        gradients.b_dec = (&gradients.b_dec - through)?;
    }
    if !step.config.decoder_bias {
        gradients.b_dec = gradients.b_dec.zeros_like()?;
    }
    Ok(Outcome {
        losses: found.losses,
        gradients,
        sums: found.sums,
        counts: found.counts,
        smallest: found.smallest,
    })
}

/// What the auxiliary loss added to the gradient of the encoder's bias.
fn auxiliary_sums(gradients: &Parameters, before: &Tensor) -> Result<Tensor> {
    Ok((&gradients.b_enc - before)?)
}

/// A batch on its way through one kind of gate.
pub(super) struct Batch<'a> {
    /// `[n, d_in]`.
    pub(super) x: &'a Tensor,
    /// Without `b_dec`, where it is subtracted.
    pub(super) centred: &'a Tensor,
    pub(super) weights: &'a Parameters,
    pub(super) step: &'a StepInput<'a>,
}

/// What one kind of gate has found.
struct Found {
    losses: Losses,
    gradients: Parameters,
    /// The gradient of the encoder's bias so far.
    b_enc: Tensor,
    /// The gradient with respect to `(x - b_dec) W_enc`, added up over the batch, `[d_sae]`.
    pre_sums: Tensor,
    /// The reconstruction, `[n, d_in]`.
    written: Tensor,
    sums: RowSums,
    counts: Vec<u32>,
    smallest: Option<f64>,
}

impl Batch<'_> {
    /// `(x - b_dec) W_enc`, `[n, d_sae]`.
    fn projected(&self) -> Result<Tensor> {
        Ok(self.centred.matmul(&self.weights.W_enc.t()?)?)
    }

    /// The mean squared norm of `written - x`, and its gradient with respect to `written`.
    fn squared_error(&self, written: &Tensor) -> Result<(f64, Tensor)> {
        let rows = self.x.dim(0)? as f64;
        let difference = (written - self.x)?;
        let squares = total(&difference.sqr()?)?;
        Ok((squares / rows, (difference * (2. / rows))?))
    }
}

/// The norms of the decoder's rows, `[d_sae]`.
fn row_norms(W_dec: &Tensor) -> Result<Tensor> {
    Ok(W_dec.sqr()?.sum(1)?.sqrt()?.maximum(1e-12)?)
}

/// The sum of all entries.
pub(super) fn total(values: &Tensor) -> Result<f64> {
    if slices::on_cpu(values) {
        return slices::read(values, |values| {
            // In chunks of one size, so that the order of additions does not depend on the cores.
            let chunks = values.chunks(1024);
            let sums = chunks.map(|chunk| f64::from(chunk.iter().sum::<f32>()));
            sums.sum()
        });
    }
    Ok(f64::from(values.sum_all()?.to_scalar::<f32>()?))
}

/// The sums of columns, `[d]`.
pub(super) fn column_sums(values: &Tensor) -> Result<Tensor> {
    let (rows, width) = values.dims2()?;
    if !slices::on_cpu(values) {
        return Ok(values.sum(0)?);
    }
    let sums = slices::read(values, |values| {
        let parts: Vec<Vec<f32>> = values
            .par_chunks(width * 128)
            .map(|rows| {
                let mut sums = vec![0f32; width];
                for row in rows.chunks(width) {
                    sums.iter_mut()
                        .zip(row)
                        .for_each(|(sum, value)| *sum += value);
                }
                sums
            })
            .collect();
        let mut sums = vec![0f32; width];
        for part in parts {
            sums.iter_mut()
                .zip(part)
                .for_each(|(sum, value)| *sum += value);
        }
        sums
    })?;
    debug_assert!(rows > 0);
    Ok(Tensor::from_vec(sums, width, values.device())?)
}

/// On how many rows each latent of `[n, d_sae]` is above 0.
fn counts(acts: &Tensor) -> Result<Vec<u32>> {
    let (_, width) = acts.dims2()?;
    if !slices::on_cpu(acts) {
        let active = acts.gt(0.)?.to_dtype(DType::F32)?;
        let sums: Vec<f32> = active.sum(0)?.to_vec1()?;
        return Ok(sums.into_iter().map(|sum| sum as u32).collect());
    }
    slices::read(acts, |acts| {
        let parts: Vec<Vec<u32>> = acts
            .par_chunks(width * 128)
            .map(|rows| {
                let mut sums = vec![0u32; width];
                for row in rows.chunks(width) {
                    for (sum, value) in sums.iter_mut().zip(row) {
                        *sum += u32::from(*value > 0.);
                    }
                }
                sums
            })
            .collect();
        let mut sums = vec![0u32; width];
        for part in parts {
            sums.iter_mut()
                .zip(part)
                .for_each(|(sum, value)| *sum += value);
        }
        sums
    })
}

/// The smallest activation above 0.
fn smallest(acts: &Tensor) -> Result<Option<f64>> {
    let least = |values: &[f32]| {
        let positive = values.iter().copied().filter(|value| *value > 0.);
        positive.min_by(f32::total_cmp).map(f64::from)
    };
    match slices::on_cpu(acts) {
        true => slices::read(acts, least),
        false => Ok(least(&acts.flatten_all()?.to_vec1::<f32>()?)),
    }
}

#[cfg(test)]
mod tests;
