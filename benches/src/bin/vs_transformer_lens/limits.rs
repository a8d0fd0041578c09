//! What the machine can do at all: the best matrix product of several libraries, and how fast memory is read.
//! A row cannot take less time than its multiplications at the one, or its weights at the other.

use crate::worker::Workers;
use ferrolens::Result;
use serde_json::{Value, json};

/// Rows, width and columns of the products that are tried.
const SHAPES: [[usize; 3]; 4] = [
    [1024, 1024, 50_257],
    [1024, 512, 16_384],
    [1024, 4096, 4096],
    [35, 1024, 50_257],
];
/// Libraries, and the side that has each. PyTorch's is MKL, numpy's OpenBLAS.
const LIBRARIES: [(&str, &str, &str); 3] = [
    ("gemm", "ours", "gemm"),
    ("torch", "ht", "torch"),
    ("numpy", "ht", "numpy"),
];

pub struct Limits {
    /// 10^9 floating-point operations a second, of the best library at the best shape.
    gflops: f64,
    /// 10^9 bytes read a second.
    gb_s: f64,
    lines: Vec<String>,
}

/// What a row needs at least.
#[derive(Clone, Copy, Default)]
pub struct Needs {
    /// Floating-point operations.
    pub flops: f64,
    /// Bytes of weights.
    pub bytes: f64,
}

impl Limits {
    /// Lets the libraries take turns.
    pub fn measure(workers: &mut Workers, rounds: usize) -> Result<Self> {
        let mut lines = vec![
            "| product | gemm | torch (MKL) | numpy (OpenBLAS) |".to_owned(),
            "| --- | ---: | ---: | ---: |".to_owned(),
        ];
        let mut gflops = 0f64;
        for shape in SHAPES {
            let mut best = [f64::INFINITY; 3];
            for _ in 0..rounds {
                for ((_, side, way), best) in LIBRARIES.iter().zip(&mut best) {
                    let command = json!({
                        "group": "limits", "kind": "product", "side": side, "way": way, "shape": shape,
                    });
                    for seconds in workers.ask(&command, 3)?.seconds {
                        *best = best.min(seconds);
                    }
                    std::thread::sleep(crate::PAUSE);
                }
            }
            let flops = 2. * shape.iter().map(|size| *size as f64).product::<f64>();
            let rates = best.map(|seconds| flops / seconds / 1e9);
            gflops = rates.into_iter().fold(gflops, f64::max);
            let [m, k, n] = shape;
            lines.push(format!(
                "| {m} × {k} × {n} | {:.0} GFLOP/s | {:.0} | {:.0} |",
                rates[0], rates[1], rates[2]
            ));
        }
        let read = json!({"group": "limits", "kind": "read", "side": "ours"});
        let answer = workers.ask(&read, 5 * rounds)?;
        let seconds = answer.seconds.into_iter().fold(f64::INFINITY, f64::min);
        let bytes = answer.values.first().copied().unwrap_or_default();
        let gb_s = bytes / seconds / 1e9;
        lines.push(format!("| memory read by all cores | {gb_s:.0} GB/s | | |"));
        Ok(Self {
            gflops,
            gb_s,
            lines,
        })
    }

    /// The shortest time that the machine allows.
    pub fn seconds(&self, needs: Needs) -> f64 {
        (needs.flops / self.gflops).max(needs.bytes / self.gb_s) / 1e9
    }

    pub fn markdown(&self) -> String {
        self.lines.join("\n")
    }

    pub fn json(&self) -> Value {
        json!({"gflops": self.gflops, "gb_s": self.gb_s})
    }
}

/// The sizes of a model: d_model, layers, d_mlp, matrices of its MLP, d_vocab.
fn sizes(model: &str) -> [f64; 5] {
    match model {
        "gelu-1l" => [512., 1., 2048., 2., 48_262.],
        "tiny-stories-2L-33M" => [1024., 2., 4096., 2., 50_257.],
        "gpt2-small" => [768., 12., 3072., 2., 50_257.],
        "llama-15m" => [288., 6., 768., 3., 32_000.],
        _ => [0.; 5],
    }
}

/// What a case needs: products with weights, attention, and each weight once. What is small beside them is
/// left out, such as norms and a decoder of which one row in a hundred is read.
pub fn needs(what: &Value) -> Needs {
    let number = |name: &str| what[name].as_f64().unwrap_or_default();
    let text = |name: &str| what[name].as_str().unwrap_or_default();
    let [d_model, layers, d_mlp, matrices, d_vocab] = sizes(text("model"));
    let attention = 4. * d_model * d_model;
    let block = attention + matrices * d_model * d_mlp;
    let unembed = d_model * d_vocab;
    let sae = text("sae")
        .split('-')
        .map(|size| size.parse::<f64>().unwrap_or(1.))
        .product::<f64>();
    let (batch, pos) = (number("batch"), number("pos"));
    let tokens = batch * pos;
    // Queries see half of the keys.
    let scores = |layers: f64| 2. * tokens * pos * d_model * layers;
    let of = |weights: f64, rows: f64, more: f64| Needs {
        flops: 2. * weights * rows + more,
        bytes: 4. * weights,
    };
    let with = |first: Needs, second: Needs| Needs {
        flops: first.flops + second.flops,
        bytes: first.bytes + second.bytes,
    };
    // Up to the hook point that autoencoders read: the MLP's neurons or its output, in the first block.
    let upto = match text("point").ends_with("hook_post") {
        true => attention + (matrices - 1.) * d_model * d_mlp,
        false => block,
    };
    match text("kind") {
        "forward" | "hooked" | "cache" | "ablated" => {
            of(layers * block + unembed, tokens, scores(layers))
        }
        "one_name" => of(upto, tokens, scores(1.)),
        "loss_at" => with(
            of(layers * block, tokens, scores(layers)),
            of(unembed, 1., 0.),
        ),
        "decomposition" => of(layers * block, tokens, scores(layers)),
        "sae" => of(sae, 1024., 0.),
        "sweep" => {
            let lengths = what["lengths"].as_array().into_iter().flatten();
            let lengths: Vec<f64> = lengths.filter_map(Value::as_f64).collect();
            let squares: f64 = lengths.iter().map(|length| length * length).sum();
            of(upto + sae, lengths.iter().sum(), 2. * squares * d_model)
        }
        // Two products forward, three back.
        "train" => of(sae, 5. * 4096., 0.),
        _ => Needs::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needs_are_counted() {
        let forward = json!({"kind": "forward", "model": "gelu-1l", "batch": 1, "pos": 35});
        let needs = needs(&forward);
        let weights = 4. * 512. * 512. + 2. * 512. * 2048. + 512. * 48_262.;
        assert_eq!(needs.bytes, 4. * weights);
        assert_eq!(needs.flops, 70. * weights + 2. * 35. * 35. * 512.);
        let limits = Limits {
            gflops: 100.,
            gb_s: 10.,
            lines: Vec::new(),
        };
        let seconds = limits.seconds(needs);
        assert!((seconds - needs.flops / 1e11).abs() < 1e-9, "{seconds}");
    }

    #[test]
    fn every_case_needs_something() {
        for case in crate::cases::all(crate::cases::On::Cpu) {
            let needs = super::needs(case.what());
            assert!(needs.flops > 0. && needs.bytes > 0., "{}", case.name);
        }
    }
}
