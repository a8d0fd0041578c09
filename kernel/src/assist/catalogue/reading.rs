//! Reads sources into a catalogue.

use super::{Catalogue, Member, SLICE};
use ra_ap_syntax::ast::{
    self, AstNode, AstToken, HasAttrs, HasDocComments, HasGenericParams, HasModuleItem, HasName,
    HasVisibility,
};
use ra_ap_syntax::{Edition, SourceFile};
use std::path::{Path, PathBuf};

/// Where the standard library's types of every day are, below its folder.
const STANDARD: &[&str] = &[
    "alloc/src/boxed.rs",
    "alloc/src/collections/btree/map.rs",
    "alloc/src/collections/btree/set.rs",
    "alloc/src/collections/vec_deque/mod.rs",
    "alloc/src/rc.rs",
    "alloc/src/slice.rs",
    "alloc/src/str.rs",
    "alloc/src/string.rs",
    "alloc/src/sync.rs",
    "alloc/src/vec/mod.rs",
    "core/src/iter/traits/iterator.rs",
    "core/src/option.rs",
    "core/src/result.rs",
    "core/src/slice/mod.rs",
    "core/src/str/mod.rs",
    "core/src/time.rs",
    "std/src/collections/hash/map.rs",
    "std/src/collections/hash/set.rs",
    "std/src/path.rs",
    "std/src/time.rs",
];

/// The longest documentation that is kept, in characters.
const LONGEST: usize = 400;

/// The catalogue of the packages whose sources are in these folders, the prelude's first, and of the
/// standard library in `standard`. What cannot be read is left out.
pub fn read(packages: &[PathBuf], standard: Option<&Path>) -> Catalogue {
    let mut files = Vec::new();
    for folder in packages {
        rust_files(folder, &mut files);
    }
    if let Some(standard) = standard {
        files.extend(STANDARD.iter().map(|file| standard.join(file)));
    }
    files.sort();
    let mut catalogue = Catalogue::default();
    for file in files {
        if let Ok(text) = std::fs::read_to_string(&file) {
            if packages
                .first()
                .is_some_and(|it| file == it.join("prelude.rs"))
            {
                catalogue.exported = exported(&text);
            }
            add(&mut catalogue, &text);
        }
    }
    catalogue
}

/// The last names of `pub use a::b::Name;`, one a line.
fn exported(text: &str) -> Vec<String> {
    let lines = text
        .lines()
        .filter_map(|line| line.strip_prefix("pub use "));
    lines
        .filter_map(|line| line.strip_suffix(';'))
        .filter(|path| !path.ends_with(" as _"))
        .map(|path| path.rsplit("::").next().unwrap_or(path).to_owned())
        .collect()
}

#[cfg(test)]
pub(super) fn catalogue(texts: &[&str]) -> Catalogue {
    let mut catalogue = Catalogue::default();
    for text in texts {
        add(&mut catalogue, text);
    }
    catalogue
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

fn add(catalogue: &mut Catalogue, text: &str) {
    add_items(
        catalogue,
        SourceFile::parse(text, Edition::Edition2024).tree().items(),
    );
}

fn add_items(catalogue: &mut Catalogue, items: impl Iterator<Item = ast::Item>) {
    for item in items {
        match item {
            ast::Item::Impl(it) if it.trait_().is_none() => {
                let name = match it.self_ty() {
                    Some(ast::Type::PathType(of)) => of
                        .path()
                        .and_then(|path| Some(path.segment()?.name_ref()?.text().to_string())),
                    Some(ast::Type::SliceType(_)) => Some(SLICE.to_owned()),
                    _ => None,
                };
                if let (Some(name), Some(items)) = (name, it.assoc_item_list()) {
                    add_functions(catalogue, &name, &items, false);
                }
            }
            ast::Item::Trait(it) => {
                if let (Some(name), Some(items)) = (it.name(), it.assoc_item_list()) {
                    add_functions(catalogue, name.text(), &items, true);
                }
            }
            ast::Item::Struct(it) => add_fields(catalogue, &it),
            ast::Item::Module(it) => {
                let is_test = it.name().is_some_and(|name| name.text() == "tests");
                if let Some(items) = it.item_list().filter(|_| !is_test) {
                    add_items(catalogue, items.items());
                }
            }
            _ => {}
        }
    }
}

fn add_functions(catalogue: &mut Catalogue, of: &str, items: &ast::AssocItemList, is_trait: bool) {
    for item in items.assoc_items() {
        let ast::AssocItem::Fn(function) = item else {
            continue;
        };
        let Some(name) = function.name() else {
            continue;
        };
        let text = |node: Option<String>| node.unwrap_or_default();
        let generics = text(
            function
                .generic_param_list()
                .map(|it| one_line(it.syntax())),
        );
        let parameters = text(function.param_list().map(|it| one_line(it.syntax())));
        let result = text(function.ret_type().map(|it| one_line(it.syntax())));
        let signature = format!("{generics}{parameters} {result}");
        let is_hidden = function.attrs().any(|attribute| {
            attribute
                .syntax()
                .text()
                .to_string()
                .contains("doc(hidden)")
        });
        let member = Member {
            signature: signature.trim_end().replace(",)", ")"),
            documentation: documentation(&function),
            is_private: is_hidden || !(is_trait || is_public(&function)),
            is_of_value: function
                .param_list()
                .is_some_and(|it| it.self_param().is_some()),
        };
        put(catalogue, of, name.text(), member);
    }
}

fn add_fields(catalogue: &mut Catalogue, it: &ast::Struct) {
    let Some(of) = it.name() else { return };
    let mut add = |name: &str, kind: Option<ast::Type>, documentation: String, is_public: bool| {
        let member = Member {
            signature: kind
                .map_or_else(String::new, |kind| format!(": {}", one_line(kind.syntax()))),
            documentation,
            is_private: !is_public,
            is_of_value: true,
        };
        put(catalogue, of.text(), name, member);
    };
    match it.field_list() {
        Some(ast::FieldList::RecordFieldList(fields)) => {
            for field in fields.fields() {
                if let Some(name) = field.name() {
                    add(
                        name.text(),
                        field.ty(),
                        documentation(&field),
                        is_public(&field),
                    );
                }
            }
        }
        Some(ast::FieldList::TupleFieldList(fields)) => {
            for (at, field) in fields.fields().enumerate() {
                add(
                    &at.to_string(),
                    field.ty(),
                    documentation(&field),
                    is_public(&field),
                );
            }
        }
        None => {}
    }
}

/// Of two types of the same name, what is public in one is public.
fn put(catalogue: &mut Catalogue, of: &str, name: &str, member: Member) {
    let members = catalogue.types.entry(of.to_owned()).or_default();
    let is_better = members
        .get(name)
        .is_none_or(|known| known.is_private && !member.is_private);
    if is_better {
        members.insert(name.to_owned(), member);
    }
}

fn is_public(node: &impl HasVisibility) -> bool {
    node.visibility()
        .is_some_and(|visibility| visibility.syntax().text() == "pub")
}

fn documentation(node: &impl HasDocComments) -> String {
    let lines: Vec<String> = node
        .doc_comments()
        .map(|comment| {
            let text = comment.syntax().text();
            text.trim_start_matches(['/', '!', '*']).trim().to_owned()
        })
        .take_while(|line| !line.is_empty())
        .collect();
    let text = lines.join(" ");
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn one_line(node: &ra_ap_syntax::SyntaxNode) -> String {
    let text = node.text().to_string();
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").replace("( ", "(").replace(" )", ")")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prelude_exports_one_name_a_line() {
        let text = "// What?\npub use candle_core::Tensor;\npub use crate::model::Best as _;\npub use plotly;";
        assert_eq!(exported(text), ["Tensor", "plotly"]);
    }

    #[test]
    fn members_have_their_signature_and_first_paragraph() {
        let catalogue = catalogue(&[r#"
            pub mod inner {
                /// A thing.
                pub struct Thing {
                    /// How many,
                    /// in all.
                    ///
                    /// More.
                    pub count: usize,
                }
                impl Thing {
                    /// Makes one.
                    pub fn new<T: Into<u8>>(
                        first: T,
                        second: u8,
                    ) -> Self { todo!() }
                    pub(crate) fn hidden(&self) {}
                    #[doc(hidden)]
                    pub fn internal(&self) {}
                }
                impl Clone for Thing { fn clone(&self) -> Self { todo!() } }
            }
            pub trait Act { fn act(&mut self) -> u8; }
        "#]);
        let new = catalogue.member(Some("Thing"), "new").expect("a function");
        assert_eq!(new.signature, "<T: Into<u8>>(first: T, second: u8) -> Self");
        assert_eq!(
            (new.documentation.as_str(), new.is_of_value),
            ("Makes one.", false)
        );
        let count = catalogue.member(Some("Thing"), "count").expect("a field");
        assert_eq!(
            (count.signature.as_str(), count.documentation.as_str()),
            (": usize", "How many, in all.")
        );
        for private in ["hidden", "internal"] {
            assert!(catalogue.is_private(Some("Thing"), private), "{private}");
        }
        assert!(catalogue.member(Some("Thing"), "clone").is_none());
        assert_eq!(
            catalogue
                .member(Some("Act"), "act")
                .map(|it| it.signature.as_str()),
            Some("(&mut self) -> u8")
        );
    }
}
