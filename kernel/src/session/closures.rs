//! The type of a closure's result, which the compiler cannot always find out.

use super::compile_error::{Mark, Note, Shown};
use super::places::{Source, rust_begins};
use ra_ap_syntax::ast::{self, AstNode};
use ra_ap_syntax::{Edition, SourceFile, TextSize};
use std::sync::Arc;

/// What to write where a closure makes a `Result` whose type nothing says; `bare` where it returns a value that
/// is none yet.
pub(super) fn with_result(shown: &Shown, bare: bool) -> Option<Note> {
    let mark = shown.marks.first()?;
    let (closure, shift) = around(mark)?;
    if closure.ret_type().is_some() {
        return None;
    }
    let parameters = closure.param_list()?.syntax().text_range().end();
    let body = closure.body()?;
    let range = body.syntax().text_range();
    let block = match &body {
        ast::Expr::BlockExpr(block) if block.modifier().is_none() => Some(block),
        _ => None,
    };
    let mut patches: Vec<(TextSize, &str)> = Vec::new();
    match block {
        Some(_) => patches.push((parameters, " -> Result<_>")),
        None => patches.push((parameters, " -> Result<_> {")),
    }
    match block {
        Some(block) if bare => {
            let list = block.stmt_list()?;
            match list.tail_expr() {
                Some(tail) => {
                    let tail = tail.syntax().text_range();
                    patches.extend([(tail.start(), "Ok("), (tail.end(), ")")]);
                }
                None => {
                    let end = list.r_curly_token()?.text_range().start();
                    patches.push((end, "Ok(()) "));
                }
            }
        }
        Some(_) => {}
        None if bare => patches.extend([(range.start(), "Ok("), (range.end(), ") }")]),
        None => patches.push((range.end(), " }")),
    }
    let place = |at: TextSize| usize::from(at).checked_add_signed(shift);
    let marks = patches.iter().map(|(at, _)| {
        let at = place(*at)?;
        Some(Mark {
            source: mark.source.clone(),
            range: at..at,
            label: String::new(),
            is_primary: true,
        })
    });
    Some(Note::new(
        true,
        "say that the closure returns a `Result`".to_owned(),
        marks.collect::<Option<Vec<Mark>>>()?,
        Some(patches.iter().map(|(_, text)| (*text).to_owned()).collect()),
    ))
}

/// The innermost closure around a part of a cell, and what its places are moved by to be the cell's.
fn around(mark: &Mark) -> Option<(ast::ClosureExpr, isize)> {
    const OPENING: &str = "fn f(){";
    let source: &Arc<Source> = &mark.source;
    let begins = rust_begins(&source.code);
    let text = format!("{OPENING}{}\n}}", &source.code[begins..]);
    let file = SourceFile::parse(&text, Edition::Edition2024);
    let shift = begins.cast_signed() - OPENING.len().cast_signed();
    let at = mark.range.start.checked_add_signed(-shift)?;
    let closures = file
        .syntax_node()
        .descendants()
        .filter_map(ast::ClosureExpr::cast)
        .filter(|closure| {
            let range = closure.syntax().text_range();
            usize::from(range.start()) <= at && at < usize::from(range.end())
        });
    Some((closures.last()?, shift))
}
