//! Small checkpoints, written here as `export.py` writes them.

use super::*;
use crate::model::load::tensors::{TensorFile, read_checked};
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};

/// dim, hidden_dim, n_layers, n_heads, n_kv_heads, vocab_size, seq_len.
const SIZES: [i32; 7] = [8, 12, 2, 2, 1, 5, 3];

fn file(bytes: &[u8]) -> File {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("llama2c-test-{}-{count}", std::process::id());
    let path = std::env::temp_dir().join(name);
    File::create(&path).unwrap().write_all(bytes).unwrap();
    let file = File::open(&path).unwrap();
    std::fs::remove_file(path).unwrap();
    file
}

fn open(bytes: &[u8]) -> Result<Llama2cFile> {
    Llama2cFile::open("model.bin".to_owned(), file(bytes))
}

fn header(sizes: [i32; 7], version: i32, is_tied: bool, group: i32) -> Vec<u8> {
    let numbers = [0x616b_3432, version].into_iter().chain(sizes);
    let mut bytes: Vec<u8> = numbers.flat_map(i32::to_le_bytes).collect();
    bytes.push(u8::from(is_tied));
    bytes.extend(group.to_le_bytes());
    bytes.resize(256, 0);
    bytes
}

fn legacy(sizes: [i32; 7], numbers: usize) -> Vec<u8> {
    let mut bytes: Vec<u8> = sizes.into_iter().flat_map(i32::to_le_bytes).collect();
    bytes.extend((0..numbers).flat_map(|number| (number as f32).to_le_bytes()));
    bytes
}

/// The first number of a tensor.
fn first(file: &Llama2cFile, name: &str, shape: &[usize]) -> f32 {
    let tensor = read_checked(file, name, shape)
        .unwrap()
        .flatten_all()
        .unwrap();
    tensor.to_vec1::<f32>().unwrap()[0]
}

const ATTENTION: usize = 8 * 8 + 4 * 8 + 4 * 8 + 8 * 8;
const MLP: usize = 3 * 12 * 8;
const WORDS: usize = 5 * 8;
/// Everything but the unembedding and the angles.
const NUMBERS: usize = WORDS + 2 * (8 + ATTENTION + 8 + MLP) + 8;
const ANGLES: usize = 3 * 4;

#[test]
fn the_legacy_order_is_found() {
    let file = open(&legacy(SIZES, NUMBERS + ANGLES)).unwrap();
    let at = |name: &str, shape: &[usize]| first(&file, name, shape) as usize;
    assert_eq!(at("model.embed_tokens.weight", &[5, 8]), 0);
    assert_eq!(at("model.layers.1.input_layernorm.weight", &[8]), WORDS + 8);
    let queries = WORDS + 16;
    assert_eq!(
        at("model.layers.0.self_attn.q_proj.weight", &[8, 8]),
        queries
    );
    assert_eq!(
        at("model.layers.1.self_attn.k_proj.weight", &[4, 8]),
        queries + 2 * 64 + 32
    );
    let norms = queries + 2 * ATTENTION;
    assert_eq!(
        at("model.layers.0.post_attention_layernorm.weight", &[8]),
        norms
    );
    assert_eq!(
        at("model.layers.0.mlp.gate_proj.weight", &[12, 8]),
        norms + 16
    );
    assert_eq!(
        at("model.layers.0.mlp.down_proj.weight", &[8, 12]),
        norms + 16 + 2 * 96
    );
    assert_eq!(
        at("model.layers.0.mlp.up_proj.weight", &[12, 8]),
        norms + 16 + 4 * 96
    );
    assert_eq!(at("model.norm.weight", &[8]), NUMBERS - 8);
    assert!(!file.names().iter().any(|name| name == "lm_head.weight"));
    assert_eq!(file.names().len(), 2 + 2 * 9);
    let config = file.config();
    assert_eq!(
        (&config["num_key_value_heads"], &config["head_dim"]),
        (&json!(1), &json!(4))
    );
    assert_eq!(config["tie_word_embeddings"], true);

    let queries = read_checked(&file, "model.layers.0.self_attn.q_proj.weight", &[8, 8]).unwrap();
    let column = queries.narrow(1, 0, 1).unwrap().flatten_all().unwrap();
    let rows = column.to_vec1::<f32>().unwrap();
    let rows: Vec<usize> = rows
        .iter()
        .map(|row| (*row as usize - WORDS - 16) / 8)
        .collect();
    assert_eq!(rows, [0, 2, 1, 3, 4, 6, 5, 7]);
}

#[test]
fn a_negative_vocabulary_has_its_own_unembedding() {
    let mut sizes = SIZES;
    sizes[5] = -5;
    let file = open(&legacy(sizes, NUMBERS + ANGLES + WORDS)).unwrap();
    assert_eq!(
        first(&file, "lm_head.weight", &[5, 8]) as usize,
        NUMBERS + ANGLES
    );
    assert_eq!(file.config()["vocab_size"], 5);
    assert_eq!(file.config()["tie_word_embeddings"], false);
}

#[test]
fn version_1_has_norms_first() {
    let mut bytes = header(SIZES, 1, false, 0);
    bytes.extend((0..NUMBERS + WORDS).flat_map(|number| (number as f32).to_le_bytes()));
    let file = open(&bytes).unwrap();
    let at = |name: &str, shape: &[usize]| first(&file, name, shape) as usize;
    assert_eq!(
        at("model.layers.1.post_attention_layernorm.weight", &[8]),
        24
    );
    assert_eq!(at("model.norm.weight", &[8]), 32);
    assert_eq!(at("model.embed_tokens.weight", &[5, 8]), 40);
    assert_eq!(
        at("model.layers.0.self_attn.q_proj.weight", &[8, 8]),
        40 + WORDS
    );
    assert_eq!(at("lm_head.weight", &[5, 8]), NUMBERS);
}

#[test]
fn version_2_has_bytes_and_scales() {
    let mut bytes = header(SIZES, 2, true, 4);
    bytes.extend([0; 4 * (4 * 8 + 8)]);
    // The embedding: bytes count down from zero, and group by group scales count up from one.
    bytes.extend((0..WORDS).map(|number| (number as u8).wrapping_neg()));
    bytes.extend((0..WORDS / 4).flat_map(|group| (1. + group as f32).to_le_bytes()));
    let rest = 2 * (ATTENTION + MLP);
    bytes.extend(vec![0; rest + rest / 4 * 4]);
    let file = open(&bytes).unwrap();
    let embedding = read_checked(&file, "model.embed_tokens.weight", &[5, 8]).unwrap();
    let embedding: Vec<f32> = embedding.flatten_all().unwrap().to_vec1().unwrap();
    let expected: Vec<f32> = (0..WORDS)
        .map(|i| -(i as f32) * (1. + (i / 4) as f32))
        .collect();
    assert_eq!(embedding, expected);
    assert_eq!(
        first(&file, "model.layers.1.mlp.up_proj.weight", &[12, 8]),
        0.
    );
}

#[test]
fn other_files_are_refused() {
    let whole = legacy(SIZES, NUMBERS + ANGLES);
    for length in (0..28).chain([28, 100, whole.len() - 1]) {
        let message = open(&whole[..length]).err().unwrap().to_string();
        assert!(message.contains("cut off"), "{length}: {message}");
    }
    let longer = [whole.as_slice(), &[0]].concat();
    assert!(open(&longer).is_err());
    let message = open(&header(SIZES, 7, true, 0)).err().unwrap().to_string();
    assert!(message.contains("version 7"), "{message}");
    assert!(
        open(&header(SIZES, 2, true, 3))
            .err()
            .unwrap()
            .to_string()
            .contains("groups of 3")
    );
    assert!(open(&header(SIZES, 2, true, 0)).is_err());
    let strange = [
        [0; 7],
        [-1; 7],
        [i32::MAX; 7],
        [8, 8, i32::MAX, 2, 2, 8, 8],
        [6, 1, 1, 4, 1, 1, 1],
    ];
    for sizes in strange {
        assert!(open(&legacy(sizes, 100)).is_err(), "{sizes:?}");
        for version in [1, 2] {
            let bytes = header(sizes, version, true, 1);
            assert!(open(&bytes).is_err(), "{sizes:?}");
        }
    }
}

fn tokenizer_bin(tokens: &[(&str, f32)]) -> Vec<u8> {
    let mut bytes = 9i32.to_le_bytes().to_vec();
    for (text, score) in tokens {
        bytes.extend(score.to_le_bytes());
        bytes.extend((text.len() as i32).to_le_bytes());
        bytes.extend(text.as_bytes());
    }
    bytes
}

#[test]
fn both_editions_of_the_tokenizer_are_read() {
    let named: Vec<String> = (0..256).map(|byte| format!("<0x{byte:02X}>")).collect();
    let written: Vec<String> = (0..=255u8)
        .map(|byte| char::from(byte).to_string())
        .collect();
    for bytes in [named, written] {
        let mut tokens = vec![("<unk>", 0.), ("\n<s>\n", 0.), ("\n</s>\n", 0.)];
        tokens.extend(bytes.iter().map(|byte| (byte.as_str(), 0.)));
        tokens.extend([(" ", -3.), ("a", -4.), (" a", -1.)]);
        let rebuilt = tokenizer::tokenizer(&tokenizer_bin(&tokens), tokens.len()).unwrap();
        let ids = rebuilt.tokenizer.encode("a é\n<s>", false).unwrap();
        assert_eq!(ids.get_ids(), [261, 259, 3 + 0xc3, 3 + 0xa9, 3 + 10, 1]);
        assert_eq!(rebuilt.bos.as_deref(), Some("<s>"));
        let text = "  a\té 日本\n";
        let ids = rebuilt.tokenizer.encode(text, false).unwrap();
        assert_eq!(
            rebuilt.tokenizer.decode(ids.get_ids(), false).unwrap(),
            text
        );
    }
}

#[test]
fn a_damaged_tokenizer_is_refused() {
    let whole = tokenizer_bin(&[("<unk>", 0.), ("<s>", 0.), ("</s>", 0.), ("a", -1.)]);
    let of = |bytes: &[u8]| {
        tokenizer::tokenizer(bytes, 4)
            .map(|_| ())
            .unwrap_err()
            .to_string()
    };
    tokenizer::tokenizer(&whole, 4).unwrap();
    for length in 0..whole.len() {
        let message = of(&whole[..length]);
        assert!(
            message.contains("cut off") || message.contains("another model"),
            "{message}"
        );
    }
    let mut damaged = whole.clone();
    damaged[8..12].fill(0xff);
    assert!(of(&damaged).contains("cut off"));
    let mut damaged = whole;
    *damaged.last_mut().unwrap() = 0xff;
    assert!(of(&damaged).contains("no text"));
}
