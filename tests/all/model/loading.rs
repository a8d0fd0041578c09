//! Models from files in good and in bad order.

use super::{gpt2, processed, unprocessed};
use crate::golden::{assert_close, values};
use candle_core::{DType, Device, Tensor};
use ferrolens::model::{HookedTransformer, LoadOptions};
use std::collections::HashMap;
use std::path::Path;
use tempfile::TempDir;

const TOKENS: [u32; 4] = [1, 2, 3, 4];

/// A copy of a fixture's model folder that a test may spoil.
fn copy(folder: &str) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for file in [
        "config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ] {
        std::fs::copy(gpt2().path(folder).join(file), copy.path().join(file)).unwrap();
    }
    copy
}

fn load(folder: &Path) -> Result<HookedTransformer, String> {
    let options = LoadOptions::no_processing().device(&Device::Cpu);
    let loaded = HookedTransformer::load(folder.to_str().unwrap(), options);
    loaded.map_err(|error| error.to_string())
}

fn change_weights(folder: &Path, change: impl FnOnce(&mut HashMap<String, Tensor>)) {
    let path = folder.join("model.safetensors");
    let mut weights = candle_core::safetensors::load(&path, &Device::Cpu).unwrap();
    change(&mut weights);
    candle_core::safetensors::save(&weights, &path).unwrap();
}

#[test]
fn the_hubs_key_names_give_the_same_model() {
    let hub = gpt2().model_in("hub_layout", LoadOptions::no_processing());
    let ours = hub.forward(TOKENS).unwrap();
    assert_close("logits", &ours, &unprocessed().forward(TOKENS).unwrap(), 0.);
}

#[test]
fn a_folder_can_be_given_beside_a_name() {
    let options = LoadOptions::new()
        .folder(gpt2().path("hf"))
        .device(&Device::Cpu);
    let model = HookedTransformer::load("gpt2", options).unwrap();
    assert_eq!(model.config().model_name, "gpt2");
    let logits = model.forward(TOKENS).unwrap();
    assert_close("logits", &logits, &processed().forward(TOKENS).unwrap(), 0.);
}

#[test]
fn half_precision_files_and_weights() {
    let folder = copy("hf");
    change_weights(folder.path(), |weights| {
        for tensor in weights.values_mut() {
            *tensor = tensor.to_dtype(DType::F16).unwrap();
        }
    });
    let model = load(folder.path()).unwrap();
    assert_eq!(model.dtype(), DType::F32);
    let reference = unprocessed().forward(TOKENS).unwrap();
    assert_close(
        "from f16",
        &model.forward(TOKENS).unwrap(),
        &reference,
        0.05,
    );
    let halves = gpt2().model(LoadOptions::no_processing().dtype(DType::BF16));
    assert_eq!(halves.forward(TOKENS).unwrap().dtype(), DType::BF16);
    assert_close("bf16", &halves.forward(TOKENS).unwrap(), &reference, 0.3);
    let error = HookedTransformer::load("stories-2l", LoadOptions::new().dtype(DType::U8));
    assert!(error.unwrap_err().to_string().contains("U8"));
}

#[test]
fn a_model_can_be_copied_to_another_type() {
    let model = unprocessed();
    let exact = model.to(&Device::Cpu, DType::F64).unwrap();
    assert!(!exact.shares_weights_with(&model));
    let logits = exact.forward("Once upon a time").unwrap();
    assert_eq!(logits.dtype(), DType::F64);
    let reference = model.forward("Once upon a time").unwrap();
    assert_close("f64", &reference, &logits, 1e-4);
    assert!(model.to(&Device::Cpu, DType::U8).is_err());
}

#[test]
fn processing_keeps_probabilities_in_every_combination() {
    let softmax = |model: &HookedTransformer| {
        ferrolens::math::softmax(&model.forward(TOKENS).unwrap()).unwrap()
    };
    let reference = softmax(&unprocessed());
    for switches in 0..16u32 {
        let on = |bit: u32| switches & (1 << bit) != 0;
        let options = LoadOptions::new()
            .fold_ln(on(0))
            .center_writing_weights(on(1))
            .center_unembed(on(2))
            .fold_value_biases(on(3));
        let model = gpt2().model(options);
        let label = format!("switches {switches:04b}");
        assert_close(&label, &softmax(&model), &reference, 1e-5);
    }
}

#[test]
fn tied_and_separate_unembeddings() {
    let folder = copy("hf");
    change_weights(folder.path(), |weights| {
        let head = (&weights["transformer.wte.weight"] * 2.).unwrap();
        weights.insert("lm_head.weight".into(), head);
    });
    let model = load(folder.path()).unwrap();
    let twice = (unprocessed().forward(TOKENS).unwrap() * 2.).unwrap();
    assert_close("logits", &model.forward(TOKENS).unwrap(), &twice, 1e-4);
    // A tied model holds its vocabulary once.
    let tied = unprocessed();
    let (W_E, W_U) = (tied.W_E().unwrap(), tied.W_U().unwrap());
    let (a, _) = W_E.storage_and_layout();
    let (b, _) = W_U.storage_and_layout();
    assert!(std::ptr::eq(&*a, &*b));
}

#[test]
fn what_is_made_from_a_model_leaves_it_as_it_was() {
    let model = unprocessed();
    let before = values(&model.W_U().unwrap());
    let without = model.without_layer_norm().unwrap();
    assert_ne!(values(&without.W_U().unwrap()), before);
    assert_eq!(values(&model.W_U().unwrap()), before);
    // Tied: what is centred must not be what unembeds.
    let options = LoadOptions::no_processing().center_writing_weights(true);
    let centred = gpt2().model(options);
    assert_ne!(
        values(&centred.W_E().unwrap()),
        values(&model.W_E().unwrap())
    );
    assert_eq!(values(&centred.W_U().unwrap()), before);
}

#[test]
fn sharded_files() {
    let folder = copy("hf");
    let path = folder.path().join("model.safetensors");
    let weights = candle_core::safetensors::load(&path, &Device::Cpu).unwrap();
    std::fs::remove_file(&path).unwrap();
    let mut map = serde_json::Map::new();
    let mut shards = [HashMap::new(), HashMap::new()];
    for (index, (name, tensor)) in weights.into_iter().enumerate() {
        let shard = format!("model-0000{}-of-00002.safetensors", index % 2 + 1);
        map.insert(name.clone(), shard.into());
        shards[index % 2].insert(name, tensor);
    }
    for (index, shard) in shards.iter().enumerate() {
        let name = format!("model-0000{}-of-00002.safetensors", index + 1);
        candle_core::safetensors::save(shard, folder.path().join(name)).unwrap();
    }
    let index = serde_json::json!({ "weight_map": map });
    let name = folder.path().join("model.safetensors.index.json");
    std::fs::write(&name, index.to_string()).unwrap();
    let model = load(folder.path()).unwrap();
    let reference = unprocessed().forward(TOKENS).unwrap();
    assert_close("logits", &model.forward(TOKENS).unwrap(), &reference, 0.);
    std::fs::remove_file(folder.path().join("model-00002-of-00002.safetensors")).unwrap();
    let message = load(folder.path()).unwrap_err();
    assert!(
        message.contains("model-00002-of-00002.safetensors"),
        "{message}"
    );
}

#[test]
fn damaged_weights_say_what_is_wrong() {
    let spoiled = |change: &dyn Fn(&mut HashMap<String, Tensor>)| {
        let folder = copy("hf");
        change_weights(folder.path(), change);
        load(folder.path()).unwrap_err()
    };
    let name = "transformer.h.1.mlp.c_fc.weight";
    let missing = spoiled(&|weights| drop(weights.remove(name)));
    assert!(
        missing.contains("model.safetensors") && missing.contains(name),
        "{missing}"
    );
    assert!(
        missing.contains("[32, 128]") && missing.contains("missing"),
        "{missing}"
    );
    let transposed = spoiled(&|weights| {
        let transposed = weights[name].t().unwrap().contiguous().unwrap();
        weights.insert(name.into(), transposed);
    });
    assert!(
        transposed.contains("[128, 32]") && transposed.contains("[32, 128]"),
        "{transposed}"
    );
    assert!(transposed.contains("looks transposed"), "{transposed}");
    let extra = spoiled(&|weights| {
        let extra = weights[name].clone();
        weights.insert("transformer.h.7.mlp.c_fc.weight".into(), extra);
    });
    assert!(
        extra.contains("`transformer.h.7.mlp.c_fc.weight`"),
        "{extra}"
    );
    assert!(extra.contains("allow_extra_weights"), "{extra}");
    let integers = spoiled(&|weights| {
        let integers = weights[name].to_dtype(DType::I64).unwrap();
        weights.insert(name.into(), integers);
    });
    assert!(
        integers.contains(name) && integers.contains("I64"),
        "{integers}"
    );
}

#[test]
fn weights_that_are_no_numbers_are_warned_of() {
    let name = "transformer.h.1.mlp.c_fc.weight";
    let folder = copy("hf");
    change_weights(folder.path(), |weights| {
        let nan = (&weights[name] * f64::NAN).unwrap();
        weights.insert(name.into(), nan);
    });
    let warnings = load(folder.path()).unwrap().load_warnings();
    assert_eq!(warnings.len(), 1);
    let warning = &warnings[0];
    assert!(
        warning.contains(name) && warning.contains("NaN"),
        "{warning}"
    );
    assert!(processed().load_warnings().is_empty());
}

#[test]
fn extra_weights_are_left_out_when_asked() {
    let folder = copy("hf");
    change_weights(folder.path(), |weights| {
        let extra = weights["transformer.wpe.weight"].clone();
        weights.insert("score.weight".into(), extra);
    });
    assert!(load(folder.path()).is_err());
    let options = LoadOptions::new().allow_extra_weights(true);
    let path = folder.path().to_str().unwrap();
    let model = HookedTransformer::load(path, options.device(&Device::Cpu)).unwrap();
    let ours = model.forward(TOKENS).unwrap();
    assert_close("logits", &ours, &processed().forward(TOKENS).unwrap(), 0.);
}

#[test]
fn damaged_files_say_what_is_wrong() {
    let spoiled = |file: &str, bytes: &dyn Fn(Vec<u8>) -> Vec<u8>| {
        let folder = copy("hf");
        let path = folder.path().join(file);
        std::fs::write(&path, bytes(std::fs::read(&path).unwrap())).unwrap();
        load(folder.path()).unwrap_err()
    };
    let weights = "model.safetensors";
    for kept in [0, 4, 100, 20_000, 215_000] {
        let message = spoiled(weights, &|bytes| bytes[..kept].to_vec());
        assert!(
            message.contains("cut off") && message.contains(weights),
            "{message}"
        );
    }
    let html = spoiled(weights, &|_| {
        b"<!DOCTYPE html><html>not a model</html>".to_vec()
    });
    assert!(html.contains("not a safetensors file"), "{html}");
    let header = spoiled(weights, &|mut bytes| {
        bytes[8] = b'X';
        bytes
    });
    assert!(header.contains("header is damaged"), "{header}");
    let config = spoiled("config.json", &|_| b"{".to_vec());
    assert!(config.contains("config.json"), "{config}");
    let family = spoiled("config.json", &|_| br#"{"model_type": "mamba"}"#.to_vec());
    assert!(
        family.contains("`mamba`") && family.contains("gpt2"),
        "{family}"
    );
    let sizes = spoiled("config.json", &|_| br#"{"model_type": "gpt2"}"#.to_vec());
    assert!(sizes.contains("`n_positions`"), "{sizes}");
    let heads = spoiled("config.json", &|_| {
        br#"{"model_type": "gpt2", "n_positions": 8, "n_layer": 1, "n_embd": 9, "n_head": 0,
            "vocab_size": 5}"#
            .to_vec()
    });
    assert!(heads.contains("n_head"), "{heads}");
    let tokenizer = spoiled("tokenizer.json", &|_| b"{}".to_vec());
    assert!(tokenizer.contains("tokenizer.json"), "{tokenizer}");
}

#[test]
fn a_folder_without_a_tokenizer_takes_ids() {
    let folder = copy("hf");
    std::fs::remove_file(folder.path().join("tokenizer.json")).unwrap();
    let model = load(folder.path()).unwrap();
    assert!(model.tokenizer().is_err());
    assert_eq!(model.forward(TOKENS).unwrap().dims(), [1, 4, 336]);
    std::fs::remove_file(folder.path().join("model.safetensors")).unwrap();
    assert!(
        load(folder.path())
            .unwrap_err()
            .contains("no model.safetensors")
    );
}

#[test]
fn the_embedded_model_speaks() {
    let model =
        HookedTransformer::load("stories-2l", LoadOptions::new().device(&Device::Cpu)).unwrap();
    assert_eq!(model.config().model_name, "stories-2l");
    let logits = model.forward("Once upon a time, there was a").unwrap();
    assert!(values(&logits).iter().all(|logit| logit.is_finite()));
    assert_eq!(logits.dim(2).unwrap(), model.config().d_vocab);
}
