//! Recorded reference values, and the comparison that says where a difference starts.

use candle_core::{DType, Device, Tensor};
use ferrolens::model::{ActivationCache, HookedTransformer, LoadOptions};
use std::collections::HashMap;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;

/// For caches and logits of unprocessed models: see the fixtures' README.
pub const UNPROCESSED: f32 = 1e-4;
/// For processed models.
pub const PROCESSED: f32 = 2e-4;

/// A folder of recorded values, such as `gpt2`.
pub struct Golden {
    folder: PathBuf,
}

impl Golden {
    pub fn new(name: &str) -> Self {
        let golden = concat!(env!("CARGO_MANIFEST_DIR"), "/golden");
        Self {
            folder: PathBuf::from(golden).join(name),
        }
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }

    /// The tensors of a file, by name.
    pub fn tensors(&self, file: &str) -> HashMap<String, Tensor> {
        let path = self.path(file);
        candle_core::safetensors::load(&path, &Device::Cpu)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    pub fn json(&self, file: &str) -> serde_json::Value {
        let path = self.path(file);
        let text = std::fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        serde_json::from_str(&text).unwrap()
    }

    /// The model in `hf/`, or in `repo/` with its tokenizer beside it, on the CPU.
    pub fn model(&self, options: LoadOptions) -> HookedTransformer {
        let tokenizer = self.path("tokenizer");
        match tokenizer.exists() {
            true => self.model_in("repo", options.tokenizer(tokenizer.to_str().unwrap())),
            false => self.model_in("hf", options),
        }
    }

    pub fn model_in(&self, folder: &str, options: LoadOptions) -> HookedTransformer {
        let path = self.path(folder);
        HookedTransformer::load(path.to_str().unwrap(), options.device(&Device::Cpu)).unwrap()
    }
}

/// Compares every activation with the recorded `cache/<name>`, in firing order: a failure names the
/// first hook point that differs, by how much, and how large the two are.
pub fn assert_cache(cache: &ActivationCache, recorded: &HashMap<String, Tensor>, tolerance: f32) {
    let mut compared = 0;
    for (point, ours) in cache {
        let theirs = recorded
            .get(&format!("cache/{point}"))
            .unwrap_or_else(|| panic!("nothing was recorded for `{point}`"));
        // TransformerLens normalizes the heads of all positions in one column of rows.
        let theirs = match point.name().contains("_norm.hook") {
            true => theirs.reshape(ours.dims()).unwrap(),
            false => theirs.clone(),
        };
        assert_close(&point.name(), &ours, &theirs, tolerance);
        assert_relative(&point.name(), &ours, &theirs);
        compared += 1;
    }
    assert!(compared > 0, "the cache is empty, so nothing was compared");
}

/// The difference of two tensors over the size of the second: both are sums of squares of entries that are
/// finite.
pub fn assert_relative(name: &str, ours: &Tensor, theirs: &Tensor) {
    const LARGEST: f64 = 1e-5;
    let (mut difference, mut size) = (0f64, 0f64);
    for (a, b) in values(ours).into_iter().zip(values(theirs)) {
        if a.is_finite() && b.is_finite() {
            difference += f64::from(a - b).powi(2);
            size += f64::from(b).powi(2);
        }
    }
    let relative = (difference / size).sqrt();
    assert!(
        relative < LARGEST || difference == 0.,
        "`{name}` differs by {relative:e} of its size, {}",
        size.sqrt()
    );
}

/// Compares two tensors; equal infinities count as equal.
pub fn assert_close(name: &str, ours: &Tensor, theirs: &Tensor, tolerance: f32) {
    assert_eq!(ours.dims(), theirs.dims(), "`{name}` has another shape");
    let ours = values(ours);
    let theirs = values(theirs);
    let mut worst = (0f32, 0usize);
    for (index, (a, b)) in ours.iter().zip(&theirs).enumerate() {
        let difference = if a == b { 0. } else { (a - b).abs() };
        assert!(
            !difference.is_nan(),
            "`{name}` differs at index {index}: ours {a}, theirs {b}"
        );
        if difference > worst.0 {
            worst = (difference, index);
        }
    }
    let largest = |values: &[f32]| {
        let finite = values.iter().filter(|value| value.is_finite());
        finite.fold(0f32, |largest, value| largest.max(value.abs()))
    };
    assert!(
        worst.0 <= tolerance,
        "`{name}` differs by up to {} (tolerance {tolerance}) at index {}: ours {} theirs {}; the \
         largest magnitudes are {} and {}",
        worst.0,
        worst.1,
        ours[worst.1],
        theirs[worst.1],
        largest(&ours),
        largest(&theirs)
    );
}

pub fn values(tensor: &Tensor) -> Vec<f32> {
    let flat = tensor.flatten_all().unwrap().to_dtype(DType::F32).unwrap();
    flat.to_vec1().unwrap()
}

#[test]
fn the_comparison_fails_where_it_should() {
    let device = Device::Cpu;
    let a = Tensor::new(&[1f32, f32::NEG_INFINITY], &device).unwrap();
    let b = Tensor::new(&[1.01f32, f32::NEG_INFINITY], &device).unwrap();
    assert_close("same", &a, &a, 0.);
    for (other, tolerance) in [(b, 1e-3), (Tensor::new(&[1f32, 0.], &device).unwrap(), 1e9)] {
        let compared = std::panic::catch_unwind(AssertUnwindSafe(|| {
            assert_close("x", &a, &other, tolerance)
        }));
        assert!(compared.is_err());
    }
}
