//! Which line of which cell a line of the compiled source is.
//!
//! The engine copies a cell's statements as they are, each on lines of its own: items before a function
//! that it generates, the others inside. Items of earlier cells are compiled again with every cell. So a
//! library's lines are found again by the statements' text.

use crate::toolchain::rewrite::identity;
use ferrolens_frames::{CELL_SOURCE, SourcePlace};
use ra_ap_syntax::ast::{self, AstNode};
use ra_ap_syntax::{Edition, SourceFile};
use std::collections::HashMap;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

/// The lines with which the engine opens the function around a cell, for running and for analysis.
const WRAPPERS: &[&str] = &[
    "pub extern \"C\" fn run_user_code_",
    "async fn evcxr_analysis_wrapper(",
];

/// A cell as its user wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) title: String,
    pub(super) code: String,
}

/// A place in a cell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) source: Arc<Source>,
    /// Counted from 1.
    pub(super) line: usize,
    /// How many characters of the cell's line are not on the compiled one.
    pub(super) column_offset: usize,
}

/// A clonable handle to what is known of the cells.
#[derive(Clone)]
pub(super) struct Places {
    known: Arc<Mutex<Known>>,
}

struct Known {
    /// Where the source of the cell lies that was compiled last.
    file: PathBuf,
    cells: Vec<Cell>,
    /// By the number that the cell's text has.
    libraries: HashMap<u64, Arc<Compiled>>,
    latest: Arc<Compiled>,
    /// Whether the newest cell is known to run: until then its library may be one of an equal cell.
    is_kept: bool,
}

struct Cell {
    source: Arc<Source>,
    statements: Vec<Statement>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Statement {
    is_item: bool,
    pub(super) is_let: bool,
    pub(super) range: Range<usize>,
    /// Behind its last sign: space and comments follow.
    pub(super) ends: usize,
    line: usize,
    column: usize,
}

/// The lines of one compiled source that cells wrote.
#[derive(Debug, Default)]
pub(super) struct Compiled {
    runs: Vec<Run>,
}

#[derive(Debug)]
struct Run {
    /// The first compiled line, counted from 1, and how many follow.
    start: usize,
    lines: usize,
    source: Arc<Source>,
    line: usize,
    column: usize,
    /// Whether the engine opened a bracket on the line before: the place of what is called there.
    is_wrapped: bool,
}

impl Places {
    /// `file` is where the text of a cell lies that is compiled.
    pub(super) fn new(file: PathBuf) -> Self {
        Self {
            known: Arc::new(Mutex::new(Known {
                file,
                cells: Vec::new(),
                libraries: HashMap::new(),
                latest: Arc::default(),
                is_kept: true,
            })),
        }
    }

    /// A cell is about to be compiled.
    pub(super) fn begin(&self, title: &str, code: &str) -> Arc<Source> {
        let source = Arc::new(Source {
            title: title.to_owned(),
            code: code.to_owned(),
        });
        let mut known = self.lock();
        // Only items are compiled again.
        for cell in known.cells.iter_mut().rev().take(1) {
            cell.statements.retain(|statement| statement.is_item);
        }
        known.is_kept = false;
        known.cells.push(Cell {
            statements: statements(code),
            source: source.clone(),
        });
        source
    }

    /// The cell has been compiled and runs.
    pub(super) fn keep(&self) {
        let mut known = self.lock();
        known.read();
        known.is_kept = true;
    }

    /// The cell could not be compiled: the engine knows nothing of it.
    pub(super) fn forget(&self) {
        let mut known = self.lock();
        known.cells.pop();
        known.is_kept = true;
    }

    /// What the engine compiled last, with its text.
    pub(super) fn compiled(&self) -> (Compiled, String) {
        let known = self.lock();
        let text = std::fs::read_to_string(&known.file).unwrap_or_default();
        (Compiled::read(&text, &known.cells), text)
    }

    /// The place in a cell of one in what the engine compiled last, which need not run.
    pub(super) fn find_compiled(&self, at: &SourcePlace) -> Option<Place> {
        self.compiled().0.place_of_call(at.line as usize)
    }

    /// The place in a cell of one in a library.
    pub(super) fn find(&self, at: &SourcePlace) -> Option<Place> {
        let mut known = self.lock();
        let compiled = match library(&at.file) {
            Some(library) => {
                // The cell may run before it is known to run.
                if !known.is_kept || !known.libraries.contains_key(&library) {
                    known.read();
                }
                known.libraries.get(&library)?.clone()
            }
            // With dependencies of its own, a cell is compiled by other means, and has no number.
            None if at.file == "src/lib.rs" => known.latest.clone(),
            None => return None,
        };
        compiled.place_of_call(at.line as usize)
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(|bad| bad.into_inner())
    }
}

impl Known {
    fn read(&mut self) {
        let Ok(text) = std::fs::read_to_string(&self.file) else {
            return;
        };
        self.latest = Arc::new(Compiled::read(&text, &self.cells));
        self.libraries.insert(identity(&text), self.latest.clone());
    }
}

impl Compiled {
    fn read(text: &str, cells: &[Cell]) -> Self {
        let lines: Vec<String> = text
            .split('\n')
            .map(|line| line.trim_end().to_owned())
            .collect();
        let mut by_text: HashMap<&str, Vec<usize>> = HashMap::new();
        for (at, line) in lines.iter().enumerate() {
            by_text.entry(line).or_default().push(at);
        }
        let mut taken = vec![false; lines.len()];
        let mut runs = Vec::new();
        let wrapper = lines
            .iter()
            .rposition(|line| WRAPPERS.iter().any(|start| line.starts_with(start)))
            .unwrap_or(lines.len());
        let mut place = |cell: &Cell, statement: &Statement, from: usize| -> usize {
            let Some(code) = cell.source.code.get(statement.range.clone()) else {
                return from;
            };
            let own: Vec<&str> = code.split('\n').map(str::trim_end).collect();
            // What stands behind the last line break was put on a line of its own where it is not empty.
            let own = match own.as_slice() {
                [own @ .., ""] if !own.is_empty() => own,
                own => own,
            };
            let start = by_text
                .get(own.first().copied().unwrap_or_default())
                .into_iter()
                .flatten()
                .copied()
                .find(|start| {
                    *start >= from
                        && own.iter().enumerate().all(|(at, line)| {
                            let at = start + at;
                            lines.get(at).map(String::as_str) == Some(*line) && !taken[at]
                        })
                });
            let Some(start) = start else {
                return from;
            };
            taken[start..start + own.len()].fill(true);
            runs.push(Run {
                start: start + 1,
                lines: own.len(),
                source: cell.source.clone(),
                line: statement.line,
                column: statement.column,
                is_wrapped: start
                    .checked_sub(1)
                    .and_then(|before| lines.get(before))
                    .is_some_and(|line| line == "(" || line.ends_with("&(")),
            });
            start + own.len()
        };
        for cell in cells.iter().rev() {
            for statement in cell.statements.iter().filter(|statement| statement.is_item) {
                place(cell, statement, 0);
            }
        }
        if let Some(cell) = cells.last() {
            let mut from = wrapper;
            for statement in cell
                .statements
                .iter()
                .filter(|statement| !statement.is_item)
            {
                from = place(cell, statement, from);
            }
        }
        runs.sort_unstable_by_key(|run| run.start);
        Self { runs }
    }

    /// The place of a line from which something was called: the brackets that the engine puts around a
    /// cell's last expression begin a line before it.
    fn place_of_call(&self, line: usize) -> Option<Place> {
        let is_bracket = self
            .runs
            .binary_search_by_key(&(line + 1), |run| run.start)
            .is_ok_and(|next| self.runs.get(next).is_some_and(|run| run.is_wrapped));
        self.place(if is_bracket { line + 1 } else { line })
    }

    /// The place of a compiled line, counted from 1.
    pub(super) fn place(&self, line: usize) -> Option<Place> {
        let after = self.runs.partition_point(|run| run.start <= line);
        let run = self.runs.get(after.checked_sub(1)?)?;
        let behind = line - run.start;
        (behind < run.lines).then(|| Place {
            source: run.source.clone(),
            line: run.line + behind,
            column_offset: if behind == 0 { run.column } else { 0 },
        })
    }
}

impl Place {
    /// The text of its line.
    pub(super) fn text(&self) -> &str {
        self.source
            .code
            .lines()
            .nth(self.line - 1)
            .unwrap_or_default()
    }

    /// E.g. `cell [3], line 2`.
    pub(super) fn name(&self) -> String {
        format!("{}, line {}", self.source.title, self.line)
    }
}

/// The number in the name of a library's source.
fn library(file: &str) -> Option<u64> {
    let (_, rest) = file.rsplit_once(CELL_SOURCE)?;
    rest.split_once('/')?.0.parse().ok()
}

/// Where Rust begins in a cell: commands, comments and blank lines may stand before it.
pub(super) fn rust_begins(code: &str) -> usize {
    let mut at = 0;
    for line in code.split_inclusive('\n') {
        let text = line.trim();
        let is_before = text.is_empty()
            || line.starts_with("//")
            || line.starts_with('!')
            || line.trim_start_matches(' ').starts_with(':') && !text.starts_with("::");
        if !is_before {
            return at;
        }
        at += line.len();
    }
    code.len()
}

/// The statements of a cell as the engine cuts them: each to the beginning of the next.
pub(super) fn statements(code: &str) -> Vec<Statement> {
    const OPENING: &str = "fn f(){";
    let begins = rust_begins(code);
    let rust = &code[begins..];
    let file =
        SourceFile::parse(&format!("{OPENING}{rust}\n}}"), Edition::Edition2024).syntax_node();
    let body = file
        .children()
        .next()
        .and_then(ast::Fn::cast)
        .and_then(|function| ast::Fn::body(&function)?.stmt_list());
    let nodes: Vec<_> = body
        .into_iter()
        .flat_map(|body| body.syntax().children().collect::<Vec<_>>())
        .collect();
    let mut found = Vec::new();
    let mut start = 0;
    for (at, node) in nodes.iter().enumerate() {
        let end = nodes
            .get(at + 1)
            .map_or(rust.len(), |next| {
                usize::from(next.text_range().start()).saturating_sub(OPENING.len())
            })
            .min(rust.len());
        if start == end {
            break;
        }
        let from = begins + start;
        let before = &code[..from];
        let line_starts = before.rfind('\n').map_or(0, |at| at + 1);
        found.push(Statement {
            is_item: ast::Item::can_cast(node.kind()),
            is_let: ast::LetStmt::can_cast(node.kind()),
            range: from..begins + end,
            ends: begins + usize::from(node.text_range().end()).saturating_sub(OPENING.len()),
            line: before.matches('\n').count() + 1,
            column: code[line_starts..from].chars().count(),
        });
        start = end;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cell(title: &str, code: &str) -> Cell {
        Cell {
            source: Arc::new(Source {
                title: title.to_owned(),
                code: code.to_owned(),
            }),
            statements: statements(code),
        }
    }

    /// The compiled lines that are a cell's, as `line: title line column`.
    fn check(cells: &[(&str, &str)], compiled: &str, expected: &[&str]) {
        let cells: Vec<Cell> = cells
            .iter()
            .map(|(title, code)| cell(title, code))
            .collect();
        let map = Compiled::read(compiled, &cells);
        let found: Vec<String> = (1..=compiled.lines().count())
            .filter_map(|line| {
                let place = map.place_of_call(line)?;
                let (title, at, column) = (&place.source.title, place.line, place.column_offset);
                Some(format!("{line}: {title} {at} {column}"))
            })
            .collect();
        assert_eq!(found, expected, "{compiled}");
    }

    #[test]
    fn statements_and_items_are_found_where_the_engine_put_them() {
        check(
            &[
                ("a", "let v = 1;\n\nfn f() {\n  g();\n}"),
                ("b", ":opt 1\n// b\n\nlet w = 2; f();\nlet w = 2;\nw"),
            ],
            "#![allow()]\nfn f() {\n  g();\n}\npub extern \"C\" fn run_user_code_3(\nlet w = 2;\nf();\nlet w = 2;\n(\nw\n).show();\n}",
            &[
                "2: a 3 0",
                "3: a 4 0",
                "4: a 5 0",
                "6: b 4 0",
                "7: b 4 11",
                "8: b 5 0",
                "9: b 6 0",
                "10: b 6 0",
            ],
        );
    }

    #[test]
    fn the_newest_of_two_equal_items_is_meant() {
        check(
            &[
                ("a", "fn f() { loop {} }"),
                ("b", "fn f() { loop {} }\nfor x in v { f() }"),
            ],
            "fn f() { loop {} }\npub extern \"C\" fn run_user_code_4(\nfor x in v { f() }\n",
            &["1: b 1 0", "3: b 2 0"],
        );
    }

    #[test]
    fn a_statement_is_not_looked_for_in_items() {
        check(
            &[("a", "fn f() {\nx();\n}\nx();")],
            "fn f() {\nx();\n}\npub extern \"C\" fn run_user_code_4(\nx();\n",
            &["1: a 1 0", "2: a 2 0", "3: a 3 0", "5: a 4 0"],
        );
    }

    #[test]
    fn a_library_is_known_by_its_sources_name() {
        assert_eq!(library("/s/./ferrolens-cell-7/lib.rs"), Some(7));
        assert_eq!(library("ferrolens-cell-12/lib.rs"), Some(12));
        assert_eq!(library("src/lib.rs"), None);
    }

    #[test]
    fn rust_begins_behind_commands_and_comments() {
        for (code, at) in [
            ("x", 0),
            (":dep a\n\n// b\nx", 13),
            ("!ls\nx", 4),
            ("::std::x()", 0),
            ("", 0),
        ] {
            assert_eq!(rust_begins(code), at, "{code}");
        }
    }
}
