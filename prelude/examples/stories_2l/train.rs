//! `train`: next-token prediction with AdamW on the project's own forward pass.

use std::path::Path;
use std::time::Instant;

use candle_core::Var;
use candle_core::backprop::GradStore;
use candle_nn::{AdamW, Optimizer, ParamsAdamW};
use ferrolens::model::{Config, HookedTransformer, Tokenizer, default_device};
use ferrolens::{Result, Tensor};

use crate::corpus::{self, Stream};
use crate::parameters::Parameters;

/// What a training run is made of; the same numbers give the same model.
pub struct Training {
    pub seed: u64,
    pub d_model: usize,
    pub n_heads: usize,
    pub n_ctx: usize,
    /// Steps on rows of a quarter, a half and the whole of `n_ctx` tokens, one after the other.
    pub steps: [usize; 3],
    /// Tokens in each step.
    pub batch: usize,
    /// The learning rate after warming up.
    pub rate: f64,
}

/// Steps over which the learning rate rises.
const WARM_UP: usize = 100;
/// Gradients longer than this are shortened to it.
const LONGEST_GRADIENT: f64 = 1.0;
/// How many stories are kept aside to measure on.
const HELD_OUT: usize = 200;

impl Training {
    /// Trains on a corpus with the tokenizer in `folder`, and writes the model beside it.
    pub fn run(&self, corpus: &Path, folder: &Path) -> Result<()> {
        let tokenizer = Tokenizer::from_file(folder.join("tokenizer.json"))?;
        let stories = corpus::stories(corpus)?;
        let (held_out, stories) = stories.split_at(HELD_OUT.min(stories.len() / 10));
        let mut stream = Stream::new(stories, &tokenizer)?;
        let held_out = Stream::new(held_out, &tokenizer)?.rows(16, self.n_ctx);

        let device = default_device();
        let config = Config::gpt2(
            2,
            self.d_model,
            self.n_heads,
            tokenizer.vocabulary_size(),
            self.n_ctx,
        );
        let parameters = Parameters::initial(config, self.seed, &device)?;
        let model = parameters.model()?;
        let (matrices, rest) = parameters.groups();
        let options = ParamsAdamW {
            lr: self.rate,
            beta1: 0.9,
            beta2: 0.95,
            eps: 1e-8,
            weight_decay: 0.1,
        };
        let mut decaying = AdamW::new(matrices, options.clone())?;
        let mut steady = AdamW::new(
            rest,
            ParamsAdamW {
                weight_decay: 0.0,
                ..options
            },
        )?;
        let total: usize = self.steps.iter().sum();
        println!(
            "{} parameters, {} tokens in the corpus, {total} steps of {} tokens on {:?}",
            parameters.count(),
            stream.len(),
            self.batch,
            device.location()
        );

        let started = Instant::now();
        let mut recent = Recent::default();
        for step in 0..total {
            let length = self.row_length(step);
            let rows = stream.rows((self.batch / length).max(1), length);
            let loss = loss(&model, &rows)?;
            let mut gradients = loss.backward()?;
            let norm = shorten(&mut gradients, &parameters.all())?;
            let rate = self.rate_at(step, total);
            decaying.set_learning_rate(rate);
            steady.set_learning_rate(rate);
            decaying.step(&gradients)?;
            steady.step(&gradients)?;

            recent.add(loss.to_scalar()?, norm);
            if (step + 1) % 25 == 0 || step + 1 == total {
                let seconds = started.elapsed().as_secs_f64();
                println!(
                    "step {} of {total}: {recent}, rate {rate:.2e}, {} tokens a row, {seconds:.0} s",
                    step + 1,
                    length
                );
                recent = Recent::default();
            }
            if (step + 1) % 250 == 0 || step + 1 == total {
                parameters.save(folder)?;
                let loss: f32 = loss_in_parts(&model, &held_out)?;
                println!(
                    "step {} of {total}: saved; {loss:.4} nats a token on stories kept aside",
                    step + 1
                );
            }
        }
        Ok(())
    }

    fn row_length(&self, step: usize) -> usize {
        let [quarter, half, _] = self.steps;
        if step < quarter {
            self.n_ctx / 4
        } else if step < quarter + half {
            self.n_ctx / 2
        } else {
            self.n_ctx
        }
    }

    /// Linear up, then half a cosine down to a fiftieth.
    fn rate_at(&self, step: usize, total: usize) -> f64 {
        if step < WARM_UP {
            return self.rate * (step + 1) as f64 / WARM_UP as f64;
        }
        let progress = (step - WARM_UP) as f64 / (total - WARM_UP).max(1) as f64;
        self.rate * (0.02 + 0.98 * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos()))
    }
}

/// The mean loss of a batch of rows, a scalar that remembers how it came about.
fn loss(model: &HookedTransformer, rows: &[Vec<u32>]) -> Result<Tensor> {
    Ok(model.run(rows).loss_per_token()?.mean_all()?)
}

/// The mean loss of more rows than memory should hold at once.
fn loss_in_parts(model: &HookedTransformer, rows: &[Vec<u32>]) -> Result<f32> {
    let mut sum = 0.0;
    for row in rows {
        sum += loss(model, std::slice::from_ref(row))?.to_scalar::<f32>()?;
    }
    Ok(sum / rows.len() as f32)
}

/// Shortens the gradients together to the longest allowed; how long they were.
fn shorten(gradients: &mut GradStore, variables: &[Var]) -> Result<f64> {
    let mut squares = 0.0;
    for variable in variables {
        if let Some(gradient) = gradients.get(variable) {
            squares += f64::from(gradient.sqr()?.sum_all()?.to_scalar::<f32>()?);
        }
    }
    let norm = squares.sqrt();
    if norm > LONGEST_GRADIENT {
        for variable in variables {
            if let Some(gradient) = gradients.remove(variable) {
                gradients.insert(variable, (gradient * (LONGEST_GRADIENT / norm))?);
            }
        }
    }
    Ok(norm)
}

/// Means since the last report.
#[derive(Default)]
struct Recent {
    loss: f64,
    norm: f64,
    count: usize,
}

impl Recent {
    fn add(&mut self, loss: f32, norm: f64) {
        self.loss += f64::from(loss);
        self.norm += norm;
        self.count += 1;
    }
}

impl std::fmt::Display for Recent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let count = self.count.max(1) as f64;
        write!(
            f,
            "{:.4} nats a token, gradient {:.2}",
            self.loss / count,
            self.norm / count
        )
    }
}
