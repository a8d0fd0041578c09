//! Sweeps that are stopped, resumed, damaged and without room.

use super::*;
use crate::data::{Corpus, Record};
use crate::emit::fake;
use crate::model::{HookedTransformer, Hooks};
use crate::sae::{Gate, RunWithSaes, Sae, SaeConfig, TopK};
use candle_core::{Device, Tensor};
use polars::prelude::DataFrame;
use std::path::{Path, PathBuf};

const POINT: &str = "blocks.0.hook_mlp_out";
const D_SAE: usize = 300;

fn sae(gate: Gate) -> Sae {
    let device = Device::Cpu;
    let random = rand::Rng::sample_iter(
        <rand::rngs::StdRng as rand::SeedableRng>::seed_from_u64(3),
        rand::distr::Uniform::new(-1f32, 1.).unwrap(),
    );
    let values: Vec<f32> = random.take(256 * D_SAE).collect();
    let W_enc = Tensor::from_vec(values, (256, D_SAE), &device).unwrap();
    let W_dec = W_enc.t().unwrap().contiguous().unwrap();
    let b_enc = Tensor::full(-2f32, D_SAE, &device).unwrap();
    let b_dec = Tensor::zeros(256, W_enc.dtype(), &device).unwrap();
    let cfg = SaeConfig::new(256, D_SAE).hook_name(POINT);
    Sae::new(cfg, W_enc, b_enc, W_dec, b_dec, gate).unwrap()
}

fn parts() -> (HookedTransformer, Sae, Corpus) {
    let model = HookedTransformer::from_pretrained("stories-2l").unwrap();
    let texts: Vec<String> = (0..40)
        .map(|at| {
            let name = ["Lily", "Tom", "the dog", "a small cat"][at % 4];
            format!(
                "Once upon a time {name} saw {at} trees. {}",
                "They ran. ".repeat(at % 7)
            )
        })
        .collect();
    let corpus = Corpus::new(&model, texts).unwrap();
    (model, sae(Gate::Relu), corpus)
}

fn sweep() -> Sweep {
    Sweep::new()
        .top(3)
        .sample(8)
        .keep_maxima()
        .token_budget(100)
        .no_cache()
}

/// Everything that a sweep has found, in one text.
fn everything(sweep: &LatentSweep) -> String {
    let maxima = sweep.max_activations().unwrap();
    let each = |latent: &u32| {
        let all = (
            sweep.top(*latent),
            sweep.histogram(*latent),
            &sweep.of(*latent).unwrap().sample,
        );
        format!("{all:?}")
    };
    format!(
        "{} {:?} {:?} {:?} {:?} {:?} {}",
        sweep.tokens(),
        sweep.active_tokens(),
        sweep.mean(),
        sweep.max(),
        maxima.values.to_vec2::<f32>().unwrap(),
        maxima.positions.to_vec2::<u32>().unwrap(),
        sweep.latents().iter().map(each).collect::<String>()
    )
}

/// The one file that a sweep left in a folder.
fn file(folder: &Path) -> PathBuf {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files.remove(0)
}

#[test]
fn a_sweep_that_is_stopped_anywhere_goes_on_and_finds_the_same() {
    let (model, sae, corpus) = parts();
    let expected = everything(&sweep().run(&model, &sae, &corpus).unwrap());
    for on_disk in [true, false] {
        let folder = tempfile::tempdir().unwrap();
        let sweep = match on_disk {
            true => sweep().cache_in(folder.path()),
            false => sweep().no_cache().seed(9),
        };
        let (mut stops, mut finished) = (0, None);
        while finished.is_none() {
            // Each time a little further: between batches and inside the model.
            let (outcome, _) =
                fake::with_stop_after(5 + stops, || sweep.run(&model, &sae, &corpus));
            match outcome {
                Ok(found) => finished = Some(found),
                Err(error) => assert!(error.to_string().starts_with("interrupted"), "{error}"),
            }
            assert!(stops < 50, "it does not get further");
            stops += 1;
        }
        assert!(stops > 2, "it was stopped {stops} times");
        let found = finished.unwrap();
        match on_disk {
            true => assert_eq!(everything(&found), expected),
            // Another seed for the sample, so as not to meet the sweep before.
            false => assert_eq!(
                found.active_tokens(),
                sweep.run(&model, &sae, &corpus).unwrap().active_tokens()
            ),
        }
    }
}

#[test]
fn another_process_goes_on_from_what_was_written() {
    let (model, sae, corpus) = parts();
    let expected = everything(&sweep().run(&model, &sae, &corpus).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let sweep = sweep().cache_in(folder.path()).save_every(2);
    let (stopped, sent) = fake::with_stop_after(12, || sweep.run(&model, &sae, &corpus));
    assert!(stopped.is_err());
    assert!(!sent.frames.is_empty(), "a progress line shows");
    // Every write replaced the one before.
    let path = file(folder.path());
    let halfway = std::fs::metadata(&path).unwrap().len();
    assert!(halfway > 0);
    let found = sweep.run(&model, &sae, &corpus).unwrap();
    assert_eq!(everything(&found), expected);
    // What is finished loads without a run: a stop has nothing to stop.
    let (loaded, sent) = fake::with_stop(|| sweep.run(&model, &sae, &corpus));
    assert_eq!(everything(&loaded.unwrap()), expected);
    assert!(sent.frames.is_empty());
    assert_eq!(file(folder.path()), path);
}

#[test]
fn the_key_tells_models_autoencoders_corpora_and_options_apart() {
    let (model, sae, corpus) = parts();
    let folder = tempfile::tempdir().unwrap();
    let count = || std::fs::read_dir(folder.path()).unwrap().count();
    let run = |sweep: Sweep, sae: &Sae, corpus: &Corpus| {
        sweep
            .cache_in(folder.path())
            .run(&model, sae, corpus)
            .unwrap();
        count()
    };
    assert_eq!(run(sweep(), &sae, &corpus), 1);
    assert_eq!(run(sweep(), &sae, &corpus), 1);
    assert_eq!(run(sweep().skip_last(1), &sae, &corpus), 2);
    assert_eq!(run(sweep().latents(&[1, 2]), &sae, &corpus), 3);
    assert_eq!(run(sweep(), &sae, &corpus.take(39).unwrap()), 4);
    let mut other = sae.clone();
    other.b_enc = other.b_enc.affine(1., 1e-3).unwrap();
    assert_eq!(run(sweep(), &other, &corpus), 5);
    other.cfg.model_name = Some("another name".into());
    assert_eq!(run(sweep(), &other, &corpus), 5);
    let doubled = self::sae(Gate::TopK(TopK {
        k: 3,
        rescale_by_decoder_norm: false,
        signed: false,
    }));
    assert_eq!(run(sweep(), &doubled, &corpus), 6);
}

#[test]
fn a_damaged_file_is_made_again() {
    let (model, sae, corpus) = parts();
    let folder = tempfile::tempdir().unwrap();
    let sweep = sweep().cache_in(folder.path());
    let expected = everything(&sweep.run(&model, &sae, &corpus).unwrap());
    let path = file(folder.path());
    let whole = std::fs::read(&path).unwrap();
    let mut changed = whole.clone();
    changed[whole.len() / 2] ^= 1;
    for damaged in [
        &changed[..],
        &whole[..whole.len() / 3],
        b"",
        b"not a file of ours",
    ] {
        std::fs::write(&path, damaged).unwrap();
        assert_eq!(
            everything(&sweep.run(&model, &sae, &corpus).unwrap()),
            expected
        );
        assert_eq!(Record::load(&path).unwrap(), {
            std::fs::write(&path, &whole).unwrap();
            Record::load(&path).unwrap()
        });
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_full_disk_is_one_error_and_what_was_seen_is_not_lost() {
    let (model, sae, corpus) = parts();
    let expected = everything(&sweep().run(&model, &sae, &corpus).unwrap());
    let folder = tempfile::tempdir().unwrap();
    let sweep = sweep().cache_in(folder.path()).save_every(4);
    sweep.run(&model, &sae, &corpus).unwrap();
    let path = file(folder.path());
    std::fs::remove_file(&path).unwrap();
    let mut partial = path.file_name().unwrap().to_owned();
    partial.push(format!(".{}.partial", std::process::id()));
    std::os::unix::fs::symlink("/dev/full", folder.path().join(partial)).unwrap();
    let full = sweep.run(&model, &sae, &corpus).unwrap_err().to_string();
    assert!(
        full.contains("disk is full") && full.contains("after 4 of") && full.contains("MB"),
        "{full}"
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    // The next call has less to do: a walk looks at the flag five times a batch or so.
    let (found, _) = fake::with_stop_after(1, || sweep.run(&model, &sae, &corpus));
    assert!(found.is_err());
    assert_eq!(
        Record::load(&path).unwrap().unwrap().notes["batches done"],
        "4"
    );
    assert_eq!(
        everything(&sweep.run(&model, &sae, &corpus).unwrap()),
        expected
    );
}

#[test]
fn chosen_latents_are_those_of_the_whole_sweep() {
    let (model, sae, corpus) = parts();
    let all = sweep().run(&model, &sae, &corpus).unwrap();
    let some = sweep()
        .latents(&[299, 0, 17])
        .run(&model, &sae, &corpus)
        .unwrap();
    assert_eq!(some.latents(), [299, 0, 17]);
    for latent in [299, 0, 17] {
        let (of_all, of_some) = (all.of(latent).unwrap(), some.of(latent).unwrap());
        assert_eq!(of_all.active, of_some.active);
        assert!((of_all.max - of_some.max).abs() < 1e-4);
    }
    let message = some.top(1).unwrap_err().to_string();
    assert!(message.contains("latent 1 is not among them"), "{message}");
}

#[test]
fn examples_show_the_activations_that_the_sweep_saw() {
    let (model, sae, corpus) = parts();
    let found = sweep().run(&model, &sae, &corpus).unwrap();
    // One that is active on all sorts of prompts, here much and there a little.
    let spread = |latent: &u32| found.choose(*latent, Examples::Middle, 100).unwrap().len();
    let latent = found.latents().into_iter().max_by_key(spread).unwrap();
    for which in [
        Examples::Top,
        Examples::Middle,
        Examples::Quantile { group: 1, of: 2 },
    ] {
        let examples = found.examples(latent, which, 3).unwrap();
        assert!(!examples.examples.is_empty(), "{which:?}");
        for example in &examples.examples {
            let top = example.activating;
            assert_eq!(example.tokens, corpus.str_tokens(top.prompt).unwrap());
            assert_eq!(example.activations.len(), example.tokens.len());
            let largest = example.activations.iter().copied().fold(0f32, f32::max);
            assert!((largest - top.activation).abs() < 1e-4);
            assert!((example.activations[top.position] - top.activation).abs() < 1e-4);
        }
    }
    let table: DataFrame = found
        .examples(latent, Examples::Top, 2)
        .unwrap()
        .to_df()
        .unwrap();
    assert_eq!(table.shape(), (2, 5));
    assert_eq!(found.to_df().unwrap().shape(), (D_SAE, 8));
    // The same batches, so that what is equally active is so to the last bit.
    let sampled = Sweep::new()
        .no_cache()
        .top(2)
        .sample(1000)
        .token_budget(100);
    let sampled = sampled.run(&model, &sae, &corpus).unwrap();
    let lower = Examples::Middle;
    assert_eq!(
        sampled.choose(latent, lower, 5).unwrap(),
        found.choose(latent, lower, 5).unwrap()
    );
    let without = Sweep::new().no_cache().run(&model, &sae, &corpus).unwrap();
    assert!(
        without
            .choose(latent, lower, 5)
            .unwrap_err()
            .to_string()
            .contains(".sample(")
    );
    assert!(
        without
            .max_activations()
            .unwrap_err()
            .to_string()
            .contains("keep_maxima")
    );
}

#[test]
fn occurrences_are_those_of_a_plain_count() {
    let (model, sae, corpus) = parts();
    let folder = tempfile::tempdir().unwrap();
    let found = sweep()
        .cache_in(folder.path())
        .run(&model, &sae, &corpus)
        .unwrap();
    let occurrences = Occurrences::new(0.5).skip_first(2).skip_last(1);
    let (stopped, _) = fake::with_stop_after(12, || occurrences.run(&found));
    assert!(stopped.is_err());
    let counts = occurrences.run(&found).unwrap();
    let max = found.max();
    let mut expected = std::collections::BTreeMap::<(u32, u32), u64>::new();
    for prompt in 0..corpus.len() {
        let ids = corpus.ids(prompt).unwrap();
        let x = model
            .cache_only(ids.clone(), POINT)
            .unwrap()
            .get(POINT)
            .unwrap();
        let acts: Vec<Vec<f32>> = sae
            .encode(&x)
            .unwrap()
            .squeeze(0)
            .unwrap()
            .to_vec2()
            .unwrap();
        for position in 2..ids.len() - 1 {
            for (latent, act) in acts[position].iter().enumerate() {
                if *act > 0.5 * max[latent] {
                    *expected.entry((latent as u32, ids[position])).or_default() += 1;
                }
            }
        }
    }
    let pairs = counts.latents.iter().zip(&counts.counts);
    let flat: std::collections::BTreeMap<(u32, u32), u64> = pairs
        .flat_map(|(latent, of)| of.iter().map(|(token, count)| ((*latent, *token), *count)))
        .collect();
    assert!(flat.len() > 100);
    // A value on the edge may fall to either side.
    let differ = expected
        .iter()
        .filter(|(pair, count)| flat.get(pair) != Some(count))
        .count();
    assert!(
        differ <= 1 && flat.len().abs_diff(expected.len()) <= 1,
        "{differ}"
    );
    assert_eq!(counts.to_df().unwrap().height(), flat.len());
    let ((latent, _), _) = flat.iter().next().unwrap();
    assert!(!counts.of(*latent).unwrap().is_empty());
    assert!(counts.of(9999).is_err() && Occurrences::new(1.5).run(&found).is_err());
}

#[test]
fn what_a_latent_does_to_logits() {
    let (model, sae, corpus) = parts();
    let found = sweep().run(&model, &sae, &corpus).unwrap();
    let effects = found.logit_effects(5).unwrap();
    assert_eq!(effects.dims(), [2048]);
    let dashboard = found
        .dashboard(5, 2)
        .unwrap()
        .logits(&model, &effects, 4)
        .unwrap();
    let values: Vec<f32> = effects.to_vec1().unwrap();
    let largest = values.iter().copied().fold(f32::MIN, f32::max);
    let smallest = values.iter().copied().fold(f32::MAX, f32::min);
    assert_eq!(
        (dashboard.raised[0].1, dashboard.lowered[0].1),
        (largest, smallest)
    );
    assert_eq!(dashboard.raised.len(), 4);
    assert!(
        found
            .logit_effects(300)
            .unwrap_err()
            .to_string()
            .contains("latent 300")
    );
}

#[test]
fn what_does_not_fit_is_a_sentence() {
    let (model, sae, corpus) = parts();
    let message = |sweep: Sweep, sae: &Sae| {
        let failed = sweep.run(&model, sae, &corpus);
        failed.map(|_| ()).unwrap_err().to_string()
    };
    let width = message(sweep().hook_point("blocks.0.mlp.hook_post"), &sae);
    assert!(
        width.contains("1024 wide") && width.contains("reads 256"),
        "{width}"
    );
    let unknown = message(sweep().hook_point("blocks.0.hook_mlp_oot"), &sae);
    assert!(unknown.contains("hook_mlp_out"), "{unknown}");
    let latent = message(sweep().latents(&[0, 300]), &sae);
    assert!(
        latent.contains("latent 300") && latent.contains("0 to 299"),
        "{latent}"
    );
    let mut nameless = sae.clone();
    nameless.cfg.hook_name = None;
    assert!(message(sweep(), &nameless).contains(".hook_point("));
    let mut elsewhere = sae.clone();
    elsewhere.cfg.hook_name = Some("blocks.7.hook_mlp_out".into());
    assert!(message(sweep(), &elsewhere).contains("7"));
    let pattern = message(sweep().hook_point("blocks.0.attn.hook_pattern"), &sae);
    assert!(pattern.contains("no vector at each position"), "{pattern}");
    assert!(message(sweep().token_budget(0), &sae).contains("budget"));
    let hooked = model.with_hooks(Hooks::new().add(POINT, |value, _| value.affine(2., 0.)));
    let folder = tempfile::tempdir().unwrap();
    let refused = sweep().cache_in(folder.path()).run(&hooked, &sae, &corpus);
    assert!(refused.unwrap_err().to_string().contains("no_cache"));
    let doubled = sweep().run(&hooked, &sae, &corpus).unwrap();
    assert!(doubled.l0() > sweep().run(&model, &sae, &corpus).unwrap().l0());
    let mut elsewhere = sae.clone();
    elsewhere.cfg.hook_name = Some("blocks.0.hook_resid_pre".into());
    let spliced = model.with_saes(&elsewhere).unwrap();
    let refused = sweep().cache_in(folder.path()).run(&spliced, &sae, &corpus);
    assert!(refused.unwrap_err().to_string().contains("no_cache"));
    let stream = corpus.activations(&spliced, POINT).unwrap();
    let refused = stream.cache_in(folder.path()).unwrap_err();
    assert!(
        refused.to_string().contains("not kept on disk"),
        "{refused}"
    );
    let mut broken = sae.clone();
    broken.b_enc = Tensor::full(f32::NAN, D_SAE, &Device::Cpu).unwrap();
    let nan = message(sweep(), &broken);
    assert!(
        nan.contains("`b_enc`") && nan.contains("not a number"),
        "{nan}"
    );
    let broken = model.with_hooks(Hooks::new().add(POINT, |value, _| value.affine(f64::NAN, 0.)));
    let nan = sweep().run(&broken, &sae, &corpus).unwrap_err().to_string();
    assert!(nan.contains(POINT) && nan.contains("not a number"), "{nan}");
}
