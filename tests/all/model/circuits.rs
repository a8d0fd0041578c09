//! Heads as factored matrices, their compositions and their patterns, against TransformerLens.

use super::{Noise, processed};
use crate::golden::{Golden, assert_close, values};
use candle_core::{DType, Device, Tensor};
use ferrolens::analysis::{
    Composition, DetectHead, ErrorMeasure, HeadPattern, TestPrompt, detection_pattern,
};
use ferrolens::math::FactoredMatrix;
use ferrolens::model::LoadOptions;
use serde_json::json;

/// Numbers of the last dimension in order, whatever order they were computed in.
fn sorted(tensor: &Tensor) -> Tensor {
    let (sorted, _) = tensor.contiguous().unwrap().sort_last_dim(false).unwrap();
    sorted
}

#[test]
fn circuits_are_transformer_lenss() {
    for family in ["gpt2", "llama"] {
        let golden = Golden::new(family);
        let model = golden.model(LoadOptions::new());
        let recorded = golden.tensors("tl_circuits.safetensors");
        for (name, matrix) in [("OV", model.OV().unwrap()), ("QK", model.QK().unwrap())] {
            let theirs = |what: &str| &recorded[&format!("{name}/{what}")];
            let label = |what: &str| format!("{family}, {name}/{what}");
            assert_close(&label("AB"), &matrix.AB().unwrap(), theirs("AB"), 1e-5);
            assert_close(
                &label("norm"),
                &matrix.norm().unwrap(),
                theirs("norm"),
                1e-5,
            );
            let svd = matrix.svd().unwrap();
            assert_close(&label("S"), &svd.S, theirs("S"), 1e-5);
            let scaled = svd.U.broadcast_mul(&svd.S.unsqueeze(2).unwrap()).unwrap();
            let product = scaled.matmul(&svd.Vh).unwrap();
            assert_close(&label("USVh"), &product, theirs("AB"), 1e-5);
            let eigenvalues = matrix.eigenvalues().unwrap();
            let (re, im) = (theirs("eigenvalues_real"), theirs("eigenvalues_imag"));
            assert_close(&label("re"), &sorted(&eigenvalues.re), &sorted(re), 1e-4);
            assert_close(&label("im"), &sorted(&eigenvalues.im), &sorted(im), 1e-4);
            let score = eigenvalues.copying_score().unwrap();
            assert_close(
                &label("copying_score"),
                &score,
                theirs("copying_score"),
                1e-4,
            );
        }
        let full = model
            .OV()
            .unwrap()
            .matmul_left(&model.W_E().unwrap())
            .unwrap();
        let full = full.matmul_right(&model.W_U().unwrap()).unwrap();
        assert_close(
            "full_OV",
            &full.norm().unwrap(),
            &recorded["full_OV/norm"],
            1e-3,
        );
        let score = full.eigenvalues().unwrap().copying_score().unwrap();
        assert_close("full_OV", &score, &recorded["full_OV/copying_score"], 1e-4);
        for (name, mode) in [
            ("Q", Composition::Q),
            ("K", Composition::K),
            ("V", Composition::V),
        ] {
            let ours = model.all_composition_scores(mode).unwrap();
            let theirs = &recorded[&format!("composition/{name}")];
            assert_close(
                &format!("{family}, composition {name}"),
                &ours,
                theirs,
                1e-5,
            );
        }
        let labels = &golden.json("tl_circuits.json")["all_head_labels"];
        assert_eq!(json!(model.all_head_labels()), *labels);
        for (name, bias) in [
            ("layer=1", model.accumulated_bias(1, false, true)),
            ("layer=1,mlp_input", model.accumulated_bias(1, true, true)),
            ("layer=2,no_mlp", model.accumulated_bias(2, false, false)),
        ] {
            let theirs = &recorded[&format!("accumulated_bias/{name}")];
            assert_close(name, &bias.unwrap(), theirs, 1e-5);
        }
    }
}

#[test]
fn factored_matrices_multiply_without_being_multiplied_out() {
    let mut noise = Noise(5);
    let (a, b) = (noise.tensor(&[2, 7, 3]), noise.tensor(&[2, 3, 5]));
    let (c, d) = (noise.tensor(&[2, 5, 2]), noise.tensor(&[2, 2, 7]));
    let first = FactoredMatrix::new(&a, &b).unwrap();
    let second = FactoredMatrix::new(&c, &d).unwrap();
    let product = first.matmul(&second).unwrap();
    assert_eq!((product.rank(), product.dims()), (2, vec![2, 7, 7]));
    let whole = first.AB().unwrap().matmul(&second.AB().unwrap()).unwrap();
    assert_close("product", &product.AB().unwrap(), &whole, 1e-5);
    let turned = first.T().unwrap().AB().unwrap();
    assert_close(
        "T",
        &turned,
        &first.AB().unwrap().transpose(1, 2).unwrap(),
        1e-6,
    );
    let left = first.collapse_l().unwrap();
    assert_close(
        "collapse_l",
        &FactoredMatrix::new(
            &first.get(0).unwrap().svd().unwrap().U,
            &left.get(0).unwrap(),
        )
        .unwrap()
        .AB()
        .unwrap(),
        &first.AB().unwrap().get(0).unwrap(),
        1e-5,
    );
    assert_eq!(first.get(1).unwrap().dims(), [7, 5]);
    let whole = first.AB().unwrap();
    let even = first.make_even().unwrap();
    assert_close("make_even", &even.AB().unwrap(), &whole, 1e-5);
    let of_halves = |side: &Tensor| values(&side.sqr().unwrap().sum_all().unwrap())[0];
    assert!((of_halves(&even.A) - of_halves(&even.B)).abs() < 1e-3);
    let corner = whole.narrow(1, 0, 4).unwrap().narrow(2, 0, 4).unwrap();
    assert_close("corner", &first.get_corner(4).unwrap(), &corner, 1e-6);
    assert_eq!(first.get_corner(99).unwrap().dims(), whole.dims());

    let error = FactoredMatrix::new(&a, &c).unwrap_err().to_string();
    assert!(
        error.contains("[2, 7, 3]") && error.contains("[2, 5, 2]"),
        "{error}"
    );
    assert!(first.get(2).unwrap_err().to_string().contains("no index 2"));
    let error = first.eigenvalues().unwrap_err().to_string();
    assert!(error.contains("not square"), "{error}");
    let nan = (b * f64::NAN).unwrap();
    let error = FactoredMatrix::new(&a, &nan)
        .unwrap()
        .svd()
        .unwrap_err()
        .to_string();
    assert!(error.contains("not finite"), "{error}");
}

fn measure_of(name: &str) -> ErrorMeasure {
    match name {
        "abs" => ErrorMeasure::Abs,
        "mul" => ErrorMeasure::Mul,
        other => panic!("{other}"),
    }
}

#[test]
fn heads_are_detected_by_a_matrix_as_by_transformer_lens() {
    for family in ["gpt2", "llama"] {
        let golden = Golden::new(family);
        let model = golden.model(LoadOptions::new());
        let (answers, matrices) = (
            golden.json("tl_questions.json"),
            golden.tensors("tl_questions.safetensors"),
        );
        let text = golden.json("tl_head_detector.json")["text"].clone();
        let text = text.as_str().unwrap();
        let cases = answers["detect_head"].as_array().unwrap();
        assert_eq!(cases.len(), 12);
        for case in cases {
            let matrix = &matrices[&format!("pattern/{}", case["pattern"].as_str().unwrap())];
            let is_on = |name: &str| case[name].as_bool().unwrap_or(false);
            let mut options = DetectHead::new()
                .error_measure(measure_of(case["measure"].as_str().unwrap()))
                .exclude_bos(is_on("exclude_bos"))
                .exclude_current_token(is_on("exclude_current_token"));
            if let Ok(heads) = serde_json::from_value::<Vec<(usize, usize)>>(case["heads"].clone())
            {
                options = options.heads(heads);
            }
            let theirs: Vec<Vec<f32>> = serde_json::from_value(case["scores"].clone()).unwrap();
            let theirs = Tensor::new(theirs, &Device::Cpu).unwrap();
            let ours = model.detect_head(text, matrix, options).unwrap();
            assert_close(&format!("{family}, {case}"), &ours, &theirs, 6e-4);
        }
        let matrix = &matrices["pattern/01"];
        let error = |error: ferrolens::Error| error.to_string();
        let short = model.detect_head("Tom", matrix, DetectHead::new());
        let short = error(short.unwrap_err());
        assert!(short.contains("does not fit a prompt of"), "{short}");
        let upper = model.detect_head(text, matrix.t().unwrap(), DetectHead::new());
        let upper = error(upper.unwrap_err());
        assert!(upper.contains("above the diagonal"), "{upper}");
        let nowhere = model.detect_head(text, matrix, DetectHead::new().heads([(9, 0)]));
        let nowhere = error(nowhere.unwrap_err());
        assert!(nowhere.contains("no head 0 in a layer 9"), "{nowhere}");
    }
}

#[test]
fn heads_are_detected_as_by_transformer_lens() {
    for family in ["gpt2", "llama"] {
        let golden = Golden::new(family);
        let model = golden.model(LoadOptions::new());
        let recorded = golden.json("tl_head_detector.json");
        let patterns = golden.tensors("tl_circuits.safetensors");
        let tokens: Vec<u32> = serde_json::from_value(recorded["tokens"].clone()).unwrap();
        let mut compared = 0;
        for (key, theirs) in recorded["scores"].as_object().unwrap() {
            let parts: Vec<&str> = key.split(',').collect();
            let options = DetectHead::new();
            let text = recorded["text"].as_str().unwrap();
            let short = recorded["short"].as_str().unwrap();
            let theirs: Vec<Vec<f32>> = serde_json::from_value(theirs.clone()).unwrap();
            let theirs = Tensor::new(theirs, &Device::Cpu).unwrap();
            let [name, measure, bos, current] = parts[..] else {
                let (name, measure) = (parts[0], parts[1]);
                let ours = match parts[2] {
                    "list_of_two_texts" => {
                        let options = options.error_measure(measure_of(measure));
                        model.detect_head([text, short], name, options)
                    }
                    _ => model.detect_head(text, name, options.heads([(0, 1), (1, 2)])),
                };
                assert_close(&format!("{family}, {key}"), &ours.unwrap(), &theirs, 6e-4);
                compared += 1;
                continue;
            };
            let pattern = HeadPattern::try_from(name).unwrap();
            let wanted = detection_pattern(&tokens, pattern).unwrap();
            let recorded = &patterns[&format!("detection_pattern/{name}")];
            assert_close(name, &wanted, &recorded.to_dtype(DType::F32).unwrap(), 0.);
            let options = options
                .error_measure(measure_of(measure))
                .exclude_bos(bos.ends_with("True"))
                .exclude_current_token(current.ends_with("True"));
            let ours = model.detect_head(text, pattern, options).unwrap();
            // Absolute differences were rounded to three decimals.
            assert_close(&format!("{family}, {key}"), &ours, &theirs, 6e-4);
            compared += 1;
        }
        assert!(compared >= 29, "{compared}");
    }
    let error = HeadPattern::try_from("inducton_head")
        .unwrap_err()
        .to_string();
    assert!(error.contains("Did you mean `induction_head`"), "{error}");
    assert!(
        processed()
            .detect_head([3u32], HeadPattern::Induction, DetectHead::new())
            .is_err()
    );
}

#[test]
fn prompts_are_tested_as_by_transformer_lens() {
    let golden = Golden::new("gpt2");
    let model = processed();
    let recorded = golden.json("tl_circuits.json");
    let mut compared = 0;
    for case in recorded["test_prompt"].as_array().unwrap() {
        let prompt = case["prompt"].as_str().unwrap();
        let answers: Vec<String> = match case["answer"].as_str() {
            Some(answer) => vec![answer.to_owned()],
            None => serde_json::from_value(case["answer"].clone()).unwrap(),
        };
        let with_space = case["kwargs"]["prepend_space_to_answer"]
            .as_bool()
            .unwrap_or(true);
        let top_k = case["kwargs"]["top_k"].as_u64().unwrap_or(10) as usize;
        let options = TestPrompt::new()
            .prepend_space_to_answer(with_space)
            .top_k(top_k);
        let options = match case["kwargs"]["prepend_bos"].as_bool() {
            Some(prepend_bos) => options.prepend_bos(prepend_bos),
            None => options,
        };
        let ours = model
            .test_prompt(prompt, answers, options)
            .unwrap()
            .to_string();
        let theirs = case["stdout"].as_str().unwrap();
        // Quotation marks are Python's there, and long lines are broken.
        let plain = |text: &str| text.replace(['\'', '"', '\n', ' '], "");
        match case["kwargs"]["print_details"].as_bool() {
            Some(false) => assert!(plain(&ours).ends_with(&plain(theirs))),
            _ => assert_eq!(plain(&ours), plain(theirs)),
        }
        compared += 1;
    }
    assert_eq!(compared, 5);
    let none: Vec<&str> = Vec::new();
    assert!(model.test_prompt("Once", none, TestPrompt::new()).is_err());
    assert!(
        model
            .test_prompt("Once", "", TestPrompt::new().prepend_space_to_answer(false))
            .is_err()
    );
}
