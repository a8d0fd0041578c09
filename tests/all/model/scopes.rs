//! Scopes of hooks, points that are switched on, and what a cache can do.

use super::processed;
use crate::golden::{Golden, PROCESSED, assert_close};
use candle_core::Device;
use ferrolens::model::{ActivationCache, Generate, Hooks, LoadOptions};
use serde_json::{Value, json};

const TOKENS: [u32; 5] = [5, 2, 9, 40, 7];

#[test]
fn scopes_nest_and_end() {
    let model = processed();
    let twice = Hooks::new().add(("attn_out", 0), |value, _| value * 2.);
    let plus = Hooks::new().add(("attn_out", 0), |value, _| value + 1.);
    let outer = model.with_hooks(&twice);
    let inner = outer.with_hooks(&plus);
    let of_run = model
        .run_with_hooks(TOKENS, twice.clone().and(&plus))
        .unwrap();
    assert_close("nested", &inner.forward(TOKENS).unwrap(), &of_run, 0.);
    // A run's own hooks come last.
    let of_run = outer.run_with_hooks(TOKENS, &plus).unwrap();
    assert_close("own", &inner.forward(TOKENS).unwrap(), &of_run, 0.);
    let clean = model.forward(TOKENS).unwrap();
    assert_close("after", &model.forward(TOKENS).unwrap(), &clean, 0.);
    let cache = inner.cache_only(TOKENS, ("attn_out", 0)).unwrap();
    let was = model.cache_only(TOKENS, ("attn_out", 0)).unwrap()[("attn_out", 0)].clone();
    let expected = ((was * 2.).unwrap() + 1.).unwrap();
    assert_close("cache", &cache[("attn_out", 0)], &expected, 1e-6);

    // Text grows under the scope's hooks too.
    let greedy = Generate::new(6).stop_at_eos(false);
    let in_scope = inner.generate(TOKENS, &greedy).unwrap();
    let by_hand = model
        .generate(TOKENS, &greedy.clone().hooks(twice.and(&plus)))
        .unwrap();
    let ids =
        |generation: ferrolens::model::Generation| generation.tokens().to_vec2::<u32>().unwrap();
    assert_eq!(ids(in_scope), ids(by_hand));
    // Hooks of a scope see all positions at every step, as those of a run do.
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let lengths = seen.clone();
    let look = Hooks::new().add(("z", 0), move |value: &candle_core::Tensor, _: &_| {
        lengths.lock().unwrap().push(value.dims()[1]);
    });
    let two = Generate::new(2).stop_at_eos(false);
    model.with_hooks(&look).generate(TOKENS, &two).unwrap();
    assert_eq!(*seen.lock().unwrap(), [5, 6]);
    // A run that stops early does not reach every hook of its scope.
    let late = model.with_hooks(Hooks::new().add(("mlp_out", 2), |value, _| value * 2.));
    late.run(TOKENS).stop_at_layer(1).residual().unwrap();
    let unknown = model.with_hooks(Hooks::new().add("blocks.0.hook_nothing", |_, _| ()));
    let error = unknown.forward(TOKENS).unwrap_err().to_string();
    assert!(error.contains("hook_nothing"), "{error}");
}

#[test]
fn opt_in_points_can_be_switched_on() {
    let model = processed();
    let split = model
        .use_split_qkv_input(true)
        .use_attn_result(true)
        .use_hook_mlp_in(true);
    let (logits, cache) = split.run_with_cache(TOKENS, ()).unwrap();
    for name in [
        "hook_q_input",
        "hook_k_input",
        "hook_v_input",
        "attn.hook_result",
        "hook_mlp_in",
    ] {
        assert!(
            cache.contains(format!("blocks.1.{name}").as_str()),
            "{name}"
        );
    }
    assert!(!cache.contains("blocks.1.hook_attn_in"));
    assert_close(
        "logits",
        &logits,
        &model.forward(TOKENS).unwrap(),
        PROCESSED,
    );
    let off = split.use_split_qkv_input(false);
    let cache = off.cache_only(TOKENS, ()).unwrap();
    assert!(!cache.contains("blocks.1.hook_q_input") && cache.contains("blocks.1.hook_mlp_in"));
    assert!(
        model
            .use_attn_in(true)
            .cache_only(TOKENS, ())
            .unwrap()
            .contains("blocks.0.hook_attn_in")
    );
}

/// Shapes by name, in the order of the cache.
fn shapes(cache: &ActivationCache) -> Value {
    let shapes = cache
        .iter()
        .map(|(point, value)| (point.name(), json!(value.dims())));
    Value::Object(shapes.collect())
}

#[test]
fn positions_are_sliced_as_transformer_lens_does() {
    for family in ["gpt2", "llama"] {
        let golden = Golden::new(family);
        let model = golden.model(LoadOptions::new());
        let recorded = golden.json("tl_cache_semantics.json");
        let tokens = golden.tensors("tl_processed.safetensors")["tokens"].clone();
        let whole = model.cache_only(&tokens, ()).unwrap();
        let mut compared = 0;
        for (name, of) in [
            ("pos_slice=-1,two_rows", -1..0isize),
            ("pos_slice=(1, 4),two_rows", 1..4),
        ] {
            let run = model.run(&tokens).cache(());
            let sliced = match of.start {
                -1 => run.pos_slice(-1),
                _ => run.pos_slice(1..4),
            };
            let cache = sliced.logits_and_cache().unwrap().1;
            for (point, shape) in shapes(&cache).as_object().unwrap() {
                // There the heads of turned queries and keys are sliced, which is a mistake.
                if point.contains("hook_rot_") {
                    continue;
                }
                let theirs = &recorded[name][point];
                assert_eq!(shape, theirs, "{family}, {name}: {point}");
                compared += 1;
            }
        }
        assert!(compared > 30);
        let last = model
            .run(&tokens)
            .cache("*.hook_z")
            .pos_slice(-1)
            .cache_only()
            .unwrap();
        let z = whole[("z", 1)].narrow(1, 11, 1).unwrap();
        assert_close("z", &last[("z", 1)], &z, 1e-6);
    }
}

#[test]
fn a_cache_is_saved_and_read_again() {
    let model = processed();
    let (_, cache) = model.run_with_cache(TOKENS, ()).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cache.safetensors");
    cache.save(&path).unwrap();
    let again = ActivationCache::load(&model, &path).unwrap();
    assert_eq!(again.keys(), cache.keys());
    for (point, value) in &cache {
        assert_close(&point.name(), &again.get(point).unwrap(), &value, 0.);
    }
    assert!(again.has_batch_dim());
    cache.remove_batch_dim().unwrap().save(&path).unwrap();
    assert!(
        !ActivationCache::load(&model, &path)
            .unwrap()
            .has_batch_dim()
    );
    let other = Golden::new("gpt_neox").model(LoadOptions::new());
    let error = ActivationCache::load(&other, &path)
        .unwrap_err()
        .to_string();
    assert!(error.contains("does not have"), "{error}");
    std::fs::write(&path, "no").unwrap();
    let error = ActivationCache::load(&model, &path)
        .unwrap_err()
        .to_string();
    assert!(error.contains("cache.safetensors"), "{error}");
    assert!(cache.save(folder.path().join("no/such/folder")).is_err());
    assert_eq!(cache.to_device(&Device::Cpu).unwrap().keys(), cache.keys());
}
