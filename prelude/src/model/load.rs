//! Loading a model by name, from a folder, from the Hugging Face Hub or from this library itself.

mod fields;
mod gpt2;
mod gpt_neo;
mod gpt_neox;
mod linear;
mod llama;
mod names;
mod safetensors;
mod source;

use self::safetensors::TensorFiles;
use self::source::Source;
use super::config::{Architecture, Config};
use super::process::{Processing, process};
use super::tokenizer::Tokenizer;
use super::transformer::HookedTransformer;
use super::weights::check_dtype;
use crate::error::{Context, Error, Result};
use candle_core::{DType, Device};
use serde_json::Value;
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
#[derive(Clone, Debug)]
pub struct LoadOptions {
    processing: Processing,
    device: Option<Device>,
    dtype: DType,
    folder: Option<PathBuf>,
    prepend_bos: Option<bool>,
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
}

fn load(name_or_path: &str, options: LoadOptions) -> Result<HookedTransformer> {
    check_dtype(options.dtype)?;
    let source = Source::find(name_or_path, options.folder.as_deref())?;
    let json = read_json(&source, "config.json")?;
    let mut config = read_config(&source, &json)?;
    config.model_name = source.model_name();
    if let Some(prepend_bos) = options.prepend_bos {
        config.default_prepend_bos = prepend_bos;
    }
    let tokenizer = read_tokenizer(&source, &config)?;

    let files = TensorFiles::open(&source)?;
    let mut weights = match config.architecture {
        Architecture::Gpt2 => gpt2::weights(&files, &config)?,
        Architecture::GptNeo => gpt_neo::weights(&files, &config)?,
        Architecture::GptNeoX => gpt_neox::weights(&files, &config)?,
        Architecture::Llama | Architecture::Gemma | Architecture::Gemma2 => {
            llama::weights(&files, &config)?
        }
    };
    process(&mut config, &mut weights, options.processing)?;
    let device = options.device.unwrap_or_else(default_device);
    let weights = weights.place(options.dtype, &device)?;
    HookedTransformer::build(config, weights, tokenizer)
}

/// The config, by the family that `config.json` names.
fn read_config(source: &Source, json: &Value) -> Result<Config> {
    let family = json.get("model_type").and_then(Value::as_str);
    let config = match family {
        Some("gpt2") => gpt2::config(json),
        Some("gpt_neo") => gpt_neo::config(json),
        Some("gpt_neox") => gpt_neox::config(json),
        Some("llama" | "mistral" | "qwen2") => llama::config(json, Architecture::Llama),
        Some("gemma") => llama::config(json, Architecture::Gemma),
        Some("gemma2") => llama::config(json, Architecture::Gemma2),
        Some(other) => Err(Error::new(format!(
            "models of type `{other}` are not supported: gpt2, gpt_neo, gpt_neox, llama, mistral, \
             qwen2, gemma and gemma2 are."
        ))),
        None => Err(Error::new(
            "there is no `model_type`, so the model's family is not known: add it, as in \
             \"model_type\": \"gpt2\".",
        )),
    };
    let config = config.map_err(|error| error.context(source.describe("config.json")))?;
    config.validate()?;
    Ok(config)
}

fn read_tokenizer(source: &Source, config: &Config) -> Result<Option<Tokenizer>> {
    let repository = source.tokenizer();
    let Some(bytes) = repository.read("tokenizer.json")? else {
        return Ok(None);
    };
    let tokenizer = Tokenizer::from_bytes(&bytes)
        .map_err(|error| error.context(repository.describe("tokenizer.json")))?;
    let mut tokenizer = tokenizer.with_prepend_bos(config.default_prepend_bos);
    if let Some(bytes) = repository.read_optional("tokenizer_config.json") {
        let json: Value = serde_json::from_slice(&bytes)
            .context(|| repository.describe("tokenizer_config.json"))?;
        let token = |name: &str| -> Option<&str> {
            let token = json.get(name)?;
            token.as_str().or_else(|| token.get("content")?.as_str())
        };
        if token("bos_token").is_some() || token("eos_token").is_some() {
            tokenizer = tokenizer.with_special_tokens(
                token("bos_token"),
                token("eos_token"),
                token("pad_token"),
            )?;
        }
    }
    Ok(Some(tokenizer))
}

fn read_json(source: &Source, file: &str) -> Result<Value> {
    let bytes = source.require(file)?;
    serde_json::from_slice(&bytes).context(|| source.describe(file))
}
