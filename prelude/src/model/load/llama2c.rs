//! Checkpoints of llama2.c, Andrej Karpathy's inference of Llama in one file of C.
//!
//! Tensors are handed on under Hugging Face's names and in its order of rows.
//!
//! Source: `run.c`, `runq.c` and `export.py` of karpathy/llama2.c.

mod header;
mod layout;
mod place;
#[cfg(test)]
mod tests;
mod tokenizer;

use self::header::{Header, LONGEST_HEADER};
use self::place::Place;
use super::file_bytes::FileBytes;
use super::pairs::halves_of_pairs;
use super::rebuilt::RebuiltTokenizer;
use super::tensors::TensorFile;
use crate::error::{Error, Result};
use candle_core::{Device, Tensor};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::fs::File;

/// A checkpoint whose header was read.
pub(super) struct Llama2cFile {
    file: FileBytes,
    header: Header,
    /// By Hugging Face's names.
    tensors: HashMap<String, Place>,
}

impl Llama2cFile {
    /// The file of this name, which is used in error messages. Only its header is read.
    ///
    /// # Errors
    /// It is no such checkpoint: its size does not fit the sizes in its header.
    pub(super) fn open(name: String, file: File) -> Result<Self> {
        Self::parse(file).map_err(|error| error.context(name))
    }

    fn parse(file: File) -> Result<Self> {
        let file = FileBytes::new(file)?;
        let header = file.read(0, file.size().min(LONGEST_HEADER) as usize)?;
        let header = Header::read(&header)?;
        let tensors = header.tensors(file.size())?;
        Ok(Self {
            file,
            header,
            tensors,
        })
    }

    /// What Hugging Face's `config.json` of this model would say. What the file does not hold is
    /// written into `run.c`.
    pub(super) fn config(&self) -> Value {
        let sizes = &self.header.sizes;
        json!({
            "model_type": "llama",
            "hidden_size": sizes.d_model,
            "intermediate_size": sizes.d_mlp,
            "num_hidden_layers": sizes.n_layers,
            "num_attention_heads": sizes.heads,
            "num_key_value_heads": sizes.key_heads,
            "head_dim": sizes.d_head(),
            "vocab_size": sizes.vocabulary,
            "max_position_embeddings": sizes.n_ctx,
            "rms_norm_eps": 1e-5,
            "rope_theta": 10_000.,
            "hidden_act": "silu",
            "tie_word_embeddings": self.header.is_tied,
            "bos_token_id": tokenizer::BOS,
            "eos_token_id": tokenizer::EOS,
        })
    }

    /// The tokenizer in the bytes of the `tokenizer.bin` that belongs to the checkpoint (`tok512.bin`
    /// and the like).
    ///
    /// # Errors
    /// It is damaged, or has another vocabulary than the checkpoint.
    pub(super) fn tokenizer(&self, tokenizer_bin: &[u8]) -> Result<RebuiltTokenizer> {
        tokenizer::tokenizer(tokenizer_bin, self.header.sizes.vocabulary)
    }
}

impl TensorFile for Llama2cFile {
    fn names(&self) -> Vec<String> {
        self.tensors.keys().cloned().collect()
    }

    fn shape(&self, name: &str) -> Option<Vec<usize>> {
        self.tensors.get(name).map(|place| place.shape.clone())
    }

    fn read(&self, name: &str) -> Result<Tensor> {
        let place = self.tensors.get(name);
        let place = place.ok_or_else(|| Error::new("it is missing."))?;
        let bytes = self.file.read(place.start, place.size)?;
        let numbers = place.numbers(&bytes);
        let tensor = Tensor::from_vec(numbers, place.shape.as_slice(), &Device::Cpu)?;
        match place.rotary_heads {
            Some(heads) => halves_of_pairs(&tensor, heads),
            None => Ok(tensor),
        }
    }
}
