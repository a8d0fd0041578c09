use super::*;
use crate::data::Corpus;
use crate::intervene::Intervention;
use crate::model::HookedTransformer;
use crate::sae::Sae;
use candle_core::{Device, IndexOp, Tensor};

fn model() -> HookedTransformer {
    HookedTransformer::from_pretrained("stories-2l").unwrap()
}

const TEXTS: [&str; 4] = [
    "Once upon a time there was",
    "Lily saw a cat",
    "Tom ran",
    "The sun was very hot and",
];

/// KL and L2 of one prompt with a vector added at its last position, by hooks on a whole run.
fn by_hand(model: &HookedTransformer, text: &str, point: &str, step: &Tensor) -> (f64, f64) {
    let last = "blocks.1.hook_resid_post";
    let numbers = |x: Tensor| -> Vec<f64> {
        let x: Vec<f32> = x.flatten_all().unwrap().to_vec1().unwrap();
        x.into_iter().map(f64::from).collect()
    };
    let run = |steer: Option<Intervention>| {
        let run = model.run(text).cache(last).pos_slice(-1);
        let run = match steer {
            Some(steer) => run.hooks(&steer),
            None => run,
        };
        let (logits, cache) = run.logits_at_and_cache(-1).unwrap();
        let logits = numbers(logits);
        let sum: f64 = logits.iter().map(|logit| logit.exp()).sum();
        let log: Vec<f64> = logits.iter().map(|logit| logit - sum.ln()).collect();
        (log, numbers(cache[last].clone()))
    };
    let (clean, before) = run(None);
    let (new, after) = run(Some(Intervention::steer(point, step, 1.).unwrap().at(-1)));
    let kl = clean.iter().zip(&new).map(|(p, q)| p.exp() * (p - q)).sum();
    let squares = before.iter().zip(&after).map(|(x, y)| (x - y).powi(2));
    (kl, squares.sum::<f64>().sqrt())
}

#[test]
fn pushes_are_those_of_hooks_on_whole_runs() {
    let model = model();
    let prompts = Corpus::new(&model, TEXTS).unwrap();
    let lengths = [0., 1.5, 6.];
    let directions = crate::analysis::isotropic_directions(4, 256, 9).unwrap();
    for point in [
        "blocks.0.hook_resid_pre",
        "blocks.0.hook_mlp_out",
        "blocks.0.hook_resid_post",
        "blocks.1.hook_resid_pre",
        "blocks.1.hook_resid_mid",
        "blocks.1.hook_resid_post",
        "hook_embed",
    ] {
        let sensitivity = model.sensitivity(&prompts, point).unwrap();
        let given = [("given", Direction::Given(directions.clone()))];
        let curves = sensitivity.push(&given, &lengths, 1).unwrap();
        let curve = curves.get("given").unwrap();
        for (prompt, text) in TEXTS.iter().enumerate() {
            for (at, length) in lengths.iter().enumerate() {
                let step = (directions.i(prompt).unwrap() * *length).unwrap();
                let (kl, l2) = by_hand(&model, text, point, &step);
                let (of_kl, of_l2) = (curve.kl[prompt][at], curve.l2[prompt][at]);
                assert!(
                    (of_kl - kl).abs() < 2e-3 * (1. + kl),
                    "{point} {text}: {of_kl} {kl}"
                );
                assert!(
                    (of_l2 - l2).abs() < 2e-3 * (1. + l2),
                    "{point} {text}: {of_l2} {l2}"
                );
            }
        }
    }
}

#[test]
fn a_prompt_may_be_one_token() {
    let model = model();
    let prompts = Corpus::from_tokens(vec![vec![40], vec![41], vec![7, 8, 9]], None).unwrap();
    for point in ["blocks.0.hook_resid_pre", "blocks.1.hook_resid_mid"] {
        let sensitivity = model.sensitivity(&prompts, point).unwrap();
        let towards = [("towards", Direction::TowardsAnother)];
        let curves = sensitivity.push(&towards, &[0., 2.], 1).unwrap();
        let curve = curves.get("towards").unwrap();
        assert!(curve.kl.iter().all(|kl| kl[0].abs() < 1e-5 && kl[1] > 0.));
    }
}

#[test]
fn a_scope_stays_in_place() {
    let zero = Intervention::scale("blocks.1.hook_attn_out", 0.5);
    let model = model().with_hooks(&zero);
    let prompts = Corpus::new(&model, TEXTS).unwrap();
    let point = "blocks.0.hook_resid_post";
    let direction = crate::analysis::isotropic_directions(1, 256, 9)
        .unwrap()
        .i(0)
        .unwrap();
    let sensitivity = model.sensitivity(&prompts, point).unwrap();
    let given = [("given", Direction::Given(direction.clone()))];
    let curves = sensitivity.push(&given, &[3.], 1).unwrap();
    let (kl, l2) = by_hand(&model, TEXTS[1], point, &(direction * 3.).unwrap());
    let curve = curves.get("given").unwrap();
    assert!((curve.kl[1][0] - kl).abs() < 2e-3 * (1. + kl));
    assert!((curve.l2[1][0] - l2).abs() < 2e-3 * (1. + l2));
}

#[test]
fn the_way_to_another_activation_ends_there() {
    let model = model();
    let prompts = Corpus::new(&model, &TEXTS[..2]).unwrap();
    let sensitivity = model
        .sensitivity(&prompts, "blocks.1.hook_resid_post")
        .unwrap();
    let distance = sensitivity.distance();
    let towards = [("towards", Direction::TowardsAnother)];
    let curves = sensitivity.push(&towards, &[0., distance], 3).unwrap();
    let curve = curves.get("towards").unwrap();
    for (prompt, other) in [(0, 1), (1, 0)] {
        assert!((curve.reach[prompt] - distance).abs() < 1e-3);
        // Behind the last block there is nothing but the prediction of the other prompt.
        let log = |text: &str| {
            let logits = model.run(text).logits_at(-1).unwrap();
            crate::math::log_softmax(&logits).unwrap()
        };
        let (from, to) = (log(TEXTS[prompt]), log(TEXTS[other]));
        let kl = (from.exp().unwrap() * (from - to).unwrap()).unwrap();
        let kl = f64::from(kl.sum_all().unwrap().to_scalar::<f32>().unwrap());
        assert!((curve.kl[prompt][1] - kl).abs() < 1e-2 * kl, "{kl}");
        assert!((curve.l2[prompt][1] - distance).abs() < 1e-3);
        assert!(curve.kl[prompt][0].abs() < 1e-5 && curve.l2[prompt][0] == 0.);
    }
}

#[test]
fn directions_are_what_they_are_called() {
    let model = model();
    let prompts = Corpus::new(&model, TEXTS).unwrap();
    let sensitivity = model
        .sensitivity(&prompts, "blocks.0.hook_mlp_out")
        .unwrap();
    let x = sensitivity.activations();
    let sae = Sae::from_pretrained("stories-2l-relu", "blocks.0.hook_mlp_out").unwrap();
    let rows = |direction: &Direction| {
        direction
            .ways(&sensitivity, 4)
            .unwrap()
            .to_vec2::<f32>()
            .unwrap()
    };
    let apart = |a: &[f32], b: &[f32]| -> f32 { a.iter().zip(b).map(|(a, b)| (a - b).abs()).sum() };
    let x_rows: Vec<Vec<f32>> = x.to_vec2().unwrap();
    let difference = |from: usize, to: usize| -> Vec<f32> {
        x_rows[to]
            .iter()
            .zip(&x_rows[from])
            .map(|(to, from)| to - from)
            .collect()
    };
    for (prompt, way) in rows(&Direction::TowardsAnother).iter().enumerate() {
        let mut others = (0..4).filter(|other| *other != prompt);
        assert!(others.any(|other| apart(way, &difference(prompt, other)) < 1e-3));
    }
    for (prompt, way) in rows(&Direction::Difference).iter().enumerate() {
        let others = || (0..4).filter(|other| *other != prompt);
        assert!(others().any(|a| others().any(|b| a != b && apart(way, &difference(a, b)) < 1e-3)));
    }
    let decoder: Vec<Vec<f32>> = sae.W_dec.to_vec2().unwrap();
    let norm = |x: &[f32]| x.iter().map(|x| x * x).sum::<f32>().sqrt();
    for way in rows(&Direction::Latent(sae.clone())) {
        assert!((norm(&way) - 1.).abs() < 1e-4);
        let is_along = |row: &Vec<f32>| {
            let unit: Vec<f32> = row.iter().map(|x| x / norm(row)).collect();
            apart(&unit, &way) < 1e-3
        };
        assert!(decoder.iter().any(is_along));
    }
    let error = sae.error(x).unwrap().to_vec2::<f32>().unwrap();
    for (way, error) in rows(&Direction::ReconstructionError(sae.clone()))
        .iter()
        .zip(&error)
    {
        let back: Vec<f32> = way.iter().map(|x| -x).collect();
        assert!(apart(&back, error) < 1e-3, "towards the reconstruction");
    }
    let activations = Tensor::randn(0f32, 1., (600, 256), &Device::Cpu).unwrap();
    assert_eq!(rows(&Direction::CovarianceMatched(activations)).len(), 4);
    assert_eq!(rows(&Direction::Isotropic), rows(&Direction::Isotropic));
}

fn curves(lengths: &[f64], kl: Vec<Vec<f64>>) -> SensitivityCurves {
    let curve = |name: &str, kl: Vec<Vec<f64>>| SensitivityCurve {
        name: name.to_owned(),
        l2: kl.clone(),
        reach: vec![1.; kl.len()],
        kl,
    };
    let doubled = kl
        .iter()
        .map(|row| row.iter().map(|x| x * 2.).collect())
        .collect();
    SensitivityCurves {
        point: "blocks.0.hook_resid_post".parse().unwrap(),
        lengths: lengths.to_vec(),
        distance: 4.,
        kinds: vec![curve("one", kl), curve("two", doubled)],
    }
}

#[test]
fn lengths_are_those_of_known_curves() {
    let lengths: Vec<f64> = (0..=60).map(|step| f64::from(step) / 10.).collect();
    let of = |f: fn(f64) -> f64| {
        lengths
            .iter()
            .map(|length| f(*length))
            .collect::<Vec<f64>>()
    };
    let kl = vec![
        of(|x| x),
        of(|x| x * x),
        of(|x| if x < 3.5 { 0. } else { 1. }),
        of(|_| 0.),
    ];
    let curves = curves(&lengths, kl);
    let halves = curves.lengths_to(0.5, "one", Readout::Kl).unwrap();
    assert!((halves[0] - 0.5).abs() < 1e-9);
    assert!((halves[1] - 0.5f64.sqrt()).abs() < 1e-3);
    assert!((halves[2] - 3.45 / 4.).abs() < 1e-9);
    assert!(halves[3].is_nan());
    assert_eq!(curves.length_to(0.5, "one", Readout::Kl).unwrap().count, 3);
    let tenths = curves.lengths_to(0.1, "one", Readout::Kl).unwrap();
    assert!((tenths[0] - 0.1).abs() < 1e-9);
    assert!((tenths[1] - 0.1f64.sqrt()).abs() < 1e-2);
    assert!(curves.length_to(0., "one", Readout::Kl).is_err());
    assert!(curves.length_to(f64::NAN, "one", Readout::Kl).is_err());
    // Twice as much everywhere is reached at the same lengths.
    let relative = curves
        .relative_length_to(0.5, "two", "one", Readout::L2)
        .unwrap();
    assert!((relative.mean - 1.).abs() < 1e-9);
    let at = curves.at("two", Readout::Kl, 1.25).unwrap();
    assert!((at[0] - 2.5).abs() < 1e-9);
    assert_eq!(curves.plateaus().unwrap().shape(), (2, 9));
    assert_eq!(curves.to_df().unwrap().shape(), (2 * 4 * 61, 5));
    assert_eq!(curves.summary().unwrap().shape(), (2 * 61, 11));
}

#[test]
fn quartiles_are_numpys() {
    let lengths = [0., 1.];
    let rows = [3., 1., 2., 10.].map(|x| vec![0., x]).to_vec();
    let table = curves(&lengths, rows).summary().unwrap();
    let number = |name: &str| table.column(name).unwrap().f64().unwrap().get(1).unwrap();
    // np.percentile([3, 1, 2, 10], [25, 50, 75]) = [1.75, 2.5, 4.75]
    assert_eq!(number("KL mean"), 4.);
    assert_eq!(number("KL 25 %"), 1.75);
    assert_eq!(number("KL median"), 2.5);
    assert_eq!(number("L2 75 %"), 4.75);
}

#[test]
fn what_cannot_be_says_so() {
    let model = model();
    let prompts = Corpus::new(&model, TEXTS).unwrap();
    let error = model
        .sensitivity(&prompts, "blocks.0.mlp.hook_post")
        .unwrap_err();
    assert!(
        error.to_string().contains("blocks.0.hook_resid_post"),
        "{error}"
    );
    assert!(model.sensitivity(&prompts, "blocks.0.attn.hook_q").is_err());
    let sensitivity = model
        .sensitivity(&prompts, "blocks.0.hook_resid_post")
        .unwrap();
    let fails = |direction: Direction, lengths: &[f64], part: &str| {
        let error = sensitivity
            .push(&[("it", direction)], lengths, 1)
            .unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
    };
    fails(Direction::Isotropic, &[], "cannot be pushed by");
    fails(
        Direction::Isotropic,
        &[1., 0.5],
        "longer than the one before",
    );
    fails(Direction::Isotropic, &[f64::NAN], "cannot be pushed by");
    let zeros = Tensor::zeros(256, candle_core::DType::F32, &Device::Cpu).unwrap();
    fails(Direction::Given(zeros.clone()), &[1.], "nowhere to push");
    fails(
        Direction::Given(zeros.narrow(0, 0, 7).unwrap()),
        &[1.],
        "[256]",
    );
    let neurons = Sae::from_pretrained("stories-2l-relu", "blocks.1.mlp.hook_post").unwrap();
    fails(Direction::Latent(neurons.clone()), &[1.], "residual stream");
    fails(
        Direction::ReconstructionError(neurons),
        &[1.],
        "residual stream",
    );
    let twice = [("a", Direction::Isotropic), ("a", Direction::Isotropic)];
    let error = sensitivity.push(&twice, &[1.], 1).unwrap_err().to_string();
    assert!(error.contains("\"a\""), "{error}");
    let none: [(&str, Direction); 0] = [];
    assert!(sensitivity.push(&none, &[1.], 1).is_err());
    let curves = sensitivity.push(&twice[..1], &[1.], 1).unwrap();
    let error = curves
        .length_to(0.5, "a", Readout::Kl)
        .unwrap_err()
        .to_string();
    assert!(error.contains("not by"), "{error}");
    assert!(curves.get("b").unwrap_err().to_string().contains('a'));
    let one = Corpus::new(&model, ["Lily"]).unwrap();
    let alone = model.sensitivity(&one, "blocks.0.hook_resid_post").unwrap();
    assert!(alone.distance().is_nan());
    let error = alone
        .push(&[("it", Direction::TowardsAnother)], &[1.], 1)
        .unwrap_err();
    assert!(error.to_string().contains("more prompts"), "{error}");
    assert!(
        alone
            .push(&[("it", Direction::Isotropic)], &[1.], 1)
            .is_ok()
    );
    let curves = alone
        .push(&[("it", Direction::Isotropic)], &[1.], 1)
        .unwrap();
    assert!(curves.plateaus().is_err());
}
