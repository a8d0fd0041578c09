//! The autoencoder itself: weights, checked once, in one orientation.

use super::config::SaeConfig;
use super::gate::Gate;
use crate::error::{Error, Result};
use candle_core::{DType, Device, Tensor};
use std::fmt;

/// A sparse autoencoder, or a transcoder: `x ≈ gate((x - b_dec) W_enc + b_enc) W_dec + b_dec`.
///
/// All formats come to this one orientation; rows of `W_dec` are the latents' directions. A clone
/// shares the weights. Fields may be replaced: what does not fit is an error at the next use.
///
/// ```
/// use ferrolens::{Device, Tensor};
/// use ferrolens::sae::{Gate, Sae, SaeConfig};
/// let device = Device::Cpu;
/// let W_enc = Tensor::randn(0f32, 1., (16, 64), &device)?;
/// let W_dec = W_enc.t()?.contiguous()?;
/// let (b_enc, b_dec) = (Tensor::zeros(64, W_enc.dtype(), &device)?, Tensor::zeros(16, W_enc.dtype(), &device)?);
/// let sae = Sae::new(SaeConfig::new(16, 64), W_enc, b_enc, W_dec, b_dec, Gate::Relu)?;
///
/// let x = Tensor::randn(0f32, 1., (1, 5, 16), &device)?; // [batch, pos, d_in]
/// assert_eq!(sae.encode(&x)?.dims(), [1, 5, 64]);
/// assert_eq!(sae.forward(&x)?.dims(), x.dims());
/// # Ok::<(), ferrolens::Error>(())
/// ```
#[derive(Clone)]
pub struct Sae {
    /// Sizes, place in the model, treatment of the input.
    pub cfg: SaeConfig,
    /// `[d_in, d_sae]`.
    pub W_enc: Tensor,
    /// `[d_sae]`. Zeros where the gate has biases of its own.
    pub b_enc: Tensor,
    /// `[d_sae, d_out]`: a row is what one latent writes.
    pub W_dec: Tensor,
    /// `[d_out]`. Subtracted from the input too, where `cfg.apply_b_dec_to_input` says so.
    pub b_dec: Tensor,
    /// `[d_in]`: subtracted from the input instead of `b_dec`, in old transcoders.
    pub b_pre: Option<Tensor>,
    /// `[d_in, d_out]`: what a skip transcoder adds for the input itself.
    pub W_skip: Option<Tensor>,
    /// From pre-activations to activations.
    pub gate: Gate,
    /// `[d_sae]`: the share of tokens on which each latent is active, as log10, where the file says.
    pub log_sparsity: Option<Tensor>,
    warnings: Vec<String>,
}

impl Sae {
    /// An autoencoder with these weights: `W_enc [d_in, d_sae]`, `b_enc [d_sae]`, `W_dec [d_sae, d_out]`,
    /// `b_dec [d_out]`.
    ///
    /// # Errors
    /// A weight does not have the shape that the config asks for, is not of the type or on the device of
    /// the others, or the config asks for something impossible.
    pub fn new(
        cfg: SaeConfig,
        W_enc: Tensor,
        b_enc: Tensor,
        W_dec: Tensor,
        b_dec: Tensor,
        gate: Gate,
    ) -> Result<Self> {
        let sae = Self {
            cfg,
            W_enc,
            b_enc,
            W_dec,
            b_dec,
            b_pre: None,
            W_skip: None,
            gate,
            log_sparsity: None,
            warnings: Vec::new(),
        };
        sae.check()?;
        Ok(sae)
    }

    /// The same with a bias of its own for the input, `[d_in]`.
    ///
    /// # Errors
    /// It has another shape.
    pub fn with_input_bias(mut self, b_pre: Tensor) -> Result<Self> {
        self.b_pre = Some(b_pre);
        self.check()?;
        Ok(self)
    }

    /// The same with a matrix from the input to the output, `[d_in, d_out]`.
    ///
    /// # Errors
    /// It has another shape.
    pub fn with_skip(mut self, W_skip: Tensor) -> Result<Self> {
        self.W_skip = Some(W_skip);
        self.check()?;
        Ok(self)
    }

    /// The same with the share of tokens on which each latent is active, as log10, `[d_sae]`.
    ///
    /// # Errors
    /// It has another shape.
    pub fn with_log_sparsity(mut self, log_sparsity: Tensor) -> Result<Self> {
        self.log_sparsity = Some(log_sparsity);
        self.check()?;
        Ok(self)
    }

    /// What it is called: `sae_<model>_<hook point>_<d_sae>`, as in SAELens.
    pub fn name(&self) -> String {
        let or_unknown = |name: &Option<String>| name.clone().unwrap_or_else(|| "unknown".into());
        format!(
            "sae_{}_{}_{}",
            or_unknown(&self.cfg.model_name),
            or_unknown(&self.cfg.hook_name),
            self.cfg.d_sae
        )
    }

    /// Where the weights are.
    pub fn device(&self) -> Device {
        self.W_enc.device().clone()
    }

    /// The type of the weights.
    pub fn dtype(&self) -> DType {
        self.W_enc.dtype()
    }

    /// A copy with its weights on another device and of another type.
    ///
    /// # Errors
    /// The type is not a floating-point one, or the device has no room.
    pub fn to(&self, device: &Device, dtype: DType) -> Result<Self> {
        if !dtype.is_float() {
            return Err(Error::new(format!(
                "a sparse autoencoder cannot be of type {dtype:?}: use F32, BF16 or F16."
            )));
        }
        self.map(|tensor| Ok(tensor.to_device(device)?.to_dtype(dtype)?))
    }

    /// What was odd about the files that it was loaded from, a sentence each, such as keys of a config
    /// that nothing here knows. They were also written to stderr.
    pub fn load_warnings(&self) -> Vec<String> {
        self.warnings.clone()
    }

    pub(crate) fn set_warnings(&mut self, warnings: Vec<String>) {
        self.warnings = warnings;
    }

    /// Whether it reads one hook point and writes another.
    pub fn is_transcoder(&self) -> bool {
        self.cfg.d_out != self.cfg.d_in || self.cfg.hook_name_out.is_some()
    }

    /// The same with every weight changed.
    pub(crate) fn map(&self, change: impl Fn(&Tensor) -> Result<Tensor>) -> Result<Self> {
        let optional = |tensor: &Option<Tensor>| tensor.as_ref().map(&change).transpose();
        Ok(Self {
            cfg: self.cfg.clone(),
            W_enc: change(&self.W_enc)?,
            b_enc: change(&self.b_enc)?,
            W_dec: change(&self.W_dec)?,
            b_dec: change(&self.b_dec)?,
            b_pre: optional(&self.b_pre)?,
            W_skip: optional(&self.W_skip)?,
            gate: self.gate.map(&change)?,
            log_sparsity: optional(&self.log_sparsity)?,
            warnings: self.warnings.clone(),
        })
    }

    /// Every weight with its name and the shape that it must have.
    fn weights(&self) -> Vec<(&'static str, &Tensor, Vec<usize>)> {
        let SaeConfig {
            d_in, d_sae, d_out, ..
        } = self.cfg;
        let mut weights = vec![
            ("W_enc", &self.W_enc, vec![d_in, d_sae]),
            ("b_enc", &self.b_enc, vec![d_sae]),
            ("W_dec", &self.W_dec, vec![d_sae, d_out]),
            ("b_dec", &self.b_dec, vec![d_out]),
        ];
        let optional = [
            ("b_pre", &self.b_pre, vec![d_in]),
            ("W_skip", &self.W_skip, vec![d_in, d_out]),
            ("log_sparsity", &self.log_sparsity, vec![d_sae]),
        ];
        for (name, tensor, shape) in optional {
            weights.extend(tensor.iter().map(|tensor| (name, tensor, shape.clone())));
        }
        let gate = self.gate.weights();
        weights.extend(gate.map(|(name, tensor)| (name, tensor, vec![d_sae])));
        weights
    }

    /// # Errors
    /// A weight does not have the shape, type or device that it must have.
    pub(crate) fn check(&self) -> Result<()> {
        let cfg = &self.cfg;
        let SaeConfig {
            d_in, d_sae, d_out, ..
        } = *cfg;
        if d_in == 0 || d_sae == 0 || d_out == 0 {
            return Err(Error::new(format!(
                "d_in {d_in}, d_sae {d_sae} and d_out {d_out} must be at least 1."
            )));
        }
        for (name, tensor, shape) in self.weights() {
            if tensor.dims() != shape {
                let reversed: Vec<usize> = shape.iter().rev().copied().collect();
                let hint = match tensor.dims() == reversed {
                    true => " It is the other way round: transpose it with `.t()?`.",
                    false => "",
                };
                return Err(Error::new(format!(
                    "`{name}` has shape {:?}, but d_in {d_in}, d_sae {d_sae} and d_out {d_out} ask \
                     for {shape:?}.{hint}",
                    tensor.dims()
                )));
            }
            if !tensor.dtype().is_float() {
                return Err(Error::new(format!(
                    "`{name}` is of type {:?}: convert it with `.to_dtype(DType::F32)?`.",
                    tensor.dtype()
                )));
            }
            if !tensor.device().same_device(self.W_enc.device()) {
                return Err(Error::new(format!(
                    "`{name}` is on {:?}, but `W_enc` is on {:?}: move one of them with \
                     `.to_device(..)?`.",
                    tensor.device().location(),
                    self.W_enc.device().location()
                )));
            }
        }
        let reads_b_dec = cfg.apply_b_dec_to_input && self.b_pre.is_none();
        if reads_b_dec && d_in != d_out {
            return Err(Error::new(format!(
                "`b_dec` has {d_out} entries, so it cannot be subtracted from inputs of {d_in}: set \
                 `apply_b_dec_to_input = false` in the config of this transcoder."
            )));
        }
        self.gate.check(d_sae)
    }
}

impl fmt::Debug for Sae {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cfg = &self.cfg;
        write!(
            f,
            "Sae({}, {}: d_in {}, d_sae {}",
            self.name(),
            self.gate.architecture(),
            cfg.d_in,
            cfg.d_sae
        )?;
        if cfg.d_out != cfg.d_in {
            write!(f, ", d_out {}", cfg.d_out)?;
        }
        if let Some(out) = &cfg.hook_name_out {
            write!(f, ", writes {out}")?;
        }
        write!(f, ", {:?}, {:?})", self.dtype(), self.device().location())
    }
}
