//! How an autoencoder is to be loaded.

use super::source::HubOptions;
use crate::model::default_device;
use candle_core::{DType, Device};
use std::fmt;

/// How to load an autoencoder. What is not said here, the files decide.
///
/// ```
/// use ferrolens::{DType, Device, sae::SaeLoadOptions};
/// let options = SaeLoadOptions::new().device(&Device::Cpu).dtype(DType::F16).fold_W_dec_norm(true);
/// ```
#[derive(Clone)]
pub struct SaeLoadOptions {
    pub(super) device: Option<Device>,
    pub(super) dtype: DType,
    pub(super) file: Option<String>,
    pub(super) revision: Option<String>,
    pub(super) token: Option<String>,
    pub(super) fold_W_dec_norm: bool,
    pub(super) norm_scaling_factor: Option<f64>,
    pub(super) apply_b_dec_to_input: Option<bool>,
    pub(super) hook_name: Option<String>,
}

/// Without the token, which is nobody's to read in a notebook's output.
impl fmt::Debug for SaeLoadOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SaeLoadOptions")
            .field("device", &self.device.as_ref().map(Device::location))
            .field("dtype", &self.dtype)
            .field("file", &self.file)
            .field("revision", &self.revision)
            .field("fold_W_dec_norm", &self.fold_W_dec_norm)
            .field("norm_scaling_factor", &self.norm_scaling_factor)
            .field("apply_b_dec_to_input", &self.apply_b_dec_to_input)
            .field("hook_name", &self.hook_name)
            .finish_non_exhaustive()
    }
}

impl Default for SaeLoadOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl SaeLoadOptions {
    /// `f32`, on the fastest device.
    pub fn new() -> Self {
        Self {
            device: None,
            dtype: DType::F32,
            file: None,
            revision: None,
            token: None,
            fold_W_dec_norm: false,
            norm_scaling_factor: None,
            apply_b_dec_to_input: None,
            hook_name: None,
        }
    }

    /// The device to put the weights on.
    #[must_use]
    pub fn device(mut self, device: &Device) -> Self {
        self.device = Some(device.clone());
        self
    }

    /// The type of the weights, whatever that of the file is: `F32`, `BF16` or `F16`.
    #[must_use]
    pub fn dtype(mut self, dtype: DType) -> Self {
        self.dtype = dtype;
        self
    }

    /// The file of weights, or the folder, inside the folder or repository that is loaded.
    #[must_use]
    pub fn file(mut self, path: impl Into<String>) -> Self {
        self.file = Some(path.into());
        self
    }

    /// The branch, tag or commit of the repository.
    #[must_use]
    pub fn revision(mut self, revision: impl Into<String>) -> Self {
        self.revision = Some(revision.into());
        self
    }

    /// The token to fetch a gated repository with, where neither HF_TOKEN nor the file that a login
    /// leaves has it.
    #[must_use]
    pub fn token(mut self, token: impl Into<String>) -> Self {
        self.token = Some(token.into());
        self
    }

    /// Whether to fold the norms of the decoder's rows into the encoder:
    /// [`Sae::fold_W_dec_norm`](super::super::Sae::fold_W_dec_norm).
    #[must_use]
    pub fn fold_W_dec_norm(mut self, on: bool) -> Self {
        self.fold_W_dec_norm = on;
        self
    }

    /// What activations were multiplied by in training, where the file only says that they were
    /// (`expected_average_only_in`): it is folded into the weights. Known releases need it not.
    #[must_use]
    pub fn norm_scaling_factor(mut self, factor: f64) -> Self {
        self.norm_scaling_factor = Some(factor);
        self
    }

    /// Whether `b_dec` is subtracted from the input before it is encoded, for files that do not say.
    #[must_use]
    pub fn apply_b_dec_to_input(mut self, on: bool) -> Self {
        self.apply_b_dec_to_input = Some(on);
        self
    }

    /// The hook point that it reads, for files that do not say.
    #[must_use]
    pub fn hook_name(mut self, name: impl Into<String>) -> Self {
        self.hook_name = Some(name.into());
        self
    }

    pub(super) fn place(&self) -> Device {
        self.device.clone().unwrap_or_else(default_device)
    }

    pub(super) fn hub(&self) -> HubOptions {
        HubOptions {
            revision: self.revision.clone(),
            token: self.token.clone(),
            ..HubOptions::default()
        }
    }
}
