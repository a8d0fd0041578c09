//! The directions of latents.

use crate::golden::{Golden, PROCESSED, assert_close, values};
use crate::sae::interventions::latents::workflow;
use crate::sae::interventions::{gpt2, message, standard};
use candle_core::{DType, Device, IndexOp, Tensor};
use ferrolens::analysis::{
    CosineHistogram, covariance, covariance_matched_directions, difference_directions,
    isotropic_directions,
};
use ferrolens::sae::{Gate, Sae, SaeConfig};
use std::collections::HashMap;

fn recorded() -> HashMap<String, Tensor> {
    Golden::new("sensitive_directions").tensors("golden.safetensors")
}

/// An autoencoder with this decoder.
fn sae_of(W_dec: &Tensor) -> Sae {
    let (d_sae, d) = W_dec.dims2().unwrap();
    let zeros = |n: usize| Tensor::zeros(n, DType::F32, &Device::Cpu).unwrap();
    let cfg = SaeConfig::new(d, d_sae).hook_name("blocks.1.hook_resid_pre");
    let W_enc = W_dec.t().unwrap().contiguous().unwrap();
    Sae::new(
        cfg,
        W_enc,
        zeros(d_sae),
        W_dec.clone(),
        zeros(d),
        Gate::Relu,
    )
    .unwrap()
}

fn rows(tensor: &Tensor) -> Vec<Vec<f32>> {
    tensor.to_vec2().unwrap()
}

fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let dot = |a: &[f32], b: &[f32]| -> f64 {
        a.iter()
            .zip(b)
            .map(|(a, b)| f64::from(*a) * f64::from(*b))
            .sum()
    };
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[test]
fn the_histogram_of_cosines_is_as_recorded() {
    let recorded = recorded();
    let sae = sae_of(&recorded["decoder_cosine/W_dec"]);
    let histogram = sae.decoder_cosines(50).unwrap();
    assert_eq!(histogram.pairs, 200 * 199 / 2);
    // torch counted each pair twice, and may round one at an edge to the other side.
    let theirs = values(&recorded["decoder_cosine/hist_-1_1_50"]);
    let differences = histogram.counts.iter().zip(&theirs);
    let differences: f32 = differences
        .map(|(ours, theirs)| (2. * *ours as f32 - theirs).abs())
        .sum();
    assert!(differences <= 8., "{differences} of 39800 in other bins");
    assert_eq!(theirs.iter().sum::<f32>(), 39800.);
}

#[test]
fn blocks_see_each_pair_once() {
    // More rows than one block has, of different norms.
    let directions = isotropic_directions(700, 8, 3).unwrap();
    let scales = Tensor::arange(1f32, 701., &Device::Cpu).unwrap();
    let directions = directions
        .broadcast_mul(&scales.unsqueeze(1).unwrap())
        .unwrap();
    let all = rows(&directions);
    let mut cosines = Vec::new();
    for (at, row) in all.iter().enumerate() {
        cosines.extend(all[..at].iter().map(|other| cosine(row, other)));
    }
    let histogram = CosineHistogram::within(&directions, 1).unwrap();
    assert_eq!(histogram.counts, [cosines.len() as u64]);
    let mean = cosines.iter().sum::<f64>() / cosines.len() as f64;
    assert!((histogram.mean - mean).abs() < 1e-6);
    let square = cosines
        .iter()
        .map(|cosine| (cosine - mean).powi(2))
        .sum::<f64>();
    assert!((histogram.std - (square / cosines.len() as f64).sqrt()).abs() < 1e-6);
    let largest = cosines.iter().copied().fold(f64::MIN, f64::max);
    assert!((f64::from(histogram.max) - largest).abs() < 1e-5);
    let (first, second) = (directions.i(..600).unwrap(), directions.i(600..).unwrap());
    let between = CosineHistogram::between(&first, &second, 20).unwrap();
    assert_eq!(between.pairs, 600 * 100);
    assert_eq!(between.edges().len(), 21);
    assert!((between.shares().iter().sum::<f64>() - 1.).abs() < 1e-9);
}

#[test]
fn random_directions_have_the_covariance_asked_for() {
    let recorded = recorded();
    let X = &recorded["X"];
    assert_close(
        "covariance",
        &covariance(X).unwrap(),
        &recorded["cov"],
        1e-4,
    );
    // Of long vectors with one dominant axis, directions lie along it.
    let stretch = Tensor::new(&[10f32, 1., 0.1], &Device::Cpu).unwrap();
    let samples = isotropic_directions(4000, 3, 1).unwrap();
    let samples = samples.broadcast_mul(&stretch).unwrap();
    let matched = covariance_matched_directions(&samples, 4000, 2).unwrap();
    let mean_square = |column: usize| {
        let column = values(&matched.i((.., column)).unwrap());
        column.iter().map(|x| x * x).sum::<f32>() / 4000.
    };
    let squares = [mean_square(0), mean_square(1), mean_square(2)];
    assert!((squares.iter().sum::<f32>() - 1.).abs() < 1e-4);
    // E z1²/(z1² + 0.01 z2²) = 1/(1 + 0.1) for two normal numbers.
    assert!((squares[0] - 1. / 1.1).abs() < 0.01, "{squares:?}");
    assert!(squares[2] < 0.005, "{squares:?}");
    let again = covariance_matched_directions(&samples, 4000, 2).unwrap();
    assert_eq!(values(&again), values(&matched));
    let other = covariance_matched_directions(&samples, 4000, 3).unwrap();
    assert_ne!(values(&other), values(&matched));

    let differences = difference_directions(&X.i(..2).unwrap(), 5, 0).unwrap();
    let step = (X.i(1).unwrap() - X.i(0).unwrap()).unwrap();
    for row in rows(&differences) {
        assert!((cosine(&row, &values(&step)).abs() - 1.).abs() < 1e-6);
    }
    let sae = sae_of(&recorded["decoder_cosine/W_dec"]);
    let compared = sae.compare_decoder_cosines(X, 50, 0).unwrap();
    assert_eq!(compared.to_df().unwrap().shape(), (50, 4));
    assert!(compared.covariance_matched.std > compared.isotropic.std);
}

#[test]
fn neighbours_are_those_of_the_largest_cosine() {
    let sae = standard();
    let all = rows(&sae.W_dec);
    let mut expected: Vec<(usize, f64)> = (0..192)
        .filter(|other| *other != 7)
        .map(|other| (other, cosine(&all[7], &all[other])))
        .collect();
    expected.sort_by(|a, b| b.1.total_cmp(&a.1));
    let near = sae.nearest_latents(7, 6).unwrap();
    let latents: Vec<u32> = expected[..6].iter().map(|pair| pair.0 as u32).collect();
    assert_eq!(near.latents, latents);
    for (ours, (_, theirs)) in near.values.iter().zip(&expected) {
        assert!((f64::from(*ours) - theirs).abs() < 1e-5);
    }
    let direction = (sae.direction(7).unwrap() * 3.).unwrap();
    let with_itself = sae.latents_near(&direction, 1).unwrap();
    assert_eq!(with_itself.latents, [7]);
    assert!((with_itself.values[0] - 1.).abs() < 1e-5);
    assert_eq!(sae.nearest_latents(7, 1000).unwrap().latents.len(), 191);
}

#[test]
fn pillars_are_long_and_direction_vectors_nearly_one() {
    let mut decoder = rows(&isotropic_directions(600, 16, 5).unwrap());
    decoder[590] = decoder[3].iter().map(|x| 4. * x).collect();
    decoder[100] = decoder[3].iter().map(|x| 0.5 * x + 0.001).collect();
    decoder[20] = decoder[30].iter().map(|x| -x).collect();
    let sae = sae_of(&Tensor::new(decoder, &Device::Cpu).unwrap());
    let pillars = sae.pillar_vectors(1).unwrap();
    assert_eq!(pillars.latents, [590]);
    assert!((pillars.values[0] - 4.).abs() < 1e-4);
    let pairs = sae.direction_vectors(0.99).unwrap();
    assert_eq!(pairs.pairs[0], (3, 590));
    let mut sorted = pairs.pairs.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, [(3, 100), (3, 590), (100, 590)]);
    assert_eq!(pairs.latents(), [3, 100, 590]);
    assert_eq!(pairs.to_df().unwrap().shape(), (3, 3));
    let cosines = values(&sae.encoder_decoder_cosines().unwrap());
    assert!(cosines.iter().all(|cosine| (cosine - 1.).abs() < 1e-5));
    assert!(message(sae.direction_vectors(2.)).contains("not a cosine"));
}

#[test]
fn a_planted_combination_is_found() {
    let decoder = isotropic_directions(300, 256, 9).unwrap();
    let scaled = (decoder * 2.).unwrap();
    let row = |at: usize| scaled.i(at).unwrap();
    let direction = ((row(3) * 2.).unwrap() - (row(50) * 0.7).unwrap()).unwrap();
    let direction = (direction + (row(9) * 0.3).unwrap()).unwrap();
    let sae = sae_of(&scaled);
    let found = sae.decompose_direction(&direction, 10).unwrap();
    assert_eq!(found.latents, [3, 50, 9]);
    for (ours, expected) in found.coefficients.iter().zip([2., -0.7, 0.3]) {
        assert!((ours - expected).abs() < 1e-4, "{found:?}");
    }
    assert!(found.explained.is_sorted() && found.explained[2] > 0.99999);
    assert_eq!(found.to_df().unwrap().shape(), (3, 3));

    // A latent is not made of itself, and what is left is orthogonal to all that was chosen.
    let sae = standard();
    let found = sae.sparse_combination(7, 5).unwrap();
    assert!(found.latents.len() == 5 && !found.latents.contains(&7));
    let mut left = sae.direction(7).unwrap();
    for (latent, coefficient) in found.latents.iter().zip(&found.coefficients) {
        let row = sae.direction(*latent).unwrap();
        left = (left - (row * f64::from(*coefficient)).unwrap()).unwrap();
    }
    for latent in &found.latents {
        let dot = (&left * sae.direction(*latent).unwrap()).unwrap();
        assert!(values(&dot).iter().sum::<f32>().abs() < 1e-5);
    }
    let share = values(&left.sqr().unwrap()).iter().sum::<f32>();
    assert!((found.explained[4] - (1. - share)).abs() < 1e-5);
}

#[test]
fn tokens_that_a_neuron_s_latent_promotes_are_as_recorded() {
    let (model, saes, _, golden) = workflow();
    let recorded = golden.tensors("golden.safetensors");
    let json = golden.json("golden.json");
    let sae = &saes[1];
    let top = sae.top_tokens(&model, 386, 15).unwrap();
    let weights: Vec<f32> = top.promoted.iter().map(|token| token.weight).collect();
    let weights = Tensor::new(weights, &Device::Cpu).unwrap();
    assert_close(
        "weights",
        &weights,
        &recorded["boosts/top_values"],
        PROCESSED,
    );
    let tokens: Vec<i64> = top
        .promoted
        .iter()
        .map(|token| i64::from(token.token))
        .collect();
    assert_eq!(
        tokens,
        recorded["boosts/top_tokens"].to_vec1::<i64>().unwrap()
    );
    let texts = json["boosts_str_tokens"].as_array().unwrap();
    for (ours, theirs) in top.promoted.iter().zip(texts) {
        assert_eq!(ours.text, theirs.as_str().unwrap());
    }
    let answer = json["answer_token"].as_u64().unwrap() as usize;
    let every = sae.logit_weights(&model, 0..512usize).unwrap();
    let of_answer = every.i((.., answer)).unwrap();
    assert_close("answer", &of_answer, &recorded["direction_dla"], PROCESSED);
    let row = values(&every.i(386).unwrap());
    let lowest = row.iter().copied().fold(f32::MAX, f32::min);
    assert!((top.suppressed[0].weight - lowest).abs() < 1e-5);
}

#[test]
fn latents_of_heads_and_of_the_stream_have_a_path() {
    let model = gpt2();
    let mut sae = standard();
    let direct = sae.residual_directions(&model, [3, 5]).unwrap();
    let rows = sae.W_dec.i(3).unwrap();
    assert_close("stream", &direct.i(0).unwrap(), &rows, 0.);
    sae.cfg.hook_name = Some("blocks.0.attn.hook_z".into());
    sae.cfg.hook_z = true;
    let written = sae.residual_directions(&model, 5).unwrap().i(0).unwrap();
    let W_O = model.weight("blocks.0.attn.W_O").unwrap();
    let (heads, d_head, _) = W_O.dims3().unwrap();
    let of_heads = sae.W_dec.i(5).unwrap().reshape((heads, 1, d_head)).unwrap();
    let by_hand = of_heads
        .matmul(&W_O)
        .unwrap()
        .sum(0)
        .unwrap()
        .squeeze(0)
        .unwrap();
    assert_close("heads", &written, &by_hand, 1e-5);
    sae.cfg.hook_z = false;
    sae.cfg.hook_name = Some("blocks.0.ln2.hook_normalized".into());
    assert!(message(sae.logit_weights(&model, 3)).contains("no direct path"));
    sae.cfg.hook_name = Some("blocks.0.mlp.hook_post".into());
    let wide = message(sae.logit_weights(&model, 3));
    assert!(wide.contains("width 32") && wide.contains("128"), "{wide}");
}

#[test]
fn what_has_no_direction_is_a_sentence() {
    let sae = standard();
    let ones = Tensor::ones(31, DType::F32, &Device::Cpu).unwrap();
    assert!(message(sae.latents_near(&ones, 3)).contains("[31]"));
    let zero = Tensor::zeros(32, DType::F32, &Device::Cpu).unwrap();
    assert!(message(sae.latents_near(&zero, 3)).contains("is 0"));
    let nan = (&zero * f64::NAN).unwrap();
    assert!(message(sae.decompose_direction(&nan, 3)).contains("NaN"));
    assert!(message(sae.nearest_latents(192, 3)).contains("0 to 191"));
    assert!(message(sae.sparse_combination(3, 0)).contains("1 term"));
    assert!(message(sae.logit_weights(&gpt2(), 192)).contains("0 to 191"));
    assert!(message(sae.decoder_cosines(0)).contains("at least one bin"));
    assert!(message(CosineHistogram::within(&ones, 5)).contains("[31]"));
    assert!(message(isotropic_directions(0, 3, 0)).contains("1 or more"));
    assert!(message(covariance(&ones)).contains("two or more"));
    let mut broken = sae.clone();
    broken.W_dec = (&sae.W_dec * f64::NAN).unwrap();
    assert!(message(broken.decoder_cosines(5)).contains("NaN"));
}
