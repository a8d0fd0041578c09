//! The analyzer's suggestions as a reader expects them: names alone, without what is private, internal
//! or of no use, and what is the type's own before what every type has.

use super::catalogue::Catalogue;
use crate::session::{Completion, Completions};
use std::collections::BTreeMap;

/// What could stand at the cursor.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Matches {
    /// The bytes that a match replaces.
    pub start: usize,
    pub end: usize,
    pub items: Vec<Match>,
}

/// One of them.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Match {
    pub text: String,
    /// What JupyterLab shows an icon for, e.g. `function`.
    pub kind: String,
    /// A function's parameters and result, a variable's type; empty where nobody knows.
    pub signature: String,
}

/// What traits give to nearly every type.
const EVERYWHERE: &[&str] = &[
    "as_mut",
    "as_ref",
    "borrow",
    "borrow_mut",
    "bundle",
    "clone_from",
    "clone_into",
    "into",
    "into_iter",
    "prepare",
    "to_owned",
    "try_into",
    "type_id",
];

/// What is there for generated code, and what the engine defines around a cell.
const INTERNAL: &[&str] = &["ferrolens_last", "EvcxrUserCodeError"];

/// Where the analyzer was asked.
pub(super) struct Asked<'a> {
    /// The type or the path before the name, where that is known.
    pub(super) of: Option<&'a str>,
    /// Whether a value's `.` stands before it, and that value's fields are not the notebook's own: one
    /// whose source nobody has read is one that a cell cannot name.
    pub(super) hides_fields: bool,
}

/// The analyzer's suggestions, best first.
pub(super) fn rank(found: Completions, asked: &Asked, catalogue: &Catalogue) -> Vec<Match> {
    let of = asked.of;
    let mut ranked: BTreeMap<(u8, String), Match> = BTreeMap::new();
    for item in found.items {
        let Some(text) = name(&item) else { continue };
        let is_private = |name: &str| catalogue.is_private(of, name);
        let is_internal = text.starts_with("evcxr_")
            || text.starts_with("__")
            || INTERNAL.contains(&text.as_str());
        let is_field = item.kind == "instance" && !item.label.contains('(');
        let is_unknown = is_field
            && asked.hides_fields
            && !text.starts_with(|c: char| c.is_ascii_digit())
            && !catalogue.has(&text);
        if is_internal || is_unknown || is_private(&text) {
            continue;
        }
        let rank = match item.kind.as_str() {
            _ if EVERYWHERE.contains(&text.as_str()) => 3,
            _ if of.is_some_and(|of| catalogue.member(Some(of), &text).is_some()) => 1,
            "instance" | "class" | "module" => 0,
            _ => 2,
        };
        let signature = catalogue
            .member(of, &text)
            .map_or_else(|| arguments(&item), |member| member.signature.clone());
        let key = (rank, text.to_lowercase());
        ranked.entry(key).or_insert(Match {
            kind: kind(&item).to_owned(),
            signature,
            text,
        });
    }
    ranked.into_values().collect()
}

/// Those that begin with what was typed, an equal one first; where there are none, those that hold it.
pub(super) fn narrow(matches: &[Match], typed: &str) -> Vec<Match> {
    let begin = |prefix: &str| -> Vec<Match> {
        let found = matches.iter().filter(|it| it.text.starts_with(prefix));
        found.cloned().collect()
    };
    let mut found = begin(typed);
    if found.is_empty() {
        let typed = typed.to_lowercase();
        let holds = |it: &&Match| it.text.to_lowercase().contains(&typed);
        found = matches.iter().filter(holds).cloned().collect();
    }
    found.sort_by_key(|it| it.text != typed);
    found
}

/// The name alone: a reader types the parentheses, and sees the parameters meanwhile.
fn name(item: &Completion) -> Option<String> {
    let label = item.label.as_str();
    let raw = label.strip_prefix("r#").unwrap_or(label);
    let len = raw
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(raw.len());
    let (name, rest) = raw.split_at(len);
    // `iter().map(…)`, a guess at what a reader might have meant.
    let is_guess = rest.trim_start_matches("()").starts_with('.') && rest.starts_with("()");
    if name.is_empty() || is_guess {
        return None;
    }
    let behind = match rest {
        "::" => "::",
        _ if rest.starts_with('!') => "!",
        _ => "",
    };
    let raw = if raw.len() < label.len() { "r#" } else { "" };
    Some(format!("{raw}{name}{behind}"))
}

fn kind(item: &Completion) -> &str {
    match item.kind.as_str() {
        "class" | "module" | "keyword" | "function" => &item.kind,
        _ if item.label.contains('(') => "function",
        other => other,
    }
}

/// The parameters' names, which the analyzer fills in.
fn arguments(item: &Completion) -> String {
    let open = item.text.find('(');
    let arguments = open.and_then(|open| item.text.get(open..)).unwrap_or("");
    if arguments.contains('\n') {
        return String::new();
    }
    arguments.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(text: &str, kind: &str, label: &str) -> Completion {
        Completion {
            text: text.to_owned(),
            kind: kind.to_owned(),
            label: label.to_owned(),
        }
    }

    fn texts(matches: &[Match]) -> Vec<&str> {
        matches.iter().map(|it| it.text.as_str()).collect()
    }

    #[test]
    fn names_alone_own_ones_first_and_nothing_internal() {
        let anywhere = Asked {
            of: None,
            hides_fields: false,
        };
        let found = Completions {
            items: vec![
                item("into()", "function", "into()"),
                item("add(rhs)", "function", "add(…)"),
                item("iter().map(f)", "function", "iter().map(…)"),
                item("ferrolens_last()", "function", "ferrolens_last()"),
                item("evcxr_display()", "function", "evcxr_display()"),
                item("W_E", "instance", "W_E"),
                item("println!()", "function", "println!(…)"),
                item("fmt::", "module", "fmt::"),
                item("r#type", "instance", "r#type"),
                item("if  {\n    \n}", "keyword", "if"),
            ],
            ..Completions::default()
        };
        let ranked = rank(found, &anywhere, &Catalogue::default());
        assert_eq!(
            texts(&ranked),
            ["fmt::", "r#type", "W_E", "add", "if", "println!", "into"]
        );
        assert_eq!(ranked[3].signature, "(rhs)");

        let behind_value = Asked {
            hides_fields: true,
            ..anywhere
        };
        let found = Completions {
            items: vec![
                item("ptr", "instance", "ptr"),
                item("0", "instance", "0"),
                item("next()", "function", "next()"),
            ],
            ..Completions::default()
        };
        let ranked = rank(found, &behind_value, &Catalogue::default());
        assert_eq!(texts(&ranked), ["0", "next"]);
    }

    #[test]
    fn an_equal_name_comes_first_and_a_part_is_better_than_nothing() {
        let matches: Vec<Match> = ["run", "run_with_cache", "W_E"]
            .map(|text| Match {
                text: text.to_owned(),
                ..Match::default()
            })
            .into();
        assert_eq!(texts(&narrow(&matches, "run")), ["run", "run_with_cache"]);
        assert_eq!(texts(&narrow(&matches, "cache")), ["run_with_cache"]);
        assert_eq!(texts(&narrow(&matches, "w_")), ["W_E"]);
        assert_eq!(narrow(&matches, "").len(), 3);
        assert!(narrow(&matches, "xyz").is_empty());
    }
}
