//! Every activation of every family's fixture against TransformerLens and Hugging Face.

use super::forward::{every_activation, padded_batches};
use crate::golden::{Golden, PROCESSED, UNPROCESSED, assert_close};
use candle_core::{Device, Tensor};
use ferrolens::model::{HookedTransformer, LoadOptions};

/// All but GPT-2, whose tests are in the other files.
pub(super) const FAMILIES: [&str; 14] = [
    "gpt_neo",
    "gpt_neox",
    "gpt_neox_serial",
    "llama",
    "llama3",
    "mistral",
    "qwen2",
    "qwen3",
    "gemma",
    "gemma2",
    "gelu-1l",
    "solu-2l",
    "attn-only-2l",
    "attn-only-2l-shortformer",
];

pub(super) fn unprocessed(golden: &Golden) -> HookedTransformer {
    golden.model(LoadOptions::no_processing())
}

pub(super) fn processed(golden: &Golden) -> HookedTransformer {
    golden.model(LoadOptions::new())
}

/// Runs a check on every family, and says which one it was that failed.
pub(super) fn each(check: impl Fn(&Golden)) {
    for family in FAMILIES {
        println!("{family}");
        check(&Golden::new(family));
    }
}

#[test]
fn unprocessed_models_are_transformer_lens_at_every_hook_point() {
    each(|golden| {
        let model = unprocessed(golden);
        every_activation(golden, &model, "tl_unprocessed.safetensors", UNPROCESSED);
    });
}

#[test]
fn processed_models_are_transformer_lens_at_every_hook_point() {
    each(|golden| {
        let model = processed(golden);
        every_activation(golden, &model, "tl_processed.safetensors", PROCESSED);
    });
}

#[test]
fn unprocessed_models_are_hugging_face() {
    each(|golden| {
        if !golden.path("hf_golden.safetensors").exists() {
            // TransformerLens's own models have no other reference.
            assert!(golden.path("repo").exists());
            return;
        }
        let recorded = golden.tensors("hf_golden.safetensors");
        let (model, tokens) = (unprocessed(golden), &recorded["tokens"]);
        let (logits, cache) = model.run_with_cache(tokens, ()).unwrap();
        for layer in 0..model.config().n_layers {
            let name = format!("hidden_states/{layer}");
            let ours = cache.act("resid_pre", layer as isize).unwrap();
            assert_close(&name, &ours, &recorded[&name], UNPROCESSED);
        }
        assert_close("logits", &logits, &recorded["logits"], UNPROCESSED);
    });
}

#[test]
fn processed_weights_are_transformer_lenss() {
    each(|golden| {
        let model = processed(golden);
        let recorded = golden.tensors("tl_processed_weights.safetensors");
        for name in model.weight_names() {
            // Where heads share keys and values, TransformerLens's own tensors have an underscore.
            let shared = name.replace("attn.", "attn._");
            let theirs = recorded.get(&name).or(recorded.get(&shared));
            let theirs = theirs.unwrap_or_else(|| panic!("`{name}` was not recorded"));
            assert_close(&name, &model.weight(&name).unwrap(), theirs, 1e-5);
        }
        let is_zero = |tensor: &Tensor| {
            let largest = tensor.abs().unwrap().max_all().unwrap();
            largest.to_scalar::<f32>().unwrap() == 0.
        };
        for (name, theirs) in &recorded {
            let known = model
                .weight(name)
                .or(model.weight(&name.replace("attn._", "attn.")));
            assert!(known.is_ok() || is_zero(theirs), "`{name}` is missing");
        }
    });
}

#[test]
fn all_names_that_transformer_lens_knows_are_offered() {
    each(|golden| {
        let model = processed(golden);
        let theirs: Vec<String> =
            serde_json::from_value(golden.json("tl_processed_hook_names.json")).unwrap();
        let mut ours = model.hook_points();
        ours.extend(model.opt_in_hook_points());
        let ours: Vec<String> = ours.iter().map(ToString::to_string).collect();
        for name in &theirs {
            // Nothing computes these: they are names that blocks without an MLP have there.
            let never_fires = name.ends_with("attn.hook_attn_input")
                || (model.config().attn_only && name.contains(".hook_mlp_"));
            assert!(
                ours.contains(name) || never_fires,
                "`{name}` is not offered"
            );
        }
        for name in &ours {
            // SAELens adds one of these for its transcoders, and files name the other.
            let for_transcoders = name.ends_with("mlp.hook_in") || name.ends_with("mlp.hook_out");
            assert!(
                theirs.contains(name) || for_transcoders,
                "`{name}` is not known there"
            );
        }
        let (_, cache) = model.run_with_cache([1u32, 2, 3], ()).unwrap();
        assert_eq!(cache.keys(), model.hook_points());
    });
}

#[test]
fn padding_does_not_change_what_is_real() {
    each(|golden| padded_batches(golden, &processed(golden)));
}

#[test]
fn each_head_may_be_given_inputs_of_its_own() {
    each(|golden| {
        let model = processed(golden);
        let whole = model.forward([5u32, 6, 7, 8, 9, 10, 11, 12]).unwrap();
        for point in ["blocks.0.hook_attn_in", "blocks.0.hook_k_input"] {
            let run = model.run([5u32, 6, 7, 8, 9, 10, 11, 12]).cache(point);
            let split = run.logits().unwrap();
            assert_close(point, &split, &whole, PROCESSED);
        }
    });
}

#[test]
fn weights_that_heads_share_are_repeated_in_the_stacks() {
    let model = unprocessed(&Golden::new("llama"));
    assert_eq!(
        model.weight("blocks.0.attn.W_K").unwrap().dims(),
        [2, 32, 8]
    );
    let stack = model.W_K().unwrap();
    assert_eq!(stack.dims(), [2, 4, 32, 8]);
    let head = |index: usize| stack.get(1).unwrap().get(index).unwrap();
    assert_close("head 1", &head(1), &head(0), 0.);
    let own = model.weight("blocks.1.attn.W_K").unwrap().get(1).unwrap();
    assert_close("head 2", &head(2), &own, 0.);
    assert_eq!(model.W_gate().unwrap().dims(), [2, 32, 88]);
}

#[test]
fn rewritings_that_would_change_predictions_are_refused() {
    let load = |family: &str, options: LoadOptions| {
        let folder = Golden::new(family).path("hf");
        HookedTransformer::load(folder.to_str().unwrap(), options.device(&Device::Cpu))
    };
    let error = load("llama", LoadOptions::new().center_writing_weights(true)).unwrap_err();
    assert!(error.to_string().contains("RMSNorm"), "{error}");
    let error = load("gemma2", LoadOptions::new().center_unembed(true)).unwrap_err();
    assert!(error.to_string().contains("soft cap"), "{error}");
}
