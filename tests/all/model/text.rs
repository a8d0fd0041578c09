//! Tokens and generated text against TransformerLens, in every family.

use super::families::{self, FAMILIES};
use super::processed;
use crate::golden::Golden;
use candle_core::Tensor;
use ferrolens::model::{Generate, HookedTransformer, Hooks, Occurrence, PaddingSide, TokenOptions};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

fn each(check: impl Fn(&Golden, &HookedTransformer)) {
    for family in ["gpt2"].into_iter().chain(FAMILIES) {
        println!("{family}");
        let golden = Golden::new(family);
        check(&golden, &families::processed(&golden));
    }
}

#[test]
fn tokens_and_their_texts() {
    each(|golden, model| {
        let recorded = golden.json("tl_tokenisation.json");
        let cases = recorded["cases"].as_array().unwrap();
        for case in cases {
            for (name, prepend) in [("True", true), ("False", false)] {
                tokens_of_a_case(model, case, name, prepend);
            }
        }
        assert!(cases.len() > 10);
        let prepends = recorded["default_prepend_bos"].as_bool().unwrap();
        assert_eq!(model.config().default_prepend_bos, prepends);
        let tokenizer = model.tokenizer().unwrap();
        assert_eq!(json!(tokenizer.bos()), recorded["bos_token_id"]);
        assert_eq!(json!(tokenizer.eos()), recorded["eos_token_id"]);
        assert_eq!(json!(tokenizer.pad().ok()), recorded["pad_token_id"]);
    });
}

fn tokens_of_a_case(model: &HookedTransformer, case: &Value, name: &str, prepend: bool) {
    let text = case["text"].as_str().unwrap();
    let options = TokenOptions::new().prepend_bos(prepend);
    let tokens = model.to_tokens_with(text, options).unwrap();
    let ids = tokens.to_vec2::<u32>().unwrap().remove(0);
    let theirs = &case[format!("to_tokens,prepend_bos={name}")];
    assert_eq!(json!(ids), *theirs, "{text:?}, prepend_bos={name}");
    if ids.is_empty() {
        // TransformerLens gives [""] for no tokens; here there are as many texts as tokens.
        assert!(model.to_str_tokens(&tokens).unwrap().is_empty());
        return;
    }
    let theirs = &case[format!("to_str_tokens,prepend_bos={name}")];
    assert_eq!(
        json!(model.to_str_tokens(&tokens).unwrap()),
        *theirs,
        "{text:?}"
    );
    let of_text = model.to_str_tokens_with(text, options).unwrap();
    assert_eq!(json!(of_text), *theirs, "{text:?}");
    if !prepend {
        let theirs = &case["to_string(to_tokens)"];
        assert_eq!(json!(model.to_string(&tokens).unwrap()), *theirs);
    }
}

#[test]
fn batches_are_padded_on_either_side() {
    each(|golden, model| {
        let recorded = golden.json("tl_tokenisation.json");
        let texts: Vec<String> = serde_json::from_value(recorded["batch_texts"].clone()).unwrap();
        for (side_name, side) in [("right", PaddingSide::Right), ("left", PaddingSide::Left)] {
            for (bos_name, bos) in [("True", true), ("False", false)] {
                let options = TokenOptions::new().padding_side(side).prepend_bos(bos);
                let tokens = model.to_tokens_with(&texts, options).unwrap();
                let tokens = json!(tokens.to_vec2::<u32>().unwrap());
                let key = format!("batch,padding_side={side_name},prepend_bos={bos_name}");
                assert_eq!(tokens, recorded[&key], "{key}");
            }
        }
    });
}

#[test]
fn single_tokens() {
    each(|golden, model| {
        let recorded = golden.json("tl_tokenisation.json");
        for (text, id) in recorded["to_single_token"].as_object().unwrap() {
            match model.to_single_token(text) {
                Ok(ours) => assert_eq!(json!(ours), *id, "{text:?}"),
                Err(error) => assert!(id.is_string(), "{text:?}: {error}, but theirs {id}"),
            }
        }
        for (id, text) in recorded["to_single_str_token"].as_object().unwrap() {
            let id: u32 = id.parse().unwrap();
            assert_eq!(json!(model.to_single_str_token(id).unwrap()), *text);
        }
    });
    let model = processed();
    let message = model.to_single_token(" ball").unwrap_err().to_string();
    assert!(message.contains("[\" b\", \"a\", \"ll\"]"), "{message}");
    assert!(model.to_single_token("").is_err());
}

#[test]
fn long_texts_are_cut_only_when_asked() {
    let model = processed();
    let text = "Once upon a time ".repeat(60);
    assert!(model.to_tokens(&text).unwrap().dim(1).unwrap() > 128);
    let cut = model
        .to_tokens_with(&text, TokenOptions::new().truncate(true))
        .unwrap();
    assert_eq!(cut.dims(), [1, 128]);
    assert_eq!(model.forward(&cut).unwrap().dims(), [1, 128, 336]);
}

#[test]
fn greedy_continuations() {
    each(|golden, model| {
        let recorded = golden.json("tl_generation.json");
        let prompt: Vec<u32> = serde_json::from_value(recorded["prompt"].clone()).unwrap();
        let greedy = Generate::new(10).stop_at_eos(false);
        let continued = |options: &Generate| -> Value {
            let generation = model.generate(&prompt, options).unwrap();
            json!(generation.tokens().to_vec2::<u32>().unwrap()[0])
        };
        for keeps_keys in [false, true] {
            let options = greedy.clone().use_past_kv_cache(keeps_keys);
            assert_eq!(
                continued(&options),
                recorded["greedy_kv=False"],
                "{keeps_keys}"
            );
            let doubled = Hooks::new().add(("attn_out", 0), |value, _| value * 2.);
            let theirs = &recorded["greedy_under_hook_attn_out_L0_x2_kv=False"];
            assert_eq!(continued(&options.hooks(&doubled)), *theirs);
        }
        assert_eq!(recorded["greedy_kv=False"], recorded["greedy_kv=True"]);

        let generation = model.generate(&prompt, &greedy).unwrap();
        assert_eq!(generation.new_tokens().unwrap().dims(), [1, 10]);
        // A batch gives what its prompts give alone.
        let batch = vec![prompt.clone(), vec![9; 6]];
        let batch = model.generate(batch, &greedy).unwrap();
        let first = json!(batch.tokens().to_vec2::<u32>().unwrap()[0]);
        assert_eq!(first, recorded["greedy_kv=False"]);
    });
}

#[test]
fn hooks_see_all_positions_or_the_newest() {
    let model = processed();
    let seen = |keeps_keys: Option<bool>| {
        let shapes = Arc::new(Mutex::new(Vec::new()));
        let hook = shapes.clone();
        let hooks = Hooks::new().add(("pattern", 1), move |value: &Tensor, _: &_| {
            hook.lock().unwrap().push(value.dims()[2..].to_vec());
        });
        let mut options = Generate::new(3).stop_at_eos(false).hooks(&hooks);
        if let Some(keeps_keys) = keeps_keys {
            options = options.use_past_kv_cache(keeps_keys);
        }
        model.generate([5u32, 6, 7, 8], &options).unwrap();
        shapes.lock().unwrap().clone()
    };
    assert_eq!(seen(None), [[4, 4], [5, 5], [6, 6]]);
    assert_eq!(seen(Some(true)), [[4, 4], [1, 5], [1, 6]]);
}

#[test]
fn kept_keys_change_nothing_in_padded_batches() {
    each(|_, model| {
        let texts = ["Once upon a time, Kitty saw", "Hi", "Once upon"];
        let greedy = Generate::new(6).stop_at_eos(false);
        let whole = model.generate(texts, &greedy.clone().use_past_kv_cache(false));
        let step_by_step = model.generate(texts, &greedy);
        assert_eq!(whole.unwrap().texts(), step_by_step.unwrap().texts());
    });
}

#[test]
fn text_is_streamed_as_it_grows() {
    let model = processed();
    let pieces = Arc::new(Mutex::new(Vec::new()));
    let print = pieces.clone();
    let options = Generate::new(12)
        .stop_at_eos(false)
        .stream_to(move |piece| print.lock().unwrap().push(piece.to_owned()));
    let generation = model.generate("Once upon a time", &options).unwrap();
    let pieces = pieces.lock().unwrap();
    assert_eq!(pieces[0], "Once upon a time");
    assert!(pieces.len() > 5, "{pieces:?}");
    assert!(generation.to_string().starts_with(&pieces.concat()));
    let error = model.generate(["a", "b"], &options).unwrap_err();
    assert!(error.to_string().contains("one by one"), "{error}");
}

#[test]
fn a_batch_of_texts_continues_as_its_texts_do_alone() {
    let model = processed();
    let texts = ["Once upon a time, Kitty saw", "Hi", "Once upon"];
    let greedy = Generate::new(8).stop_at_eos(false);
    let batch = model.generate(texts, &greedy).unwrap();
    assert_eq!(batch.new_tokens().unwrap().dims(), [3, 8]);
    for (text, together) in texts.iter().zip(batch.texts()) {
        let alone = model.generate(*text, &greedy).unwrap();
        assert_eq!(alone.texts(), [together]);
    }
}

#[test]
fn draws_depend_on_the_seed_alone() {
    let model = processed();
    let sample = |seed: u64| {
        let options = Generate::new(12)
            .temperature(1.)
            .top_k(50)
            .seed(seed)
            .stop_at_eos(false);
        let generation = model.generate("Once upon a time", &options).unwrap();
        generation.texts().remove(0)
    };
    assert_eq!(sample(1), sample(1));
    assert_ne!(sample(1), sample(2));
    assert!(sample(1).starts_with("Once upon a time"));
}

#[test]
fn generation_ends_at_the_end_of_the_text() {
    let model = processed();
    // Token 0 is the end of the text; this hook makes it the likeliest.
    let ending = Hooks::new().add("unembed.hook_out", |logits, _| {
        ferrolens::math::set_at(logits, 2, 0, 1e4)
    });
    let generation = model
        .generate("Once", &Generate::new(9).hooks(&ending))
        .unwrap();
    assert_eq!(generation.new_tokens().unwrap().dims(), [1, 1]);
}

#[test]
fn a_tokens_place_in_a_prompt() {
    let model = processed();
    let tokens = [5u32, 7, 9, 7, 3];
    let at = |which| model.get_token_position(7u32, tokens, which);
    assert_eq!(at(Occurrence::First).unwrap(), 1);
    assert_eq!(at(Occurrence::Last).unwrap(), 3);
    let error = model
        .get_token_position(8u32, tokens, Occurrence::First)
        .unwrap_err();
    assert!(error.to_string().contains("does not occur"), "{error}");
    let batch = vec![vec![1u32, 2], vec![3, 4]];
    let error = model
        .get_token_position(1u32, batch, Occurrence::First)
        .unwrap_err();
    assert!(error.to_string().contains("batch has 2"), "{error}");
}

#[test]
fn a_batch_is_not_run_together() {
    let model = processed();
    let batch = vec![vec![5u32, 7], vec![9, 3]];
    let texts = model.to_strings(batch.clone()).unwrap();
    assert_eq!(texts.len(), 2);
    assert_eq!(texts[0], model.to_string([5u32, 7]).unwrap());
    for error in [
        model.to_string(batch.clone()).unwrap_err(),
        model.to_str_tokens(batch).unwrap_err(),
        model.to_str_tokens(["Once", "upon a"]).unwrap_err(),
    ] {
        assert!(error.to_string().contains("2 prompts"), "{error}");
    }
}
