//! What a sparse autoencoder is for: its sizes, its place in a model, what it does to its input.

use serde_json::{Map, Value};

/// The sizes and choices of a sparse autoencoder, in SAELens's words.
#[derive(Clone, Debug, PartialEq)]
pub struct SaeConfig {
    /// The width of the activations that it reads.
    pub d_in: usize,
    /// The number of its latents.
    pub d_sae: usize,
    /// The width of what it writes: `d_in`, but for transcoders.
    pub d_out: usize,
    /// The hook point that it reads, as the file spells it.
    pub hook_name: Option<String>,
    /// The hook point that it writes, where that is another one: a transcoder's.
    pub hook_name_out: Option<String>,
    /// The head whose activation it reads, where the hook point has heads.
    pub hook_head_index: Option<usize>,
    /// Whether it reads all heads of `hook_z` side by side: `[.., head, d_head]` as `[.., d_in]`.
    pub hook_z: bool,
    /// The model that it was trained on, as the file spells it.
    pub model_name: Option<String>,
    /// Whether `b_dec` is subtracted from the input before it is encoded.
    pub apply_b_dec_to_input: bool,
    /// What is done to an input before it is encoded, and undone after decoding.
    pub normalize_activations: ActivationNorm,
    /// Whether the model was given a BOS token in training.
    pub prepend_bos: Option<bool>,
    /// Everything else that the file says, under the file's names.
    pub metadata: Map<String, Value>,
}

impl SaeConfig {
    /// A config of these sizes, with SAELens's defaults: `b_dec` is subtracted from the input, which is
    /// not normalized.
    pub fn new(d_in: usize, d_sae: usize) -> Self {
        Self {
            d_in,
            d_sae,
            d_out: d_in,
            hook_name: None,
            hook_name_out: None,
            hook_head_index: None,
            hook_z: false,
            model_name: None,
            apply_b_dec_to_input: true,
            normalize_activations: ActivationNorm::None,
            prepend_bos: None,
            metadata: Map::new(),
        }
    }

    /// The same for this hook point.
    #[must_use]
    pub fn hook_name(mut self, name: impl Into<String>) -> Self {
        self.hook_name = Some(name.into());
        self
    }

    /// The same for this model.
    #[must_use]
    pub fn model_name(mut self, name: impl Into<String>) -> Self {
        self.model_name = Some(name.into());
        self
    }
}

/// What is done to an input before it is encoded, and undone after decoding (`normalize_activations` in
/// SAELens).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ActivationNorm {
    /// Nothing.
    None,
    /// Nothing here: training scaled its activations to a mean norm of `sqrt(d_in)`, by a factor that is
    /// folded into the weights when they are loaded.
    ExpectedAverageOnlyIn,
    /// Each input is scaled to a norm of `sqrt(d_in)`.
    ConstantNormRescale,
    /// Each input loses its mean and is divided by its standard deviation (of `d_in - 1`) plus `1e-5`.
    LayerNorm,
}

impl ActivationNorm {
    /// SAELens's word.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::ExpectedAverageOnlyIn => "expected_average_only_in",
            Self::ConstantNormRescale => "constant_norm_rescale",
            Self::LayerNorm => "layer_norm",
        }
    }
}
