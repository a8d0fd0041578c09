//! The compiler's messages under the user's own lines, drawn as rustc draws them.

use super::advice;
use super::diagnostic::{Diagnostic, Span};
use super::fates::Fates;
use super::keeping;
use super::places::{Compiled, Place, Places, Source};
use super::{CellError, syntax, wording};
use annotate_snippets::{AnnotationKind, Group, Level, Patch, Renderer, Snippet};
use evcxr::CompilationError;
use ra_ap_syntax::ast::{self, AstNode};
use ra_ap_syntax::{Edition, SourceFile, SyntaxKind};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// What an error of a cell is told with.
pub(super) struct Notebook<'a> {
    pub(super) source: &'a Arc<Source>,
    pub(super) places: &'a Places,
    /// The variables before the cell.
    pub(super) types: &'a BTreeMap<String, String>,
    pub(super) fates: &'a Fates,
}

/// An error as it is drawn.
#[derive(Debug, Clone, Default)]
pub(super) struct Shown {
    pub(super) message: String,
    pub(super) code: Option<String>,
    pub(super) marks: Vec<Mark>,
    pub(super) notes: Vec<Note>,
    /// What a reader of a notebook should hear beside the compiler's words.
    pub(super) advice: Vec<String>,
    /// Whether it is that the value of the cell cannot be displayed.
    pub(super) is_of_display: bool,
}

/// A part of a cell that an error is about.
#[derive(Debug, Clone)]
pub(super) struct Mark {
    pub(super) source: Arc<Source>,
    /// In bytes of the cell.
    pub(super) range: Range<usize>,
    pub(super) label: String,
    pub(super) is_primary: bool,
}

/// What the compiler adds.
#[derive(Debug, Clone)]
pub(super) struct Note {
    is_help: bool,
    message: String,
    marks: Vec<Mark>,
    /// What to write in the place of each mark, where the note says that.
    replacements: Option<Vec<String>>,
}

impl Note {
    pub(super) fn new(
        is_help: bool,
        message: String,
        marks: Vec<Mark>,
        replacements: Option<Vec<String>>,
    ) -> Self {
        Self {
            is_help,
            message,
            marks,
            replacements,
        }
    }

    /// Whether it says the same about the same part of a cell.
    fn repeats(&self, other: &Self) -> bool {
        let first = |note: &Self| note.marks.first().map(|mark| mark.range.clone());
        self.message == other.message && first(self) == first(other)
    }

    /// Whether it says these words.
    pub(super) fn is_about(&self, words: &str) -> bool {
        self.message.contains(words)
    }
}

impl Shown {
    pub(super) fn new(message: String) -> Self {
        Self {
            message,
            ..Self::default()
        }
    }

    /// Whether the compiler suggests something with these words.
    pub(super) fn suggests(&self, words: &str) -> bool {
        self.notes.iter().any(|note| note.is_about(words))
    }

    /// Whether it suggests this already.
    fn says(&self, note: &Note) -> bool {
        note.replacements.is_some() && self.notes.iter().any(|own| own.repeats(note))
    }
}

/// What the engine compiled, and what is known of the notebook.
pub(super) struct View<'a> {
    pub(super) notebook: &'a Notebook<'a>,
    pub(super) text: String,
    compiled: Compiled,
}

/// One traceback entry per error; warnings are left out.
pub(super) fn describe(notebook: &Notebook<'_>, errors: &[CompilationError]) -> CellError {
    let (compiled, text) = notebook.places.compiled();
    let view = View {
        notebook,
        text,
        compiled,
    };
    let mut found: Vec<Found> = errors
        .iter()
        .filter(|error| error.level() != "warning")
        .map(|error| view.shown(error))
        .collect();
    if found.iter().any(|found| found.may_be_syntax) {
        found = in_the_parsers_words(notebook.source, found);
    }
    // What the wrapping makes of an error that is shown already.
    if found.iter().any(|found| found.is_users) {
        found.retain(|found| found.is_users);
    }
    let mut shown: Vec<Shown> = Vec::new();
    for Found { shown: error, .. } in found {
        let is_new = shown.iter().all(|other| {
            other.message != error.message
                || other.marks.first().map(|mark| &mark.range)
                    != error.marks.first().map(|mark| &mark.range)
        });
        if is_new {
            shown.push(error);
        }
    }
    cell_error(&without_repetition(shown))
}

/// An error, and how far its words are about what the user wrote.
struct Found {
    shown: Shown,
    /// Whether it is about something that the user wrote.
    is_users: bool,
    may_be_syntax: bool,
}

/// Errors of syntax as the parser alone says them, and of the others those on other lines.
fn in_the_parsers_words(source: &Arc<Source>, mut found: Vec<Found>) -> Vec<Found> {
    let syntax = syntax::check(source);
    if syntax.is_empty() {
        return found;
    }
    let line = |shown: &Shown| {
        let mark = shown.marks.first()?;
        let before = mark.source.code.get(..mark.range.start)?;
        Arc::ptr_eq(&mark.source, source).then(|| before.matches('\n').count())
    };
    let lines: Vec<Option<usize>> = syntax.iter().map(line).collect();
    found.retain(|found| !found.may_be_syntax && !lines.contains(&line(&found.shown)));
    let syntax = syntax.into_iter().map(|shown| Found {
        shown,
        is_users: true,
        may_be_syntax: true,
    });
    syntax.chain(found).collect()
}

/// Leaves out that the last expression cannot be displayed where something else is wrong with it, and
/// suggestions that an error before has made.
fn without_repetition(shown: Vec<Shown>) -> Vec<Shown> {
    let range = |shown: &Shown| shown.marks.first().map(|mark| mark.range.clone());
    let others: Vec<Range<usize>> = shown
        .iter()
        .filter(|error| !error.is_of_display)
        .filter_map(range)
        .collect();
    let mut kept: Vec<Shown> = Vec::new();
    for mut error in shown {
        let displayed = range(&error).unwrap_or_default();
        let is_wrong_itself = others
            .iter()
            .any(|other| displayed.start <= other.start && other.end <= displayed.end);
        if error.is_of_display && is_wrong_itself {
            continue;
        }
        error
            .notes
            .retain(|note| !kept.iter().any(|before| before.says(note)));
        kept.push(error);
    }
    kept
}

/// The error of a cell that these are wrong with.
pub(super) fn cell_error(shown: &[Shown]) -> CellError {
    let first = shown.first();
    let message = first.map_or("the cell does not compile", |error| &error.message);
    CellError {
        name: first.and_then(|error| error.code.as_ref()).map_or_else(
            || "compile error".to_owned(),
            |code| format!("error[{code}]"),
        ),
        value: message.lines().next().unwrap_or_default().to_owned(),
        traceback: if shown.is_empty() {
            vec![message.to_owned()]
        } else {
            shown.iter().map(draw).collect()
        },
    }
}

impl View<'_> {
    fn shown(&self, error: &CompilationError) -> Found {
        let of_the_user = |shown| Found {
            shown,
            is_users: true,
            may_be_syntax: false,
        };
        let Some(diagnostic) = Diagnostic::read(&error.json).filter(|it| !it.message.is_empty())
        else {
            return of_the_user(self.engines_own(error));
        };
        if let Some(shown) = keeping::cannot_keep(self, &diagnostic) {
            return of_the_user(shown);
        }
        let plain = |text: &str| wording::plain(text, self.notebook.places);
        let marks = self.marks(&diagnostic.spans);
        let mut shown = Shown {
            message: plain(&diagnostic.message)
                .unwrap_or_else(|| "the cell does not compile as it stands".to_owned()),
            code: diagnostic.code.as_ref().map(|code| code.code.clone()),
            notes: diagnostic
                .children
                .iter()
                .filter_map(|child| self.note(child))
                .collect(),
            marks,
            ..Shown::default()
        };
        advice::add(self, &diagnostic, &mut shown);
        let is_users = shown.marks.iter().any(|mark| mark.is_primary);
        // Where the compiler points at the wrapping first, the next best is what counts.
        if !is_users && let Some(mark) = shown.marks.first_mut() {
            mark.is_primary = true;
        }
        Found {
            shown,
            is_users,
            may_be_syntax: syntax::may_be(&diagnostic),
        }
    }

    /// An error that the engine says in words of its own: of a command, or of a variable.
    fn engines_own(&self, error: &CompilationError) -> Shown {
        let code = &self.notebook.source.code;
        let marks: Vec<Mark> = error
            .spanned_messages()
            .iter()
            .filter_map(|spanned| {
                let span = spanned.span.as_ref()?;
                Some(Mark {
                    source: self.notebook.source.clone(),
                    range: byte_at(code, span.start_line, span.start_column)
                        ..byte_at(code, span.end_line, span.end_column),
                    label: String::new(),
                    is_primary: spanned.is_primary,
                })
            })
            .collect();
        let message = error.message();
        if let Some(shown) = keeping::borrowed(self, &message, &marks) {
            return shown;
        }
        let message = message
            .lines()
            .map(str::trim)
            .filter(|line| !line.starts_with("Updating "))
            .collect::<Vec<_>>()
            .join("\n");
        let mut shown =
            Shown::new(wording::plain(&message, self.notebook.places).unwrap_or(message));
        shown.message = shown.message.trim_start_matches("error: ").to_owned();
        shown.marks = marks;
        shown
    }

    fn note(&self, child: &Diagnostic) -> Option<Note> {
        let mut message = wording::plain(&child.message, self.notebook.places)?;
        let replacements: Vec<&str> = child
            .spans
            .iter()
            .filter_map(|span| span.suggested_replacement.as_deref())
            .collect();
        if replacements.iter().any(|text| wording::is_internal(text)) {
            return None;
        }
        let marks = self.marks(&child.spans);
        let is_about_users = marks.len() == child.spans.len();
        let mut note = Note {
            is_help: child.level == "help",
            message: String::new(),
            replacements: None,
            marks: Vec::new(),
        };
        if child.spans.is_empty() || (is_about_users && replacements.is_empty()) {
            note.marks = marks;
        } else if is_about_users && replacements.len() == marks.len() {
            note.replacements = Some(replacements.into_iter().map(str::to_owned).collect());
            note.marks = marks;
        } else if !replacements.is_empty() {
            // An import, whose place is above the cell.
            let imports: Vec<&str> = replacements
                .into_iter()
                .map(str::trim)
                .filter(|text| text.starts_with("use "))
                .take(5)
                .collect();
            if imports.is_empty() {
                return None;
            }
            message = format!("{message}: {}", imports.join(" or "));
        } else if message.ends_with(" here") || message.ends_with("in this") {
            // The place is not the user's, and the words are about the place.
            return None;
        } else {
            if marks.is_empty() && message.starts_with("the following other types implement") {
                message.push_str(&listed(&child.spans));
            }
            note.marks = marks;
        }
        note.message = message;
        Some(note)
    }

    fn marks(&self, spans: &[Span]) -> Vec<Mark> {
        let mut marks: Vec<Mark> = Vec::new();
        for span in spans {
            let Some(range) = self.mark(span) else {
                continue;
            };
            let label = span.label.as_deref().unwrap_or_default();
            let label = wording::plain(label, self.notebook.places).unwrap_or_default();
            let is_same = |mark: &Mark| {
                mark.range == range.1
                    && (mark.label == label || mark.label.is_empty() || label.is_empty())
            };
            if let Some(mark) = marks.iter_mut().find(|mark| is_same(mark)) {
                mark.is_primary |= span.is_primary;
                if mark.label.is_empty() {
                    mark.label = label;
                }
                continue;
            }
            marks.push(Mark {
                source: range.0,
                range: range.1,
                label,
                is_primary: span.is_primary,
            });
            if let Some(expansion) = &span.expansion
                && expansion.macro_decl_name.ends_with('!')
                && let Some((source, range)) = self.mark(&expansion.span)
                && marks.iter().all(|mark| mark.range != range)
            {
                marks.push(Mark {
                    source,
                    range,
                    label: "in this macro's invocation".to_owned(),
                    is_primary: false,
                });
            }
        }
        // The cell that runs first, and in it what the error is about.
        marks.sort_by_key(|mark| {
            (
                !mark.is_primary,
                !Arc::ptr_eq(&mark.source, self.notebook.source),
            )
        });
        marks
    }

    /// The part of a cell that a span is, or that the macro was called in that made it.
    fn mark(&self, span: &Span) -> Option<(Arc<Source>, Range<usize>)> {
        let is_compiled = span.file_name == "src/lib.rs"
            || span.file_name.contains(ferrolens_frames::CELL_SOURCE);
        is_compiled
            .then(|| self.range(span).or_else(|| self.import(span)))
            .flatten()
            .or_else(|| self.mark(&span.expansion.as_ref()?.span))
    }

    fn range(&self, span: &Span) -> Option<(Arc<Source>, Range<usize>)> {
        let shift = self.shift(span)?;
        let place = |line: usize| self.compiled.place(line.checked_add_signed(shift)?);
        // A span that begins or ends in the wrapping is cut to what the user wrote.
        let first = (span.line_start..=span.line_end).find(|line| place(*line).is_some())?;
        let begin = place(first)?;
        let last = (first..=span.line_end)
            .take_while(|line| {
                place(*line).is_some_and(|place| Arc::ptr_eq(&place.source, &begin.source))
            })
            .last()?;
        let end = place(last)?;
        let code = &begin.source.code;
        let from = if first == span.line_start {
            column(&begin, span.column_start)
        } else {
            let indent = begin
                .text()
                .chars()
                .take_while(|c| c.is_whitespace())
                .count();
            byte_at(code, begin.line, (indent + 1).max(begin.column_offset + 1))
        };
        let to = if last == span.line_end {
            column(&end, span.column_end)
        } else {
            byte_at(code, end.line, usize::MAX)
        };
        Some((begin.source.clone(), from..to.max(from)))
    }

    /// How many lines further down a span's first line is in what was compiled last: the engine may
    /// show the errors of an attempt before.
    fn shift(&self, span: &Span) -> Option<isize> {
        let Some(text) = span.text.first().map(|line| line.text.trim_end()) else {
            return Some(0);
        };
        let here = span.line_start.checked_sub(1)?;
        self.text
            .lines()
            .enumerate()
            .filter(|(_, line)| line.trim_end() == text)
            .map(|(at, _)| at.cast_signed() - here.cast_signed())
            .min_by_key(|shift| shift.unsigned_abs())
    }

    /// The name in one of the cell's `use` items, which the engine takes apart.
    fn import(&self, span: &Span) -> Option<(Arc<Source>, Range<usize>)> {
        let line = span.text.first()?.text.trim_start();
        if !line.starts_with("use ") && !line.starts_with("pub use ") {
            return None;
        }
        let highlighted = span.highlighted();
        let name = highlighted
            .rsplit("::")
            .next()?
            .trim()
            .trim_end_matches(';');
        let code = &self.notebook.source.code;
        let begins = super::places::rust_begins(code);
        let found = SourceFile::parse(&code[begins..], Edition::Edition2024)
            .syntax_node()
            .descendants()
            .filter_map(ast::Use::cast)
            .flat_map(|item| item.syntax().descendants_with_tokens().collect::<Vec<_>>())
            .filter_map(|element| element.into_token())
            .filter(|token| token.kind() == SyntaxKind::IDENT || token.kind() == SyntaxKind::STAR)
            .filter(|token| token.text() == name)
            .last()?
            .text_range();
        let range = begins + usize::from(found.start())..begins + usize::from(found.end());
        Some((self.notebook.source.clone(), range))
    }
}

/// What is said at places in libraries, such as each type that implements a trait.
fn listed(spans: &[Span]) -> String {
    const MOST: usize = 8;
    let labels: Vec<&str> = spans
        .iter()
        .filter_map(|span| span.label.as_deref())
        .filter(|label| !wording::is_internal(label))
        .collect();
    if labels.is_empty() {
        return String::new();
    }
    let more = labels.len().saturating_sub(MOST);
    let mut list = format!(":\n  {}", labels[..labels.len() - more].join("\n  "));
    if more > 0 {
        list.push_str(&format!("\nand {more} others"));
    }
    list
}

fn draw(error: &Shown) -> String {
    let mut heading = Level::ERROR.primary_title(&error.message);
    if let Some(id) = &error.code {
        heading = heading.id(id);
    }
    let mut main = Group::with_title(heading).elements(snippets(&error.marks));
    let mut groups = Vec::new();
    for note in &error.notes {
        let level = if note.is_help {
            Level::HELP
        } else {
            Level::NOTE
        };
        match &note.replacements {
            _ if note.marks.is_empty() => main = main.element(level.message(&note.message)),
            Some(replacements) => {
                let Some(first) = note.marks.first() else {
                    continue;
                };
                let patches = note
                    .marks
                    .iter()
                    .zip(replacements)
                    .filter(|(mark, _)| Arc::ptr_eq(&mark.source, &first.source))
                    .map(|(mark, text)| Patch::new(mark.range.clone(), text));
                groups.push(
                    Group::with_title(level.secondary_title(&note.message))
                        .element(Snippet::source(&first.source.code).patches(patches)),
                );
            }
            None => groups.push(
                Group::with_title(level.secondary_title(&note.message))
                    .elements(snippets(&note.marks)),
            ),
        }
    }
    for advice in &error.advice {
        main = main.element(Level::HELP.message(advice));
    }
    groups.insert(0, main);
    Renderer::styled().render(&groups)
}

/// The cells that the marks are in, each with its marks.
fn snippets(marks: &[Mark]) -> Vec<Snippet<'_, annotate_snippets::Annotation<'_>>> {
    let mut sources: Vec<&Arc<Source>> = Vec::new();
    for mark in marks {
        if !sources
            .iter()
            .any(|source| Arc::ptr_eq(source, &mark.source))
        {
            sources.push(&mark.source);
        }
    }
    sources
        .into_iter()
        .map(|source| {
            let here = marks
                .iter()
                .filter(|mark| Arc::ptr_eq(&mark.source, source));
            Snippet::source(&source.code)
                .path(&source.title)
                .annotations(here.map(|mark| {
                    let kind = if mark.is_primary {
                        AnnotationKind::Primary
                    } else {
                        AnnotationKind::Context
                    };
                    kind.span(mark.range.clone()).label(&mark.label)
                }))
        })
        .collect()
}

/// The byte of a compiled column in the cell's line.
fn column(place: &Place, column: usize) -> usize {
    byte_at(&place.source.code, place.line, column + place.column_offset)
}

/// The byte at a line and a column in characters, both counted from 1; a place past the end of its
/// line is the end of the line.
pub(super) fn byte_at(code: &str, line: usize, column: usize) -> usize {
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
