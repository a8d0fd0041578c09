//! Every activation of the GPT-2 fixture against TransformerLens and Hugging Face.

use super::{gpt2, processed, random_weights, unprocessed};
use crate::golden::{Golden, PROCESSED, UNPROCESSED, assert_cache, assert_close, values};
use candle_core::{DType, Device, Tensor};
use ferrolens::model::{Config, HookedTransformer, LoadOptions, PaddingSide, Site};

pub(super) fn every_activation(
    golden: &Golden,
    model: &HookedTransformer,
    file: &str,
    tolerance: f32,
) {
    let recorded = golden.tensors(file);
    let tokens = &recorded["tokens"];
    let with_result = model.use_attn_result(true);
    let (logits, cache) = with_result.run_with_cache(tokens, ()).unwrap();
    assert_cache(&cache, &recorded, tolerance);
    assert_close("logits", &logits, &recorded["logits"], tolerance);

    let losses = model.loss_per_token(tokens).unwrap();
    assert_close(
        "loss_per_token",
        &losses,
        &recorded["loss_per_token"],
        tolerance,
    );
    let loss = model.loss(tokens).unwrap();
    assert!((loss - values(&recorded["loss"])[0]).abs() <= tolerance);
    let stopped = model.run(tokens).stop_at_layer(1).residual().unwrap();
    assert_close(
        "stop_at_layer 1",
        &stopped,
        &recorded["stop_at_layer/1"],
        tolerance,
    );

    // Everything that TransformerLens records is there; the unembedding's points are opt-in.
    let kept = cache.keys();
    let unembed = model
        .cache_only(tokens, ["unembed.hook_in", "unembed.hook_out"])
        .unwrap();
    assert_cache(&unembed, &recorded, tolerance);
    for name in recorded
        .keys()
        .filter_map(|name| name.strip_prefix("cache/"))
    {
        let known = kept.iter().any(|point| *point == name) || unembed.contains(name);
        assert!(
            known,
            "`{name}` was recorded, but the cache does not have it"
        );
    }
}

#[test]
fn the_unprocessed_model_is_transformer_lens_at_every_hook_point() {
    every_activation(
        &gpt2(),
        &unprocessed(),
        "tl_unprocessed.safetensors",
        UNPROCESSED,
    );
}

#[test]
fn the_processed_model_is_transformer_lens_at_every_hook_point() {
    every_activation(&gpt2(), &processed(), "tl_processed.safetensors", PROCESSED);
}

#[test]
fn the_unprocessed_model_is_hugging_face() {
    let recorded = gpt2().tensors("hf_golden.safetensors");
    let (model, tokens) = (unprocessed(), &recorded["tokens"]);
    let (logits, cache) = model.run_with_cache(tokens, ()).unwrap();
    for layer in 0..3 {
        let name = format!("hidden_states/{layer}");
        let ours = cache.act("resid_pre", layer).unwrap();
        assert_close(&name, &ours, &recorded[&name], UNPROCESSED);
    }
    let last = model.cache_only(tokens, "unembed.hook_in").unwrap();
    let last = last.get("unembed.hook_in").unwrap();
    assert_close(
        "hidden_states/3",
        &last,
        &recorded["hidden_states/3"],
        UNPROCESSED,
    );
    assert_close("logits", &logits, &recorded["logits"], UNPROCESSED);
}

/// GPT-2 with LayerNorm removed by fine-tuning is published with `eps` = 1e12 in its config.
#[test]
fn an_enormous_eps_makes_norms_linear() {
    let golden = Golden::new("gpt2_noln");
    let recorded = golden.tensors("golden.safetensors");
    let model = golden.model(LoadOptions::no_processing());
    assert_eq!(model.config().eps, 1e12);
    let (logits, cache) = model.run_with_cache(&recorded["tokens"], ()).unwrap();
    for name in ["blocks.0.ln1.hook_scale", "blocks.1.hook_resid_post"] {
        let theirs = &recorded[&format!("route1_eps1e12/cache/{name}")];
        let tolerance = if name.ends_with("scale") { 0.5 } else { 1e-4 };
        assert_close(name, &cache.get(name).unwrap(), theirs, tolerance);
    }
    assert_close("logits", &logits, &recorded["route1_eps1e12/logits"], 1e-3);
    assert_close("Hugging Face", &logits, &recorded["hf_logits"], 1e-3);
}

#[test]
fn processed_weights_are_transformer_lenss() {
    let model = processed();
    let recorded = gpt2().tensors("tl_processed_weights.safetensors");
    assert_eq!(model.weight_names().len(), recorded.len());
    for name in model.weight_names() {
        let ours = model.weight(&name).unwrap();
        assert_close(&name, &ours, &recorded[&name], 1e-5);
    }
    let recorded = gpt2().tensors("tl_unprocessed_weights.safetensors");
    let model = unprocessed();
    for name in model.weight_names() {
        let ours = model.weight(&name).unwrap();
        assert_close(&name, &ours, &recorded[&name], 0.);
    }
}

#[test]
fn weights_stack_over_layers_in_the_shapes_of_transformer_lens() {
    let model = processed();
    let shapes = gpt2().json("tl_analysis_labels.json")["stack_shapes"].clone();
    let stacks = [
        ("W_E", model.W_E()),
        ("W_U", model.W_U()),
        ("W_pos", model.W_pos()),
        ("W_Q", model.W_Q()),
        ("W_K", model.W_K()),
        ("W_V", model.W_V()),
        ("W_O", model.W_O()),
        ("W_in", model.W_in()),
        ("W_out", model.W_out()),
        ("b_Q", model.b_Q()),
        ("b_K", model.b_K()),
        ("b_V", model.b_V()),
        ("b_O", model.b_O()),
        ("b_in", model.b_in()),
        ("b_out", model.b_out()),
    ];
    assert_eq!(shapes.as_object().unwrap().len(), stacks.len());
    for (name, stack) in stacks {
        assert_eq!(
            serde_json::json!(stack.unwrap().dims()),
            shapes[name],
            "{name}"
        );
    }
    assert_eq!(model.b_U().unwrap().dims(), [336]);
    assert_eq!(unprocessed().b_U().unwrap().dims(), [336]);
}

#[test]
fn logits_and_losses_of_one_position_are_rows_of_the_whole() {
    let model = processed();
    let tokens = &gpt2().tensors("tl_processed.safetensors")["tokens"];
    let logits = model.forward(tokens).unwrap();
    for (position, row) in [(0, 0), (5, 5), (-1, 11), (-12, 0)] {
        let ours = model.run(tokens).logits_at(position).unwrap();
        let whole = logits.narrow(1, row, 1).unwrap().squeeze(1).unwrap();
        assert_close(&format!("logits_at({position})"), &ours, &whole, 1e-5);
    }
    let losses = model.loss_per_token(tokens).unwrap();
    for (position, column) in [(0, 0), (-1, 10), (-2, 9)] {
        let ours = model.run(tokens).loss_at(position).unwrap();
        let whole = losses.narrow(1, column, 1).unwrap().squeeze(1).unwrap();
        assert_close(&format!("loss_at({position})"), &ours, &whole, 1e-5);
    }
    assert!(model.run(tokens).loss_at(11).is_err());
    assert!(model.run(tokens).loss_at(-12).is_err());
}

#[test]
fn a_run_can_start_where_another_stopped() {
    let model = processed();
    let tokens = &gpt2().tensors("tl_processed.safetensors")["tokens"];
    let whole = model.forward(tokens).unwrap();
    for layer in 0..=3usize {
        let run = model.run(tokens).stop_at_layer(layer as isize);
        let residual = run.residual().unwrap();
        let logits = model.run_from_layer(layer, &residual).logits().unwrap();
        assert_close(&format!("from layer {layer}"), &logits, &whole, 0.);
    }
    let from_the_end = model.run(tokens).stop_at_layer(-1).residual().unwrap();
    let from_the_start = model.run(tokens).stop_at_layer(2).residual().unwrap();
    assert_close("layer -1", &from_the_end, &from_the_start, 0.);
}

#[test]
fn padding_does_not_change_what_is_real() {
    padded_batches(&gpt2(), &processed());
}

pub(super) fn padded_batches(golden: &Golden, model: &HookedTransformer) {
    let recorded = golden.tensors("batch_padding.safetensors");
    let texts: Vec<String> =
        serde_json::from_value(golden.json("tl_tokenisation.json")["batch_texts"].clone()).unwrap();
    let lengths: Vec<usize> = texts
        .iter()
        .map(|text| model.to_tokens(text).unwrap().dim(1).unwrap())
        .collect();
    let longest = *lengths.iter().max().unwrap();
    for (name, side) in [("right", PaddingSide::Right), ("left", PaddingSide::Left)] {
        let theirs = &recorded[&format!("{name}/logits")];
        let from_tokens = model
            .run(&recorded[&format!("{name}/tokens")])
            .padding_side(side)
            .logits()
            .unwrap();
        let from_texts = model.run(&texts).padding_side(side).logits().unwrap();
        for (row, length) in lengths.iter().enumerate() {
            let start = if name == "left" { longest - length } else { 0 };
            let real =
                |logits: &Tensor| logits.get(row).unwrap().narrow(0, start, *length).unwrap();
            let label = format!("{name} padding, row {row}");
            assert_close(&label, &real(&from_tokens), &real(theirs), PROCESSED);
            assert_close(&label, &real(&from_texts), &real(theirs), PROCESSED);
            let alone = model.forward(&texts[row]).unwrap().squeeze(0).unwrap();
            assert_close(&label, &real(&from_texts), &alone, PROCESSED);
        }
    }
}

#[test]
fn padding_does_not_count_in_the_loss() {
    let model = processed();
    let texts = ["Once upon a time,", "Once upon a time, Kitty saw", "Hi"];
    let mut sum = 0.;
    let mut count = 0.;
    for text in texts {
        let losses = values(&model.loss_per_token(text).unwrap());
        sum += losses.iter().sum::<f32>();
        count += losses.len() as f32;
    }
    for side in [PaddingSide::Right, PaddingSide::Left] {
        let loss = model.run(texts).padding_side(side).loss().unwrap();
        assert!(
            (loss - sum / count).abs() < 1e-4,
            "{side:?}: {loss} {}",
            sum / count
        );
    }
}

#[test]
fn tokens_of_every_type_and_shape_mean_the_same() {
    let model = processed();
    let ids = [5u32, 6, 7];
    let reference = model.forward(ids).unwrap();
    assert_eq!(reference.dims(), [1, 3, 336]);
    let device = Device::Cpu;
    let flat = Tensor::new(&ids, &device).unwrap();
    for tokens in [
        flat.clone(),
        flat.to_dtype(DType::I64).unwrap(),
        flat.to_dtype(DType::U8).unwrap().unsqueeze(0).unwrap(),
    ] {
        assert_close("tokens", &model.forward(&tokens).unwrap(), &reference, 0.);
        assert_close("tokens", &model.forward(tokens).unwrap(), &reference, 0.);
    }
    assert_close("Vec", &model.forward(ids.to_vec()).unwrap(), &reference, 0.);
    assert_close("slice", &model.forward(&ids[..]).unwrap(), &reference, 0.);
    let twice = model.forward(vec![ids.to_vec(), ids.to_vec()]).unwrap();
    assert_close("batch", &twice.narrow(0, 1, 1).unwrap(), &reference, 1e-5);
}

#[test]
fn hook_points_come_in_the_order_of_the_forward_pass() {
    let model = processed();
    let (_, cache) = model.run_with_cache([1u32, 2], ()).unwrap();
    assert_eq!(cache.keys(), model.hook_points());
    let names: Vec<String> = cache.keys().iter().map(ToString::to_string).collect();
    let block = |layer: usize| {
        [
            "hook_resid_pre",
            "ln1.hook_scale",
            "ln1.hook_normalized",
            "attn.hook_q",
            "attn.hook_k",
            "attn.hook_v",
            "attn.hook_attn_scores",
            "attn.hook_pattern",
            "attn.hook_z",
            "hook_attn_out",
            "hook_resid_mid",
            "ln2.hook_scale",
            "ln2.hook_normalized",
            "mlp.hook_pre",
            "mlp.hook_post",
            "hook_mlp_out",
            "hook_resid_post",
        ]
        .map(|name| format!("blocks.{layer}.{name}"))
    };
    let mut expected = vec!["hook_embed".to_owned(), "hook_pos_embed".to_owned()];
    (0..3).for_each(|layer| expected.extend(block(layer)));
    expected.push("ln_final.hook_scale".to_owned());
    expected.push("ln_final.hook_normalized".to_owned());
    assert_eq!(names, expected);

    // All names that TransformerLens knows for the family.
    let theirs: Vec<String> =
        serde_json::from_value(gpt2().json("tl_processed_hook_names.json")).unwrap();
    let mut ours = model.hook_points();
    ours.extend(model.opt_in_hook_points());
    for name in &theirs {
        assert!(
            ours.iter().any(|point| point == name.as_str()),
            "`{name}` is not offered"
        );
    }
    // `mlp.hook_in` and `mlp.hook_out` of three layers, which transcoders read and write.
    assert_eq!(ours.len(), theirs.len() + 2 * 3);
    assert!(
        model
            .opt_in_hook_points()
            .iter()
            .all(|point| point.site() != Site::ResidPre)
    );
}

#[test]
fn doubles_and_halves_run_too() {
    let config = Config::gpt2(2, 16, 2, 40, 12);
    let weights = random_weights(&config, DType::F64);
    let model = HookedTransformer::new(config.clone(), weights.clone(), None).unwrap();
    let exact = model.forward([1u32, 2, 3, 4]).unwrap();
    assert_eq!(exact.dtype(), DType::F64);
    for (dtype, tolerance) in [(DType::F32, 1e-4), (DType::BF16, 0.3), (DType::F16, 0.05)] {
        let weights = weights.iter();
        let weights = weights.map(|(name, tensor)| (name.clone(), tensor.to_dtype(dtype).unwrap()));
        let model = HookedTransformer::new(config.clone(), weights.collect(), None).unwrap();
        let logits = model.forward([1u32, 2, 3, 4]).unwrap();
        assert_eq!(logits.dtype(), dtype);
        assert_close(&format!("{dtype:?}"), &logits, &exact, tolerance);
    }
}
