//! Small GGUF files, written by candle, and what comes out of them.

mod configs;
mod damaged;
mod tensors;
mod tokenizers;

use super::GgufFile;
use crate::error::Result;
use candle_core::quantized::gguf_file::{Value, write};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};
use std::fs::File;
use std::io::{Cursor, Write};
use std::sync::atomic::{AtomicUsize, Ordering};

type Entries = Vec<(String, Value)>;

fn text(text: &str) -> Value {
    Value::String(text.to_owned())
}

fn texts(texts: &[&str]) -> Value {
    Value::Array(texts.iter().map(|each| text(each)).collect())
}

fn wholes(wholes: &[i32]) -> Value {
    Value::Array(wholes.iter().map(|whole| Value::I32(*whole)).collect())
}

/// The metadata of a tiny model of this architecture; sizes are those of `tensors`.
fn metadata(architecture: &str) -> Entries {
    let mut entries = vec![("general.architecture".to_owned(), text(architecture))];
    let sizes = [
        ("block_count", 1),
        ("context_length", 16),
        ("embedding_length", 8),
        ("feed_forward_length", 12),
        ("attention.head_count", 2),
        ("attention.head_count_kv", 1),
    ];
    for (key, size) in sizes {
        entries.push((format!("{architecture}.{key}"), Value::U32(size)));
    }
    for norm in ["layer_norm_epsilon", "layer_norm_rms_epsilon"] {
        entries.push((format!("{architecture}.attention.{norm}"), Value::F32(1e-6)));
    }
    entries
}

fn with(mut entries: Entries, more: &[(&str, Value)]) -> Entries {
    for (key, value) in more {
        entries.retain(|(known, _)| known != key);
        entries.push(((*key).to_owned(), value.clone()));
    }
    entries
}

/// Numbers 0, 1, 2 and so on.
fn counted(shape: &[usize]) -> Tensor {
    let count = shape.iter().product::<usize>();
    let numbers = Tensor::arange(0f32, count as f32, &Device::Cpu).unwrap();
    numbers.reshape(shape).unwrap()
}

fn bytes(entries: &Entries, tensors: &[(&str, Tensor)]) -> Vec<u8> {
    let quantised: Vec<(&str, QTensor)> = tensors
        .iter()
        .map(|(name, tensor)| (*name, QTensor::quantize(tensor, GgmlDType::F32).unwrap()))
        .collect();
    quantised_bytes(entries, &quantised)
}

fn quantised_bytes(entries: &Entries, tensors: &[(&str, QTensor)]) -> Vec<u8> {
    let entries: Vec<_> = entries
        .iter()
        .map(|(key, value)| (key.as_str(), value))
        .collect();
    let tensors: Vec<_> = tensors
        .iter()
        .map(|(name, tensor)| (*name, tensor))
        .collect();
    let mut written = Cursor::new(Vec::new());
    write(&mut written, &entries, &tensors).unwrap();
    written.into_inner()
}

/// The bytes as a file, which is gone when it is closed.
fn file(bytes: &[u8]) -> File {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("gguf-test-{}-{count}", std::process::id());
    let path = std::env::temp_dir().join(name);
    File::create(&path).unwrap().write_all(bytes).unwrap();
    let file = File::open(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    file
}

fn open(bytes: &[u8]) -> Result<GgufFile> {
    GgufFile::open("model.gguf".to_owned(), file(bytes))
}

fn error_of(entries: &Entries, tensors: &[(&str, Tensor)]) -> String {
    let opened = open(&bytes(entries, tensors));
    let config = opened.and_then(|file| file.config());
    config.unwrap_err().to_string()
}
