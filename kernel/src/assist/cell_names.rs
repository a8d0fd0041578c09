//! What a cell itself defines, as far as that changes what a name in it means.

use ra_ap_syntax::ast::{self, AstNode, HasName};
use ra_ap_syntax::{Edition, SourceFile};
use std::collections::BTreeSet;

/// What a cell itself defines.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct CellNames {
    /// The names that its patterns bind.
    pub(super) bindings: BTreeSet<String>,
    /// Whether it imports or defines anything else than variables.
    pub(super) has_items: bool,
}

impl CellNames {
    pub(super) fn of(code: &str) -> Self {
        let code = &code[super::lexical::orders(code)..];
        let tree = SourceFile::parse(&format!("fn cell() {{{code}\n}}"), Edition::Edition2024);
        let inside = || tree.syntax_node().descendants().skip(2);
        let bindings = inside().filter_map(ast::IdentPat::cast);
        let mut items = inside().filter_map(ast::Item::cast);
        Self {
            bindings: bindings
                .filter_map(|binding| Some(binding.name()?.text().to_string()))
                .collect(),
            // A macro as a statement is an item to the parser.
            has_items: items.any(|item| !matches!(item, ast::Item::MacroCall(_))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(code: &str, bindings: &[&str], has_items: bool) {
        let expected = CellNames {
            bindings: bindings.iter().map(ToString::to_string).collect(),
            has_items,
        };
        assert_eq!(CellNames::of(code), expected, "{code}");
    }

    #[test]
    fn patterns_bind_and_items_are_seen() {
        check("tensor.sum(0)?", &[], false);
        check("let (a, mut b) = f(|c| c + 1); a.", &["a", "b", "c"], false);
        check("use std::fmt;", &[], true);
        check("println!(\"x\"); tensor.", &[], false);
        check("println!(\"x\")", &[], false);
        check(":vars\nstruct Point;", &[], true);
        check("for x in y { x.", &["x"], false);
    }
}
