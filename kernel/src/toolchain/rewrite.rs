//! Changes to the text that the engine generates around a cell, each inside its own line so that no
//! diagnostic moves to another.
//!
//! [`reports`] says how a cell failed, [`variables`] what it takes and keeps, [`display`] what it
//! shows, [`checks`] where it looks whether it should stop.

mod checks;
mod display;
mod reports;
mod variables;

pub(crate) use checks::CHECK;
pub(super) use display::Fallback;
use std::path::Path;

const PRELUDE: &str = "use ferrolens::prelude::*;";

/// How to rewrite a cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct How {
    pub(super) fallback: Fallback,
    /// Whether its loops look at the interrupt.
    pub(super) checks: bool,
}

/// Whether the engine shows the last expression as `Debug` text.
pub(super) fn has_fallback(text: &str) -> bool {
    display::has_fallback(text)
}

/// The number of the function around a cell, which counts the libraries that a child has loaded.
pub(crate) fn number(text: &str) -> Option<u32> {
    const FUNCTION: &str = "pub extern \"C\" fn run_user_code_";
    let line = text.lines().rfind(|line| line.starts_with(FUNCTION))?;
    line[FUNCTION.len()..].strip_suffix('(')?.parse().ok()
}

/// Whether a message of the compiler shows what was put into the user's own lines.
pub(super) fn is_seen_in(messages: &[u8]) -> bool {
    let check = checks::CHECK.trim().as_bytes();
    messages.windows(check.len()).any(|window| window == check)
}

/// Rewrites the file in place.
pub(super) fn file(path: &Path, how: How) -> Result<(), String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    std::fs::write(path, source(&text, how)).map_err(|error| error.to_string())
}

/// The generated source with the prelude's words in the place of the engine's.
pub(super) fn source(text: &str, how: How) -> String {
    let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
    reports::replace(&mut lines);
    display::replace(&mut lines, how.fallback);
    variables::replace(&mut lines);
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
