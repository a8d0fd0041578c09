//! evcxr as the interpreter.

use super::interrupt::{Interrupt, Phase};
use super::{CellError, Completion, Completions, Interpreter, Outcome, compile_error, panic_place};
use crate::bridge::{Bridge, Failure};
use crate::child;
use crate::toolchain::folder::{OUTER_TMPDIR_ENV, SessionFolder};
use crate::toolchain::prebuilt::Prebuilt;
use evcxr::{CommandContext, Error, EvalContext, EvalContextOutputs, EvalOutputs};
use ferrolens_frames::{Bundle, CellId, SOCKET_ENV};
use serde_json::Value;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;

/// Run before the first cell: the prelude is in force, and the engine has met a `?`, which
/// otherwise costs the first cell that has one a second compilation.
const OPENING: &str = "use ferrolens::prelude::*;\nstd::env::current_dir()?;";

/// What cells are compiled at until a `:opt` says otherwise. The library that they call is optimised
/// whatever this is; a cell's own code mostly runs once, and compiles in two thirds of the time.
const OPT_LEVEL: &str = "1";

/// Makes the analyzer read the prelude before the user's first `let` or Tab does.
const WARM_UP: &str = "let tensor = Tensor::new(1f32, &Device::Cpu)?; tensor.sha";

pub struct Engine {
    context: CommandContext,
    bridge: Bridge,
    interrupt: Interrupt,
    /// Lives as long as the engine's files do.
    _folder: Arc<SessionFolder>,
}

impl Engine {
    /// Starts evcxr with a child of our own, in the session's folder.
    ///
    /// # Errors
    /// A sentence: no compiler, another compiler than the prelude's, or what the engine said.
    pub fn start(
        folder: Arc<SessionFolder>,
        prebuilt: &Prebuilt,
        bridge: Bridge,
        interrupt: Interrupt,
    ) -> Result<Self, String> {
        let exe = std::env::current_exe().map_err(|error| error.to_string())?;
        let mut command = Command::new(exe);
        command
            .env(SOCKET_ENV, folder.socket())
            .env(child::PRELUDE_ENV, prebuilt.library())
            .env(child::FOLDER_ENV, folder.path())
            // Ctrl-C in a terminal is for the kernel, which turns it into an interrupt.
            .process_group(0);
        if let Some(folder) = std::env::var_os(OUTER_TMPDIR_ENV) {
            command.env("TMPDIR", folder);
        }
        bridge.equip(&mut command);
        let (context, outputs) = EvalContext::with_subprocess_command(command)
            .map_err(|error| format!("The Rust engine could not start: {error}"))?;
        drain(outputs);
        let mut context = CommandContext::with_eval_context(context);
        context
            .set_opt_level(OPT_LEVEL)
            .map_err(|error| format!("The Rust engine could not start: {error}"))?;
        let mut engine = Self {
            context,
            bridge,
            interrupt,
            _folder: folder,
        };
        engine.interrupt.watch(engine.context.process_handle());
        engine.bridge.begin(0);
        engine.context.execute(OPENING).map_err(|error| {
            format!("The prelude cannot be used: {error}. Run install.sh again.")
        })?;
        Ok(engine)
    }

    fn variables(&self) -> Vec<String> {
        let mut names: Vec<String> = self
            .context
            .variables_and_types()
            .map(|(name, _)| name.to_owned())
            .collect();
        names.sort();
        names
    }

    fn error(&self, title: &str, code: &str, before: &[String], error: &Error) -> CellError {
        if self.interrupt.was_asked() && !matches!(error, Error::SubprocessTerminated(_)) {
            return CellError::plain(
                "Interrupted",
                "The cell was interrupted while it was being compiled. All variables are as before.",
            );
        }
        match error {
            Error::CompilationErrors(errors) => compile_error::describe(title, code, errors),
            Error::TypeRedefinedVariablesLost(names) => CellError::plain(
                "type redefined",
                &format!(
                    "A type was defined again, so these variables of the old type are gone: {}. Run \
                     the cells that make them again.",
                    names.join(", ")
                ),
            ),
            Error::SubprocessTerminated(status) => self.crash(status, before),
            Error::Message(message) => CellError::plain("error", message),
        }
    }

    fn crash(&self, status: &str, lost: &[String]) -> CellError {
        let status = status
            .rsplit("Subprocess terminated with status: ")
            .next()
            .unwrap_or(status)
            .trim();
        let what = if self.interrupt.was_asked() {
            "The cell did not stop at the interrupt, so its process was ended.".to_owned()
        } else if self.bridge.overflowed() {
            "The cell overflowed its stack: a recursion that does not end, or a very large local \
             array."
                .to_owned()
        } else if status.starts_with("exit status") {
            format!("The cell ended its process ({status}).")
        } else if status.contains("signal: 6") {
            format!("The cell aborted ({status}).")
        } else if status.contains("signal: 9") {
            format!("The cell's process was killed ({status}), perhaps because memory ran out.")
        } else {
            format!("The cell crashed its process ({status}).")
        };
        let lost = if lost.is_empty() {
            "No variables were lost.".to_owned()
        } else {
            format!(
                "These variables were lost: {}. Run the cells that make them again.",
                lost.join(", ")
            )
        };
        CellError::plain(
            "crash",
            &format!("{what} {lost} Functions, types and imports are kept."),
        )
    }

    fn failure(&self, title: &str, code: &str, failure: &Failure) -> CellError {
        let place = failure.at.as_ref().and_then(|at| {
            let compiled = self.context.last_source().ok()?;
            panic_place::find(code, &compiled, at)
        });
        let mut traceback = vec![format!(
            "\u{1b}[1;31m{}\u{1b}[0m: {}",
            failure.name, failure.value
        )];
        if let Some(place) = place {
            traceback.push(compile_error::point_at(title, code, &place));
        }
        CellError {
            name: failure.name.clone(),
            value: failure.value.lines().next().unwrap_or_default().to_owned(),
            traceback,
        }
    }
}

impl Interpreter for Engine {
    fn execute(&mut self, cell: CellId, title: &str, code: &str) -> Outcome {
        let before = self.variables();
        self.bridge.begin(cell);
        self.interrupt.enter(Phase::Cell(cell));
        let result = self.context.execute(code);
        self.interrupt.enter(Phase::Idle);
        match result {
            Ok(outputs) => {
                self.bridge.settle();
                let error = self
                    .bridge
                    .failure(cell)
                    .map(|failure| self.failure(title, code, &failure));
                Outcome {
                    value: bundle(outputs),
                    error,
                }
            }
            Err(error) => {
                if matches!(error, Error::SubprocessTerminated(_)) {
                    self.bridge.settle_dead();
                } else {
                    self.bridge.settle();
                }
                let error = match self.bridge.refusal() {
                    Some(refusal) => CellError::plain("kernel error", &refusal),
                    None => self.error(title, code, &before, &error),
                };
                Outcome {
                    value: None,
                    error: Some(error),
                }
            }
        }
    }

    fn warm_up(&mut self) {
        let _ = self.context.completions(WARM_UP, WARM_UP.len());
    }

    fn complete(&mut self, code: &str, cursor: usize) -> Completions {
        let Ok(found) = self.context.completions(code, cursor) else {
            return Completions {
                start: cursor,
                end: cursor,
                items: Vec::new(),
            };
        };
        Completions {
            start: found.start_offset,
            end: found.end_offset,
            items: found
                .completions
                .into_iter()
                .map(|item| Completion {
                    text: item.code,
                    kind: item.kind.to_owned(),
                    label: item.label,
                })
                .collect(),
        }
    }
}

/// The engine waits at the end of a cell until its own channels are empty. What is on them is
/// nothing that a cell wrote: the child has taken its descriptors off the engine's pipes.
fn drain(outputs: EvalContextOutputs) {
    for (name, lines) in [("stdout", outputs.stdout), ("stderr", outputs.stderr)] {
        // Without the thread nothing is lost but these lines.
        let _ = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || {
                for line in lines {
                    eprintln!("child: {line}");
                }
            });
    }
}

fn bundle(outputs: EvalOutputs) -> Option<Bundle> {
    let bundle: Bundle = outputs
        .content_by_mime_type
        .into_iter()
        .filter(|(_, content)| !content.is_empty())
        .map(|(mime, content)| {
            let value = if mime.contains("json") {
                serde_json::from_str(&content).unwrap_or(Value::String(content))
            } else {
                Value::String(content)
            };
            (mime, value)
        })
        .collect();
    (!bundle.is_empty()).then_some(bundle)
}
