//! A model as it was saved: its config, its tokenizer and its weights, in many files or in one.

use super::byte_pairs;
use super::gguf::GgufFile;
use super::hub::HubOptions;
use super::llama2c::Llama2cFile;
use super::rebuilt::RebuiltTokenizer;
use super::source::{Opened, Source};
use super::tensors::Tensors;
use super::weight_files;
use crate::error::{Context, Error, Result};
use crate::model::tokenizer::Tokenizer;
use serde_json::Value;
use std::path::Path;

/// Where a model is loaded from.
pub(super) struct Checkpoint {
    source: Source,
    kind: Kind,
}

enum Kind {
    /// `config.json`, `tokenizer.json` and files of weights. One of these may be chosen by name.
    Files(Option<String>),
    /// All in one.
    Gguf(Box<GgufFile>),
    /// Weights with a few sizes in front, and `tokenizer.bin` beside.
    Llama2c(Box<Llama2cFile>),
}

impl Checkpoint {
    /// The checkpoint that a name or a path means; `file` chooses among a place's files of weights.
    ///
    /// # Errors
    /// There is nothing of that name, or a file is damaged.
    pub(super) fn find(
        name_or_path: &str,
        folder: Option<&Path>,
        file: Option<&str>,
        hub: &HubOptions,
    ) -> Result<Self> {
        let path = Path::new(name_or_path);
        if folder.is_none()
            && path.is_file()
            && let (Some(place), Some(name)) = (path.parent(), path.file_name())
        {
            let place = match place.as_os_str().is_empty() {
                true => Path::new("."),
                false => place,
            };
            let source =
                Source::find(&path.with_extension("").to_string_lossy(), Some(place), hub)?;
            return Self::of(source, Some(&name.to_string_lossy()));
        }
        Self::of(Source::find(name_or_path, folder, hub)?, file)
    }

    fn of(source: Source, file: Option<&str>) -> Result<Self> {
        let file = match file {
            Some(file) => Some(file.to_owned()),
            None if source.open("config.json")?.is_some() => None,
            // Where nothing can be listed, the missing config is what the error is about.
            None => match source.list() {
                Ok(names) => only_whole_model(&names)?,
                Err(_) => None,
            },
        };
        let kind = match &file {
            Some(name) if name.ends_with(".gguf") => {
                let file = open_file(&source, name)?;
                Kind::Gguf(Box::new(GgufFile::open(source.describe(name), file)?))
            }
            Some(name) if name.ends_with(".bin") && source.open("config.json")?.is_none() => {
                let file = open_file(&source, name)?;
                Kind::Llama2c(Box::new(Llama2cFile::open(source.describe(name), file)?))
            }
            _ => Kind::Files(file),
        };
        Ok(Self { source, kind })
    }

    /// What the model calls itself.
    pub(super) fn model_name(&self) -> String {
        match &self.kind {
            Kind::Gguf(file) => match file.model_name() {
                Some(name) => name.to_owned(),
                None => self.source.model_name(),
            },
            Kind::Files(_) | Kind::Llama2c(_) => self.source.model_name(),
        }
    }

    /// Where the config is from, for an error message.
    pub(super) fn describe_config(&self) -> String {
        match &self.kind {
            Kind::Files(_) => self.source.describe("config.json"),
            Kind::Gguf(_) | Kind::Llama2c(_) => format!("the header of {}", self.model_name()),
        }
    }

    /// The config, in the words of a `config.json`.
    ///
    /// # Errors
    /// There is none, or it is damaged.
    pub(super) fn config(&self) -> Result<Value> {
        match &self.kind {
            Kind::Files(_) => {
                let bytes = self.source.require("config.json")?;
                serde_json::from_slice(&bytes).context(|| self.describe_config())
            }
            Kind::Gguf(file) => file.config(),
            Kind::Llama2c(file) => Ok(file.config()),
        }
    }

    /// The weights.
    ///
    /// # Errors
    /// There are none, or they are damaged.
    pub(super) fn tensors(self) -> Result<Tensors> {
        let name = self.model_name();
        match self.kind {
            Kind::Files(file) => weight_files::open(&self.source, file.as_deref()),
            Kind::Gguf(file) => Ok(Tensors::of(vec![(name, file)])),
            Kind::Llama2c(file) => Ok(Tensors::of(vec![(name, file)])),
        }
    }

    /// The tokenizer, where there is one. `other` is the name of the one that the config asks for where
    /// none lies beside it; `prepends_bos` the family's habit.
    ///
    /// # Errors
    /// It is damaged.
    pub(super) fn tokenizer(
        &self,
        other: Option<&str>,
        hub: &HubOptions,
        prepends_bos: bool,
    ) -> Result<Option<Tokenizer>> {
        match &self.kind {
            Kind::Files(_) => {
                if let Some(found) = tokenizer_of(&self.source, prepends_bos)? {
                    return Ok(Some(found));
                }
                match (self.source.tokenizer(), other) {
                    (Some(elsewhere), _) => tokenizer_of(elsewhere, prepends_bos),
                    (None, Some(other)) => {
                        let found = Source::find(other, None, &hub.latest())
                            .and_then(|source| tokenizer_of(&source, prepends_bos));
                        match found {
                            // Files that are at hand are of use without a network.
                            Err(error) if self.source.is_folder() => {
                                eprintln!(
                                    "warning: the tokenizer {other}, which config.json names, cannot \
                                     be had ({error}) The model takes token ids; \
                                     `LoadOptions::new().tokenizer(..)` gives it another."
                                );
                                Ok(None)
                            }
                            found => found,
                        }
                    }
                    (None, None) => Ok(None),
                }
            }
            Kind::Gguf(file) => match file.tokenizer()? {
                Some(rebuilt) => rebuilt_tokenizer(rebuilt).map(Some),
                None => Ok(None),
            },
            Kind::Llama2c(file) => {
                let names = self.source.list()?;
                let is_tokenizer =
                    |name: &&String| name.starts_with("tok") && name.ends_with(".bin");
                let mut found = names.iter().filter(is_tokenizer);
                let (Some(name), None) = (found.next(), found.next()) else {
                    return Ok(None);
                };
                let bytes = self.source.require(name)?;
                let rebuilt = file.tokenizer(&bytes);
                rebuilt_tokenizer(rebuilt.context(|| self.source.describe(name))?).map(Some)
            }
        }
    }
}

/// The tokenizer of another place.
///
/// # Errors
/// There is none, or it is damaged.
pub(super) fn other_tokenizer(
    name_or_path: &str,
    hub: &HubOptions,
    prepends_bos: bool,
) -> Result<Tokenizer> {
    let source = Source::find(name_or_path, None, &hub.latest())?;
    let found = tokenizer_of(&source, prepends_bos)?;
    found.ok_or_else(|| source.missing("tokenizer.json"))
}

/// The one file that is a model by itself, in a place without `config.json`.
fn only_whole_model(names: &[String]) -> Result<Option<String>> {
    let ends = |ending: &str| -> Vec<&String> {
        let of = |name: &&String| name.ends_with(ending) && !name.starts_with("tok");
        names.iter().filter(of).collect()
    };
    for ending in [".gguf", ".bin"] {
        match ends(ending).as_slice() {
            [] => {}
            [only] => return Ok(Some((*only).clone())),
            several => {
                let several: Vec<&str> = several.iter().map(|name| name.as_str()).collect();
                return Err(Error::new(format!(
                    "there are several models: {}. Choose one with `LoadOptions::new().file(\"{}\")`.",
                    several.join(", "),
                    several[0]
                )));
            }
        }
    }
    Ok(None)
}

fn open_file(source: &Source, name: &str) -> Result<std::fs::File> {
    match source.open(name)? {
        Some(Opened::File(file)) => Ok(file),
        Some(Opened::Bytes(_)) | None => Err(source.missing(name)),
    }
}

fn rebuilt_tokenizer(rebuilt: RebuiltTokenizer) -> Result<Tokenizer> {
    let tokenizer = Tokenizer::of(rebuilt.tokenizer).with_prepend_bos(rebuilt.add_bos);
    tokenizer.with_special_tokens(
        rebuilt.bos.as_deref(),
        rebuilt.eos.as_deref(),
        rebuilt.pad.as_deref(),
    )
}

/// The tokenizer in `tokenizer.json`, or in `vocab.json` and `merges.txt`, with the special tokens that
/// `tokenizer_config.json` names.
fn tokenizer_of(source: &Source, prepends_bos: bool) -> Result<Option<Tokenizer>> {
    let tokenizer = match source.read("tokenizer.json")? {
        Some(bytes) => {
            Tokenizer::from_bytes(&bytes).context(|| source.describe("tokenizer.json"))?
        }
        None => {
            let (vocabulary, merges) = (source.read("vocab.json")?, source.read("merges.txt")?);
            let (Some(vocabulary), Some(merges)) = (vocabulary, merges) else {
                return Ok(None);
            };
            let tokenizer = byte_pairs::tokenizer(&vocabulary, &merges);
            Tokenizer::of(tokenizer.context(|| source.describe("vocab.json"))?)
        }
    };
    let mut tokenizer = tokenizer.with_prepend_bos(prepends_bos);
    if let Some(bytes) = source.read_optional("tokenizer_config.json") {
        let json: Value =
            serde_json::from_slice(&bytes).context(|| source.describe("tokenizer_config.json"))?;
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
