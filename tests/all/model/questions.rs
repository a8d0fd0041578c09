//! The questions of everyday work, against what TransformerLens answers (`question_fixtures.py`).

use crate::golden::{Golden, PROCESSED, assert_close};
use candle_core::Tensor;
use ferrolens::math::Slice;
use ferrolens::model::{
    ActivationCache, Generate, Generation, HookedTransformer, Hooks, LoadOptions, PaddingSide,
    ResidOptions, ResidualStack, TokenOptions,
};
use serde_json::{Value, json};
use std::collections::HashMap;

struct Questions {
    golden: Golden,
    model: HookedTransformer,
    tokens: Tensor,
    recorded: HashMap<String, Tensor>,
    answers: Value,
}

/// For GPT-2, with LayerNorm, and for Llama, with RMSNorm and grouped queries.
fn each(check: impl Fn(&Questions)) {
    for family in ["gpt2", "llama"] {
        println!("{family}");
        let golden = Golden::new(family);
        let recorded = golden.tensors("tl_questions.safetensors");
        check(&Questions {
            model: golden.model(LoadOptions::new()),
            tokens: recorded["tokens"].clone(),
            answers: golden.json("tl_questions.json"),
            recorded,
            golden,
        });
    }
}

impl Questions {
    fn check(&self, name: &str, ours: &Tensor) {
        assert_close(name, ours, &self.recorded[name], PROCESSED);
    }

    fn check_stack(&self, name: &str, ours: &ResidualStack) {
        self.check(name, &ours.components);
        assert_eq!(json!(ours.labels), self.answers["labels"][name], "{name}");
    }

    fn cache(&self) -> ActivationCache {
        self.model.run_with_cache(&self.tokens, ()).unwrap().1
    }
}

#[test]
fn components_projected_onto_directions() {
    each(|questions| {
        let (one, three) = (
            &questions.recorded["onto/one"],
            &questions.recorded["onto/three"],
        );
        let cache = questions.cache();
        let check = |name: &str, options: ResidOptions| {
            questions.check_stack(name, &cache.get_full_resid_decomposition(&options).unwrap());
        };
        let last = ResidOptions::new().pos_slice(-1).project_output_onto(one);
        check("full/neurons,onto=one,pos=-1", last.clone());
        check("full/neurons,onto=one,pos=-1,apply_ln", last.apply_ln(true));
        let mlps = ResidOptions::new()
            .expand_neurons(false)
            .project_output_onto(three);
        check("full/mlps,onto=three", mlps.clone());
        let before_mlp = mlps.clone().layer(1).mlp_input(true).apply_ln(true);
        check(
            "full/mlps,onto=three,apply_ln,layer=1,mlp_input",
            before_mlp,
        );
        let some = ResidOptions::new().layer(1).pos_slice(2..4).apply_ln(true);
        let some = some.project_output_onto(three);
        check("full/neurons,onto=three,pos=(2,4),apply_ln,layer=1", some);

        // Where TransformerLens has no such option, it is what follows the stack.
        for options in [
            ResidOptions::new().apply_ln(true),
            ResidOptions::new().layer(1),
        ] {
            let projected = options.clone().project_output_onto(three);
            for stacks in [
                ActivationCache::accumulated_resid,
                ActivationCache::decompose_resid,
                ActivationCache::stack_head_results,
            ] {
                let whole = stacks(&cache, &options).unwrap().components;
                let after = whole.broadcast_matmul(three).unwrap();
                let ours = stacks(&cache, &projected).unwrap().components;
                assert_close("projected", &ours, &after, PROCESSED);
            }
        }
        let wide = Tensor::zeros((3, 5), one.dtype(), one.device()).unwrap();
        let error = cache.decompose_resid(&ResidOptions::new().project_output_onto(&wide));
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains("[3, 5]") && error.contains("[32, directions]"),
            "{error}"
        );
    });
}

#[test]
fn logits_and_loss_of_one_run() {
    each(|questions| {
        let Questions { model, tokens, .. } = questions;
        let both = &questions.answers["both"];
        let prompt = both["prompt"].as_str().unwrap();
        let (logits, loss) = model.run(prompt).logits_and_loss().unwrap();
        assert_eq!(json!(logits.dims()), both["shape"]);
        assert!((f64::from(loss) - both["loss"].as_f64().unwrap()).abs() < 1e-3);
        assert_close("logits", &logits, &model.forward(prompt).unwrap(), 0.);
        let at_hand = model.loss_fn(&logits, prompt).unwrap();
        assert_eq!(at_hand, loss);
        let logits = model.forward(tokens).unwrap();
        let per_token = model.loss_fn_per_token(&logits, tokens).unwrap();
        questions.check("loss_fn/per_token", &per_token);
        let error = model.loss_fn(&logits, prompt).unwrap_err().to_string();
        assert!(error.contains("of a run on the same tokens"), "{error}");
        assert!(model.run([3u32]).logits_and_loss().is_err());
        // Padding does not count, here as in the loss alone.
        let batch = ["Once upon a time", "Tom"];
        let (_, loss) = model.run(batch).logits_and_loss().unwrap();
        assert_eq!(loss, model.loss(batch).unwrap());
    });
}

#[test]
fn text_that_repeats_itself_less() {
    each(|questions| {
        let mut texts = Vec::new();
        for case in questions.answers["freq_penalty"].as_array().unwrap() {
            let number = |name: &str| case[name].as_f64().unwrap();
            let options = Generate::new(12)
                .temperature(number("temperature"))
                .top_k(1)
                .freq_penalty(number("freq_penalty"))
                .stop_at_eos(false);
            let prompt = case["prompt"].as_str().unwrap();
            let ours = questions.model.generate(prompt, &options).unwrap();
            assert_eq!(
                json!(ours.tokens().to_vec2::<u32>().unwrap()),
                case["tokens"]
            );
            texts.push(ours.tokens().to_vec2::<u32>().unwrap());
        }
        texts.dedup();
        assert!(texts.len() > 1, "no penalty changed anything");
        let greedy = Generate::new(3).freq_penalty(1.);
        let error = questions
            .model
            .generate("Tom", &greedy)
            .unwrap_err()
            .to_string();
        assert!(error.contains(".temperature(1.)"), "{error}");
    });
}

#[test]
fn text_with_and_without_a_beginning() {
    each(|questions| {
        for case in questions.answers["prepend_bos"].as_array().unwrap() {
            let prompt = case["prompt"].as_str().unwrap();
            let prepend_bos = case["prepend_bos"].as_bool().unwrap();
            let options = Generate::new(12)
                .stop_at_eos(false)
                .prepend_bos(prepend_bos);
            let ours = questions.model.generate(prompt, &options).unwrap();
            assert_eq!(
                json!(ours.tokens().to_vec2::<u32>().unwrap()),
                case["tokens"]
            );
            let loss = questions
                .model
                .run(prompt)
                .prepend_bos(prepend_bos)
                .loss()
                .unwrap();
            assert!((f64::from(loss) - case["loss"].as_f64().unwrap()).abs() < 1e-3);
        }
    });
}

#[test]
fn rows_of_tokens_that_are_padded_in_front() {
    each(|questions| {
        let model = &questions.model;
        let texts = ["Once upon a time", "Tom"];
        let options = Generate::new(5).stop_at_eos(false);
        let of_texts = model.generate(texts, &options).unwrap();
        let left = TokenOptions::new().padding_side(PaddingSide::Left);
        let rows = model.to_tokens_with(texts, left).unwrap();
        let of_rows = model
            .generate(&rows, &options.clone().padding_side(PaddingSide::Left))
            .unwrap();
        let ids = |generation: &Generation| generation.tokens().to_vec2::<u32>().unwrap();
        assert_eq!(ids(&of_rows), ids(&of_texts));
        assert_eq!(of_rows.texts(), of_texts.texts());
        let right = options.clone().padding_side(PaddingSide::Right);
        let error = model.generate(&rows, &right).unwrap_err().to_string();
        assert!(error.contains("PaddingSide::Left"), "{error}");
    });
}

#[test]
fn heads_that_share_keys_have_them_each_for_itself() {
    each(|questions| {
        let Questions { model, tokens, .. } = questions;
        let ungrouped = model.ungroup_grouped_query_attention(true);
        let logits = ungrouped.forward(tokens).unwrap();
        assert_close("logits", &logits, &model.forward(tokens).unwrap(), 1e-6);
        let n_heads = model.config().n_heads;
        let keys = |model: &HookedTransformer| model.cache_only(tokens, ("k", 1)).unwrap();
        assert_eq!(keys(&ungrouped)[("k", 1)].dim(2).unwrap(), n_heads);
        let back = ungrouped.ungroup_grouped_query_attention(false);
        assert_eq!(
            keys(&back)[("k", 1)].dim(2).unwrap(),
            model.config().key_value_heads()
        );
        if model.config().n_key_value_heads.is_none() {
            return;
        }
        let cache = ungrouped.cache_only(tokens, ()).unwrap();
        for name in ["k", "v", "rot_k"] {
            questions.check(&format!("ungrouped/{name}1"), &cache[(name, 1)]);
        }
        let split = ungrouped.use_split_qkv_input(true);
        let cache = split.cache_only(tokens, ()).unwrap();
        questions.check("ungrouped_split/k_input0", &cache[("k_input", 0)]);
        questions.check("ungrouped_split/k0", &cache[("k", 0)]);
        let without_head_1 = |model: &HookedTransformer, name: &str| {
            let zero = Hooks::new().add((name, 1), |value, _| value.set((.., .., 1), 0.));
            model.run_with_hooks(tokens, &zero).unwrap()
        };
        for which in ["k", "v"] {
            let recorded = format!("ungrouped/zero_{which}1_head1");
            questions.check(&recorded, &without_head_1(&ungrouped, which));
            let recorded = format!("ungrouped_split/zero_{which}_input1_head1");
            let input = format!("{which}_input");
            questions.check(&recorded, &without_head_1(&ungrouped, &input));
        }
        // With keys and values kept between steps as without.
        let options = Generate::new(6).stop_at_eos(false);
        let kept = ungrouped.generate(tokens, &options).unwrap();
        let plain = model
            .generate(tokens, &options.use_past_kv_cache(false))
            .unwrap();
        assert_eq!(kept.texts(), plain.texts());
    });
}

#[test]
fn the_first_layers_of_a_model() {
    each(|questions| {
        let Questions { golden, tokens, .. } = questions;
        for (name, options) in [
            ("processed", LoadOptions::new()),
            ("unprocessed", LoadOptions::no_processing()),
        ] {
            let one = golden.model(options.first_n_layers(1));
            assert_eq!(one.config().n_layers, 1);
            let logits = one.forward(tokens).unwrap();
            questions.check(&format!("first_n_layers=1/{name}"), &logits);
            assert!(one.weight("blocks.1.attn.W_Q").is_err());
        }
        let folder = golden.path("hf");
        let n_layers = questions.model.config().n_layers;
        for layers in [0, n_layers + 1] {
            let options = LoadOptions::new().first_n_layers(layers);
            let error = HookedTransformer::load(folder.to_str().unwrap(), options);
            let error = error.unwrap_err().to_string();
            assert!(error.contains(&format!("keep 1 to {n_layers}")), "{error}");
        }
    });
    // Of the windows of GPT-Neo's layers the first stay.
    let neo = Golden::new("gpt_neo").model(LoadOptions::new().first_n_layers(1));
    assert_eq!(neo.config().attn_windows.len(), 1);
    neo.forward([1u32, 2, 3]).unwrap();
}

#[test]
fn some_prompts_of_a_batch() {
    each(|questions| {
        let cache = questions.cache();
        let second = cache.apply_slice_to_batch_dim(1..2).unwrap();
        assert!(second.has_batch_dim());
        questions.check("batch_slice=(1,2)/resid_post1", &second[("resid_post", 1)]);
        let alone = cache.apply_slice_to_batch_dim(-1).unwrap();
        assert!(!alone.has_batch_dim());
        questions.check("batch_slice=1/pattern1", &alone[("pattern", 1)]);
        assert_eq!(alone.keys(), cache.keys());
        let whole = cache
            .decompose_resid(&ResidOptions::new())
            .unwrap()
            .components;
        let part = alone
            .decompose_resid(&ResidOptions::new())
            .unwrap()
            .components;
        let row = whole.narrow(1, 1, 1).unwrap().squeeze(1).unwrap();
        assert_close("without a batch", &part, &row, 1e-6);
        let error = cache.apply_slice_to_batch_dim(2).unwrap_err().to_string();
        assert!(error.contains("has 2 entries"), "{error}");
        let error = alone.apply_slice_to_batch_dim(0).unwrap_err().to_string();
        assert!(error.contains("no batch dimension"), "{error}");
    });
}

#[test]
fn what_heads_write_after_the_run() {
    each(|questions| {
        let with_results = questions.cache().compute_head_results().unwrap();
        questions.check("compute_head_results/result0", &with_results[("result", 0)]);
        let of_run = questions.model.use_attn_result(true);
        let of_run = of_run.cache_only(&questions.tokens, ()).unwrap();
        assert_eq!(with_results.keys(), of_run.keys(), "the order of a run");
        let again = with_results.compute_head_results().unwrap();
        assert_eq!(again.len(), of_run.len());
        let alone = questions.cache().apply_slice_to_batch_dim(0).unwrap();
        let alone = alone.compute_head_results().unwrap();
        assert!(!alone.has_batch_dim());
        let first = with_results[("result", 0)].get(0).unwrap();
        assert_close("one prompt", &alone[("result", 0)], &first, 1e-6);
        let none = questions.model.cache_only([1u32], "hook_embed").unwrap();
        assert!(none.compute_head_results().is_err());
    });
}

#[test]
fn a_model_is_processed_after_it_was_loaded() {
    each(|questions| {
        let Questions {
            golden,
            model,
            tokens,
            ..
        } = questions;
        let raw = golden.model(LoadOptions::no_processing());
        let before = raw.forward(tokens).unwrap();
        let processed = raw.process_weights(&LoadOptions::new()).unwrap();
        for name in model.weight_names() {
            let (ours, loaded) = (processed.weight(&name), model.weight(&name));
            assert_close(&name, &ours.unwrap(), &loaded.unwrap(), 1e-6);
        }
        assert_eq!(processed.config(), model.config());
        assert_close("the raw model", &raw.forward(tokens).unwrap(), &before, 0.);
        let again = processed.process_weights(&LoadOptions::new()).unwrap();
        let logits = model.forward(tokens).unwrap();
        assert_close("twice", &again.forward(tokens).unwrap(), &logits, 1e-5);
    });
    let gemma = Golden::new("gemma2").model(LoadOptions::no_processing());
    let error = gemma.process_weights(&LoadOptions::new().center_unembed(true));
    assert!(error.unwrap_err().to_string().contains("soft cap"));
}

#[test]
fn the_next_tokens_as_a_table() {
    each(|questions| {
        let prompt = questions.answers["both"]["prompt"].as_str().unwrap();
        let theirs = &questions.answers["logits_to_df"];
        let last = questions.model.run(prompt).logits_at(-1).unwrap();
        let table = questions
            .model
            .logits_to_df(&last.get(0).unwrap(), 4)
            .unwrap();
        let columns = table.get_column_names().into_iter();
        let columns: Vec<String> = columns.map(ToString::to_string).collect();
        assert_eq!(json!(columns), theirs["columns"]);
        for (row, theirs) in theirs["rows"].as_array().unwrap().iter().enumerate() {
            let ours: Vec<String> = table
                .get(row)
                .unwrap()
                .iter()
                .map(|of| of.to_string())
                .collect();
            assert_eq!(ours[0], theirs[0].to_string());
            assert_eq!(ours[1].trim_matches('"'), theirs[1].as_str().unwrap());
            for column in 2..5 {
                let (a, b) = (ours[column].parse::<f64>(), theirs[column].as_f64());
                assert!((a.unwrap() - b.unwrap()).abs() < 1e-3, "{row}, {column}");
            }
        }
        let one_of_a_batch = questions.model.logits_to_df(&last, 4).unwrap();
        assert_eq!(one_of_a_batch.height(), 4);
        let two = Tensor::cat(&[&last, &last], 0).unwrap();
        let error = questions
            .model
            .logits_to_df(&two, 4)
            .unwrap_err()
            .to_string();
        assert!(error.contains("logits_at(-1)"), "{error}");
    });
}

#[test]
fn text_ends_at_tokens_of_ones_own() {
    let questions = Golden::new("gpt2").json("tl_questions.json");
    let model = super::processed();
    let case = &questions["prepend_bos"][0];
    let tokens: Vec<Vec<u32>> = serde_json::from_value(case["tokens"].clone()).unwrap();
    let prompt = case["prompt"].as_str().unwrap();
    let prompt_length = model.to_tokens(prompt).unwrap().dim(1).unwrap();
    let third = tokens[0][prompt_length + 2];
    let options = Generate::new(12).eos_token_id([9999, third]);
    let ours = model.generate(prompt, &options).unwrap();
    let ids = ours.tokens().to_vec2::<u32>().unwrap();
    let first = tokens[0][prompt_length..]
        .iter()
        .position(|id| *id == third)
        .unwrap();
    assert_eq!(ids[0], tokens[0][..=prompt_length + first]);
}

#[test]
fn both_embeddings_together() {
    let golden = Golden::new("gpt2");
    let recorded = golden.tensors("tl_questions.safetensors");
    let ours = super::processed().W_E_pos().unwrap();
    assert_close("W_E_pos", &ours, &recorded["W_E_pos"], PROCESSED);
}

#[test]
fn some_neurons() {
    each(|questions| {
        let (one, three) = (
            &questions.recorded["onto/one"],
            &questions.recorded["onto/three"],
        );
        let cache = questions.cache();
        let check = |name: &str, options: ResidOptions| {
            questions.check_stack(name, &cache.stack_neuron_results(&options).unwrap());
        };
        let some = ResidOptions::new()
            .neuron_slice(2..7)
            .pos_slice(-1)
            .incl_remainder(true);
        let name = "neurons/layer=-1,neurons=(2,7),pos=-1,remainder";
        check(name, some.clone());
        check(&format!("{name},apply_ln"), some.clone().apply_ln(true));
        let onto = some.apply_ln(true).project_output_onto(one);
        check(&format!("{name},onto=one,apply_ln"), onto);
        let first = ResidOptions::new().neuron_slice(0..3).incl_remainder(true);
        let first = first.project_output_onto(three);
        check("neurons/layer=-1,neurons=(0,3),onto=three,remainder", first);

        let results = cache.get_neuron_results(1, 3..6, -1).unwrap();
        questions.check("neuron_results/layer=1,neurons=(3,6),pos=-1", &results);
        let of_one = cache.get_neuron_results(1, 4, -1).unwrap();
        let same = results.narrow(1, 1, 1).unwrap().squeeze(1).unwrap();
        assert_close("one neuron", &of_one, &same, 0.);
        let error = cache
            .get_neuron_results(1, 0..9999, -1)
            .unwrap_err()
            .to_string();
        assert!(error.contains("9999"), "{error}");
    });
}
