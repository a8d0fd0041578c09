//! Sparsity and reconstruction.

use super::{assert_near, number};
use crate::golden::{Golden, values};
use crate::sae::core::{KINDS, sae_lens};
use crate::sae::interventions::{gpt2, message};
use candle_core::{DType, Device, IndexOp, Tensor};
use ferrolens::sae::metrics::SaeMetrics;
use ferrolens::sae::{Gate, Nsae, Sae, SaeConfig};

fn input() -> Tensor {
    Golden::new("sae").tensors("input.safetensors")["x"].clone()
}

#[test]
fn every_kind_has_the_recorded_measures() {
    for kind in KINDS {
        let (golden, sae) = sae_lens(kind);
        let recorded = golden.tensors("golden.safetensors");
        let mut metrics = SaeMetrics::new(&sae);
        metrics.update(&input()).unwrap();
        let report = metrics.finish().unwrap();
        assert_eq!(report.tokens, 36);
        for (name, ours) in [
            ("l0", report.l0),
            ("mse", report.mse),
            ("explained_variance", report.explained_variance),
            ("norm_ratio", report.norm_ratio),
        ] {
            assert_near(
                &format!("{kind}: {name}"),
                ours,
                number(&recorded, name),
                1e-5,
            );
        }
    }
}

#[test]
fn batches_add_up_to_the_whole() {
    let sae = sae_lens("jumprelu").1;
    let x = input();
    let mut whole = SaeMetrics::new(&sae);
    whole.update(&x).unwrap();
    let mut parts = SaeMetrics::new(&sae);
    for (row, range) in [(0, 0..5), (0, 5..18), (1, 0..17), (1, 17..18)] {
        parts.update(&x.i((row, range)).unwrap()).unwrap();
    }
    let (whole, parts) = (whole.finish().unwrap(), parts.finish().unwrap());
    assert_eq!(whole.density, parts.density);
    for (ours, theirs) in [
        (parts.l2, whole.l2),
        (parts.explained_variance, whole.explained_variance),
        (
            parts.fraction_of_variance_explained,
            whole.fraction_of_variance_explained,
        ),
        (parts.cosine, whole.cosine),
        (
            parts.relative_reconstruction_bias,
            whole.relative_reconstruction_bias,
        ),
    ] {
        assert_near("parts", ours, theirs, 1e-5);
    }
}

#[test]
fn sae_lens_s_evaluation_says_the_same() {
    let golden = Golden::new("sae");
    let evals = golden.json("evals.json");
    let tokens = golden.tensors("evals.safetensors");
    let model = gpt2();
    let point = "blocks.1.hook_resid_pre";
    let batches: Vec<(Tensor, Tensor)> = (0..2)
        .map(|at| {
            let tokens = tokens[&format!("tokens/{at}")].clone();
            let x = model.cache_only(&tokens, point).unwrap()[point].clone();
            (x, tokens.ne(0i64).unwrap())
        })
        .collect();
    for (case, theirs) in evals["cases"].as_object().unwrap() {
        let (kind, which) = case.split_once('/').unwrap();
        let sae = sae_lens(kind).1;
        let mut metrics = SaeMetrics::new(&sae);
        let mut biases = 0.;
        for (x, keep) in &batches {
            let mut one = SaeMetrics::new(&sae);
            for metrics in [&mut metrics, &mut one] {
                match which {
                    "all" => metrics.update(x).unwrap(),
                    _ => metrics.update_where(x, keep).unwrap(),
                }
            }
            biases += one.finish().unwrap().relative_reconstruction_bias / 2.;
        }
        let report = metrics.finish().unwrap();
        for (name, ours) in [
            ("l0", report.l0),
            ("l1", report.l1),
            ("mse", report.l2),
            ("explained_variance", report.explained_variance),
            (
                "explained_variance_legacy",
                report.explained_variance_per_token,
            ),
            ("l2_norm_in", report.norm_in),
            ("l2_norm_out", report.norm_out),
            ("l2_ratio", report.norm_ratio),
            ("cossim", report.cosine),
            ("relative_reconstruction_bias", biases),
        ] {
            // A quotient of sums that nearly cancel is known to fewer digits.
            let share = if name.ends_with("bias") { 1e-2 } else { 1e-4 };
            let theirs = theirs[name].as_f64().unwrap();
            assert_near(&format!("{case}: {name}"), ours, theirs, share);
        }
        let densities = values(&report.density.values().unwrap());
        let theirs = theirs["feature_density"].as_array().unwrap();
        for (ours, theirs) in densities.iter().zip(theirs) {
            assert_near("density", f64::from(*ours), theirs.as_f64().unwrap(), 1e-5);
        }
    }
}

/// The variance of residuals, unlike their size, does not see a constant offset.
#[test]
fn the_conventions_of_explained_variance_differ_by_an_offset() {
    let mut sae = sae_lens("standard").1;
    sae.cfg.apply_b_dec_to_input = false;
    let measure = |sae: &Sae| {
        let mut metrics = SaeMetrics::new(sae);
        metrics.update(&input()).unwrap();
        metrics.finish().unwrap()
    };
    let before = measure(&sae);
    sae.b_dec = (&sae.b_dec + 3.).unwrap();
    let after = measure(&sae);
    let of = |report: &ferrolens::sae::metrics::SaeReport| report.fraction_of_variance_explained;
    assert_near("variance", of(&after), of(&before), 1e-4);
    assert!(after.explained_variance < before.explained_variance - 1.);
}

#[test]
fn the_suppression_of_the_noise_robust_kind() {
    let recorded = Golden::new("sae/nsae").tensors("golden.safetensors");
    let zeros = Tensor::zeros(32, DType::F32, &Device::Cpu).unwrap();
    let sae = Sae::new(
        SaeConfig::new(32, 192),
        recorded["W_enc"].clone(),
        recorded["b_enc"].clone(),
        recorded["W_dec"].clone(),
        zeros,
        Gate::Nsae(Nsae { sigma: 0.1 }),
    )
    .unwrap();
    let mut metrics = SaeMetrics::new(&sae);
    metrics.update(&recorded["x"]).unwrap();
    let report = metrics.finish().unwrap();
    let l0_l1 = values(&recorded["l0_l1_eval"]);
    assert_near("l0", report.l0, f64::from(l0_l1[0]), 1e-5);
    assert_near("l1", report.l1, f64::from(l0_l1[1]), 1e-5);
    assert_near(
        "ratio",
        report.norm_ratio,
        number(&recorded, "suppression_ratio"),
        1e-5,
    );
}

#[test]
fn densities_count_and_fall_into_bins() {
    let (golden, sae) = sae_lens("topk");
    let acts = golden.tensors("golden.safetensors")["feature_acts"].clone();
    let mut metrics = SaeMetrics::new(&sae);
    metrics.update(&input()).unwrap();
    let density = metrics.finish().unwrap().density;
    let rows: Vec<Vec<f32>> = acts.reshape((36, 192)).unwrap().to_vec2().unwrap();
    let counts: Vec<u64> = (0..192)
        .map(|latent| rows.iter().filter(|row| row[latent] != 0.).count() as u64)
        .collect();
    assert_eq!(density.counts(), counts);
    let dead = counts.iter().filter(|count| **count == 0).count();
    assert!(dead > 0 && density.dead().len() == dead);
    assert!((density.fraction_dead() - dead as f64 / 192.).abs() < 1e-12);
    let histogram = density.histogram(10).unwrap();
    assert_eq!(histogram.dead, dead as u64);
    assert_eq!(histogram.counts.iter().sum::<u64>(), 192 - dead as u64);
    assert_eq!(histogram.edges.len(), 11);
    let rarest = counts.iter().filter(|count| **count == 1).count() as u64;
    assert_eq!(histogram.counts[0], rarest);
    assert_eq!(histogram.to_df().unwrap().height(), 10);
    assert!(message(density.histogram(0)).contains("at least one bin"));
}

#[test]
fn what_cannot_be_measured_is_a_sentence() {
    let sae = sae_lens("standard").1;
    let mut metrics = SaeMetrics::new(&sae);
    assert!(message(metrics.finish()).contains("metrics.update(&x)?"));
    let wide = Tensor::zeros((2, 33), DType::F32, &Device::Cpu).unwrap();
    assert!(message(metrics.update(&wide)).contains("[2, 33]"));
    let nan = (Tensor::zeros((2, 32), DType::F32, &Device::Cpu).unwrap() * f64::NAN).unwrap();
    assert!(message(metrics.update(&nan)).contains("NaN"));
    let mask = Tensor::ones(35, DType::U8, &Device::Cpu).unwrap();
    let unfit = message(metrics.update_where(&input(), &mask));
    assert!(
        unfit.contains("35 entries") && unfit.contains("36 tokens"),
        "{unfit}"
    );
    // What failed left no trace.
    metrics.update(&input()).unwrap();
    assert_eq!(metrics.finish().unwrap().tokens, 36);
    let mut transcoder = sae.clone();
    transcoder.cfg.hook_name_out = Some("blocks.1.hook_mlp_out".into());
    let mut metrics = SaeMetrics::new(&transcoder);
    assert!(message(metrics.update(&input())).contains("update_pair"));
    metrics.update_pair(&input(), &input()).unwrap();
}
