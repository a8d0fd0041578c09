//! Commands: the lines above a cell's Rust that begin with `:`, `!` or `%%`.
//!
//! A cell is a row of steps, which [`plan`] reads from its text: commands of ours, lines for the
//! shell, Rust. They run one after the other; one that takes its time (Rust, the shell) lets the
//! interpreter answer questions meanwhile. The engine's own commands stay in the Rust's text, which
//! it reads them from.

mod clear;
mod crates;
mod documentation;
mod help;
mod interruptible;
mod load;
mod plan;
mod process;
mod progress;
mod quit;
mod shell;
mod table;
mod timing;
mod types;
mod vars;

use super::engine::Engine;
use super::{Begun, Cell, CellError, Outcome};
use ferrolens_frames::Bundle;
use plan::{Plan, Step};

pub(super) use plan::blanked;
pub(crate) use table::escaped;

/// A command of ours.
pub(super) struct Command {
    /// With the colon.
    name: &'static str,
    /// What stands behind the name, for `:help`.
    arguments: &'static str,
    /// One line.
    about: &'static str,
    example: &'static str,
    run: Run,
}

/// How a command runs.
enum Run {
    /// At once; what it returns is shown.
    Now(fn(&mut Engine, &Cell, &str) -> Result<Option<Bundle>, CellError>),
    /// It is a word about the Rust behind it.
    Time,
    Timeit,
    /// Rust in a file.
    Load,
    /// A crate: the engine's own command, where the crate is not built in.
    Crate,
}

/// Every command of ours, in the order in which `:help` shows them.
const TABLE: &[Command] = &[
    Command {
        name: ":help",
        arguments: "[command]",
        about: "this table, or one command",
        example: ":help :dep",
        run: Run::Now(help::run),
    },
    Command {
        name: ":vars",
        arguments: "",
        about: "the variables: type, shape, device, memory, value",
        example: ":vars",
        run: Run::Now(vars::run),
    },
    Command {
        name: ":type",
        arguments: "expression",
        about: "the type of an expression, which is not run",
        example: ":type vec![1, 2].iter().max()",
        run: Run::Now(types::run),
    },
    Command {
        name: ":doc",
        arguments: "path",
        about: "the documentation of a type, function, method or variable",
        example: ":doc HookedTransformer::from_pretrained",
        run: Run::Now(documentation::run),
    },
    Command {
        name: ":time",
        arguments: "[code]",
        about: "runs the rest of the cell, and says how long it took to compile and to run",
        example: ":time (1..1_000_000_u64).sum::<u64>()",
        run: Run::Time,
    },
    Command {
        name: ":timeit",
        arguments: "[code]",
        about: "runs the rest of the cell many times, and says what a run takes",
        example: ":timeit (1..1000_u64).sum::<u64>()",
        run: Run::Timeit,
    },
    Command {
        name: ":load",
        arguments: "file",
        about: "runs a file of Rust as if it stood here",
        example: ":load helpers.rs",
        run: Run::Load,
    },
    Command {
        name: ":dep",
        arguments: "[crate [= version]]",
        about: "adds a crate; alone, it lists those that are there without it",
        example: ":dep itertools = \"0.14\"",
        run: Run::Crate,
    },
    Command {
        name: ":interruptible",
        arguments: "[on|off]",
        about: "whether the loops of cells look at the interrupt",
        example: ":interruptible off",
        run: Run::Now(interruptible::run),
    },
    Command {
        name: ":clear",
        arguments: "",
        about: "forgets variables, functions, types and imports; settings stay",
        example: ":clear",
        run: Run::Now(clear::clear),
    },
    Command {
        name: ":restart",
        arguments: "",
        about: "a fresh process for cells: variables go, functions and types stay",
        example: ":restart",
        run: Run::Now(clear::restart),
    },
    Command {
        name: ":quit",
        arguments: "",
        about: "says how to end the kernel",
        example: ":quit",
        run: Run::Now(quit::run),
    },
];

/// Commands of the engine that go on as they are, with what `:help` says of them.
const ENGINES: &[(&str, &str)] = &[
    (
        ":build_env",
        "an environment variable for builds, e.g. `:build_env A=1`",
    ),
    (":cache", "how much of compiled crates is kept, in MiB"),
    (":clear_cache", "empties that"),
    (
        ":codegen_backend",
        "the code generator of a nightly compiler",
    ),
    (
        ":efmt",
        "how errors that leave a cell are shown, e.g. `:efmt {:?}`",
    ),
    (
        ":env",
        "an environment variable for the next process, e.g. `:env A=1`",
    ),
    (":explain", "the compiler's explanation of the last error"),
    (":fmt", "how values without a form of their own are shown"),
    (":internal_debug", "shows what is compiled"),
    (":last_compile_dir", "where cells are compiled"),
    (
        ":last_error_json",
        "the compiler's last error as it wrote it",
    ),
    (":linker", "the linker: system, lld or mold"),
    (":load_config", "reads the engine's configuration again"),
    (
        ":offline",
        "whether crates may be fetched, e.g. `:offline 1`",
    ),
    (":opt", "the optimisation level of cells: 0, 1, 2 or 3"),
    (
        ":preserve_vars_on_panic",
        "has no effect here: variables are kept",
    ),
    (":sccache", "whether crates are compiled through sccache"),
    (":show_deps", "the crates that were added"),
    (":allow_static_linking", "how added crates are linked"),
    (":t", "the same as `:type`"),
    (":time_passes", "what the compiler spends its time on"),
    (":timing", "the engine's own timing"),
    (":toolchain", "the compiler for added crates"),
    (":types", "shows the type beside each value"),
    (":version", "the engine's version"),
];

/// All commands with what they do, for completion.
pub fn listed() -> Vec<(&'static str, &'static str)> {
    let ours = TABLE.iter().map(|it| (it.name, it.about));
    let mut listed: Vec<_> = ours.chain(ENGINES.iter().copied()).collect();
    listed.sort_unstable();
    listed
}

/// The names of all commands.
fn names() -> Vec<&'static str> {
    listed().into_iter().map(|(name, _)| name).collect()
}

/// What the interpreter does with a cell, and how far it is.
#[derive(Default)]
pub(super) struct Progress {
    plan: Plan,
    now: Now,
    value: Option<Bundle>,
    timing: timing::Timing,
    /// How many files it has loaded.
    loaded: usize,
}

#[derive(Default)]
enum Now {
    #[default]
    Nothing,
    Code(Cell),
    Shell(shell::Shell),
}

/// Begins a cell.
pub(super) fn begin(engine: &mut Engine, cell: &Cell) -> Begun {
    engine.interrupt.begin(cell.since);
    if let Some(page) = documentation::page(engine, &cell.code) {
        let (page, error) = match page {
            Ok(page) => (Some(page), None),
            Err(error) => (None, Some(error)),
        };
        return Begun::Ended(Outcome {
            value: None,
            page,
            error,
        });
    }
    match Plan::read(&cell.title, &cell.code) {
        Ok(plan) => {
            engine.progress = Progress {
                plan,
                ..Progress::default()
            };
            go_on(engine, cell)
        }
        Err(error) => Begun::Ended(Outcome {
            value: None,
            page: None,
            error: Some(error),
        }),
    }
}

/// A step of the cell has ended.
pub(super) fn end(engine: &mut Engine, cell: &Cell) -> Begun {
    match std::mem::take(&mut engine.progress.now) {
        Now::Code(part) => {
            // A restart in the middle of a cell announces an end of its own.
            if !engine.bridge.has_ended(cell.id) {
                engine.progress.now = Now::Code(part);
                return Begun::Runs;
            }
            let outcome = engine.end_code(&part);
            let (run, processor) = (engine.bridge.last_run(), engine.processor_time());
            engine.progress.timing.code_ended(run, processor);
            match after_code(engine, cell, outcome) {
                Some(ended) => ended,
                None => go_on(engine, cell),
            }
        }
        Now::Shell(shell) => match shell.ended(engine) {
            Ok(Ok(())) => go_on(engine, cell),
            Ok(Err(error)) => finish(engine, cell, Some(error)),
            Err(shell) => {
                engine.progress.now = Now::Shell(shell);
                Begun::Runs
            }
        },
        Now::Nothing => finish(engine, cell, None),
    }
}

fn go_on(engine: &mut Engine, cell: &Cell) -> Begun {
    while let Some(step) = engine.progress.plan.next() {
        if engine.interrupt.was_asked() {
            let sentence = "The cell was interrupted; what was left of it has not run.";
            return finish(
                engine,
                cell,
                Some(CellError::plain("Interrupted", sentence)),
            );
        }
        match step {
            Step::Command { run, arguments } => match run(engine, cell, &arguments) {
                Ok(shown) => {
                    if let Some(bundle) = shown {
                        engine.bridge.show(cell.id, bundle);
                    }
                }
                Err(error) => return finish(engine, cell, Some(error)),
            },
            Step::Load { file } => match load::read(engine, &file) {
                Ok(plan) => engine.progress.plan.before(plan),
                Err(error) => return finish(engine, cell, Some(error)),
            },
            Step::Say(sentence) => engine.bridge.say(cell.id, &sentence),
            Step::Shell { line } => match shell::start(engine, cell, &line) {
                Ok(Some(shell)) => {
                    engine.progress.now = Now::Shell(shell);
                    return Begun::Runs;
                }
                Ok(None) => {}
                Err(error) => return finish(engine, cell, Some(error)),
            },
            Step::Code { title, code } => {
                let part = Cell {
                    id: cell.id,
                    title,
                    code,
                    since: cell.since,
                };
                if let Some(begun) = begin_code(engine, cell, part) {
                    return begun;
                }
            }
        }
    }
    finish(engine, cell, None)
}

/// `None` when the code has ended well and at once.
fn begin_code(engine: &mut Engine, cell: &Cell, part: Cell) -> Option<Begun> {
    let before = engine.processor_time();
    engine.progress.timing.code_begins(before);
    let watch = progress::watch(engine, &part);
    let begun = engine.begin_code(&part);
    drop(watch);
    match begun {
        Begun::Runs => {
            engine.progress.now = Now::Code(part);
            Some(Begun::Runs)
        }
        Begun::Ended(outcome) => {
            engine.progress.timing.code_did_not_run();
            after_code(engine, cell, outcome)
        }
    }
}

fn after_code(engine: &mut Engine, cell: &Cell, outcome: Outcome) -> Option<Begun> {
    if let Some(value) = outcome.value {
        engine.progress.value = Some(value);
    }
    outcome.error.map(|error| finish(engine, cell, Some(error)))
}

fn finish(engine: &mut Engine, cell: &Cell, error: Option<CellError>) -> Begun {
    let Progress {
        plan,
        value,
        timing,
        ..
    } = std::mem::take(&mut engine.progress);
    if plan.timed
        && let Some(line) = timing.line()
    {
        engine.bridge.tell(cell.id, &format!("{line}\n"));
    }
    Begun::Ended(Outcome {
        value,
        page: None,
        error,
    })
}

/// An error that a command itself found.
fn wrong(sentence: impl Into<String>) -> CellError {
    CellError::plain("command", &sentence.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_a_name_of_its_own_and_an_example() {
        let names = names();
        let mut unique = names.clone();
        unique.dedup();
        assert_eq!(names, unique);
        for command in TABLE {
            assert!(
                command.example.starts_with(command.name) && !command.about.is_empty(),
                "{}",
                command.name
            );
        }
    }
}
