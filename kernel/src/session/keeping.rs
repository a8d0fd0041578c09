//! Variables whose types cannot be kept from cell to cell, and how to keep them.

use super::CellError;
use super::compile_error::{Mark, Notebook, Shown, View, cell_error};
use super::diagnostic::{Diagnostic, quoted};
use super::places::rust_begins;
use ra_ap_syntax::ast::{self, AstNode, HasName};
use ra_ap_syntax::{Edition, SourceFile};

/// The engine's line that keeps a variable, for running and for analysis.
const KEEPS: &str = "evcxr_variable_store.put_variable::<";
const ANALYSED: &str = "evcxr_variable_store(";

/// Errors of borrows that are too short to be kept, wherever the borrow is.
const BORROWS: &[&str] = &["E0310", "E0515", "E0521", "E0597", "E0716"];

const BRACES: &str =
    "or put the code into braces, `{ … }`, where the variable ends before the cell does";

/// What the engine says in a sentence of its own about a variable; any other message as it is, but
/// for the engine's name.
pub(super) fn message(notebook: &Notebook<'_>, message: &str) -> CellError {
    let Some(name) = quoted(message) else {
        return CellError::plain("error", &message.replace("evcxr", "the kernel"));
    };
    let between = |before: &str, after: &str| {
        let (_, rest) = message.split_once(before)?;
        rest.split_once(after).map(|(kind, _)| kind)
    };
    let kind = between("has type `", "`").or_else(|| between("suggested type ", ", but"));
    let shown = if message.contains("is a closure") {
        closure(notebook, name)
    } else if message.starts_with("Couldn't automatically determine type") {
        let mut shown = Shown::new(format!(
            "the type of `{name}` is not known, so it cannot be kept after the cell"
        ));
        shown.advice.push(format!(
            "write the type: `let {name}: Vec<f32> = …;`, {BRACES}"
        ));
        shown
    } else if message.starts_with("Failed to determine type") {
        let kind = kind.unwrap_or("one that is private");
        let mut shown = Shown::new(format!(
            "`{name}` cannot be kept after the cell: its type `{kind}` is private to its crate"
        ));
        shown.advice.push(format!(
            "write a type that can be named, if its crate exports it under another path, e.g. \
             `let {name}: a_crate::Type = …;`, {BRACES}"
        ));
        shown
    } else if let Some(kind) = kind {
        kept(name, Some(kind))
    } else if message.contains("persist") {
        kept(name, None)
    } else {
        return CellError::plain("error", &message.replace("evcxr", "the kernel"));
    };
    let marks = definition(notebook, name).into_iter().collect();
    let error = cell_error(&[Shown { marks, ..shown }]);
    CellError {
        name: "error".to_owned(),
        ..error
    }
}

/// The engine's message about a reference in a variable.
pub(super) fn borrowed(view: &View<'_>, message: &str, marks: &[Mark]) -> Option<Shown> {
    if !message.contains("contains a reference with a non-static lifetime") {
        return None;
    }
    let name = quoted(message)?;
    let kind = kind_of(&view.text, name);
    let own = definition(view.notebook, name).map(|mark| vec![mark]);
    Some(Shown {
        code: Some("E0597".to_owned()),
        marks: own.unwrap_or_else(|| marks.to_vec()),
        ..kept(name, kind.as_deref())
    })
}

/// An error of the compiler that points at the line by which the engine keeps a variable.
pub(super) fn cannot_keep(view: &View<'_>, diagnostic: &Diagnostic) -> Option<Shown> {
    let (name, kind) = diagnostic
        .spans
        .iter()
        .flat_map(|span| &span.text)
        .find_map(|line| variable(&line.text))?;
    let code = diagnostic.code.as_ref().map(|code| code.code.clone());
    let is_borrow = code.as_deref().is_some_and(|code| BORROWS.contains(&code));
    let mark = definition(view.notebook, &name)?;
    let is_elsewhere = diagnostic
        .spans
        .iter()
        .any(|span| span.is_primary && span.text.iter().all(|line| variable(&line.text).is_none()));
    if is_elsewhere && !is_borrow {
        return None;
    }
    Some(Shown {
        code,
        marks: vec![mark],
        ..kept(&name, kind.as_deref())
    })
}

/// Says that a variable of this type cannot be kept, and how it can.
fn kept(name: &str, kind: Option<&str>) -> Shown {
    let what = kind.map_or_else(
        || format!("`{name}` cannot be kept after the cell: its type borrows from something that ends with it"),
        |kind| {
            let why = if is_borrowing(kind) {
                "borrows from something that ends with it"
            } else {
                "is one that no later cell can name"
            };
            format!("`{name}` cannot be kept after the cell: its type `{kind}` {why}")
        },
    );
    let mut shown = Shown::new(what);
    let how = kind.map_or_else(|| owned(name), |kind| how_to_keep(name, kind));
    shown.advice.push(format!("{how}, {BRACES}"));
    shown
}

fn owned(name: &str) -> String {
    format!("keep a value of its own: `let {name} = ….clone();` or `.to_owned()`")
}

fn is_borrowing(kind: &str) -> bool {
    kind.contains('&') || kind.contains("'_") || kind.contains("Guard") || kind.contains("<'")
}

fn how_to_keep(name: &str, kind: &str) -> String {
    const ITERATORS: &[&str] = &[
        "Iter<",
        "IterMut<",
        "Map<",
        "Filter<",
        "Enumerate<",
        "Zip<",
        "Chars<",
        "Windows<",
        "Chunks<",
        "Rev<",
        "Take<",
        "Skip<",
        "Chain<",
        "Lines<",
        "Split",
        "Iterator",
    ];
    if kind.contains("Guard<") || kind.contains("cell::Ref") {
        format!(
            "a lock should not be held from cell to cell: use it at once, or keep what is inside: `let {name} = ….clone();`"
        )
    } else if kind.contains("Fn(") || kind.contains("FnMut(") && !kind.contains("Map<") {
        format!("box it: `let {name}: Box<dyn Fn(_) -> _> = Box::new(…);`, or write a `fn`")
    } else if ITERATORS.iter().any(|iterator| kind.contains(iterator)) {
        format!("keep what it yields: `let {name} = ….collect::<Vec<_>>();`")
    } else if kind == "&str" {
        format!("keep a `String`: `let {name} = ….to_owned();`")
    } else if kind.starts_with("&[") || kind.starts_with("&mut [") {
        format!("keep a `Vec`: `let {name} = ….to_vec();`")
    } else if kind.starts_with("impl ") || kind.starts_with("dyn ") {
        let rest = kind.split_once(' ').map_or(kind, |(_, rest)| rest);
        format!("box it: `let {name}: Box<dyn {rest}> = Box::new(…);`")
    } else if is_borrowing(kind) {
        owned(name)
    } else {
        format!(
            "write a type that can be named, `let {name}: … = …;`, or keep only what is needed of it"
        )
    }
}

fn closure(notebook: &Notebook<'_>, name: &str) -> Shown {
    let mut shown = Shown::new(format!(
        "`{name}` cannot be kept after the cell: it is a closure, whose type has no name"
    ));
    let begins = rust_begins(&notebook.source.code);
    let text = format!("fn f(){{{}\n}}", &notebook.source.code[begins..]);
    let closure = SourceFile::parse(&text, Edition::Edition2024)
        .syntax_node()
        .descendants()
        .filter_map(ast::LetStmt::cast)
        .filter(|binding| {
            matches!(binding.pat(), Some(ast::Pat::IdentPat(pattern))
                if pattern.name().is_some_and(|own| own.text() == name))
        })
        .find_map(|binding| ast::ClosureExpr::cast(binding.initializer()?.syntax().clone()));
    let kinds: Vec<String> = closure
        .as_ref()
        .and_then(ast::ClosureExpr::param_list)
        .into_iter()
        .flat_map(|list| list.params().collect::<Vec<_>>())
        .map(|param| {
            param
                .ty()
                .map_or_else(|| "_".to_owned(), |kind| kind.syntax().text().to_string())
        })
        .collect();
    let result = closure
        .as_ref()
        .and_then(|closure| closure.ret_type()?.ty())
        .map_or_else(|| "_".to_owned(), |kind| kind.syntax().text().to_string());
    let value = closure
        .as_ref()
        .map(|closure| closure.syntax().text().to_string())
        .filter(|text| !text.contains('\n') && text.len() < 60)
        .unwrap_or_else(|| "…".to_owned());
    let name_of_trait = if value.starts_with("move") && closure.is_some() {
        "FnMut"
    } else {
        "Fn"
    };
    shown.advice.push(format!(
        "box it: `let {name}: Box<dyn {name_of_trait}({}) -> {result}> = Box::new({value});`, or write a `fn`, {BRACES}",
        kinds.join(", ")
    ));
    shown
}

/// Where the cell defines the variable.
fn definition(notebook: &Notebook<'_>, name: &str) -> Option<Mark> {
    let code = &notebook.source.code;
    let begins = rust_begins(code);
    let opening = "fn f(){";
    let text = format!("{opening}{}\n}}", &code[begins..]);
    let range = SourceFile::parse(&text, Edition::Edition2024)
        .syntax_node()
        .descendants()
        .filter_map(ast::LetStmt::cast)
        .filter_map(|binding| binding.pat())
        .flat_map(|pattern| pattern.syntax().descendants().collect::<Vec<_>>())
        .filter_map(ast::IdentPat::cast)
        .filter_map(|pattern| pattern.name())
        .filter(|own| own.text() == name)
        .last()?
        .syntax()
        .text_range();
    let byte = |at: usize| (begins + at).checked_sub(opening.len());
    Some(Mark {
        source: notebook.source.clone(),
        range: byte(usize::from(range.start()))?..byte(usize::from(range.end()))?,
        label: String::new(),
        is_primary: true,
    })
}

/// The variable that a line of the engine keeps, with its type.
fn variable(line: &str) -> Option<(String, Option<String>)> {
    if let Some((_, rest)) = line.split_once(KEEPS) {
        let (kind, rest) = rest.rsplit_once(">(stringify!(")?;
        let (name, _) = rest.split_once(')')?;
        return Some((name.to_owned(), Some(kind.to_owned())));
    }
    let rest = line.trim().strip_prefix(ANALYSED)?;
    Some((rest.strip_suffix(");")?.to_owned(), None))
}

fn kind_of(compiled: &str, name: &str) -> Option<String> {
    compiled
        .lines()
        .filter_map(variable)
        .find(|(own, _)| own == name)
        .and_then(|(_, kind)| kind)
        // What the engine takes a type for that it has still to find out.
        .filter(|kind| kind != "String")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_keeps_a_variable_names_it_and_its_type() {
        assert_eq!(
            variable(
                "{ use x; } evcxr_variable_store.put_variable::<&Vec<i32>>(stringify!(r), r);"
            ),
            Some(("r".to_owned(), Some("&Vec<i32>".to_owned())))
        );
        assert_eq!(
            variable("evcxr_variable_store(r);"),
            Some(("r".to_owned(), None))
        );
        assert_eq!(variable("f(r);"), None);
    }

    #[test]
    fn every_kind_of_type_has_its_own_way() {
        for (kind, expected) in [
            ("std::slice::Iter<'_, i32>", "collect"),
            (
                "std::iter::Map<std::slice::Iter<'_, i32>, impl FnMut(&i32) -> i32>",
                "collect",
            ),
            ("std::sync::MutexGuard<'_, i32>", "a lock"),
            ("&str", "to_owned"),
            ("&[f32]", "to_vec"),
            ("&Vec<i32>", "clone"),
            ("impl Iterator<Item = u8>", "collect"),
            ("impl Fn(i32) -> i32", "box it"),
            ("impl std::fmt::Display", "Box<dyn std::fmt::Display>"),
        ] {
            assert!(
                how_to_keep("x", kind).contains(expected),
                "{kind}: {}",
                how_to_keep("x", kind)
            );
        }
    }
}
