//! Changes to the text that the engine generates around a cell, each inside its own line so that no
//! diagnostic moves to another.
//!
//! [`reports`] says how a cell failed, [`variables`] what it takes and keeps, [`display`] what it
//! shows, [`checks`] where it looks whether it should stop.

mod checks;
mod definitions;
mod display;
mod reports;
mod types;
mod variables;

pub(crate) use checks::CHECK;
pub(super) use display::Fallback;
use std::path::Path;
pub(crate) use types::TYPED;
pub(crate) use variables::RESTORES;

const PRELUDE: &str = "use ferrolens::prelude::*;";

/// How to rewrite a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct How {
    pub(super) fallback: Fallback,
    /// Whether its loops look at the interrupt.
    pub(super) checks: bool,
    /// Whether it gives back what it defines again, where it fails.
    pub(super) gives_back: bool,
}

/// Whether the engine shows the last expression as `Debug` text.
pub(super) fn has_fallback(text: &str) -> bool {
    display::has_fallback(text)
}

impl How {
    /// Without what the compiler's messages show of what was put in; `None` where they show nothing.
    pub(super) fn without_what_is_seen_in(self, messages: &[u8]) -> Option<Self> {
        let shows = |text: &str| {
            messages
                .windows(text.len())
                .any(|window| window == text.as_bytes())
        };
        let next = Self {
            checks: self.checks && !shows(checks::CHECK.trim()),
            gives_back: self.gives_back && !shows(variables::GIVE_BACK),
            ..self
        };
        (next != self).then_some(next)
    }
}

/// The number of the function around a cell, which counts the libraries that a child has loaded.
pub(crate) fn number(text: &str) -> Option<u32> {
    const FUNCTION: &str = "pub extern \"C\" fn run_user_code_";
    let line = text.lines().rfind(|line| line.starts_with(FUNCTION))?;
    line[FUNCTION.len()..].strip_suffix('(')?.parse().ok()
}

/// Rewrites the file in place.
pub(super) fn file(path: &Path, how: How) -> Result<(), String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    std::fs::write(path, source(&text, how)).map_err(|error| error.to_string())
}

/// The generated source with the prelude's words in the place of the engine's.
pub(super) fn source(text: &str, how: How) -> String {
    let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
    types::remove(&mut lines);
    reports::replace(&mut lines);
    display::replace(&mut lines, how.fallback);
    variables::replace(&mut lines, how.gives_back);
    let mut text = lines.join("\n");
    if how.checks {
        text = checks::insert(&text);
    }
    // The engine tries itself with an expression before the session's imports are in force.
    if !text.contains(PRELUDE) {
        text.push_str(PRELUDE);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Fallback, How, source};

    const PLAIN: How = How {
        fallback: Fallback::Plain,
        checks: false,
        gives_back: false,
    };

    #[test]
    fn reports_go_through_the_prelude_and_no_line_moves() {
        let generated = "use ferrolens::prelude::*;\nfn f() {\n(\n1 + 1\n).evcxr_display();\n    \
                         println!(\"EVCXR_PANIC_NOTIFICATION\");\n}\n";
        assert_eq!(
            source(generated, PLAIN),
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
            source(generated, PLAIN),
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
            source("fn f() {}\n", PLAIN),
            "fn f() {}\nuse ferrolens::prelude::*;\n"
        );
    }
}
