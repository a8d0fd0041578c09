//! Gates whose gradients are those of their active latents alone.

use super::super::config::GateTraining;
use super::super::entries::{Entries, worth_it};
use super::super::gates::{activate, slope, slopes};
use super::super::parameters::Parameters;
use super::super::penalty::{PenaltySlope, RowSums};
use super::super::slices;
use super::{Batch, Found, Losses, column_sums, counts, row_norms, smallest};
use crate::error::Result;
use candle_core::Tensor;
use rayon::prelude::*;
use std::ops::Range;

pub(super) fn pass(batch: &Batch<'_>) -> Result<Found> {
    pass_with(batch, worth_it)
}

/// `sparse` says from activations, their L0 and `d_sae` which products to take.
fn pass_with(batch: &Batch<'_>, sparse: impl Fn(&Tensor, f64, usize) -> bool) -> Result<Found> {
    let (weights, step) = (batch.weights, batch.step);
    let gate = &step.config.gate;
    let d_sae = step.config.d_sae;
    let acts = activate(gate, batch.projected()?, &weights.b_enc, &step.noise)?; // [n, d_sae]
    let norms = match step.config.penalty_sees_decoder_norm && !step.penalties.is_empty() {
        true => Some(row_norms(&weights.W_dec)?),
        false => None,
    };
    let sums = RowSums::of(&acts, &step.penalties)?;
    let penalised = match &norms {
        Some(norms) => RowSums::of(&acts.broadcast_mul(norms)?, &step.penalties)?,
        None => sums.clone(),
    };
    let (penalty, penalty_slope) = step.penalties.of(&penalised, d_sae);
    let groups = groups(gate, d_sae);
    let entries = match sparse(&acts, sums.l0(), d_sae) {
        true => Some(Entries::of(&acts)?),
        false => None,
    };
    let written = match &entries {
        Some(entries) => entries.decode(&weights.W_dec, &weights.b_dec, &groups)?,
        None => decode(&acts, weights, &groups)?,
    };

    let mut losses = Losses {
        penalty,
        ..Losses::default()
    };
    let mut errors = Vec::with_capacity(groups.len());
    for (index, written) in written.iter().enumerate() {
        let (squares, gradient) = batch.squared_error(written)?;
        match index + 1 == groups.len() {
            true => losses.squared_error = squares,
            false => losses.other_errors += squares,
        }
        errors.push(gradient);
    }
    // A group is in its own reconstruction and in all later ones.
    for index in (1..errors.len()).rev() {
        errors[index - 1] = (&errors[index - 1] + &errors[index])?;
    }

    let smallest = match (gate, &entries) {
        (GateTraining::BatchTopK { .. } | GateTraining::Matryoshka { .. }, Some(entries)) => {
            entries.smallest()
        }
        (GateTraining::BatchTopK { .. } | GateTraining::Matryoshka { .. }, None) => {
            smallest(&acts)?
        }
        _ => None,
    };
    let penalty_slope = (!step.penalties.is_empty()).then_some(penalty_slope);
    let back = Back {
        batch,
        errors: &errors,
        groups: &groups,
        penalty: penalty_slope.as_ref(),
        norms: norms.as_ref(),
    };
    let (counts, mut gradients) = match &entries {
        Some(entries) => (entries.counts(), back.sparse(entries)?),
        None => (counts(&acts)?, back.dense(acts)?),
    };
    if let Some(first) = errors.first() {
        gradients.b_dec = column_sums(first)?;
    }
    let b_enc = gradients.b_enc.clone();
    Ok(Found {
        losses,
        pre_sums: b_enc.clone(),
        b_enc,
        gradients,
        written: written
            .into_iter()
            .next_back()
            .unwrap_or(batch.x.zeros_like()?),
        sums,
        counts,
        smallest,
    })
}

/// Latents whose prefixes are autoencoders: one group but for Matryoshka.
fn groups(gate: &GateTraining, d_sae: usize) -> Vec<Range<usize>> {
    let GateTraining::Matryoshka { prefixes, .. } = gate else {
        let all = 0..d_sae;
        return vec![all];
    };
    let starts = std::iter::once(0).chain(prefixes.iter().copied());
    starts
        .zip(prefixes)
        .map(|(start, end)| start..*end)
        .collect()
}

/// What the latents below the end of each group write, with the bias: one `[n, d_in]` a group.
fn decode(acts: &Tensor, weights: &Parameters, groups: &[Range<usize>]) -> Result<Vec<Tensor>> {
    let mut written: Vec<Tensor> = Vec::with_capacity(groups.len());
    for group in groups {
        let part = columns(acts, group)?.matmul(&rows(&weights.W_dec, group)?)?;
        written.push(match written.last() {
            Some(last) => (last + part)?,
            None => part.broadcast_add(&weights.b_dec)?,
        });
    }
    Ok(written)
}

/// The way back from the errors of each group.
struct Back<'a> {
    batch: &'a Batch<'a>,
    errors: &'a [Tensor],
    groups: &'a [Range<usize>],
    penalty: Option<&'a PenaltySlope>,
    norms: Option<&'a Tensor>,
}

impl Back<'_> {
    fn gate(&self) -> &GateTraining {
        &self.batch.step.config.gate
    }

    fn sparse(&self, entries: &Entries) -> Result<Parameters> {
        let weights = self.batch.weights;
        let mut W_dec = entries.gather_acts(self.errors, self.groups)?;
        let gradient = entries.back(self.errors, &weights.W_dec, self.groups)?;
        let norms: Option<Vec<f32>> = self.norms.map(Tensor::to_vec1).transpose()?;
        if let (Some(norms), Some(tensor), Some(penalty)) = (&norms, self.norms, self.penalty) {
            let sums = entries.penalty_by_norm(penalty, norms);
            let sums = Tensor::from_vec(sums, norms.len(), W_dec.device())?;
            W_dec = (W_dec + through_norms(&sums, &weights.W_dec, tensor)?)?;
        }
        let rows = self.batch.x.dim(0)?;
        let none = PenaltySlope {
            constant: vec![0.; rows],
            slope: vec![0.; rows],
            roots: 0.,
        };
        let penalty = self.penalty.unwrap_or(&none);
        let pre = entries.through_gate(gradient, penalty, norms.as_deref(), slope(self.gate()));
        let d_sae = self.batch.step.config.d_sae;
        let all = 0..d_sae;
        let W_enc = entries.gather(&pre, std::slice::from_ref(self.batch.centred), &[all])?;
        Ok(Parameters {
            W_enc,
            b_enc: entries.sums(&pre)?,
            W_dec,
            b_dec: weights.b_dec.zeros_like()?,
            of_gate: Vec::new(),
        })
    }

    fn dense(&self, acts: Tensor) -> Result<Parameters> {
        let weights = self.batch.weights;
        let mut W_dec = Vec::with_capacity(self.groups.len());
        let mut gradient = Vec::with_capacity(self.groups.len());
        for (group, errors) in self.groups.iter().zip(self.errors) {
            W_dec.push(columns(&acts, group)?.t()?.matmul(errors)?);
            gradient.push(errors.matmul(&rows(&weights.W_dec, group)?.t()?)?);
        }
        let (mut W_dec, mut gradient) = (joined(W_dec, 0)?, joined(gradient, 1)?);
        if let (Some(norms), Some(penalty)) = (self.norms, self.penalty) {
            let slope = penalty.tensor(&acts.broadcast_mul(norms)?)?;
            let sums = column_sums(&(&slope * &acts)?)?;
            W_dec = (W_dec + through_norms(&sums, &weights.W_dec, norms)?)?;
            gradient = (gradient + slope.broadcast_mul(norms)?)?;
        }
        let penalty = match self.norms {
            Some(_) => None,
            None => self.penalty,
        };
        let pre = self.through_gate(gradient, &acts, penalty)?;
        Ok(Parameters {
            W_enc: pre.t()?.matmul(self.batch.centred)?,
            b_enc: column_sums(&pre)?,
            W_dec,
            b_dec: weights.b_dec.zeros_like()?,
            of_gate: Vec::new(),
        })
    }

    /// The gradient with respect to pre-activations, in the memory of that with respect to activations
    /// where it is on the CPU.
    fn through_gate(
        &self,
        gradient: Tensor,
        acts: &Tensor,
        penalty: Option<&PenaltySlope>,
    ) -> Result<Tensor> {
        if !slices::on_cpu(acts) {
            let full = match penalty {
                Some(penalty) => (gradient + penalty.tensor(acts)?)?,
                None => gradient,
            };
            return Ok((full * slopes(self.gate(), acts)?)?);
        }
        let width = acts.dim(1)?;
        let bounded = matches!(self.gate(), GateTraining::Nsae { .. });
        let gradient = gradient.contiguous()?;
        slices::read(acts, |acts| {
            slices::overwrite(&gradient, |gradient| {
                gradient
                    .par_chunks_mut(width)
                    .zip(acts.par_chunks(width))
                    .with_min_len(16)
                    .enumerate()
                    .for_each(|(row, (gradient, acts))| {
                        match penalty {
                            Some(penalty) if penalty.roots > 0. => {
                                for (gradient, act) in gradient.iter_mut().zip(acts) {
                                    *gradient += penalty.at(row, *act);
                                }
                            }
                            Some(penalty) => {
                                let (constant, slope) = (penalty.constant[row], penalty.slope[row]);
                                for (gradient, act) in gradient.iter_mut().zip(acts) {
                                    *gradient += constant + slope * act;
                                }
                            }
                            None => {}
                        }
                        for (gradient, act) in gradient.iter_mut().zip(acts) {
                            *gradient = if *act > 0. { *gradient } else { 0. };
                        }
                        if bounded {
                            for (gradient, act) in gradient.iter_mut().zip(acts) {
                                *gradient *= 1. - act * act;
                            }
                        }
                    });
            })
        })??;
        Ok(gradient)
    }
}

/// The gradient with respect to decoder rows from that with respect to their norms.
pub(super) fn through_norms(sums: &Tensor, W_dec: &Tensor, norms: &Tensor) -> Result<Tensor> {
    Ok(W_dec.broadcast_mul(&(sums / norms)?.unsqueeze(1)?)?)
}

fn columns(matrix: &Tensor, group: &Range<usize>) -> Result<Tensor> {
    if group.len() == matrix.dim(1)? {
        return Ok(matrix.clone());
    }
    Ok(matrix.narrow(1, group.start, group.len())?.contiguous()?)
}

fn rows(matrix: &Tensor, group: &Range<usize>) -> Result<Tensor> {
    Ok(matrix.narrow(0, group.start, group.len())?)
}

fn joined(mut parts: Vec<Tensor>, dim: usize) -> Result<Tensor> {
    match parts.len() {
        1 => Ok(parts.remove(0)),
        _ => Ok(Tensor::cat(&parts, dim)?.contiguous()?),
    }
}

/// The gradients by dense products, but for what reaches `b_dec` through the encoder.
#[cfg(test)]
pub(super) fn pass_dense(
    weights: &Parameters,
    x: &Tensor,
    step: &super::StepInput<'_>,
) -> Result<Parameters> {
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
    Ok(pass_with(&batch, |_, _, _| false)?.gradients)
}
