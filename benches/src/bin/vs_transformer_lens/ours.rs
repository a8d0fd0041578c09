//! The Rust side: a worker that answers the same commands as `theirs.py`.

use candle_core::{D, DType, Device, Tensor};
use ferrolens::analysis::Sweep;
use ferrolens::data::Corpus;
use ferrolens::intervene::{Intervention, Removal};
use ferrolens::model::{HookedTransformer, Hooks, LoadOptions, ResidOptions};
use ferrolens::sae::train::{ActivationSource, BiasStart, SaeTrainer, TrainConfig};
use ferrolens::sae::{Sae, SaeLoadOptions};
use ferrolens::{Error, Result};
use ferrolens_tests::process::own_peak_mb;
use rayon::prelude::*;
use serde_json::{Value, json};
use std::io::BufRead;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// How many bytes are read to find out how fast memory is: far more than caches hold.
const READ: usize = 1 << 30;
/// How many numbers are copied in one go.
const READ_AT_ONCE: usize = 1 << 14;

/// Where it computes, and in what numbers.
struct Place {
    device: Device,
    dtype: DType,
}

impl Place {
    fn of(command: &Value) -> Result<Self> {
        let numbers = command["numbers"].as_str();
        candle_core::cuda::set_gemm_reduced_precision_f32(numbers == Some("tf32"));
        Ok(Self {
            device: match command["device"].as_str() {
                Some("cuda") => Device::new_cuda(0)?,
                _ => Device::Cpu,
            },
            dtype: match numbers {
                Some("bf16") => DType::BF16,
                _ => DType::F32,
            },
        })
    }
}

/// What is timed.
type Work = Box<dyn FnMut() -> Result<Found>>;

/// A case that is warm.
struct Prepared {
    command: Value,
    device: Device,
    work: Work,
    values: Vec<f64>,
}

/// What came of it, and is only looked at outside the time.
enum Found {
    Logits(Tensor),
    LogitsAndPattern(Tensor, Tensor),
    Sampled(Tensor),
    All(Tensor),
    Numbers(Vec<f64>),
}

/// Answers commands until its input ends.
pub fn work(folder: PathBuf) -> Result<()> {
    let mut current = None;
    for line in std::io::stdin().lock().lines() {
        let answer = answer(&folder, &line?, &mut current);
        let answer = answer.unwrap_or_else(|error| json!({"error": error.to_string()}));
        println!("{answer}");
    }
    Ok(())
}

fn answer(folder: &Path, line: &str, current: &mut Option<Prepared>) -> Result<Value> {
    let mut command: Value =
        serde_json::from_str(line).map_err(|error| Error::new(error.to_string()))?;
    let repeats = command["repeats"].take().as_u64().unwrap_or(1);
    let is_new = |case: &Prepared| case.command != command;
    if current.as_ref().is_none_or(is_new) {
        *current = None;
        // The largest resident size is counted from here.
        let _ = std::fs::write("/proc/self/clear_refs", "5");
        let place = Place::of(&command)?;
        let mut work = prepare(folder, &command, &place)?;
        let values = work()?.values()?;
        *current = Some(Prepared {
            command,
            device: place.device,
            work,
            values,
        });
    }
    let Some(case) = current else {
        return Err(Error::new("there is no case."));
    };
    let mut seconds = Vec::new();
    for _ in 0..repeats {
        case.device.synchronize()?;
        let started = Instant::now();
        let found = (case.work)()?;
        case.device.synchronize()?;
        seconds.push(started.elapsed().as_secs_f64());
        drop(found);
    }
    Ok(json!({"seconds": seconds, "values": case.values, "peak_mb": own_peak_mb()}))
}

#[allow(non_snake_case)]
fn prepare(folder: &Path, command: &Value, place: &Place) -> Result<Work> {
    let text = |name: &str| command[name].as_str().unwrap_or_default().to_owned();
    let size = |name: &str| command[name].as_u64().unwrap_or_default() as usize;
    let model = || -> Result<HookedTransformer> {
        let path = folder.join(text("model"));
        let options = LoadOptions::new().device(&place.device).dtype(place.dtype);
        HookedTransformer::load(&path.to_string_lossy(), options)
    };
    let tokens = |model: &HookedTransformer| -> Result<Tensor> {
        let (batch, pos) = (size("batch"), size("pos"));
        let ids = tokens_of(batch * pos, model.config().d_vocab, 0);
        Ok(Tensor::from_vec(ids, (batch, pos), &Device::Cpu)?)
    };
    let sae = || sae(folder, &text("sae"), &text("point"), place);
    Ok(match text("kind").as_str() {
        "forward" => {
            let model = model()?;
            let tokens = tokens(&model)?;
            Box::new(move || Ok(Found::Logits(model.forward(&tokens)?)))
        }
        "cache" => {
            let model = model()?;
            let tokens = tokens(&model)?;
            Box::new(move || {
                let (logits, cache) = model.run_with_cache(&tokens, ())?;
                Ok(Found::LogitsAndPattern(logits, cache.get(("pattern", -1))?))
            })
        }
        "hooked" => {
            let model = model()?;
            let tokens = tokens(&model)?;
            let hooks = Hooks::new().add("*", |value, _| Ok::<_, Error>(value.clone()));
            Box::new(move || Ok(Found::Logits(model.run_with_hooks(&tokens, &hooks)?)))
        }
        "one_name" => {
            let (model, point) = (model()?, text("point"));
            let tokens = tokens(&model)?;
            Box::new(move || {
                let cache = model.cache_only(&tokens, point.as_str())?;
                Ok(Found::Sampled(cache.get(point.as_str())?))
            })
        }
        "ablated" => {
            let model = model()?;
            let tokens = tokens(&model)?;
            let removal = Intervention::remove_latents(&sae()?, [0u32], Removal::AtOnce)?;
            Box::new(move || Ok(Found::Logits(model.run_with_hooks(&tokens, &removal)?)))
        }
        "loss_at" => {
            let model = model()?;
            let tokens = tokens(&model)?;
            let removal = Intervention::remove_latents(&sae()?, [0u32], Removal::AtOnce)?;
            Box::new(move || Ok(Found::All(model.run(&tokens).hooks(&removal).loss_at(-1)?)))
        }
        "decomposition" => {
            let model = model()?;
            let tokens = tokens(&model)?;
            let answer = tokens_of(1, model.config().d_vocab, 0)[0];
            Box::new(move || {
                let kept = [
                    "*.hook_z",
                    "*.hook_mlp_out",
                    "*embed",
                    "ln_final.hook_scale",
                ];
                let cache = model.run(&tokens).cache(kept).pos_slice(-1).cache_only()?;
                let options = ResidOptions::new().expand_neurons(false).pos_slice(-1);
                let parts = cache.get_full_resid_decomposition(&options)?;
                let attrs = cache.logit_attrs(&parts.components, answer, None, -1)?;
                Ok(Found::All(attrs))
            })
        }
        "sae" => {
            let sae = sae()?;
            let x = input(folder, &sae.cfg.d_in.to_string(), place)?;
            Box::new(move || Ok(Found::Sampled(sae.forward(&x)?)))
        }
        "sweep" => {
            let (model, sae) = (model()?, sae()?);
            let (mut rows, mut start) = (Vec::new(), 0);
            for length in command["lengths"].as_array().into_iter().flatten() {
                let length = length.as_u64().unwrap_or_default() as usize;
                rows.push(tokens_of(length, model.config().d_vocab, start));
                start += length;
            }
            let corpus = Corpus::from_tokens(rows, None)?;
            Box::new(move || {
                let sweep = Sweep::new().top(1).keep_maxima().no_cache();
                let found = sweep.run(&model, &sae, &corpus)?.max_activations()?;
                Ok(Found::Sampled(found.values.max(0)?))
            })
        }
        "train" => {
            let mut sae = sae()?;
            sae.b_enc = Tensor::full(-2.33f32, sae.cfg.d_sae, &place.device)?;
            let source = ActivationSource::of_tensor("x", &input(folder, "train", place)?)?;
            let config = TrainConfig::relu(sae.cfg.d_sae)
                .l1(0.05)
                .batch_size(4096)
                .bias_start(BiasStart::Zeros)
                .log_every(1);
            let mut trainer = SaeTrainer::new(source, config)?;
            trainer.start_from(&sae)?;
            drop(sae);
            Box::new(move || {
                trainer.run(1)?;
                let first = trainer.metrics().first().map(|metrics| metrics.loss);
                Ok(Found::Numbers(first.into_iter().collect()))
            })
        }
        "product" => {
            let sizes: Vec<usize> = command["shape"]
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|size| Some(size.as_u64()? as usize))
                .collect();
            let [m, k, n] = sizes.as_slice() else {
                return Err(Error::new("a product has three sizes."));
            };
            let x = Tensor::randn(0f32, 1., (*m, *k), &Device::Cpu)?;
            let W = Tensor::randn(0f32, 1., (*k, *n), &Device::Cpu)?;
            Box::new(move || {
                x.matmul(&W)?;
                Ok(Found::Numbers(Vec::new()))
            })
        }
        "read" => {
            let numbers = vec![1f32; READ / 4];
            Box::new(move || {
                // Copied to the same place again and again, which stays in a cache.
                let parts = numbers.par_chunks(READ_AT_ONCE);
                parts.for_each_init(
                    || vec![0f32; READ_AT_ONCE],
                    |near, part| {
                        near[..part.len()].copy_from_slice(part);
                        std::hint::black_box(near);
                    },
                );
                Ok(Found::Numbers(vec![READ as f64]))
            })
        }
        other => return Err(Error::new(format!("the kind `{other}` is not known."))),
    })
}

/// The tokens that `theirs.py` takes too.
fn tokens_of(count: usize, vocabulary: usize, start: usize) -> Vec<u32> {
    let token = |at: usize| ((31 + at * 7919 + (at * at % 1009) * 31) % vocabulary) as u32;
    (start..start + count).map(token).collect()
}

fn sae(folder: &Path, name: &str, point: &str, place: &Place) -> Result<Sae> {
    let path = folder.join("sae").join(format!("{name}.safetensors"));
    let options = SaeLoadOptions::new()
        .device(&place.device)
        .dtype(place.dtype);
    let mut sae = Sae::load_with(path, options)?;
    if !point.is_empty() {
        sae.cfg.hook_name = Some(point.to_owned());
    }
    Ok(sae)
}

fn input(folder: &Path, name: &str, place: &Place) -> Result<Tensor> {
    let path = folder.join("sae/inputs.safetensors");
    let found = candle_core::safetensors::load(path, &place.device)?.remove(name);
    found.ok_or_else(|| Error::new(format!("there is no input `{name}`.")))
}

impl Found {
    /// The values that the sides are compared by.
    fn values(&self) -> Result<Vec<f64>> {
        match self {
            Self::Logits(logits) => of_logits(logits),
            Self::LogitsAndPattern(logits, pattern) => {
                let mut values = of_logits(logits)?;
                let queries = pattern.dim(2)?;
                let row = pattern.get(0)?.get(0)?.get(queries - 1)?; // [key]
                values.extend(numbers(&row)?);
                Ok(values)
            }
            Self::Sampled(tensor) => sampled(tensor),
            Self::All(tensor) => numbers(tensor),
            Self::Numbers(numbers) => Ok(numbers.clone()),
        }
    }
}

/// Logits of the first and the last position, each about its mean.
fn of_logits(logits: &Tensor) -> Result<Vec<f64>> {
    let flat = logits.flatten_to(D::Minus2)?; // [positions, d_vocab]
    let mut values = Vec::new();
    for row in [0, flat.dim(0)? - 1] {
        let row = flat.get(row)?;
        values.extend(sampled(&row.broadcast_sub(&row.mean_keepdim(0)?)?)?);
    }
    Ok(values)
}

fn sampled(tensor: &Tensor) -> Result<Vec<f64>> {
    let all = numbers(tensor)?;
    let step = (all.len() / 64).max(1);
    Ok(all.into_iter().step_by(step).take(64).collect())
}

fn numbers(tensor: &Tensor) -> Result<Vec<f64>> {
    let values: Vec<f32> = tensor.to_dtype(DType::F32)?.flatten_all()?.to_vec1()?;
    Ok(values.into_iter().map(f64::from).collect())
}
