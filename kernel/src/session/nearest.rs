//! Names that are nearly another.

/// How many are named.
const SHOWN: usize = 3;

/// Up to three of `names` that could have been meant by `name`, the nearest first.
pub(super) fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let most = (name.chars().count() / 3).max(1);
    let mut found: Vec<(usize, &str)> = names
        .map(|other| (distance(name, other), other))
        .filter(|(distance, _)| (1..=most).contains(distance))
        .collect();
    found.sort_unstable();
    found
        .into_iter()
        .take(SHOWN)
        .map(|(_, name)| name)
        .collect()
}

/// A sentence with the nearest of the known names, and a space behind it; nothing where none is near.
pub(super) fn sentence(unknown: &str, known: &[&str]) -> String {
    let mut near: Vec<(usize, &str)> = known
        .iter()
        .map(|name| (distance(letters(unknown), letters(name)), *name))
        .filter(|(distance, name)| *distance <= 2 || begins_alike(unknown, name))
        .collect();
    near.sort_unstable();
    let quoted: Vec<String> = near
        .iter()
        .take(SHOWN)
        .map(|(_, name)| format!("`{name}`"))
        .collect();
    match quoted.as_slice() {
        [] => String::new(),
        [only] => format!("Did you mean {only}? "),
        [first @ .., last] => format!("Did you mean {} or {last}? ", first.join(", ")),
    }
}

/// IPython's magics begin with `%` where ours begin with a colon.
fn letters(name: &str) -> &str {
    name.trim_start_matches([':', '%'])
}

fn begins_alike(unknown: &str, known: &str) -> bool {
    let (unknown, known) = (letters(unknown), letters(known));
    !unknown.is_empty() && known.starts_with(unknown)
}

/// How many characters must be put in, left out or changed.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, to) in row.iter_mut().skip(1).zip(&b) {
            let next = (diagonal + usize::from(from != *to))
                .min(*cell + 1)
                .min(left + 1);
            diagonal = *cell;
            left = next;
            *cell = next;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_count_edits() {
        for (a, b, expected) in [
            ("", "", 0),
            ("a", "", 1),
            ("model", "modle", 2),
            ("model", "models", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn the_nearest_comes_first_and_strangers_do_not_come() {
        let names = ["cache", "models", "modell", "tokens", "model2x"];
        assert_eq!(nearest("model", names.into_iter()), ["modell", "models"]);
        assert!(nearest("x", ["yy", "x"].into_iter()).is_empty());
    }

    #[test]
    fn a_sentence_names_those_that_begin_alike_too() {
        let known = [":vars", ":time", ":timeit", ":help"];
        assert_eq!(
            sentence(":tim", &known),
            "Did you mean `:time` or `:timeit`? "
        );
        assert_eq!(sentence("%var", &known), "Did you mean `:vars`? ");
        assert_eq!(sentence(":matplotlib", &known), "");
    }
}
