//! What a reader of a notebook should hear beside the compiler's words.

use super::closures;
use super::compile_error::{Shown, View};
use super::diagnostic::Diagnostic;
use super::fates::bound;
use super::habits;
use super::nearest::nearest;
use super::places::rust_begins;
use ra_ap_syntax::ast::{self, AstNode};
use ra_ap_syntax::{Edition, SourceFile};

const NOT_IN_CLOSURE: &str =
    "the `?` operator can only be used in a closure that returns `Result` or `Option`";

/// Adds at most one sentence or suggestion.
pub(super) fn add(view: &View<'_>, diagnostic: &Diagnostic, shown: &mut Shown) {
    let name = diagnostic.name().unwrap_or_default();
    let code = diagnostic
        .code
        .as_ref()
        .map_or("", |code| code.code.as_str());
    let is_variable = view.notebook.types.contains_key(name);
    let advice = match code {
        "E0425" => missing(view, name, shown),
        "E0434" => Some(
            "functions cannot see variables: pass the value as an argument, or use a closure".to_owned(),
        ),
        "E0382" if is_in_function(shown) => Some(format!(
            "a value that is moved is gone: borrow it (`&{name}`) or clone it (`{name}.clone()`, cheap for \
             models and tensors)"
        )),
        "E0382" => Some(format!(
            "a value that is moved is gone, for later cells too: borrow it (`&{name}`) or clone it \
             (`{name}.clone()`, cheap for models and tensors)"
        )),
        "E0384" | "E0594" | "E0596" if is_variable => {
            shown.notes.clear();
            Some(format!(
                "`{name}` was not defined as mutable; make it so with `let mut {name} = {name};`"
            ))
        }
        "E0499" | "E0502" | "E0505" | "E0506" => Some(
            "a borrow lasts until it is used for the last time: finish with it first, put it into braces \
             `{ … }`, or work on a clone"
                .to_owned(),
        ),
        "E0597" | "E0716" | "E0373" | "E0521" | "E0310" => Some(format!(
            "a cell's variables end with the cell: what outlives it, such as a thread or a variable that is \
             kept, must own what it uses; give it a clone{}",
            if name.is_empty() || code == "E0310" {
                ", and write `move` before a closure".to_owned()
            } else {
                format!(" (`let copy = {name}.clone();`), and write `move` before a closure")
            }
        )),
        "E0267" | "E0268" => Some(
            "to leave a cell early, put its code into a labelled block: `'cell: { … break 'cell; … }`"
                .to_owned(),
        ),
        "E0308" | "E0069" if returns(diagnostic, shown) => {
            shown.notes.clear();
            Some(
                "a cell cannot `return`: end it with the expression that it should show, or leave a labelled \
                 block early: `'cell: { … break 'cell; … }`"
                    .to_owned(),
            )
        }
        "E0277" if diagnostic.message.starts_with("`?` couldn't convert the error") => {
            shown.notes.retain(|note| !note.is_about("needs to implement"));
            Some(
                "an error that leaves a cell through `?` is shown with its `Display`: implement that, or make \
                 a text of it with `.map_err(|error| format!(\"{error:?}\"))?`"
                    .to_owned(),
            )
        }
        "E0277"
            if diagnostic.is_about("evcxr_send_text_plain")
                && diagnostic.message.contains("doesn't implement `Debug`") =>
        {
            shown.is_of_display = true;
            shown.notes.retain(|note| note.is_about("consider annotating"));
            shown.marks.truncate(1);
            Some(
            "the last expression of a cell is displayed, for which it needs `#[derive(Debug)]` or an `impl \
             Debug`; end it with `;` to show nothing, or show a part of it with `println!`"
                .to_owned(),
            )
        }
        "E0282" | "E0283" if is_a_result(diagnostic) => {
            if let Some(note) = closures::with_result(shown, false) {
                shown.notes = vec![note];
            }
            None
        }
        "E0277" if diagnostic.message.starts_with(NOT_IN_CLOSURE) => {
            NOT_IN_CLOSURE.clone_into(&mut shown.message);
            shown.notes.extend(closures::with_result(shown, true));
            None
        }
        code => habits::sentence(code, diagnostic, shown),
    };
    if let Some(advice) = advice {
        shown.advice.push(advice);
    }
}

/// A name that is no value here.
fn missing(view: &View<'_>, name: &str, shown: &mut Shown) -> Option<String> {
    let notebook = view.notebook;
    let kind = notebook.types.get(name);
    let is_own = bound(&notebook.source.code).contains(name);
    if (kind.is_some() || is_own) && is_in_function(shown) {
        let kind = kind.map_or_else(|| "…".to_owned(), |kind| format!("&{kind}"));
        return Some(format!(
            "functions cannot see the notebook's variables: pass `{name}` as an argument, \
             `fn f({name}: {kind})`, or use a closure"
        ));
    }
    if let Some(sentence) = notebook.fates.sentence(name) {
        shown.notes.clear();
        return Some(sentence);
    }
    let near = nearest(name, notebook.types.keys().map(String::as_str));
    if let Some(sentence) = habits::name(name) {
        return Some(sentence);
    }
    if near.is_empty() {
        return None;
    }
    shown.notes.retain(|note| !note.is_about("similar name"));
    let near: Vec<String> = near.iter().map(|name| format!("`{name}`")).collect();
    Some(format!(
        "there is no variable `{name}`; the nearest: {}",
        near.join(", ")
    ))
}

/// Whether the compiler does not know with which error a closure may fail.
fn is_a_result(diagnostic: &Diagnostic) -> bool {
    diagnostic.spans.iter().any(|span| {
        span.label
            .as_deref()
            .is_some_and(|label| label.contains("type parameter `E` declared on the enum `Result`"))
    })
}

/// Whether the error is inside a function that the cell defines.
fn is_in_function(shown: &Shown) -> bool {
    let Some(mark) = shown.marks.first() else {
        return false;
    };
    let code = &mark.source.code;
    let begins = rust_begins(code);
    let opening = "fn f(){";
    let file = SourceFile::parse(
        &format!("{opening}{}\n}}", &code[begins..]),
        Edition::Edition2024,
    );
    let at = mark.range.start + opening.len() - begins.min(mark.range.start);
    file.syntax_node()
        .descendants()
        .filter_map(ast::Fn::cast)
        .skip(1)
        .any(|function| {
            let range = function.syntax().text_range();
            usize::from(range.start()) <= at && at < usize::from(range.end())
        })
}

/// Whether the error is about what a `return` of the cell gives the wrapping.
fn returns(diagnostic: &Diagnostic, shown: &mut Shown) -> bool {
    let is_internal = diagnostic.spans.iter().any(|span| {
        span.label
            .as_deref()
            .is_some_and(|label| label.contains("EvcxrUserCodeError"))
    });
    let is = diagnostic
        .code
        .as_ref()
        .is_some_and(|code| code.code == "E0069")
        && !is_in_function(shown)
        || is_internal;
    if is && diagnostic.message == "mismatched types" {
        "`return` of a value in a cell".clone_into(&mut shown.message);
    }
    is
}
