//! How many activations a second an autoencoder is trained on.
//!
//! `cargo run --release -p ferrolens-benches --bin sae_step [d_in d_sae batch steps]`
//!
//! The activations are sums of a few hidden directions, so that the number of active latents falls as it
//! does in a real training: the first line is measured while most are active, the second afterwards.

use candle_core::{Device, Tensor};
use ferrolens::sae::train::{ActivationSource, SaeTrainer, TrainConfig};
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
    println!("| kind | latents active | L0 | tokens/s |");
    println!("| --- | --- | ---: | ---: |");
    let kinds = [
        ("ReLU, L1", TrainConfig::relu(d_sae).l1(0.05)),
        ("ReLU, L1 100", TrainConfig::relu(d_sae).l1(100.)),
        ("NSAE", TrainConfig::nsae(d_sae, 0.05, 1e-3)),
        ("top-k 32", TrainConfig::top_k(d_sae, 32)),
        ("batch-top-k 32", TrainConfig::batch_top_k(d_sae, 32.)),
        ("JumpReLU", TrainConfig::jump_relu(d_sae)),
        ("gated", TrainConfig::gated(d_sae)),
    ];
    for (name, config) in kinds {
        let config = config
            .batch_size(batch)
            .buffer_batches(3)
            .learning_rate(1e-3)
            .log_every(1);
        let source = ActivationSource::of_tensor("x", &x)?;
        let mut trainer = SaeTrainer::new(source, config)?;
        trainer.run(1)?;
        let rounds: &[&str] = match name {
            "ReLU, L1 100" => &["at first", "later"],
            _ => &["at first"],
        };
        for when in rounds {
            if *when == "later" {
                trainer.run(40)?;
            }
            let started = Instant::now();
            trainer.run(steps)?;
            let seconds = started.elapsed().as_secs_f64();
            let l0 = trainer.metrics().last().map_or(0., |metrics| metrics.l0);
            let rate = (steps as usize * batch) as f64 / seconds;
            println!("| {name} | {when} | {l0:.0} | {rate:.0} |");
        }
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
