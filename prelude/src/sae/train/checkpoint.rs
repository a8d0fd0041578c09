//! A training on disk: a folder with `trainer.json` and `trainer.safetensors`.

use super::buffer::Buffer;
use super::config::TrainConfig;
use super::dead::Activity;
use super::history::Metrics;
use super::lane::{Lane, State};
use super::parameters::Parameters;
use super::trainer::SaeTrainer;
use crate::error::{Context, Error, Result};
use candle_core::{DType, Device, Tensor};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::HashMap;
use std::fs;
use std::path::Path;

const WORDS: &str = "trainer.json";
const TENSORS: &str = "trainer.safetensors";
/// The version of the format.
const FORMAT: u32 = 1;

/// What of a choice may differ between the trainer that saved and the one that loads.
const FREE: [&str; 2] = ["steps", "log_every"];

#[derive(Serialize, Deserialize)]
struct Words {
    format: u32,
    config: TrainConfig,
    hooks: Vec<String>,
    fingerprint: u64,
    step: u64,
    adam_steps: Vec<u64>,
    counted: Vec<u64>,
    position: u64,
    fillings: u64,
    seconds: f64,
    history: Vec<Metrics>,
}

pub(super) fn save(trainer: &SaeTrainer, folder: &Path) -> Result<()> {
    let says = || format!("saving a checkpoint in {}", folder.display());
    let of_lanes = |get: fn(&Lane) -> u64| trainer.lanes.iter().map(get).collect();
    let words = Words {
        format: FORMAT,
        config: trainer.config.clone(),
        hooks: trainer.hooks(),
        fingerprint: trainer.source.fingerprint(),
        step: trainer.step,
        adam_steps: of_lanes(|lane| lane.adam.steps),
        counted: of_lanes(|lane| lane.activity.counted),
        position: trainer.buffer.position,
        fillings: trainer.buffer.fillings,
        seconds: trainer.seconds,
        history: trainer.history.clone(),
    };
    let mut tensors = HashMap::new();
    for lane in &trainer.lanes {
        put(&mut tensors, lane)?;
    }
    for (index, rows) in trainer.buffer.unserved()?.into_iter().enumerate() {
        tensors.insert(format!("buffer.{index}"), rows.contiguous()?);
    }
    let mut partial = folder.as_os_str().to_owned();
    partial.push(".partial");
    let partial = Path::new(&partial);
    let mut old = folder.as_os_str().to_owned();
    old.push(".old");
    let old = Path::new(&old);
    let gone = |path: &Path| match path.exists() {
        true => fs::remove_dir_all(path),
        false => Ok(()),
    };
    gone(partial).context(says)?;
    fs::create_dir_all(partial).context(says)?;
    candle_core::safetensors::save(&tensors, partial.join(TENSORS)).context(says)?;
    fs::write(partial.join(WORDS), serde_json::to_vec(&words)?).context(says)?;
    // The one before it stays until this one is whole.
    if folder.exists() {
        if !folder.join(WORDS).exists() {
            return Err(Error::new(format!(
                "{} is there and is no checkpoint: choose another folder.",
                folder.display()
            )));
        }
        gone(old).context(says)?;
        fs::rename(folder, old).context(says)?;
    }
    fs::rename(partial, folder).context(says)?;
    gone(old).context(says)
}

fn put(tensors: &mut HashMap<String, Tensor>, lane: &Lane) -> Result<()> {
    let index = lane.index;
    let groups = [
        ("weight", &lane.weights),
        ("mean", &lane.adam.means),
        ("square", &lane.adam.squares),
    ];
    for (group, parameters) in groups {
        for (name, value) in parameters.named() {
            tensors.insert(format!("{index}.{group}.{name}"), value.contiguous()?);
        }
    }
    let cpu = &Device::Cpu;
    let activity = &lane.activity;
    let state = &lane.state;
    let numbers = [
        state.factor,
        state.mean_norm,
        state.threshold.unwrap_or(f64::NAN),
        f64::from(u8::from(state.started)),
        f64::from(u8::from(state.given)),
    ];
    let silent = Tensor::new(activity.silent.as_slice(), cpu)?;
    let counts = Tensor::new(activity.counts.as_slice(), cpu)?;
    tensors.insert(format!("{index}.silent"), silent);
    tensors.insert(format!("{index}.counts"), counts);
    // As numbers of 64 bits: text would not bring each back to the last bit.
    tensors.insert(format!("{index}.state"), Tensor::new(&numbers, cpu)?);
    Ok(())
}

pub(super) fn load(trainer: &mut SaeTrainer, folder: &Path) -> Result<()> {
    let says = || format!("loading the checkpoint in {}", folder.display());
    let words = fs::read(folder.join(WORDS)).context(says)?;
    let words: Words = serde_json::from_slice(&words).context(says)?;
    if words.format != FORMAT {
        return Err(Error::new(format!(
            "{}: its format has number {}, and this version reads {FORMAT}.",
            says(),
            words.format
        )));
    }
    check_config(&words.config, &trainer.config).context(says)?;
    if words.hooks != trainer.hooks() {
        return Err(Error::new(format!(
            "{}: it is of a training at {}, but this trainer is for {}.",
            says(),
            words.hooks.join(", "),
            trainer.hooks().join(", ")
        )));
    }
    if words.fingerprint != trainer.source.fingerprint() {
        return Err(Error::new(format!(
            "{}: it is of a training on other data. Make the trainer with the same texts in the same \
             order.",
            says()
        )));
    }
    let tensors =
        candle_core::safetensors::load(folder.join(TENSORS), &Device::Cpu).context(says)?;
    let device = trainer.device();
    let file = Saved {
        tensors,
        device: &device,
    };
    // Everything is read before anything changes.
    let mut lanes = Vec::with_capacity(trainer.lanes.len());
    for lane in &trainer.lanes {
        lanes.push(file.lane(lane, &words).context(says)?);
    }
    let mut rows = Vec::with_capacity(lanes.len());
    for lane in &lanes {
        let name = format!("buffer.{}", lane.index);
        // Before the first step there is no buffer.
        if words.fillings == 0 {
            continue;
        }
        let buffered = file.get(&name).context(says)?;
        match buffered.dims() {
            [_, width] if *width == lane.place.width => rows.push(buffered),
            dims => {
                return Err(Error::new(format!(
                    "{}: `{name}` has shape {dims:?}, but activations have width {}.",
                    says(),
                    lane.place.width
                )));
            }
        }
    }
    trainer.lanes = lanes;
    trainer.buffer = Buffer {
        rows,
        served: 0,
        position: words.position,
        fillings: words.fillings,
    };
    trainer.step = words.step;
    trainer.seconds = words.seconds;
    trainer.history = words.history;
    Ok(())
}

/// # Errors
/// The configs differ in what makes another training.
fn check_config(saved: &TrainConfig, own: &TrainConfig) -> Result<()> {
    let (saved, own) = (serde_json::to_value(saved)?, serde_json::to_value(own)?);
    let (Value::Object(saved), Value::Object(own)) = (saved, own) else {
        return Ok(());
    };
    let differs = |(name, value): &(&String, &Value)| {
        !FREE.contains(&name.as_str()) && own.get(*name) != Some(*value)
    };
    let different: Vec<String> = saved
        .iter()
        .filter(differs)
        .map(|(name, value)| {
            let own = own.get(name).cloned().unwrap_or_default();
            format!("{name} is {value} in the checkpoint and {own} in this trainer")
        })
        .collect();
    match different.is_empty() {
        true => Ok(()),
        false => Err(Error::new(format!(
            "it is of another config: {}. Make the trainer with the checkpoint's.",
            different.join("; ")
        ))),
    }
}

struct Saved<'a> {
    tensors: HashMap<String, Tensor>,
    device: &'a Device,
}

impl Saved<'_> {
    fn get(&self, name: &str) -> Result<Tensor> {
        match self.tensors.get(name) {
            Some(tensor) => Ok(tensor.to_device(self.device)?),
            None => Err(Error::new(format!("it lacks the tensor `{name}`."))),
        }
    }

    fn of(&self, lane: &Lane, group: &str) -> Result<Parameters> {
        lane.weights.map(|name, own| {
            let full = format!("{}.{group}.{name}", lane.index);
            let saved = self.get(&full)?;
            match saved.dims() == own.dims() && saved.dtype() == own.dtype() {
                true => Ok(saved),
                false => Err(Error::new(format!(
                    "`{full}` has shape {:?} and type {:?}, but {:?} and {:?} were expected.",
                    saved.dims(),
                    saved.dtype(),
                    own.dims(),
                    own.dtype()
                ))),
            }
        })
    }

    fn lane(&self, lane: &Lane, words: &Words) -> Result<Lane> {
        let index = lane.index;
        let mut loaded = lane.clone();
        loaded.weights = self.of(lane, "weight")?;
        loaded.adam.means = self.of(lane, "mean")?;
        loaded.adam.squares = self.of(lane, "square")?;
        let number = |numbers: &[u64]| numbers.get(index).copied().unwrap_or(0);
        loaded.adam.steps = number(&words.adam_steps);
        let d_sae = lane.activity.silent.len();
        let counts = |name: &str| {
            let name = format!("{index}.{name}");
            let values = self.get(&name)?.to_device(&Device::Cpu)?;
            let values: Vec<u32> = values.to_dtype(DType::U32)?.flatten_all()?.to_vec1()?;
            match values.len() == d_sae {
                true => Ok(values),
                false => Err(Error::new(format!(
                    "`{name}` has {} entries, but there are {d_sae} latents.",
                    values.len()
                ))),
            }
        };
        loaded.activity = Activity {
            silent: counts("silent")?,
            counts: counts("counts")?,
            counted: number(&words.counted),
        };
        let name = format!("{index}.state");
        let state = self.get(&name)?.to_device(&Device::Cpu)?;
        let state: Vec<f64> = state.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?;
        let [factor, mean_norm, threshold, started, given] = state[..] else {
            return Err(Error::new(format!(
                "`{name}` has {} entries, but 5 were expected.",
                state.len()
            )));
        };
        loaded.state = State {
            factor,
            mean_norm,
            threshold: (!threshold.is_nan()).then_some(threshold),
            started: started != 0.,
            given: given != 0.,
        };
        Ok(loaded)
    }
}
