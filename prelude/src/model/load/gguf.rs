//! Models out of GGUF files, the format of llama.cpp: config, tensors and tokenizer in one file.
//!
//! Everything is handed on in Hugging Face's words and shapes, so that a model is built of it as of a
//! folder with `config.json`, `model.safetensors` and `tokenizer.json`.
//!
//! Source: `docs/gguf.md` of ggml for the format, llama.cpp's converter for what it means.

mod change;
mod config;
mod header;
mod metadata;
mod names;
mod pre_tokenizer;
mod rotary;
mod stored;
#[cfg(test)]
mod tests;
mod tokenizer;

use self::change::Change;
use self::header::Header;
use self::names::{Family, hugging_face};
use super::file_bytes::FileBytes;
use super::rebuilt::RebuiltTokenizer;
use super::tensors::TensorFile;
use crate::error::{Context, Error, Result};
use candle_core::Tensor;
use serde_json::Value;
use std::collections::HashMap;
use std::fs::File;
use std::io::BufReader;

/// The frequencies of a stretched rotary embedding: no weight, but a part of the config.
const FREQUENCIES: &str = "rope_freqs.weight";

/// A GGUF file whose header was read.
pub(super) struct GgufFile {
    name: String,
    file: FileBytes,
    header: Header,
    family: Family,
    query_heads: usize,
    key_heads: usize,
    /// By Hugging Face's names: the names in the file, and what was changed.
    tensors: HashMap<String, (String, Change)>,
    /// Tensors that the family does not have.
    strange: Vec<String>,
}

impl GgufFile {
    /// The file of this name, which is used in error messages. Only its header is read.
    ///
    /// # Errors
    /// It is not a GGUF file, damaged, a part of several, or of a family that is not supported.
    pub(super) fn open(name: String, file: File) -> Result<Self> {
        let doing = name.clone();
        Self::parse(name, file).map_err(|error| error.context(doing))
    }

    fn parse(name: String, file: File) -> Result<Self> {
        let header = Header::read(BufReader::new(file.try_clone()?))?;
        let file = FileBytes::new(file)?;
        let metadata = &header.metadata;
        if let Some(parts) = metadata
            .find_size("split.count")?
            .filter(|parts| *parts > 1)
        {
            return Err(Error::new(format!(
                "this is one of {parts} files of a model: put them together with \
                 `llama-gguf-split --merge`."
            )));
        }
        let Some(architecture) = metadata.text("general.architecture") else {
            return Err(Error::new(
                "`general.architecture` is missing: there is no model in this file.",
            ));
        };
        let family = Family::from_name(architecture)?;
        let query_heads = metadata.size(&format!("{architecture}.attention.head_count"))?;
        let key_heads = metadata.find_size(&format!("{architecture}.attention.head_count_kv"))?;
        let (mut tensors, mut strange) = (HashMap::new(), Vec::new());
        for (name, stored) in &header.tensors {
            stored
                .check(header.start, file.size())
                .map_err(|error| error.context(format!("the tensor `{name}`")))?;
            match hugging_face(family, name) {
                Some((ours, change)) => {
                    tensors.insert(ours, (name.clone(), change));
                }
                // Frequencies without stretching, which can be counted out.
                None if name == FREQUENCIES || name.contains(".attn_rot_embd") => {}
                None => strange.push(name.clone()),
            }
        }
        strange.sort_unstable();
        Ok(Self {
            family,
            query_heads,
            key_heads: key_heads.unwrap_or(query_heads),
            tensors,
            strange,
            header,
            name,
            file,
        })
    }

    /// What the model calls itself.
    pub(super) fn model_name(&self) -> Option<&str> {
        self.header.metadata.text("general.name")
    }

    /// What Hugging Face's `config.json` of this model would say.
    ///
    /// # Errors
    /// A size is missing, or the model is of a kind that is not supported.
    pub(super) fn config(&self) -> Result<Value> {
        self.find_config()
            .map_err(|error| error.context(&self.name))
    }

    fn find_config(&self) -> Result<Value> {
        if let Some(strange) = self.strange.first() {
            return Err(Error::new(format!(
                "it has a tensor `{strange}`, which models of its architecture do not have: this \
                 variant is not supported."
            )));
        }
        let frequencies = match self.header.tensors.get(FREQUENCIES) {
            Some(stored) => {
                let factors = stored.read(&self.file, self.header.start)?;
                Some(factors.flatten_all()?.to_vec1::<f32>()?)
            }
            None => None,
        };
        let embedding = self.header.tensors.get("token_embd.weight");
        let vocabulary = embedding.and_then(|stored| stored.shape.first().copied());
        let is_tied = !self.header.tensors.contains_key("output.weight");
        config::config(
            &self.header.metadata,
            self.family,
            vocabulary,
            is_tied,
            frequencies.as_deref(),
        )
    }

    /// The tokenizer, or nothing where the file has none.
    ///
    /// # Errors
    /// It is damaged, or of a kind that is not supported.
    pub(super) fn tokenizer(&self) -> Result<Option<RebuiltTokenizer>> {
        tokenizer::tokenizer(&self.header.metadata, self.family)
            .map_err(|error| error.context(format!("{}: the tokenizer", self.name)))
    }
}

impl TensorFile for GgufFile {
    fn names(&self) -> Vec<String> {
        self.tensors.keys().cloned().collect()
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        let (stored, change) = self.tensors.get(name)?;
        let stored = self.header.tensors.get(stored)?;
        Some(change.shape(&stored.shape))
    }

    fn read(&self, name: &str) -> Result<Tensor> {
        let found = self.tensors.get(name);
        let (stored, change) = found.ok_or_else(|| Error::new("it is missing."))?;
        let tensor = match self.header.tensors.get(stored) {
            Some(tensor) => tensor.read(&self.file, self.header.start),
            None => Err(Error::new("it is missing.")),
        };
        // The name in the file is the one that other programs show.
        let tensor = tensor.context(|| format!("`{stored}`"))?;
        change.undo(tensor, self.query_heads, self.key_heads)
    }
}
