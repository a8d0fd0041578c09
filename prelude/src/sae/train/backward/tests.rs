//! Against recorded values, and against candle's automatic differentiation.

use super::*;
use crate::sae::train::config::{DecoderNorm, JumpReluTraining, L0Loss};
use crate::sae::train::lane::Lane;
use crate::sae::train::penalty::Penalty;
use crate::sae::train::source::Place;
use crate::sae::{Gate, Sae, SaeConfig};
use candle_core::{D, Device, Var};
use std::collections::HashMap;

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/golden/sae");

fn recorded(file: &str) -> HashMap<String, Tensor> {
    candle_core::safetensors::load(format!("{GOLDEN}/{file}/golden.safetensors"), &Device::Cpu)
        .unwrap()
}

fn assert_close(name: &str, ours: &Tensor, theirs: &Tensor, tolerance: f32) {
    assert_eq!(ours.dims(), theirs.dims(), "{name}");
    let flat = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let (ours, theirs) = (flat(ours), flat(theirs));
    let largest = theirs
        .iter()
        .fold(0f32, |most, value| most.max(value.abs()));
    for (index, (a, b)) in ours.iter().zip(&theirs).enumerate() {
        assert!(
            (a - b).abs() <= tolerance * largest.max(1.),
            "{name}[{index}]: ours {a}, theirs {b}, the largest is {largest}"
        );
    }
}

fn input(config: &TrainConfig) -> StepInput<'_> {
    StepInput {
        config,
        penalties: Penalties::new(&config.penalties, 1.),
        l0_coefficient: 0.7,
        dead: &[],
        noise: Noise::None,
    }
}

#[test]
fn three_steps_of_the_baseline_are_those_of_torch() {
    let golden = recorded("train_step");
    let of = |name: &str| golden[name].clone();
    let config = TrainConfig::relu(192)
        .l1(1e-3)
        .learning_rate(1e-3)
        .betas((0.9, 0.99))
        .gradient_clip(None);
    let x = of("x");
    let rows = x.dim(0).unwrap();
    let cfg = SaeConfig::new(32, 192);
    let (b_enc, b_dec) = (of("init/b_enc"), of("init/b_dec"));
    let sae = Sae::new(
        cfg,
        of("init/W_enc"),
        b_enc,
        of("init/W_dec"),
        b_dec,
        Gate::Relu,
    )
    .unwrap();
    let place = Place {
        hook: "blocks.1.hook_resid_pre".into(),
        width: 32,
        heads: false,
    };
    let mut lane = Lane::new(&config, &place, 0, &Device::Cpu).unwrap();
    lane.start_from(&config, &sae).unwrap();
    lane.start(&config, &x).unwrap();
    let losses: Vec<f32> = of("losses").to_vec1().unwrap();
    for (step, recorded) in losses.iter().enumerate() {
        let mut outcome = lane.pass(&config, &x, step as u64).unwrap();
        let loss = outcome.losses.total() as f32;
        assert!((loss - recorded).abs() < 1e-3, "{step}: {loss} {recorded}");
        lane.update(&config, &mut outcome, step as u64, rows)
            .unwrap();
        if step == 0 {
            // `update` has taken away what is parallel to the decoder's rows.
            for (name, gradient) in outcome.gradients.named() {
                let theirs = of(&format!("grad_step0/{name}"));
                let ours = match name {
                    "W_enc" => gradient.t().unwrap(),
                    _ => gradient.clone(),
                };
                assert_close(name, &ours, &theirs, 1e-5);
            }
        }
    }
    let trained = lane.sae(&config).unwrap();
    for (name, ours) in [
        ("W_enc", &trained.W_enc),
        ("b_enc", &trained.b_enc),
        ("W_dec", &trained.W_dec),
        ("b_dec", &trained.b_dec),
    ] {
        assert_close(name, ours, &of(&format!("final/{name}")), 1e-5);
    }
}

#[test]
fn the_loss_of_the_nsae_and_its_gradients_are_those_of_torch() {
    let golden = recorded("nsae");
    let of = |name: &str| golden[name].clone();
    let x = of("x");
    let [alpha, beta, loss] = of("alpha_beta_loss").to_vec1::<f32>().unwrap()[..] else {
        panic!("three numbers were recorded");
    };
    let config = TrainConfig::nsae(192, 0.1, f64::from(alpha));
    let place = Place {
        hook: "x".into(),
        width: 32,
        heads: false,
    };
    let mut lane = Lane::new(&config, &place, 0, &Device::Cpu).unwrap();
    lane.start(&config, &x).unwrap();
    let scale = lane.penalty_scale(&config, 0);
    assert!((scale * f64::from(alpha) - f64::from(beta)).abs() < 1e-6);
    let weights = Parameters {
        W_enc: of("W_enc").t().unwrap().contiguous().unwrap(),
        b_enc: of("b_enc"),
        W_dec: of("W_dec"),
        b_dec: Tensor::zeros(32, DType::F32, &Device::Cpu).unwrap(),
        of_gate: Vec::new(),
    };
    let step = StepInput {
        penalties: Penalties::new(&config.penalties, scale),
        noise: Noise::Given(of("noise")),
        ..input(&config)
    };
    let outcome = pass(&weights, &x, &step).unwrap();
    assert!(
        (outcome.losses.total() as f32 - loss).abs() < 1e-3,
        "{:?}",
        outcome.losses
    );
    let gradients = &outcome.gradients;
    assert_close(
        "W_enc",
        &gradients.W_enc.t().unwrap(),
        &of("grad/W_enc"),
        1e-5,
    );
    assert_close("b_enc", &gradients.b_enc, &of("grad/b_enc"), 1e-5);
    assert_close("W_dec", &gradients.W_dec, &of("grad/W_dec"), 1e-5);
    // Without noise it is the autoencoder that is saved.
    let (sigma, device) = (0.1, Device::Cpu);
    let zeros = Tensor::zeros(32, DType::F32, &device).unwrap();
    let mut cfg = SaeConfig::new(32, 192);
    cfg.apply_b_dec_to_input = false;
    let gate = Gate::Nsae(crate::sae::Nsae { sigma });
    let sae = Sae::new(cfg, of("W_enc"), of("b_enc"), of("W_dec"), zeros, gate).unwrap();
    assert_close("c", &sae.encode(&x).unwrap(), &of("c_eval"), 1e-5);
    let recon = sae.forward(&x).unwrap();
    assert_close("recon", &recon, &of("recon_eval"), 1e-5);
    let silent = pass(&weights, &x, &input(&config)).unwrap();
    let [l0, l1] = of("l0_l1_eval").to_vec1::<f32>().unwrap()[..] else {
        panic!("two numbers were recorded");
    };
    assert!((silent.sums.l0() as f32 - l0).abs() < 1e-4);
    assert!((silent.sums.l1() as f32 - l1).abs() < 1e-3);
    let norms = |tensor: &Tensor| tensor.sqr().unwrap().sum(1).unwrap().sqrt().unwrap();
    let ratio = (norms(&recon) / norms(&x)).unwrap().mean_all().unwrap();
    assert_close(
        "ratio",
        &ratio.reshape(1).unwrap(),
        &of("suppression_ratio"),
        1e-5,
    );
}

/// A small problem of which every latent is on some rows active, and the same as variables.
struct Problem {
    x: Tensor,
    weights: Parameters,
    variables: Parameters<Var>,
}

impl Problem {
    const ROWS: usize = 24;
    const D_IN: usize = 7;
    const D_SAE: usize = 200;

    fn new(of_gate: &[&'static str]) -> Self {
        let device = &Device::Cpu;
        let draw = |count: u64, rows: usize, width: usize, scale: f64| {
            use crate::sae::train::random::{Purpose, mixed, normals, scrambled};
            let start = mixed(5, Purpose::Weights, count);
            let values = (0..(rows * width) as u64)
                .map(|index| normals(scrambled(start.wrapping_add(index))).0);
            let values: Vec<f32> = values.collect();
            let tensor = Tensor::from_vec(values, (rows, width), device).unwrap();
            (tensor * scale).unwrap()
        };
        let vector = |count, width, scale| draw(count, 1, width, scale).squeeze(0).unwrap();
        let weights = Parameters {
            W_enc: draw(1, Self::D_SAE, Self::D_IN, 0.4),
            b_enc: vector(2, Self::D_SAE, 0.1),
            W_dec: draw(3, Self::D_SAE, Self::D_IN, 0.4),
            b_dec: vector(4, Self::D_IN, 0.1),
            of_gate: of_gate
                .iter()
                .zip(5..)
                .map(|(name, count)| (*name, vector(count, Self::D_SAE, 0.2)))
                .collect(),
        };
        let variables = weights
            .map(|_, weight| Ok(Var::from_tensor(weight)?))
            .unwrap();
        Self {
            x: draw(9, Self::ROWS, Self::D_IN, 1.),
            weights,
            variables,
        }
    }

    fn projected(&self, config: &TrainConfig) -> Tensor {
        let own = &self.variables;
        let centred = match config.apply_b_dec_to_input {
            true => self.x.broadcast_sub(&own.b_dec).unwrap(),
            false => self.x.clone(),
        };
        centred.matmul(&own.W_enc.t().unwrap()).unwrap()
    }

    fn written(&self, acts: &Tensor) -> Tensor {
        let own = &self.variables;
        let written = acts.matmul(&own.W_dec).unwrap();
        written.broadcast_add(&own.b_dec).unwrap()
    }

    fn error(&self, written: &Tensor) -> Tensor {
        let squares = (written - &self.x).unwrap().sqr().unwrap();
        squares.sum(1).unwrap().mean(0).unwrap()
    }

    /// The gradients that candle finds for a loss.
    fn check(&self, name: &str, config: &TrainConfig, outcome: &Outcome, loss: &Tensor) {
        let total = f64::from(loss.to_scalar::<f32>().unwrap());
        let ours = outcome.losses.total();
        assert!(
            (ours - total).abs() < 1e-5 * total.max(1.),
            "{name}: {ours} {total}"
        );
        let gradients = loss.backward().unwrap();
        let named = self.variables.named();
        for ((weight, variable), (_, ours)) in named.into_iter().zip(outcome.gradients.named()) {
            let theirs = match gradients.get(variable) {
                Some(theirs) => theirs.clone(),
                None => variable.zeros_like().unwrap(),
            };
            if weight == "b_dec" && !config.decoder_bias {
                continue;
            }
            assert_close(&format!("{name}, {weight}"), ours, &theirs, 2e-5);
        }
    }
}

fn penalty(penalty: Penalty, acts: &Tensor) -> candle_core::Result<Tensor> {
    let l1 = acts.sum(1)?;
    let squares = acts.sqr()?;
    Ok(match penalty {
        Penalty::L1 => l1.mean(0)?,
        Penalty::Sqrt => {
            let below = acts.lt(1.)?.to_dtype(DType::F32)?;
            let safe = acts.maximum(1e-9)?;
            let above = below.affine(-1., 1.)?;
            let active = acts.gt(0.)?.to_dtype(DType::F32)?;
            let each = (((safe.sqrt()? * below)? + (&safe * above)?)? * active)?;
            each.sum(1)?.mean(0)?
        }
        Penalty::HoyerSquare => {
            let l2 = (squares.sum(1)?.sqrt()? + f64::from(f32::EPSILON))?;
            (l1 / l2)?.sqr()?.mean(0)?
        }
        Penalty::HoyerDensity => {
            let density = (l1.sum_all()?.sqr()? / squares.sum_all()?)?;
            (density / acts.elem_count() as f64)?
        }
        Penalty::HoyerDensityL1 => {
            let density = (l1.sum_all()?.sqr()? / squares.sum_all()?)?;
            ((density / acts.elem_count() as f64)? * l1.mean(0)?)?
        }
    })
}

const ALL: [Penalty; 5] = [
    Penalty::L1,
    Penalty::Sqrt,
    Penalty::HoyerSquare,
    Penalty::HoyerDensity,
    Penalty::HoyerDensityL1,
];

fn sum_of_penalties(config: &TrainConfig, seen: &Tensor) -> Tensor {
    let mut sum = Tensor::new(0f32, &Device::Cpu).unwrap();
    for (kind, coefficient) in &config.penalties {
        sum = (sum + (penalty(*kind, seen).unwrap() * *coefficient).unwrap()).unwrap();
    }
    sum
}

/// Norms of the decoder's rows, where penalties see them.
fn seen(problem: &Problem, config: &TrainConfig, acts: &Tensor) -> Tensor {
    if !config.penalty_sees_decoder_norm {
        return acts.clone();
    }
    let squares = problem.variables.W_dec.sqr().unwrap().sum(1).unwrap();
    acts.broadcast_mul(&squares.sqrt().unwrap()).unwrap()
}

#[test]
fn gradients_of_relu_and_nsae_under_every_penalty_are_those_of_candle() {
    let problem = Problem::new(&[]);
    let mut configs = Vec::new();
    for kind in ALL {
        for config in [TrainConfig::relu(200), TrainConfig::nsae(200, 0., 1.)] {
            configs.push(config.penalties([(kind, 0.3)]));
        }
    }
    let combined = [(Penalty::Sqrt, 0.1), (Penalty::HoyerSquare, 0.2)];
    configs.push(TrainConfig::relu(200).penalties(combined));
    let free = TrainConfig::relu(200).decoder_norm(DecoderNorm::Free);
    configs.push(free.penalties(combined));
    configs.push(
        TrainConfig::relu(200)
            .penalties([])
            .apply_b_dec_to_input(false),
    );
    for config in configs {
        let name = format!("{:?} {:?}", config.gate, config.penalties);
        let outcome = pass(&problem.weights, &problem.x, &input(&config)).unwrap();
        let mut acts = problem.projected(&config);
        acts = acts
            .broadcast_add(&problem.variables.b_enc)
            .unwrap()
            .relu()
            .unwrap();
        if matches!(config.gate, GateTraining::Nsae { .. }) {
            acts = acts.tanh().unwrap();
        }
        let penalties = sum_of_penalties(&config, &seen(&problem, &config, &acts));
        let loss = (problem.error(&problem.written(&acts)) + penalties).unwrap();
        problem.check(&name, &config, &outcome, &loss);
    }
}

#[test]
fn gradients_of_top_k_gates_and_of_dead_latents_are_those_of_candle() {
    let problem = Problem::new(&[]);
    let prefixes = vec![20, 90, 200];
    // Few and many: through the sparse products and through the dense ones.
    let configs = [
        TrainConfig::top_k(200, 5),
        TrainConfig::top_k(200, 40),
        TrainConfig::batch_top_k(200, 4.5),
        TrainConfig::batch_top_k(200, 40.),
        TrainConfig::matryoshka(prefixes.clone(), 5.),
        TrainConfig::matryoshka(prefixes, 40.),
    ];
    for config in configs {
        let config = config.auxiliary(Some(0.5)).l1(0.01);
        let dead = [3, 17, 100, 199, 42];
        let step = StepInput {
            dead: &dead,
            ..input(&config)
        };
        let outcome = pass(&problem.weights, &problem.x, &step).unwrap();
        let projected = problem.projected(&config);
        let pre = projected.broadcast_add(&problem.variables.b_enc).unwrap();
        let chosen = activate(&config.gate, &problem, &config);
        let acts = (&pre * &chosen).unwrap();
        let mut loss = sum_of_penalties(&config, &acts);
        let groups = match &config.gate {
            GateTraining::Matryoshka { prefixes, .. } => prefixes.clone(),
            _ => vec![200],
        };
        let mut written = None;
        for end in groups {
            let W_dec = problem.variables.W_dec.narrow(0, 0, end).unwrap();
            let part = acts.narrow(1, 0, end).unwrap().contiguous().unwrap();
            let part = part.matmul(&W_dec).unwrap();
            let part = part.broadcast_add(&problem.variables.b_dec).unwrap();
            loss = (loss + problem.error(&part)).unwrap();
            written = Some(part);
        }
        // The three largest of the five dead ones, for half of 7 is 3.
        let ids = Tensor::new(&dead, &Device::Cpu).unwrap();
        let dead_pre = pre.index_select(&ids, 1).unwrap();
        let rows: Vec<Vec<f32>> = dead_pre.to_vec2().unwrap();
        let mask: Vec<Vec<f32>> = rows
            .iter()
            .map(|row| {
                let mut mask = vec![0.; row.len()];
                for (place, _) in crate::math::top_k_of(row, 3) {
                    mask[place] = 1.;
                }
                mask
            })
            .collect();
        let dead_acts = (dead_pre * Tensor::new(mask, &Device::Cpu).unwrap()).unwrap();
        let W_dec = problem.variables.W_dec.index_select(&ids, 0).unwrap();
        let residual = (&problem.x - written.unwrap().detach()).unwrap();
        let difference = (dead_acts.matmul(&W_dec).unwrap() - residual).unwrap();
        let auxiliary = difference.sqr().unwrap().sum(1).unwrap().mean(0).unwrap();
        loss = (loss + (auxiliary * 0.5).unwrap()).unwrap();
        problem.check(&format!("{:?}", config.gate), &config, &outcome, &loss);
    }

    fn activate(gate: &GateTraining, problem: &Problem, config: &TrainConfig) -> Tensor {
        let projected = problem.projected(config).detach().copy().unwrap();
        let bias = &problem.weights.b_enc;
        let acts = crate::sae::train::gates::activate(gate, projected, bias, &Noise::None);
        let acts = acts.unwrap();
        let l0: f32 = acts
            .gt(0.)
            .unwrap()
            .to_dtype(DType::F32)
            .unwrap()
            .sum_all()
            .unwrap()
            .to_scalar()
            .unwrap();
        let k = match gate {
            GateTraining::TopK { k } => *k as f32,
            GateTraining::BatchTopK { k, .. } | GateTraining::Matryoshka { k, .. } => *k as f32,
            _ => 0.,
        };
        assert_eq!(l0, k * Problem::ROWS as f32);
        acts.gt(0.).unwrap().to_dtype(DType::F32).unwrap()
    }
}

#[test]
fn gradients_of_gated_autoencoders_are_those_of_candle() {
    let problem = Problem::new(&["r_mag", "b_mag"]);
    for (frozen_decoder, norm) in [
        (true, DecoderNorm::Unit),
        (false, DecoderNorm::Unit),
        (false, DecoderNorm::Free),
    ] {
        let config = TrainConfig::gated(200)
            .gate(GateTraining::Gated { frozen_decoder })
            .decoder_norm(norm)
            .l1(0.2);
        let outcome = pass(&problem.weights, &problem.x, &input(&config)).unwrap();
        let own = &problem.variables;
        let projected = problem.projected(&config);
        let gate = projected.broadcast_add(&own.b_enc).unwrap();
        let scale = own.of_gate("r_mag").unwrap().exp().unwrap();
        let magnitude = projected.broadcast_mul(&scale).unwrap();
        let magnitude = magnitude
            .broadcast_add(own.of_gate("b_mag").unwrap())
            .unwrap();
        let open = gate.gt(0.).unwrap().to_dtype(DType::F32).unwrap();
        let acts = (open * magnitude.relu().unwrap()).unwrap();
        let opening = gate.relu().unwrap();
        let other = match frozen_decoder {
            false => problem.written(&opening),
            true => {
                let written = opening.matmul(&problem.weights.W_dec).unwrap();
                written.broadcast_add(&problem.weights.b_dec).unwrap()
            }
        };
        let penalties = sum_of_penalties(&config, &seen(&problem, &config, &opening));
        let loss = (problem.error(&problem.written(&acts)) + problem.error(&other)).unwrap();
        let loss = (loss + penalties).unwrap();
        problem.check(
            &format!("{frozen_decoder} {norm:?}"),
            &config,
            &outcome,
            &loss,
        );
    }
}

#[test]
fn gradients_of_jump_relu_are_those_of_its_estimators() {
    let problem = Problem::new(&["threshold"]);
    let losses = [
        L0Loss::Step,
        L0Loss::Tanh { scale: 4. },
        L0Loss::Quadratic { target: 30. },
    ];
    for l0_loss in losses {
        for gradient_to_input in [false, true] {
            let mut config = TrainConfig::jump_relu(200);
            let mut weights = problem.weights.clone();
            let mut own = problem.variables.clone();
            // Thresholds are never below 0.
            let threshold = weights.of_gate[0].1.abs().unwrap();
            weights.of_gate[0].1 = threshold.clone();
            own.of_gate[0].1 = Var::from_tensor(&threshold).unwrap();
            if let GateTraining::JumpRelu(training) = &mut config.gate {
                training.l0_loss = l0_loss;
                training.bandwidth = 0.3;
                training.gradient_to_input = gradient_to_input;
            }
            let problem = Problem {
                x: problem.x.clone(),
                weights: weights.clone(),
                variables: own,
            };
            let own = &problem.variables;
            let outcome = pass(&weights, &problem.x, &input(&config)).unwrap();
            let pre = problem
                .projected(&config)
                .broadcast_add(&own.b_enc)
                .unwrap();
            let threshold = own.of_gate("threshold").unwrap().as_tensor();
            // A step whose slope is that of the window: its value, and the ramp less its own value.
            let distance = pre.broadcast_sub(threshold).unwrap();
            let window = distance.abs().unwrap().lt(0.15).unwrap();
            let window = window.to_dtype(DType::F32).unwrap();
            let ramp = match gradient_to_input {
                true => distance.clone(),
                false => pre.detach().broadcast_sub(threshold).unwrap(),
            };
            let ramp = ((ramp / 0.3).unwrap() * window).unwrap();
            let zero = (&ramp - ramp.detach()).unwrap();
            let above = distance.gt(0.).unwrap().to_dtype(DType::F32).unwrap();
            let step = (&above + &zero).unwrap();
            let jump = zero.broadcast_mul(&threshold.detach()).unwrap();
            let acts = ((&pre * &above).unwrap() + jump).unwrap();
            let count = step.sum(1).unwrap();
            let cost = match l0_loss {
                L0Loss::Step => count.mean(0).unwrap(),
                L0Loss::Quadratic { target } => {
                    let squares = (count - target).unwrap().sqr().unwrap();
                    (squares.mean(0).unwrap() * (2. / target)).unwrap()
                }
                L0Loss::Tanh { scale } => {
                    let norms = own.W_dec.sqr().unwrap().sum(1).unwrap().sqrt().unwrap();
                    let seen = (acts.broadcast_mul(&norms).unwrap() * scale).unwrap();
                    seen.tanh()
                        .unwrap()
                        .sum(D::Minus1)
                        .unwrap()
                        .mean(0)
                        .unwrap()
                }
            };
            let error = problem.error(&problem.written(&acts));
            let loss = (error + (cost * 0.7).unwrap()).unwrap();
            let name = format!("{l0_loss:?} {gradient_to_input}");
            problem.check(&name, &config, &outcome, &loss);
        }
    }
}

#[test]
fn sparse_products_are_the_dense_ones() {
    let problem = Problem::new(&[]);
    let config = TrainConfig::matryoshka(vec![20, 90, 200], 5.).l1(0.1);
    let free = config.decoder_norm(DecoderNorm::Free);
    let quick = pass(&problem.weights, &problem.x, &input(&free)).unwrap();
    assert!(quick.sums.l0() < 0.06 * 200.);
    let dense = support::pass_dense(&problem.weights, &problem.x, &input(&free)).unwrap();
    let pairs = quick.gradients.named().into_iter().zip(dense.named());
    for ((name, quick), (_, dense)) in pairs.filter(|((name, _), _)| *name != "b_dec") {
        assert_close(name, quick, dense, 1e-5);
    }
}

/// `(name, config)` of every step that SAELens took, with free decoder norms.
fn sae_lens_kinds() -> Vec<(&'static str, TrainConfig)> {
    let jump = |l0_loss, gradient_to_input| {
        TrainConfig::jump_relu(48).gate(GateTraining::JumpRelu(JumpReluTraining {
            start_threshold: 0.1,
            bandwidth: 0.3,
            l0_loss,
            l0_coefficient: 1.,
            gradient_to_input,
        }))
    };
    let free = |config: TrainConfig| config.decoder_norm(DecoderNorm::Free).l1(0.2);
    let gated = GateTraining::Gated {
        frozen_decoder: false,
    };
    let tanh = L0Loss::Tanh { scale: 4. };
    let quadratic = L0Loss::Quadratic { target: 10. };
    vec![
        ("standard", free(TrainConfig::relu(48))),
        ("gated", free(TrainConfig::gated(48).gate(gated))),
        ("jumprelu_step", jump(L0Loss::Step, false)),
        ("jumprelu_tanh", jump(tanh, true)),
        ("jumprelu_quadratic", jump(quadratic, false)),
        ("topk", TrainConfig::top_k(48, 5)),
        ("batchtopk", TrainConfig::batch_top_k(48, 5.)),
        ("matryoshka", TrainConfig::matryoshka(vec![12, 48], 5.)),
    ]
}

fn sae_lens_start(golden: &HashMap<String, Tensor>, kind: &str) -> Parameters {
    let of = |name: &str| golden[&format!("start/{name}")].clone();
    let of_gate: &[&'static str] = match kind {
        "gated" => &["r_mag", "b_mag"],
        kind if kind.starts_with("jumprelu") => &["threshold"],
        _ => &[],
    };
    Parameters {
        W_enc: of("W_enc").t().unwrap().contiguous().unwrap(),
        b_enc: of("b_enc"),
        W_dec: of("W_dec"),
        b_dec: of("b_dec"),
        of_gate: of_gate.iter().map(|name| (*name, of(name))).collect(),
    }
}

#[test]
fn every_gate_has_the_loss_and_the_gradients_that_sae_lens_has() {
    let golden = recorded("train_gates");
    let x = golden["x"].clone();
    let dead: Vec<u32> = golden["dead"]
        .to_dtype(DType::U32)
        .unwrap()
        .to_vec1()
        .unwrap();
    for (kind, config) in sae_lens_kinds() {
        let config = match config.auxiliary {
            Some(_) => config.auxiliary(Some(0.5)),
            None => config,
        };
        let weights = sae_lens_start(&golden, kind);
        let step = StepInput {
            dead: &dead,
            l0_coefficient: 0.3,
            ..input(&config)
        };
        for composed in [false, true] {
            let outcome = match composed {
                true => slices::composed(|| pass(&weights, &x, &step)),
                false => pass(&weights, &x, &step),
            };
            let outcome = outcome.unwrap();
            let theirs = golden[&format!("{kind}/loss")].to_vec1::<f32>().unwrap()[0];
            let ours = outcome.losses.total() as f32;
            assert!(
                (ours - theirs).abs() < 1e-4 * theirs,
                "{kind}: {ours} {theirs}"
            );
            for (name, gradient) in outcome.gradients.named() {
                let ours = match name {
                    "W_enc" => gradient.t().unwrap(),
                    _ => gradient.clone(),
                };
                let theirs = &golden[&format!("{kind}/grad/{name}")];
                assert_close(&format!("{kind}, {name}, {composed}"), &ours, theirs, 1e-5);
            }
        }
    }
}

#[test]
fn other_devices_take_the_same_steps() {
    // The operations that every device has, on the one that is here.
    let golden = recorded("train_gates");
    let x = golden["x"].clone();
    let place = Place {
        hook: "x".into(),
        width: 8,
        heads: false,
    };
    let mut kinds = sae_lens_kinds();
    kinds.push(("nsae", TrainConfig::nsae(48, 0.3, 0.01)));
    kinds.push((
        "unit",
        TrainConfig::relu(48).penalty(Penalty::HoyerSquare, 0.1),
    ));
    for (kind, config) in kinds {
        let config = config.dead_after(1).learning_rate(1e-2);
        let train = || {
            let mut lane = Lane::new(&config, &place, 0, &Device::Cpu).unwrap();
            lane.start(&config, &x).unwrap();
            for step in 0..4 {
                let mut outcome = lane.pass(&config, &x, step).unwrap();
                lane.update(&config, &mut outcome, step, 20).unwrap();
            }
            lane
        };
        let (quick, composed) = (train(), slices::composed(train));
        assert_eq!(quick.activity.counts, composed.activity.counts, "{kind}");
        let pairs = quick
            .weights
            .named()
            .into_iter()
            .zip(composed.weights.named());
        for ((name, quick), (_, composed)) in pairs {
            assert_close(&format!("{kind}, {name}"), quick, composed, 1e-4);
        }
    }
}
