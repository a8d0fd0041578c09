//! Where in the notebook a panic or an error happened: the calls of cells' own functions that led there,
//! the most recent last, as Python shows them.

use super::CellError;
use super::compile_error::byte_at;
use super::places::{Place, Places, rust_begins};
use crate::bridge::Failure;
use crate::toolchain::workspace::STANDARD_LIBRARY;
use ferrolens_frames::SourcePlace;
use ra_ap_syntax::ast::{self, AstNode, HasName};
use ra_ap_syntax::{Edition, SourceFile, TextSize};

/// How many calls are shown from each end of a long traceback.
const MOST: usize = 12;

const RED: &str = "\u{1b}[1;31m";
const BLUE: &str = "\u{1b}[1;34m";
const PLAIN: &str = "\u{1b}[0m";

/// One call that is shown.
#[derive(Debug, PartialEq, Eq)]
struct Call {
    place: Place,
    /// Nothing for a cell's own code.
    function: Option<String>,
    /// How often it stands there again.
    again: usize,
}

pub(super) fn describe(failure: &Failure, places: &Places) -> CellError {
    let call = |at: &SourcePlace| {
        let place = places.find(at)?;
        Some(Call {
            function: function(&place, at.column as usize),
            place,
            again: 0,
        })
    };
    let mut innermost_first: Vec<Call> = Vec::new();
    for call in failure.calls.iter().filter_map(|entry| call(&entry.at)) {
        match innermost_first.last_mut() {
            Some(last)
                if last.place.name() == call.place.name() && last.function == call.function =>
            {
                last.again += 1;
            }
            _ => innermost_first.push(call),
        }
    }
    if let Some(at) = failure.at.as_ref().and_then(call) {
        correct(&mut innermost_first, at);
    }
    let mut traceback: Vec<String> = Vec::new();
    let calls = innermost_first.len();
    for (back, call) in innermost_first.iter().enumerate().rev() {
        if back >= MOST && back < calls.saturating_sub(MOST) {
            if back == MOST {
                traceback.push(format!("  … {} more calls", calls - 2 * MOST));
            }
            continue;
        }
        traceback.push(call.draw());
    }
    traceback.push(sentence(failure, places));
    CellError {
        name: failure.name.clone(),
        value: failure.value.lines().next().unwrap_or_default().to_owned(),
        traceback,
    }
}

/// The failure knows its own place better than the stack does, which may say the line on which a long
/// expression begins.
fn correct(innermost_first: &mut Vec<Call>, at: Call) {
    if innermost_first
        .iter()
        .any(|call| call.place.name() == at.place.name())
    {
        return;
    }
    match innermost_first.first_mut() {
        Some(call) if call.place.source == at.place.source && call.function == at.function => {
            call.place = at.place;
        }
        _ => innermost_first.insert(0, at),
    }
}

/// What happened, and in which library where it was not in a cell.
fn sentence(failure: &Failure, places: &Places) -> String {
    let mut text = format!("{RED}{}{PLAIN}: {}", failure.name, failure.value);
    if let Some(thread) = &failure.thread {
        text.push_str(&match thread.as_str() {
            "<unnamed>" => "\nIt happened on another thread.".to_owned(),
            thread => format!("\nIt happened on the thread '{thread}'."),
        });
    }
    let is_library = failure.name == "panic"
        && failure
            .at
            .as_ref()
            .is_some_and(|at| places.find(at).is_none());
    if let (true, Some(at)) = (is_library, &failure.at) {
        let place = format!("{}:{}", library_file(&at.file), at.line);
        text.push_str(&match &failure.inside {
            _ if place.starts_with("library/") => {
                format!("\nIt happened in the standard library ({place}).")
            }
            Some(function) => format!("\nIt happened in `{function}` ({place})."),
            None => format!("\nIt happened in a library ({place})."),
        });
    }
    text
}

impl Call {
    fn draw(&self) -> String {
        let name = self.place.name();
        let function = self
            .function
            .as_ref()
            .map_or_else(String::new, |function| format!(", in {function}"));
        let again = match self.again {
            0 => String::new(),
            again => format!("\n  … called again {again} more times"),
        };
        let (line, text) = (self.place.line, self.place.text());
        format!("  {BLUE}-->{PLAIN} {name}{function}\n  {BLUE}{line} |{PLAIN} {text}{again}")
    }
}

/// The function around a place, as the cell names it: line tables know a closure by a number only.
fn function(place: &Place, column: usize) -> Option<String> {
    const OPENING: &str = "fn f(){";
    let code = &place.source.code;
    let begins = rust_begins(code);
    let at = byte_at(code, place.line, column + place.column_offset).checked_sub(begins)?;
    let text = format!("{OPENING}{}\n}}", &code[begins..]);
    let file = SourceFile::parse(&text, Edition::Edition2024).syntax_node();
    let at = TextSize::try_from(OPENING.len() + at).ok()?;
    let token = file.token_at_offset(at).right_biased()?;
    let mut is_closure = false;
    for node in token.parent_ancestors() {
        is_closure |= ast::ClosureExpr::can_cast(node.kind());
        let Some(function) = ast::Fn::cast(node) else {
            continue;
        };
        // The one that was put around the cell here.
        if function.syntax().text_range().start() == TextSize::from(0) {
            break;
        }
        let name = function.name()?.text().to_string();
        let owner = function.syntax().ancestors().skip(1).find_map(|node| {
            let owner = ast::Impl::cast(node.clone())
                .and_then(|owner| Some(owner.self_ty()?.syntax().text().to_string()));
            owner.or_else(|| Some(ast::Trait::cast(node)?.name()?.text().to_string()))
        });
        let name = owner.map_or(name.clone(), |owner| format!("{owner}::{name}"));
        return Some(if is_closure {
            format!("a closure of {name}")
        } else {
            name
        });
    }
    is_closure.then(|| "a closure".to_owned())
}

/// A library's file without the folders of the machine that it was built on.
fn library_file(file: &str) -> &str {
    if let Some((_, rest)) = file.split_once("/registry/src/") {
        return rest.split_once('/').map_or(rest, |(_, rest)| rest);
    }
    if let Some(rest) = file.strip_prefix(STANDARD_LIBRARY) {
        return rest.split_once('/').map_or(rest, |(_, rest)| rest);
    }
    file
}

#[cfg(test)]
mod tests {
    use super::super::places::Source;
    use super::*;
    use std::sync::Arc;

    #[test]
    fn functions_have_the_names_that_the_notebook_gave_them() {
        let code = ":opt 1\nfn pick() {\n  v[9]\n}\nimpl Table {\n  fn get(&self) {\n    v.map(|x| x)\n  }\n}\n\
                    trait Shape {\n  fn area() { f() }\n}\nlet é = g(); v.map(|x| h(x));";
        for (line, column, expected) in [
            (3, 3, Some("pick")),
            (7, 5, Some("Table::get")),
            (7, 15, Some("a closure of Table::get")),
            (11, 15, Some("Shape::area")),
            (13, 9, None),
            (13, 25, Some("a closure")),
            (13, 900, None),
        ] {
            let place = Place {
                source: Arc::new(Source {
                    title: String::new(),
                    code: code.to_owned(),
                }),
                line,
                column_offset: 0,
            };
            assert_eq!(
                function(&place, column).as_deref(),
                expected,
                "{line}:{column}"
            );
        }
    }

    #[test]
    fn a_librarys_file_says_nothing_of_the_machine() {
        for (file, expected) in [
            (
                "/x/registry/src/index-1/candle-core-0.11.1/src/tensor.rs",
                "candle-core-0.11.1/src/tensor.rs",
            ),
            (
                "/rustc/59807616/library/core/src/option.rs",
                "library/core/src/option.rs",
            ),
            ("prelude/src/model/run.rs", "prelude/src/model/run.rs"),
        ] {
            assert_eq!(library_file(file), expected);
        }
    }
}
