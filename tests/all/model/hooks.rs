//! What hooks, filters and caches promise.

use super::{Noise, gpt2, processed};
use crate::golden::{assert_close, values};
use candle_core::{DType, Device, Tensor};
use ferrolens::model::{All, HookPoint, HookedTransformer, Hooks};
use ferrolens::{Error, Result};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

const TOKENS: [u32; 4] = [1, 2, 3, 4];

fn names(model: &HookedTransformer, filter: impl ferrolens::model::IntoFilter) -> Vec<String> {
    let cache = model.cache_only(TOKENS, filter).unwrap();
    cache.keys().iter().map(ToString::to_string).collect()
}

#[test]
fn hooks_may_return_whatever_is_natural() {
    fn doubled(value: &Tensor, _: &HookPoint) -> Result<Tensor> {
        Ok((value * 2.)?)
    }
    let model = processed();
    let clean = model.forward(TOKENS).unwrap();
    let point = ("mlp_out", 1);
    let looked = Arc::new(AtomicUsize::new(0));
    let counter = looked.clone();
    let only_looks = Hooks::new().add(point, move |_, _| {
        counter.fetch_add(1, Ordering::Relaxed);
    });
    let logits = model.run_with_hooks(TOKENS, &only_looks).unwrap();
    assert_close("only looked", &logits, &clean, 0.);
    assert_eq!(looked.load(Ordering::Relaxed), 1);

    let same = [
        Hooks::new().add(point, |value, _| value * 2.),
        Hooks::new().add(point, |value, _| -> Result<Tensor> {
            let value = (value * 2.)?;
            Ok(value)
        }),
        Hooks::new().add(point, |value, _| -> Result<Option<Tensor>> {
            Ok(Some((value * 2.)?))
        }),
        Hooks::new().add(point, |value, _| Some((value * 2.).unwrap())),
        Hooks::new().add(point, doubled),
    ];
    let first = model.run_with_hooks(TOKENS, &same[0]).unwrap();
    assert_ne!(values(&first), values(&clean));
    for hooks in &same {
        assert_close(
            "doubled",
            &model.run_with_hooks(TOKENS, hooks).unwrap(),
            &first,
            0.,
        );
    }
    let nothing = Hooks::new().add(point, |_, _| None::<Tensor>);
    assert_close(
        "None",
        &model.run_with_hooks(TOKENS, &nothing).unwrap(),
        &clean,
        0.,
    );
}

#[test]
fn hooks_leave_no_trace_even_after_an_error() {
    let model = processed();
    let clean = model.forward(TOKENS).unwrap();
    let hooks = Hooks::new()
        .add("blocks.0.hook_attn_out", |value, _| value.zeros_like())
        .add("blocks.1.hook_attn_out", |_, _| {
            Err::<(), _>(Error::new("no more"))
        });
    let message = model
        .run_with_hooks(TOKENS, &hooks)
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("blocks.1.hook_attn_out") && message.contains("no more"),
        "{message}"
    );
    assert_close("after", &model.forward(TOKENS).unwrap(), &clean, 0.);
}

#[test]
fn filters_choose_by_name_list_pattern_and_closure() {
    let model = processed();
    assert_eq!(
        names(&model, "blocks.1.attn.hook_z"),
        ["blocks.1.attn.hook_z"]
    );
    assert_eq!(names(&model, ("z", -1)), ["blocks.2.attn.hook_z"]);
    assert_eq!(names(&model, "z1"), ["blocks.1.attn.hook_z"]);
    // Firing order, whatever the order of the list.
    let listed = ["blocks.1.hook_resid_pre", "hook_embed"];
    assert_eq!(
        names(&model, listed),
        ["hook_embed", "blocks.1.hook_resid_pre"]
    );
    assert_eq!(names(&model, vec![("q", 0), ("k", 0)]).len(), 2);
    assert_eq!(names(&model, "blocks.*.hook_resid_post").len(), 3);
    assert_eq!(names(&model, "blocks.0.*").len(), 17);
    assert_eq!(names(&model, All), names(&model, ()));
    // The filter of a well-known notebook.
    let seen = names(&model, |name: &str| {
        name.contains("resid") || name.contains("out")
    });
    assert_eq!(seen.len(), 3 * 5);
    assert!(!seen.iter().any(|name| name.contains("unembed")));
}

#[test]
fn opt_in_points_are_computed_when_named() {
    let model = processed();
    assert!(
        !names(&model, ())
            .iter()
            .any(|name| name.ends_with("hook_result"))
    );
    assert_eq!(
        names(&model, "blocks.0.attn.hook_result"),
        ["blocks.0.attn.hook_result"]
    );
    assert_eq!(names(&model, "blocks.*.attn.hook_result").len(), 3);
    let on = model.use_attn_result(true);
    assert_eq!(names(&on, ()).len(), names(&model, ()).len() + 3);
    assert!(on.shares_weights_with(&model));
    assert_eq!(names(&on.use_attn_result(false), ()), names(&model, ()));

    let (logits, cache) = on.run_with_cache(TOKENS, ()).unwrap();
    assert_close("logits", &logits, &model.forward(TOKENS).unwrap(), 1e-5);
    let sum = cache.act("result", 1).unwrap().sum(2).unwrap();
    let b_O = model.weight("blocks.1.attn.b_O").unwrap();
    let attn_out = cache.act("attn_out", 1).unwrap();
    assert_close("sum", &sum.broadcast_add(&b_O).unwrap(), &attn_out, 1e-5);

    let hooks = Hooks::new().add(("result", 0), |value, _| value.zeros_like());
    let (_, cache) = model
        .run_with_hooks_and_cache(TOKENS, &hooks, ("attn_out", 0))
        .unwrap();
    let b_O = model.weight("blocks.0.attn.b_O").unwrap();
    let attn_out = cache.act("attn_out", 0).unwrap();
    assert_close(
        "only the bias",
        &attn_out,
        &b_O.broadcast_as(attn_out.shape()).unwrap(),
        1e-6,
    );
}

#[test]
fn the_cache_shows_values_after_the_hooks() {
    let model = processed();
    let hooks = Hooks::new().add(("resid_mid", 0), |value, _| value.zeros_like());
    let (_, cache) = model.run_with_hooks_and_cache(TOKENS, &hooks, ()).unwrap();
    assert!(
        values(&cache.act("resid_mid", 0).unwrap())
            .iter()
            .all(|value| *value == 0.)
    );
    let post = cache.act("resid_post", 0).unwrap();
    assert_close("post", &post, &cache.act("mlp_out", 0).unwrap(), 0.);
}

#[test]
fn a_cache_alone_stops_after_its_last_point() {
    let model = processed();
    let visited = Arc::new(Mutex::new(Vec::new()));
    let log = visited.clone();
    let hooks = Hooks::new().add("*", move |_, point: &HookPoint| {
        log.lock().unwrap().push(point.name());
    });
    let early = Hooks::new().add(("attn_out", 0), |_, _| ());
    let run = model.run(TOKENS).hooks(&early).cache(("q", 0));
    assert_eq!(run.cache_only().unwrap().len(), 1);
    // A hook on everything keeps the run going to its end.
    model
        .run(TOKENS)
        .hooks(&hooks)
        .cache(("q", 0))
        .cache_only()
        .unwrap();
    assert_eq!(visited.lock().unwrap().len(), model.hook_points().len());

    // A hook behind the last wanted point would never be reached if the run did not wait for it.
    let failing = Hooks::new().add(("resid_post", 2), |_, _| Err::<(), _>("reached"));
    assert!(
        model
            .run(TOKENS)
            .hooks(&failing)
            .cache(("q", 0))
            .cache_only()
            .is_err()
    );
    // Layer 1 is not computed for a point of layer 0: an id beyond the positions is not read.
    let cache = model.cache_only(TOKENS, ("resid_pre", 0)).unwrap();
    let (_, whole) = model.run_with_cache(TOKENS, ("resid_pre", 0)).unwrap();
    let name = "blocks.0.hook_resid_pre";
    assert_close(
        name,
        &cache.get(name).unwrap(),
        &whole.get(name).unwrap(),
        0.,
    );
}

#[test]
fn caches_are_read_by_full_and_short_names() {
    let model = processed();
    let tokens = &gpt2().tensors("tl_processed.safetensors")["tokens"];
    let (_, cache) = model.run_with_cache(tokens, ()).unwrap();
    assert_eq!(cache.len(), model.hook_points().len());
    assert_eq!(cache["blocks.1.attn.hook_pattern"].dims(), [2, 4, 12, 12]);
    assert_eq!(cache[("pattern", -2)].dims(), [2, 4, 12, 12]);
    assert_eq!(cache.act("post", -1).unwrap().dims(), [2, 12, 128]);
    assert_eq!(cache.get("scale").unwrap().dims(), [2, 12, 1]);
    assert_eq!(cache.get(("scale", 0, "ln1")).unwrap().dims(), [2, 12, 1]);
    assert_eq!(
        cache
            .get(HookPoint::new(ferrolens::model::Site::Embed, 0))
            .unwrap()
            .rank(),
        3
    );
    assert_eq!(
        cache.stack_activation("resid_pre").unwrap().dims(),
        [3, 2, 12, 32]
    );
    assert!(cache.contains("hook_embed") && !cache.contains(("result", 0)));
    assert_eq!(cache.iter().count(), cache.len());
    assert!(cache.remove_batch_dim().is_err());

    let (_, cache) = model.run_with_cache(TOKENS, ()).unwrap();
    let cache = cache.remove_batch_dim().unwrap();
    assert!(!cache.has_batch_dim());
    assert_eq!(cache["hook_embed"].dims(), [4, 32]);
    assert_eq!(
        cache.remove_batch_dim().unwrap()["hook_embed"].dims(),
        [4, 32]
    );
    assert_eq!(cache.to_device(&Device::Cpu).unwrap().len(), cache.len());
}

#[test]
fn one_captured_head_does_not_hold_the_others() {
    let model = processed();
    let cache = model.cache_only(TOKENS, ("k", 0)).unwrap();
    let keys = cache.get(("k", 0)).unwrap();
    let (storage, layout) = keys.storage_and_layout();
    let candle_core::Storage::Cpu(candle_core::CpuStorage::F32(values)) = &*storage else {
        panic!("not on the CPU");
    };
    assert_eq!(
        (values.len(), layout.start_offset()),
        (keys.elem_count(), 0)
    );
}

#[test]
fn queries_keys_and_values_can_read_their_own_streams() {
    let model = processed();
    let shift = Noise(3).tensor(&[32]).to_dtype(DType::F32).unwrap();
    let add = |sites: &[&'static str]| {
        let mut hooks = Hooks::new();
        for site in sites {
            let shift = shift.clone();
            hooks = hooks.add((*site, 1), move |value, _| value.broadcast_add(&shift));
        }
        hooks
    };
    let attn_out = |hooks: &Hooks| {
        let run = model.run(TOKENS).hooks(hooks).cache(("attn_out", 1));
        run.cache_only().unwrap().act("attn_out", 1).unwrap()
    };
    let clean = attn_out(&Hooks::new());
    let everywhere = attn_out(&add(&["resid_pre"]));
    assert_ne!(values(&clean), values(&everywhere));
    assert_close("attn_in", &attn_out(&add(&["attn_in"])), &everywhere, 1e-4);
    let each = add(&["q_input", "k_input", "v_input"]);
    assert_close("q, k and v", &attn_out(&each), &everywhere, 1e-4);

    // One head's values only: the other heads write what they wrote.
    let head = Hooks::new().add(("v_input", 1), |value, _| {
        ferrolens::math::set_at(value, 2, 3, 0.)
    });
    let results = |hooks: &Hooks| {
        let run = model.run(TOKENS).hooks(hooks).cache(("result", 1));
        run.cache_only().unwrap().act("result", 1).unwrap()
    };
    let (clean, changed) = (results(&Hooks::new()), results(&head));
    let of = |results: &Tensor, head: usize| results.narrow(2, head, 1).unwrap();
    assert_close("head 0", &of(&changed, 0), &of(&clean, 0), 1e-5);
    assert_ne!(values(&of(&changed, 3)), values(&of(&clean, 3)));

    // The norm comes three times; the cache keeps the last, in a stopped run as in a whole one.
    let filter = ["blocks.1.hook_v_input", "blocks.1.ln1.hook_normalized"];
    let stopped = model
        .run(TOKENS)
        .hooks(&head)
        .cache(filter)
        .cache_only()
        .unwrap();
    let (_, whole) = model
        .run_with_hooks_and_cache(TOKENS, &head, filter)
        .unwrap();
    assert_eq!((stopped.len(), whole.len()), (2, 2));
    let name = ("normalized", 1, "ln1");
    assert_eq!(stopped.get(name).unwrap().dims(), [1, 4, 4, 32]);
    assert_close(
        "ln1",
        &stopped.get(name).unwrap(),
        &whole.get(name).unwrap(),
        0.,
    );
    let zeroed = of(&stopped.get(name).unwrap(), 3);
    assert!(values(&zeroed).iter().all(|value| *value == 0.));
}
