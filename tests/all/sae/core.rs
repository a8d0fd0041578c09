//! Encoding and decoding, kind by kind, with the weights that SAELens wrote.

// The papers' symbols are the names of weights.
#![allow(non_snake_case)]

use crate::golden::{Golden, UNPROCESSED, assert_close, values};
use candle_core::Tensor;
use ferrolens::sae::{ActivationNorm, Gate, Gated, JumpRelu, Sae, SaeConfig, TopK};

pub fn sae_lens(kind: &str) -> (Golden, Sae) {
    let golden = Golden::new(&format!("sae/sae_lens/{kind}"));
    let weights = golden.tensors("sae_weights.safetensors");
    let cfg = golden.json("cfg.json");
    let weight = |name: &str| weights[name].clone();
    let gate = match cfg["architecture"].as_str().unwrap() {
        "standard" => Gate::Relu,
        "gated" => Gate::Gated(Gated {
            r_mag: weight("r_mag"),
            b_mag: weight("b_mag"),
            b_gate: weight("b_gate"),
        }),
        "jumprelu" => Gate::JumpRelu(JumpRelu {
            threshold: weight("threshold"),
        }),
        "topk" => Gate::TopK(TopK {
            k: cfg["k"].as_u64().unwrap() as usize,
            rescale_by_decoder_norm: cfg["rescale_acts_by_decoder_norm"].as_bool().unwrap(),
            signed: false,
        }),
        other => panic!("{other}"),
    };
    let mut config = SaeConfig::new(32, 192).hook_name("blocks.1.hook_resid_pre");
    config.apply_b_dec_to_input = cfg["apply_b_dec_to_input"].as_bool().unwrap();
    if cfg["normalize_activations"] == "layer_norm" {
        config.normalize_activations = ActivationNorm::LayerNorm;
    }
    let zeros = || Tensor::zeros(192, candle_core::DType::F32, &candle_core::Device::Cpu).unwrap();
    let b_enc = weights.get("b_enc").cloned().unwrap_or_else(zeros);
    let (W_enc, W_dec, b_dec) = (weight("W_enc"), weight("W_dec"), weight("b_dec"));
    let sae = Sae::new(config, W_enc, b_enc, W_dec, b_dec, gate).unwrap();
    (golden, sae)
}

pub const KINDS: [&str; 7] = [
    "standard",
    "standard_no_bdec_input",
    "standard_layer_norm",
    "gated",
    "jumprelu",
    "topk",
    "topk_rescaled",
];

#[test]
fn every_kind_encodes_and_reconstructs_as_sae_lens_does() {
    let x = Golden::new("sae").tensors("input.safetensors")["x"].clone();
    for kind in KINDS {
        let (golden, sae) = sae_lens(kind);
        let recorded = golden.tensors("golden.safetensors");
        let acts = sae.encode(&x).unwrap();
        assert_close(kind, &acts, &recorded["feature_acts"], UNPROCESSED);
        let recon = sae.forward(&x).unwrap();
        assert_close(kind, &recon, &recorded["recon"], UNPROCESSED);
        let decoded = sae.decode_for(&acts, &x).unwrap();
        assert_close(kind, &decoded, &recorded["recon"], UNPROCESSED);
    }
}

#[test]
fn some_latents_are_those_columns() {
    let x = Golden::new("sae").tensors("input.safetensors")["x"].clone();
    for kind in KINDS {
        let (_, sae) = sae_lens(kind);
        let latents = [191, 0, 7];
        let some = values(&sae.encode_latents(&x, &latents).unwrap());
        let all: Vec<Vec<f32>> = sae
            .encode(&x)
            .unwrap()
            .reshape(((), 192))
            .unwrap()
            .to_vec2()
            .unwrap();
        let expected = all
            .iter()
            .flat_map(|row| latents.map(|latent| row[latent as usize]));
        for (some, expected) in some.into_iter().zip(expected) {
            assert!((some - expected).abs() < 1e-5, "{kind}: {some} {expected}");
        }
    }
}

#[test]
fn the_largest_are_all_where_k_is_large_enough() {
    let x = Golden::new("sae").tensors("input.safetensors")["x"].clone();
    let (golden, sae) = sae_lens("topk");
    let top = sae.encode_top(&x, 8).unwrap();
    assert_eq!(top.values.dims(), [2, 18, 8]);
    let recorded = golden.tensors("golden.safetensors");
    let dense = top.to_dense(192).unwrap();
    assert_close("dense", &dense, &recorded["feature_acts"], UNPROCESSED);
    let recon = sae.decode_top(&top).unwrap();
    assert_close("recon", &recon, &recorded["recon"], UNPROCESSED);
}

#[test]
fn norms_of_the_decoder_fold_into_the_encoder() {
    let x = Golden::new("sae").tensors("input.safetensors")["x"].clone();
    for kind in [
        "standard",
        "standard_layer_norm",
        "gated",
        "jumprelu",
        "topk_rescaled",
    ] {
        let (golden, sae) = sae_lens(kind);
        let folded = sae.fold_W_dec_norm().unwrap();
        let norms = values(&folded.W_dec.sqr().unwrap().sum(1).unwrap());
        assert!(norms.iter().all(|norm| (norm - 1.).abs() < 1e-5), "{kind}");
        let recon = folded.forward(&x).unwrap();
        let recorded = golden.tensors("golden.safetensors");
        assert_close(kind, &recon, &recorded["recon"], UNPROCESSED);
    }
    let message = sae_lens("topk")
        .1
        .fold_W_dec_norm()
        .unwrap_err()
        .to_string();
    assert!(message.contains("topk"), "{message}");
}

#[test]
fn what_does_not_fit_is_a_sentence() {
    let (_, sae) = sae_lens("standard");
    let device = candle_core::Device::Cpu;
    let wide = Tensor::zeros((2, 33), candle_core::DType::F32, &device).unwrap();
    let message = sae.encode(&wide).unwrap_err().to_string();
    assert!(
        message.contains("[2, 33]") && message.contains("[.., 32]"),
        "{message}"
    );
    let tokens = Tensor::zeros((2, 32), candle_core::DType::U32, &device).unwrap();
    let message = sae.encode(&tokens).unwrap_err().to_string();
    assert!(message.contains("blocks.1.hook_resid_pre"), "{message}");
    let x = Tensor::zeros((2, 32), candle_core::DType::F32, &device).unwrap();
    let message = sae.encode_latents(&x, &[3, 192]).unwrap_err().to_string();
    assert!(
        message.contains("latent 192") && message.contains("0 to 191"),
        "{message}"
    );
    let message = sae.decode(&x).unwrap_err().to_string();
    assert!(message.contains("[.., 192]"), "{message}");
    let mut turned = sae.clone();
    turned.W_enc = sae.W_dec.clone();
    let of = |sae: &Sae| {
        Sae::new(
            sae.cfg.clone(),
            sae.W_enc.clone(),
            sae.b_enc.clone(),
            sae.W_dec.clone(),
            sae.b_dec.clone(),
            Gate::Relu,
        )
    };
    let message = of(&turned).unwrap_err().to_string();
    assert!(message.contains("transpose"), "{message}");
    let (_, normalized) = sae_lens("standard_layer_norm");
    let acts = normalized.encode(&x).unwrap();
    let message = normalized.decode(&acts).unwrap_err().to_string();
    assert!(message.contains("decode_for"), "{message}");
}
