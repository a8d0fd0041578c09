//! How often each latent is active.

use crate::error::{Error, Result};
use candle_core::{Device, Tensor};
use polars::prelude::{Column, DataFrame};
use std::fmt;

/// The share of tokens on which each latent is active.
#[derive(Clone, PartialEq)]
pub struct Density {
    active: Vec<u64>,
    tokens: u64,
}

impl Density {
    pub(super) fn new(active: Vec<u64>, tokens: u64) -> Self {
        Self { active, tokens }
    }

    /// `tokens with a_i ≠ 0 / tokens`, `[d_sae]` of `f32` on the CPU.
    ///
    /// # Errors
    /// There is no room for it.
    pub fn values(&self) -> Result<Tensor> {
        Ok(Tensor::new(
            self.shares().collect::<Vec<f32>>(),
            &Device::Cpu,
        )?)
    }

    /// `log10(density + 1e-10)`, `[d_sae]` of `f32` on the CPU: what SAELens writes to
    /// `sparsity.safetensors`, and [`Sae::with_log_sparsity`](crate::sae::Sae::with_log_sparsity) takes.
    ///
    /// # Errors
    /// There is no room for it.
    pub fn log10(&self) -> Result<Tensor> {
        let logs: Vec<f32> = self.shares().map(|share| (share + 1e-10).log10()).collect();
        Ok(Tensor::new(logs, &Device::Cpu)?)
    }

    /// How many tokens each latent was active on.
    pub fn counts(&self) -> Vec<u64> {
        self.active.clone()
    }

    /// How many tokens were looked at.
    pub fn tokens(&self) -> u64 {
        self.tokens
    }

    /// The share of latents that were active at least once.
    pub fn fraction_alive(&self) -> f64 {
        let alive = self.active.iter().filter(|count| **count > 0).count();
        alive as f64 / self.active.len().max(1) as f64
    }

    /// The share of latents that were never active on these tokens. On few tokens rare latents look dead.
    pub fn fraction_dead(&self) -> f64 {
        1. - self.fraction_alive()
    }

    /// The latents that were never active.
    pub fn dead(&self) -> Vec<u32> {
        let latents = self.active.iter().enumerate();
        latents
            .filter(|(_, count)| **count == 0)
            .map(|(latent, _)| latent as u32)
            .collect()
    }

    /// How many latents have each log10 density, in bins of one width from the rarest that is alive to
    /// 0 (active on every token).
    ///
    /// # Errors
    /// There are no bins.
    pub fn histogram(&self, bins: usize) -> Result<DensityHistogram> {
        if bins == 0 {
            return Err(Error::new(
                "a histogram has at least one bin: ask for 1 or more.",
            ));
        }
        let alive = self.shares().filter(|share| *share > 0.);
        let logs: Vec<f64> = alive.map(|share| f64::from(share).log10()).collect();
        let lowest = logs.iter().copied().fold(-1e-9, f64::min);
        let edges: Vec<f64> = (0..=bins)
            .map(|edge| lowest * (1. - edge as f64 / bins as f64))
            .collect();
        let mut counts = vec![0u64; bins];
        for log in logs {
            let bin = ((1. - log / lowest) * bins as f64) as usize;
            counts[bin.min(bins - 1)] += 1;
        }
        Ok(DensityHistogram {
            edges,
            counts,
            dead: self.dead().len() as u64,
        })
    }

    /// One row a latent: `latent`, `active` (tokens), `density`, `log10 density`.
    ///
    /// # Errors
    /// There is no room for it.
    pub fn to_df(&self) -> Result<DataFrame> {
        let latents: Vec<u32> = (0..self.active.len() as u32).collect();
        let densities: Vec<f32> = self.shares().collect();
        let logs: Vec<f32> = densities.iter().map(|share| share.log10()).collect();
        let columns = vec![
            Column::new("latent".into(), latents),
            Column::new("active".into(), &self.active),
            Column::new("density".into(), densities),
            Column::new("log10 density".into(), logs),
        ];
        Ok(DataFrame::new(self.active.len(), columns)?)
    }

    fn shares(&self) -> impl Iterator<Item = f32> {
        let tokens = self.tokens.max(1) as f64;
        self.active
            .iter()
            .map(move |count| (*count as f64 / tokens) as f32)
    }
}

impl fmt::Debug for Density {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Density of {} latents on {} tokens, {:.1}% alive",
            self.active.len(),
            self.tokens,
            100. * self.fraction_alive()
        )
    }
}

/// How many latents have which density, on a logarithmic scale.
#[derive(Clone, Debug, PartialEq)]
pub struct DensityHistogram {
    /// The bins' edges in log10 density, rising to 0: one more than bins.
    pub edges: Vec<f64>,
    /// The latents in each bin.
    pub counts: Vec<u64>,
    /// The latents in none, as they were never active.
    pub dead: u64,
}

impl DensityHistogram {
    /// One row a bin: `log10 density from`, `to`, `latents`.
    ///
    /// # Errors
    /// There is no room for it.
    pub fn to_df(&self) -> Result<DataFrame> {
        let bins = self.counts.len();
        let columns = vec![
            Column::new("log10 density from".into(), &self.edges[..bins]),
            Column::new("to".into(), self.edges.get(1..).unwrap_or_default()),
            Column::new("latents".into(), &self.counts),
        ];
        Ok(DataFrame::new(bins, columns)?)
    }
}
