//! Models: forward passes against recorded values, hooks, caches, loading, text.

// Weights have the field's names (W_E, b_O).
#![allow(non_snake_case)]

mod analysis;
mod backward;
mod circuits;
mod errors;
mod families;
mod formats;
mod forward;
mod gradients;
mod hooks;
pub mod hub;
mod interventions;
mod loading;
mod questions;
mod real;
mod scopes;
mod stories;
mod text;

use crate::golden::Golden;
use candle_core::{DType, Device, Tensor};
use ferrolens::model::{Config, HookedTransformer, LoadOptions};
use std::collections::HashMap;

fn gpt2() -> Golden {
    Golden::new("gpt2")
}

fn processed() -> HookedTransformer {
    gpt2().model(LoadOptions::new())
}

fn unprocessed() -> HookedTransformer {
    gpt2().model(LoadOptions::no_processing())
}

/// Numbers drawn from a normal distribution, the same in every run.
struct Noise(u64);

impl Noise {
    fn tensor(&mut self, shape: &[usize]) -> Tensor {
        let count = shape.iter().product();
        let values: Vec<f64> = (0..count).map(|_| self.normal()).collect();
        Tensor::from_vec(values, shape, &Device::Cpu).unwrap()
    }

    /// Box and Muller's method.
    fn normal(&mut self) -> f64 {
        let (a, b) = (1. - self.uniform(), self.uniform());
        (-2. * a.ln()).sqrt() * (std::f64::consts::TAU * b).cos()
    }

    /// The generator splitmix64.
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// Small random weights in TransformerLens's names.
fn random_weights(config: &Config, dtype: DType) -> HashMap<String, Tensor> {
    let mut noise = Noise(1);
    let mut weights = HashMap::new();
    let mut set = |name: String, shape: &[usize], mean: f64, deviation: f64| {
        let tensor = (noise.tensor(shape) * deviation).unwrap();
        let tensor = (tensor + mean).unwrap();
        weights.insert(name, tensor.to_dtype(dtype).unwrap());
    };
    let (d_model, d_mlp) = (config.d_model, config.d_mlp);
    let (heads, d_head) = (config.n_heads, config.d_head);
    set("embed.W_E".into(), &[config.d_vocab, d_model], 0., 0.5);
    set("pos_embed.W_pos".into(), &[config.n_ctx, d_model], 0., 0.5);
    for layer in 0..config.n_layers {
        let name = |name: &str| format!("blocks.{layer}.{name}");
        for norm in ["ln1", "ln2"] {
            set(name(&format!("{norm}.w")), &[d_model], 1., 0.2);
            set(name(&format!("{norm}.b")), &[d_model], 0., 0.1);
        }
        for which in ["Q", "K", "V"] {
            let matrix = [heads, d_model, d_head];
            set(name(&format!("attn.W_{which}")), &matrix, 0., 0.3);
            set(name(&format!("attn.b_{which}")), &[heads, d_head], 0., 0.1);
        }
        set(name("attn.W_O"), &[heads, d_head, d_model], 0., 0.3);
        set(name("attn.b_O"), &[d_model], 0., 0.1);
        set(name("mlp.W_in"), &[d_model, d_mlp], 0., 0.3);
        set(name("mlp.b_in"), &[d_mlp], 0., 0.1);
        set(name("mlp.W_out"), &[d_mlp, d_model], 0., 0.3);
        set(name("mlp.b_out"), &[d_model], 0., 0.1);
    }
    set("ln_final.w".into(), &[d_model], 1., 0.2);
    set("ln_final.b".into(), &[d_model], 0., 0.1);
    set("unembed.W_U".into(), &[d_model, config.d_vocab], 0., 0.3);
    set("unembed.b_U".into(), &[config.d_vocab], 0., 0.1);
    weights
}

#[test]
fn a_model_crosses_threads_and_clones_share_its_weights() {
    fn crosses_threads<T: Send + Sync + Clone + 'static>(_: &T) {}
    let model = processed();
    crosses_threads(&model);
    let clone = model.clone();
    assert!(clone.shares_weights_with(&model));
    assert!(!processed().shares_weights_with(&model));
    let elsewhere = std::thread::spawn(move || clone.forward([1u32, 2, 3]).unwrap());
    let here = model.forward([1u32, 2, 3]).unwrap();
    assert_eq!(
        crate::golden::values(&here),
        crate::golden::values(&elsewhere.join().unwrap())
    );
}
