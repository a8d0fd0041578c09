//! Names inside strings: hook points, models, releases of autoencoders, columns.

use super::place::Around;
use super::ranking::Match;
use ferrolens_frames::VariableSummary;
use std::collections::{BTreeMap, BTreeSet};

/// What could stand in a string, by what stands around it.
pub(super) fn names(
    around: &[Around],
    variables: &BTreeMap<String, VariableSummary>,
    words: &BTreeMap<String, Vec<String>>,
) -> Vec<Match> {
    for layer in around {
        let (root, listed) = match layer {
            // Text for a reader, who reads no hook points.
            Around::Macro => return Vec::new(),
            Around::Index { root } => (root, None),
            Around::Call {
                name,
                root,
                index,
                texts,
            } => (
                root,
                list(name, *index, texts).and_then(|list| words.get(&list)),
            ),
        };
        if let Some(listed) = listed {
            return matches(listed.iter(), "");
        }
        let variable = root.as_ref().and_then(|root| variables.get(root));
        if let Some(variable) = variable.filter(|it| !it.words.is_empty()) {
            return matches(variable.words.iter(), &variable.name);
        }
    }
    let mut seen = BTreeSet::new();
    let all = variables.values().flat_map(|variable| {
        variable
            .words
            .iter()
            .map(move |word| (word, variable.name.as_str()))
    });
    all.filter(|(word, _)| seen.insert(*word))
        .flat_map(|(word, of)| matches([word], of))
        .collect()
}

/// The list of names that a function takes in this argument.
fn list(name: &str, index: usize, texts: &[String]) -> Option<String> {
    let (of, function) = name.rsplit_once("::")?;
    if !function.starts_with("from_pretrained") {
        return None;
    }
    let of = of.rsplit("::").next().unwrap_or(of);
    match (of, index) {
        ("Sae", 0) => Some("releases".to_owned()),
        ("Sae", 1) => texts.first().map(|release| format!("ids of {release}")),
        (_, 0) => Some("models".to_owned()),
        _ => None,
    }
}

fn matches<'a>(words: impl IntoIterator<Item = &'a String>, of: &str) -> Vec<Match> {
    let words = words.into_iter().map(|word| Match {
        text: word.clone(),
        kind: "text".to_owned(),
        signature: of.to_owned(),
    });
    words.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(name: &str, words: &[&str]) -> (String, VariableSummary) {
        let summary = VariableSummary {
            name: name.to_owned(),
            words: words.iter().map(ToString::to_string).collect(),
            ..VariableSummary::default()
        };
        (name.to_owned(), summary)
    }

    fn check(around: &[Around], expected: &[&str]) {
        let variables = BTreeMap::from([
            variable("cache", &["hook_embed"]),
            variable("model", &["hook_embed", "hook_pos_embed"]),
            variable("x", &[]),
        ]);
        let words = [("models", "gpt2"), ("releases", "r"), ("ids of r", "i")];
        let words = words.map(|(of, word)| (of.to_owned(), vec![word.to_owned()]));
        let found = names(around, &variables, &words.into());
        let found: Vec<&str> = found.iter().map(|it| it.text.as_str()).collect();
        assert_eq!(found, expected, "{around:?}");
    }

    fn call(name: &str, root: Option<&str>, index: usize) -> Around {
        Around::Call {
            name: name.to_owned(),
            root: root.map(str::to_owned),
            index,
            texts: vec!["r".to_owned()],
        }
    }

    #[test]
    fn what_stands_around_a_string_decides() {
        let index = |root: &str| Around::Index {
            root: Some(root.to_owned()),
        };
        check(&[index("cache")], &["hook_embed"]);
        check(
            &[
                call("add", None, 0),
                call("run_with_hooks", Some("model"), 1),
            ],
            &["hook_embed", "hook_pos_embed"],
        );
        check(&[index("x")], &["hook_embed", "hook_pos_embed"]);
        check(&[], &["hook_embed", "hook_pos_embed"]);
        check(
            &[call("HookedTransformer::from_pretrained", None, 0)],
            &["gpt2"],
        );
        check(&[call("Sae::from_pretrained", None, 0)], &["r"]);
        check(&[call("sae::Sae::from_pretrained_with", None, 1)], &["i"]);
        check(&[Around::Macro, index("cache")], &[]);
    }
}
