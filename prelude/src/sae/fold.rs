//! Other weights for the same function.

use super::autoencoder::Sae;
use super::config::ActivationNorm;
use super::gate::{BatchTopK, Gate, Gated, JumpRelu, Matryoshka, TopK};
use crate::error::{Error, Result};
use candle_core::Tensor;

impl Sae {
    /// The same function with rows of `W_dec` of norm 1: their norms go into the encoder and the gate, so
    /// that activations say how much is written (SAELens's `fold_W_dec_norm`).
    ///
    /// # Errors
    /// The gate's choice of latents would change with their scale.
    pub fn fold_W_dec_norm(&self) -> Result<Self> {
        let norms = self.W_dec.sqr()?.sum(1)?.sqrt()?.maximum(1e-8)?; // [d_sae]
        let gate = scaled(&self.gate, &norms)?;
        let mut folded = self.clone();
        folded.W_dec = self.W_dec.broadcast_div(&norms.unsqueeze(1)?)?;
        folded.W_enc = self.W_enc.broadcast_mul(&norms)?;
        folded.b_enc = (&self.b_enc * &norms)?;
        folded.gate = gate;
        Ok(folded)
    }

    /// The same function of activations that were not multiplied by `factor`, as those were that it was
    /// trained on: the factor goes into the weights (SAELens's `fold_activation_norm_scaling_factor`).
    ///
    /// # Errors
    /// The factor is not above 0.
    pub fn fold_activation_norm_scaling_factor(&self, factor: f64) -> Result<Self> {
        if !(factor > 0. && factor.is_finite()) {
            return Err(Error::new(format!(
                "activations cannot have been scaled by {factor}: the factor must be above 0."
            )));
        }
        let mut folded = self.clone();
        folded.W_enc = (&self.W_enc * factor)?;
        folded.W_dec = (&self.W_dec / factor)?;
        folded.b_dec = (&self.b_dec / factor)?;
        folded.b_pre = match &self.b_pre {
            Some(b_pre) => Some((b_pre / factor)?),
            None => None,
        };
        // Norms of decoder rows, which such a gate multiplies with, have just become smaller.
        if let Gate::BatchTopK(gate) = &mut folded.gate
            && gate.rescale_by_decoder_norm
        {
            gate.threshold = gate.threshold.map(|threshold| threshold / factor);
        }
        folded.cfg.normalize_activations = ActivationNorm::None;
        Ok(folded)
    }
}

/// The gate of activations that are multiplied by `norms`, `[d_sae]`.
fn scaled(gate: &Gate, norms: &Tensor) -> Result<Gate> {
    Ok(match gate {
        Gate::Relu => Gate::Relu,
        Gate::Gated(gate) => Gate::Gated(Gated {
            r_mag: gate.r_mag.clone(),
            b_mag: (&gate.b_mag * norms)?,
            b_gate: (&gate.b_gate * norms)?,
        }),
        Gate::JumpRelu(gate) => Gate::JumpRelu(JumpRelu {
            threshold: (&gate.threshold * norms)?,
        }),
        Gate::TopK(gate) if gate.rescale_by_decoder_norm => Gate::TopK(TopK {
            rescale_by_decoder_norm: false,
            ..*gate
        }),
        Gate::BatchTopK(gate) if gate.rescale_by_decoder_norm => Gate::BatchTopK(BatchTopK {
            rescale_by_decoder_norm: false,
            ..*gate
        }),
        Gate::Matryoshka(gate) => Gate::Matryoshka(Matryoshka {
            prefixes: gate.prefixes.clone(),
            inner: Box::new(scaled(&gate.inner, norms)?),
        }),
        Gate::TopK(_) | Gate::BatchTopK(_) | Gate::Nsae(_) => {
            return Err(Error::new(format!(
                "the norms of the decoder's rows cannot be folded into a gate of kind `{}`: it would \
                 choose other latents. Divide activations by the norms where you compare them.",
                gate.architecture()
            )));
        }
    })
}
