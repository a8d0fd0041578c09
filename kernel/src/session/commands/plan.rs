//! A cell's text as a row of steps.

use super::{Command, ENGINES, Run, TABLE, crates, names, wrong};
use crate::session::CellError;
use crate::session::engine::Engine;
use crate::session::{Cell, nearest};
use ferrolens_frames::Bundle;
use std::collections::VecDeque;

/// What is still to be done for a cell.
#[derive(Default)]
pub(super) struct Plan {
    steps: VecDeque<Step>,
    /// Whether the reader wants to know how long it took.
    pub(super) timed: bool,
}

/// One part of a cell.
pub(super) enum Step {
    Command {
        run: fn(&mut Engine, &Cell, &str) -> Result<Option<Bundle>, CellError>,
        arguments: String,
    },
    /// A line for the shell.
    Shell { line: String },
    /// A file to be read when its turn comes.
    Load { file: String },
    /// A sentence to the reader.
    Say(String),
    /// Rust, with the engine's own commands above it. What has been taken out of the text has left
    /// its lines behind, so that none moves.
    Code { title: String, code: String },
}

/// What IPython's users write.
const MAGICS: &[(&str, &str)] = &[
    ("%%timeit", ":timeit"),
    ("%timeit", ":timeit"),
    ("%%time", ":time"),
    ("%time", ":time"),
];

impl Plan {
    /// Reads a cell.
    ///
    /// # Errors
    /// A command that there is not, with the nearest that there are.
    pub(super) fn read(title: &str, code: &str) -> Result<Self, CellError> {
        let mut plan = Self::default();
        let mut rest = String::with_capacity(code.len());
        let mut lines = code.split_inclusive('\n');
        let mut repeated = false;
        for line in lines.by_ref() {
            let text = line.trim_end_matches(['\n', '\r']);
            let end = line.get(text.len()..).unwrap_or_default();
            let kept = if let Some(shell) = text.strip_prefix('!') {
                plan.steps.push_back(Step::Shell {
                    line: shell.trim().to_owned(),
                });
                String::new()
            } else if let Some((name, arguments)) = command(text) {
                match plan.take(&name, arguments)? {
                    Taken::Whole => String::new(),
                    Taken::Engines => text.to_owned(),
                    Taken::Rest(code) => {
                        rest.push_str(&code);
                        rest.push_str(end);
                        break;
                    }
                    Taken::Repeats => {
                        repeated = true;
                        rest.push_str(
                            "ferrolens::emit::timeit(|| -> ::std::result::Result<(), \
                                       ::ferrolens::emit::Left> { ::std::hint::black_box({",
                        );
                        rest.push_str(end);
                        break;
                    }
                }
            } else if text.trim().is_empty() || text.starts_with("//") {
                text.to_owned()
            } else {
                rest.push_str(line);
                break;
            };
            rest.push_str(&kept);
            rest.push_str(end);
        }
        rest.extend(lines);
        if repeated {
            rest.push_str("\n}); ::std::result::Result::Ok(()) });");
        }
        if !rest.trim().is_empty() || plan.steps.is_empty() {
            plan.steps.push_back(Step::Code {
                title: title.to_owned(),
                code: rest,
            });
        }
        Ok(plan)
    }

    /// The next step.
    pub(super) fn next(&mut self) -> Option<Step> {
        self.steps.pop_front()
    }

    /// Puts the steps of another plan before the rest of this one.
    pub(super) fn before(&mut self, other: Self) {
        self.timed |= other.timed;
        for step in other.steps.into_iter().rev() {
            self.steps.push_front(step);
        }
    }

    fn take(&mut self, name: &str, arguments: &str) -> Result<Taken, CellError> {
        let name = if name == ":t" { ":type" } else { name };
        let Some(command) = TABLE.iter().find(|it| it.name == name) else {
            if ENGINES.iter().any(|(known, _)| *known == name) {
                return Ok(Taken::Engines);
            }
            return Err(wrong(format!(
                "There is no command `{name}`. {}`:help` lists them all.",
                nearest::sentence(name, &names())
            )));
        };
        Ok(match command.run {
            Run::Now(run) => {
                self.steps.push_back(Step::Command {
                    run,
                    arguments: arguments.to_owned(),
                });
                Taken::Whole
            }
            Run::Time => {
                self.timed = true;
                // In its columns, so that the compiler's messages point to what the reader wrote.
                let indent = " ".repeat(command.name.len() + 1);
                if arguments.is_empty() {
                    Taken::Whole
                } else {
                    Taken::Rest(format!("{indent}{arguments}"))
                }
            }
            Run::Timeit if arguments.is_empty() => Taken::Repeats,
            // As long as `:timeit `.
            Run::Timeit => Taken::Rest(format!("timeit!{{{arguments}}};")),
            Run::Load => {
                self.steps.push_back(Step::Load {
                    file: path(command, arguments)?,
                });
                Taken::Whole
            }
            Run::Crate => match crates::look_at(arguments) {
                Some(said) => {
                    self.steps.push_back(Step::Say(said));
                    Taken::Whole
                }
                None => Taken::Engines,
            },
        })
    }
}

/// The same text with blanks in the place of what is no Rust, for the analyzer, which must not add a
/// crate or clear a session while somebody types. The expression behind a command is Rust.
pub(in crate::session) fn blanked(code: &str) -> String {
    let mut out = String::with_capacity(code.len());
    let mut lines = code.split_inclusive('\n');
    for line in lines.by_ref() {
        let text = line.trim_end_matches(['\n', '\r']);
        let rust = match command(text) {
            _ if text.starts_with('!') => "",
            Some((name, arguments)) => {
                let run = TABLE.iter().find(|it| it.name == name).map(|it| &it.run);
                match run {
                    Some(Run::Time | Run::Timeit) => arguments,
                    Some(Run::Now(_)) if matches!(name.as_str(), ":type" | ":doc") => arguments,
                    _ => "",
                }
            }
            None => {
                out.push_str(line);
                if text.trim().is_empty() || text.starts_with("//") {
                    continue;
                }
                break;
            }
        };
        // In bytes, because that is how places in the text are counted.
        let behind = text.len() - text.trim_end().len();
        let before = text.len() - behind - rust.len();
        out.extend(std::iter::repeat_n(' ', before));
        out.push_str(rust);
        out.extend(std::iter::repeat_n(' ', behind));
        out.push_str(line.get(text.len()..).unwrap_or_default());
    }
    out.extend(lines);
    out
}

/// What becomes of a line with a command.
enum Taken {
    Whole,
    /// The engine does it.
    Engines,
    /// This is Rust, and so is what follows.
    Rest(String),
    /// What follows is run many times.
    Repeats,
}

/// The command in a line, with what stands behind it.
fn command(line: &str) -> Option<(String, &str)> {
    let line = line.trim_start_matches(' ');
    let (name, arguments) = line.split_once(' ').unwrap_or((line, ""));
    let arguments = arguments.trim();
    if let Some((_, ours)) = MAGICS.iter().find(|(magic, _)| *magic == name) {
        return Some(((*ours).to_owned(), arguments));
    }
    // A path like `::std::f()` is Rust.
    let is_command = name.starts_with(':') && !name.starts_with("::");
    let is_magic = name.starts_with('%');
    (is_command || is_magic).then(|| (name.to_owned(), arguments))
}

fn path(command: &Command, arguments: &str) -> Result<String, CellError> {
    let name = arguments.trim_matches('"');
    if name.is_empty() {
        return Err(wrong(format!(
            "`{}` needs the name of a file, e.g. `{}`.",
            command.name, command.example
        )));
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The steps in words.
    fn read(code: &str) -> Vec<String> {
        let mut plan = Plan::read("cell [1]", code).expect("known commands");
        let mut words = Vec::new();
        if plan.timed {
            words.push("timed".to_owned());
        }
        while let Some(step) = plan.next() {
            words.push(match step {
                Step::Command { arguments, .. } => format!("command {arguments}"),
                Step::Shell { line } => format!("shell {line}"),
                Step::Load { file } => format!("load {file}"),
                Step::Say(_) => "say".to_owned(),
                Step::Code { code, .. } => format!("code {code}"),
            });
        }
        words
    }

    #[test]
    fn a_cell_is_a_row_of_steps_and_no_line_moves() {
        for (code, steps) in [
            ("1 + 1", vec!["code 1 + 1"]),
            ("", vec!["code "]),
            ("::std::f()", vec!["code ::std::f()"]),
            (":vars", vec!["command "]),
            (":type a + b\n", vec!["command a + b"]),
            (
                ":vars\n// what\n\nx",
                vec!["command ", "code \n// what\n\nx"],
            ),
            (
                "!ls -l\r\n!pwd\nx",
                vec!["shell ls -l", "shell pwd", "code \r\n\nx"],
            ),
            (":opt 2\n:vars\nx", vec!["command ", "code :opt 2\n\nx"]),
            (":time\nx\ny", vec!["timed", "code \nx\ny"]),
            ("%%time\nx", vec!["timed", "code \nx"]),
            (":time x", vec!["timed", "code       x"]),
            (":timeit f(x)?", vec!["code timeit!{f(x)?};"]),
            (":load a b.rs\ny", vec!["load a b.rs", "code \ny"]),
            ("x\n:vars", vec!["code x\n:vars"]),
            (":dep polars = \"1\"\nx", vec!["say", "code \nx"]),
            (":dep regex = \"1\"\nx", vec!["code :dep regex = \"1\"\nx"]),
        ] {
            assert_eq!(read(code), steps, "{code:?}");
        }
    }

    #[test]
    fn the_analyzer_sees_rust_where_it_stands() {
        for (code, seen) in [
            ("x.", "x."),
            (":type é.le", "      é.le"),
            (":type  x. ", "       x. "),
            ("%%time\nx", "      \nx"),
            (":clear\n!ls é\n\nx\n:vars", "      \n      \n\nx\n:vars"),
            (":dep x = \"1\"\r\nx", "            \r\nx"),
            (":timeit x.su", "        x.su"),
        ] {
            let found = blanked(code);
            assert_eq!(found.len(), code.len(), "{code:?}");
            assert_eq!(found, seen, "{code:?}");
        }
    }

    #[test]
    fn repeated_code_stays_in_its_lines() {
        let [step] = read("%%timeit\nlet x = 1;\nx")
            .try_into()
            .expect("one step");
        assert_eq!(step.lines().nth(1), Some("let x = 1;"));
        assert_eq!(step.lines().nth(2), Some("x"));
        assert_eq!(step.lines().count(), 4);
    }

    #[test]
    fn an_unknown_command_lists_the_nearest() {
        for (code, near) in [(":tiem", ":time"), (":var", ":vars"), ("%%tim", ":time")] {
            let error = Plan::read("cell [1]", code).err().expect("no such command");
            assert!(error.value.contains(near), "{}", error.value);
        }
    }
}
