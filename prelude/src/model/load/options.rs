//! How a model is to be loaded.

use crate::model::process::Processing;
use candle_core::{DType, Device};
use std::fmt;
use std::path::PathBuf;

/// How to load a model.
#[derive(Clone)]
pub struct LoadOptions {
    pub(in crate::model) processing: Processing,
    pub(super) device: Option<Device>,
    pub(super) dtype: DType,
    pub(super) folder: Option<PathBuf>,
    pub(super) prepend_bos: Option<bool>,
    pub(super) allow_extra_weights: bool,
    pub(super) first_n_layers: Option<usize>,
    pub(super) tokenizer: Option<String>,
    pub(super) file: Option<String>,
    pub(super) revision: Option<String>,
    pub(super) token: Option<String>,
}

/// Without the token, which is nobody's to read in a notebook's output.
impl fmt::Debug for LoadOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadOptions")
            .field("processing", &self.processing)
            .field("device", &self.device.as_ref().map(Device::location))
            .field("dtype", &self.dtype)
            .field("folder", &self.folder)
            .field("file", &self.file)
            .field("revision", &self.revision)
            .field("tokenizer", &self.tokenizer)
            .field("prepend_bos", &self.prepend_bos)
            .field("allow_extra_weights", &self.allow_extra_weights)
            .field("first_n_layers", &self.first_n_layers)
            .finish_non_exhaustive()
    }
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl LoadOptions {
    /// All processing that applies to the model, `f32`, on the fastest device.
    pub fn new() -> Self {
        Self {
            processing: Processing::ALL,
            device: None,
            dtype: DType::F32,
            folder: None,
            prepend_bos: None,
            allow_extra_weights: false,
            first_n_layers: None,
            tokenizer: None,
            file: None,
            revision: None,
            token: None,
        }
    }

    /// The same with all processing off.
    pub fn no_processing() -> Self {
        Self {
            processing: Processing::NONE,
            ..Self::new()
        }
    }

    /// Whether to fold LayerNorm's weights into the matrices behind it.
    #[must_use]
    pub fn fold_ln(mut self, on: bool) -> Self {
        self.processing.fold_ln = Some(on);
        self
    }

    /// Whether to subtract from every weight that writes to the residual stream its mean over
    /// `d_model`, which LayerNorm would remove. RMSNorm would not: asked for, it is refused there.
    #[must_use]
    pub fn center_writing_weights(mut self, on: bool) -> Self {
        self.processing.center_writing_weights = Some(on);
        self
    }

    /// Whether to subtract from the unembedding its mean over the vocabulary, which softmax ignores.
    /// Refused where logits have a soft cap.
    #[must_use]
    pub fn center_unembed(mut self, on: bool) -> Self {
        self.processing.center_unembed = Some(on);
        self
    }

    /// Whether to move value biases into attention's output bias, as a pattern's rows sum to 1.
    #[must_use]
    pub fn fold_value_biases(mut self, on: bool) -> Self {
        self.processing.fold_value_biases = Some(on);
        self
    }

    /// The device to put the weights on.
    #[must_use]
    pub fn device(mut self, device: &Device) -> Self {
        self.device = Some(device.clone());
        self
    }

    /// The type of the weights. Processing is done in `f32` whatever the type.
    #[must_use]
    pub fn dtype(mut self, dtype: DType) -> Self {
        self.dtype = dtype;
        self
    }

    /// The folder to read the files from, for a name that would otherwise be fetched.
    #[must_use]
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Whether text gets a beginning-of-sequence token in front, where the family's habit does not
    /// fit.
    #[must_use]
    pub fn default_prepend_bos(mut self, on: bool) -> Self {
        self.prepend_bos = Some(on);
        self
    }

    /// The file to load the weights from, where a folder or a repository holds several, such as
    /// `"model-Q8_0.gguf"`.
    #[must_use]
    pub fn file(mut self, name: impl Into<String>) -> Self {
        self.file = Some(name.into());
        self
    }

    /// The branch, tag or commit of the repository, such as `step1000` of a Pythia.
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

    /// The tokenizer of this repository or folder in the place of the model's own.
    #[must_use]
    pub fn tokenizer(mut self, name_or_path: impl Into<String>) -> Self {
        self.tokenizer = Some(name_or_path.into());
        self
    }

    /// The first blocks of the model only: the others are not read, and the unembedding reads what the
    /// last of these leaves. For a look into early layers of a large model.
    ///
    /// ```
    /// use ferrolens::model::{HookedTransformer, LoadOptions};
    /// let model = HookedTransformer::load("stories-2l", LoadOptions::new().first_n_layers(1))?;
    /// assert_eq!(model.config().n_layers, 1);
    /// # Ok::<(), ferrolens::Error>(())
    /// ```
    #[must_use]
    pub fn first_n_layers(mut self, layers: usize) -> Self {
        self.first_n_layers = Some(layers);
        self
    }

    /// Whether the files may hold weights that the model has no place for; otherwise they are an
    /// error, as they are where the config describes another model.
    #[must_use]
    pub fn allow_extra_weights(mut self, allow: bool) -> Self {
        self.allow_extra_weights = allow;
        self
    }
}
