//! The active latents of a batch alone: where few are active, their products cost a fraction of those of
//! whole matrices.

use super::penalty::PenaltySlope;
use super::slices;
use crate::error::Result;
use candle_core::{Device, Tensor};
use rayon::prelude::*;
use std::ops::Range;

/// Below this share of active latents the sparse products are the quicker ones.
const SPARSE: f64 = 0.06;
/// Rows that one core takes at a time.
const ROWS: usize = 32;

/// The entries above 0 of activations `[n, d_sae]`, by row and by latent.
#[derive(Debug)]
pub(super) struct Entries {
    rows: usize,
    d_sae: usize,
    /// Where the entries of each row start, and the end of the last.
    starts: Vec<usize>,
    latents: Vec<u32>,
    values: Vec<f32>,
    row_of: Vec<u32>,
    /// Where each latent's part of `by_latent` starts, and the end of the last.
    latent_starts: Vec<usize>,
    /// Entries ordered by latent, and by row where the latent is the same.
    by_latent: Vec<u32>,
}

/// Whether activations of this mean number of active latents are worth looking at one by one.
pub(super) fn worth_it(acts: &Tensor, l0: f64, d_sae: usize) -> bool {
    slices::on_cpu(acts) && l0 < SPARSE * d_sae as f64
}

impl Entries {
    pub(super) fn of(acts: &Tensor) -> Result<Self> {
        let (rows, d_sae) = acts.dims2()?;
        let found: Vec<(Vec<u32>, Vec<f32>)> = slices::read(acts, |acts| {
            acts.par_chunks(d_sae)
                .with_min_len(ROWS)
                .map(active)
                .collect()
        })?;
        let mut starts = vec![0];
        let mut latents = Vec::new();
        let mut values = Vec::new();
        let mut row_of = Vec::new();
        for (row, (row_latents, row_values)) in found.into_iter().enumerate() {
            row_of.extend(std::iter::repeat_n(row as u32, row_latents.len()));
            latents.extend(row_latents);
            values.extend(row_values);
            starts.push(latents.len());
        }
        let mut latent_starts = vec![0; d_sae + 1];
        for latent in &latents {
            latent_starts[*latent as usize + 1] += 1;
        }
        for latent in 0..d_sae {
            latent_starts[latent + 1] += latent_starts[latent];
        }
        let mut next = latent_starts.clone();
        let mut by_latent = vec![0; latents.len()];
        for (entry, latent) in latents.iter().enumerate() {
            let place = &mut next[*latent as usize];
            by_latent[*place] = entry as u32;
            *place += 1;
        }
        Ok(Self {
            rows,
            d_sae,
            starts,
            latents,
            values,
            row_of,
            latent_starts,
            by_latent,
        })
    }

    /// On how many rows each latent is active.
    pub(super) fn counts(&self) -> Vec<u32> {
        let bounds = self.latent_starts.windows(2);
        bounds.map(|pair| (pair[1] - pair[0]) as u32).collect()
    }

    /// The smallest entry.
    pub(super) fn smallest(&self) -> Option<f64> {
        let least = self.values.iter().copied().min_by(f32::total_cmp);
        least.map(f64::from)
    }

    /// What the latents below the end of each group write, with the bias: one `[n, d]` a group.
    pub(super) fn decode(
        &self,
        W_dec: &Tensor,
        b_dec: &Tensor,
        groups: &[Range<usize>],
    ) -> Result<Vec<Tensor>> {
        let width = W_dec.dim(1)?;
        let mut written: Vec<Vec<f32>> = Vec::with_capacity(groups.len());
        for group in groups {
            let mut next = match written.last() {
                Some(last) => last.clone(),
                None => slices::read(b_dec, |bias| bias.repeat(self.rows))?,
            };
            slices::read(W_dec, |W_dec| {
                next.par_chunks_mut(width)
                    .with_min_len(ROWS)
                    .enumerate()
                    .for_each(|(row, out)| {
                        for entry in self.of_row(row, group) {
                            let latent = self.latents[entry] as usize;
                            add(out, row_at(W_dec, latent, width), self.values[entry]);
                        }
                    });
            })?;
            written.push(next);
        }
        let tensor = |values| Ok(Tensor::from_vec(values, (self.rows, width), &Device::Cpu)?);
        written.into_iter().map(tensor).collect()
    }

    /// The gradient with respect to each entry: `errors[group][row] · W_dec[latent]`.
    pub(super) fn back(
        &self,
        errors: &[Tensor],
        W_dec: &Tensor,
        groups: &[Range<usize>],
    ) -> Result<Vec<f32>> {
        let width = W_dec.dim(1)?;
        let mut result = vec![0f32; self.values.len()];
        for (group, errors) in groups.iter().zip(errors) {
            let mut parts = Vec::with_capacity(self.rows.div_ceil(ROWS));
            let mut rest = result.as_mut_slice();
            for first in (0..self.rows).step_by(ROWS) {
                let last = (first + ROWS).min(self.rows);
                let (part, after) = rest.split_at_mut(self.starts[last] - self.starts[first]);
                parts.push((first..last, part));
                rest = after;
            }
            slices::read(W_dec, |W_dec| {
                slices::read(errors, |errors| {
                    parts.into_par_iter().for_each(|(rows, part)| {
                        let offset = self.starts[rows.start];
                        for row in rows {
                            let error = row_at(errors, row, width);
                            for entry in self.of_row(row, group) {
                                let latent = self.latents[entry] as usize;
                                part[entry - offset] = dot(error, row_at(W_dec, latent, width));
                            }
                        }
                    });
                })
            })??;
        }
        Ok(result)
    }

    /// The gradient with respect to pre-activations from that with respect to activations: with the
    /// penalties' added, times `slope(activation)`.
    pub(super) fn through_gate(
        &self,
        mut gradient: Vec<f32>,
        penalty: &PenaltySlope,
        norms: Option<&[f32]>,
        slope: impl Fn(f32) -> f32 + Sync,
    ) -> Vec<f32> {
        gradient
            .par_iter_mut()
            .with_min_len(4096)
            .enumerate()
            .for_each(|(entry, gradient)| {
                let act = self.values[entry];
                let norm = norms.map_or(1., |norms| norms[self.latents[entry] as usize]);
                let row = self.row_of[entry] as usize;
                let full = *gradient + norm * penalty.at(row, act * norm);
                *gradient = full * slope(act);
            });
        gradient
    }

    /// The sum of the penalties' slopes times activations, by latent: the gradient with respect to the
    /// norms that multiply activations.
    pub(super) fn penalty_by_norm(&self, penalty: &PenaltySlope, norms: &[f32]) -> Vec<f32> {
        let of_latent = |latent: usize| {
            let entries = self.of_latent(latent).iter().map(|entry| *entry as usize);
            let terms = entries.map(|entry| {
                let act = self.values[entry];
                act * penalty.at(self.row_of[entry] as usize, act * norms[latent])
            });
            terms.sum()
        };
        (0..self.d_sae).map(of_latent).collect()
    }

    /// Activations times `vectors[group][row]`, added up by latent, `[d_sae, d]`.
    pub(super) fn gather_acts(
        &self,
        vectors: &[Tensor],
        groups: &[Range<usize>],
    ) -> Result<Tensor> {
        self.gather(&self.values, vectors, groups)
    }

    /// `weights` times `vectors[group][row]`, added up by latent, `[d_sae, d]`.
    pub(super) fn gather(
        &self,
        weights: &[f32],
        vectors: &[Tensor],
        groups: &[Range<usize>],
    ) -> Result<Tensor> {
        let width = vectors.first().map_or(Ok(1), |first| first.dim(1))?;
        let mut result = vec![0f32; self.d_sae * width];
        for (group, vectors) in groups.iter().zip(vectors) {
            let part = &mut result[group.start * width..group.end * width];
            slices::read(vectors, |vectors| {
                part.par_chunks_mut(width)
                    .with_min_len(8)
                    .enumerate()
                    .for_each(|(latent, out)| {
                        for entry in self.of_latent(group.start + latent) {
                            let entry = *entry as usize;
                            let row = self.row_of[entry] as usize;
                            add(out, row_at(vectors, row, width), weights[entry]);
                        }
                    });
            })?;
        }
        Ok(Tensor::from_vec(result, (self.d_sae, width), &Device::Cpu)?)
    }

    /// `weights` added up by latent, `[d_sae]`.
    pub(super) fn sums(&self, weights: &[f32]) -> Result<Tensor> {
        let of_latent = |latent| {
            let entries = self.of_latent(latent).iter();
            entries.map(|entry| weights[*entry as usize]).sum()
        };
        let sums: Vec<f32> = (0..self.d_sae).map(of_latent).collect();
        Ok(Tensor::from_vec(sums, self.d_sae, &Device::Cpu)?)
    }

    /// The entries of a row whose latents are in a group.
    fn of_row(&self, row: usize, group: &Range<usize>) -> Range<usize> {
        let (start, end) = (self.starts[row], self.starts[row + 1]);
        if group.start == 0 && group.end == self.d_sae {
            return start..end;
        }
        let latents = &self.latents[start..end];
        let first = latents.partition_point(|latent| (*latent as usize) < group.start);
        let last = latents.partition_point(|latent| (*latent as usize) < group.end);
        start + first..start + last
    }

    fn of_latent(&self, latent: usize) -> &[u32] {
        &self.by_latent[self.latent_starts[latent]..self.latent_starts[latent + 1]]
    }
}

/// The latents of a row that are above 0, and their activations.
fn active(row: &[f32]) -> (Vec<u32>, Vec<f32>) {
    const BLOCK: usize = 16;
    let (mut latents, mut values) = (Vec::new(), Vec::new());
    for (block, first) in row.chunks(BLOCK).zip((0u32..).step_by(BLOCK)) {
        // Nothing is below 0, so that a sum of 0 means a block of zeros, which most are.
        let mut lanes = [0f32; BLOCK];
        lanes
            .iter_mut()
            .zip(block)
            .for_each(|(lane, value)| *lane += value);
        if lanes.iter().sum::<f32>() == 0. {
            continue;
        }
        for (value, latent) in block.iter().zip(first..) {
            if *value > 0. {
                latents.push(latent);
                values.push(*value);
            }
        }
    }
    (latents, values)
}

fn row_at(values: &[f32], row: usize, width: usize) -> &[f32] {
    &values[row * width..(row + 1) * width]
}

#[inline]
fn add(out: &mut [f32], vector: &[f32], weight: f32) {
    for (out, value) in out.iter_mut().zip(vector) {
        *out += weight * value;
    }
}

/// In lanes, because a sum in order cannot become vector instructions.
#[inline]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    const LANES: usize = 16;
    let mut lanes = [0f32; LANES];
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest = a_chunks.remainder().iter().zip(b_chunks.remainder());
    let rest: f32 = rest.map(|(a, b)| a * b).sum();
    for (a, b) in a_chunks.zip(b_chunks) {
        for lane in 0..LANES {
            lanes[lane] += a[lane] * b[lane];
        }
    }
    lanes.iter().sum::<f32>() + rest
}
