//! `doctor --bench`: how quick cells are on this machine.

use crate::toolchain::front::OFF_ENV;
use crate::toolchain::kept::KEPT_CELLS_ENV;
use crate::wire::Client;
use std::path::Path;
use std::time::{Duration, Instant};

/// The cells that are timed.
pub mod cells {
    /// The first that uses the prelude.
    pub const FIRST: &str = "Tensor::zeros((2, 3), DType::F32, &Device::Cpu)?.elem_count()";
    /// What every notebook does once before [`analysis`].
    pub const MODEL: &str = "let model = HookedTransformer::from_pretrained(\"stories-2l\")?;";

    /// As small as a cell can be; no two are the same text.
    pub fn trivial(round: usize) -> String {
        format!("1+{round}")
    }

    /// A variable.
    pub fn binding(round: usize) -> String {
        format!("let t{round} = Tensor::randn(0_f32, 1., (2, 3), &Device::Cpu)?;")
    }

    /// Twenty lines: a cache, a loop over layers, a figure.
    pub fn analysis(round: usize) -> String {
        format!(
            r#"let prompt = "Once upon a time, there was a girl who had {round} dogs.";
let (logits, cache) = model.run_with_cache(prompt, All)?;
let mut norms = Vec::new();
let mut names = Vec::new();
for layer in 0..model.config().n_layers {{
    for point in ["hook_resid_pre", "hook_resid_mid", "hook_resid_post"] {{
        let name = format!("blocks.{{layer}}.{{point}}");
        let activation = cache.get(name.as_str())?;
        let norm = activation.sqr()?.sum(2)?.sqrt()?.mean_all()?;
        norms.push(norm.to_scalar::<f32>()?);
        names.push(name);
    }}
}}
let last = logits.i((0, logits.dim(1)? - 1))?;
let best = last.argmax(0)?.to_scalar::<u32>()?;
println!("most likely: {{best}}");
for (name, norm) in names.iter().zip(&norms) {{
    println!("{{name:<28}} {{norm:.3}}");
}}
bar(&[("norm", &norms)], PlotOptions::new().title("Norms").x_labels(&names))?"#
        )
    }

    /// Places where a name is completed.
    pub const COMPLETED: &[&str] = &[
        "model.run_",
        "t1.su",
        "Tensor::ze",
        "model.config().n_",
        "Hook",
        "cache.get(\"blocks.0.hook_re",
    ];
}

/// What each row must be at most, in its unit.
const ROWS: [(&str, &str, f64); 8] = [
    ("kernel start to kernel_info", "s", 0.7),
    ("kernel start to the first result", "s", 3.0),
    ("trivial cell, median of 50", "s", 0.35),
    ("`let` of a tensor, median of 20", "s", 0.45),
    ("analysis of 20 lines with a figure, median of 7", "s", 0.9),
    ("the same cell again, median of 7", "s", 0.15),
    ("completion, median", "s", 0.1),
    ("kernel process after these cells, resident", "MB", 600.0),
];

/// Measures a kernel of this installation and prints a table.
///
/// # Errors
/// A sentence when the kernel does not start or a cell fails.
pub fn bench() -> Result<(), String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    // SAFETY: no thread has been started yet, so nobody reads the environment meanwhile. What was
    // compiled before this would not be measured.
    unsafe {
        let kept = std::env::temp_dir().join(format!("ferrolens-bench-{}", std::process::id()));
        std::env::set_var(KEPT_CELLS_ENV, kept);
        std::env::remove_var(OFF_ENV);
    }
    println!("Timing a kernel of this installation, for about a minute ...");
    let measured = measure(&program);
    if let Some(kept) = std::env::var_os(KEPT_CELLS_ENV) {
        let _ = std::fs::remove_dir_all(kept);
    }
    println!("\n| what | here | should be at most |\n| --- | ---: | ---: |");
    for ((what, unit, most), here) in ROWS.iter().zip(measured?) {
        let digits = if *unit == "s" { 2 } else { 0 };
        println!("| {what} | {here:.digits$} {unit} | {most} {unit} |");
    }
    println!("\nThe last column is for two cores with nothing else to do.");
    Ok(())
}

fn measure(program: &Path) -> Result<[f64; 8], String> {
    let started = Instant::now();
    let mut kernel = Client::start(program)?;
    let info = started.elapsed();
    kernel.execute(cells::FIRST)?;
    let first = started.elapsed();
    // The analyzer reads the prelude meanwhile; a reader does, too.
    kernel.execute(cells::MODEL)?;
    kernel.execute(&cells::analysis(0))?;
    let trivial = median(50, |at| kernel.execute(&cells::trivial(at)))?;
    let binding = median(20, |at| kernel.execute(&cells::binding(at)))?;
    let analysis = median(7, |at| kernel.execute(&cells::analysis(at)))?;
    let again = cells::analysis(7);
    let again = median(7, |_| kernel.execute(&again))?;
    let completed = cells::COMPLETED;
    let complete = median(completed.len(), |at| kernel.complete(completed[at - 1]))?;
    Ok([
        info.as_secs_f64(),
        first.as_secs_f64(),
        trivial,
        binding,
        analysis,
        again,
        complete,
        resident_megabytes(kernel.pid()),
    ])
}

/// Of the seconds of so many rounds, counted from 1.
fn median(
    count: usize,
    mut round: impl FnMut(usize) -> Result<Duration, String>,
) -> Result<f64, String> {
    let mut took: Vec<f64> = (1..=count)
        .map(|at| Ok(round(at)?.as_secs_f64()))
        .collect::<Result<_, String>>()?;
    took.sort_by(f64::total_cmp);
    Ok(took.get(took.len() / 2).copied().unwrap_or(f64::NAN))
}

/// The resident memory of a process; NaN where it cannot be read.
pub fn resident_megabytes(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status
        .lines()
        .find_map(|line| {
            line.strip_prefix("VmRSS:")?
                .split_whitespace()
                .next()?
                .parse()
                .ok()
        })
        .map_or(f64::NAN, |kilobytes: f64| kilobytes / 1024.0)
}
