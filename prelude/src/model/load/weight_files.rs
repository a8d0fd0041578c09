//! Which files of a place hold the weights.

use super::safetensors::Safetensors;
use super::source::{Opened, Source};
use super::tensors::{TensorFile, Tensors};
use super::torch_file::TorchFile;
use crate::error::{Context, Error, Result};
use serde_json::Value;
use std::io::Cursor;

/// Whole checkpoints, and lists of shards, in the order in which they are looked for: safetensors
/// first, as pickles are slower to read.
const USUAL: [(&str, &str); 2] = [
    ("model.safetensors", "model.safetensors.index.json"),
    ("pytorch_model.bin", "pytorch_model.bin.index.json"),
];

/// The weights of a place: the file of this name, or `model.safetensors` or `pytorch_model.bin`, whole or in the shards that an
/// index lists; else the one file whose name ends with `final.pth`, or the one file of weights there is.
///
/// # Errors
/// There are none, or several; or a file is damaged.
pub(super) fn open(source: &Source, file: Option<&str>) -> Result<Tensors> {
    if let Some(name) = file {
        return open_one(source, name);
    }
    for (whole, index) in USUAL {
        if let Some(opened) = source.open(whole)? {
            return Ok(Tensors::of(vec![open_file(source, whole, opened)?]));
        }
        if let Some(index_bytes) = source.read(index)? {
            return open_shards(source, index, &index_bytes);
        }
    }
    let names = source.list()?;
    open_one(source, only_file(source, &names)?)
}

fn open_one(source: &Source, name: &str) -> Result<Tensors> {
    let opened = source.open(name)?.ok_or_else(|| source.missing(name))?;
    Ok(Tensors::of(vec![open_file(source, name, opened)?]))
}

fn open_shards(source: &Source, index: &str, bytes: &[u8]) -> Result<Tensors> {
    let index: Value = serde_json::from_slice(bytes).context(|| source.describe(index))?;
    let shards = index.get("weight_map").and_then(Value::as_object);
    let mut shards: Vec<&str> = shards
        .map(|shards| shards.values().filter_map(Value::as_str).collect())
        .unwrap_or_default();
    shards.sort_unstable();
    shards.dedup();
    let open = |shard: &str| {
        let opened = source.open(shard)?.ok_or_else(|| source.missing(shard))?;
        open_file(source, shard, opened)
    };
    let files = shards.into_iter().map(open).collect::<Result<Vec<_>>>()?;
    Ok(Tensors::of(files))
}

fn open_file(source: &Source, name: &str, opened: Opened) -> Result<(String, Box<dyn TensorFile>)> {
    let described = source.describe(name);
    let file: Box<dyn TensorFile> = match name.ends_with(".safetensors") {
        true => Box::new(Safetensors::open(opened).context(|| described.clone())?),
        false => Box::new(match opened {
            Opened::Bytes(bytes) => TorchFile::open(described.clone(), Cursor::new(bytes))?,
            Opened::File(file) => TorchFile::open(described.clone(), file)?,
        }),
    };
    Ok((described, file))
}

/// The one file of weights among these: checkpoints of a training run lie beside the final one.
fn only_file<'a>(source: &Source, names: &'a [String]) -> Result<&'a str> {
    let ends = |endings: &[&str]| -> Vec<&'a str> {
        let of = |name: &&String| endings.iter().any(|ending| name.ends_with(ending));
        names.iter().filter(of).map(String::as_str).collect()
    };
    for endings in [
        &["final.pth"][..],
        &[".safetensors"][..],
        &[".pth", ".pt", ".bin"][..],
    ] {
        match ends(endings).as_slice() {
            [] => {}
            [only] => return Ok(only),
            several => {
                return Err(Error::new(format!(
                    "several files may hold the weights: {}. Leave one of them in the folder, or call \
                     it model.safetensors or pytorch_model.bin.",
                    several.join(", ")
                )));
            }
        }
    }
    Err(source.missing("model.safetensors"))
}
