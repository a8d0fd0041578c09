//! What the types of the prelude and of the standard library have: read once, at install time, from
//! their sources.
//!
//! The analyzer suggests private fields and methods with the public ones, leaves out what functions
//! take and return, and cannot be asked while a cell compiles. This knows all three by name.

mod reading;

pub use reading::read;

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// The members of types, by the last name of the type's path.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalogue {
    types: BTreeMap<String, BTreeMap<String, Member>>,
    /// The names that every notebook has imported.
    #[serde(default)]
    exported: Vec<String>,
}

/// A method, an associated function or a field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Member {
    /// Parameters and result, or `: ` and the type of a field.
    #[serde(rename = "s")]
    pub(super) signature: String,
    /// The first paragraph of its documentation.
    #[serde(rename = "d", default, skip_serializing_if = "String::is_empty")]
    pub(super) documentation: String,
    #[serde(rename = "p", default, skip_serializing_if = "is_false")]
    pub(super) is_private: bool,
    /// Whether it needs a value of the type.
    #[serde(rename = "v", default, skip_serializing_if = "is_false")]
    pub(super) is_of_value: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde asks with a reference.
fn is_false(value: &bool) -> bool {
    !value
}

impl Catalogue {
    /// What an installation holds; nothing where it has none, as one of an older version.
    pub fn load(file: &Path) -> Self {
        std::fs::read_to_string(file)
            .ok()
            .and_then(|text| serde_json::from_str(&text).ok())
            .unwrap_or_default()
    }

    /// The names that every notebook has imported.
    pub(super) fn exported(&self) -> &[String] {
        &self.exported
    }

    /// What `name` is on a type; on any type, where all that have it agree.
    pub(super) fn member(&self, of: Option<&str>, name: &str) -> Option<&Member> {
        if let Some(of) = of {
            let member = self.types.get(head(of))?.get(name)?;
            return (!member.is_private).then_some(member);
        }
        let mut found = self
            .types
            .values()
            .filter_map(|members| members.get(name))
            .filter(|member| !member.is_private);
        let first = found.next()?;
        found
            .all(|other| other.signature == first.signature)
            .then_some(first)
    }

    /// Whether any type has a public `name`.
    pub(super) fn has(&self, name: &str) -> bool {
        let mut all = self.types.values().filter_map(|members| members.get(name));
        all.any(|member| !member.is_private)
    }

    /// Whether a cell cannot name this of a type; of any type, where nobody knows which.
    pub(super) fn is_private(&self, of: Option<&str>, name: &str) -> bool {
        let of = of.and_then(|of| self.types.get(head(of)));
        if let Some(members) = of {
            return members.get(name).is_some_and(|member| member.is_private);
        }
        let mut all = self.types.values().filter_map(|members| members.get(name));
        let first = all.next();
        first.is_some_and(|first| first.is_private) && all.all(|member| member.is_private)
    }

    /// The members of a type: those of its values, or those on its path.
    pub(super) fn members(
        &self,
        of: &str,
        is_path: bool,
    ) -> impl Iterator<Item = (&String, &Member)> {
        let of = head(of);
        // What a value lends out has methods too.
        let lent = match of {
            "String" if !is_path => Some("str"),
            "Vec" if !is_path => Some(SLICE),
            _ => None,
        };
        let members = [Some(of), lent].into_iter().flatten();
        let members = members.filter_map(|of| self.types.get(of)).flatten();
        members.filter(move |(_, member)| !member.is_private && (is_path || member.is_of_value))
    }
}

/// What slices go by.
const SLICE: &str = "[T]";

/// `Vec` of `&alloc::vec::Vec<Tensor>`.
fn head(of: &str) -> &str {
    let of = of.trim_start_matches(['&', '*', ' ']);
    let of = of.strip_prefix("mut ").unwrap_or(of);
    let of = of.split('<').next().unwrap_or(of);
    let of = of.strip_suffix("::").unwrap_or(of);
    of.rsplit("::").next().unwrap_or(of).trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_go_by_their_last_name() {
        for of in ["Vec", "&mut alloc::vec::Vec<a::B>", "std::vec::Vec::<u8>::"] {
            assert_eq!(head(of), "Vec", "{of}");
        }
    }

    #[test]
    fn what_is_private_everywhere_is_private_where_nobody_knows_the_type() {
        let catalogue = reading::catalogue(&[
            "pub struct A { pub x: u8, y: u8, z: u8 } impl A { fn f(&self) {} pub fn g(&self) {} }",
            "pub struct B { z: u8 } impl B { pub fn f(&self, other: &B) -> bool { true } pub fn g(&self) {} }",
        ]);
        assert!(catalogue.is_private(Some("A"), "f") && !catalogue.is_private(Some("B<u8>"), "f"));
        assert!(!catalogue.is_private(None, "f") && catalogue.is_private(None, "z"));
        assert!(!catalogue.is_private(Some("Mine"), "x"));
        assert_eq!(
            catalogue
                .member(Some("B"), "f")
                .map(|it| it.signature.as_str()),
            Some("(&self, other: &B) -> bool")
        );
        assert_eq!(catalogue.member(Some("A"), "f"), None);
        assert!(catalogue.member(None, "g").is_some());
        let values: Vec<&String> = catalogue
            .members("A", false)
            .map(|(name, _)| name)
            .collect();
        assert_eq!(values, ["g", "x"]);
    }
}
