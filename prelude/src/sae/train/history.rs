//! What a training has logged.

use crate::error::{Context, Result};
use polars::prelude::{Column, DataFrame};
use serde::{Deserialize, Serialize};
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

/// What one step of one autoencoder's training shows, measured on the batch that it was trained on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metrics {
    /// The hook point.
    pub hook: String,
    /// Steps done.
    pub step: u64,
    /// Activations seen.
    pub tokens: u64,
    /// The sum of the terms below.
    pub loss: f64,
    /// The mean over activations of `|x̂ - x|²` (L2).
    pub squared_error: f64,
    /// The squared errors of shorter prefixes, or of a gated autoencoder's second path.
    pub other_errors: f64,
    /// The penalties, with their coefficients.
    pub penalty: f64,
    /// The loss of dead latents, with its coefficient.
    pub auxiliary: f64,
    /// The mean number of active latents.
    pub l0: f64,
    /// The mean of `|a|₁`.
    pub l1: f64,
    /// `1 - Σ |x̂ - x|² / Σ |x - x̄|²` over the batch, `x̄` its mean.
    pub explained_variance: f64,
    /// The share of latents that were active within the last `dead_after` steps.
    pub alive: f64,
    /// The number of the others.
    pub dead: usize,
    /// In this step.
    pub learning_rate: f64,
    /// What the coefficients of penalties are multiplied with in this step.
    pub penalty_scale: f64,
    /// The norm of the gradient of all weights together, before it is clipped.
    pub gradient_norm: f64,
    /// Activations a second since the last log, of all hook points together.
    pub tokens_per_second: f64,
    /// Seconds trained.
    pub seconds: f64,
}

/// Something that looks at metrics when they are logged: a closure over [`Metrics`], or the live view of a
/// notebook, `display::LiveTraining`.
pub trait Observer: Send {
    /// Called once a hook point and log.
    fn on_log(&mut self, metrics: &Metrics);

    /// Called when a run of steps ends or is stopped.
    fn on_pause(&mut self) {}
}

impl<F: FnMut(&Metrics) + Send> Observer for F {
    fn on_log(&mut self, metrics: &Metrics) {
        self(metrics);
    }
}

type Get = fn(&Metrics) -> f64;

/// The numbers of a log, in the order of a table's columns behind hook point, step and tokens.
const NUMBERS: [(&str, Get); 15] = [
    ("loss", |metrics| metrics.loss),
    ("squared_error", |metrics| metrics.squared_error),
    ("other_errors", |metrics| metrics.other_errors),
    ("penalty", |metrics| metrics.penalty),
    ("auxiliary", |metrics| metrics.auxiliary),
    ("l0", |metrics| metrics.l0),
    ("l1", |metrics| metrics.l1),
    ("explained_variance", |metrics| metrics.explained_variance),
    ("alive", |metrics| metrics.alive),
    ("dead", |metrics| metrics.dead as f64),
    ("learning_rate", |metrics| metrics.learning_rate),
    ("penalty_scale", |metrics| metrics.penalty_scale),
    ("gradient_norm", |metrics| metrics.gradient_norm),
    ("tokens_per_second", |metrics| metrics.tokens_per_second),
    ("seconds", |metrics| metrics.seconds),
];

/// A log as a table, a row a hook point and step.
pub(super) fn table(history: &[Metrics]) -> Result<DataFrame> {
    let hooks: Vec<&str> = history
        .iter()
        .map(|metrics| metrics.hook.as_str())
        .collect();
    let count = |get: fn(&Metrics) -> u64| history.iter().map(get).collect::<Vec<u64>>();
    let mut columns = vec![
        Column::new("hook".into(), hooks),
        Column::new("step".into(), count(|metrics| metrics.step)),
        Column::new("tokens".into(), count(|metrics| metrics.tokens)),
    ];
    for (name, get) in NUMBERS {
        let values: Vec<f64> = history.iter().map(get).collect();
        columns.push(Column::new(name.into(), values));
    }
    Ok(DataFrame::new(history.len(), columns)?)
}

/// A file that grows by a line a log.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: File,
    csv: bool,
}

impl LogFile {
    /// Opens it: CSV where it is called so, else a JSON object a line. What it holds already stays.
    ///
    /// # Errors
    /// It cannot be written.
    pub(super) fn open(path: &Path) -> Result<Self> {
        let csv = path.extension().is_some_and(|extension| extension == "csv");
        let says = || format!("opening the log {}", path.display());
        let mut file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(path)
            .context(says)?;
        if csv && file.metadata().context(says)?.len() == 0 {
            let names: Vec<&str> = NUMBERS.iter().map(|(name, _)| *name).collect();
            writeln!(file, "hook,step,tokens,{}", names.join(",")).context(says)?;
        }
        Ok(Self {
            path: path.to_owned(),
            file,
            csv,
        })
    }

    /// # Errors
    /// The line cannot be written.
    pub(super) fn write(&mut self, metrics: &Metrics) -> Result<()> {
        let line = match self.csv {
            true => {
                let numbers = NUMBERS.iter().map(|(_, get)| get(metrics).to_string());
                let numbers: Vec<String> = numbers.collect();
                let (hook, step, tokens) = (&metrics.hook, metrics.step, metrics.tokens);
                format!("{hook},{step},{tokens},{}", numbers.join(","))
            }
            false => serde_json::to_string(metrics)?,
        };
        let path = &self.path;
        writeln!(self.file, "{line}").context(|| format!("writing the log {}", path.display()))
    }
}
