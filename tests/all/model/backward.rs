//! Gradients at hook points, against TransformerLens's `incl_bwd` and against finite differences.

use super::processed;
use crate::golden::{Golden, assert_close, values};
use candle_core::{DType, Device, Tensor};
use ferrolens::math::{Slice, set_at};
use ferrolens::model::{Hooks, LoadOptions};

#[test]
fn gradients_of_the_loss_are_transformer_lenss() {
    for family in ["gpt2", "llama"] {
        let golden = Golden::new(family);
        let model = golden.model(LoadOptions::new());
        let recorded = golden.tensors("tl_backward.safetensors");
        let run = model.run(&recorded["tokens"]).cache("*.hook_z");
        let unembed = ["unembed.hook_in", "unembed.hook_out"];
        let back = run.loss_backward().unwrap();
        let loss = values(&recorded["loss"])[0];
        assert!((back.metric - loss).abs() < 1e-4);
        let of_unembed = model.run(&recorded["tokens"]).gradients(unembed);
        let of_unembed = of_unembed.loss_backward().unwrap().gradients;
        let mut compared = 0;
        for (point, ours) in back.gradients.iter().chain(of_unembed.iter()) {
            // Where TransformerLens calls a norm three times, its cache has one path of the three.
            let total = recorded.get(&format!("grad_total/{point}"));
            let theirs = total.unwrap_or_else(|| &recorded[&format!("grad/{point}")]);
            assert_close(&format!("{family}: {point}"), &ours, theirs, 1e-5);
            compared += 1;
        }
        let all = recorded.keys().filter(|name| name.starts_with("grad/"));
        assert_eq!(compared, all.count());
        assert_eq!(back.gradients.keys(), model.hook_points());
        assert_eq!(back.cache.len(), model.config().n_layers);
    }
}

#[test]
fn any_metric_and_any_point() {
    let model = processed().to(&Device::Cpu, DType::F64).unwrap();
    let metric = |logits: &Tensor| -> ferrolens::Result<Tensor> {
        let last = logits.get(0)?.get(logits.dim(1)? - 1)?;
        Ok((last.get(7)? - last.get(3)?)?)
    };
    const TOKENS: [u32; 6] = [5, 2, 9, 40, 5, 2];
    let points = [
        "blocks.1.attn.hook_pattern",
        "blocks.0.hook_mlp_out",
        "blocks.2.hook_attn_in",
    ];
    let run = model.run(TOKENS).cache(points).gradients(points);
    let back = run.backward(metric).unwrap();
    const STEP: f64 = 1e-5;
    for (point, at) in [(points[0], vec![0, 2, 5, 1]), (points[1], vec![0, 3, 17])] {
        let moved = |step: f64| {
            let at = at.clone();
            let hooks = Hooks::new().add(point, move |value: &Tensor, _: &_| {
                let spans: Vec<ferrolens::math::Span> =
                    at.iter().map(|index| (*index as isize).into()).collect();
                let mut here = value.clone();
                for index in &at {
                    here = here.get(*index)?;
                }
                let moved = here.to_scalar::<f64>()? + step;
                ferrolens::math::set_slice(value, &spans, moved)
            });
            let logits = model.run_with_hooks(TOKENS, &hooks).unwrap();
            metric(&logits).unwrap().to_scalar::<f64>().unwrap()
        };
        let theirs = (moved(STEP) - moved(-STEP)) / (2. * STEP);
        let mut ours = back.gradients.get(point).unwrap();
        for index in &at {
            ours = ours.get(*index).unwrap();
        }
        let ours: f64 = ours.to_scalar().unwrap();
        assert!(
            (ours - theirs).abs() < 1e-6 * (1. + theirs.abs()),
            "{point}: {ours} {theirs}"
        );
    }
    let split = back.gradients.get(points[2]).unwrap();
    assert_eq!(split.dims(), back.cache.get(points[2]).unwrap().dims());
}

#[test]
fn hooks_on_gradients_change_what_flows_further_back() {
    let model = processed();
    let tokens = [5u32, 2, 9, 40];
    // Nothing flows through the MLPs or attention of the later blocks: the embedding feels the unembedding alone.
    let stop = Hooks::new()
        .add_backward("*.hook_mlp_out", |gradient, _| gradient.zeros_like())
        .add_backward("*.hook_attn_out", |gradient, _| gradient.zeros_like());
    let run = model
        .run(tokens)
        .hooks(&stop)
        .gradients(["hook_embed", "blocks.2.hook_resid_post"]);
    let back = run.loss_backward().unwrap();
    let last = &back.gradients[("resid_post", 2)];
    assert_close("embed", &back.gradients["hook_embed"], last, 0.);
    let free = model
        .run(tokens)
        .gradients("hook_embed")
        .loss_backward()
        .unwrap();
    assert_ne!(values(&free.gradients["hook_embed"]), values(last));

    let error = model
        .run(tokens)
        .hooks(&stop)
        .logits()
        .unwrap_err()
        .to_string();
    assert!(error.contains("hook on gradients"), "{error}");
    let wrong = Hooks::new().add_backward("hook_embed", |gradient, _| gradient.sum(2));
    let error = model
        .run(tokens)
        .hooks(&wrong)
        .loss_backward()
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("hook_embed") && error.contains("same shape"),
        "{error}"
    );
}

#[test]
fn a_metric_must_be_one_number_of_the_logits() {
    let model = processed();
    let error = model
        .run([1u32, 2])
        .backward(|logits| Ok(logits.clone()))
        .unwrap_err();
    assert!(error.to_string().contains("one number"), "{error}");
    let constant = |_: &Tensor| Ok(Tensor::new(1f32, &Device::Cpu)?);
    let error = model.run([1u32, 2]).backward(constant).unwrap_err();
    assert!(error.to_string().contains("does not depend"), "{error}");
    let error = model
        .run([1u32, 2])
        .gradients("hook_nothing")
        .loss_backward()
        .unwrap_err();
    assert!(error.to_string().contains("hook_nothing"), "{error}");
}

#[test]
fn parts_of_tensors_are_set() {
    let ones = Tensor::ones((2, 3, 4), DType::F32, &Device::Cpu).unwrap();
    let row = Tensor::new(&[7f32, 8., 9., 10.], &Device::Cpu).unwrap();
    let set = ones.set((.., -1), &row).unwrap();
    assert_close("set", &set, &set_at(&ones, 1, -1, &row).unwrap(), 0.);
    assert!(ones.set((0, 0, 0, 0), 0.).is_err());
    // What was taken out at an index goes back there.
    let part = (ones.get(0).unwrap() * 3.).unwrap();
    assert_close(
        "part",
        &ones.set((1,), &part).unwrap().get(1).unwrap(),
        &part,
        0.,
    );
    let column = (ones.narrow(1, 2, 1).unwrap().squeeze(1).unwrap() * 5.).unwrap(); // [2, 4]
    let set = ones.set((.., 2), &column).unwrap();
    assert_close(
        "column",
        &set.narrow(1, 2, 1).unwrap().squeeze(1).unwrap(),
        &column,
        0.,
    );
}
