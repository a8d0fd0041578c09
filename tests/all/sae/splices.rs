//! Autoencoders inside a model.

#![allow(non_snake_case)]

use super::core::{KINDS, sae_lens};
use crate::golden::{Golden, PROCESSED, assert_close, values};

use candle_core::{Device, IndexOp, Tensor};
use ferrolens::model::{Generate, HookedTransformer, Hooks};
use ferrolens::sae::{Gate, RunWithSaes, Sae, SaeConfig};

const HOOK: &str = "blocks.1.hook_resid_pre";
const ACTS: &str = "blocks.1.hook_resid_pre.hook_sae_acts_post";

struct Fixture {
    model: HookedTransformer,
    tokens: Tensor,
    clean_logits: Tensor,
}

fn fixture() -> Fixture {
    let input = Golden::new("sae").tensors("input.safetensors");
    Fixture {
        model: Golden::new("gpt2").model(ferrolens::model::LoadOptions::new()),
        tokens: input["tokens"].clone(),
        clean_logits: input["clean_logits"].clone(),
    }
}

fn ablate(latent: usize) -> Hooks {
    Hooks::new().add(ACTS, move |acts: &Tensor, _: &_| {
        ferrolens::math::set_at(acts, 2, latent as isize, 0.)
    })
}

#[test]
fn the_model_goes_on_with_the_reconstruction() {
    let Fixture { model, tokens, .. } = fixture();
    for kind in KINDS {
        let (golden, sae) = sae_lens(kind);
        let recorded = golden.tensors("golden.safetensors");
        let spliced = model.with_saes(&sae).unwrap();
        let logits = spliced.forward(&tokens).unwrap();
        assert_close(kind, &logits, &recorded["spliced/logits"], PROCESSED);
        let loss = spliced.loss_per_token(&tokens).unwrap();
        let theirs = &recorded["spliced/loss_per_token"];
        assert_close(kind, &loss, theirs, PROCESSED);
    }
}

#[test]
fn a_latent_is_ablated_with_and_without_the_error_term() {
    let Fixture { model, tokens, .. } = fixture();
    for kind in KINDS {
        let (golden, sae) = sae_lens(kind);
        let recorded = golden.tensors("golden.safetensors");
        let hooks = ablate(values(&recorded["feature"])[0] as usize);
        for (name, keeps_error) in [("spliced", false), ("keep_error", true)] {
            let splice = sae.splice().use_error_term(keeps_error);
            let spliced = model.with_saes(splice).unwrap();
            let loss = spliced.run(&tokens).hooks(&hooks).loss_per_token().unwrap();
            let theirs = &recorded[&format!("ablate_feature_{name}/loss_per_token")];
            assert_close(&format!("{kind} {name}"), &loss, theirs, PROCESSED);
        }
    }
}

#[test]
fn with_its_error_the_model_is_as_it_was() {
    let Fixture {
        model,
        tokens,
        clean_logits,
    } = fixture();
    for kind in KINDS {
        let splice = sae_lens(kind).1.splice().use_error_term(true);
        let (logits, cache) = model.run_with_cache_with_saes(&tokens, splice, ()).unwrap();
        assert_close(kind, &logits, &clean_logits, PROCESSED);
        let inner: Vec<String> = cache
            .keys()
            .iter()
            .map(|point| point.name())
            .filter(|name| name.starts_with(HOOK))
            .collect();
        let expected = [
            "input",
            "acts_pre",
            "acts_post",
            "recons",
            "error",
            "output",
        ];
        let expected = expected.map(|part| format!("{HOOK}.hook_sae_{part}"));
        assert_eq!(inner, expected);
        let order: Vec<String> = cache.keys().iter().map(|point| point.name()).collect();
        let at = |name: &str| order.iter().position(|point| point == name).unwrap();
        let before = at("blocks.0.hook_resid_post");
        assert!(before < at(ACTS) && at(ACTS) < at("blocks.1.ln1.hook_scale"));
    }
}

#[test]
fn a_cache_of_activations_alone_stops_there() {
    let Fixture { model, tokens, .. } = fixture();
    let (golden, sae) = sae_lens("standard");
    let model = model.with_saes(&sae).unwrap();
    let cache = model.cache_only(&tokens, ACTS).unwrap();
    assert_eq!(cache.len(), 1);
    let recorded = golden.tensors("golden.safetensors");
    assert_close("acts", &cache[ACTS], &recorded["feature_acts"], PROCESSED);
}

#[test]
fn tokens_that_are_left_out_keep_their_activation() {
    let Fixture { model, tokens, .. } = fixture();
    let (_, sae) = sae_lens("standard");
    let first: Vec<Vec<u32>> = tokens
        .to_dtype(candle_core::DType::U32)
        .unwrap()
        .to_vec2()
        .unwrap();
    let bos = first[0][0];
    let clean = model.cache_only(&tokens, HOOK).unwrap();
    let output = format!("{HOOK}.hook_sae_output");
    let of = |splice| {
        let (_, cache) = model
            .run_with_cache_with_saes(&tokens, splice, output.as_str())
            .unwrap();
        values(&cache.get(&output).unwrap().get(0).unwrap())
    };
    let (all, some) = (of(sae.splice()), of(sae.splice().exclude_tokens([bos])));
    let clean = values(&clean[HOOK].get(0).unwrap());
    for (position, token) in first[0].iter().enumerate() {
        let span = position * 32..(position + 1) * 32;
        let expected = if *token == bos { &clean } else { &all };
        assert_eq!(some[span.clone()], expected[span]);
    }
}

#[test]
fn what_cannot_stand_there_is_a_sentence() {
    let Fixture { model, tokens, .. } = fixture();
    let (_, sae) = sae_lens("standard");
    let at = |name: &str| {
        let mut sae: Sae = sae.clone();
        sae.cfg.hook_name = Some(name.to_owned());
        model.with_saes(sae).unwrap_err().to_string()
    };
    let message = at("blocks.1.hook_resid_prae");
    assert!(message.contains("`blocks.1.hook_resid_pre`"), "{message}");
    let message = at("blocks.7.hook_resid_pre");
    assert!(message.contains("layer 7"), "{message}");
    let message = at("blocks.1.mlp.hook_post");
    assert!(
        message.contains("width 32") && message.contains("wide"),
        "{message}"
    );
    let mut nowhere = sae.clone();
    nowhere.cfg.hook_name = None;
    let message = model.with_saes(&nowhere).unwrap_err().to_string();
    assert!(message.contains("hook_name"), "{message}");
    let spliced = model.with_saes(&sae).unwrap();
    let message = spliced
        .run_with_cache(&tokens, HOOK)
        .unwrap_err()
        .to_string();
    assert!(message.contains("hook_sae_"), "{message}");
    let message = model.run_with_cache(&tokens, ACTS).unwrap_err().to_string();
    assert!(message.contains(ACTS), "{message}");
}

/// An autoencoder of random weights, `width` wide on both sides.
fn random(width: usize, hook: &str) -> Sae {
    let device = Device::Cpu;
    let weight = |shape: (usize, usize), seed: usize| {
        let many = shape.0 * shape.1;
        let values = (0..many).map(|at| ((at * 7919 + seed) as f32 * 0.37).sin() * 0.3);
        Tensor::from_vec(values.collect::<Vec<f32>>(), shape, &device).unwrap()
    };
    let bias = |width: usize, seed| weight((1, width), seed).squeeze(0).unwrap();
    let cfg = SaeConfig::new(width, 48).hook_name(hook);
    let (W_enc, W_dec) = (weight((width, 48), 1), weight((48, width), 2));
    Sae::new(cfg, W_enc, bias(48, 3), W_dec, bias(width, 4), Gate::Relu).unwrap()
}

#[test]
fn a_transcoder_reads_one_point_and_writes_another() {
    let Fixture { model, tokens, .. } = fixture();
    let mut sae = random(32, "blocks.1.mlp.hook_in");
    sae.cfg.hook_name_out = Some("blocks.1.hook_mlp_out".into());
    sae.cfg.apply_b_dec_to_input = false;
    let skip = random(32, "").W_enc.narrow(1, 0, 32).unwrap();
    let sae = sae.with_skip(skip.contiguous().unwrap()).unwrap();
    let read = model.cache_only(&tokens, "blocks.1.mlp.hook_in").unwrap();
    let written = sae.forward(&read["blocks.1.mlp.hook_in"]).unwrap();
    let by_hand = Hooks::new().add(("mlp_out", 1), move |_: &Tensor, _: &_| written.clone());
    let by_hand = model.run_with_hooks(&tokens, &by_hand).unwrap();
    let logits = model.run_with_saes(&tokens, &sae).unwrap();
    assert_close("logits", &logits, &by_hand, 1e-5);
    let splice = sae.splice().use_error_term(true);
    let clean = model.forward(&tokens).unwrap();
    let logits = model.run_with_saes(&tokens, splice).unwrap();
    assert_close("with its error", &logits, &clean, 1e-4);
    let acts = "blocks.1.hook_mlp_out.hook_sae_acts_post";
    let (_, cache) = model.run_with_cache_with_saes(&tokens, &sae, acts).unwrap();
    assert_eq!(cache[acts].dims(), [2, 18, 48]);
}

#[test]
fn heads_are_read_side_by_side_or_one_alone() {
    let Fixture { model, tokens, .. } = fixture();
    let z = "blocks.0.attn.hook_z";
    let mut sae = random(32, z);
    sae.cfg.hook_z = true;
    let copy = sae.clone();
    let by_hand = Hooks::new().add(z, move |value: &Tensor, _: &_| {
        let flat = value.flatten(2, 3).unwrap();
        let mut plain = copy.clone();
        plain.cfg.hook_z = false;
        plain.forward(&flat).unwrap().reshape(value.shape())
    });
    let expected = model.run_with_hooks(&tokens, &by_hand).unwrap();
    let logits = model.run_with_saes(&tokens, &sae).unwrap();
    assert_close("side by side", &logits, &expected, 1e-5);
    assert_close(
        "with its error",
        &model
            .run_with_saes(&tokens, sae.splice().use_error_term(true))
            .unwrap(),
        &model.forward(&tokens).unwrap(),
        1e-4,
    );

    let d_head = model.config().d_head;
    let mut sae = random(d_head, z);
    sae.cfg.hook_head_index = Some(2);
    let copy = sae.clone();
    let by_hand = Hooks::new().add(z, move |value: &Tensor, _: &_| {
        let head = value.i((.., .., 2)).unwrap();
        ferrolens::math::set_at(value, 2, 2, copy.forward(&head).unwrap())
    });
    let expected = model.run_with_hooks(&tokens, &by_hand).unwrap();
    let logits = model.run_with_saes(&tokens, &sae).unwrap();
    assert_close("one head", &logits, &expected, 1e-5);
    sae.cfg.hook_head_index = Some(9);
    let message = model.run_with_saes(&tokens, &sae).unwrap_err().to_string();
    assert!(message.contains("head 9"), "{message}");
}

#[test]
fn gradients_flow_through_latents() {
    let Fixture { model, tokens, .. } = fixture();
    let (_, sae) = sae_lens("standard");
    let plain = model.run(&tokens).gradients(HOOK).loss_backward().unwrap();
    let at_resid = plain.gradients.get(HOOK).unwrap();
    let splice = sae.splice().use_error_term(true);
    let spliced = model.with_saes(splice).unwrap();
    let inside = spliced
        .run(&tokens)
        .gradients(ACTS)
        .loss_backward()
        .unwrap();
    let at_acts = inside.gradients.get(ACTS).unwrap();
    let expected = at_resid
        .reshape(((), 32))
        .unwrap()
        .matmul(&sae.W_dec.t().unwrap())
        .unwrap();
    let expected = expected.reshape(at_acts.shape()).unwrap();
    assert_close("gradient", &at_acts, &expected, 1e-5);
    assert!(values(&at_acts).iter().any(|value| value.abs() > 1e-4));
}

#[test]
fn text_is_generated_through_an_autoencoder() {
    let Fixture { model, .. } = fixture();
    let (_, sae) = sae_lens("standard");
    let options = Generate::new(8).temperature(0.);
    let text = |model: &HookedTransformer| model.generate("He", &options).unwrap().texts();
    let with_error = model.with_saes(sae.splice().use_error_term(true)).unwrap();
    assert_eq!(text(&with_error), text(&model));
    assert_ne!(text(&model.with_saes(&sae).unwrap()), text(&model));
}
