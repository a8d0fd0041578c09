//! What became of variables that are there no more.

use super::places::Source;
use ra_ap_syntax::ast::{self, AstNode, HasName};
use ra_ap_syntax::{Edition, SourceFile, SyntaxKind, SyntaxNode, SyntaxToken};
use std::collections::{BTreeMap, BTreeSet};

/// Why a variable is gone, in the cell of this title.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fate {
    Moved {
        cell: String,
        line: Option<usize>,
    },
    /// The cell that would have made it failed.
    NeverKept {
        cell: String,
    },
    /// A cell took it, and failed.
    TakenAndFailed {
        cell: String,
    },
    Crashed {
        cell: String,
    },
    Redefined {
        cell: String,
    },
}

/// By the variables' names.
#[derive(Debug, Default)]
pub(super) struct Fates {
    of: BTreeMap<String, Fate>,
    /// The cell that defined a type last, by its name.
    definitions: BTreeMap<String, String>,
}

type Types = BTreeMap<String, String>;

impl Fates {
    /// A cell has been compiled, and the engine knows the variables after it.
    pub(super) fn ran(&mut self, source: &Source, before: &Types, after: &Types) {
        for name in before.keys().filter(|name| !after.contains_key(*name)) {
            let fate = Fate::Moved {
                cell: source.title.clone(),
                line: line_of_move(&source.code, name),
            };
            self.of.insert(name.clone(), fate);
        }
        self.of.retain(|name, _| !after.contains_key(name));
        let title = &source.title;
        let defined = defined(&source.code).into_iter();
        self.definitions
            .extend(defined.map(|name| (name, title.clone())));
    }

    /// The engine has forgotten a variable that is still there, since its type was defined again.
    pub(super) fn forgotten(&mut self, name: &str, kind: &str) {
        let words = kind.split(|c: char| !c.is_alphanumeric() && c != '_');
        let cell = words.filter_map(|word| self.definitions.get(word)).next();
        let cell = cell.map_or("a cell", String::as_str).to_owned();
        self.of.insert(name.to_owned(), Fate::Redefined { cell });
    }

    /// A cell has failed, before or while it ran; `after` are the variables that are there.
    pub(super) fn failed(&mut self, source: &Source, before: &Types, after: &Types) {
        let cell = &source.title;
        for name in before.keys().filter(|name| !after.contains_key(*name)) {
            let cell = cell.clone();
            self.of.insert(name.clone(), Fate::TakenAndFailed { cell });
        }
        for name in bound(&source.code) {
            if !before.contains_key(&name) && !after.contains_key(&name) {
                let cell = cell.clone();
                self.of.insert(name, Fate::NeverKept { cell });
            }
        }
    }

    pub(super) fn crashed<'a>(&mut self, cell: &str, names: impl Iterator<Item = &'a String>) {
        let cell = cell.to_owned();
        self.of
            .extend(names.map(|name| (name.clone(), Fate::Crashed { cell: cell.clone() })));
    }

    pub(super) fn redefined(&mut self, cell: &str, names: &[String]) {
        let cell = cell.to_owned();
        self.of.extend(
            names
                .iter()
                .map(|name| (name.clone(), Fate::Redefined { cell: cell.clone() })),
        );
    }

    /// What to say to who uses a variable that is gone.
    pub(super) fn sentence(&self, name: &str) -> Option<String> {
        Some(match self.of.get(name)? {
            Fate::Moved { cell, line } => {
                let line = line.map_or_else(String::new, |line| format!(", line {line}"));
                format!(
                    "`{name}` was moved in {cell}{line}; clone it there (`{name}.clone()`, cheap for \
                     models and tensors) or borrow it (`&{name}`), and run the cell that makes it again"
                )
            }
            Fate::NeverKept { cell } => {
                format!(
                    "`{name}` was not kept, because {cell} failed; run that cell again once it works"
                )
            }
            Fate::TakenAndFailed { cell } => format!(
                "`{name}` was moved in {cell}, which failed; run the cell that makes it again, and borrow \
                 it there (`&{name}`)"
            ),
            Fate::Crashed { cell } => format!(
                "`{name}` was lost when {cell} ended its process; run the cell that makes it again"
            ),
            Fate::Redefined { cell } => format!(
                "`{name}` was of a type that {cell} defined again; run the cell that makes it again"
            ),
        })
    }
}

/// The names that a cell's own `let` statements bind.
pub(super) fn bound(code: &str) -> BTreeSet<String> {
    let Some(body) = body(code) else {
        return BTreeSet::new();
    };
    body.children()
        .filter_map(ast::LetStmt::cast)
        .filter_map(|binding| binding.pat())
        .flat_map(|pattern| pattern.syntax().descendants().collect::<Vec<_>>())
        .filter_map(ast::IdentPat::cast)
        .filter_map(|pattern| Some(pattern.name()?.text().to_string()))
        .collect()
}

/// The types that a cell defines.
fn defined(code: &str) -> Vec<String> {
    let items = body(code).into_iter().flat_map(|body| body.children());
    items
        .filter_map(ast::Item::cast)
        .filter_map(|item| match item {
            ast::Item::Struct(it) => it.name(),
            ast::Item::Enum(it) => it.name(),
            ast::Item::Union(it) => it.name(),
            ast::Item::TypeAlias(it) => it.name(),
            ast::Item::Trait(it) => it.name(),
            _ => None,
        })
        .map(|name| name.text().to_string())
        .collect()
}

/// The line on which the variable's value is given away: where it stands alone, and not behind `&` or
/// before a dot; else where it is named last.
fn line_of_move(code: &str, name: &str) -> Option<usize> {
    let body = body(code)?;
    let named: Vec<SyntaxToken> = body
        .descendants_with_tokens()
        .filter_map(|element| element.into_token())
        .filter(|token| token.kind() == SyntaxKind::IDENT && token.text() == name)
        .collect();
    let stands_alone = |token: &&SyntaxToken| {
        let before = beside(token, SyntaxToken::prev_token);
        let after = beside(token, SyntaxToken::next_token);
        let is = |token: &Option<SyntaxToken>, texts: &[&str]| {
            token
                .as_ref()
                .is_some_and(|token| texts.contains(&token.text()))
        };
        !is(&before, &["&", "mut", ".", "let"]) && !is(&after, &[".", "[", ":", "=", "!"])
    };
    let token = named.iter().find(stands_alone).or(named.last())?;
    let behind = usize::from(token.text_range().start()).checked_sub(OPENING.len())?;
    Some(code.get(..behind)?.matches('\n').count() + 1)
}

fn beside(
    token: &SyntaxToken,
    step: impl Fn(&SyntaxToken) -> Option<SyntaxToken>,
) -> Option<SyntaxToken> {
    let mut next = step(token)?;
    while next.kind().is_trivia() {
        next = step(&next)?;
    }
    Some(next)
}

const OPENING: &str = "fn f(){";

/// The cell as the body of a function; commands before its Rust are no obstacle.
fn body(code: &str) -> Option<SyntaxNode> {
    let begins = super::places::rust_begins(code);
    let blank: String = code[..begins]
        .bytes()
        .map(|byte| if byte == b'\n' { '\n' } else { ' ' })
        .collect();
    let text = format!("{OPENING}{blank}{}\n}}", &code[begins..]);
    let file = SourceFile::parse(&text, Edition::Edition2024).syntax_node();
    let function = file.children().find_map(ast::Fn::cast)?;
    Some(ast::Fn::body(&function)?.stmt_list()?.syntax().clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(code: &str) -> Source {
        Source {
            title: "cell [4]".to_owned(),
            code: code.to_owned(),
        }
    }

    fn types(names: &[&str]) -> Types {
        names
            .iter()
            .map(|name| ((*name).to_owned(), "T".to_owned()))
            .collect()
    }

    #[test]
    fn a_move_is_where_the_name_stands_alone() {
        for (code, line) in [
            ("let a = 1;\ndrop(model);", 2),
            ("f(&model);\nmodel.len();\nlet m = model;\nf(&m)", 3),
            ("// model\nmodel.into_iter()", 2),
            (":opt 2\n\nlet s = S { model };", 3),
            ("let c = move || {\n model.len() };", 2),
        ] {
            assert_eq!(line_of_move(code, "model"), Some(line), "{code}");
        }
    }

    #[test]
    fn what_became_of_a_variable_is_said_until_it_is_there_again() {
        let mut fates = Fates::default();
        fates.ran(
            &source("drop(model)"),
            &types(&["model", "x"]),
            &types(&["x"]),
        );
        let sentence = fates.sentence("model").expect("it is gone");
        assert!(
            sentence.starts_with("`model` was moved in cell [4], line 1; clone it"),
            "{sentence}"
        );
        assert_eq!(fates.sentence("x"), None);
        fates.failed(&source("let (y, z) = f();"), &types(&["z"]), &types(&["z"]));
        assert!(
            fates
                .sentence("y")
                .is_some_and(|it| it.contains("because cell [4] failed"))
        );
        assert_eq!(fates.sentence("z"), None);
        fates.ran(
            &source("let model = y = 1;"),
            &types(&[]),
            &types(&["model", "y"]),
        );
        assert_eq!(fates.sentence("model"), None);
        assert_eq!(fates.sentence("y"), None);
    }
}
