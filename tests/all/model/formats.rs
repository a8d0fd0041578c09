//! One model in every format it may come in.

use super::families::{FAMILIES, processed, unprocessed};
use crate::golden::{Golden, PROCESSED, UNPROCESSED, assert_cache, assert_close};
use candle_core::{Device, Tensor};
use ferrolens::model::{Architecture, HookedTransformer, LoadOptions};
use std::path::Path;

const TOKENS: [u32; 6] = [7, 3, 250, 12, 3, 9];

fn load(path: &Path, options: LoadOptions) -> Result<HookedTransformer, String> {
    let model = HookedTransformer::load(path.to_str().unwrap(), options.device(&Device::Cpu));
    model.map_err(|error| error.to_string())
}

#[test]
fn pytorch_model_bin() {
    let golden = Golden::new("gpt_neo");
    let model = load(&golden.path("hf_bin"), LoadOptions::new()).unwrap();
    let ours = model.forward(TOKENS).unwrap();
    assert_close(
        "logits",
        &ours,
        &processed(&golden).forward(TOKENS).unwrap(),
        0.,
    );
    assert!(model.tokenizer().is_err(), "there is no tokenizer.json");
}

#[test]
fn the_hubs_older_configs_mean_the_same() {
    for family in ["llama3", "mistral", "qwen2", "qwen3"] {
        let golden = Golden::new(family);
        let folder = tempfile::tempdir().unwrap();
        for file in [
            "model.safetensors",
            "tokenizer.json",
            "tokenizer_config.json",
        ] {
            std::fs::copy(golden.path("hf").join(file), folder.path().join(file)).unwrap();
        }
        let config = golden.path("hub_layout/config.json");
        std::fs::copy(config, folder.path().join("config.json")).unwrap();
        let model = load(folder.path(), LoadOptions::no_processing()).unwrap();
        let new = unprocessed(&golden);
        assert_eq!(model.config().positions, new.config().positions, "{family}");
        let ours = model.forward(TOKENS).unwrap();
        assert_close(family, &ours, &new.forward(TOKENS).unwrap(), 0.);
    }
}

#[test]
fn transformer_lenss_toy_models() {
    for (folder, processed_too) in [("toy", false), ("toy_ln", true)] {
        let golden = Golden::new(folder);
        let model = load(&golden.path(""), LoadOptions::no_processing()).unwrap();
        assert_eq!(model.config().architecture, Architecture::TransformerLens);
        let recorded = golden.tensors("tl_unprocessed.safetensors");
        let (logits, cache) = model.run_with_cache(&recorded["tokens"], ()).unwrap();
        assert_cache(&cache, &recorded, UNPROCESSED);
        assert_close("logits", &logits, &recorded["logits"], UNPROCESSED);
        let losses = model.loss_per_token(&recorded["tokens"]).unwrap();
        assert_close("loss", &losses, &recorded["loss_per_token"], UNPROCESSED);
        if processed_too {
            let model = load(&golden.path(""), LoadOptions::new()).unwrap();
            let recorded = golden.tensors("tl_processed.safetensors");
            let (logits, cache) = model.run_with_cache(&recorded["tokens"], ()).unwrap();
            assert_cache(&cache, &recorded, PROCESSED);
            assert_close("logits", &logits, &recorded["logits"], PROCESSED);
        }
    }
}

/// What TransformerLens saves of a model that it has processed: its own config, norms folded away, under its
/// own names, whatever the family was.
#[test]
fn processed_models_that_transformer_lens_saved() {
    for family in ["gpt2"].into_iter().chain(FAMILIES) {
        let golden = Golden::new(family);
        let config = golden.path("tl_processed_cfg.json");
        if !config.exists() {
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        let weights = golden.path("tl_processed_weights.safetensors");
        std::fs::copy(config, folder.path().join("config.json")).unwrap();
        std::fs::copy(weights, folder.path().join("model.safetensors")).unwrap();
        // The config may name a tokenizer on the Hub, which no test asks.
        let tokenizer = ["tokenizer", "hf"].map(|name| golden.path(name));
        let tokenizer = tokenizer.iter().find(|path| path.exists()).unwrap();
        let options = LoadOptions::no_processing().tokenizer(tokenizer.to_str().unwrap());
        let model = load(folder.path(), options).unwrap();
        assert_eq!(model.config().architecture, Architecture::TransformerLens);
        let recorded = golden.tensors("tl_processed.safetensors");
        let (logits, cache) = model.run_with_cache(&recorded["tokens"], ()).unwrap();
        println!("{family}");
        assert_cache(&cache, &recorded, PROCESSED);
        assert_close(family, &logits, &recorded["logits"], PROCESSED);
    }
}

#[test]
fn state_dicts_saved_by_any_torch() {
    let golden = Golden::new("toy");
    let recorded = golden.tensors("tl_unprocessed.safetensors");
    let logits = |file: &Path| {
        let folder = tempfile::tempdir().unwrap();
        let config = golden.path("config.json");
        std::fs::copy(config, folder.path().join("config.json")).unwrap();
        std::fs::copy(file, folder.path().join("model.pth")).unwrap();
        let model = load(folder.path(), LoadOptions::no_processing()).unwrap();
        model.forward(&recorded["tokens"]).unwrap()
    };
    let old = Golden::new("old_pth");
    for file in [golden.path("model.pth"), old.path("model.pth")] {
        assert_close("logits", &logits(&file), &recorded["logits"], UNPROCESSED);
    }
    // Eight bits of precision.
    let bf16 = logits(&old.path("model_bf16.pth"));
    assert_close("logits in bf16", &bf16, &recorded["logits"], 0.1);
}

#[test]
fn gpt2_without_layer_norm_both_ways() {
    let golden = Golden::new("gpt2_noln");
    let recorded = golden.tensors("golden.safetensors");
    let tokens = &recorded["tokens"];
    // Its `eps` is all that its norms divide by.
    let model = load(&golden.path("hf"), LoadOptions::new().fold_ln(false)).unwrap();
    let as_it_is = model.forward(tokens).unwrap();
    let raw = load(&golden.path("hf"), LoadOptions::no_processing()).unwrap();
    let (logits, cache) = raw.run_with_cache(tokens, ()).unwrap();
    assert_close("logits", &logits, &recorded["hf_logits"], UNPROCESSED);
    assert_close(
        "logits",
        &logits,
        &recorded["route1_eps1e12/logits"],
        UNPROCESSED,
    );
    let mut compared = 0;
    for (name, theirs) in &recorded {
        if let Some(point) = name.strip_prefix("route1_eps1e12/cache/") {
            assert_close(point, &cache.get(point).unwrap(), theirs, UNPROCESSED);
            compared += 1;
        }
    }
    assert_eq!(compared, 3);
    let unembed_centred = load(&golden.path("hf"), LoadOptions::new()).unwrap();
    let theirs = log_probabilities(&recorded["hf_logits"]);
    assert_close(
        "processed",
        &log_probabilities(&as_it_is),
        &theirs,
        PROCESSED,
    );
    let folded = unembed_centred.forward(tokens).unwrap();
    assert_close("folded", &log_probabilities(&folded), &theirs, PROCESSED);

    // The norms taken out.
    let options = LoadOptions::new().center_unembed(false);
    let model = load(&golden.path("hf"), options).unwrap();
    for source in [&raw, &model] {
        let without = source.without_layer_norm().unwrap();
        let names: Vec<String> = without
            .hook_points()
            .iter()
            .map(|point| point.name())
            .collect();
        assert!(!names.iter().any(|name| name.contains("ln")), "{names:?}");
        let (logits, cache) = without.run_with_cache(tokens, ()).unwrap();
        let theirs = &recorded["route2_identity/logits"];
        assert_close("logits without norms", &logits, theirs, PROCESSED);
        let post = &cache[("post", -1)];
        let last = model.config().n_layers - 1;
        let theirs = &recorded[&format!("route2_identity/cache/blocks.{last}.mlp.hook_post")];
        assert_close("post", post, theirs, PROCESSED);
    }
    let centred = model.without_layer_norm().unwrap();
    let cache = centred
        .cache_only(tokens, "blocks.0.hook_resid_post")
        .unwrap();
    let theirs = &recorded["route2_identity/cache/blocks.0.hook_resid_post"];
    assert_close("resid_post", &cache[("resid_post", 0)], theirs, PROCESSED);
}

fn log_probabilities(logits: &Tensor) -> Tensor {
    let sums = logits.log_sum_exp(2).unwrap().unsqueeze(2).unwrap();
    logits.broadcast_sub(&sums).unwrap()
}

#[test]
fn norms_that_nothing_reads_stay() {
    let gemma2 = processed(&Golden::new("gemma2"));
    let error = gemma2.without_layer_norm().unwrap_err().to_string();
    assert!(error.contains("behind attention"), "{error}");
}
