//! Changes to the text that the engine generates around a cell, each inside its own line so that no
//! diagnostic moves to another.
//!
//! [`reports`] says how a cell failed, [`variables`] what it takes and keeps, [`display`] what it
//! shows, [`checks`] where it looks whether it should stop, also between two [`pieces`] of a loop.

mod checks;
mod definitions;
mod display;
mod hot;
pub(crate) mod order;
mod pieces;
mod reports;
mod types;
mod variables;

pub(super) use checks::Checks;
pub(super) use display::Fallback;
use ferrolens_frames::CELL_FUNCTION;
use ra_ap_syntax::{Edition, SourceFile};
use sha2::{Digest, Sha256};
pub(crate) use types::TYPED;
pub(crate) use variables::RESTORES;

const PRELUDE: &str = "use ferrolens::prelude::*;";

/// How the line of the engine begins that opens the function around a cell; it counts them.
const FUNCTION: &str = "pub extern \"C\" fn run_user_code_";

/// How to rewrite a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct How {
    pub(super) fallback: Fallback,
    pub(super) checks: Checks,
    /// Whether it gives back what it defines again, where it fails.
    pub(super) gives_back: bool,
}

/// A cell rewritten.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Rewritten {
    /// What the compiler reads.
    pub(super) text: String,
    /// The same without what interrupts loops: in its lines, the user's own stand as they were written.
    pub(super) readable: String,
    /// Whether optimising it is worth the time.
    pub(super) is_hot: bool,
    /// Which of the engine's lines each line is, both counted from 0.
    from: Vec<usize>,
}

impl How {
    /// How a cell is tried first.
    pub(super) fn first(generated: &str, checks: Checks) -> Self {
        Self {
            fallback: if display::has_fallback(generated) {
                Fallback::Rich
            } else {
                Fallback::Plain
            },
            checks,
            gives_back: true,
        }
    }

    /// How it is tried after the compiler said these messages; `None` where they are the user's.
    pub(super) fn after(self, messages: &[u8]) -> Option<Self> {
        let next = self.without_what_is_seen_in(messages);
        if next != self {
            return Some(next);
        }
        (self.fallback == Fallback::Rich).then_some(Self {
            fallback: Fallback::Plain,
            checks: Checks::Nowhere,
            gives_back: false,
        })
    }

    /// Without what the compiler's messages show of what was put in.
    fn without_what_is_seen_in(self, messages: &[u8]) -> Self {
        let shows = |text: &str| {
            messages
                .windows(text.len())
                .any(|window| window == text.as_bytes())
        };
        let checks = match self.checks {
            Checks::Pieces if shows(pieces::PIECE) => Checks::Steps,
            Checks::Pieces | Checks::Steps if shows(checks::CHECK.trim()) => Checks::Nowhere,
            same => same,
        };
        Self {
            checks,
            gives_back: self.gives_back && !shows(variables::GIVE_BACK),
            ..self
        }
    }
}

impl Rewritten {
    /// [`Self::readable`] with the lines as the engine has them.
    pub(super) fn readable_as_generated(&self) -> String {
        let mut lines = vec![""; self.from.len()];
        for (line, from) in self.readable.split('\n').zip(&self.from) {
            lines[*from] = line;
        }
        lines.join("\n")
    }

    /// The compiler's messages with the lines as the engine has them.
    pub(super) fn messages_as_generated(&self, messages: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(messages.len());
        for line in messages.split_inclusive(|byte| *byte == b'\n') {
            match serde_json::from_slice::<serde_json::Value>(line) {
                Ok(mut message) => {
                    self.set_lines(&mut message);
                    out.extend_from_slice(message.to_string().as_bytes());
                    out.push(b'\n');
                }
                Err(_) => out.extend_from_slice(line),
            }
        }
        out
    }

    /// In every span, wherever it stands in a message.
    fn set_lines(&self, value: &mut serde_json::Value) {
        match value {
            serde_json::Value::Object(fields) => {
                for (name, value) in fields {
                    match name.as_str() {
                        "line_start" | "line_end" => {
                            let line = value
                                .as_u64()
                                .and_then(|line| usize::try_from(line).ok()?.checked_sub(1))
                                .and_then(|line| self.from.get(line));
                            if let Some(line) = line {
                                *value = (line + 1).into();
                            }
                        }
                        _ => self.set_lines(value),
                    }
                }
            }
            serde_json::Value::Array(values) => {
                for value in values {
                    self.set_lines(value);
                }
            }
            _ => {}
        }
    }
}

/// A number for a cell's text, as [`Rewritten::readable`] has it.
pub(crate) fn identity(readable: &str) -> u64 {
    let hash = Sha256::digest(readable.as_bytes());
    hash.iter()
        .take(8)
        .fold(0, |number, byte| (number << 8) | u64::from(*byte))
}

/// The generated source with the prelude's words in the place of the engine's.
pub(super) fn source(generated: &str, how: How) -> Rewritten {
    let mut lines: Vec<String> = generated.split('\n').map(str::to_owned).collect();
    types::remove(&mut lines);
    reports::replace(&mut lines);
    display::replace(&mut lines, how.fallback);
    variables::replace(&mut lines, how.gives_back);
    if let Some(line) = lines.iter_mut().rfind(|line| line.starts_with(FUNCTION)) {
        *line = format!("pub extern \"C\" fn {CELL_FUNCTION}(");
    }
    // The engine tries itself with an expression before the session's imports are in force.
    if !lines.iter().any(|line| line.contains(PRELUDE)) {
        match lines.last_mut() {
            Some(line) if line.is_empty() => *line = PRELUDE.to_owned(),
            _ => lines.push(PRELUDE.to_owned()),
        }
        lines.push(String::new());
    }
    let ordered = order::lines(&lines);
    let readable = ordered.lines.join("\n");
    let tree = SourceFile::parse(&readable, Edition::Edition2024).syntax_node();
    Rewritten {
        text: checks::insert(&readable, &tree, how.checks),
        is_hot: hot::is_hot(&tree),
        readable,
        from: ordered.from,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: How = How {
        fallback: Fallback::Plain,
        checks: Checks::Nowhere,
        gives_back: false,
    };

    #[test]
    fn reports_go_through_the_prelude_and_no_line_moves() {
        let generated = "use ferrolens::prelude::*;\nfn f() {\n(\n1 + 1\n).evcxr_display();\n    \
                         println!(\"EVCXR_PANIC_NOTIFICATION\");\n}\n";
        assert_eq!(
            source(generated, PLAIN).readable,
            "use ferrolens::prelude::*;\nfn f() {\n(\n1 + 1\n).ferrolens_last().evcxr_display();\n\
             ::ferrolens::emit::cell_panicked();\n}\n"
        );
    }

    #[test]
    fn a_cells_own_lines_stay_as_they_are() {
        let generated = "use ferrolens::prelude::*;\nfn own() {\neprintln!(\"{}\", error);\n\
                         println!(\"EVCXR_PANIC_NOTIFICATION\");\n}\n\
                         impl<T: std::fmt::Display> From<T> for EvcxrUserCodeError {\n\
                         fn from(error: T) -> Self {\neprintln!(\"{}\", error);\n}\n}\n\
                         println!(\"EVCXR_PANIC_NOTIFICATION\");\n";
        assert_eq!(
            source(generated, PLAIN).readable,
            "use ferrolens::prelude::*;\nfn own() {\neprintln!(\"{}\", error);\n\
             println!(\"EVCXR_PANIC_NOTIFICATION\");\n}\n\
             impl<T: std::fmt::Display> From<T> for EvcxrUserCodeError {\n\
             #[track_caller] fn from(error: T) -> Self {\n::ferrolens::emit::cell_failed(&error);\n}\n}\n\
             ::ferrolens::emit::cell_panicked();\n"
        );
    }

    #[test]
    fn the_prelude_is_in_force_before_the_session_says_so() {
        assert_eq!(
            source("fn f() {}\n", PLAIN).readable,
            "fn f() {}\nuse ferrolens::prelude::*;\n"
        );
    }

    #[test]
    fn what_was_put_into_order_can_be_put_back() {
        let generated = "#![allow(unused)]\nstruct S;\nfn f() {}\nuse ferrolens::prelude::*;\nstruct EvcxrUserCodeError {}\n";
        let rewritten = source(generated, PLAIN);
        assert_ne!(rewritten.readable, generated);
        assert_eq!(rewritten.readable_as_generated(), generated);
        let line = 1 + rewritten
            .readable
            .lines()
            .position(|line| line == "struct S;")
            .expect("there");
        let message = format!("{{\"spans\":[{{\"line_start\":{line}}}]}}\n");
        assert_eq!(
            rewritten.messages_as_generated(message.as_bytes()),
            b"{\"spans\":[{\"line_start\":2}]}\n"
        );
    }
}
