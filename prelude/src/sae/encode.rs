//! From activations to latents and back.

use super::autoencoder::Sae;
use super::few::add_up;
use super::gate::Scale;
use super::normalize::Normalized;
use super::ranges;
use super::top_acts::TopActs;
use crate::error::{Error, Result};
use candle_core::{D, Tensor};

impl Sae {
    /// The activations of all latents, `[.., d_sae]`, for inputs `[.., d_in]` (`[.., head, d_head]` where
    /// the autoencoder reads the heads of `hook_z` side by side).
    ///
    /// # Errors
    /// The input is not as wide as `d_in`, or on another device.
    pub fn encode(&self, x: &Tensor) -> Result<Tensor> {
        let projected = self.project(&self.normalized(x)?)?;
        self.gate.acts(projected, &self.b_enc, &self.scale())
    }

    /// What the gate reads: `(x - b_dec) W_enc + b_enc`, `[.., d_sae]` (`hook_sae_acts_pre`).
    ///
    /// # Errors
    /// As [`Sae::encode`].
    pub fn pre_acts(&self, x: &Tensor) -> Result<Tensor> {
        let projected = self.project(&self.normalized(x)?)?;
        self.gate.pre(&projected, &self.b_enc)
    }

    /// The activations of some latents, `[.., latents.len()]`, in the order given. Only their columns of
    /// `W_enc` are read, unless latents compete for their place (top-k gates).
    ///
    /// # Errors
    /// As [`Sae::encode`], and a latent that there is none of.
    pub fn encode_latents(&self, x: &Tensor, latents: &[u32]) -> Result<Tensor> {
        self.check_latents(latents)?;
        let ids = Tensor::new(latents, &self.device())?;
        let Some(gate) = self.gate.of_latents(&ids)? else {
            let acts = self.encode(x)?;
            return Ok(acts.index_select(&ids, D::Minus1)?);
        };
        let normalized = self.normalized(x)?;
        let W_enc = self.W_enc.index_select(&ids, 1)?; // [d_in, latents]
        let projected = times(&normalized.value, &W_enc)?;
        let W_dec = &self.W_dec.index_select(&ids, 0)?;
        let b_enc = self.b_enc.index_select(&ids, 0)?;
        gate.acts(projected, &b_enc, &Scale { W_dec })
    }

    /// The `k` largest activations of every position and the latents that they belong to, largest first.
    /// Where fewer are active the rest is 0.
    ///
    /// # Errors
    /// As [`Sae::encode`], and a `k` of 0 or above `d_sae`.
    pub fn encode_top(&self, x: &Tensor, k: usize) -> Result<TopActs> {
        TopActs::largest(&self.encode(x)?, k)
    }

    /// What these activations, `[.., d_sae]`, write: `acts W_dec + b_dec`, `[.., d_out]`.
    ///
    /// # Errors
    /// The activations are not as many as `d_sae`, or the autoencoder normalizes its inputs or adds
    /// something for them, so that decoding must know them: [`Sae::decode_for`].
    pub fn decode(&self, acts: &Tensor) -> Result<Tensor> {
        if self.decoding_needs_input() {
            return Err(Error::new(format!(
                "{} treats its inputs one by one (`{}`{}), so decoding must know the input: write \
                 `sae.decode_for(&acts, &x)?`.",
                self.name(),
                self.cfg.normalize_activations.name(),
                match self.W_skip {
                    Some(_) => ", a skip matrix",
                    None => "",
                }
            )));
        }
        self.write(acts)
    }

    /// What these activations, `[.., d_sae]`, write in the place of an input, `[.., d_in]`: in its scale
    /// and shape.
    ///
    /// # Errors
    /// As [`Sae::encode`], and activations that do not fit the input.
    pub fn decode_for(&self, acts: &Tensor, x: &Tensor) -> Result<Tensor> {
        let normalized = self.normalized(x)?;
        self.finish(self.write(acts)?, x, &normalized)
    }

    /// What these activations write, `[.., d_out]`.
    ///
    /// # Errors
    /// As [`Sae::decode`], and a latent that there is none of.
    pub fn decode_top(&self, acts: &TopActs) -> Result<Tensor> {
        let dense = acts.to_dense(self.cfg.d_sae)?;
        self.decode(&dense.to_device(&self.device())?)
    }

    /// The reconstruction of an input, `[.., d_out]`.
    ///
    /// # Errors
    /// As [`Sae::encode`].
    pub fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let normalized = self.normalized(x)?;
        if let Some(written) = ranges::written(self, &normalized)? {
            return self.finish(written.broadcast_add(&self.b_dec)?, x, &normalized);
        }
        let projected = self.project(&normalized)?;
        let acts = self.gate.acts(projected, &self.b_enc, &self.scale())?;
        self.finish(self.write(&acts)?, x, &normalized)
    }

    /// What the reconstruction of an input misses: `x - forward(x)`.
    ///
    /// # Errors
    /// As [`Sae::encode`]; a transcoder writes something else than it reads.
    pub fn error(&self, x: &Tensor) -> Result<Tensor> {
        if self.is_transcoder() {
            return Err(Error::new(format!(
                "{} is a transcoder: its error is the difference to the activation at the hook point \
                 that it writes, `&target - sae.forward(&x)?`.",
                self.name()
            )));
        }
        Ok((x - self.forward(x)?)?)
    }

    /// The part of the reconstruction that some latents write, without any bias: `[.., d_out]`.
    ///
    /// # Errors
    /// The activations, `[.., latents.len()]`, do not fit the latents.
    pub fn decode_latents(&self, acts: &Tensor, latents: &[u32]) -> Result<Tensor> {
        self.check_latents(latents)?;
        let ids = Tensor::new(latents, &self.device())?;
        let W_dec = self.W_dec.index_select(&ids, 0)?;
        let coefficients = self.gate.coefficients(acts, &Scale { W_dec: &W_dec })?;
        times(&coefficients, &W_dec)
    }

    /// # Errors
    /// There are no latents, or one of them is not there.
    pub(crate) fn check_latents(&self, latents: &[u32]) -> Result<()> {
        let d_sae = self.cfg.d_sae;
        if latents.is_empty() {
            return Err(Error::new("no latents were named: name at least one."));
        }
        match latents.iter().find(|latent| **latent as usize >= d_sae) {
            None => Ok(()),
            Some(latent) => Err(Error::new(format!(
                "latent {latent} is not there: {} has latents 0 to {}.",
                self.name(),
                d_sae - 1
            ))),
        }
    }

    pub(crate) fn decoding_needs_input(&self) -> bool {
        self.cfg.hook_z || self.W_skip.is_some() || self.normalizes()
    }

    pub(super) fn scale(&self) -> Scale<'_> {
        Scale { W_dec: &self.W_dec }
    }

    /// `(x - b) W_enc`, `[.., d_sae]`.
    pub(super) fn project(&self, normalized: &Normalized) -> Result<Tensor> {
        times(&normalized.value, &self.W_enc)
    }

    /// `acts W_dec + b_dec`, `[.., d_out]`.
    pub(super) fn write(&self, acts: &Tensor) -> Result<Tensor> {
        let d_sae = self.cfg.d_sae;
        if acts.dims().last() != Some(&d_sae) {
            return Err(Error::new(format!(
                "activations of shape {:?} do not fit {}: it takes [.., {d_sae}].",
                acts.dims(),
                self.name()
            )));
        }
        let acts = acts.to_dtype(self.dtype())?;
        let coefficients = self.gate.coefficients(&acts, &self.scale())?;
        let written = match add_up(&coefficients, &self.W_dec)? {
            Some(written) => written,
            None => times(&coefficients, &self.W_dec)?,
        };
        Ok(written.broadcast_add(&self.b_dec)?)
    }

    /// The reconstruction in the scale, shape and type of the input.
    pub(super) fn finish(
        &self,
        written: Tensor,
        x: &Tensor,
        normalized: &Normalized,
    ) -> Result<Tensor> {
        let mut written = match self.is_transcoder() {
            true => written,
            false => normalized.undo(&written)?,
        };
        if let Some(W_skip) = &self.W_skip {
            let flat = x.to_dtype(self.dtype())?;
            written = (written + times(&flat, W_skip)?)?;
        }
        let written = match self.cfg.hook_z {
            true => written.reshape(x.shape())?,
            false => written,
        };
        Ok(written.to_dtype(x.dtype())?)
    }
}

/// `x W` for `x [.., n]`, as one multiplication.
pub(super) fn times(x: &Tensor, W: &Tensor) -> Result<Tensor> {
    let (rows, width) = W.dims2()?;
    if x.dims().last() != Some(&rows) {
        return Err(Error::new(format!(
            "a tensor of shape {:?} cannot be multiplied by a matrix of shape {:?}.",
            x.dims(),
            W.dims()
        )));
    }
    let mut dims = x.dims().to_vec();
    if let Some(last) = dims.last_mut() {
        *last = width;
    }
    let flat = x.reshape(((), rows))?.contiguous()?;
    Ok(flat.matmul(W)?.reshape(dims)?)
}
