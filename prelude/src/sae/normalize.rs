//! What is done to an input before it is encoded, and how to undo it.
//!
//! SAELens keeps the scale of the last input as state of the autoencoder; here it goes with the input.

use super::autoencoder::Sae;
use super::config::ActivationNorm;
use crate::error::{Error, Result};
use candle_core::{D, Tensor};

/// An input as the encoder reads it, `[.., d_in]`, and what decoding needs to know about it.
pub(super) struct Normalized {
    /// After `b_dec`, too, was subtracted where it is.
    pub(super) value: Tensor,
    undo: Undo,
}

enum Undo {
    Nothing,
    /// The reconstruction is divided by this, `[.., 1]`.
    Scaled(Tensor),
    /// The reconstruction is multiplied by the first, and the second is added, both `[.., 1]`.
    Standardized(Tensor, Tensor),
}

impl Normalized {
    /// A reconstruction in the scale of the input.
    pub(super) fn undo(&self, written: &Tensor) -> Result<Tensor> {
        Ok(match &self.undo {
            Undo::Nothing => written.clone(),
            Undo::Scaled(factor) => written.broadcast_div(factor)?,
            Undo::Standardized(deviation, mean) => {
                written.broadcast_mul(deviation)?.broadcast_add(mean)?
            }
        })
    }
}

impl Sae {
    /// Whether inputs are normalized one by one.
    pub(super) fn normalizes(&self) -> bool {
        use ActivationNorm::{ConstantNormRescale, LayerNorm};
        matches!(
            self.cfg.normalize_activations,
            ConstantNormRescale | LayerNorm
        )
    }

    /// # Errors
    /// The input does not fit.
    pub(super) fn normalized(&self, x: &Tensor) -> Result<Normalized> {
        let x = self.flat(x)?.to_dtype(self.dtype())?;
        let (value, undo) = match self.cfg.normalize_activations {
            ActivationNorm::None | ActivationNorm::ExpectedAverageOnlyIn => (x, Undo::Nothing),
            ActivationNorm::ConstantNormRescale => {
                let norm = x.sqr()?.sum_keepdim(D::Minus1)?.sqrt()?;
                let factor = (norm.recip()? * (self.cfg.d_in as f64).sqrt())?;
                (x.broadcast_mul(&factor)?, Undo::Scaled(factor))
            }
            ActivationNorm::LayerNorm => {
                let mean = x.mean_keepdim(D::Minus1)?;
                let centred = x.broadcast_sub(&mean)?;
                let variance =
                    (centred.sqr()?.sum_keepdim(D::Minus1)? / (self.cfg.d_in as f64 - 1.))?;
                let deviation = variance.sqrt()?;
                let value = centred.broadcast_div(&(&deviation + 1e-5)?)?;
                (value, Undo::Standardized(deviation, mean))
            }
        };
        let bias = match (&self.b_pre, self.cfg.apply_b_dec_to_input) {
            (Some(b_pre), _) => Some(b_pre),
            (None, true) => Some(&self.b_dec),
            (None, false) => None,
        };
        let value = match bias {
            Some(bias) => value.broadcast_sub(bias)?,
            None => value,
        };
        Ok(Normalized { value, undo })
    }

    /// An input as `[.., d_in]`.
    pub(super) fn flat(&self, x: &Tensor) -> Result<Tensor> {
        let d_in = self.cfg.d_in;
        if !x.device().same_device(self.W_enc.device()) {
            return Err(Error::new(format!(
                "the input is on {:?}, but {} is on {:?}: move one of them, as with \
                 `sae.to(x.device(), sae.dtype())?`.",
                x.device().location(),
                self.name(),
                self.W_enc.device().location()
            )));
        }
        if !x.dtype().is_float() {
            return Err(Error::new(format!(
                "the input is of type {:?}, but {} reads activations: give it those of its hook \
                 point{}.",
                x.dtype(),
                self.name(),
                match &self.cfg.hook_name {
                    Some(name) => format!(", `cache.get(\"{name}\")?`"),
                    None => String::new(),
                }
            )));
        }
        let dims = x.dims();
        match dims {
            [rest @ .., width] if *width == d_in && !(self.cfg.hook_z && rest.is_empty()) => {
                Ok(x.clone())
            }
            [rest @ .., heads, width] if self.cfg.hook_z && heads * width == d_in => {
                let mut flat = rest.to_vec();
                flat.push(d_in);
                Ok(x.reshape(flat)?)
            }
            _ => Err(Error::new(format!(
                "an input of shape {dims:?} does not fit {}: it takes [.., {}].",
                self.name(),
                match self.cfg.hook_z {
                    true => format!("head, d_head] with head * d_head = {d_in}, or [.., {d_in}"),
                    false => d_in.to_string(),
                }
            ))),
        }
    }
}
