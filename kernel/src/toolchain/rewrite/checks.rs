//! Looks at the interrupt in the loops of a cell, and after it has slept.
//!
//! The check is a statement at the beginning of a loop's body. Where the brace ends its line no column
//! moves; elsewhere the columns behind it do, and a cell that does not compile is compiled again as
//! it is.

use super::pieces;
use ra_ap_syntax::ast::{self, AstNode, HasLoopBody, HasName};
use ra_ap_syntax::{SyntaxNode, TextSize};

/// What is put in; a message of the compiler that shows it is not one for the user.
pub(super) const CHECK: &str = " ::ferrolens::emit::stop_point();";

const SLEEPS: &[&str] = &["sleep", "sleep_ms", "sleep_until"];

/// Where the loops of a cell look at the interrupt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::toolchain) enum Checks {
    /// Between two pieces of a loop that only calculates, at each step of the others.
    Pieces,
    /// At each step.
    Steps,
    Nowhere,
}

/// The source with checks; unchanged where there is nothing to check.
pub(super) fn insert(text: &str, tree: &SyntaxNode, checks: Checks) -> String {
    if checks == Checks::Nowhere {
        return text.to_owned();
    }
    let mut edits = match checks {
        Checks::Pieces => pieces::replacements(tree),
        _ => Vec::new(),
    };
    let in_pieces: Vec<_> = edits.iter().map(|(range, _)| range.clone()).collect();
    let places = tree
        .descendants()
        .filter_map(|node| beginning_of_loop(&node).or_else(|| end_of_sleep(&node)))
        .map(usize::from)
        .filter(|place| !in_pieces.iter().any(|range| range.contains(place)));
    edits.extend(places.map(|place| (place..place, CHECK.to_owned())));
    edits.sort_unstable_by_key(|(range, _)| range.start);
    edits.dedup();
    let mut out = String::with_capacity(text.len() + edits.len() * CHECK.len());
    let mut done = 0;
    for (range, new) in edits {
        out.push_str(&text[done..range.start]);
        out.push_str(&new);
        done = range.end;
    }
    out.push_str(&text[done..]);
    out
}

/// Behind the opening brace of a loop's body.
fn beginning_of_loop(node: &SyntaxNode) -> Option<TextSize> {
    let body = if let Some(it) = ast::LoopExpr::cast(node.clone()) {
        it.loop_body()
    } else if let Some(it) = ast::WhileExpr::cast(node.clone()) {
        it.loop_body()
    } else {
        ast::ForExpr::cast(node.clone())?.loop_body()
    };
    let brace = body?.stmt_list()?.l_curly_token()?;
    may_unwind(node).then(|| brace.text_range().end())
}

/// Behind the statement that calls a function named `sleep`: the child wakes it at an interrupt.
fn end_of_sleep(node: &SyntaxNode) -> Option<TextSize> {
    let call = ast::CallExpr::cast(node.clone())?;
    let ast::Expr::PathExpr(path) = call.expr()? else {
        return None;
    };
    let name = path.path()?.segment()?.name_ref()?;
    if !SLEEPS.iter().any(|sleep| name.text() == *sleep) {
        return None;
    }
    let statement = node
        .ancestors()
        .find_map(ast::Stmt::cast)
        .filter(|statement| !matches!(statement, ast::Stmt::Item(_)))?;
    let text = statement.syntax().text().to_string();
    (text.ends_with(';') && may_unwind(node)).then(|| statement.syntax().text_range().end())
}

/// Whether code here runs, and may be unwound: a constant's does not run, and a function with C's
/// calling convention must not be unwound.
pub(super) fn may_unwind(node: &SyntaxNode) -> bool {
    for ancestor in node.ancestors() {
        if let Some(function) = ast::Fn::cast(ancestor.clone()) {
            let is_cell = function
                .name()
                .is_some_and(|name| name.text().starts_with("run_user_code_"));
            return is_cell || (function.const_token().is_none() && function.abi().is_none());
        }
        let is_constant = ast::Const::can_cast(ancestor.kind())
            || ast::Static::can_cast(ancestor.kind())
            || ast::ConstArg::can_cast(ancestor.kind())
            || ast::BlockExpr::cast(ancestor).is_some_and(|block| block.const_token().is_some());
        if is_constant {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use ra_ap_syntax::{Edition, SourceFile};

    fn insert(text: &str, checks: Checks) -> String {
        let tree = SourceFile::parse(text, Edition::Edition2024).syntax_node();
        super::insert(text, &tree, checks)
    }

    /// `·` in what is expected stands for a check.
    fn check(source: &str, expected: &str) {
        assert_eq!(insert(source, Checks::Pieces), expected.replace('·', CHECK));
    }

    #[test]
    fn every_kind_of_loop_looks_and_no_line_moves() {
        check(
            "fn f() {\n  for x in 0..3 {\n    g(x);\n  }\n  while a() { b() }\n  'l: loop { break 'l; }\n}",
            "fn f() {\n  for x in 0..3 {·\n    g(x);\n  }\n  while a() {· b() }\n  'l: loop {· break 'l; }\n}",
        );
        check(
            "fn f() { v.iter().map(|x| { while let Some(y) = x.next() {} 1 }); }",
            "fn f() { v.iter().map(|x| { while let Some(y) = x.next() {·} 1 }); }",
        );
    }

    #[test]
    fn a_loop_that_only_calculates_has_no_look_inside() {
        let text = "fn f() { for x in v { for y in x { s += y } } }";
        let inserted = insert(text, Checks::Pieces);
        assert!(
            inserted.starts_with(&format!("fn f() {{ for x in v {{{CHECK} match ")),
            "{inserted}"
        );
        assert_eq!(inserted.matches(CHECK).count(), 1, "{inserted}");
        assert_eq!(insert(text, Checks::Steps).matches(CHECK).count(), 2);
        assert_eq!(insert(text, Checks::Nowhere), text);
    }

    #[test]
    fn constants_and_functions_for_c_are_left_alone() {
        for source in [
            "const fn f() { loop {} }",
            "const X: u8 = { loop {} };",
            "static X: u8 = { loop {} };",
            "fn f() { const { while false {} } }",
            "extern \"C\" fn f() { loop {} }",
            "fn f() { \"loop {}\"; /* loop {} */ }",
        ] {
            check(source, source);
        }
        check(
            "pub extern \"C\" fn run_user_code_3() { loop {} }",
            "pub extern \"C\" fn run_user_code_3() { loop {·} }",
        );
    }

    #[test]
    fn a_sleep_is_followed_by_a_look() {
        check(
            "fn f() { std::thread::sleep(d);\nlet x = thread::sleep(d);\nv.sleep(d); g(|| sleep(d)); }",
            "fn f() { std::thread::sleep(d);·\nlet x = thread::sleep(d);·\nv.sleep(d); g(|| sleep(d));· }",
        );
    }

    #[test]
    fn what_does_not_parse_is_no_obstacle() {
        for source in [
            "fn f() { for in {\n",
            "}}} loop while for\n",
            "loop {{{{",
            "\"{\n",
        ] {
            let lines = insert(source, Checks::Pieces).lines().count();
            assert_eq!(lines, source.lines().count(), "{source}");
        }
    }
}
