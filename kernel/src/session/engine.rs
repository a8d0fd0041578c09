//! evcxr as the interpreter.

use super::analysis::Analysis;
use super::compile_error::{self, Notebook};
use super::fates::{self, Fates};
use super::interrupt::{Interrupt, Phase};
use super::memory::Kills;
use super::places::{Places, Source};
use super::{
    Begun, Cell, CellError, Completions, Inspection, Interpreter, Known, Outcome, commands,
    delimiters, keeping, settings, traceback, twice,
};
use crate::bridge::{Bridge, LastWords};
use crate::child;
use crate::toolchain::cell::{READABLE, USUAL_OPT_LEVEL};
use crate::toolchain::folder::{OUTER_TMPDIR_ENV, SessionFolder};
use crate::toolchain::prebuilt::Prebuilt;
use crate::toolchain::rewrite::RESTORES;
use evcxr::{
    CommandContext, CompilationError, Error, EvalContext, EvalContextOutputs, EvalOutputs,
};
use ferrolens_frames::{Bundle, CellId, SOCKET_ENV};
use serde_json::Value;
use std::collections::BTreeMap;
use std::os::unix::process::CommandExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::Command;
use std::sync::Arc;

/// Run before the first cell: the prelude is in force, and the engine has met a `?`, which
/// otherwise costs the first cell that has one a second compilation.
pub(super) const OPENING: &str = "use ferrolens::prelude::*;\nstd::env::current_dir()?;";

/// The number of the code that the kernel runs for itself.
pub(super) const HIDDEN: CellId = CellId::MAX;

pub struct Engine {
    pub(super) context: CommandContext,
    analysis: Analysis,
    /// Whether the code of a cell runs.
    runs: bool,
    /// The cell that has failed and been answered, whose variables have still to be put right.
    failed: Option<Source>,
    pub(super) bridge: Bridge,
    pub(super) interrupt: Interrupt,
    /// How far the cell that runs is.
    pub(super) progress: commands::Progress,
    /// What the commands of the cell that runs returned.
    value: Option<Bundle>,
    /// The variables before the cell that runs.
    before: BTreeMap<String, String>,
    /// Which lines of what is compiled are whose, and what became of variables that are gone.
    places: Places,
    fates: Fates,
    /// How often memory had run out before the cell that runs.
    kills: Kills,
    /// Lives as long as the engine's files do.
    pub(super) folder: Arc<SessionFolder>,
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
        let analysis = Analysis::start(&folder.cells(), prebuilt);
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
        settings::give(&mut command);
        bridge.equip(&mut command);
        let (context, outputs) = EvalContext::with_subprocess_command(command)
            .map_err(|error| format!("The Rust engine could not start: {error}"))?;
        drain(outputs);
        let mut context = CommandContext::with_eval_context(context);
        context
            .set_opt_level(USUAL_OPT_LEVEL)
            .map_err(|error| format!("The Rust engine could not start: {error}"))?;
        let places = Places::new(folder.cells().join(READABLE));
        let named = places.clone();
        bridge.name_places(Arc::new(move |at| Some(named.find(at)?.name())));
        let mut engine = Self {
            context,
            analysis,
            runs: false,
            failed: None,
            places,
            fates: Fates::default(),
            kills: Kills::default(),
            bridge,
            interrupt,
            value: None,
            before: BTreeMap::new(),
            progress: commands::Progress::default(),
            folder,
        };
        engine.interrupt.watch(engine.context.process_handle());
        engine.run_hidden(OPENING).map_err(|error| {
            format!("The prelude cannot be used: {error}. Run install.sh again.")
        })?;
        Ok(engine)
    }

    /// The variables that the engine believes in, with their types; see [`Engine::held`].
    fn types(&self) -> BTreeMap<String, String> {
        self.context
            .variables_and_types()
            .map(|(name, kind)| (name.to_owned(), kind.to_owned()))
            .collect()
    }

    /// The variables that there are: after a cell that failed the engine believes in more.
    pub(super) fn held(&self) -> BTreeMap<String, String> {
        let held = self.bridge.variables();
        let mut types = self.types();
        types.retain(|name, _| held.contains_key(name));
        types
    }

    /// What the analyzer says of the name at the end of `code`.
    pub(super) fn meaning(&mut self, code: &str) -> Option<Inspection> {
        self.analysis.meaning(&mut self.context, code)
    }

    /// Runs code of our own to its end, as no cell of the user's.
    pub(super) fn run_hidden(&mut self, code: &str) -> Result<(), Error> {
        self.bridge.begin(HIDDEN);
        let result = self.context.execute(code);
        self.bridge.settle();
        if result.is_ok() && self.bridge.has_started(HIDDEN) {
            self.bridge.wait_for_end(HIDDEN);
        }
        result.map(drop)
    }

    /// After a cell that failed: the engine took its new variables for stored, and what it moved for
    /// gone. Those that the child has kept as they were get their types back.
    fn restore(&mut self) {
        let (held, types) = (self.bridge.variables(), self.types());
        let lines: Vec<String> = self
            .before
            .iter()
            .filter(|(name, kind)| held.contains_key(*name) && types.get(*name) != Some(*kind))
            .map(|(name, kind)| {
                // In numbers, so that the cell does not seem to use the variable of this name.
                let bytes = name.as_bytes();
                format!("let mut {name}: {kind} = {RESTORES}evcxr_variable_store, &{bytes:?});")
            })
            .collect();
        if !lines.is_empty() {
            // Where it does not compile, the variable is lost, as the next cell that names it says.
            let _ = self.run_hidden(&lines.join("\n"));
        }
    }

    fn error(&mut self, source: &Arc<Source>, error: &Error) -> CellError {
        if self.interrupt.was_asked() && !matches!(error, Error::SubprocessTerminated(_)) {
            return CellError::plain(
                "Interrupted",
                "The cell was interrupted while it was being compiled. All variables are as before.",
            );
        }
        let notebook = Notebook {
            source,
            places: &self.places,
            types: &self.before,
            fates: &self.fates,
        };
        match error {
            Error::CompilationErrors(errors) => compile_error::describe(&notebook, errors),
            Error::Message(message) => keeping::message(&notebook, message),
            Error::SubprocessTerminated(status) => {
                self.crash(&source.title, status, self.bridge.last_words())
            }
            Error::TypeRedefinedVariablesLost(names) => CellError::plain(
                "type redefined",
                &format!(
                    "A type was defined again, so these variables of the old type are gone: {}. Run \
                     the cells that make them again.",
                    names.join(", ")
                ),
            ),
        }
    }

    /// Notes the variables that are there and that the engine has dropped, as it does with those of a
    /// type that was defined again.
    fn note_forgotten(&mut self) {
        let (there, known) = (self.bridge.variables(), self.types());
        for (name, kind) in &self.before {
            if there.contains_key(name) && !known.contains_key(name) {
                self.fates.forgotten(name, kind);
            }
        }
    }

    /// Notes what became of the variables of a cell that failed.
    fn note_failure(&mut self, source: &Source, error: &Error) {
        match error {
            Error::TypeRedefinedVariablesLost(names) => self.fates.redefined(&source.title, names),
            // The crash has said it.
            Error::SubprocessTerminated(_) => {}
            _ => {
                self.fates.failed(source, &self.before, &self.held());
                self.note_forgotten();
            }
        }
    }

    fn crash(&mut self, title: &str, status: &str, said: LastWords) -> CellError {
        self.fates.crashed(title, self.before.keys());
        let status = status
            .rsplit("Subprocess terminated with status: ")
            .next()
            .unwrap_or(status)
            .trim();
        let what = if self.interrupt.was_asked() {
            "The cell did not stop at the interrupt, so its process was ended.".to_owned()
        } else if said.overflowed {
            "The cell overflowed its stack: a recursion that does not end, or a very large local \
             array."
                .to_owned()
        } else if status.starts_with("exit status") {
            format!("The cell ended its process ({status}).")
        } else if status.contains("signal: 6") && said.allocation_failed {
            "The cell ran out of memory: it asked for more than the system gives, and was ended. Work on \
             smaller pieces, or drop what is no longer needed."
                .to_owned()
        } else if status.contains("signal: 6") {
            format!("The cell aborted ({status}).")
        } else if status.contains("signal: 9") && Kills::now().grew_since(self.kills) {
            format!(
                "The system ended the cell's process because memory ran out ({status}). Work on smaller \
                 pieces, or drop what is no longer needed."
            )
        } else if status.contains("signal: 9") {
            format!("The cell's process was killed ({status}), perhaps because memory ran out.")
        } else {
            format!("The cell crashed its process ({status}).")
        };
        let lost: Vec<&str> = self.before.keys().map(String::as_str).collect();
        let lost = match lost.as_slice() {
            [] => "No variables were lost.".to_owned(),
            lost => format!(
                "These variables were lost: {}. Run the cells that make them again.",
                lost.join(", ")
            ),
        };
        CellError::plain(
            "crash",
            &format!("{what} {lost} Functions, types and imports are kept."),
        )
    }

    /// What the compiler says of code that is only looked at.
    pub(super) fn describe(
        &mut self,
        title: &str,
        code: &str,
        errors: &[CompilationError],
    ) -> CellError {
        let source = self.places.begin(title, code);
        let notebook = Notebook {
            source: &source,
            places: &self.places,
            types: &self.types(),
            fates: &self.fates,
        };
        let error = compile_error::describe(&notebook, errors);
        self.places.forget();
        error
    }

    /// Makes the engine see that its process has gone, and start another.
    fn restart(&mut self, cell: &Cell) -> CellError {
        let said = self.bridge.last_words();
        match self.run_hidden("();") {
            Err(Error::SubprocessTerminated(status)) => self.crash(&cell.title, &status, said),
            _ => self.crash(&cell.title, "", said),
        }
    }
}

impl Engine {
    /// Begins the Rust of a cell, or a part of it.
    pub(super) fn begin_code(&mut self, cell: &Cell) -> Begun {
        self.before = self.held();
        self.bridge.begin(cell.id);
        self.kills = Kills::now();
        let source = self.places.begin(&cell.title, &cell.code);
        if let Some(error) = delimiters::check(&source).or_else(|| twice::check(&source)) {
            self.places.forget();
            self.fates.failed(&source, &self.before, &self.held());
            return Begun::Ended(Outcome {
                value: None,
                page: None,
                error: Some(compile_error::cell_error(&[error])),
            });
        }
        self.interrupt.enter(Phase::Compiling(cell.id));
        let code = self.analysis.typed(&mut self.context, &cell.code);
        let result = self.context.execute(&code);
        match result {
            Ok(outputs) => {
                self.places.keep();
                let mut after = self.types();
                let (held, made) = (self.held(), fates::bound(&source.code));
                after.retain(|name, _| held.contains_key(name) || made.contains(name));
                self.fates.ran(&source, &self.before, &after);
                self.value = bundle(outputs);
                self.bridge.settle();
                if self.bridge.has_started(cell.id) {
                    self.interrupt.enter(Phase::Running(cell.id));
                    return Begun::Runs;
                }
                self.interrupt.enter(Phase::Idle);
                Begun::Ended(Outcome {
                    value: self.value.take(),
                    page: None,
                    error: None,
                })
            }
            Err(error) => {
                self.interrupt.enter(Phase::Idle);
                if matches!(error, Error::SubprocessTerminated(_)) {
                    self.bridge.settle_dead();
                } else {
                    self.bridge.settle();
                }
                self.note_forgotten();
                let shown = match self.bridge.refusal() {
                    Some(refusal) => CellError::plain("kernel error", &refusal),
                    None => self.error(&source, &error),
                };
                self.note_failure(&source, &error);
                self.places.forget();
                Begun::Ended(Outcome {
                    value: None,
                    page: None,
                    error: Some(shown),
                })
            }
        }
    }

    /// The Rust of a cell has ended, or its process has.
    pub(super) fn end_code(&mut self, cell: &Cell) -> Outcome {
        self.interrupt.enter(Phase::Idle);
        let error = if self.bridge.child_is_gone() {
            self.bridge.settle_dead();
            Some(self.restart(cell))
        } else {
            self.bridge.settle();
            let failure = self.bridge.failure(cell.id);
            let error = failure.map(|failure| traceback::describe(&failure, &self.places));
            self.failed = error.is_some().then(|| Source {
                title: cell.title.clone(),
                code: cell.code.clone(),
            });
            error
        };
        Outcome {
            value: self.value.take(),
            page: None,
            error,
        }
    }
}

impl Interpreter for Engine {
    fn begin(&mut self, cell: &Cell) -> Begun {
        let begun = commands::begin(self, cell);
        self.runs = matches!(begun, Begun::Runs);
        begun
    }

    fn end(&mut self, cell: &Cell) -> Begun {
        let begun = commands::end(self, cell);
        self.runs = matches!(begun, Begun::Runs);
        begun
    }

    fn settle(&mut self) {
        if let Some(source) = self.failed.take() {
            self.restore();
            self.fates.failed(&source, &self.before, &self.held());
        }
    }

    fn revive(&mut self) -> CellError {
        self.before = self.held();
        self.bridge.settle_dead();
        self.restart(&Cell::default())
    }

    fn complete(&mut self, code: &str, cursor: usize) -> Completions {
        let code = &commands::blanked(code);
        Completions {
            start: cursor,
            end: cursor,
            items: (self.analysis).suggestions(&mut self.context, code, cursor),
        }
    }

    fn inspect(&mut self, code: &str, is_member: bool) -> Option<Inspection> {
        // A method is told from a field by its parenthesis.
        let method = is_member.then(|| self.meaning(&format!("{code}(")));
        method.flatten().or_else(|| self.meaning(code))
    }

    fn known(&self) -> Known {
        // A cell that runs will have made what the engine believes in; one that has failed has not.
        Known {
            types: if self.runs { self.types() } else { self.held() },
            items: self
                .context
                .defined_item_names()
                .map(str::to_owned)
                .collect(),
        }
    }
}

/// The analyzer may panic on code that is half typed, which is no reason for the kernel to fail.
pub(super) fn unharmed<T>(ask: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(ask)).ok()
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
