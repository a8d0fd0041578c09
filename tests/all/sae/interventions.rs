//! Interventions as values.

// The papers' symbols are the names of weights.
#![allow(non_snake_case)]

mod activations;
mod errors;
pub mod latents;
mod norms;

use super::core::sae_lens;
use crate::golden::Golden;
use candle_core::{DType, Device, Tensor};
use ferrolens::model::{HookedTransformer, LoadOptions};
use ferrolens::sae::{Gate, Sae, SaeConfig};
use std::collections::HashMap;

pub fn gpt2() -> HookedTransformer {
    Golden::new("gpt2").model(LoadOptions::new())
}

/// An autoencoder with these weights and a ReLU.
pub fn relu_sae(weights: &HashMap<String, Tensor>, prefix: &str, hook: &str) -> Sae {
    let weight = |name: &str| weights[&format!("{prefix}{name}")].clone();
    let (d_in, d_sae) = weight("W_enc").dims2().unwrap();
    Sae::new(
        SaeConfig::new(d_in, d_sae).hook_name(hook),
        weight("W_enc"),
        weight("b_enc"),
        weight("W_dec"),
        weight("b_dec"),
        Gate::Relu,
    )
    .unwrap()
}

/// What any test needs of the fixtures' shared input.
pub fn tokens() -> Tensor {
    Golden::new("sae").tensors("input.safetensors")["tokens"].clone()
}

pub fn ones(dims: &[usize]) -> Tensor {
    Tensor::ones(dims, DType::F32, &Device::Cpu).unwrap()
}

pub fn message<T: std::fmt::Debug>(result: ferrolens::Result<T>) -> String {
    result.unwrap_err().to_string()
}

pub fn standard() -> Sae {
    sae_lens("standard").1
}
