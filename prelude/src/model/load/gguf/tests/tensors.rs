use super::*;
use crate::model::load::tensors::{TensorFile, Tensors, read_checked};

#[test]
fn llama_s_queries_and_keys_turn_in_halves_again() {
    let tensors = [
        ("token_embd.weight", counted(&[5, 8])),
        ("blk.0.attn_q.weight", counted(&[8, 8])),
        ("blk.0.attn_k.weight", counted(&[4, 8])),
        ("blk.0.attn_v.weight", counted(&[4, 8])),
    ];
    let first_column = |architecture: &str, name: &str, rows: usize| -> Vec<f32> {
        let file = open(&bytes(&metadata(architecture), &tensors)).unwrap();
        let tensor = read_checked(&file, name, &[rows, 8]).unwrap();
        let column = tensor.narrow(1, 0, 1).unwrap().flatten_all().unwrap();
        column
            .to_vec1::<f32>()
            .unwrap()
            .iter()
            .map(|number| number / 8.)
            .collect()
    };
    let [q, k, v] =
        ["q", "k", "v"].map(|which| format!("model.layers.0.self_attn.{which}_proj.weight"));
    assert_eq!(
        first_column("llama", &q, 8),
        [0., 2., 1., 3., 4., 6., 5., 7.]
    );
    assert_eq!(first_column("llama", &k, 4), [0., 2., 1., 3.]);
    assert_eq!(first_column("llama", &v, 4), [0., 1., 2., 3.]);
    assert_eq!(
        first_column("qwen2", &q, 8),
        [0., 1., 2., 3., 4., 5., 6., 7.]
    );
    assert_eq!(first_column("gemma", &k, 4), [0., 1., 2., 3.]);
}

#[test]
fn gemma_s_norms_lose_the_one() {
    let norms = [
        "output_norm",
        "blk.0.attn_norm",
        "blk.0.ffn_norm",
        "blk.0.post_attention_norm",
    ];
    let names = norms.map(|name| format!("{name}.weight"));
    let tensors = names.each_ref().map(|name| (name.as_str(), counted(&[8])));
    let file = open(&bytes(&metadata("gemma2"), &tensors)).unwrap();
    let theirs = [
        "model.norm",
        "model.layers.0.input_layernorm",
        "model.layers.0.pre_feedforward_layernorm",
        "model.layers.0.post_attention_layernorm",
    ];
    for name in theirs {
        let norm: Vec<f32> = read_checked(&file, &format!("{name}.weight"), &[8])
            .unwrap()
            .to_vec1()
            .unwrap();
        assert_eq!(norm[..3], [-1., 0., 1.], "{name}");
    }
}

#[test]
fn gpt_2_s_matrices_are_conv1d_again() {
    let tensors = [
        ("token_embd.weight", counted(&[5, 8])),
        ("blk.0.attn_qkv.weight", counted(&[24, 8])),
        ("blk.0.attn_qkv.bias", counted(&[24])),
    ];
    let file = open(&bytes(&metadata("gpt2"), &tensors)).unwrap();
    let matrix: Vec<Vec<f32>> = read_checked(&file, "h.0.attn.c_attn.weight", &[8, 24])
        .unwrap()
        .to_vec2()
        .unwrap();
    assert_eq!(matrix[1][..3], [1., 9., 17.]);
    read_checked(&file, "h.0.attn.c_attn.bias", &[24]).unwrap();
    assert_eq!(
        {
            let mut names = file.names();
            names.sort();
            names
        },
        [
            "h.0.attn.c_attn.bias",
            "h.0.attn.c_attn.weight",
            "wte.weight"
        ]
    );
}

#[test]
fn all_types_of_candle_are_read() {
    use GgmlDType::*;
    let tensor = Tensor::randn(0f32, 1., (3, 512), &Device::Cpu).unwrap();
    let types = [
        F32, F16, BF16, Q4_0, Q4_1, Q5_0, Q5_1, Q8_0, Q2K, Q3K, Q4K, Q5K, Q6K,
    ];
    for kind in types {
        let quantised = QTensor::quantize(&tensor, kind).unwrap();
        let expected: Vec<Vec<f32>> = quantised
            .dequantize(&Device::Cpu)
            .unwrap()
            .to_vec2()
            .unwrap();
        // A tensor in front, so that the offset counts.
        let first = QTensor::quantize(&counted(&[8]), F32).unwrap();
        let tensors = [
            ("output_norm.weight", first),
            ("token_embd.weight", quantised),
        ];
        let file = open(&quantised_bytes(&metadata("llama"), &tensors)).unwrap();
        let found = read_checked(&file, "model.embed_tokens.weight", &[3, 512]).unwrap();
        assert_eq!(found.to_vec2::<f32>().unwrap(), expected, "{kind:?}");
        let distance = (found - &tensor)
            .unwrap()
            .sqr()
            .unwrap()
            .mean_all()
            .unwrap();
        assert!(distance.to_scalar::<f32>().unwrap() < 0.15, "{kind:?}");
    }
}

#[test]
fn what_is_asked_for_must_be_there() {
    let tensors = [
        ("token_embd.weight", counted(&[5, 8])),
        ("output_norm.weight", (counted(&[8]) * f64::NAN).unwrap()),
    ];
    let file = open(&bytes(&metadata("llama"), &tensors)).unwrap();
    assert!(
        file.names().iter().any(|name| name == "model.norm.weight")
            && !file.names().iter().any(|name| name == "lm_head.weight")
    );
    let files = Tensors::of(vec![("model.gguf".to_owned(), Box::new(file))]);
    let error = |name: &str, shape: &[usize]| files.get(name, shape).unwrap_err().to_string();
    let message = error("model.embed_token.weight", &[5, 8]);
    assert!(
        message.starts_with("model.gguf: the tensor `model.embed_token.weight`"),
        "{message}"
    );
    assert!(
        message.contains("Did you mean `model.embed_tokens.weight`"),
        "{message}"
    );
    let message = error("model.embed_tokens.weight", &[8, 5]);
    assert!(
        message.contains("[5, 8]") && message.contains("[8, 5]"),
        "{message}"
    );
    assert!(message.contains("It looks transposed"), "{message}");
    files.get("model.norm.weight", &[8]).unwrap();
    let warnings = files.warnings();
    assert!(warnings[0].contains("not finite"), "{warnings:?}");
}
