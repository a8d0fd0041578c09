//! Tokens and generated text against TransformerLens.

use super::{gpt2, processed};
use ferrolens::model::{Generate, Hooks, PaddingSide, TokenOptions};
use serde_json::{Value, json};

#[test]
fn tokens_and_their_texts() {
    let model = processed();
    let recorded = gpt2().json("tl_tokenisation.json");
    let cases = recorded["cases"].as_array().unwrap();
    for case in cases {
        let text = case["text"].as_str().unwrap();
        for (name, prepend) in [("True", true), ("False", false)] {
            let options = TokenOptions::new().prepend_bos(prepend);
            let tokens = model.to_tokens_with(text, options).unwrap();
            let ids = tokens.to_vec2::<u32>().unwrap().remove(0);
            assert_eq!(
                json!(ids),
                case[format!("to_tokens,prepend_bos={name}")],
                "{text:?}"
            );
            if ids.is_empty() {
                // TransformerLens gives [""] for no tokens; here there are as many texts as tokens.
                assert!(model.to_str_tokens(&tokens).unwrap().is_empty());
                continue;
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
    }
    assert!(cases.len() > 10);
}

#[test]
fn batches_are_padded_on_either_side() {
    let model = processed();
    let recorded = gpt2().json("tl_tokenisation.json");
    let texts: Vec<String> = serde_json::from_value(recorded["batch_texts"].clone()).unwrap();
    for (side_name, side) in [("right", PaddingSide::Right), ("left", PaddingSide::Left)] {
        for (bos_name, bos) in [("True", true), ("False", false)] {
            let options = TokenOptions::new().padding_side(side).prepend_bos(bos);
            let tokens = model.to_tokens_with(&texts, options).unwrap();
            let key = format!("batch,padding_side={side_name},prepend_bos={bos_name}");
            assert_eq!(
                json!(tokens.to_vec2::<u32>().unwrap()),
                recorded[&key],
                "{key}"
            );
        }
    }
}

#[test]
fn single_tokens() {
    let model = processed();
    let recorded = gpt2().json("tl_tokenisation.json");
    for (text, id) in recorded["to_single_token"].as_object().unwrap() {
        assert_eq!(json!(model.to_single_token(text).unwrap()), *id, "{text:?}");
    }
    for (id, text) in recorded["to_single_str_token"].as_object().unwrap() {
        let id: u32 = id.parse().unwrap();
        assert_eq!(json!(model.to_single_str_token(id).unwrap()), *text);
    }
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
    let model = processed();
    let recorded = gpt2().json("tl_generation.json");
    let prompt: Vec<u32> = serde_json::from_value(recorded["prompt"].clone()).unwrap();
    let greedy = Generate::new(10).stop_at_eos(false);
    let continued = |options: &Generate| -> Value {
        let generation = model.generate(&prompt, options).unwrap();
        json!(generation.tokens().to_vec2::<u32>().unwrap()[0])
    };
    assert_eq!(continued(&greedy), recorded["greedy_kv=False"]);
    let doubled = Hooks::new().add(("attn_out", 0), |value, _| value * 2.);
    let theirs = &recorded["greedy_under_hook_attn_out_L0_x2_kv=False"];
    assert_eq!(continued(&greedy.clone().hooks(&doubled)), *theirs);

    let generation = model.generate(&prompt, &greedy).unwrap();
    assert_eq!(generation.new_tokens().unwrap().dims(), [1, 10]);
    let text = model.to_string(generation.tokens()).unwrap();
    assert_eq!(generation.to_string(), text);
    // A batch gives what its prompts give alone.
    let batch = model
        .generate(vec![prompt.clone(), vec![9; 6]], &greedy)
        .unwrap();
    assert_eq!(
        json!(batch.tokens().to_vec2::<u32>().unwrap()[0]),
        recorded["greedy_kv=False"]
    );
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
