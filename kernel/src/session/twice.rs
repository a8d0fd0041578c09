//! Items that one cell defines twice. Another cell may define an item again, and the engine takes the
//! second of two in one cell for that, without a word.

use super::compile_error::{Mark, Shown};
use super::places::{Source, rust_begins};
use ra_ap_syntax::ast::{self, AstNode, HasAttrs, HasName};
use ra_ap_syntax::{Edition, SourceFile};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// The first item that is defined twice; nothing where there is none.
pub(super) fn check(source: &Arc<Source>) -> Option<Shown> {
    const OPENING: &str = "fn f(){";
    let begins = rust_begins(&source.code);
    let text = format!("{OPENING}{}\n}}", &source.code[begins..]);
    let file = SourceFile::parse(&text, Edition::Edition2024).syntax_node();
    let function = file.children().find_map(ast::Fn::cast)?;
    let body = ast::Fn::body(&function)?.stmt_list()?;
    let mut known: HashMap<(&str, String), Range<usize>> = HashMap::new();
    for item in body.syntax().children().filter_map(ast::Item::cast) {
        // Of two that are compiled under different conditions, one is left.
        if item
            .attrs()
            .any(|attribute| attribute.syntax().text().to_string().contains("cfg"))
        {
            continue;
        }
        let (space, name) = match &item {
            ast::Item::Fn(item) => ("value", item.name()),
            ast::Item::Const(item) => ("value", item.name()),
            ast::Item::Static(item) => ("value", item.name()),
            ast::Item::Struct(item) => ("type", item.name()),
            ast::Item::Enum(item) => ("type", item.name()),
            ast::Item::Union(item) => ("type", item.name()),
            ast::Item::Trait(item) => ("type", item.name()),
            ast::Item::TypeAlias(item) => ("type", item.name()),
            _ => continue,
        };
        let Some(name) = name else {
            continue;
        };
        let range = name.syntax().text_range();
        let byte = |at: usize| (begins + at).saturating_sub(OPENING.len());
        let range = byte(usize::from(range.start()))..byte(usize::from(range.end()));
        let name = name.text().to_string();
        if let Some(first) = known.insert((space, name.clone()), range.clone()) {
            let mark = |range, label: String, is_primary| Mark {
                source: source.clone(),
                range,
                label,
                is_primary,
            };
            return Some(Shown {
                code: Some("E0428".to_owned()),
                marks: vec![
                    mark(range, format!("`{name}` redefined here"), true),
                    mark(
                        first,
                        format!("previous definition of `{name}` here"),
                        false,
                    ),
                ],
                advice: vec![
                    "a cell may define again what an earlier cell defined, but not twice itself"
                        .to_owned(),
                ],
                ..Shown::new(format!("the name `{name}` is defined multiple times"))
            });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_that_stand_in_each_others_way_are_refused() {
        for (code, at) in [
            ("fn a() {} fn a() {}", Some(13)),
            ("struct A;\nlet x = 1;\nenum A {}", Some(26)),
            ("struct A { x: u8 } fn A() {}", None),
            ("struct A; impl A {} impl A {}", None),
            ("#[cfg(unix)] fn a() {} #[cfg(windows)] fn a() {}", None),
            ("let a = 1; let a = 2; const _: () = ();", None),
        ] {
            let source = Arc::new(Source {
                title: String::new(),
                code: code.to_owned(),
            });
            let found = check(&source).map(|error| error.marks[0].range.start);
            assert_eq!(found, at, "{code}");
        }
    }
}
