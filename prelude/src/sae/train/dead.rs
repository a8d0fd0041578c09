//! Latents that are not active any more, and how they are made anew.

use super::adam::{Adam, with_rows};
use super::config::Resampling;
use super::parameters::Parameters;
use crate::error::Result;
use candle_core::{DType, Tensor};
use rand::Rng;
use rand::rngs::StdRng;

/// How long each latent has not been active, and how often it was.
#[derive(Clone, Debug)]
pub(super) struct Activity {
    /// Steps since each latent was active.
    pub(super) silent: Vec<u32>,
    /// On how many inputs each was active since `counted` was 0.
    pub(super) counts: Vec<u32>,
    /// Inputs counted.
    pub(super) counted: u64,
}

/// Inputs after which counts start from 0 again, so that they tell of the weights as they are.
const WINDOW: u64 = 1 << 22;

impl Activity {
    pub(super) fn new(d_sae: usize) -> Self {
        Self {
            silent: vec![0; d_sae],
            counts: vec![0; d_sae],
            counted: 0,
        }
    }

    /// Takes in on how many of `rows` inputs each latent was active.
    pub(super) fn add(&mut self, counts: &[u32], rows: usize) {
        if self.counted >= WINDOW {
            // Half of what was seen stays, so that the shares never rest on few inputs.
            self.counts.iter_mut().for_each(|count| *count /= 2);
            self.counted /= 2;
        }
        self.counted += rows as u64;
        let latents = self.counts.iter_mut().zip(&mut self.silent).zip(counts);
        for ((count, silent), new) in latents {
            *count += new;
            *silent = match new {
                0 => silent.saturating_add(1),
                _ => 0,
            };
        }
    }

    /// Latents that were not active in so many steps.
    pub(super) fn dead(&self, after: u64) -> Vec<u32> {
        let latents = self.silent.iter().zip(0u32..);
        let dead = latents.filter(|(silent, _)| u64::from(**silent) >= after.max(1));
        dead.map(|(_, latent)| latent).collect()
    }

    /// The share of inputs on which each latent is active, as log10, with SAELens's `1e-10` added.
    pub(super) fn log_sparsity(&self) -> Vec<f32> {
        let counted = self.counted.max(1) as f64;
        let counts = self.counts.iter();
        let shares = counts.map(|count| f64::from(*count) / counted);
        shares.map(|share| (share + 1e-10).log10() as f32).collect()
    }

    fn forget(&mut self, latents: &[u32]) {
        for latent in latents {
            if let Some(silent) = self.silent.get_mut(*latent as usize) {
                *silent = 0;
            }
        }
    }
}

/// Inputs that dead latents may be made from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Seen<'a> {
    /// As the encoder sees them, `[n, d_in]`.
    pub(super) x: &'a Tensor,
    /// The squared error of each.
    pub(super) losses: &'a [f32],
}

/// Gives dead latents the directions of inputs that are reconstructed badly: drawn by the square of their
/// losses.
pub(super) fn resample(
    weights: &mut Parameters,
    adam: &mut Adam,
    activity: &mut Activity,
    dead: &[u32],
    Seen { x, losses }: Seen<'_>,
    resampling: &Resampling,
    random: &mut StdRng,
) -> Result<()> {
    let d_sae = weights.W_enc.dim(0)?;
    if dead.is_empty() || dead.len() >= d_sae || losses.is_empty() {
        return Ok(());
    }
    let mut sums = Vec::with_capacity(losses.len());
    let mut total = 0f64;
    for loss in losses {
        total += f64::from(*loss).powi(2);
        sums.push(total);
    }
    let chosen: Vec<u32> = dead
        .iter()
        .map(|_| {
            let drawn = random.random::<f64>() * total;
            sums.partition_point(|sum| *sum < drawn)
                .min(losses.len() - 1) as u32
        })
        .collect();
    let ids = Tensor::new(chosen, x.device())?;
    let inputs = x.index_select(&ids, 0)?;
    let norms = inputs.sqr()?.sum_keepdim(1)?.sqrt()?.maximum(1e-8)?;
    let directions = inputs.broadcast_div(&norms)?;
    let encoder = mean_norm_of_others(&weights.W_enc, dead)? * resampling.encoder_scale;
    let decoder = mean_norm_of_others(&weights.W_dec, dead)?;
    weights.W_enc = with_rows(&weights.W_enc, dead, &(&directions * encoder)?)?;
    weights.W_dec = with_rows(&weights.W_dec, dead, &(&directions * decoder)?)?;
    let zeros = Tensor::zeros(dead.len(), DType::F32, x.device())?;
    weights.b_enc = with_rows(&weights.b_enc, dead, &zeros)?;
    for (name, value) in &mut weights.of_gate {
        if *name != "threshold" {
            *value = with_rows(value, dead, &zeros)?;
        }
    }
    adam.forget(dead)?;
    activity.forget(dead);
    Ok(())
}

/// The mean norm of the rows that are not among `dead`.
fn mean_norm_of_others(matrix: &Tensor, dead: &[u32]) -> Result<f64> {
    let norms: Vec<f32> = matrix.sqr()?.sum(1)?.sqrt()?.to_vec1()?;
    let mut alive = vec![true; norms.len()];
    for latent in dead {
        alive[*latent as usize] = false;
    }
    let others = norms.iter().zip(&alive).filter(|(_, alive)| **alive);
    let others: Vec<f64> = others.map(|(norm, _)| f64::from(*norm)).collect();
    Ok(others.iter().sum::<f64>() / others.len().max(1) as f64)
}
