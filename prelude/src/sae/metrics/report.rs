//! What was measured, as a value.

use super::density::Density;
use crate::error::Result;
use polars::prelude::{Column, DataFrame};

/// A measure's name, value and formula.
pub(super) type Measured = (&'static str, f64, &'static str);

/// What [`SaeMetrics`](super::SaeMetrics) found. `x` is what is to be reconstructed: what a transcoder is to write.
#[derive(Clone, Debug, PartialEq)]
pub struct SaeReport {
    /// How many tokens were measured.
    pub tokens: u64,
    /// `E Σ_i [a_i ≠ 0]`: active latents a token.
    pub l0: f64,
    /// `E Σ_i |a_i|`.
    pub l1: f64,
    /// `E |x - x̂|²`, summed over dimensions (SAELens's `mse`).
    pub l2: f64,
    /// `E |x - x̂|² / d`, the mean over dimensions too.
    pub mse: f64,
    /// `1 - Σ |x - x̂|² / Σ |x - mean x|²` over all tokens (SAELens's `explained_variance`).
    pub explained_variance: f64,
    /// `E (1 - |x - x̂|² / |x - mean x|²)`, with the mean of each batch (SAELens's
    /// `explained_variance_legacy`, and older papers): tokens near the mean weigh much. NaN where each
    /// batch was a single token.
    pub explained_variance_per_token: f64,
    /// `1 - Var(x - x̂) / Var(x)`, summed over dimensions: a constant offset of the reconstruction does
    /// not count (dictionary_learning's `frac_variance_explained`).
    pub fraction_of_variance_explained: f64,
    /// `E |x|`.
    pub norm_in: f64,
    /// `E |x̂|`.
    pub norm_out: f64,
    /// `E (|x̂| / |x|)`: below 1 where latents are suppressed (SAELens's `l2_ratio`; norms under 1e-4
    /// count as 1).
    pub norm_ratio: f64,
    /// `E x·x̂ / (|x| |x̂|)`; 0 where one of them is 0.
    pub cosine: f64,
    /// `E |x̂|² / E x·x̂`: the factor that reconstructions are too long by (equation 10 of Rajamanoharan
    /// et al. 2024, arXiv 2404.16014). Over all tokens at once; SAELens takes the mean over batches.
    pub relative_reconstruction_bias: f64,
    /// How often each latent is active.
    pub density: Density,
}

impl SaeReport {
    /// One row a measure: `measure`, `value`, `formula`.
    ///
    /// # Errors
    /// There is no room for it.
    pub fn to_df(&self) -> Result<DataFrame> {
        table(&self.measures())
    }

    /// Every measure with its name and formula.
    pub(super) fn measures(&self) -> Vec<Measured> {
        vec![
            ("tokens", self.tokens as f64, ""),
            ("L0", self.l0, "E Σ [a_i ≠ 0]"),
            ("L1", self.l1, "E Σ |a_i|"),
            ("L2", self.l2, "E |x - x̂|²"),
            ("mean squared error", self.mse, "E |x - x̂|² / d"),
            (
                "explained variance",
                self.explained_variance,
                "1 - Σ |x - x̂|² / Σ |x - mean x|²",
            ),
            (
                "explained variance per token",
                self.explained_variance_per_token,
                "E (1 - |x - x̂|² / |x - mean x|²)",
            ),
            (
                "fraction of variance explained",
                self.fraction_of_variance_explained,
                "1 - Var(x - x̂) / Var(x)",
            ),
            ("norm of input", self.norm_in, "E |x|"),
            ("norm of reconstruction", self.norm_out, "E |x̂|"),
            ("norm ratio", self.norm_ratio, "E |x̂| / |x|"),
            ("cosine", self.cosine, "E x·x̂ / (|x| |x̂|)"),
            (
                "relative reconstruction bias",
                self.relative_reconstruction_bias,
                "E |x̂|² / E x·x̂",
            ),
            (
                "fraction alive",
                self.density.fraction_alive(),
                "latents ever active / d_sae",
            ),
        ]
    }
}

/// What [`LossMetrics`](super::LossMetrics) found, in nats.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LossReport {
    /// How many predictions the losses are means of.
    pub predictions: u64,
    /// How many positions the divergences are means of: the last of each prompt counts too.
    pub positions: u64,
    /// The loss of the model as it is.
    pub clean: f64,
    /// The loss with zeros at the hook point.
    pub zero: f64,
    /// The loss with the mean activation at the hook point.
    pub mean: f64,
    /// The loss with the reconstruction at the hook point.
    pub recon: f64,
    /// `KL(clean ‖ zero)` of what comes next.
    pub kl_zero: f64,
    /// `KL(clean ‖ mean)`.
    pub kl_mean: f64,
    /// `KL(clean ‖ reconstructed)`.
    pub kl_recon: f64,
}

impl LossReport {
    /// `(zero - recon) / (zero - clean)`: 1 for a perfect reconstruction, 0 for one that is worth no more
    /// than zeros (SAELens's `ce_loss_score`).
    pub fn loss_recovered(&self) -> f64 {
        (self.zero - self.recon) / (self.zero - self.clean)
    }

    /// `(mean - recon) / (mean - clean)`: the same against mean ablation, a harder comparison.
    pub fn loss_recovered_from_mean(&self) -> f64 {
        (self.mean - self.recon) / (self.mean - self.clean)
    }

    /// `(KL zero - KL recon) / KL zero` (SAELens's `kl_div_score`).
    pub fn kl_recovered(&self) -> f64 {
        (self.kl_zero - self.kl_recon) / self.kl_zero
    }

    /// One row a measure: `measure`, `value`, `formula`.
    ///
    /// # Errors
    /// There is no room for it.
    pub fn to_df(&self) -> Result<DataFrame> {
        table(&self.measures())
    }

    /// Every measure with its name and formula.
    pub(super) fn measures(&self) -> Vec<Measured> {
        vec![
            ("loss, clean", self.clean, "E -log p(next token)"),
            ("loss, zero ablation", self.zero, ""),
            ("loss, mean ablation", self.mean, ""),
            ("loss, reconstructed", self.recon, ""),
            (
                "loss recovered",
                self.loss_recovered(),
                "(zero - recon) / (zero - clean)",
            ),
            (
                "loss recovered from mean",
                self.loss_recovered_from_mean(),
                "(mean - recon) / (mean - clean)",
            ),
            ("KL, zero ablation", self.kl_zero, "E KL(clean ‖ zero)"),
            ("KL, mean ablation", self.kl_mean, "E KL(clean ‖ mean)"),
            ("KL, reconstructed", self.kl_recon, "E KL(clean ‖ recon)"),
            (
                "KL recovered",
                self.kl_recovered(),
                "(KL zero - KL recon) / KL zero",
            ),
        ]
    }
}

/// One row a measure: its name, value and formula.
fn table(rows: &[Measured]) -> Result<DataFrame> {
    let names: Vec<&str> = rows.iter().map(|row| row.0).collect();
    let values: Vec<f64> = rows.iter().map(|row| row.1).collect();
    let formulas: Vec<&str> = rows.iter().map(|row| row.2).collect();
    let columns = vec![
        Column::new("measure".into(), names),
        Column::new("value".into(), values),
        Column::new("formula".into(), formulas),
    ];
    Ok(DataFrame::new(rows.len(), columns)?)
}
