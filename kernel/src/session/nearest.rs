//! Which known names a mistyped one was meant to be.

const SHOWN: usize = 3;

/// A sentence with the nearest of the known names, and a space behind it; nothing where none is near.
pub(super) fn sentence(unknown: &str, known: &[&str]) -> String {
    let mut near: Vec<(usize, &str)> = known
        .iter()
        .map(|name| (distance(unknown, name), *name))
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

fn distance(unknown: &str, known: &str) -> usize {
    let known: Vec<char> = letters(known).chars().collect();
    let mut row: Vec<usize> = (0..=known.len()).collect();
    for (i, from) in letters(unknown).chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        let mut next = vec![left];
        for (to, above) in known.iter().zip(row.iter().skip(1)) {
            let replaced = diagonal + usize::from(from != *to);
            left = replaced.min(left + 1).min(above + 1);
            diagonal = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_edits() {
        for (a, b, edits) in [
            ("time", "time", 0),
            ("tiem", "time", 2),
            ("vras", "vars", 2),
            ("", "ab", 2),
        ] {
            assert_eq!(distance(a, b), edits, "{a} {b}");
        }
    }

    #[test]
    fn the_nearest_come_first_and_strangers_not_at_all() {
        let known = [":vars", ":time", ":timeit", ":help"];
        assert_eq!(
            sentence(":tim", &known),
            "Did you mean `:time` or `:timeit`? "
        );
        assert_eq!(sentence("%var", &known), "Did you mean `:vars`? ");
        assert_eq!(sentence(":matplotlib", &known), "");
    }
}
