//! How many activations a second an autoencoder is trained on.
//!
//! `cargo run --release -p ferrolens-benches --bin sae_step [d_in d_sae batch steps] [kinds…]`
//!
//! The activations are sums of a few hidden directions. An untrained ReLU autoencoder has half of its
//! latents active; "few active" starts one with biases that leave about one in a hundred, as in a training
//! that is under way.

use candle_core::{Device, Tensor};
use ferrolens::sae::train::{ActivationSource, BiasStart, SaeTrainer, TrainConfig};
use std::time::Instant;

fn main() -> ferrolens::Result<()> {
    let numbers: Vec<usize> = std::env::args()
        .skip(1)
        .filter_map(|argument| argument.parse().ok())
        .collect();
    let (d_in, d_sae, batch, steps) = match numbers[..] {
        [d_in, d_sae, batch, steps] => (d_in, d_sae, batch, steps as u64),
        _ => (512, 4096, 4096, 10),
    };
    let x = activations(4 * batch, d_in)?;
    let wanted: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument.parse::<usize>().is_err())
        .collect();
    println!("| kind | L0 | tokens/s |");
    println!("| --- | ---: | ---: |");
    let kinds = [
        ("relu", TrainConfig::relu(d_sae).l1(0.05)),
        ("relu-few-active", TrainConfig::relu(d_sae).l1(0.05)),
        ("nsae", TrainConfig::nsae(d_sae, 0.05, 1e-3)),
        ("top-k", TrainConfig::top_k(d_sae, 32)),
        ("batch-top-k", TrainConfig::batch_top_k(d_sae, 32.)),
        ("jump-relu", TrainConfig::jump_relu(d_sae)),
        ("gated", TrainConfig::gated(d_sae)),
    ];
    for (name, config) in kinds {
        if !wanted.is_empty() && !wanted.iter().any(|wanted| wanted == name) {
            continue;
        }
        let config = config
            .batch_size(batch)
            .buffer_batches(3)
            .bias_start(BiasStart::Mean)
            .log_every(1);
        let mut trainer = SaeTrainer::new(ActivationSource::of_tensor("x", &x)?, config)?;
        if name == "relu-few-active" {
            let mut sae = trainer.sae()?;
            sae.b_enc = (sae.b_enc - 6.)?;
            trainer.start_from(&sae)?;
        }
        trainer.run(1)?;
        let started = Instant::now();
        trainer.run(steps)?;
        let seconds = started.elapsed().as_secs_f64();
        let l0 = trainer.metrics().last().map_or(0., |metrics| metrics.l0);
        let rate = (steps as usize * batch) as f64 / seconds;
        println!("| {name} | {l0:.0} | {rate:.0} |");
    }
    Ok(())
}

fn activations(rows: usize, d_in: usize) -> ferrolens::Result<Tensor> {
    let device = &Device::Cpu;
    let directions = Tensor::randn(0f32, 1., (2 * d_in, d_in), device)?;
    let amounts = Tensor::rand(0f32, 1., (rows, 2 * d_in), device)?;
    let few = (amounts - 0.98)?.relu()?;
    Ok((few * 50.)?.matmul(&directions)?)
}
