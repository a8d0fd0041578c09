use super::*;
use serde_json::{Value as Json, json};

fn config(entries: &Entries, tensors: &[(&str, Tensor)]) -> Json {
    open(&bytes(entries, tensors)).unwrap().config().unwrap()
}

fn embedding() -> (&'static str, Tensor) {
    ("token_embd.weight", counted(&[5, 8]))
}

#[test]
fn llama_s_is_that_of_hugging_face() {
    let more = [
        ("llama.rope.freq_base", Value::F32(1e5)),
        ("llama.rope.dimension_count", Value::U32(4)),
        ("tokenizer.ggml.bos_token_id", Value::U32(1)),
        ("tokenizer.ggml.eos_token_id", Value::U32(u32::MAX)),
    ];
    let expected = json!({
        "model_type": "llama",
        "hidden_act": "silu",
        "num_hidden_layers": 1,
        "hidden_size": 8,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 4,
        "intermediate_size": 12,
        "max_position_embeddings": 16,
        "rms_norm_eps": 1e-6,
        "rope_theta": 1e5,
        "vocab_size": 5,
        "tie_word_embeddings": true,
        "bos_token_id": 1,
    });
    let entries = with(metadata("llama"), &more);
    assert_eq!(config(&entries, &[embedding()]), expected);
    let untied = config(
        &entries,
        &[embedding(), ("output.weight", counted(&[5, 8]))],
    );
    assert_eq!(untied["tie_word_embeddings"], false);
}

#[test]
fn gemma_2_s_has_caps_and_a_window() {
    let more = [
        ("gemma2.attention.key_length", Value::U32(6)),
        ("gemma2.attention.value_length", Value::U32(6)),
        ("gemma2.attention.sliding_window", Value::U32(4)),
        ("gemma2.attn_logit_softcapping", Value::F32(20.)),
    ];
    let config = config(&with(metadata("gemma2"), &more), &[embedding()]);
    let expected = [
        ("model_type", json!("gemma2")),
        ("head_dim", json!(6)),
        ("query_pre_attn_scalar", json!(6)),
        ("sliding_window", json!(4)),
        ("attn_logit_softcapping", json!(20.)),
        ("final_logit_softcapping", json!(30.)),
        ("hidden_activation", json!("gelu_pytorch_tanh")),
    ];
    for (name, value) in expected {
        assert_eq!(config[name], value, "{name}");
    }
}

#[test]
fn the_other_families_have_their_own_words() {
    let gpt2 = config(&metadata("gpt2"), &[embedding()]);
    assert_eq!(
        (&gpt2["n_positions"], &gpt2["n_inner"]),
        (&json!(16), &json!(12))
    );
    let more = [
        ("gptneox.rope.dimension_count", Value::U32(2)),
        ("gptneox.use_parallel_residual", Value::Bool(false)),
    ];
    let neox = config(&with(metadata("gptneox"), &more), &[embedding()]);
    assert_eq!(neox["rotary_pct"], 0.5);
    assert_eq!(neox["use_parallel_residual"], false);
    for family in ["qwen2", "qwen3", "gemma"] {
        assert_eq!(
            config(&metadata(family), &[embedding()])["model_type"],
            family
        );
    }
}

#[test]
fn stretched_frequencies_come_from_their_tensor() {
    // All pairs as Llama 3.1's slowest: by 8.
    let more = [("llama.rope.freq_base", Value::F32(5e5))];
    let entries = with(metadata("llama"), &more);
    let factors = |factors: &[f32]| {
        (
            "rope_freqs.weight",
            Tensor::new(factors, &Device::Cpu).unwrap(),
        )
    };
    let unstretched = config(&entries, &[embedding(), factors(&[1., 1.])]);
    assert_eq!(unstretched.get("rope_scaling"), None);
    let stretched = config(&entries, &[embedding(), factors(&[1., 2.0])]);
    assert_eq!(stretched["rope_scaling"]["rope_type"], "llama3");
    let message = error_of(&entries, &[embedding(), factors(&[2., 1.])]);
    assert!(message.contains("`rope_freqs.weight`"), "{message}");
}

#[test]
fn what_is_not_supported_is_said() {
    let message = error_of(&metadata("mamba"), &[]);
    assert!(
        message.contains("`mamba`") && message.contains("qwen2"),
        "{message}"
    );
    let refused = [
        ("llama.expert_count", Value::U32(8), "mixtures of experts"),
        ("llama.rope.scaling.type", text("yarn"), "`yarn`"),
        (
            "llama.rope.dimension_count",
            Value::U32(2),
            "2 of the 4 numbers",
        ),
        (
            "llama.attention.value_length",
            Value::U32(2),
            "values of 2 numbers",
        ),
        (
            "llama.attention.head_count",
            wholes(&[2, 4]),
            "from layer to layer",
        ),
        (
            "llama.embedding_length",
            Value::F32(8.),
            "`llama.embedding_length`",
        ),
        ("llama.block_count", Value::I32(-1), "`llama.block_count`"),
        ("split.count", Value::U16(3), "one of 3 files"),
        ("general.alignment", Value::U32(0), "alignment"),
    ];
    for (key, value, expected) in refused {
        let message = error_of(&with(metadata("llama"), &[(key, value)]), &[embedding()]);
        assert!(message.contains(expected), "{key}: {message}");
    }
    let strange = [embedding(), ("blk.0.attn_sinks.weight", counted(&[2]))];
    let message = error_of(&metadata("llama"), &strange);
    assert!(message.contains("`blk.0.attn_sinks.weight`"), "{message}");
}
