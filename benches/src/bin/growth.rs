//! How cost grows: a forward pass with layers, width and context; a sweep with its corpus; a training step
//! with latents.
//!
//! `cargo run --release -p ferrolens-benches --bin growth [FOLDER]`
//!
//! Prints a table for each, and writes a figure for each to FOLDER. Models and autoencoders are random, but for
//! the sweep, which goes over the words of the embedded model.

use candle_core::{Device, Tensor};
use ferrolens::analysis::Sweep;
use ferrolens::data::Corpus;
use ferrolens::display::{PlotOptions, line};
use ferrolens::emit::Rich;
use ferrolens::model::{Config, HookedTransformer};
use ferrolens::sae::train::{ActivationSource, BiasStart, SaeTrainer, TrainConfig};
use ferrolens::sae::{Gate, Sae, SaeConfig};
use ferrolens::{Error, Result};
use ferrolens_tests::process::own_peak_mb;
use std::collections::HashMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;

/// Every size is measured in so many processes, and between two of them are the others' turns: a slow second of
/// the machine does not make one size look dear.
const ROUNDS: usize = 3;
const RUNS: usize = 15;

/// What was measured at one size: milliseconds, and the megabytes that it took at most.
struct Point {
    size: usize,
    ms: f64,
    mb: f64,
}

/// A thing that grows: the name of its figure, what the figure and its x axis say, and the sizes.
struct Growth {
    name: &'static str,
    title: &'static str,
    size: &'static str,
    sizes: &'static [usize],
}

const GROWTHS: [Growth; 5] = [
    Growth {
        name: "layers",
        title: "Forward pass, 256 wide, 128 tokens",
        size: "layers",
        sizes: &[1, 2, 4, 8, 16],
    },
    Growth {
        name: "width",
        title: "Forward pass, 2 layers, 128 tokens",
        size: "d_model",
        sizes: &[64, 128, 256, 512, 1024],
    },
    Growth {
        name: "context",
        title: "Forward pass, 2 layers, 256 wide",
        size: "tokens",
        sizes: &[32, 64, 128, 256, 512, 1024, 2048],
    },
    Growth {
        name: "sweep",
        title: "Sweep of 4,096 latents, stories-2l",
        size: "prompts",
        sizes: &[100, 200, 400, 800, 1600, 3200],
    },
    Growth {
        name: "training",
        title: "Training step, 2,048 activations 256 wide",
        size: "latents",
        sizes: &[1024, 2048, 4096, 8192, 16_384],
    },
];

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [point, name, size] = arguments.as_slice()
        && point == "--point"
    {
        let size = size
            .parse()
            .map_err(|_| Error::new("a size is a number."))?;
        let point = measured(name, size)?;
        println!("{} {}", point.ms, point.mb);
        return Ok(());
    }
    let folder = arguments.first().map(PathBuf::from);
    if let Some(folder) = &folder {
        std::fs::create_dir_all(folder)?;
    }
    for growth in GROWTHS {
        report(&growth, &growth.points()?, folder.as_ref())?;
    }
    Ok(())
}

fn measured(name: &str, size: usize) -> Result<Point> {
    match name {
        "layers" => forward(size, size, 256, 128),
        "width" => forward(size, 2, size, 128),
        "context" => forward(size, 2, 256, size),
        "sweep" => sweep(size),
        "training" => train(size),
        other => Err(Error::new(format!("nothing here grows with `{other}`."))),
    }
}

impl Growth {
    /// The shortest time and the most memory of all rounds.
    fn points(&self) -> Result<Vec<Point>> {
        let sizes = self.sizes.iter();
        let mut points: Vec<Point> = sizes
            .map(|size| Point {
                size: *size,
                ms: f64::INFINITY,
                mb: 0.,
            })
            .collect();
        for _ in 0..ROUNDS {
            for point in &mut points {
                let round = self.apart(point.size)?;
                point.ms = point.ms.min(round.ms);
                point.mb = point.mb.max(round.mb);
            }
        }
        Ok(points)
    }

    /// One point in a process of its own, with large pages as the kernel asks for them: what an earlier point
    /// left in memory is not counted.
    fn apart(&self, size: usize) -> Result<Point> {
        let output = Command::new(std::env::current_exe()?)
            .args(["--point", self.name, &size.to_string()])
            .env("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1")
            .stderr(Stdio::inherit())
            .output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let figures: Vec<f64> = text
            .split_whitespace()
            .filter_map(|figure| figure.parse().ok())
            .collect();
        match figures.as_slice() {
            [ms, mb] => Ok(Point {
                size,
                ms: *ms,
                mb: *mb,
            }),
            _ => Err(Error::new(format!(
                "{} at {size} ended without figures: {text}",
                self.name
            ))),
        }
    }
}

/// The exponents between neighbours say how cost grows: 1 where it is in proportion.
fn report(growth: &Growth, points: &[Point], folder: Option<&PathBuf>) -> Result<()> {
    let Growth {
        name, title, size, ..
    } = growth;
    println!("\n{title}\n\n| {size} | ms | grows with the power | peak MB |");
    println!("| ---: | ---: | ---: | ---: |");
    for (at, point) in points.iter().enumerate() {
        let power = at.checked_sub(1).and_then(|before| points.get(before));
        let power = power.map_or_else(String::new, |before| {
            let sizes = point.size as f64 / before.size as f64;
            format!("{:.2}", (point.ms / before.ms).ln() / sizes.ln())
        });
        println!(
            "| {} | {:.1} | {power} | {:.0} |",
            point.size, point.ms, point.mb
        );
    }
    let Some(folder) = folder else {
        return Ok(());
    };
    let sizes: Vec<f64> = points.iter().map(|point| point.size as f64).collect();
    let times: Vec<f64> = points.iter().map(|point| point.ms).collect();
    let first = points
        .first()
        .map_or(1., |first| first.ms / first.size as f64);
    let proportional: Vec<f64> = sizes.iter().map(|size| first * size).collect();
    let options = PlotOptions::new()
        .title(*title)
        .x_title(*size)
        .y_title("milliseconds")
        .x_values(&sizes)?
        .log_x(true)
        .log_y(true)
        .markers(true);
    let plot = line(
        &[("measured", times), ("in proportion", proportional)],
        options,
    )?;
    let bundle = plot.bundle();
    let picture = bundle.get("image/svg+xml").and_then(|svg| svg.as_str());
    let picture = picture.ok_or_else(|| Error::new("the figure has no picture."))?;
    std::fs::write(folder.join(format!("{name}.svg")), picture)?;
    Ok(())
}

/// The shortest time of some runs after a first one, and the most memory since before that. The shortest: what
/// else the machine does only adds to it.
fn timed(size: usize, runs: usize, mut work: impl FnMut() -> Result<()>) -> Result<Point> {
    // The largest resident size is counted from here.
    let _ = std::fs::write("/proc/self/clear_refs", "5");
    work()?;
    let mut seconds = Vec::new();
    for _ in 0..runs {
        let started = Instant::now();
        work()?;
        seconds.push(started.elapsed().as_secs_f64());
    }
    seconds.sort_by(f64::total_cmp);
    Ok(Point {
        size,
        ms: seconds.first().map_or(f64::NAN, |seconds| seconds * 1e3),
        mb: own_peak_mb(),
    })
}

fn forward(size: usize, layers: usize, width: usize, pos: usize) -> Result<Point> {
    let model = random_model(layers, width)?;
    let vocabulary = model.config().d_vocab;
    let ids: Vec<u32> = (0..pos).map(|at| (at * 7919 % vocabulary) as u32).collect();
    let tokens = Tensor::from_vec(ids, (1, pos), &Device::Cpu)?;
    timed(size, RUNS, || {
        model.forward(&tokens)?;
        Ok(())
    })
}

/// A GPT-2 of this size with a vocabulary of 4,096.
fn random_model(layers: usize, width: usize) -> Result<HookedTransformer> {
    let (heads, vocabulary, context) = ((width / 64).max(1), 4096, 2048);
    let config = Config::gpt2(layers, width, heads, vocabulary, context);
    let (d_head, d_mlp) = (config.d_head, config.d_mlp);
    let mut weights = HashMap::new();
    let mut put = |name: String, shape: &[usize]| -> Result<()> {
        let spread = (shape[shape.len().saturating_sub(2)] as f64).powf(-0.5);
        weights.insert(
            name,
            Tensor::randn(0f32, spread as f32, shape, &Device::Cpu)?,
        );
        Ok(())
    };
    put("embed.W_E".to_owned(), &[vocabulary, width])?;
    put("pos_embed.W_pos".to_owned(), &[context, width])?;
    put("unembed.W_U".to_owned(), &[width, vocabulary])?;
    put("unembed.b_U".to_owned(), &[vocabulary])?;
    for part in ["w", "b"] {
        put(format!("ln_final.{part}"), &[width])?;
    }
    for layer in 0..layers {
        let name = |part: &str| format!("blocks.{layer}.{part}");
        for part in ["ln1.w", "ln1.b", "ln2.w", "ln2.b", "attn.b_O", "mlp.b_out"] {
            put(name(part), &[width])?;
        }
        for which in ["Q", "K", "V"] {
            put(name(&format!("attn.W_{which}")), &[heads, width, d_head])?;
            put(name(&format!("attn.b_{which}")), &[heads, d_head])?;
        }
        put(name("attn.W_O"), &[heads, d_head, width])?;
        put(name("mlp.W_in"), &[width, d_mlp])?;
        put(name("mlp.b_in"), &[d_mlp])?;
        put(name("mlp.W_out"), &[d_mlp, width])?;
    }
    HookedTransformer::new(config, weights, None)
}

/// The maxima of all prompts are kept by nobody: memory should not grow with the corpus.
#[allow(non_snake_case)]
fn sweep(prompts: usize) -> Result<Point> {
    let model = HookedTransformer::from_pretrained("stories-2l")?;
    let point = "blocks.1.hook_resid_pre";
    let (d_in, d_sae) = (model.config().d_model, 4096);
    let W_enc = Tensor::randn(0f32, (d_in as f32).powf(-0.5), (d_in, d_sae), &Device::Cpu)?;
    let W_dec = W_enc.t()?.contiguous()?;
    let b_enc = Tensor::full(-2f32, d_sae, &Device::Cpu)?;
    let b_dec = Tensor::zeros(d_in, candle_core::DType::F32, &Device::Cpu)?;
    let cfg = SaeConfig::new(d_in, d_sae).hook_name(point);
    let sae = Sae::new(cfg, W_enc, b_enc, W_dec, b_dec, Gate::Relu)?;
    let vocabulary = model.config().d_vocab;
    let rows = (0..prompts).map(|prompt| {
        let length = 20 + prompt * 37 % 200;
        let token = |at: usize| ((prompt * 31 + at * 7919) % vocabulary) as u32;
        (0..length).map(token).collect()
    });
    let corpus = Corpus::from_tokens(rows.collect(), None)?;
    timed(prompts, 1, || {
        Sweep::new().no_cache().run(&model, &sae, &corpus)?;
        Ok(())
    })
}

fn train(d_sae: usize) -> Result<Point> {
    let (batch, d_in) = (2048, 256);
    let x = Tensor::randn(0f32, 1., (2 * batch, d_in), &Device::Cpu)?;
    let config = TrainConfig::relu(d_sae)
        .l1(0.05)
        .batch_size(batch)
        .bias_start(BiasStart::Zeros);
    let mut trainer = SaeTrainer::new(ActivationSource::of_tensor("x", &x)?, config)?;
    timed(d_sae, RUNS, || {
        trainer.run(1)?;
        Ok(())
    })
}
