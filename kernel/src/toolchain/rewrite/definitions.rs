//! What a variable's type says about the user's own definitions.
//!
//! Two definitions of a `struct T`, in two cells, are one type to the running process, which tells types
//! apart by their paths; a value of the first must not be read as one of the second. So variables
//! are stored with a number that stands for the text of the definitions behind their types.

use ra_ap_syntax::ast::{self, AstNode, HasModuleItem, HasName};
use ra_ap_syntax::{Edition, SourceFile, SyntaxKind, SyntaxNode};
use std::collections::{BTreeSet, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

/// The definitions of a cell, and of the cells before it.
pub(super) struct Definitions(Vec<Definition>);

struct Definition {
    /// What it defines; where that cannot be seen, whatever it mentions.
    names: HashSet<String>,
    mentions: HashSet<String>,
    /// Its words and signs, without the space between them.
    text: String,
}

impl Definitions {
    pub(super) fn of(text: &str) -> Self {
        let file = SourceFile::parse(text, Edition::Edition2024).tree();
        Self(file.items().filter_map(|item| definition(&item)).collect())
    }

    /// Stands for the definitions that a type depends on; 0 where there are none.
    pub(super) fn number(&self, kind: &str) -> u64 {
        let mut names: HashSet<String> = words(kind).map(str::to_owned).collect();
        let mut found = BTreeSet::new();
        loop {
            let new: Vec<&Definition> = (self.0.iter())
                .filter(|it| !found.contains(&it.text) && !it.names.is_disjoint(&names))
                .collect();
            if new.is_empty() {
                break;
            }
            for definition in new {
                names.extend(definition.mentions.iter().cloned());
                found.insert(definition.text.clone());
            }
        }
        if found.is_empty() {
            return 0;
        }
        let mut hasher = DefaultHasher::new();
        found.hash(&mut hasher);
        hasher.finish().max(1)
    }
}

fn definition(item: &ast::Item) -> Option<Definition> {
    let name = match item {
        ast::Item::Struct(it) => it.name(),
        ast::Item::Enum(it) => it.name(),
        ast::Item::Union(it) => it.name(),
        ast::Item::TypeAlias(it) => it.name(),
        ast::Item::Trait(it) => it.name(),
        ast::Item::Const(it) => it.name(),
        ast::Item::Module(it) => it.name(),
        ast::Item::MacroRules(it) => it.name(),
        ast::Item::MacroCall(_) => None,
        ast::Item::Impl(it) if decides(it) => None,
        _ => return None,
    };
    let text = signs(item.syntax());
    let mentions: HashSet<String> = words(&text).map(str::to_owned).collect();
    let names = match name {
        Some(name) => HashSet::from([name.text().to_string()]),
        None => mentions.clone(),
    };
    Some(Definition {
        names,
        mentions,
        text,
    })
}

/// Whether an `impl` says of what types others consist.
fn decides(of: &ast::Impl) -> bool {
    let items = of.assoc_item_list();
    items
        .into_iter()
        .flat_map(|list| list.assoc_items())
        .any(|item| {
            matches!(
                item,
                ast::AssocItem::TypeAlias(_) | ast::AssocItem::Const(_)
            )
        })
}

fn signs(node: &SyntaxNode) -> String {
    let mut text = String::new();
    for element in node.descendants_with_tokens() {
        if let Some(token) = element.into_token()
            && !matches!(token.kind(), SyntaxKind::WHITESPACE | SyntaxKind::COMMENT)
        {
            text.push_str(token.text());
            text.push(' ');
        }
    }
    text
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric() && c != '_')
        .filter(|word| word.starts_with(|c: char| !c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::Definitions;

    fn number(text: &str, kind: &str) -> u64 {
        Definitions::of(text).number(kind)
    }

    #[test]
    fn another_definition_is_another_number() {
        let first = number("struct T(i32);", "Vec<T>");
        assert_ne!(first, number("struct T(u8);", "Vec<T>"));
        assert_eq!(
            first,
            number("fn f() {}\n// Why.\nstruct T( i32 );", "Vec<T>")
        );
    }

    #[test]
    fn what_a_definition_is_made_of_counts() {
        let text = |inner: &str| format!("struct A(B); enum B {{ X(C) }} type C = {inner};");
        assert_ne!(number(&text("u8"), "A"), number(&text("u16"), "A"));
        let text = |inner: &str| {
            format!(
                "struct W<X: Tr>(X::Of); struct X; trait Tr {{ type Of; }} \
                 impl Tr for X {{ type Of = {inner}; }}"
            )
        };
        assert_ne!(number(&text("u8"), "W<X>"), number(&text("u16"), "W<X>"));
        let text = |inner: &str| {
            format!("macro_rules! make {{ ($n:ident) => {{ struct $n({inner}); }} }} make!(T);")
        };
        assert_ne!(number(&text("u8"), "T"), number(&text("u16"), "T"));
    }

    #[test]
    fn other_peoples_types_and_functions_do_not() {
        assert_eq!(number("struct T(i32); fn f() {}", "Vec<Tensor>"), 0);
        let text = |inner: &str| format!("struct T; impl T {{ fn f() -> i32 {{ {inner} }} }}");
        assert_eq!(number(&text("1"), "T"), number(&text("2"), "T"));
    }
}
