//! An autoencoder as its file says it, before what is asked for beyond that.

use super::fields::Fields;
use super::options::SaeLoadOptions;
use super::weights::Weights;
use crate::error::Result;
use crate::sae::{ActivationNorm, Gate, Sae, SaeConfig};
use candle_core::Tensor;
use serde_json::{Map, Value};

/// The parts of an autoencoder, in our orientation, as `f32` on the CPU.
pub(super) struct Draft {
    pub(super) cfg: SaeConfig,
    pub(super) W_enc: Tensor,
    pub(super) b_enc: Tensor,
    pub(super) W_dec: Tensor,
    pub(super) b_dec: Tensor,
    pub(super) gate: Gate,
    pub(super) b_pre: Option<Tensor>,
    pub(super) W_skip: Option<Tensor>,
    pub(super) log_sparsity: Option<Tensor>,
    /// What activations were multiplied by in training.
    pub(super) norm_scaling_factor: Option<f64>,
    pub(super) warnings: Vec<String>,
}

impl Draft {
    /// One of these sizes and weights.
    pub(super) fn new(
        cfg: SaeConfig,
        [W_enc, b_enc, W_dec, b_dec]: [Tensor; 4],
        gate: Gate,
    ) -> Self {
        Self {
            cfg,
            W_enc,
            b_enc,
            W_dec,
            b_dec,
            gate,
            b_pre: None,
            W_skip: None,
            log_sparsity: None,
            norm_scaling_factor: None,
            warnings: Vec::new(),
        }
    }

    /// Keeps what else the config says, and notes the keys that are not known.
    pub(super) fn keep(&mut self, fields: Fields, known: &[&str]) {
        let (rest, warning) = fields.rest(known);
        self.metadata(rest);
        self.warnings.extend(warning);
    }

    pub(super) fn metadata(&mut self, more: Map<String, Value>) {
        for (key, value) in more {
            self.cfg.metadata.entry(key).or_insert(value);
        }
    }

    /// Notes what was odd about the weights, which are now all read.
    pub(super) fn done_with(&mut self, weights: &Weights) {
        self.warnings.extend(weights.warnings());
    }

    /// The autoencoder as the options ask for it.
    ///
    /// # Errors
    /// The parts do not fit each other, or an option does not fit them.
    pub(super) fn finish(mut self, options: &SaeLoadOptions) -> Result<Sae> {
        if let Some(on) = options.apply_b_dec_to_input {
            self.cfg.apply_b_dec_to_input = on;
        }
        if let Some(hook_name) = &options.hook_name {
            self.cfg.hook_name = Some(hook_name.clone());
        }
        let scaled = self.cfg.normalize_activations == ActivationNorm::ExpectedAverageOnlyIn;
        let factor = options.norm_scaling_factor.or(self.norm_scaling_factor);
        let mut sae = Sae::new(
            self.cfg, self.W_enc, self.b_enc, self.W_dec, self.b_dec, self.gate,
        )?;
        if let Some(b_pre) = self.b_pre {
            sae = sae.with_input_bias(b_pre)?;
        }
        if let Some(W_skip) = self.W_skip {
            sae = sae.with_skip(W_skip)?;
        }
        if let Some(log_sparsity) = self.log_sparsity {
            sae = sae.with_log_sparsity(log_sparsity)?;
        }
        match factor {
            Some(factor) if scaled => sae = sae.fold_activation_norm_scaling_factor(factor)?,
            Some(_) if options.norm_scaling_factor.is_some() => self.warnings.push(
                "the files do not say that activations were scaled in training, so the scaling \
                 factor was not folded in: `sae.fold_activation_norm_scaling_factor(..)?` does."
                    .to_owned(),
            ),
            None if scaled => self.warnings.push(
                "activations were scaled in training (`expected_average_only_in`), but the files do not \
                 say by what, so nothing was folded in: where you know the factor, load with \
                 `SaeLoadOptions::new().norm_scaling_factor(..)`."
                    .to_owned(),
            ),
            _ => {}
        }
        if options.fold_W_dec_norm {
            sae = sae.fold_W_dec_norm()?;
        }
        let mut sae = sae.to(&options.place(), options.dtype)?;
        for warning in &self.warnings {
            eprintln!("warning: {warning}");
        }
        sae.set_warnings(self.warnings);
        Ok(sae)
    }
}
