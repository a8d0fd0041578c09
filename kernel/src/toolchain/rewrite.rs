//! Small changes to the text that the engine generates around a cell, each inside its own line so
//! that no diagnostic moves.
//!
//! The engine reports how a cell ended by printing marker lines to the cell's standard output. A
//! cell that prints text without a newline, or the marker itself, would confuse it. The prelude
//! sends the same words on a private pipe, together with what an error message needs.

use std::path::Path;

/// Lines of the engine, each with what takes its place. A cell's own text may hold the same lines, so
/// each list is looked for only below the line that opens the engine's own block.
struct Block {
    opens: fn(&str) -> bool,
    lines: usize,
    replacements: &'static [(&'static str, &'static str)],
}

const BLOCKS: &[Block] = &[
    // How an `Err` leaves a cell through `?`.
    Block {
        opens: |line| {
            line.starts_with("impl<T: ") && line.ends_with("> From<T> for EvcxrUserCodeError {")
        },
        lines: 6,
        replacements: &[
            (
                "fn from(error: T) -> Self {",
                "#[track_caller] fn from(error: T) -> Self {",
            ),
            (
                r#"eprintln!("{}", error);"#,
                "::ferrolens::emit::cell_failed(&error);",
            ),
            (
                r#"eprintln!("{:?}", error);"#,
                "::ferrolens::emit::cell_failed_debug(&error);",
            ),
            (
                r#"eprintln!("{:#?}", error);"#,
                "::ferrolens::emit::cell_failed_debug(&error);",
            ),
            (
                r#"println!("{}", evcxr_internal_runtime::USER_ERROR_OCCURRED);"#,
                "",
            ),
        ],
    },
    // How a variable whose type was defined again is found.
    Block {
        opens: |line| line == "mod evcxr_internal_runtime {",
        lines: 60,
        replacements: &[(
            r#"println!("{VARIABLE_CHANGED_TYPE}{name}");"#,
            r#"::ferrolens::emit::control(&format!("{VARIABLE_CHANGED_TYPE}{name}"));"#,
        )],
    },
];

/// How a panic of the cell is reported; the last such line is the engine's.
const PANIC: (&str, &str) = (
    r#"println!("EVCXR_PANIC_NOTIFICATION");"#,
    "::ferrolens::emit::cell_panicked();",
);

/// `(EXPR).evcxr_display();` becomes `(EXPR).ferrolens_last().evcxr_display();`, whose method is
/// found on the prelude's rich types first, then on the value's own type, then on anything with
/// `Debug`. The last such line is the engine's; a cell's own text may hold others.
const DISPLAY: (&str, &str) = (").evcxr_display();", ").ferrolens_last().evcxr_display();");

/// What the engine generates when the line above did not compile: `Debug` text between markers. A
/// variable that the last expression moves leads there too, so the prelude's way is tried again.
const FALLBACK: (&str, &str) = (r#"evcxr_send_text_plain(&format!("{:?}",&("#, ")));");

const PRELUDE: &str = "use ferrolens::prelude::*;";

/// How to show a last expression that the engine wants to show as `Debug` text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fallback {
    Rich,
    /// As the engine says, whose compile error is the better one.
    Plain,
}

/// Whether the engine shows the last expression as `Debug` text.
pub(super) fn has_fallback(text: &str) -> bool {
    text.lines().any(|line| line.trim() == FALLBACK.0)
}

/// Rewrites the file in place.
pub(super) fn file(path: &Path) -> Result<(), String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    std::fs::write(path, source(&text, Fallback::Plain)).map_err(|error| error.to_string())
}

/// The generated source with the engine's reports replaced by the prelude's.
pub(super) fn source(text: &str, fallback: Fallback) -> String {
    let mut lines: Vec<String> = text.split('\n').map(str::to_owned).collect();
    for block in BLOCKS {
        let Some(opening) = lines.iter().position(|line| (block.opens)(line.trim())) else {
            continue;
        };
        for line in lines.iter_mut().skip(opening).take(block.lines) {
            if let Some((_, to)) = block
                .replacements
                .iter()
                .find(|(from, _)| line.trim() == *from)
            {
                *line = (*to).to_owned();
            }
        }
    }
    if let Some(line) = lines.iter_mut().rfind(|line| line.trim() == PANIC.0) {
        *line = PANIC.1.to_owned();
    }
    if let Some(line) = lines.iter_mut().rfind(|line| line.trim() == DISPLAY.0) {
        *line = DISPLAY.1.to_owned();
    }
    if fallback == Fallback::Rich
        && let Some(open) = lines.iter().rposition(|line| line.trim() == FALLBACK.0)
        && let Some(close) = lines.iter().rposition(|line| line.trim() == FALLBACK.1)
    {
        lines[open] = "(".to_owned();
        lines[close] = DISPLAY.1.to_owned();
    }
    let mut text = lines.join("\n");
    // The engine tries itself with an expression before the session's imports are in force.
    if !text.contains(PRELUDE) {
        text.push_str(PRELUDE);
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Fallback, has_fallback, source};

    #[test]
    fn reports_go_through_the_prelude_and_no_line_moves() {
        let generated = "use ferrolens::prelude::*;\nfn f() {\n(\n1 + 1\n).evcxr_display();\n    \
                         println!(\"EVCXR_PANIC_NOTIFICATION\");\n}\n";
        assert_eq!(
            source(generated, Fallback::Rich),
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
            source(generated, Fallback::Plain),
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
            source("fn f() {}\n", Fallback::Rich),
            "fn f() {}\nuse ferrolens::prelude::*;\n"
        );
    }

    #[test]
    fn the_fallback_shows_rich_values_too_unless_its_own_error_is_wanted() {
        let generated =
            "use ferrolens::prelude::*;\nevcxr_send_text_plain(&format!(\"{:?}\",&(\nx\n)));\n";
        assert!(has_fallback(generated));
        assert_eq!(source(generated, Fallback::Plain), generated);
        assert_eq!(
            source(generated, Fallback::Rich),
            "use ferrolens::prelude::*;\n(\nx\n).ferrolens_last().evcxr_display();\n"
        );
    }
}
