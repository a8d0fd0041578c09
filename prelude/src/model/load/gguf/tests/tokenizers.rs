use super::super::super::rebuilt::RebuiltTokenizer;
use super::*;

fn tokenizer(entries: &Entries) -> Result<RebuiltTokenizer> {
    let file = open(&bytes(entries, &[])).unwrap();
    file.tokenizer().map(|tokenizer| tokenizer.unwrap())
}

/// All bytes in GPT-2's alphabet, so that any text has tokens.
fn alphabet() -> Vec<String> {
    let mut alphabet: Vec<char> = ::tokenizers::pre_tokenizers::byte_level::ByteLevel::alphabet()
        .into_iter()
        .collect();
    alphabet.sort_unstable();
    alphabet.into_iter().map(String::from).collect()
}

fn byte_pairs(pre: &str) -> Entries {
    let alphabet = alphabet();
    let mut tokens: Vec<&str> = alphabet.iter().map(String::as_str).collect();
    tokens.extend(["\u{120}a", "12", "<|end|>", "<tool>", "ab"]);
    let mut kinds = vec![1; tokens.len()];
    (kinds[258], kinds[259]) = (3, 4);
    let more = [
        ("tokenizer.ggml.model", text("gpt2")),
        ("tokenizer.ggml.pre", text(pre)),
        ("tokenizer.ggml.tokens", texts(&tokens)),
        ("tokenizer.ggml.token_type", wholes(&kinds)),
        ("tokenizer.ggml.merges", texts(&["\u{120} a", "1 2"])),
        ("tokenizer.ggml.eos_token_id", Value::U32(258)),
    ];
    with(metadata("llama"), &more)
}

fn words(rebuilt: &RebuiltTokenizer, text: &str) -> Vec<String> {
    rebuilt
        .tokenizer
        .encode(text, false)
        .unwrap()
        .get_tokens()
        .to_vec()
}

fn there_and_back(rebuilt: &RebuiltTokenizer) {
    let texts = [
        "",
        " ",
        "a b",
        "  12\n\n\tab é 日本 🙂 ",
        "x<|end|>y <tool> z\r\n",
        "It's 1234's.",
    ];
    for text in texts {
        let ids = rebuilt.tokenizer.encode(text, false).unwrap();
        assert_eq!(
            rebuilt.tokenizer.decode(ids.get_ids(), false).unwrap(),
            text
        );
    }
}

#[test]
fn byte_pairs_follow_their_pre_tokenizer() {
    for pre in [
        "gpt-2",
        "smollm",
        "llama-bpe",
        "qwen2",
        "tekken",
        "olmo",
        "stablelm2",
    ] {
        there_and_back(&tokenizer(&byte_pairs(pre)).unwrap());
    }
    let gpt2 = tokenizer(&byte_pairs("gpt-2")).unwrap();
    assert_eq!(words(&gpt2, "12 a<|end|>"), ["12", "\u{120}a", "<|end|>"]);
    assert_eq!(
        (gpt2.bos, gpt2.eos.as_deref(), gpt2.add_bos),
        (None, Some("<|end|>"), false)
    );
    let smollm = tokenizer(&byte_pairs("smollm")).unwrap();
    assert_eq!(words(&smollm, "12<tool>"), ["1", "2", "<tool>"]);
    // Words that are tokens stay whole without a merge.
    let llama = tokenizer(&byte_pairs("llama-bpe")).unwrap();
    assert_eq!(words(&llama, "ab"), ["ab"]);
    assert_eq!(words(&smollm, "ab"), ["a", "b"]);
    assert!(llama.add_bos);
}

#[test]
fn sentencepiece_is_made_of_scores() {
    let bytes: Vec<String> = (0..256).map(|byte| format!("<0x{byte:02X}>")).collect();
    let mut tokens = vec!["<unk>", "<s>", "</s>"];
    tokens.extend(bytes.iter().map(String::as_str));
    tokens.extend(["\u{2581}", "a", "b", "\u{2581}a", "ab"]);
    let mut kinds = vec![6; tokens.len()];
    (kinds[0], kinds[1], kinds[2]) = (2, 3, 3);
    kinds[259..].fill(1);
    let scores = (0..tokens.len())
        .map(|id| Value::F32(-(id as f32)))
        .collect();
    let more = [
        ("tokenizer.ggml.model", text("llama")),
        ("tokenizer.ggml.tokens", texts(&tokens)),
        ("tokenizer.ggml.scores", Value::Array(scores)),
        ("tokenizer.ggml.token_type", wholes(&kinds)),
    ];
    let entries = with(metadata("llama"), &more);
    let rebuilt = tokenizer(&entries).unwrap();
    assert_eq!(
        words(&rebuilt, "ab é"),
        ["\u{2581}a", "b", "\u{2581}", "<0xC3>", "<0xA9>"]
    );
    assert_eq!(
        (rebuilt.bos.as_deref(), rebuilt.eos.as_deref()),
        (Some("<s>"), Some("</s>"))
    );
    assert!(rebuilt.add_bos);
    let more = [("tokenizer.ggml.add_space_prefix", Value::Bool(false))];
    let without = tokenizer(&with(entries, &more)).unwrap();
    assert_eq!(words(&without, "ab"), ["ab"]);
}

#[test]
fn damaged_or_unknown_tokenizers_are_refused() {
    let refused = [
        ("tokenizer.ggml.model", text("bert"), "`bert`"),
        ("tokenizer.ggml.pre", text("kimi-k2"), "`kimi-k2`"),
        (
            "tokenizer.ggml.pre",
            text("default"),
            "`tokenizer.ggml.pre`",
        ),
        ("tokenizer.ggml.merges", texts(&["1 2 3"]), "\"1 2 3\""),
        ("tokenizer.ggml.merges", texts(&["12"]), "\"12\""),
        // Longer than any token: the library would panic.
        (
            "tokenizer.ggml.merges",
            texts(&["<|end|> <|end|>"]),
            "<|end|> <|end|>",
        ),
        (
            "tokenizer.ggml.token_type",
            wholes(&[1, 1]),
            "2 entries for 261 tokens",
        ),
        (
            "tokenizer.ggml.tokens",
            texts(&["a", "a"]),
            "entries for 2 tokens",
        ),
        (
            "tokenizer.ggml.tokens",
            Value::U32(1),
            "`tokenizer.ggml.tokens` is missing",
        ),
    ];
    for (key, value, expected) in refused {
        let refused = tokenizer(&with(byte_pairs("gpt-2"), &[(key, value)]));
        let message = refused.err().unwrap().to_string();
        assert!(message.contains(expected), "{key}: {message}");
    }
    let none = open(&bytes(&metadata("llama"), &[])).unwrap();
    assert!(none.tokenizer().unwrap().is_none());
}
