//! Latents removed, set and scaled, against the notebooks' helpers and SAELens.

use super::{gpt2, relu_sae, standard, tokens};
use crate::golden::{Golden, PROCESSED, assert_close, values};
use crate::sae::core::{KINDS, sae_lens};
use candle_core::{D, DType, IndexOp, Tensor};
use ferrolens::intervene::{ErrorTerm, Intervention, Removal};
use ferrolens::model::{ActivationCache, HookPoint, HookedTransformer, LoadOptions};
use ferrolens::sae::Sae;

/// The norms of these hook points, `[point, pos]`, as the first notebook's helper computes them.
fn norms(cache: &ActivationCache, points: &[String]) -> Tensor {
    let rows: Vec<Tensor> = points
        .iter()
        .map(|point| {
            let value = cache.get(point).unwrap();
            let norms = value.sqr().unwrap().sum(D::Minus1).unwrap().sqrt().unwrap();
            norms.flatten_all().unwrap()
        })
        .collect();
    Tensor::stack(&rows, 0).unwrap()
}

#[test]
fn one_after_another_is_what_the_first_notebook_does() {
    let golden = Golden::new("sae/mats");
    let model = gpt2();
    let tokens = tokens().i(0..1).unwrap();
    for name in ["hook_attn_out", "hook_mlp_out", "hook_resid_pre"] {
        let recorded = golden.tensors(&format!("golden_{name}.safetensors"));
        let json = golden.json(&format!("golden_{name}.json"));
        let sae = relu_sae(&recorded, "state_dict/", json["hook"].as_str().unwrap());
        let latents: Vec<i64> = recorded["ablated_features"].to_vec1().unwrap();
        let latents: Vec<u32> = latents.iter().map(|latent| *latent as u32).collect();
        let points = json["norm_rows"].as_array().unwrap();
        let points: Vec<String> = points
            .iter()
            .map(|point| point.as_str().unwrap().to_owned())
            .collect();

        let removal = Intervention::remove_latents(&sae, &latents, Removal::OneAfterAnother);
        let removal = removal.unwrap();
        let (logits, corrupted) = model
            .run_with_hooks_and_cache(&tokens, &removal, &points)
            .unwrap();
        let (_, clean) = model.run_with_cache(&tokens, &points).unwrap();
        assert_close("logits", &logits, &recorded["corrupted_logits"], PROCESSED);
        let (ours, theirs) = (norms(&clean, &points), &recorded["clean_norms"]);
        assert_close(&format!("{name}, clean"), &ours, theirs, PROCESSED);
        let (ours, theirs) = (norms(&corrupted, &points), &recorded["corrupted_norms"]);
        assert_close(&format!("{name}, corrupted"), &ours, theirs, PROCESSED);

        // The order matters, and so does the way.
        let logits_of = |removal: Intervention| model.run(&tokens).hooks(removal).logits().unwrap();
        let backwards: Vec<u32> = latents.iter().rev().copied().collect();
        let backwards =
            Intervention::remove_latents(&sae, backwards, Removal::OneAfterAnother).unwrap();
        assert!(largest(&(logits_of(backwards) - &logits).unwrap()) > 1e-3);
        let at_once = Intervention::remove_latents(&sae, &latents, Removal::AtOnce).unwrap();
        assert!(largest(&(logits_of(at_once.at(-1)) - &logits).unwrap()) > 1e-3);
    }
}

fn largest(x: &Tensor) -> f32 {
    values(x).iter().fold(0., |most, x| x.abs().max(most))
}

#[test]
fn the_two_ways_agree_for_one_latent_without_a_bias() {
    let mut sae = standard();
    sae.b_enc = sae.b_enc.zeros_like().unwrap();
    let (model, tokens) = (gpt2(), tokens());
    let logits = |latents: &[u32], way: Removal| {
        let removal = Intervention::remove_latents(&sae, latents, way).unwrap();
        model.run(&tokens).hooks(removal.at(..)).logits().unwrap()
    };
    let (in_turn, at_once) = (
        logits(&[81], Removal::OneAfterAnother),
        logits(&[81], Removal::AtOnce),
    );
    assert_close("one", &in_turn, &at_once, 1e-6);
    let clean = model.forward(&tokens).unwrap();
    assert!(largest(&(at_once - clean).unwrap()) > 1e-2);
    let (in_turn, at_once) = (
        logits(&[81, 3, 5, 7], Removal::OneAfterAnother),
        logits(&[81, 3, 5, 7], Removal::AtOnce),
    );
    assert!(largest(&(in_turn - at_once).unwrap()) > 1e-3);
}

/// The model and encoders of the second notebook.
pub fn workflow() -> (HookedTransformer, Vec<Sae>, Vec<Tensor>, Golden) {
    let golden = Golden::new("gpt_neo/workflow_001");
    let model = Golden::new("gpt_neo").model(LoadOptions::new());
    let encoders = [("18_morning_sun", 0), ("98_hardy_firefly", 1)];
    let saes = encoders.map(|(name, layer)| {
        let path = golden.path(&format!("encoders/tiny/{name}.pt"));
        let file = candle_core::pickle::PthTensors::new(path, None).unwrap();
        let names = ["W_enc", "b_enc", "W_dec", "b_dec"];
        let weights = names.map(|name| (name.to_owned(), file.get(name).unwrap().unwrap()));
        let hook = format!("blocks.{layer}.mlp.hook_post");
        relu_sae(&weights.into_iter().collect(), "", &hook)
    });
    let prompts = golden.json("prompts.json");
    let tokens = prompts.as_array().unwrap().iter();
    let tokens = tokens.map(|prompt| model.to_tokens(prompt.as_str().unwrap()).unwrap());
    let tokens = tokens.collect();
    (model, saes.to_vec(), tokens, golden)
}

#[test]
fn at_once_is_what_the_second_notebook_does() {
    let (model, saes, prompts, golden) = workflow();
    let recorded = golden.tensors("golden.safetensors");
    let directions = [386u32, 383, 345];
    let remove = |sae: &Sae, latents: &[u32]| {
        Intervention::remove_latents(sae, latents, Removal::AtOnce).unwrap()
    };
    let (of_0, of_1) = (&saes[0], &saes[1]);
    let post = "blocks.1.mlp.hook_post";
    let one = remove(of_1, &directions[..1]);
    let three = remove(of_1, &directions);
    let upstream = remove(of_0, &directions[1..2]).at(-1);
    let rows: Vec<Vec<f32>> = prompts[..12]
        .iter()
        .map(|tokens| {
            let pos = tokens.dim(1).unwrap() as isize - 2;
            let loss_at = |intervention: &Intervention| {
                let run = model.run(tokens).hooks(intervention.clone().at(pos));
                values(&run.loss_at(pos).unwrap())[0]
            };
            let activation = |cache: ActivationCache| {
                let value = cache.get(post).unwrap();
                let last = value.i((0, value.dim(1).unwrap() - 1)).unwrap();
                values(&of_1.encode_latents(&last, &directions[..1]).unwrap())[0]
            };
            vec![
                values(&model.run(tokens).loss_at(pos).unwrap())[0],
                loss_at(&one),
                loss_at(&three),
                model.loss(tokens).unwrap(),
                model.run(tokens).hooks(&one).loss().unwrap(),
                activation(model.cache_only(tokens, post).unwrap()),
                activation(
                    model
                        .run(tokens)
                        .hooks(&upstream)
                        .cache(post)
                        .cache_only()
                        .unwrap(),
                ),
            ]
        })
        .collect();
    let ours = Tensor::new(rows, &candle_core::Device::Cpu).unwrap();
    assert_close("table", &ours, &recorded["ablation_table"], PROCESSED);
}

#[test]
fn losses_of_the_second_notebook_under_five_interventions() {
    let (model, saes, prompts, golden) = workflow();
    let recorded = golden.tensors("golden.safetensors");
    let post = "blocks.1.mlp.hook_post";
    let interventions = [
        Intervention::replace(post, &recorded["mean_activation"]),
        Intervention::zero(post),
        Intervention::remove_latents(&saes[1], [386, 383, 345], Removal::AtOnce).unwrap(),
        Intervention::reconstruct(&saes[1], ErrorTerm::Dropped).unwrap(),
    ]
    .map(|intervention| intervention.at(-2));
    let rows: Vec<Vec<f32>> = prompts
        .iter()
        .map(|tokens| {
            let mut losses = vec![values(&model.run(tokens).loss_at(-1).unwrap())[0]];
            for intervention in &interventions {
                let loss = model.run(tokens).hooks(intervention).loss_at(-1).unwrap();
                losses.push(values(&loss)[0]);
            }
            losses
        })
        .collect();
    let ours = Tensor::new(rows, &candle_core::Device::Cpu).unwrap();
    assert_close(
        "losses",
        &ours,
        &recorded["loss_recovered/losses"],
        PROCESSED,
    );
}

#[test]
fn sae_lens_s_splices_with_and_without_the_error() {
    let (model, tokens) = (gpt2(), tokens());
    let run = |intervention: Intervention| model.run(&tokens).hooks(intervention);
    for kind in KINDS {
        let (golden, sae) = sae_lens(kind);
        let recorded = golden.tensors("golden.safetensors");
        let feature = recorded["feature"].to_vec1::<i64>().unwrap()[0] as u32;
        let reconstruct = Intervention::reconstruct(&sae, ErrorTerm::Dropped).unwrap();
        let loss = run(reconstruct.clone()).loss_per_token().unwrap();
        let theirs = &recorded["spliced/loss_per_token"];
        assert_close(&format!("{kind}, spliced"), &loss, theirs, PROCESSED);
        let logits = run(reconstruct).logits().unwrap();
        assert_close(kind, &logits, &recorded["spliced/logits"], PROCESSED);
        let kept = Intervention::reconstruct(&sae, ErrorTerm::Kept).unwrap();
        let clean = model.forward(&tokens).unwrap();
        assert_close(kind, &run(kept).logits().unwrap(), &clean, 1e-4);
        for (error, name) in [
            (ErrorTerm::Kept, "ablate_feature_keep_error"),
            (ErrorTerm::Dropped, "ablate_feature_spliced"),
        ] {
            let theirs = &recorded[&format!("{name}/loss_per_token")];
            let label = format!("{kind}, {name}");
            let set = Intervention::set_latents(&sae, feature, 0., error).unwrap();
            let loss = run(set).loss_per_token().unwrap();
            assert_close(&label, &loss, theirs, PROCESSED);
            let scaled = Intervention::scale_latents(&sae, [feature], [0.], error).unwrap();
            let loss = run(scaled).loss_per_token().unwrap();
            assert_close(&label, &loss, theirs, PROCESSED);
        }
    }
}

/// Where the activations of latents do not depend on each other, removing is setting to 0.
#[test]
fn removing_at_once_is_setting_to_zero_with_the_error_kept() {
    let (model, tokens) = (gpt2(), tokens());
    for kind in KINDS {
        let sae = sae_lens(kind).1;
        let removed = Intervention::remove_latents(&sae, [2, 81, 158], Removal::AtOnce).unwrap();
        let set = Intervention::set_latents(&sae, [81, 2, 158], 0., ErrorTerm::Kept).unwrap();
        let logits = |intervention| model.run(&tokens).hooks(intervention).logits().unwrap();
        assert_close(kind, &logits(removed), &logits(set), 1e-5);
    }
}

#[test]
fn latents_are_set_to_values_of_their_own() {
    let sae = standard();
    let (model, tokens) = (gpt2(), tokens());
    let point = "blocks.1.hook_resid_pre";
    let cache = |hooks: Intervention| {
        let run = model.run(&tokens).hooks(hooks).cache(point);
        run.cache_only().unwrap()[point].clone()
    };
    let clean = model.cache_only(&tokens, point).unwrap()[point].clone();
    let set = Intervention::set_latents(&sae, [5, 9], [2., 0.5], ErrorTerm::Kept).unwrap();
    let ours = cache(set.clone().rows(1).at([0, -1]));
    let acts = sae.encode_latents(&clean, &[5, 9]).unwrap();
    for row in 0..2 {
        for pos in 0..18 {
            let before = values(&clean.i((row, pos)).unwrap());
            let after = values(&ours.i((row, pos)).unwrap());
            let acts = values(&acts.i((row, pos)).unwrap());
            let steps = match row == 1 && (pos == 0 || pos == 17) {
                true => [2. - acts[0], 0.5 - acts[1]],
                false => [0., 0.],
            };
            let rows = [5, 9].map(|latent| values(&sae.W_dec.i(latent as usize).unwrap()));
            for at in 0..32 {
                let expected = before[at] + steps[0] * rows[0][at] + steps[1] * rows[1][at];
                assert!((after[at] - expected).abs() < 1e-5, "{row} {pos} {at}");
            }
        }
    }
}

#[test]
fn half_precision_models_keep_their_type() {
    let point: HookPoint = "blocks.1.hook_resid_pre".parse().unwrap();
    let x = Golden::new("sae").tensors("input.safetensors")["x"].clone();
    let half = x.to_dtype(DType::BF16).unwrap();
    for kind in KINDS {
        let sae = sae_lens(kind).1;
        let mut interventions = vec![
            Intervention::remove_latents(&sae, [2, 81], Removal::AtOnce).unwrap(),
            Intervention::reconstruct(&sae, ErrorTerm::Dropped).unwrap(),
        ];
        for error in [ErrorTerm::Kept, ErrorTerm::Dropped] {
            interventions.push(Intervention::set_latents(&sae, [2, 81], 1., error).unwrap());
        }
        for it in interventions {
            let ours = it.apply(&half, &point).unwrap();
            assert_eq!(ours.dtype(), DType::BF16, "{it:?}");
            let exact = it
                .apply(&half.to_dtype(DType::F32).unwrap(), &point)
                .unwrap();
            assert_close(kind, &ours.to_dtype(DType::F32).unwrap(), &exact, 0.1);
        }
    }
}
