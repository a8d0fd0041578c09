//! What a notebook reads when something is wrong.

use super::{gpt2, processed, random_weights};
use candle_core::{DType, Device, Tensor};
use ferrolens::model::{Config, Generate, HookedTransformer, Hooks};
use std::panic::AssertUnwindSafe;

fn assert_says(error: impl std::fmt::Display, parts: &[&str]) {
    let message = error.to_string();
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in: {message}");
    }
}

#[test]
fn prompts_that_do_not_fit() {
    let model = processed();
    assert_says(
        model.forward(vec![1u32; 129]).unwrap_err(),
        &["129", "n_ctx = 128"],
    );
    assert_says(model.forward(Vec::<u32>::new()).unwrap_err(), &["empty"]);
    assert_says(
        model.forward(Vec::<Vec<u32>>::new()).unwrap_err(),
        &["empty"],
    );
    assert_says(
        model.forward([1u32, 336]).unwrap_err(),
        &["token 336", "position 1", "d_vocab = 336"],
    );
    let ragged = vec![vec![1u32, 2], vec![3]];
    assert_says(model.forward(ragged).unwrap_err(), &["2 and 1 tokens"]);
    let floats = Tensor::zeros((1, 3), DType::F32, &Device::Cpu).unwrap();
    assert_says(model.forward(&floats).unwrap_err(), &["integers", "[1, 3]"]);
    let deep = Tensor::zeros((1, 1, 3), DType::U32, &Device::Cpu).unwrap();
    assert_says(model.forward(&deep).unwrap_err(), &["[1, 1, 3]"]);
    let negative = Tensor::new(&[-1i64], &Device::Cpu).unwrap();
    assert_says(model.forward(&negative).unwrap_err(), &["-1"]);
    assert_says(model.loss([1u32]).unwrap_err(), &["one token"]);
    let many = model
        .generate([1u32; 100].as_slice(), &Generate::new(50))
        .unwrap_err();
    assert_says(many, &["100", "50", "128", "28 new tokens"]);
    assert_says(
        model
            .generate("a", &Generate::new(1).temperature(-1.))
            .unwrap_err(),
        &["-1"],
    );
    assert_says(
        model.generate("a", &Generate::new(1).top_k(0)).unwrap_err(),
        &["top_k"],
    );
}

#[test]
fn names_that_mean_nothing() {
    let model = processed();
    let filter = |name: &str| model.run_with_cache([1u32], name).unwrap_err();
    assert_says(
        filter("blocks.0.hook_resid_prep"),
        &["`blocks.0.hook_resid_pre`"],
    );
    assert_says(filter("hook_pattern"), &["`blocks.*.attn.hook_pattern`"]);
    assert_says(filter("blocks.7.hook_resid_pre"), &["3 layers", "0 to 2"]);
    assert_says(
        filter("blocks.*.hook_resid_prep"),
        &["`blocks.0.hook_resid_pre`"],
    );
    assert_says(
        filter("blocks.0.attn.hook_rot_q"),
        &["this model has no", "`blocks.0.attn.hook_q`"],
    );
    let closure = model.run_with_cache([1u32], |name: &str| name.contains("residual"));
    assert_says(closure.unwrap_err(), &["accepts none"]);
    let hooks = Hooks::new().add("blocks.0.hook_atn_out", |_, _| ());
    assert_says(
        model.run_with_hooks([1u32], &hooks).unwrap_err(),
        &["`blocks.0.hook_attn_out`"],
    );
    assert_says(
        model.weight("blocks.0.attn.W_q").unwrap_err(),
        &["`blocks.0.attn.W_Q`"],
    );

    let (_, cache) = model
        .run_with_cache([1u32], "blocks.0.attn.hook_pattern")
        .unwrap();
    assert_says(
        cache.get("blocks.1.attn.hook_pattern").unwrap_err(),
        &["`blocks.0.attn.hook_pattern`"],
    );
    let index = AssertUnwindSafe(|| cache["blocks.1.attn.hook_pattern"].clone());
    let panic = std::panic::catch_unwind(index);
    let message = panic.unwrap_err().downcast::<String>().unwrap();
    assert_says(message, &["`blocks.0.attn.hook_pattern`", "names filter"]);
}

#[test]
fn hooks_that_return_the_wrong_thing() {
    let model = processed();
    let run = |hooks: Hooks| model.run_with_hooks([1u32, 2], &hooks).unwrap_err();
    let shape = Hooks::new().add(("z", 0), |value, _| value.sum(1));
    assert_says(
        run(shape),
        &["blocks.0.attn.hook_z", "[1, 4, 8]", "[1, 2, 4, 8]"],
    );
    let dtype = Hooks::new().add(("z", 0), |value, _| value.to_dtype(DType::F64));
    assert_says(run(dtype), &["blocks.0.attn.hook_z", "F64", "F32"]);
    let nan = Hooks::new().add(("resid_post", 2), |value, _| value * f64::NAN);
    let generation = model
        .generate([1u32], &Generate::new(1).hooks(&nan))
        .unwrap_err();
    assert_says(generation, &["NaN"]);
}

#[test]
fn runs_that_ask_for_what_they_cannot_have() {
    let model = processed();
    let stopped = model.run([1u32, 2]).stop_at_layer(1);
    assert_says(stopped.clone().logits().unwrap_err(), &["residual()"]);
    assert_says(stopped.loss().unwrap_err(), &["residual()"]);
    assert_says(
        model.run([1u32]).stop_at_layer(4).residual().unwrap_err(),
        &["layer 4", "3 layers"],
    );
    let residual = Tensor::zeros((1, 2, 32), DType::F32, &Device::Cpu).unwrap();
    assert_says(
        model.run_from_layer(1, &residual).loss().unwrap_err(),
        &["no tokens"],
    );
    assert_says(
        model.run_from_layer(4, &residual).logits().unwrap_err(),
        &["layer 4"],
    );
    let wrong = Tensor::zeros((1, 2, 31), DType::F32, &Device::Cpu).unwrap();
    assert_says(
        model.run_from_layer(1, &wrong).logits().unwrap_err(),
        &["[1, 2, 31]", "32"],
    );
    assert_says(model.run([1u32]).logits_at(1).unwrap_err(), &["position 1"]);
    let config = Config::gpt2(1, 8, 2, 10, 4);
    let mute = HookedTransformer::new(config.clone(), random_weights(&config, DType::F32), None);
    assert_says(
        mute.unwrap().forward("text").unwrap_err(),
        &["no tokenizer", "token ids"],
    );
}

#[test]
fn hooks_that_a_run_cannot_reach() {
    let model = processed();
    let hooks = Hooks::new()
        .add("blocks.*.hook_mlp_out", |_, _| ())
        .add(("mlp_out", 2), |value, _| value.zeros_like());
    let stopped = model.run([1u32, 2]).hooks(&hooks).stop_at_layer(2);
    assert_says(
        stopped.residual().unwrap_err(),
        &["`mlp_out, 2`", "never called"],
    );
    let residual = Tensor::zeros((1, 2, 32), DType::F32, &Device::Cpu).unwrap();
    let hooks = Hooks::new().add("hook_embed", |_, _| ());
    let late = model.run_from_layer(1, &residual).hooks(&hooks);
    assert_says(late.logits().unwrap_err(), &["`hook_embed`"]);
}

#[test]
fn weights_that_do_not_fit_the_config() {
    let config = Config::gpt2(2, 8, 2, 10, 4);
    let mut weights = random_weights(&config, DType::F32);
    let wrong = Tensor::zeros((2, 8, 5), DType::F32, &Device::Cpu).unwrap();
    weights.insert("blocks.1.attn.W_K".into(), wrong);
    let error = HookedTransformer::new(config.clone(), weights.clone(), None).unwrap_err();
    assert_says(error, &["blocks.1.attn.W_K", "[2, 8, 5]", "[2, 8, 4]"]);
    weights.remove("blocks.1.attn.W_K");
    let error = HookedTransformer::new(config, weights, None).unwrap_err();
    assert_says(error, &["blocks.1.attn.W_K", "missing"]);
}

#[test]
fn unknown_models() {
    let error = HookedTransformer::from_pretrained("gtp2-small").unwrap_err();
    assert_says(error, &["gtp2-small", "`gpt2-small`"]);
    let path = gpt2().path("no-such-folder");
    let error = HookedTransformer::from_pretrained(path.to_str().unwrap()).unwrap_err();
    assert_says(error, &["no-such-folder", "folder"]);
}
