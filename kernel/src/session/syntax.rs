//! Errors of syntax, in the compiler's words about the cell as it was written.

use super::compile_error::{Mark, Note, Shown, byte_at};
use super::diagnostic::{Diagnostic, Span};
use super::places::{Source, rust_begins};
use crate::toolchain::syntax::{OPENING, errors};
use serde_json::Value;
use std::ops::Range;
use std::sync::Arc;

/// Whether an error may be one of syntax: those have no code.
pub(super) fn may_be(diagnostic: &Diagnostic) -> bool {
    diagnostic.code.is_none() && !is_about_a_name(diagnostic)
}

/// Macros and attributes of the notebook, which the parser alone does not know.
fn is_about_a_name(diagnostic: &Diagnostic) -> bool {
    diagnostic.message.starts_with("cannot find ")
}

/// What is wrong with the syntax of a cell; nothing where the parser finds nothing.
pub(super) fn check(source: &Arc<Source>) -> Vec<Shown> {
    let begins = rust_begins(&source.code);
    let rust = source.code[begins..].trim_end();
    // Attributes of a whole crate have no place in the function that the parser is given.
    if rust.contains("#![") {
        return Vec::new();
    }
    let cell = Written {
        source,
        begins,
        rust,
    };
    errors(rust)
        .iter()
        .filter_map(|error| cell.shown(error))
        .collect()
}

struct Written<'a> {
    source: &'a Arc<Source>,
    /// The byte at which its Rust begins, behind commands and comments.
    begins: usize,
    rust: &'a str,
}

impl Written<'_> {
    fn shown(&self, error: &Value) -> Option<Shown> {
        let diagnostic = Diagnostic::read(error)?;
        if is_about_a_name(&diagnostic) || diagnostic.spans.is_empty() {
            return None;
        }
        let is_at_the_end = diagnostic
            .spans
            .iter()
            .any(|span| span.is_primary && self.range(span).start >= self.begins + self.rust.len());
        let plain = |text: &str| match is_at_the_end {
            true => text.replace("found `}`", "found the end of the cell"),
            false => text.to_owned(),
        };
        let mut shown = Shown::new(plain(&diagnostic.message));
        shown.marks = self.marks(&diagnostic.spans);
        shown.notes = diagnostic
            .children
            .iter()
            .map(|child| {
                let replacements = child.spans.iter();
                let replacements: Option<Vec<String>> = replacements
                    .map(|span| span.suggested_replacement.clone())
                    .collect();
                Note::new(
                    child.level == "help",
                    plain(&child.message),
                    self.marks(&child.spans),
                    replacements.filter(|replacements| !replacements.is_empty()),
                )
            })
            .collect();
        shown.advice.extend(self.habit(&shown));
        Some(shown)
    }

    fn marks(&self, spans: &[Span]) -> Vec<Mark> {
        let mark = |span: &Span| Mark {
            source: self.source.clone(),
            range: self.range(span),
            label: span.label.clone().unwrap_or_default(),
            is_primary: span.is_primary,
        };
        let mut marks: Vec<Mark> = spans.iter().map(mark).collect();
        marks.sort_by_key(|mark| !mark.is_primary);
        marks
    }

    fn range(&self, span: &Span) -> Range<usize> {
        let before = OPENING.matches('\n').count();
        let byte = |line: usize, column| {
            self.begins + byte_at(self.rust, line.saturating_sub(before), column)
        };
        let start = byte(span.line_start, span.column_start);
        start..byte(span.line_end, span.column_end).max(start)
    }

    /// What is right in Python and no Rust.
    fn habit(&self, shown: &Shown) -> Option<String> {
        let at = shown.marks.first()?.range.start;
        let code = &self.source.code;
        let (before, from) = (code.get(..at)?, code.get(at..)?);
        let is_index = shown.message.contains("`]`") && from.starts_with(',')
            || before.trim_end().ends_with('[') && from.starts_with(':');
        let habit = if is_index {
            "a part of a tensor is `t.at((.., -1))?`, and an index of several parts a tuple: \
             `cache[(\"resid_post\", 0)]`"
        } else if from.starts_with("f\"") || before.ends_with('f') && from.starts_with('"') {
            "a text with values in it is `format!(\"{value}\")`"
        } else if from.starts_with('@') {
            "the product of matrices is `a.matmul(&b)?`"
        } else {
            return self.python(at);
        };
        Some(habit.to_owned())
    }

    /// A line that begins as Python does.
    fn python(&self, at: usize) -> Option<String> {
        let code = &self.source.code;
        let line = code.get(..at)?.rfind('\n').map_or(0, |end| end + 1);
        let line = code.get(line..)?.lines().next()?;
        let mut words = line.split(|c: char| !c.is_alphanumeric() && c != '_');
        let first = words.find(|word| !word.is_empty())?;
        let rust = match first {
            "import" | "from" => "what others wrote is named with `use`, or a crate with `:dep`",
            "def" => "a function is `fn half(x: f64) -> f64 { x / 2. }`",
            "elif" | "except" | "try" | "with" | "assert" | "del" | "pass" | "class" => {
                "`:help` lists what a cell can be"
            }
            _ if words.any(|word| word == "lambda") => "a `lambda` is a closure: `|x| x / 2.`",
            _ => return None,
        };
        Some(format!("this looks like Python; in Rust {rust}"))
    }
}
