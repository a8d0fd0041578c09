//! Training through its public face: sources, checkpoints, logs, errors.

// The papers' symbols are the names of weights.
#![allow(non_snake_case)]

use crate::golden::values;
use candle_core::{DType, Device, Tensor};
use ferrolens::data::{Activations, Corpus};
use ferrolens::model::HookedTransformer;
use ferrolens::sae::train::{
    ActivationSource, BiasStart, GateTraining, JumpReluTraining, L0Loss, Metrics, Resampling,
    SaeTrainer, TrainConfig,
};
use ferrolens::sae::{ActivationNorm, Gate, Sae};
use std::sync::{Arc, Mutex};

const TEXTS: [&str; 3] = [
    "Once upon a time there was a little cat. The cat liked to play in the garden.",
    "One day a dog came to the house and said hello to everyone that he met.",
    "Lily had a red ball. She gave the ball to her friend Tom, and they were happy.",
];

fn model() -> HookedTransformer {
    HookedTransformer::from_pretrained("stories-2l").unwrap()
}

/// Activations that are sparse sums of hidden directions, the same for every call.
fn sparse_sums(rows: usize, d_in: usize, directions: usize) -> Tensor {
    let mut state = 12345u64;
    let mut uniform = || {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 40) as f32 / (1u64 << 24) as f32
    };
    let dictionary: Vec<f32> = (0..directions * d_in)
        .map(|_| (0..6).map(|_| uniform()).sum::<f32>() - 3.)
        .collect();
    let mut x = vec![0f32; rows * d_in];
    for row in x.chunks_mut(d_in) {
        for _ in 0..3 {
            let direction = (uniform() * directions as f32) as usize % directions;
            let amount = 0.5 + uniform();
            let vector = &dictionary[direction * d_in..(direction + 1) * d_in];
            row.iter_mut()
                .zip(vector)
                .for_each(|(x, v)| *x += amount * v);
        }
    }
    Tensor::from_vec(x, (rows, d_in), &Device::Cpu).unwrap()
}

fn on_sums(config: TrainConfig) -> SaeTrainer {
    let x = sparse_sums(2048, 16, 32);
    let source = ActivationSource::of_tensor("blocks.0.hook_mlp_out", &x).unwrap();
    SaeTrainer::new(source, config).unwrap()
}

fn small(config: TrainConfig) -> TrainConfig {
    config
        .batch_size(256)
        .buffer_batches(4)
        .learning_rate(3e-3)
        .log_every(50)
        .dead_after(50)
}

/// Every kind of gate, with coefficients for these activations.
fn every_kind() -> Vec<TrainConfig> {
    let jump = JumpReluTraining {
        start_threshold: 0.1,
        bandwidth: 0.5,
        l0_loss: L0Loss::Step,
        l0_coefficient: 0.05,
        gradient_to_input: false,
    };
    vec![
        small(TrainConfig::relu(64).l1(0.1)),
        small(TrainConfig::gated(64).l1(0.1)),
        small(TrainConfig::jump_relu(64).gate(GateTraining::JumpRelu(jump))),
        small(TrainConfig::top_k(64, 4)),
        small(TrainConfig::batch_top_k(64, 4.)),
        small(TrainConfig::matryoshka(vec![16, 64], 4.)),
        small(
            TrainConfig::nsae(64, 0.05, 1e-3)
                .encoder_start_norm(Some(0.5))
                .decoder_start_norm(2.),
        ),
    ]
}

#[test]
fn every_kind_learns_and_its_autoencoder_reconstructs() {
    let x = sparse_sums(2048, 16, 32);
    for config in every_kind() {
        let kind = format!("{:?}", config.gate);
        let mut trainer = on_sums(config);
        trainer.run(400).unwrap();
        let metrics = trainer.metrics();
        let (first, last) = (&metrics[0], &metrics[metrics.len() - 1]);
        assert!(last.loss < first.loss, "{kind}: {first:?} {last:?}");
        assert!(last.explained_variance > 0.7, "{kind}: {last:?}");
        assert!(last.l0 < 32., "{kind}: {last:?}");
        // What is handed out does what was trained.
        let sae = trainer.sae().unwrap();
        let left = sae.error(&x).unwrap().sqr().unwrap().sum_all().unwrap();
        let mean = x.mean_keepdim(0).unwrap();
        let all = x
            .broadcast_sub(&mean)
            .unwrap()
            .sqr()
            .unwrap()
            .sum_all()
            .unwrap();
        let number = |t: Tensor| t.to_scalar::<f32>().unwrap();
        let explained = f64::from(1. - number(left) / number(all));
        assert!(
            (explained - last.explained_variance).abs() < 0.1,
            "{kind}: {explained} {last:?}"
        );
    }
}

fn weights(trainer: &SaeTrainer) -> Vec<Vec<u32>> {
    let sae = trainer.sae().unwrap();
    let mut tensors = vec![sae.W_enc, sae.b_enc, sae.W_dec, sae.b_dec];
    match sae.gate {
        Gate::JumpRelu(gate) => tensors.push(gate.threshold),
        Gate::Gated(gate) => tensors.extend([gate.r_mag, gate.b_mag, gate.b_gate]),
        _ => {}
    }
    tensors.extend(sae.log_sparsity);
    let bits = |tensor: &Tensor| values(tensor).into_iter().map(f32::to_bits).collect();
    tensors.iter().map(bits).collect()
}

#[test]
fn a_resumed_training_is_the_same_to_the_last_bit() {
    let folder = tempfile::tempdir().unwrap();
    let resampling = Resampling {
        every: 7,
        times: 10,
        encoder_scale: 0.2,
    };
    for config in every_kind() {
        let kind = format!("{:?}", config.gate);
        let config = config
            .dead_after(3)
            .resampling(Some(resampling))
            .normalize_activations(ActivationNorm::ExpectedAverageOnlyIn)
            .penalty_warm_up(15)
            .learning_rate_warm_up(5)
            .steps(20);
        let path = folder.path().join("checkpoint");
        let mut through = on_sums(config.clone());
        through.run(20).unwrap();

        let mut stopped = on_sums(config.clone());
        stopped.run(10).unwrap();
        stopped.save_checkpoint(&path).unwrap();
        drop(stopped);
        let mut resumed = on_sums(config);
        resumed.load_checkpoint(&path).unwrap();
        assert_eq!(resumed.step(), 10);
        resumed.run(10).unwrap();
        assert!(weights(&through) == weights(&resumed), "{kind}");
        // The optimiser remembers the same as well: later steps are equal too.
        through.run(5).unwrap();
        resumed.run(5).unwrap();
        assert!(weights(&through) == weights(&resumed), "{kind}, later");
    }
}

#[test]
fn other_seeds_are_other_trainings_and_equal_ones_the_same() {
    let run = |seed| {
        let mut trainer = on_sums(small(TrainConfig::relu(64).l1(0.1)).seed(seed));
        trainer.run(5).unwrap();
        weights(&trainer)
    };
    assert!(run(1) == run(1));
    assert!(run(1) != run(2));
}

#[test]
fn an_autoencoder_that_was_handed_out_does_not_change() {
    let mut trainer = on_sums(small(TrainConfig::relu(64).l1(0.1)));
    trainer.run(2).unwrap();
    let sae = trainer.sae().unwrap();
    let before = values(&sae.W_dec);
    trainer.run(3).unwrap();
    assert_eq!(before, values(&sae.W_dec));
    assert_ne!(before, values(&trainer.sae().unwrap().W_dec));
}

#[test]
fn rows_of_the_decoder_stay_at_norm_1_but_for_free_ones() {
    let norms = |trainer: &SaeTrainer| {
        let sae = trainer.sae().unwrap();
        values(&sae.W_dec.sqr().unwrap().sum(1).unwrap())
    };
    let mut unit = on_sums(small(TrainConfig::relu(64).l1(0.1)));
    unit.run(20).unwrap();
    assert!(norms(&unit).iter().all(|norm| (norm - 1.).abs() < 1e-5));
    let mut free = on_sums(small(TrainConfig::nsae(64, 0.05, 1e-3)));
    free.run(20).unwrap();
    assert!(norms(&free).iter().any(|norm| (norm - 0.01).abs() > 1e-3));
}

#[test]
fn several_hook_points_are_trained_on_one_pass_each() {
    let model = model();
    let config = TrainConfig::relu(64).l1(1e-3).batch_size(8).log_every(3);
    let filter = "blocks.*.hook_resid_post";
    let mut trainer = SaeTrainer::for_hooks(&model, filter, TEXTS, config.clone()).unwrap();
    trainer.run(6).unwrap();
    let saes = trainer.saes().unwrap();
    let names: Vec<Option<String>> = saes.iter().map(|sae| sae.cfg.hook_name.clone()).collect();
    let expected = ["blocks.0.hook_resid_post", "blocks.1.hook_resid_post"];
    assert_eq!(names, expected.map(|name| Some(name.to_owned())));
    let table = trainer.history().unwrap();
    assert_eq!(table.height(), 4);
    assert_eq!(saes[1].cfg.model_name, Some(model.config().model_name));
    assert_eq!(saes[1].cfg.metadata["training_steps"], 6);
    assert_eq!(saes[1].cfg.metadata["seed"], 0);
    assert!(saes[1].log_sparsity.is_some());
    // Each is a training of its own: that of the first point alone ends at the same weights.
    let mut alone = SaeTrainer::for_hook(&model, expected[0], TEXTS, config).unwrap();
    alone.run(6).unwrap();
    let alone = values(&alone.sae().unwrap().W_enc);
    assert_eq!(alone, values(&saes[0].W_enc));
    let error = trainer.sae().unwrap_err().to_string();
    assert!(
        error.contains("sae_at(\"blocks.0.hook_resid_post\")"),
        "{error}"
    );
    let at = trainer.sae_at(expected[1]).unwrap();
    assert_eq!(values(&at.W_enc), values(&saes[1].W_enc));
    let error = trainer
        .sae_at("blocks.1.hook_resid_pst")
        .unwrap_err()
        .to_string();
    assert!(error.contains("Did you mean"), "{error}");
}

#[test]
fn heads_are_read_side_by_side() {
    let model = model();
    let config = TrainConfig::relu(64).l1(1e-3).batch_size(8);
    let mut trainer = SaeTrainer::for_hook(&model, "blocks.0.attn.hook_z", TEXTS, config).unwrap();
    trainer.run(2).unwrap();
    let sae = trainer.sae().unwrap();
    assert!(sae.cfg.hook_z);
    let (_, cache) = model
        .run_with_cache(TEXTS[0], "blocks.0.attn.hook_z")
        .unwrap();
    let z = cache.get("blocks.0.attn.hook_z").unwrap();
    assert_eq!(sae.forward(&z).unwrap().dims(), z.dims());
}

#[test]
fn activations_of_any_scale_are_trained_alike_and_the_scale_is_folded_in() {
    let x = sparse_sums(2048, 16, 32);
    let train = |x: &Tensor| {
        let source = ActivationSource::of_tensor("x", x).unwrap();
        let norm = ActivationNorm::ExpectedAverageOnlyIn;
        let config = small(TrainConfig::relu(64).l1(0.1)).normalize_activations(norm);
        let mut trainer = SaeTrainer::new(source, config).unwrap();
        trainer.run(50).unwrap();
        (trainer.sae().unwrap(), trainer.metrics().remove(0))
    };
    let (sae, metrics) = train(&x);
    let (large, large_metrics) = train(&(&x * 100.).unwrap());
    assert!((metrics.loss - large_metrics.loss).abs() < 1e-3 * metrics.loss);
    assert_eq!(sae.cfg.normalize_activations, ActivationNorm::None);
    let recon = values(&sae.forward(&x).unwrap());
    let recon_large = values(&large.forward(&(&x * 100.).unwrap()).unwrap());
    for (one, hundred) in recon.iter().zip(&recon_large) {
        assert!((one - hundred / 100.).abs() < 0.02, "{one} {hundred}");
    }
}

#[test]
fn dead_latents_are_made_anew() {
    // Nothing is active with these biases, but for the latents that are left alone.
    let start = |resampling| {
        let config = small(TrainConfig::relu(64).l1(0.01))
            .bias_start(BiasStart::Zeros)
            .dead_after(5)
            .resampling(resampling);
        let mut first = on_sums(config.clone());
        first.run(1).unwrap();
        let mut sae = first.sae().unwrap();
        let biases: Vec<f32> = (0..64)
            .map(|latent| if latent < 32 { -100. } else { 0. })
            .collect();
        sae.b_enc = Tensor::new(biases, &Device::Cpu).unwrap();
        let mut trainer = on_sums(config);
        trainer.start_from(&sae).unwrap();
        trainer.run(50).unwrap();
        trainer.metrics().pop().unwrap().dead
    };
    assert!(start(None) >= 32);
    let resampling = Resampling {
        every: 10,
        times: 4,
        encoder_scale: 0.2,
    };
    assert!(start(Some(resampling)) < 8);
}

#[test]
fn logs_go_to_observers_tables_and_files() {
    let folder = tempfile::tempdir().unwrap();
    let (csv, lines) = (
        folder.path().join("log.csv"),
        folder.path().join("log.jsonl"),
    );
    let seen = Arc::new(Mutex::new(Vec::new()));
    let mut trainer = on_sums(small(TrainConfig::relu(64).l1(0.1)).log_every(4));
    let observed = Arc::clone(&seen);
    trainer.on_log(move |metrics: &Metrics| observed.lock().unwrap().push(metrics.step));
    trainer.log_to(&csv).unwrap();
    trainer.log_to(&lines).unwrap();
    trainer.run(12).unwrap();
    assert_eq!(*seen.lock().unwrap(), [4, 8, 12]);
    let table = trainer.history().unwrap();
    assert_eq!(table.height(), 3);
    let text = std::fs::read_to_string(&csv).unwrap();
    let names: Vec<&str> = text.lines().next().unwrap().split(',').collect();
    let columns = table.get_column_names();
    let columns: Vec<&str> = columns.iter().map(|name| name.as_str()).collect();
    assert_eq!(names, columns);
    assert_eq!(text.lines().count(), 4);
    let text = std::fs::read_to_string(&lines).unwrap();
    let logged: Vec<Metrics> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(logged.len(), 3);
    assert_eq!(logged[2].tokens, 12 * 256);
    let last = &logged[2];
    let sum = last.squared_error + last.penalty + last.auxiliary + last.other_errors;
    assert!((last.loss - sum).abs() < 1e-9);
    assert!((last.alive - (1. - last.dead as f64 / 64.)).abs() < 1e-12);
}

#[test]
fn batch_top_k_is_handed_out_with_its_threshold() {
    let mut trainer = on_sums(small(TrainConfig::batch_top_k(64, 4.)));
    trainer.run(300).unwrap();
    let sae = trainer.sae().unwrap();
    let Gate::BatchTopK(gate) = &sae.gate else {
        panic!("{:?}", sae.gate);
    };
    assert!(gate.threshold.is_some_and(|threshold| threshold > 0.));
    let acts = sae.encode(&sparse_sums(2048, 16, 32)).unwrap();
    let active = acts.gt(0.).unwrap().to_dtype(DType::F32).unwrap();
    let l0: f32 = active.sum_all().unwrap().to_scalar::<f32>().unwrap() / 2048.;
    assert!((3. ..5.).contains(&l0), "{l0}");
}

fn error_of(config: TrainConfig) -> String {
    let x = sparse_sums(64, 16, 8);
    let source = ActivationSource::of_tensor("x", &x).unwrap();
    SaeTrainer::new(source, config).unwrap_err().to_string()
}

#[test]
fn impossible_configs_are_named() {
    let relu = || TrainConfig::relu(64);
    let jump = |bandwidth| {
        GateTraining::JumpRelu(JumpReluTraining {
            start_threshold: 0.1,
            bandwidth,
            l0_loss: L0Loss::Step,
            l0_coefficient: 1.,
            gradient_to_input: false,
        })
    };
    let cases = [
        (TrainConfig::relu(0), "d_sae is 0"),
        (relu().learning_rate(-1e-3), "learning_rate is -0.001"),
        (relu().learning_rate(f64::NAN), "learning_rate is NaN"),
        (relu().batch_size(0), "batch_size is 0"),
        (relu().log_every(0), "log_every is 0"),
        (relu().l1(-1.), "a penalty is -1"),
        (relu().betas((0.9, 1.)), "betas"),
        (relu().gradient_clip(Some(0.)), "gradient_clip is 0"),
        (
            relu().normalize_activations(ActivationNorm::LayerNorm),
            "layer_norm",
        ),
        (TrainConfig::top_k(64, 65), "k is 65"),
        (TrainConfig::batch_top_k(64, 0.), "k is 0"),
        (TrainConfig::matryoshka(vec![32, 16, 64], 4.), "must rise"),
        (TrainConfig::nsae(64, -0.1, 1.), "sigma is -0.1"),
        (TrainConfig::jump_relu(64).gate(jump(0.)), "bandwidth is 0"),
    ];
    for (config, words) in cases {
        let error = error_of(config);
        assert!(error.contains(words), "{words}: {error}");
    }
}

#[test]
fn an_unknown_hook_point_names_the_nearest() {
    let config = TrainConfig::relu(64);
    let error = SaeTrainer::for_hook(&model(), "blocks.0.hook_mlp_ot", TEXTS, config).unwrap_err();
    let error = error.to_string();
    assert!(error.contains("blocks.0.hook_mlp_out"), "{error}");
}

#[test]
fn one_hook_point_is_not_several() {
    let config = TrainConfig::relu(64);
    let filter = "blocks.*.hook_mlp_out";
    let error = SaeTrainer::for_hook(&model(), filter, TEXTS, config).unwrap_err();
    assert!(error.to_string().contains("for_hooks"), "{error}");
}

#[test]
fn scores_cannot_be_trained_on() {
    let config = TrainConfig::relu(64);
    let hook = "blocks.0.attn.hook_pattern";
    let error = SaeTrainer::for_hook(&model(), hook, TEXTS, config).unwrap_err();
    assert!(
        error.to_string().contains("one vector a position"),
        "{error}"
    );
}

#[test]
fn no_text_is_nothing_to_train_on() {
    for texts in [vec![], vec![""]] {
        let config = TrainConfig::relu(64);
        let hook = "blocks.0.hook_mlp_out";
        let error = SaeTrainer::for_hook(&model(), hook, texts, config).unwrap_err();
        assert!(error.to_string().contains("nothing to train on"), "{error}");
    }
}

#[test]
fn a_sequence_that_is_too_long_says_so() {
    let model = model();
    let long = vec![vec![1; model.config().n_ctx + 1]];
    let error = ActivationSource::of_tokens(&model, "blocks.0.hook_mlp_out", long).unwrap_err();
    assert!(error.to_string().contains("reads at most"), "{error}");
}

#[test]
fn activations_of_another_width_say_so() {
    let source = ActivationSource::from_fn([("blocks.0.hook_mlp_out", 8)], |_| {
        let x = Tensor::zeros((4, 9), DType::F32, &Device::Cpu)?;
        Ok(Some(vec![x]))
    });
    let config = TrainConfig::relu(16).batch_size(4);
    let mut trainer = SaeTrainer::new(source.unwrap(), config).unwrap();
    let error = trainer.run(1).unwrap_err().to_string();
    assert!(error.contains("width 9, but 8 was announced"), "{error}");
}

#[test]
fn an_autoencoder_of_another_width_or_kind_is_no_start() {
    let mut other = on_sums(small(TrainConfig::relu(32)));
    let wide = on_sums(small(TrainConfig::relu(64))).sae().unwrap();
    let error = other.start_from(&wide).unwrap_err().to_string();
    assert!(
        error.contains("64 latents, but the config asks for 32"),
        "{error}"
    );
    let mut top_k = on_sums(small(TrainConfig::top_k(64, 4)));
    let error = top_k.start_from(&wide).unwrap_err().to_string();
    assert!(error.contains("`standard`"), "{error}");
    let model = model();
    let config = TrainConfig::relu(64);
    let hook = "blocks.0.hook_mlp_out";
    let mut wider = SaeTrainer::for_hook(&model, hook, TEXTS, config).unwrap();
    let error = wider.start_from(&wide).unwrap_err().to_string();
    assert!(error.contains("reads activations of width 16"), "{error}");
}

fn of_poison(at: u64) -> SaeTrainer {
    let x = sparse_sums(2048, 16, 32);
    let source = ActivationSource::from_fn([("x", 16)], move |index| {
        let rows = x.narrow(0, (index as usize % 8) * 256, 256)?;
        let nan = index >= at;
        Ok(Some(vec![if nan { (rows * f64::NAN)? } else { rows }]))
    });
    let config = small(TrainConfig::relu(64).l1(0.1)).buffer_batches(2);
    SaeTrainer::new(source.unwrap(), config).unwrap()
}

#[test]
fn a_loss_that_is_not_finite_names_the_step_and_keeps_the_weights() {
    let mut trainer = of_poison(4);
    let error = trainer.run(100).unwrap_err().to_string();
    assert!(error.contains("is NaN in step"), "{error}");
    assert!(error.contains("Lower `learning_rate`"), "{error}");
    let done = trainer.step();
    assert!(done >= 1, "{done}");
    assert!(error.contains(&format!("in step {}", done + 1)), "{error}");
    let sae = trainer.sae().unwrap();
    assert!(values(&sae.W_enc).iter().all(|weight| weight.is_finite()));
    let error = of_poison(0).run(1).unwrap_err().to_string();
    assert!(error.contains("mean norm of NaN"), "{error}");
}

#[test]
fn checkpoints_of_other_trainings_say_what_differs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint");
    let config = || small(TrainConfig::relu(64).l1(0.1));
    let mut trainer = on_sums(config());
    trainer.checkpoint_to(&path, 2).unwrap();
    trainer.run(3).unwrap();
    let load = |mut other: SaeTrainer| other.load_checkpoint(&path).map(|()| other);
    let error = load(on_sums(config().learning_rate(1e-3)))
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("learning_rate is 0.003 in the checkpoint and 0.001"),
        "{error}"
    );
    let x = sparse_sums(1024, 16, 32);
    let source = |name| ActivationSource::of_tensor(name, &x).unwrap();
    let other = SaeTrainer::new(source("blocks.0.hook_mlp_out"), config()).unwrap();
    let error = load(other).unwrap_err().to_string();
    assert!(error.contains("other data"), "{error}");
    let other = SaeTrainer::new(source("elsewhere"), config()).unwrap();
    let error = load(other).unwrap_err().to_string();
    assert!(error.contains("blocks.0.hook_mlp_out"), "{error}");
    // More steps may be planned.
    let resumed = load(on_sums(config().steps(20_000))).unwrap();
    assert_eq!(resumed.step(), 2);
    assert_eq!(resumed.metrics().len(), 0);
}

#[test]
fn a_damaged_or_missing_checkpoint_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("checkpoint");
    let mut trainer = on_sums(small(TrainConfig::relu(64).l1(0.1)));
    let error = trainer.load_checkpoint(&path).unwrap_err().to_string();
    assert!(error.contains("loading the checkpoint"), "{error}");
    trainer.run(2).unwrap();
    trainer.save_checkpoint(&path).unwrap();
    let before = weights(&trainer);
    let file = path.join("trainer.safetensors");
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    trainer.run(1).unwrap();
    let after = weights(&trainer);
    assert!(before != after);
    assert!(trainer.load_checkpoint(&path).is_err());
    assert!(weights(&trainer) == after);
    // A folder that holds something else is not written over.
    let error = trainer
        .save_checkpoint(folder.path())
        .unwrap_err()
        .to_string();
    assert!(error.contains("no checkpoint"), "{error}");
    assert!(path.exists());
}

#[test]
fn a_training_goes_on_from_an_autoencoder() {
    let mut first = on_sums(small(TrainConfig::relu(64).l1(0.1)));
    first.run(300).unwrap();
    let sae: Sae = first.sae().unwrap();
    let reached = first.metrics().pop().unwrap().loss;
    let mut second = on_sums(small(TrainConfig::relu(64).l1(0.1)).log_every(1).seed(9));
    second.start_from(&sae).unwrap();
    second.run(1).unwrap();
    let started = second.metrics().pop().unwrap().loss;
    assert!(
        (started - reached).abs() < 0.2 * reached,
        "{started} {reached}"
    );
    let error = second.start_from(&sae).unwrap_err().to_string();
    assert!(error.contains("1 steps were taken already"), "{error}");
}

#[test]
fn a_stream_from_the_disk_trains_as_one_that_is_computed() {
    let model = model();
    let corpus = Corpus::new(&model, TEXTS).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let trained = |stream: Activations| {
        let source = ActivationSource::of_stream(stream.skip_first(1)).unwrap();
        let config = TrainConfig::relu(64)
            .l1(1e-2)
            .batch_size(4)
            .learning_rate(1e-3);
        let mut trainer = SaeTrainer::new(source, config).unwrap();
        trainer.run(12).unwrap();
        trainer.sae().unwrap()
    };
    let stream = |point: &str| corpus.activations(&model, point).unwrap().shuffled(3);
    let computed = trained(stream("blocks.0.hook_mlp_out"));
    let kept = || {
        stream("blocks.0.hook_mlp_out")
            .cache_in(folder.path())
            .unwrap()
    };
    let first = trained(kept());
    assert!(std::fs::read_dir(folder.path()).unwrap().count() > 0);
    for other in [first, trained(kept())] {
        assert_eq!(values(&other.W_enc), values(&computed.W_enc));
        assert_eq!(values(&other.W_dec), values(&computed.W_dec));
    }
    assert_eq!(
        computed.cfg.hook_name.as_deref(),
        Some("blocks.0.hook_mlp_out")
    );
    assert_eq!(computed.cfg.model_name.as_deref(), Some("stories-2l"));
    let heads = trained(stream("blocks.0.attn.hook_z"));
    assert!(heads.cfg.hook_z && heads.cfg.d_in == model.config().d_model);
    let nothing = ActivationSource::of_stream(stream("blocks.0.hook_mlp_out").skip_first(500));
    let message = nothing.err().unwrap().to_string();
    assert!(message.contains("nothing to train on"), "{message}");
    let message = ActivationSource::of_stream(stream("blocks.0.ln1.hook_scale"));
    let message = message.err().unwrap().to_string();
    assert!(message.contains("hook_scale"), "{message}");
}
