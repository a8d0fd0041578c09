//! Which known names a mistyped one was meant to be.

const SHOWN: usize = 3;

/// A sentence to append to an error about an unknown name: the nearest known ones, or nothing.
///
/// The sentence starts with a space, so that it can follow any other.
pub(crate) fn suggestion<S: AsRef<str>>(
    unknown: &str,
    known: impl IntoIterator<Item = S>,
) -> String {
    let near = nearest(unknown, known);
    match near.as_slice() {
        [] => String::new(),
        [only] => format!(" Did you mean `{only}`?"),
        [first @ .., last] => {
            let first: Vec<String> = first.iter().map(|name| format!("`{name}`")).collect();
            format!(" Did you mean {} or `{last}`?", first.join(", "))
        }
    }
}

fn nearest<S: AsRef<str>>(unknown: &str, known: impl IntoIterator<Item = S>) -> Vec<String> {
    let wanted = unknown.to_lowercase();
    let mut ranked: Vec<(usize, String)> = known
        .into_iter()
        .map(|name| (rank(&wanted, &name.as_ref().to_lowercase()), name))
        .map(|(rank, name)| (rank, name.as_ref().to_owned()))
        .collect();
    ranked.sort_by_key(|(rank, _)| *rank);
    let limit = 4 + wanted.chars().count() * 4;
    ranked.retain(|(rank, _)| *rank <= limit);
    ranked.dedup_by(|a, b| a.1 == b.1);
    ranked.truncate(SHOWN);
    ranked.into_iter().map(|(_, name)| name).collect()
}

/// Ten times the edit distance; less where one name holds the other or ends like it.
fn rank(wanted: &str, name: &str) -> usize {
    let edits = edit_distance(wanted, name);
    if !wanted.is_empty() && name.contains(wanted) {
        return name.len() - wanted.len();
    }
    let last = |text: &str| text.rsplit(['.', '/']).next().unwrap_or("").to_owned();
    if last(wanted) == last(name) {
        return edits * 4;
    }
    edits * 10
}

fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, to) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(from != *to);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: [&str; 4] = [
        "blocks.0.hook_resid_pre",
        "blocks.0.hook_resid_post",
        "blocks.0.attn.hook_pattern",
        "hook_embed",
    ];

    #[test]
    fn a_typing_error_finds_its_name() {
        let text = suggestion("blocks.0.hook_resid_per", KNOWN);
        assert!(
            text.starts_with(" Did you mean `blocks.0.hook_resid_pre`"),
            "{text}"
        );
    }

    #[test]
    fn a_part_of_a_name_finds_the_name() {
        assert!(suggestion("hook_pattern", KNOWN).contains("blocks.0.attn.hook_pattern"));
    }

    #[test]
    fn nonsense_finds_nothing() {
        assert_eq!(suggestion("zzzz", KNOWN), "");
    }

    #[test]
    fn distances_are_those_of_levenshtein() {
        assert_eq!(edit_distance("kitten", "sitting"), 3);
        assert_eq!(edit_distance("", "abc"), 3);
        assert_eq!(edit_distance("abc", "abc"), 0);
    }
}
