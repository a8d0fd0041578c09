//! The processes that do the work, each with a memory of its own.

use ferrolens::{Error, Result};
use serde_json::Value;
use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

pub const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/vs_transformer_lens/theirs.py");

/// What a worker says of one command.
pub struct Answer {
    pub seconds: Vec<f64>,
    pub values: Vec<f64>,
    pub peak_mb: f64,
}

pub struct Workers {
    python: PathBuf,
    models: PathBuf,
    started: HashMap<String, Worker>,
}

struct Worker {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Workers {
    /// Makes the models where they are not there yet.
    pub fn new(python: &Path, models: &Path) -> Result<Self> {
        let status = Command::new(python.join("ht/bin/python"))
            .args([SCRIPT, "make"])
            .arg(models)
            .status()?;
        if !status.success() {
            return Err(Error::new(format!(
                "the models in {} could not be made: {status}.",
                models.display()
            )));
        }
        Ok(Self {
            python: python.to_owned(),
            models: models.to_owned(),
            started: HashMap::new(),
        })
    }

    /// Lets the side that a command names do it so many times.
    pub fn ask(&mut self, command: &Value, repeats: usize) -> Result<Answer> {
        let side = command["side"].as_str().unwrap_or_default().to_owned();
        if !self.started.contains_key(&side) {
            let worker = self.start(&side)?;
            self.started.insert(side.clone(), worker);
        }
        let Some(worker) = self.started.get_mut(&side) else {
            return Err(Error::new(format!("there is no side `{side}`.")));
        };
        let mut command = command.clone();
        command["repeats"] = repeats.into();
        writeln!(worker.input, "{command}")?;
        let mut line = String::new();
        if worker.output.read_line(&mut line)? == 0 {
            return Err(Error::new(format!("the worker of `{side}` has ended.")));
        }
        let answer: Value =
            serde_json::from_str(&line).map_err(|error| Error::new(error.to_string()))?;
        if let Some(error) = answer["error"].as_str() {
            return Err(Error::new(format!("{side}: {error}")));
        }
        let numbers = |name: &str| {
            let list = answer[name].as_array().into_iter().flatten();
            list.filter_map(Value::as_f64).collect()
        };
        Ok(Answer {
            seconds: numbers("seconds"),
            values: numbers("values"),
            peak_mb: answer["peak_mb"].as_f64().unwrap_or(f64::NAN),
        })
    }

    fn start(&self, side: &str) -> Result<Worker> {
        let mut command = match side {
            "ours" => Command::new(std::env::current_exe()?),
            side => Command::new(self.python.join(side).join("bin/python")),
        };
        match side {
            // As the kernel does for the process that runs cells.
            "ours" => command
                .arg("--ours")
                .env("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1"),
            _ => command.args([SCRIPT, "work"]),
        };
        let mut child = command
            .arg(&self.models)
            .env("RAYON_NUM_THREADS", "2")
            .env("OMP_NUM_THREADS", "2")
            .env("MKL_NUM_THREADS", "2")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        match (child.stdin.take(), child.stdout.take()) {
            (Some(input), Some(output)) => Ok(Worker {
                child,
                input,
                output: BufReader::new(output),
            }),
            _ => Err(Error::new("a worker has no input or output.")),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
