//! Sources as the analyzer needs them: names, types and their documentation, without what functions do.
//!
//! The analyzer reads these files at every start of a kernel, and looks through what it made of them
//! in every cell. It never asks what a function of another crate does.

use ra_ap_syntax::ast::{self, AstNode, AstToken, HasAttrs, HasName, HasVisibility};
use ra_ap_syntax::{Edition, NodeOrToken, SourceFile, SyntaxNode, SyntaxToken, WalkEvent};

/// In the place of a body: any type will do.
const BODY: &str = "{loop{}}";

/// A constant's value may depend on a short constant function, which so keeps its body; in bytes.
const SHORT: usize = 400;

/// The outline of a file; a file that the parser does not understand stays as it is.
pub(super) fn outline(text: &str) -> String {
    let editions = [Edition::Edition2024, Edition::Edition2021];
    let Some(file) = editions.into_iter().find_map(|edition| {
        let parsed = SourceFile::parse(text, edition);
        parsed.errors().is_empty().then(|| parsed.tree())
    }) else {
        return text.to_owned();
    };
    let mut out = String::with_capacity(text.len());
    let mut walk = file.syntax().preorder_with_tokens();
    while let Some(event) = walk.next() {
        let WalkEvent::Enter(element) = event else {
            continue;
        };
        match element {
            NodeOrToken::Token(token) => put(&mut out, &token),
            NodeOrToken::Node(node) => {
                if let Some(instead) = instead(&node) {
                    out.push_str(instead);
                    walk.skip_subtree();
                }
            }
        }
    }
    out
}

/// A token; of space and comments as little as keeps the others apart.
fn put(out: &mut String, token: &SyntaxToken) {
    if let Some(comment) = ast::Comment::cast(token.clone()) {
        match comment.is_doc() {
            true => out.push_str(token.text()),
            false => out.push(' '),
        }
    } else if ast::Whitespace::can_cast(token.kind()) {
        let space = match token.text().contains('\n') {
            true => '\n',
            false => ' ',
        };
        if !out.ends_with(space) {
            out.push(space);
        }
    } else {
        out.push_str(token.text());
    }
}

/// What stands in the place of a node, where it is not the node itself.
fn instead(node: &SyntaxNode) -> Option<&'static str> {
    if let Some(item) = ast::Item::cast(node.clone())
        && is_test(&item)
    {
        return Some("");
    }
    if let Some(function) = ast::Fn::cast(node.clone()) {
        return (!is_asked_for(&function)).then_some("");
    }
    let function = ast::Fn::cast(ast::BlockExpr::cast(node.clone())?.syntax().parent()?)?;
    (!says_more_than_its_type(&function, node)).then_some(BODY)
}

fn is_test(item: &ast::Item) -> bool {
    item.attrs().any(|attribute| {
        let text: String = attribute.to_string().split_whitespace().collect();
        matches!(&*text, "#[cfg(test)]" | "#[test]" | "#[bench]")
    })
}

/// Whether code of another crate may come upon a function.
fn is_asked_for(function: &ast::Fn) -> bool {
    if function.const_token().is_some() || function.name().is_some_and(|name| name.text() == "main")
    {
        return true;
    }
    // The compiler's own, whatever they are.
    if function
        .attrs()
        .any(|attribute| attribute.to_string().contains("lang"))
    {
        return true;
    }
    let around = function.syntax().ancestors().skip(1);
    for place in around {
        if ast::Trait::can_cast(place.kind()) || ast::ExternBlock::can_cast(place.kind()) {
            return true;
        }
        if let Some(of) = ast::Impl::cast(place) {
            if of.trait_().is_some() {
                // The trait says the same of it, but for a type that has no name.
                return returns_nameless(function);
            }
            break;
        }
    }
    function
        .visibility()
        .is_some_and(|visibility| visibility.to_string() == "pub")
}

fn says_more_than_its_type(function: &ast::Fn, body: &SyntaxNode) -> bool {
    let is_short = u32::from(body.text_range().len()) as usize <= SHORT;
    (function.const_token().is_some() && is_short) || returns_nameless(function)
}

fn returns_nameless(function: &ast::Fn) -> bool {
    function.async_token().is_some()
        || function
            .ret_type()
            .is_some_and(|kind| kind.to_string().contains("impl "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_types_and_documentation_stay() {
        let text = "\
//! A file.
use a::b; // Why.

/// A thing.
pub struct Thing { /* how */ pub size: usize }

impl Thing {
    /// How large it is.
    pub fn size(&self) -> usize { self.hidden() + 1 }
    fn hidden(&self) -> usize { 3 }
    pub(crate) fn shared(&self) {}
    pub const fn four() -> usize { 4 }
    pub fn each(&self) -> impl Iterator<Item = u8> { [1].into_iter() }
}

impl Clone for Thing {
    type Owned = Thing;
    fn clone(&self) -> Self { Thing { size: self.size } }
}

pub trait Grow {
    /// Grows.
    fn grow(&mut self) { self.more() }
    fn more(&mut self);
}

macro_rules! many { ($x:ident) => { /* quiet */ /// Loud.
    fn $x() {} } }

#[cfg(test)]
mod tests { fn it_works() {} }
";
        let found = outline(text);
        for kept in [
            "//! A file.\n",
            "/// How large it is.\npub fn size(&self) -> usize {loop{}}",
            "pub const fn four() -> usize { 4 }",
            "{ [1].into_iter() }",
            "type Owned = Thing;",
            "/// Grows.\nfn grow(&mut self) {loop{}}",
            "fn more(&mut self);",
            "/// Loud.\n",
        ] {
            assert!(found.contains(kept), "{kept:?} is not in\n{found}");
        }
        for cut in [
            "Why", "how", "hidden", "shared", "fn clone", "quiet", "it_works",
        ] {
            assert!(!found.contains(cut), "{cut:?} is in\n{found}");
        }
        let again = SourceFile::parse(&found, Edition::Edition2024);
        assert!(again.errors().is_empty(), "{:?}", again.errors());
    }

    #[test]
    fn what_is_not_understood_stays() {
        assert_eq!(outline("fn f( { }"), "fn f( { }");
    }
}
