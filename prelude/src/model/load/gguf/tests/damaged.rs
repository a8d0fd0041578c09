use super::*;
use crate::model::load::tensors::read_checked;

fn model() -> Vec<u8> {
    let more = [
        ("tokenizer.ggml.model", text("gpt2")),
        ("tokenizer.ggml.pre", text("gpt-2")),
        ("tokenizer.ggml.tokens", texts(&["a", "b", "ab"])),
        ("tokenizer.ggml.merges", texts(&["a b"])),
    ];
    let tensors = [
        ("token_embd.weight", counted(&[3, 8])),
        ("blk.0.attn_q.weight", counted(&[8, 8])),
    ];
    bytes(&with(metadata("llama"), &more), &tensors)
}

/// Everything that a loader would ask for: nothing may panic.
fn ask(bytes: &[u8]) -> bool {
    let Ok(file) = open(bytes) else {
        return false;
    };
    let answers = [
        file.config().is_ok(),
        file.tokenizer().is_ok(),
        read_checked(&file, "model.embed_tokens.weight", &[3, 8]).is_ok(),
        read_checked(&file, "model.layers.0.self_attn.q_proj.weight", &[8, 8]).is_ok(),
    ];
    answers.into_iter().all(|answer| answer)
}

#[test]
fn a_file_that_is_cut_off_is_refused_wherever() {
    let whole = model();
    assert!(ask(&whole));
    for length in 0..whole.len() {
        let error = open(&whole[..length]).err().unwrap().to_string();
        assert!(error.starts_with("model.gguf: "), "{length}: {error}");
    }
}

#[test]
fn no_damaged_byte_is_a_panic() {
    let whole = model();
    for place in 0..whole.len() {
        for byte in [0, 1, 9, 0x7f, 0xff] {
            let mut damaged = whole.clone();
            damaged[place] = byte;
            ask(&damaged);
        }
        // Lengths and sizes of eight bytes.
        let mut damaged = whole.clone();
        for byte in damaged.iter_mut().skip(place).take(8) {
            *byte = 0xff;
        }
        ask(&damaged);
    }
}

#[test]
fn types_that_cannot_be_read_are_named_with_their_tensor() {
    let mut bytes = model();
    let name = b"blk.0.attn_q.weight";
    let place = bytes
        .windows(name.len())
        .position(|window| window == name)
        .unwrap();
    let number_type = place + name.len() + 4 + 2 * 8;
    assert_eq!(bytes[number_type..number_type + 4], [0; 4]);
    bytes[number_type] = 23;
    let file = open(&bytes).unwrap();
    let asked = read_checked(&file, "model.layers.0.self_attn.q_proj.weight", &[8, 8]);
    let message = asked.unwrap_err().to_string();
    assert!(
        message.contains("`blk.0.attn_q.weight`") && message.contains("IQ4_XS"),
        "{message}"
    );
    read_checked(&file, "model.embed_tokens.weight", &[3, 8]).unwrap();
}
