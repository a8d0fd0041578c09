//! How much memory it takes to load a model, and how long, beside the size of its weights.
//!
//! `cargo run --release -p ferrolens-benches --bin loading`
//!
//! The checkpoint has the sizes of GPT-2 small (124 million weights, 13 shards) and random weights. Each
//! way of loading it has a process of its own, whose largest resident size the system remembers.

use candle_core::{DType, Device, Tensor};
use ferrolens::model::{HookedTransformer, LoadOptions};
use ferrolens_tests::process::own_peak_mb;
use std::collections::HashMap;
use std::path::Path;
use std::time::Instant;

const LAYERS: usize = 12;
const D_MODEL: usize = 768;
const VOCABULARY: usize = 50_257;
const POSITIONS: usize = 1_024;

const WAYS: [&str; 4] = [
    "f32, as it is",
    "f32, processed",
    "bf16, as it is",
    "nothing",
];

fn main() -> ferrolens::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [way, folder] = arguments.as_slice() {
        return load(way, folder);
    }
    let folder = tempfile::tempdir()?;
    let (weights, largest_shard) = write_checkpoint(folder.path())?;
    println!("weights: {weights:.0} MB, the largest shard {largest_shard:.0} MB");
    println!("| loaded | largest resident size, MB | without the program's own, MB | s |");
    println!("| --- | ---: | ---: | ---: |");
    let mut own = 0.;
    for way in WAYS.iter().rev() {
        let output = std::process::Command::new(std::env::current_exe()?)
            .arg(way)
            .arg(folder.path())
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let numbers: Vec<f64> = text
            .split_whitespace()
            .filter_map(|word| word.parse().ok())
            .collect();
        let [peak, seconds] = numbers[..] else {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
        };
        if *way == "nothing" {
            own = peak;
        }
        println!("| {way} | {peak:.0} | {:.0} | {seconds:.2} |", peak - own);
    }
    Ok(())
}

/// Loads the model in this process, and prints what it took.
fn load(way: &str, folder: &str) -> ferrolens::Result<()> {
    let started = Instant::now();
    let options = match way {
        "f32, as it is" => Some(LoadOptions::no_processing()),
        "f32, processed" => Some(LoadOptions::new()),
        "bf16, as it is" => Some(LoadOptions::no_processing().dtype(DType::BF16)),
        _ => None,
    };
    let model = match options {
        Some(options) => Some(HookedTransformer::load(
            folder,
            options.device(&Device::Cpu),
        )?),
        None => None,
    };
    println!("{} {}", own_peak_mb(), started.elapsed().as_secs_f64());
    drop(model);
    Ok(())
}

/// Megabytes of all weights and of the largest shard.
fn write_checkpoint(folder: &Path) -> ferrolens::Result<(f64, f64)> {
    let config = serde_json::json!({
        "model_type": "gpt2", "n_layer": LAYERS, "n_embd": D_MODEL, "n_head": 12,
        "vocab_size": VOCABULARY, "n_positions": POSITIONS,
    });
    std::fs::write(folder.join("config.json"), config.to_string())?;
    let mut weight_map = serde_json::Map::new();
    let (mut all, mut largest) = (0., 0f64);
    for shard in 0..=LAYERS {
        let file = format!("model-{shard}.safetensors");
        let mut tensors = HashMap::new();
        let mut add = |name: String, shape: &[usize]| -> ferrolens::Result<()> {
            weight_map.insert(name.clone(), file.clone().into());
            tensors.insert(name, Tensor::randn(0f32, 0.02, shape, &Device::Cpu)?);
            Ok(())
        };
        if shard == LAYERS {
            add("wte.weight".to_owned(), &[VOCABULARY, D_MODEL])?;
            add("wpe.weight".to_owned(), &[POSITIONS, D_MODEL])?;
            add("ln_f.weight".to_owned(), &[D_MODEL])?;
            add("ln_f.bias".to_owned(), &[D_MODEL])?;
        } else {
            for (name, d_in, d_out) in [
                ("attn.c_attn", D_MODEL, 3 * D_MODEL),
                ("attn.c_proj", D_MODEL, D_MODEL),
                ("mlp.c_fc", D_MODEL, 4 * D_MODEL),
                ("mlp.c_proj", 4 * D_MODEL, D_MODEL),
            ] {
                add(format!("h.{shard}.{name}.weight"), &[d_in, d_out])?;
                add(format!("h.{shard}.{name}.bias"), &[d_out])?;
            }
            for norm in ["ln_1", "ln_2"] {
                add(format!("h.{shard}.{norm}.weight"), &[D_MODEL])?;
                add(format!("h.{shard}.{norm}.bias"), &[D_MODEL])?;
            }
        }
        let path = folder.join(&file);
        candle_core::safetensors::save(&tensors, &path)?;
        let megabytes = path.metadata()?.len() as f64 / 1e6;
        all += megabytes;
        largest = largest.max(megabytes);
    }
    let index = serde_json::json!({ "weight_map": weight_map });
    std::fs::write(
        folder.join("model.safetensors.index.json"),
        index.to_string(),
    )?;
    Ok((all, largest))
}
