//! Loops that only calculate go in pieces, and look at the interrupt between two of them: a look at
//! every step keeps the compiler from turning such a loop into vectors.
//!
//! Only the innermost loop of a nest, without `break`, labels or macros, and of nothing but arithmetic: there a
//! piece takes no time that anybody would notice, and what is put around the loop changes nothing in it. No line
//! moves; what stood on the line of the loop's head may stand elsewhere on it.

use super::checks::may_unwind;
use ra_ap_syntax::ast::{self, AstNode, HasLoopBody};
use ra_ap_syntax::{SyntaxKind, SyntaxNode};
use std::ops::Range;

/// What all that is put in says; a message of the compiler that shows it is not one for the user.
pub(super) const PIECE: &str = "ferrolens_piece";

/// Methods of numbers and slices that are over at once.
const CHEAP: &[&str] = &[
    "abs",
    "abs_diff",
    "clamp",
    "copysign",
    "cos",
    "count_ones",
    "exp",
    "fract",
    "floor",
    "hypot",
    "is_finite",
    "is_nan",
    "len",
    "leading_zeros",
    "ln",
    "max",
    "min",
    "mul_add",
    "pow",
    "powf",
    "powi",
    "recip",
    "rem_euclid",
    "round",
    "signum",
    "sin",
    "sqrt",
    "tan",
    "tanh",
    "to_bits",
    "total_cmp",
    "trailing_zeros",
];

/// Replacements in the text, in order, one a loop.
pub(super) fn replacements(tree: &SyntaxNode) -> Vec<(Range<usize>, String)> {
    tree.descendants()
        .filter(may_unwind)
        .filter_map(|node| for_loop(&node).or_else(|| while_loop(&node)))
        .collect()
}

/// `for PATTERN in ALL {` with a loop around it that goes from piece to piece.
fn for_loop(node: &SyntaxNode) -> Option<(Range<usize>, String)> {
    let it = ast::ForExpr::cast(node.clone())?;
    let (pattern, all, body) = (it.pat()?, it.iterable()?, it.loop_body()?);
    if it.label().is_some() || !calculates(body.syntax()) {
        return None;
    }
    let head = head(node, &body)?;
    let (pattern, all) = (pattern.syntax().text(), all.syntax().text());
    // What stands between them would be lost: a comment, or a line break.
    let plain: String = head.chars().filter(|it| !it.is_whitespace()).collect();
    let expected: String = format!("for{pattern}in{all}")
        .chars()
        .filter(|it| !it.is_whitespace())
        .collect();
    let lines = |text: &str| text.matches('\n').count();
    if plain != expected
        || lines(&head) != lines(&all.to_string())
        || lines(&pattern.to_string()) > 0
    {
        return None;
    }
    let body = body.syntax().text();
    Some((
        range(node),
        format!(
            "match ::ferrolens::emit::pieces({all}) {{ mut ferrolens_rest => {{ use \
             ::ferrolens::emit::AnyPieces as _; while let Some({PIECE}) = ferrolens_rest.piece() {{ \
             for {pattern} in {PIECE} {body} }} }} }}"
        ),
    ))
}

/// `while CONDITION {` with a loop around it that counts the steps of a piece.
fn while_loop(node: &SyntaxNode) -> Option<(Range<usize>, String)> {
    let it = ast::WhileExpr::cast(node.clone())?;
    let (condition, body) = (it.condition()?, it.loop_body()?);
    if it.label().is_some()
        || !calculates(body.syntax())
        || !calculates(condition.syntax())
        || matches!(condition, ast::Expr::Literal(_))
    {
        return None;
    }
    let head = head(node, &body)?;
    let condition = head.strip_prefix("while")?;
    let body = body.syntax().text();
    Some((
        range(node),
        format!(
            "'{PIECE}: loop {{ ::ferrolens::emit::stop_point(); let mut {PIECE} = \
             ::ferrolens::emit::PIECE; while {PIECE} != 0 {{ {PIECE} -= 1; if{condition}{body} else {{ \
             break '{PIECE}; }} }} }}"
        ),
    ))
}

/// What stands before the body of a loop.
fn head(node: &SyntaxNode, body: &ast::BlockExpr) -> Option<String> {
    let start = node.text_range().start();
    let length = body.syntax().text_range().start().checked_sub(start)?;
    let text = node.text().to_string();
    text.get(..usize::from(length)).map(str::to_owned)
}

fn range(node: &SyntaxNode) -> Range<usize> {
    node.text_range().start().into()..node.text_range().end().into()
}

/// Whether there is nothing but arithmetic on what is there.
fn calculates(node: &SyntaxNode) -> bool {
    node.descendants().all(|node| {
        use SyntaxKind::*;
        match node.kind() {
            METHOD_CALL_EXPR => ast::MethodCallExpr::cast(node)
                .and_then(|call| call.name_ref())
                .is_some_and(|name| is_cheap(name.text())),
            CALL_EXPR => ast::CallExpr::cast(node)
                .and_then(|call| call.expr())
                .is_some_and(|function| is_conversion(&function.syntax().text().to_string())),
            FOR_EXPR | WHILE_EXPR | LOOP_EXPR | BREAK_EXPR | RETURN_EXPR | TRY_EXPR
            | AWAIT_EXPR | CLOSURE_EXPR | MACRO_EXPR | MACRO_CALL | MACRO_STMTS | MATCH_EXPR
            | LABEL | ATTR | LET_EXPR | ERROR => false,
            CONTINUE_EXPR => {
                ast::ContinueExpr::cast(node).is_some_and(|it| it.lifetime().is_none())
            }
            BLOCK_EXPR => ast::BlockExpr::cast(node).is_some_and(|it| it.modifier().is_none()),
            kind => !ast::Item::can_cast(kind),
        }
    })
}

fn is_cheap(method: &str) -> bool {
    CHEAP.contains(&method)
        || ["wrapping_", "saturating_"]
            .iter()
            .any(|start| method.starts_with(start))
}

/// E.g. `f64::from`; and what keeps the compiler from looking through a number.
fn is_conversion(function: &str) -> bool {
    let function = function
        .trim_start_matches("::")
        .trim_start_matches("std::");
    matches!(function, "hint::black_box" | "black_box")
        || function.strip_suffix("::from").is_some_and(|number| {
            let mut signs = number.chars();
            matches!(signs.next(), Some('f' | 'i' | 'u')) && signs.all(|it| it.is_ascii_digit())
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ra_ap_syntax::{Edition, SourceFile};

    fn count(code: &str) -> usize {
        let text = format!("fn f() {{ {code} }}");
        let tree = SourceFile::parse(&text, Edition::Edition2024).syntax_node();
        let all = replacements(&tree);
        for (range, new) in &all {
            assert_eq!(
                text[range.clone()].matches('\n').count(),
                new.matches('\n').count(),
                "{new}"
            );
            let again = SourceFile::parse(&format!("fn f() {{ {new} }}"), Edition::Edition2024);
            assert!(again.errors().is_empty(), "{new}: {:?}", again.errors());
        }
        all.len()
    }

    #[test]
    fn loops_that_only_calculate_go_in_pieces() {
        for code in [
            "for x in &v { sum += x; }",
            "for i in 0..n { sum = sum.wrapping_mul(31).wrapping_add(i); }",
            "for i in 0..n {\n  if v[i] > 0. { a += v[i].sqrt() } else { continue }\n}",
            "for (i, x) in v.iter()\n  .enumerate() { s += f64::from(i) * x; }",
            "while i < v.len() { s += v[i]; i += 1; }",
            "for row in rows { for x in row { s += x } }",
            "for x in &mut v { *x *= 2.; }",
            "for &x in &v { let y = x as f64; s += std::hint::black_box(y); }",
        ] {
            assert_eq!(count(code), 1, "{code}");
        }
    }

    #[test]
    fn others_stay_as_they_are() {
        for code in [
            "for x in &v { f(x); }",
            "for x in &v { s += x; if s > 3. { break } }",
            "'a: for x in &v { s += x }",
            "for x in &v { if x > 1 { continue 'b } }",
            "for x in &v { s = (s * x)?; }",
            "for x in &v { println!(\"{x}\"); }",
            "for x in &v { stop!(); }",
            "for x in &v { model.forward(x); }",
            "for /* why */ x in &v { s += x; }",
            "for x in // why\n &v { s += x; }",
            "for x\n in &v { s += x; }",
            "while let Some(x) = v.pop() { s += x; }",
            "while f() { s += 1; }",
            "while true { s += 1; }",
            "loop { s += 1; }",
        ] {
            assert_eq!(count(code), 0, "{code}");
        }
    }
}
