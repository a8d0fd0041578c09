//! The compiler's messages under the user's own lines, drawn as rustc draws them.

use super::CellError;
use super::panic_place::Place;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};
use evcxr::CompilationError;
use std::ops::Range;

/// One traceback entry per error; warnings are left out when there are errors.
pub(super) fn describe(title: &str, code: &str, errors: &[CompilationError]) -> CellError {
    let mut shown: Vec<&CompilationError> = errors
        .iter()
        .filter(|error| error.level() == "error")
        .collect();
    if shown.is_empty() {
        shown = errors.iter().collect();
    }
    CellError {
        name: shown.first().and_then(|error| error.code()).map_or_else(
            || "compile error".to_owned(),
            |code| format!("error[{code}]"),
        ),
        value: shown
            .first()
            .map(|error| error.message())
            .unwrap_or_default(),
        traceback: shown.iter().map(|error| draw(title, code, error)).collect(),
    }
}

fn draw(title: &str, code: &str, error: &CompilationError) -> String {
    let message = error.message();
    let mut heading = Level::ERROR.primary_title(&message);
    if let Some(id) = error.code() {
        heading = heading.id(id);
    }
    let labels: Vec<(Range<usize>, String, bool)> = error
        .spanned_messages()
        .iter()
        .filter_map(|spanned| {
            let span = spanned.span.as_ref()?;
            let range = byte_at(code, span.start_line, span.start_column)
                ..byte_at(code, span.end_line, span.end_column);
            let label = spanned
                .label
                .strip_prefix("error: ")
                .unwrap_or(&spanned.label);
            let label = if label == message { "" } else { label };
            Some((range, label.to_owned(), spanned.is_primary))
        })
        .collect();
    let mut group = Group::with_title(heading);
    if !labels.is_empty() {
        let only = labels.len() == 1;
        group = group.element(
            Snippet::source(code)
                .path(title)
                .annotations(labels.iter().map(|(range, label, primary)| {
                    let kind = if *primary || only {
                        AnnotationKind::Primary
                    } else {
                        AnnotationKind::Context
                    };
                    kind.span(range.clone()).label(label.as_str())
                })),
        );
    }
    let helps = error.help();
    for help in &helps {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    Renderer::styled().render(&[group]).to_string()
}

/// The user's line at `place`, with its number.
pub(super) fn point_at(title: &str, code: &str, place: &Place) -> String {
    let text = code.lines().nth(place.line - 1).unwrap_or_default();
    format!(
        "  \u{1b}[1;34m-->\u{1b}[0m {title}, line {}\n  \u{1b}[1;34m{} |\u{1b}[0m {text}",
        place.line, place.line
    )
}

/// The byte at a line and a column in characters, both counted from 1; a place past the end of its
/// line is the end of the line.
fn byte_at(code: &str, line: usize, column: usize) -> usize {
    let mut start = 0;
    for (number, text) in code.split_inclusive('\n').enumerate() {
        if number + 1 == line {
            let text = text.trim_end_matches(['\n', '\r']);
            return start
                + text
                    .char_indices()
                    .nth(column.saturating_sub(1))
                    .map_or(text.len(), |(at, _)| at);
        }
        start += text.len();
    }
    code.len()
}

#[cfg(test)]
mod tests {
    use super::byte_at;

    #[test]
    fn columns_are_characters_not_bytes() {
        let code = "let é = 1;\nlet x = é;";
        assert_eq!(&code[byte_at(code, 1, 5)..byte_at(code, 1, 6)], "é");
        assert_eq!(&code[byte_at(code, 2, 9)..byte_at(code, 2, 10)], "é");
        assert_eq!(byte_at(code, 9, 1), code.len());
    }
}
