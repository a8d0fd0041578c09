//! The compiler's own description of an error, as far as it is shown.

use crate::toolchain::cell::ADDED;
use serde::Deserialize;
use serde_json::Value;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Diagnostic {
    pub(super) message: String,
    pub(super) code: Option<Code>,
    pub(super) level: String,
    pub(super) spans: Vec<Span>,
    pub(super) children: Vec<Diagnostic>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Code {
    pub(super) code: String,
}

/// Lines and columns are counted from 1, columns in characters.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Span {
    pub(super) file_name: String,
    pub(super) line_start: usize,
    pub(super) line_end: usize,
    pub(super) column_start: usize,
    pub(super) column_end: usize,
    pub(super) is_primary: bool,
    pub(super) text: Vec<Line>,
    pub(super) label: Option<String>,
    pub(super) suggested_replacement: Option<String>,
    pub(super) expansion: Option<Box<Expansion>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Line {
    pub(super) text: String,
    pub(super) highlight_start: usize,
    pub(super) highlight_end: usize,
}

/// The macro that made a span's code.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct Expansion {
    pub(super) span: Span,
    pub(super) macro_decl_name: String,
}

impl Diagnostic {
    pub(super) fn read(json: &Value) -> Option<Self> {
        let mut diagnostic = Self::deserialize(json).ok()?;
        if let Some(added) = json.get(ADDED) {
            diagnostic.children = Vec::deserialize(added).ok()?;
        }
        Some(diagnostic)
    }

    /// The first name between backquotes in the message.
    pub(super) fn name(&self) -> Option<&str> {
        quoted(&self.message)
    }

    /// Whether this word is what the error points at first.
    pub(super) fn points_at(&self, word: &str) -> bool {
        let primary = self.spans.iter().find(|span| span.is_primary);
        primary.is_some_and(|span| span.highlighted() == word)
    }

    /// Whether a line that the error is about holds these words.
    pub(super) fn is_about(&self, words: &str) -> bool {
        self.spans.iter().any(|span| span.is_about(words))
    }
}

impl Span {
    fn is_about(&self, words: &str) -> bool {
        self.text.iter().any(|line| line.text.contains(words))
            || self
                .expansion
                .as_ref()
                .is_some_and(|expansion| expansion.span.is_about(words))
    }

    /// What the first of its lines highlights.
    pub(super) fn highlighted(&self) -> String {
        self.text.first().map_or_else(String::new, |line| {
            let from = line.highlight_start.saturating_sub(1);
            let len = line.highlight_end.saturating_sub(line.highlight_start);
            line.text.chars().skip(from).take(len).collect()
        })
    }
}

/// What stands between the first two backquotes.
pub(super) fn quoted(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once('`')?;
    rest.split_once('`').map(|(name, _)| name)
}
