//! Loading a model by name, from a folder, from the Hugging Face Hub or from this library itself.

mod byte_pairs;
mod checkpoint;
mod download_line;
mod fields;
mod file_bytes;
mod gguf;
mod gpt2;
mod gpt_neo;
mod gpt_neox;
mod hub;
mod linear;
mod llama;
mod llama2c;
mod names;
mod pairs;
mod pickle;
mod rebuilt;
mod safetensors;
mod sentencepiece;
mod source;
mod tensors;
mod torch_file;
mod transformer_lens;
mod weight_files;

use self::checkpoint::{Checkpoint, other_tokenizer};
use self::download_line::DownloadLine;
use self::hub::HubOptions;
use super::config::{Architecture, Config};
use super::process::{Processing, process};
use super::transformer::HookedTransformer;
use super::weights::check_dtype;
use crate::error::{Context, Error, Result};
use candle_core::{DType, Device};
use serde_json::Value;
use std::fmt;
use std::path::PathBuf;

impl HookedTransformer {
    /// The model of this name, processed as TransformerLens does by default: LayerNorm folded into
    /// the matrices behind it, weights that write to the residual stream centred, the unembedding
    /// centred, value biases folded. Probabilities are those of the original model.
    ///
    /// The name is one of [`model_names`], a repository on the Hugging Face Hub, or a folder that
    /// holds `config.json`, `model.safetensors` and `tokenizer.json`. `stories-2l` is part of this
    /// library and needs no network.
    ///
    /// # Errors
    /// The name is unknown, a file is missing or damaged, or its family is not supported.
    pub fn from_pretrained(name: &str) -> Result<Self> {
        Self::load(name, LoadOptions::new())
    }

    /// The model of this name with its weights as they are in the file.
    ///
    /// # Errors
    /// As [`HookedTransformer::from_pretrained`].
    pub fn from_pretrained_no_processing(name: &str) -> Result<Self> {
        Self::load(name, LoadOptions::no_processing())
    }

    /// The model of this name, or in this folder, loaded as the options say.
    ///
    /// ```
    /// use ferrolens::{Device, model::{HookedTransformer, LoadOptions}};
    /// let options = LoadOptions::new().center_unembed(false).device(&Device::Cpu);
    /// let model = HookedTransformer::load("stories-2l", options)?;
    /// # Ok::<(), ferrolens::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`HookedTransformer::from_pretrained`].
    pub fn load(name_or_path: &str, options: LoadOptions) -> Result<Self> {
        load(name_or_path, options)
            .map_err(|error| error.context(format!("loading {name_or_path}")))
    }
}

/// Every name that [`HookedTransformer::from_pretrained`] knows, beside folders and repositories.
pub fn model_names() -> Vec<String> {
    let names = names::MODELS.iter().flat_map(|model| model.names);
    names.map(|name| (*name).to_owned()).collect()
}

/// `Device::best()`: see [`default_device`].
pub trait Best {
    /// The fastest device there is: the first GPU where the library was built for it, or the CPU.
    fn best() -> Device;
}

impl Best for Device {
    fn best() -> Device {
        default_device()
    }
}

/// The fastest device there is: the first GPU where the library was built for it, or the CPU.
pub fn default_device() -> Device {
    if let Ok(device) = Device::cuda_if_available(0)
        && device.is_cuda()
    {
        return device;
    }
    match candle_core::utils::metal_is_available() {
        true => Device::new_metal(0).unwrap_or(Device::Cpu),
        false => Device::Cpu,
    }
}

/// How to load a model.
#[derive(Clone)]
pub struct LoadOptions {
    processing: Processing,
    device: Option<Device>,
    dtype: DType,
    folder: Option<PathBuf>,
    prepend_bos: Option<bool>,
    allow_extra_weights: bool,
    tokenizer: Option<String>,
    file: Option<String>,
    revision: Option<String>,
    token: Option<String>,
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

    /// Whether the files may hold weights that the model has no place for; otherwise they are an
    /// error, as they are where the config describes another model.
    #[must_use]
    pub fn allow_extra_weights(mut self, allow: bool) -> Self {
        self.allow_extra_weights = allow;
        self
    }
}

fn load(name_or_path: &str, options: LoadOptions) -> Result<HookedTransformer> {
    check_dtype(options.dtype)?;
    let hub = HubOptions {
        revision: options.revision.clone(),
        token: options.token.clone(),
        progress: Some(DownloadLine::of),
    };
    let (folder, file) = (options.folder.as_deref(), options.file.as_deref());
    let checkpoint = Checkpoint::find(name_or_path, folder, file, &hub)?;
    let json = checkpoint.config()?;
    let config = read_config(&json).and_then(|config| config.validate().map(|()| config));
    let mut config = config.context(|| checkpoint.describe_config())?;
    config.model_name = checkpoint.model_name();
    if let Some(prepend_bos) = options.prepend_bos {
        config.default_prepend_bos = prepend_bos;
    }
    let prepends_bos = config.default_prepend_bos;
    let tokenizer = match &options.tokenizer {
        Some(other) => Some(other_tokenizer(other, &hub, prepends_bos)?),
        None => {
            let other = json.get("tokenizer_name").and_then(Value::as_str);
            checkpoint.tokenizer(other, &hub, prepends_bos)?
        }
    };

    let device = options.device.unwrap_or_else(default_device);
    let mut files = checkpoint.tensors()?;
    if options.processing.is_none() {
        files = files.placed_on(options.dtype, &device);
    }
    let mut weights = match config.architecture {
        Architecture::Gpt2 => gpt2::weights(&files, &config)?,
        Architecture::GptNeo => gpt_neo::weights(&files, &config)?,
        Architecture::GptNeoX => gpt_neox::weights(&files, &config)?,
        Architecture::TransformerLens => transformer_lens::weights(&files, &config)?,
        Architecture::Llama
        | Architecture::Mistral
        | Architecture::Qwen2
        | Architecture::Qwen3
        | Architecture::Gemma
        | Architecture::Gemma2 => llama::weights(&files, &config)?,
    };
    if !options.allow_extra_weights {
        files.check_all_used()?;
    }
    weights.set_warnings(files.warnings());
    for warning in weights.warnings() {
        eprintln!("warning: {warning}");
    }
    process(&mut config, &mut weights, options.processing)?;
    drop(files);
    let weights = weights.place(options.dtype, &device)?;
    HookedTransformer::build(config, weights, tokenizer)
}

/// The config, by the family that it names.
fn read_config(json: &Value) -> Result<Config> {
    match json.get("model_type").and_then(Value::as_str) {
        Some("gpt2") => gpt2::config(json),
        Some("gpt_neo") => gpt_neo::config(json),
        Some("gpt_neox") => gpt_neox::config(json),
        Some("llama") => llama::config(json, Architecture::Llama),
        Some("mistral") => llama::config(json, Architecture::Mistral),
        Some("qwen2") => llama::config(json, Architecture::Qwen2),
        Some("qwen3") => llama::config(json, Architecture::Qwen3),
        Some("gemma") => llama::config(json, Architecture::Gemma),
        Some("gemma2") => llama::config(json, Architecture::Gemma2),
        Some(other) => Err(Error::new(format!(
            "models of type `{other}` are not supported: gpt2, gpt_neo, gpt_neox, llama, mistral, \
             qwen2, qwen3, gemma and gemma2 are."
        ))),
        None if transformer_lens::is_config(json) => transformer_lens::config(json),
        None => Err(Error::new(
            "there is no `model_type`, so the model's family is not known: add it, as in \
             \"model_type\": \"gpt2\".",
        )),
    }
}
