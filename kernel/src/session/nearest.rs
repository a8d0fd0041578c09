//! Names that are nearly another.

/// Up to three of `names` that could have been meant by `name`, the nearest first.
pub(super) fn nearest<'a>(name: &str, names: impl Iterator<Item = &'a str>) -> Vec<&'a str> {
    let most = (name.chars().count() / 3).max(1);
    let mut found: Vec<(usize, &str)> = names
        .map(|other| (distance(name, other), other))
        .filter(|(distance, _)| (1..=most).contains(distance))
        .collect();
    found.sort_unstable();
    found.into_iter().take(3).map(|(_, name)| name).collect()
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
}
