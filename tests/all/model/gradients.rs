//! The forward pass is differentiable: gradients against finite differences, in `f64`.

use super::{Noise, random_weights};
use crate::golden::values;
use candle_core::{DType, Device, Tensor, Var};
use ferrolens::model::{Config, HookedTransformer, Hooks};
use std::collections::HashMap;

const TOKENS: [u32; 5] = [3, 1, 4, 1, 5];

fn config() -> Config {
    Config::gpt2(2, 8, 2, 11, 6)
}

fn loss(weights: &HashMap<String, Tensor>) -> Tensor {
    let model = HookedTransformer::new(config(), weights.clone(), None).unwrap();
    model.loss_per_token(TOKENS).unwrap().mean_all().unwrap()
}

fn scalar(tensor: &Tensor) -> f64 {
    tensor.to_scalar().unwrap()
}

#[test]
fn gradients_of_all_weights_are_finite_differences() {
    let weights = random_weights(&config(), DType::F64);
    let variables: HashMap<String, Var> = weights
        .iter()
        .map(|(name, tensor)| (name.clone(), Var::from_tensor(tensor).unwrap()))
        .collect();
    let tracked: HashMap<String, Tensor> = variables
        .iter()
        .map(|(name, variable)| (name.clone(), variable.as_tensor().clone()))
        .collect();
    let gradients = loss(&tracked).backward().unwrap();

    const STEP: f64 = 1e-5;
    for (name, tensor) in &weights {
        let gradient = gradients
            .get(variables[name].as_tensor())
            .unwrap_or_else(|| panic!("`{name}` has no gradient"));
        assert_eq!(gradient.dims(), tensor.dims(), "{name}");
        let gradient: Vec<f64> = gradient.flatten_all().unwrap().to_vec1().unwrap();
        let flat: Vec<f64> = tensor.flatten_all().unwrap().to_vec1().unwrap();
        let count = flat.len();
        for index in [0, count / 3, count / 2, count - 1] {
            let at = |step: f64| {
                let mut moved = flat.clone();
                moved[index] += step;
                let moved = Tensor::from_vec(moved, tensor.dims(), &Device::Cpu).unwrap();
                let mut weights = weights.clone();
                weights.insert(name.clone(), moved);
                scalar(&loss(&weights))
            };
            let numeric = (at(STEP) - at(-STEP)) / (2. * STEP);
            let difference = (numeric - gradient[index]).abs();
            assert!(
                difference < 1e-7 + 1e-5 * numeric.abs(),
                "`{name}`[{index}]: backward {} finite difference {numeric}",
                gradient[index]
            );
        }
    }
}

#[test]
fn a_model_of_variables_follows_them() {
    let weights = random_weights(&config(), DType::F32);
    let variables: HashMap<String, Var> = weights
        .iter()
        .map(|(name, tensor)| (name.clone(), Var::from_tensor(tensor).unwrap()))
        .collect();
    let tracked = variables
        .iter()
        .map(|(name, variable)| (name.clone(), variable.as_tensor().clone()))
        .collect();
    let model = HookedTransformer::new(config(), tracked, None).unwrap();
    let before = model.forward(TOKENS).unwrap();
    let plain = HookedTransformer::new(config(), weights, None).unwrap();
    let fused = plain.forward(TOKENS).unwrap();
    for (a, b) in values(&before).iter().zip(values(&fused)) {
        assert!(
            (a - b).abs() < 1e-5,
            "separate and fused projections differ: {a} {b}"
        );
    }
    for name in [
        "blocks.0.attn.W_Q",
        "blocks.1.attn.W_O",
        "unembed.W_U",
        "embed.W_E",
    ] {
        let before = values(&model.forward(TOKENS).unwrap());
        let doubled = (variables[name].as_tensor() * 2.).unwrap();
        variables[name].set(&doubled).unwrap();
        let after = values(&model.forward(TOKENS).unwrap());
        assert_ne!(
            before, after,
            "`{name}` was changed, and the model did not notice"
        );
    }
}

#[test]
fn gradients_reach_activations_through_hooks() {
    let weights = random_weights(&config(), DType::F64);
    let model = HookedTransformer::new(config(), weights, None).unwrap();
    let clean = model.cache_only(TOKENS, "blocks.0.hook_mlp_out").unwrap();
    let clean = clean.get("blocks.0.hook_mlp_out").unwrap();
    let loss_with = |value: &Tensor| {
        let value = value.clone();
        let hooks = Hooks::new().add("blocks.0.hook_mlp_out", move |_, _| value.clone());
        let run = model.run(TOKENS).hooks(&hooks);
        run.loss_per_token().unwrap().mean_all().unwrap()
    };
    let variable = Var::from_tensor(&clean).unwrap();
    let gradients = loss_with(variable.as_tensor()).backward().unwrap();
    let gradient = gradients.get(variable.as_tensor()).unwrap();
    let direction = Noise(2).tensor(clean.dims());
    let slope = scalar(&(gradient * &direction).unwrap().sum_all().unwrap());
    let at = |step: f64| {
        scalar(&loss_with(
            &(&clean + (&direction * step).unwrap()).unwrap(),
        ))
    };
    let numeric = (at(1e-5) - at(-1e-5)) / 2e-5;
    assert!(
        (slope - numeric).abs() < 1e-7,
        "backward {slope} finite difference {numeric}"
    );
}
