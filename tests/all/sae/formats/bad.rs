//! Files that are not what they should be: one sentence each.

use super::{load, options};
use crate::golden::Golden;
use candle_core::{DType, Device, Tensor};
use ferrolens::sae::Sae;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::path::Path;
use tempfile::TempDir;

/// A copy of SAELens's folder, to be spoilt.
fn spoilt() -> TempDir {
    let golden = Golden::new("sae/sae_lens/standard");
    let folder = tempfile::tempdir().unwrap();
    for file in ["cfg.json", "sae_weights.safetensors"] {
        std::fs::copy(golden.path(file), folder.path().join(file)).unwrap();
    }
    folder
}

fn message(path: impl AsRef<Path>) -> String {
    let text = Sae::load_with(path, options()).unwrap_err().to_string();
    assert!(text.starts_with("loading "), "{text}");
    text
}

fn change_config(folder: &TempDir, change: impl FnOnce(&mut Value)) {
    let path = folder.path().join("cfg.json");
    let mut config: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    change(&mut config);
    std::fs::write(path, config.to_string()).unwrap();
}

fn change_weights(folder: &TempDir, change: impl FnOnce(&mut HashMap<String, Tensor>)) {
    let path = folder.path().join("sae_weights.safetensors");
    let mut weights = candle_core::safetensors::load(&path, &Device::Cpu).unwrap();
    change(&mut weights);
    candle_core::safetensors::save(&weights, path).unwrap();
}

fn save(folder: &TempDir, name: &str, weights: &[(&str, &[usize])]) -> std::path::PathBuf {
    let weights = weights.iter().map(|(name, shape)| {
        let tensor = Tensor::randn(0f32, 1., *shape, &Device::Cpu).unwrap();
        ((*name).to_owned(), tensor)
    });
    let weights: HashMap<String, Tensor> = weights.collect();
    let path = folder.path().join(name);
    candle_core::safetensors::save(&weights, &path).unwrap();
    path
}

#[test]
fn nothing_there() {
    let text = message("no/such/place/at/all");
    assert!(text.contains("no such file or folder"), "{text}");
    let folder = tempfile::tempdir().unwrap();
    let text = message(folder.path());
    assert!(
        text.contains("no file of weights") && text.contains("ae.pt"),
        "{text}"
    );
    std::fs::create_dir(folder.path().join("layer_3")).unwrap();
    let text = message(folder.path());
    assert!(text.contains("`layer_3`"), "{text}");
}

#[test]
fn several_files() {
    let folder = tempfile::tempdir().unwrap();
    let shapes: [(&str, &[usize]); 1] = [("W_enc", &[2, 2])];
    save(&folder, "a.safetensors", &shapes);
    save(&folder, "b.safetensors", &shapes);
    let text = message(folder.path());
    assert!(
        text.contains("`a.safetensors`") && text.contains(".file("),
        "{text}"
    );
}

#[test]
fn truncated_files() {
    let folder = spoilt();
    let path = folder.path().join("sae_weights.safetensors");
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    let text = message(folder.path());
    assert!(
        text.contains("sae_weights.safetensors") && text.contains("cut off"),
        "{text}"
    );
    let golden = Golden::new("sae");
    for file in [
        "gemma_scope/params.npz",
        "dictionary_learning/ae.pt",
        "mats/final_sparse_autoencoder_gelu-1l_blocks.0.hook_attn_out_192.pt",
        "mats/final_sparse_autoencoder_gelu-1l_blocks.0.hook_resid_pre_192.pkl.gz",
    ] {
        let bytes = std::fs::read(golden.path(file)).unwrap();
        let name = Path::new(file).file_name().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, &bytes[..bytes.len() * 2 / 3]).unwrap();
        let text = message(&path);
        assert!(text.contains("again"), "{file}: {text}");
    }
}

#[test]
fn a_missing_config() {
    let folder = spoilt();
    std::fs::remove_file(folder.path().join("cfg.json")).unwrap();
    let text = message(folder.path());
    assert!(text.contains("cfg.json"), "{text}");
    let folder = spoilt();
    std::fs::remove_file(folder.path().join("sae_weights.safetensors")).unwrap();
    let text = message(folder.path());
    assert!(
        text.contains("there is no") && text.contains("sae_weights"),
        "{text}"
    );
}

#[test]
fn a_missing_weight() {
    let folder = spoilt();
    change_weights(&folder, |weights| {
        weights.remove("b_enc");
    });
    let text = message(folder.path());
    assert!(text.contains("`b_enc` of shape [192] is missing"), "{text}");
}

#[test]
fn wrong_shapes() {
    let folder = spoilt();
    change_weights(&folder, |weights| {
        let turned = weights["W_enc"].t().unwrap().contiguous().unwrap();
        weights.insert("W_enc".into(), turned);
    });
    let text = message(folder.path());
    assert!(
        text.contains("[192, 32]") && text.contains("[32, 192]") && text.contains("transposed"),
        "{text}"
    );
    let folder = spoilt();
    change_config(&folder, |config| config["d_sae"] = json!(64));
    let text = message(folder.path());
    assert!(
        text.contains("`W_enc`") && text.contains("[32, 64]"),
        "{text}"
    );
}

#[test]
fn unknown_kinds() {
    let changes: [(&str, Value, &str); 5] = [
        (
            "architecture",
            json!("temporal"),
            "jumprelu_skip_transcoder",
        ),
        ("activation_fn", json!("gelu"), "`tanh-relu`"),
        ("normalize_activations", json!("whitening"), "layer_norm"),
        ("reshape_activations", json!("fold"), "hook_z"),
        ("d_in", json!("wide"), "a whole number"),
    ];
    for (key, value, expected) in changes {
        let folder = spoilt();
        change_config(&folder, |config| config[key] = value);
        let text = message(folder.path());
        assert!(
            text.contains(expected) && text.contains("cfg.json"),
            "{text}"
        );
    }
    let folder = spoilt();
    std::fs::write(folder.path().join("cfg.json"), "{\"d_in\": ").unwrap();
    assert!(message(folder.path()).contains("cfg.json"));
}

#[test]
fn unknown_keys_and_weights_are_said() {
    let folder = spoilt();
    change_config(&folder, |config| config["brand_new"] = json!({"a": 1}));
    change_weights(&folder, |weights| {
        let more = weights["b_dec"].clone();
        weights.insert("b_more".into(), more);
    });
    let sae = load(folder.path());
    let warnings = sae.load_warnings().join("\n");
    assert!(warnings.contains("`brand_new`"), "{warnings}");
    assert!(warnings.contains("`b_more`"), "{warnings}");
    assert_eq!(sae.cfg.metadata["brand_new"]["a"], 1);
}

#[test]
fn values_that_are_not_finite_are_said() {
    let folder = spoilt();
    change_weights(&folder, |weights| {
        let odd = Tensor::full(f32::NAN, 192, &Device::Cpu).unwrap();
        weights.insert("b_enc".into(), odd);
    });
    let warnings = load(folder.path()).load_warnings().join("\n");
    assert!(
        warnings.contains("`b_enc`") && warnings.contains("NaN"),
        "{warnings}"
    );
}

#[test]
fn a_scaling_that_nobody_says() {
    let folder = spoilt();
    let scaled = json!("expected_average_only_in");
    change_config(&folder, |config| config["normalize_activations"] = scaled);
    let unscaled = load(folder.path());
    let warnings = unscaled.load_warnings().join("\n");
    assert!(warnings.contains("norm_scaling_factor"), "{warnings}");
    let known = options().norm_scaling_factor(2.);
    let sae = Sae::load_with(folder.path(), known).unwrap();
    assert_eq!(sae.load_warnings(), Vec::<String>::new());
    let twice = (unscaled.W_enc * 2.).unwrap();
    crate::golden::assert_close("W_enc", &sae.W_enc, &twice, 0.);
}

#[test]
fn pickles_that_would_run_something() {
    let folder = tempfile::tempdir().unwrap();
    for (name, bytes) in [
        (
            "alone.pt",
            &b"\x80\x02cos\nsystem\nX\x04\0\0\0echo\x85R."[..],
        ),
        (
            "inside.pt",
            &b"\x80\x02}X\x03\0\0\0cfgcos\nsystem\nX\x04\0\0\0echo\x85Rs."[..],
        ),
        ("empty.pt", &b""[..]),
        ("page.pt", &b"<html></html>"[..]),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        let text = message(&path);
        let expected = match name {
            "alone.pt" => "`os.system`, which this reader never executes",
            "inside.pt" => "no known format",
            "empty.pt" => "the file is empty",
            _ => "web page",
        };
        assert!(text.contains(expected), "{name}: {text}");
    }
}

#[test]
fn plain_weights_either_way_round() {
    let folder = tempfile::tempdir().unwrap();
    let usual: [(&str, &[usize]); 4] = [
        ("W_enc", &[4, 6]),
        ("b_enc", &[6]),
        ("W_dec", &[6, 4]),
        ("b_dec", &[4]),
    ];
    let sae = load(save(&folder, "usual.safetensors", &usual));
    assert_eq!(sae.W_enc.dims(), [4, 6]);
    assert!(sae.load_warnings()[0].contains("no config"));
    let turned: [(&str, &[usize]); 4] = [
        ("W_enc", &[6, 4]),
        ("b_enc", &[6]),
        ("W_dec", &[4, 6]),
        ("b_dec", &[4]),
    ];
    let path = save(&folder, "turned.safetensors", &turned);
    let sae = load(&path);
    assert_eq!(
        (sae.W_enc.dims(), sae.W_dec.dims()),
        (&[4, 6][..], &[6, 4][..])
    );
    let stored = candle_core::safetensors::load(&path, &Device::Cpu).unwrap();
    let expected = stored["W_enc"].t().unwrap();
    crate::golden::assert_close("W_enc", &sae.W_enc, &expected, 0.);
    // Where both would do it says so.
    let square: [(&str, &[usize]); 4] = [
        ("W_enc", &[4, 4]),
        ("b_enc", &[4]),
        ("W_dec", &[4, 4]),
        ("b_dec", &[4]),
    ];
    let sae = load(save(&folder, "square.safetensors", &square));
    let warnings = sae.load_warnings().join("\n");
    assert!(
        warnings.contains("`W_enc` is as wide as it is high"),
        "{warnings}"
    );
    let odd: [(&str, &[usize]); 4] = [
        ("W_enc", &[4, 5]),
        ("b_enc", &[6]),
        ("W_dec", &[6, 4]),
        ("b_dec", &[4]),
    ];
    let text = message(save(&folder, "odd.safetensors", &odd));
    assert!(text.contains("`W_enc` has shape [4, 5]"), "{text}");
    let unknown: [(&str, &[usize]); 1] = [("layers.0", &[4, 5])];
    let text = message(save(&folder, "unknown.safetensors", &unknown));
    assert!(
        text.contains("no known format") && text.contains("`layers.0`"),
        "{text}"
    );
}

#[test]
fn a_class_that_cannot_be_told_asks_for_the_config() {
    let golden = Golden::new("sae/formats/dictionary_learning/me/lm_sae/topk");
    let folder = tempfile::tempdir().unwrap();
    std::fs::copy(golden.path("ae.pt"), folder.path().join("ae.pt")).unwrap();
    let text = message(folder.path());
    assert!(
        text.contains("BatchTopKSAE") && text.contains("config.json"),
        "{text}"
    );
    let config = json!({"trainer": {"dict_class": "IdentityDict"}});
    std::fs::write(folder.path().join("config.json"), config.to_string()).unwrap();
    let text = message(folder.path());
    assert!(
        text.contains("`IdentityDict`") && text.contains("GatedAutoEncoder"),
        "{text}"
    );
}

#[test]
fn a_type_without_fractions() {
    let folder = spoilt();
    let path = folder.path().to_owned();
    let text = Sae::load_with(&path, options().dtype(DType::U8)).unwrap_err();
    assert!(text.to_string().contains("U8"), "{text}");
}
