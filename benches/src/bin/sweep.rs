//! How many tokens a second a sweep of latents goes over, and what of it is whose.
//!
//! `cargo run --release -p ferrolens-benches --bin sweep [width] [prompts]`
//!
//! The embedded model, an autoencoder of random weights (16 times as wide as the model) whose bias leaves
//! about one latent in a hundred active, and prompts of the model's own words.

use candle_core::{DType, Device, Tensor};
use ferrolens::analysis::Sweep;
use ferrolens::data::Corpus;
use ferrolens::model::HookedTransformer;
use ferrolens::sae::{Gate, Sae, SaeConfig};
use std::time::Instant;

const POINT: &str = "blocks.1.hook_resid_pre";
const RUNS: usize = 3;

fn main() -> ferrolens::Result<()> {
    let mut arguments = std::env::args()
        .skip(1)
        .map(|number| number.parse::<usize>());
    let mut number = |default: usize| match arguments.next() {
        Some(Ok(number)) => number,
        _ => default,
    };
    let (width, prompts) = (number(16), number(300));
    let model = HookedTransformer::from_pretrained("stories-2l")?;
    let corpus = corpus(&model, prompts)?;
    let sae = sparse_sae(&model, &corpus, width)?;
    println!("{corpus:?}\n{sae:?}");
    println!("| what | tokens/s, best of {RUNS} | median |");
    println!("| --- | ---: | ---: |");
    let tokens = corpus.tokens();

    let (_, mut rates) = timed(|| {
        let mut rows = Vec::new();
        for batch in corpus.activations(&model, POINT)?.tensors() {
            rows.push(batch?);
        }
        Ok(rows)
    })?;
    report("the model, up to the hook point", tokens, &mut rates);

    let rows: Vec<Tensor> = corpus
        .activations(&model, POINT)?
        .tensors()
        .collect::<Result<_, _>>()?;
    let (_, mut rates) = timed(|| {
        for batch in &rows {
            batch.matmul(&sae.W_enc)?;
        }
        Ok(())
    })?;
    report("the encoder's multiplication alone", tokens, &mut rates);

    let (_, mut rates) = timed(|| {
        for batch in &rows {
            sae.encode(batch)?;
        }
        Ok(())
    })?;
    report("encode", tokens, &mut rates);

    let (_, mut rates) = timed(|| {
        for batch in &rows {
            let acts = sae.encode(batch)?;
            acts.max(0)?;
            acts.argmax(0)?;
        }
        Ok(())
    })?;
    report("encode, candle's max and argmax", tokens, &mut rates);

    let (found, mut rates) = timed(|| Sweep::new().no_cache().run(&model, &sae, &corpus))?;
    report("the whole sweep", tokens, &mut rates);
    println!("{found:?}");
    let (_, mut rates) = timed(|| {
        Sweep::new()
            .sample(100)
            .no_cache()
            .run(&model, &sae, &corpus)
    })?;
    report("the whole sweep with a sample of 100", tokens, &mut rates);
    Ok(())
}

/// Prompts of 20 to 219 tokens.
fn corpus(model: &HookedTransformer, prompts: usize) -> ferrolens::Result<Corpus> {
    let text = "Once upon a time there was a little girl named Lily. She saw a big dog in the park. \
                The dog was sad, and Tom said he wanted to play with the red ball. They ran to the tree. ";
    let ids = model.tokenizer()?.encode(&text.repeat(8), false)?;
    let bos = model.tokenizer()?.bos();
    let rows = (0..prompts).map(|prompt| {
        let (start, length) = (prompt * 7 % 40, 19 + prompt * 37 % 200);
        let words = ids.iter().cycle().skip(start).take(length);
        bos.into_iter().chain(words.copied()).collect()
    });
    Corpus::from_tokens(rows.collect(), Some(model.tokenizer()?))
}

/// Random directions with the bias at which one pre-activation in a hundred is above 0.
#[allow(non_snake_case)]
fn sparse_sae(model: &HookedTransformer, corpus: &Corpus, width: usize) -> ferrolens::Result<Sae> {
    let d_in = model.config().d_model;
    let d_sae = width * d_in;
    let device = Device::Cpu;
    let W_enc = Tensor::randn(0f32, 1., (d_in, d_sae), &device)?;
    let Some(batch) = corpus.activations(model, POINT)?.tensors().next() else {
        return Err("the corpus is empty".into());
    };
    let mut values: Vec<f32> = batch?.matmul(&W_enc)?.flatten_all()?.to_vec1()?;
    let at = values.len() / 100;
    let (_, threshold, _) = values.select_nth_unstable_by(at, |a, b| b.total_cmp(a));
    let b_enc = Tensor::full(-*threshold, d_sae, &device)?;
    let b_dec = Tensor::zeros(d_in, DType::F32, &device)?;
    let W_dec = W_enc.t()?.contiguous()?;
    let cfg = SaeConfig::new(d_in, d_sae).hook_name(POINT);
    Sae::new(cfg, W_enc, b_enc, W_dec, b_dec, Gate::Relu)
}

fn timed<T>(work: impl Fn() -> ferrolens::Result<T>) -> ferrolens::Result<(T, Vec<f64>)> {
    let mut result = work()?;
    let mut seconds = Vec::new();
    for _ in 0..RUNS {
        let started = Instant::now();
        result = work()?;
        seconds.push(started.elapsed().as_secs_f64());
    }
    Ok((result, seconds))
}

fn report(what: &str, tokens: usize, seconds: &mut [f64]) {
    seconds.sort_by(f64::total_cmp);
    let rate = |at: usize| {
        seconds
            .get(at)
            .map_or(f64::NAN, |seconds| tokens as f64 / seconds)
    };
    println!("| {what} | {:.0} | {:.0} |", rate(0), rate(RUNS / 2));
}
