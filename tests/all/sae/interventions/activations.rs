//! Ablations, patches and steering of activations, heads, neurons and directions.

use super::{gpt2, ones, tokens};
use crate::golden::{Golden, PROCESSED, assert_close, values};
use candle_core::{D, DType, IndexOp, Tensor};
use ferrolens::analysis::Direction;
use ferrolens::data::Corpus;
use ferrolens::intervene::{Intervention, Strength};
use ferrolens::math::{log_softmax, set_at};
use ferrolens::model::{HookPoint, HookedTransformer, Hooks};
use std::collections::HashMap;

/// What TransformerLens did to the processed GPT-2.
struct Recorded {
    model: HookedTransformer,
    tokens: Tensor,
    values: HashMap<String, Tensor>,
}

impl Recorded {
    fn new() -> Self {
        let golden = Golden::new("gpt2");
        Self {
            model: gpt2(),
            tokens: golden.tensors("tl_processed.safetensors")["tokens"].clone(),
            values: golden.tensors("tl_interventions.safetensors"),
        }
    }

    /// Compares all that was recorded under this name.
    fn check(&self, name: &str, hooks: impl Into<Hooks>) {
        let hooks = hooks.into();
        let mut compared = 0;
        for (key, theirs) in &self.values {
            let Some(what) = key.strip_prefix(&format!("{name}/")) else {
                continue;
            };
            let run = self.model.run(&self.tokens).hooks(&hooks);
            let ours = match what.strip_prefix("cache/") {
                Some(point) => run.cache(point).cache_only().unwrap()[point].clone(),
                None if what == "loss_per_token" => run.loss_per_token().unwrap(),
                None if what == "logits[:,-3:]" => {
                    let logits = run.logits().unwrap();
                    let pos = logits.dim(1).unwrap();
                    logits.narrow(1, pos - 3, 3).unwrap()
                }
                None => continue,
            };
            assert_close(key, &ours, theirs, PROCESSED);
            compared += 1;
        }
        assert!(compared > 0, "nothing was recorded for {name}");
    }
}

#[test]
fn interventions_that_transformer_lens_made() {
    let recorded = Recorded::new();
    let mid = ("post", 1);
    recorded.check("zero_attn_out_L0", Intervention::zero(("attn_out", 0)));
    let head = Intervention::zero(("z", 0)).heads(1);
    recorded.check("zero_head_L0H1", &head);
    let keys = Intervention::zero(("pattern", 0)).neurons(0);
    recorded.check("pattern_no_bos_L0", &keys);
    let zero = Intervention::zero(mid).at(-2);
    recorded.check("zero_mlp_post_pos-2", &zero);
    let clean = recorded.model.cache_only(&recorded.tokens, mid).unwrap();
    let mean = Intervention::mean(mid, &clean).rows(0).at(-2);
    recorded.check("mean_ablate_mlp_post_pos-2", &mean);
    let mean = Intervention::mean(mid, clean[mid].clone()).rows(0).at(-2);
    recorded.check("mean_ablate_mlp_post_pos-2", &mean);
    let vector = &recorded.values["steer/vec"];
    let resid_pre = ("resid_pre", 1);
    let steer = Intervention::steer(resid_pre, vector, 2.).unwrap();
    recorded.check("steer_resid_pre_from_pos3", steer.at(3..));
    let clean = recorded.model.cache_only(&recorded.tokens, resid_pre);
    let of_first = clean.unwrap()[resid_pre].narrow(0, 0, 1).unwrap();
    let patch = Intervention::patch(resid_pre, &of_first).rows(1).at(4);
    recorded.check("patch_resid_pre_pos4_row0_into_row1", &patch);
    let knockout = Intervention::replace(("attn_scores", 0), f64::NEG_INFINITY);
    let knockout = knockout.heads(0).at(5..).neurons(2);
    recorded.check("scores_knockout_L0H0", &knockout);
}

#[test]
fn heads_of_patterns_and_results_are_in_other_dimensions() {
    let (model, tokens) = (gpt2(), tokens());
    let z = Intervention::zero(("z", 1)).heads([0, 2]).at(4..7);
    let result = Intervention::zero(("result", 1)).heads([0, 2]).at(4..7);
    let pattern = Intervention::zero(("pattern", 1))
        .heads([2, 0])
        .at([6, 5, 4]);
    let logits = |it: &Intervention| model.run(&tokens).hooks(it).logits().unwrap();
    assert_close("result", &logits(&z), &logits(&result), 1e-5);
    assert_close("pattern", &logits(&z), &logits(&pattern), 1e-5);
    assert_ne!(
        values(&logits(&z)),
        values(&model.forward(&tokens).unwrap())
    );
}

#[test]
fn the_place_is_all_that_changes() {
    let point: HookPoint = "blocks.0.mlp.hook_post".parse().unwrap();
    let value = ones(&[3, 5, 8]);
    let zeroed = Intervention::zero(point)
        .rows([2, 0])
        .at([-1, 1])
        .neurons([0, 3, 7])
        .apply(&value, &point)
        .unwrap();
    for row in 0..3 {
        for pos in 0..5 {
            for neuron in 0..8 {
                let inside = row != 1 && [1, 4].contains(&pos) && [0, 3, 7].contains(&neuron);
                let ours = zeroed.i((row, pos, neuron)).unwrap();
                let expected = if inside { 0. } else { 1. };
                assert_eq!(ours.to_scalar::<f32>().unwrap(), expected);
            }
        }
    }
}

#[test]
fn patches_come_from_the_same_and_from_other_positions() {
    let recorded = Recorded::new();
    let point = ("resid_pre", 1);
    let clean = recorded.model.cache_only(&recorded.tokens, point).unwrap();
    let of_first = clean[point].narrow(0, 0, 1).unwrap();
    let hooks = {
        let of_first = of_first.clone();
        Hooks::new().add(point, move |value, _| {
            let row = set_at(&value.get(1)?, 0, 4, of_first.i((0, 4))?)?;
            set_at(value, 0, 1, row)
        })
    };
    let logits = |hooks: &Hooks| {
        recorded
            .model
            .run(&recorded.tokens)
            .hooks(hooks)
            .logits()
            .unwrap()
    };
    let by_hand = logits(&hooks);
    let patch = Intervention::patch(point, &of_first).rows(1).at(4);
    assert_close("same", &logits(&patch.hooks()), &by_hand, 0.);
    let longer = Tensor::cat(&[&of_first, &of_first], 1).unwrap();
    let width = of_first.dim(1).unwrap() as isize;
    let patch = Intervention::patch_from(point, &longer, width + 4)
        .rows(1)
        .at(4);
    assert_close("mapped", &logits(&patch.hooks()), &by_hand, 0.);
    let whole = Intervention::patch(point, &clean);
    let clean = recorded.model.forward(&recorded.tokens).unwrap();
    assert_close("whole", &logits(&whole.hooks()), &clean, 0.);
}

#[test]
fn resampling_takes_whole_prompts_at_the_same_positions() {
    let (model, tokens) = (gpt2(), tokens());
    let point = ("mlp_out", 0);
    let others = model.cache_only(&tokens, point).unwrap()[point].clone();
    let row = tokens.i(0..1).unwrap();
    let mut seen = [false; 2];
    for seed in 0..16 {
        let ablation = Intervention::resample(point, &others, seed).at(3..);
        let run = || {
            model
                .run(&row)
                .hooks(&ablation)
                .cache(point)
                .cache_only()
                .unwrap()
        };
        let ours = run()[point].clone();
        assert_eq!(values(&ours), values(&run()[point]));
        let start = others.i((0, ..3)).unwrap();
        assert_eq!(values(&ours.i((0, ..3)).unwrap()), values(&start));
        let ours = values(&ours.i((0, 3..)).unwrap());
        let from = (0..2).position(|row| ours == values(&others.i((row, 3..)).unwrap()));
        seen[from.expect("one of the recorded prompts")] = true;
    }
    assert_eq!(seen, [true; 2]);
}

#[test]
fn a_subspace_is_projected_out_whatever_spans_it() {
    let point: HookPoint = "blocks.0.hook_resid_post".parse().unwrap();
    let x = Tensor::new(
        &[[[1f32, 2., 3., 4.], [-1., 0., 5., 2.]]],
        &candle_core::Device::Cpu,
    )
    .unwrap();
    // The first two axes, spanned by three directions that depend on each other.
    let rows = [[2f32, 0., 0., 0.], [1., 1., 0., 0.], [0., -3., 0., 0.]];
    let directions = Tensor::new(&rows, &candle_core::Device::Cpu).unwrap();
    let out = Intervention::project_out(point, &directions).unwrap();
    let ours = values(&out.apply(&x, &point).unwrap());
    for (ours, expected) in ours.iter().zip([0., 0., 3., 4., 0., 0., 5., 2.]) {
        assert!((ours - expected).abs() < 1e-6);
    }
    // A value along one axis only.
    let axis = directions.i(0).unwrap();
    let set = Intervention::replace(point, 7.).along(&axis).unwrap().at(0);
    let ours = values(&set.apply(&x, &point).unwrap());
    for (ours, expected) in ours.iter().zip([7., 2., 3., 4., -1., 0., 5., 2.]) {
        assert!((ours - expected).abs() < 1e-6);
    }
}

#[test]
fn strengths_are_lengths_and_shares() {
    let point: HookPoint = "blocks.0.hook_resid_post".parse().unwrap();
    let x = Tensor::new(&[[[3f32, 4.], [0., 2.]]], &candle_core::Device::Cpu).unwrap();
    let direction = Tensor::new(&[10f32, 0.], &candle_core::Device::Cpu).unwrap();
    let steer = |strength: Strength| {
        let steer = Intervention::steer(point, &direction, strength).unwrap();
        values(&steer.apply(&x, &point).unwrap())
    };
    assert_eq!(steer(Strength::Times(0.5)), [8., 4., 5., 2.]);
    assert_eq!(steer(Strength::Length(1.)), [4., 4., 1., 2.]);
    assert_eq!(steer(Strength::ShareOfNorm(2.)), [13., 4., 4., 2.]);
}

#[test]
fn steps_along_directions_change_the_output_as_recorded() {
    let golden = Golden::new("sensitive_directions");
    let recorded = golden.tensors("golden.safetensors");
    let model = gpt2();
    let prompt = recorded["tokens"].i(0..1).unwrap();
    let (point, last) = ("blocks.1.hook_resid_pre", "blocks.2.hook_resid_post");
    let run = |hooks: Hooks| {
        let (logits, cache) = model
            .run(&prompt)
            .hooks(hooks)
            .cache(last)
            .logits_and_cache()
            .unwrap();
        let end = |x: &Tensor| x.i((0, x.dim(1).unwrap() - 1)).unwrap();
        (log_softmax(&end(&logits)).unwrap(), end(&cache[last]))
    };
    let (clean, residual) = run(Hooks::new());
    let lengths = values(&recorded["lengths"]);
    for kind in ["isotropic", "covariance", "real_other", "sae_feature"] {
        let direction = &recorded[&format!("{kind}/direction")];
        for (at, length) in lengths.iter().enumerate() {
            let strength = Strength::Length(f64::from(*length));
            let steer = Intervention::steer(point, direction, strength)
                .unwrap()
                .at(-1);
            let (ours, end) = run(steer.hooks());
            let kl = (clean.exp().unwrap() * (&clean - ours).unwrap()).unwrap();
            let kl = kl.sum_all().unwrap().to_scalar::<f32>().unwrap();
            let l2 = (end - &residual).unwrap().sqr().unwrap().sum_all().unwrap();
            let l2 = l2.to_scalar::<f32>().unwrap().sqrt();
            let theirs = |name: &str| values(&recorded[&format!("{kind}/{name}")])[at];
            assert!((kl - theirs("kl")).abs() < 1e-4, "{kind} {length}: {kl}");
            assert!((l2 - theirs("l2")).abs() < 1e-3, "{kind} {length}: {l2}");
        }
    }
}

#[test]
fn pushes_are_as_recorded_too() {
    let golden = Golden::new("sensitive_directions");
    let recorded = golden.tensors("golden.safetensors");
    let model = gpt2();
    let rows: Vec<Vec<u32>> = recorded["tokens"]
        .to_dtype(DType::U32)
        .unwrap()
        .to_vec2()
        .unwrap();
    let lengths: Vec<f64> = values(&recorded["lengths"])
        .into_iter()
        .map(f64::from)
        .collect();
    let point = "blocks.1.hook_resid_pre";
    let all = Corpus::from_tokens(rows.clone(), None).unwrap();
    let all = model.sensitivity(&all, point).unwrap();
    assert_close("activations", all.activations(), &recorded["X"], 1e-4);

    let one = Corpus::from_tokens(rows[..1].to_vec(), None).unwrap();
    let one = model.sensitivity(&one, point).unwrap();
    let kinds = ["isotropic", "covariance", "real_other", "sae_feature"];
    let directions = kinds.map(|kind| {
        let direction = recorded[&format!("{kind}/direction")].clone();
        (kind, Direction::Given(direction))
    });
    let curves = one.push(&directions, &lengths, 1).unwrap();
    for kind in kinds {
        let curve = curves.get(kind).unwrap();
        for (name, ours, tolerance) in [("kl", &curve.kl[0], 1e-4), ("l2", &curve.l2[0], 1e-3)] {
            let theirs = values(&recorded[&format!("{kind}/{name}")]);
            for (ours, theirs) in ours.iter().zip(theirs) {
                assert!(
                    (ours - f64::from(theirs)).abs() < tolerance,
                    "{kind} {name}: {ours}"
                );
            }
        }
    }
}

#[test]
fn several_go_in_order() {
    let point: HookPoint = "blocks.0.hook_mlp_out".parse().unwrap();
    let (model, tokens) = (gpt2(), tokens());
    let double = Intervention::scale(point, 2.);
    let plus = Intervention::steer(point, &ones(&[32]), 1.).unwrap();
    let cache = |hooks: Hooks| {
        let cache = model
            .run(&tokens)
            .hooks(hooks)
            .cache(point)
            .cache_only()
            .unwrap();
        cache.get(point).unwrap()
    };
    let clean = cache(Hooks::new());
    let first = ((&clean * 2.).unwrap() + 1.).unwrap();
    assert_close("double, plus", &cache(double.and(&plus)), &first, 1e-6);
    let second = ((&clean + 1.).unwrap() * 2.).unwrap();
    let hooks = Hooks::new().and(&plus).and(&double);
    assert_close("plus, double", &cache(hooks), &second, 1e-6);
    // A scope of a model takes them too.
    let scoped = model.with_hooks(&double).with_hooks(&plus);
    let ours = scoped
        .cache_only(&tokens, point)
        .unwrap()
        .get(point)
        .unwrap();
    assert_close("scope", &ours, &first, 1e-6);
}

#[test]
fn half_precision_stays_half_precision() {
    let point: HookPoint = "blocks.0.hook_resid_post".parse().unwrap();
    let x = ones(&[1, 3, 4]).to_dtype(DType::BF16).unwrap();
    let direction = ones(&[4]);
    for it in [
        Intervention::steer(point, &direction, Strength::ShareOfNorm(1.)).unwrap(),
        Intervention::project_out(point, &direction).unwrap(),
        Intervention::mean(point, ones(&[2, 3, 4])).at([0, 2]),
        Intervention::replace(point, &direction),
    ] {
        let ours = it.apply(&x, &point).unwrap();
        assert_eq!(ours.dtype(), DType::BF16, "{it:?}");
        assert_eq!(ours.dim(D::Minus1).unwrap(), 4);
    }
}
