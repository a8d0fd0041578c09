//! Loading a model by name, from a folder, from the Hugging Face Hub or from this library itself.

mod byte_pairs;
mod checkpoint;
pub(crate) mod download_line;
mod fields;
mod file_bytes;
mod gguf;
mod gpt2;
mod gpt_neo;
mod gpt_neox;
pub(crate) mod hub;
mod linear;
mod llama;
mod llama2c;
mod names;
mod options;
mod pairs;
pub(crate) mod pickle;
mod rebuilt;
pub(crate) mod safetensors;
mod sentencepiece;
pub(crate) mod source;
pub(crate) mod tensors;
pub(crate) mod torch_file;
mod transformer_lens;
mod weight_files;

use self::checkpoint::{Checkpoint, other_tokenizer};
use self::download_line::DownloadLine;
use self::hub::HubOptions;

pub use self::options::LoadOptions;

use super::config::{Architecture, Config};
use super::process::{Memory, process};
use super::transformer::HookedTransformer;
use super::weights::check_dtype;
use crate::error::{Context, Error, Result};
use candle_core::Device;
use serde_json::Value;

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
    let layers_left_out = match options.first_n_layers {
        Some(layers) => config.keep_layers(layers)?,
        None => 0..0,
    };
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
        files.check_all_used(layers_left_out)?;
    }
    weights.set_warnings(files.warnings());
    for warning in weights.warnings() {
        eprintln!("warning: {warning}");
    }
    process(&mut config, &mut weights, options.processing, Memory::Own)?;
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
