//! Every format that autoencoders come in: loaded, they compute what the libraries that wrote them do.

// The papers' symbols are the names of weights.
#![allow(non_snake_case)]

mod bad;
mod release;
mod saved;

use crate::golden::{Golden, UNPROCESSED, assert_close, values};
use candle_core::{DType, Device};
use ferrolens::sae::{Gate, Sae, SaeLoadOptions};
use std::path::Path;

fn options() -> SaeLoadOptions {
    SaeLoadOptions::new().device(&Device::Cpu)
}

fn load(path: impl AsRef<Path>) -> Sae {
    Sae::load_with(path, options()).unwrap()
}

/// Loads the folder of the fixture `sae/formats/<name>`, or the file in it, and compares.
fn recorded(name: &str, file: &str) -> Sae {
    let golden = Golden::new(&format!("sae/formats/{name}"));
    let sae = load(golden.path(file));
    let recorded = golden.tensors("golden.safetensors");
    let x = &recorded["x"];
    let acts = sae.encode(x).unwrap();
    assert_close(name, &acts, &recorded["feature_acts"], UNPROCESSED);
    let recon = sae.forward(x).unwrap();
    assert_close(name, &recon, &recorded["recon"], UNPROCESSED);
    assert!(values(&acts).iter().any(|value| *value != 0.), "{name}");
    sae
}

/// The same, of which nothing is odd.
fn quietly(name: &str, file: &str) -> Sae {
    let sae = recorded(name, file);
    assert_eq!(sae.load_warnings(), Vec::<String>::new(), "{name}");
    sae
}

#[test]
fn the_first_fixtures_load_from_their_folders() {
    let x = Golden::new("sae").tensors("input.safetensors")["x"].clone();
    let folders = [
        "sae_lens/standard",
        "sae_lens/standard_no_bdec_input",
        "sae_lens/standard_layer_norm",
        "sae_lens/gated",
        "sae_lens/jumprelu",
        "sae_lens/topk",
        "sae_lens/topk_rescaled",
        "sae_lens_legacy/blocks.1.hook_resid_pre",
        "dictionary_learning",
        "gemma_scope",
    ];
    for name in folders {
        let golden = Golden::new(&format!("sae/{name}"));
        let sae = load(golden.path(""));
        let recorded = golden.tensors("golden.safetensors");
        let acts = sae.encode(&x).unwrap();
        assert_close(name, &acts, &recorded["feature_acts"], UNPROCESSED);
        let recon = sae.forward(&x).unwrap();
        assert_close(name, &recon, &recorded["recon"], UNPROCESSED);
        assert_eq!(sae.load_warnings(), Vec::<String>::new(), "{name}");
        if name != "gemma_scope" {
            let hook = sae.cfg.hook_name.as_deref();
            assert_eq!(hook, Some("blocks.1.hook_resid_pre"), "{name}");
        }
    }
}

#[test]
fn the_legacy_folder_keeps_what_it_says() {
    let golden = Golden::new("sae/sae_lens_legacy/blocks.1.hook_resid_pre");
    let sae = load(golden.path(""));
    let sparsity = &golden.tensors("sparsity.safetensors")["sparsity"];
    assert_close("sparsity", sae.log_sparsity.as_ref().unwrap(), sparsity, 0.);
    assert_eq!(sae.cfg.model_name.as_deref(), Some("gpt2-small"));
    assert_eq!(sae.cfg.prepend_bos, Some(true));
    assert_eq!(sae.cfg.metadata["context_size"], 128);
    // A file alone is the folder that it is in.
    let same = load(golden.path("sae_weights.safetensors"));
    assert_close("W_enc", &same.W_enc, &sae.W_enc, 0.);
}

#[test]
fn sae_lens_transcoders() {
    for name in ["transcoder", "jumprelu_transcoder"] {
        let sae = quietly(&format!("sae_lens/{name}"), "");
        assert_eq!((sae.cfg.d_in, sae.cfg.d_out), (8, 6));
        let out = sae.cfg.hook_name_out.as_deref();
        assert_eq!(out, Some("blocks.1.hook_mlp_out"));
        assert!(!sae.cfg.apply_b_dec_to_input);
    }
    for name in ["skip_transcoder", "jumprelu_skip_transcoder"] {
        let sae = quietly(&format!("sae_lens/{name}"), "");
        assert_eq!(sae.W_skip.unwrap().dims(), [8, 6]);
    }
}

#[test]
fn sae_lens_kinds() {
    assert!(quietly("sae_lens/hook_z", "").cfg.hook_z);
    quietly("sae_lens/constant_norm_rescale", "");
    let sae = quietly("sae_lens/abstopk", "");
    assert!(matches!(sae.gate, Gate::TopK(gate) if gate.signed && gate.k == 4));
    let sae = quietly("sae_lens/matryoshka", "");
    let Gate::Matryoshka(gate) = &sae.gate else {
        panic!("{:?}", sae.gate);
    };
    assert_eq!(gate.prefixes, [4, 8, 16]);
}

#[test]
fn sae_lens_before_6() {
    let sae = quietly("sae_lens/legacy_topk", "");
    assert!(matches!(sae.gate, Gate::TopK(gate) if gate.k == 3));
    quietly("sae_lens/legacy_jumprelu", "");
    quietly("sae_lens/legacy_finetuned", "");
    quietly("sae_lens/legacy_scaled", "");
    let sae = quietly("sae_lens/legacy_tanh", "");
    assert!(matches!(sae.gate, Gate::Nsae(gate) if gate.sigma == 0.));
}

#[test]
fn dictionary_learning_classes() {
    for name in [
        "gated",
        "topk",
        "batch_topk",
        "matryoshka",
        "jumprelu",
        "new",
    ] {
        let sae = quietly(&format!("dictionary_learning/me/lm_sae/{name}"), "");
        let hook = sae.cfg.hook_name.as_deref();
        assert_eq!(hook, Some("blocks.3.hook_resid_post"), "{name}");
        assert_eq!(sae.cfg.model_name.as_deref(), Some("pythia-70m"));
    }
    let sae = quietly("dictionary_learning/me/lm_sae/matryoshka", "ae.pt");
    let Gate::Matryoshka(gate) = &sae.gate else {
        panic!("{:?}", sae.gate);
    };
    assert_eq!(gate.prefixes, [4, 8, 16]);
    let sae = quietly("dictionary_learning/me/lm_sae/batch_topk", "");
    assert!(
        matches!(sae.gate, Gate::BatchTopK(gate) if gate.k == 3. && gate.threshold == Some(0.5))
    );
}

#[test]
fn gemma_scopes() {
    let front = "gemma_scope/google/gemma-scope-2b-pt";
    let sae = quietly(
        &format!("{front}-transcoders/layer_4/width_16k/average_l0_9"),
        "",
    );
    let hooks = (
        sae.cfg.hook_name.as_deref(),
        sae.cfg.hook_name_out.as_deref(),
    );
    let expected = ("blocks.4.ln2.hook_normalized", "blocks.4.hook_mlp_out");
    assert_eq!(hooks, (Some(expected.0), Some(expected.1)));
    assert_eq!(sae.cfg.model_name.as_deref(), Some("gemma-2-2b"));
    let sae = quietly(
        &format!("{front}-res/embedding/width_4k/average_l0_6"),
        "params.npz",
    );
    assert_eq!(sae.cfg.hook_name.as_deref(), Some("hook_embed"));
    let front = "gemma_scope_2/google/gemma-scope-2-1b-it";
    let sae = quietly(
        &format!("{front}/resid_post/layer_7_width_16k_l0_medium"),
        "",
    );
    let hook = sae.cfg.hook_name.as_deref();
    assert_eq!(hook, Some("blocks.7.hook_resid_post"));
    assert_eq!(sae.cfg.model_name.as_deref(), Some("google/gemma-3-1b-it"));
    let folder = format!("{front}/transcoder_all/layer_3_width_16k_l0_big_affine");
    let sae = quietly(&folder, "");
    assert!(sae.W_skip.is_some() && sae.is_transcoder());
}

#[test]
fn llama_scopes() {
    let folder = "llama_scope/fnlp/Llama3_1-8B-Base-LXR-8x/Llama3_1-8B-Base-L5R-8x";
    let sae = recorded(folder, "");
    let hook = sae.cfg.hook_name.as_deref();
    assert_eq!(hook, Some("blocks.5.hook_resid_post"));
    recorded(folder, "checkpoints/final.safetensors");
    let folder = "llama_scope/fnlp/Llama-Scope-R1-Distill/800M-Slimpajama-0-OpenR1-Math-220k/L5R";
    recorded(folder, "");
}

#[test]
fn other_publishers() {
    let sae = quietly(
        "attention/ckkissane/attn-saes",
        "gpt2-small_L1_Hcat_z_v5.pt",
    );
    assert!(sae.cfg.hook_z);
    assert_eq!(sae.cfg.hook_name.as_deref(), Some("blocks.1.attn.hook_z"));
    let sae = quietly(
        "transcoders/mwhanna/qwen3-tiny-transcoders",
        "layer_2.safetensors",
    );
    assert_eq!(sae.cfg.hook_name.as_deref(), Some("blocks.2.mlp.hook_in"));
    assert_eq!(sae.cfg.model_name.as_deref(), Some("Qwen/Qwen3-tiny"));
    let sae = recorded("transcoders/mntss/clt-tiny", "W_enc_3.safetensors");
    assert_eq!(
        sae.cfg.hook_name.as_deref(),
        Some("blocks.3.hook_resid_mid")
    );
    assert!(sae.load_warnings()[0].contains("summed"));
    let sae = quietly("linear/goodfire", "Llama-3.1-8B-Instruct-SAE-l19.pth");
    let hook = sae.cfg.hook_name.as_deref();
    assert_eq!(hook, Some("blocks.19.hook_resid_post"));
    let sae = quietly("linear/end_to_end", "samples_400000.pt");
    assert_eq!(
        sae.cfg.hook_name.as_deref(),
        Some("blocks.6.hook_resid_pre")
    );
    let folder = "qwen_scope/SAE-Res-Qwen3-1.7B-Base-W32K-L0_3";
    let sae = quietly(folder, "layer7.sae.pt");
    assert_eq!(sae.cfg.model_name.as_deref(), Some("Qwen/Qwen3-1.7B-Base"));
}

#[test]
fn sparsify() {
    let sae = quietly("sparsify/layers.5", "");
    let hook = sae.cfg.hook_name.as_deref();
    assert_eq!(hook, Some("blocks.5.hook_resid_post"));
    assert!(sae.cfg.apply_b_dec_to_input);
    let sae = quietly("sparsify/layers.3.mlp", "sae.safetensors");
    let out = sae.cfg.hook_name_out.as_deref();
    assert_eq!(out, Some("blocks.3.hook_mlp_out"));
    assert!(sae.W_skip.is_some());
}

#[test]
fn pickles_of_mats_for_every_hook_point() {
    let golden = Golden::new("sae/mats");
    let path = golden.path("final_sparse_autoencoder_gelu-1l_blocks.0.hook_HOOK_GOES_HERE_192.pt");
    let path = path.to_str().unwrap();
    // Of the usual five three are there, one of them compressed.
    let all = Sae::load_all_hooks_with(path, &[], options()).unwrap();
    assert_eq!(all.hooks(), ["resid_pre", "attn_out", "mlp_out"]);
    for (hook, sae) in &all {
        let recorded = golden.tensors(&format!("golden_hook_{hook}.safetensors"));
        for (name, ours) in [
            ("W_enc", &sae.W_enc),
            ("b_enc", &sae.b_enc),
            ("W_dec", &sae.W_dec),
            ("b_dec", &sae.b_dec),
        ] {
            assert_close(name, ours, &recorded[&format!("state_dict/{name}")], 0.);
        }
        assert_eq!(sae.cfg.hook_name, Some(format!("blocks.0.hook_{hook}")));
        assert!(sae.cfg.apply_b_dec_to_input);
        assert_eq!(sae.load_warnings(), Vec::<String>::new());
    }
    let named = Sae::load_all_hooks_with(path, &["mlp_out", "attn_out"], options()).unwrap();
    assert_eq!(named.hooks(), ["mlp_out", "attn_out"]);
    let sae = named.get("blocks.0.hook_attn_out").unwrap();
    assert_eq!(sae.cfg.hook_name.as_deref(), Some("blocks.0.hook_attn_out"));
    let message = named.get("attn_in").unwrap_err().to_string();
    assert!(message.contains("`attn_out`"), "{message}");
    let message = Sae::load_all_hooks_with(path, &["resid_mid"], options());
    let message = message.unwrap_err().to_string();
    assert!(message.contains("hook_resid_mid_192.pt"), "{message}");
    let message = Sae::load_all_hooks("a.pt", &[]).unwrap_err().to_string();
    assert!(message.contains("HOOK_GOES_HERE"), "{message}");
}

#[test]
fn pairs_of_sparse_coding() {
    let golden = Golden::new("gpt_neo/workflow_001");
    let recorded = golden.tensors("golden.safetensors");
    for (run, layer) in [("18_morning_sun", 0), ("98_hardy_firefly", 1)] {
        let sae = load(golden.path(&format!("encoders/tiny/{run}.pt")));
        let of = |name: &str| &recorded[&format!("{run}/forward/{name}")];
        let acts = sae.encode(of("x")).unwrap();
        assert_close(run, &acts, of("mid_acts"), UNPROCESSED);
        let recon = sae.forward(of("x")).unwrap();
        assert_close(run, &recon, of("x_reconstruct"), UNPROCESSED);
        assert_eq!(
            sae.cfg.hook_name,
            Some(format!("blocks.{layer}.mlp.hook_post"))
        );
        assert_eq!(sae.cfg.model_name.as_deref(), Some("tiny"));
        assert_eq!(sae.load_warnings(), Vec::<String>::new());
        let metadata = &sae.cfg.metadata;
        let reg = ["l1", "combined_hoyer_sqrt"][layer];
        assert_eq!(metadata["reg"], reg);
        assert_eq!(metadata["l1_coeff"].is_array(), layer == 1);
    }
}

#[test]
fn options_are_followed() {
    let golden = Golden::new("sae/sae_lens/standard");
    let path = golden.path("");
    let sae = Sae::load_with(&path, options().dtype(DType::F16)).unwrap();
    assert_eq!(sae.dtype(), DType::F16);
    let folded = Sae::load_with(&path, options().fold_W_dec_norm(true)).unwrap();
    let norms = values(&folded.W_dec.sqr().unwrap().sum(1).unwrap());
    assert!(norms.iter().all(|norm| (norm - 1.).abs() < 1e-5));
    let parent = Golden::new("sae/sae_lens").path("");
    let inside = Sae::load_with(parent, options().file("standard")).unwrap();
    assert_close("W_enc", &inside.W_enc, &load(&path).W_enc, 0.);
    let other = options()
        .apply_b_dec_to_input(false)
        .hook_name("blocks.0.hook_mlp_out");
    let sae = Sae::load_with(&path, other).unwrap();
    assert!(!sae.cfg.apply_b_dec_to_input);
    assert_eq!(sae.cfg.hook_name.as_deref(), Some("blocks.0.hook_mlp_out"));
    let token = format!("{:?}", options().token("hf_secret"));
    assert!(!token.contains("hf_secret"));
}
