//! Ids that follow a pattern in which `{}` stands for a number.

/// What `paths` says for the numbers that `id` has where `ids` has `{}`; nothing where it is of another
/// form.
pub(super) fn translate(ids: &str, paths: &str, id: &str) -> Option<String> {
    let numbers = numbers(ids, id)?;
    let mut numbers = numbers.iter();
    let mut path = String::new();
    for (index, part) in paths.split("{}").enumerate() {
        if index > 0 {
            path.push_str(numbers.next()?);
        }
        path.push_str(part);
    }
    Some(path)
}

fn numbers<'a>(pattern: &str, mut id: &'a str) -> Option<Vec<&'a str>> {
    let mut numbers = Vec::new();
    for (index, part) in pattern.split("{}").enumerate() {
        if index > 0 {
            let digits = id.find(|c: char| !c.is_ascii_digit()).unwrap_or(id.len());
            let (number, rest) = id.split_at_checked(digits)?;
            if number.is_empty() {
                return None;
            }
            numbers.push(number);
            id = rest;
        }
        id = id.strip_prefix(part)?;
    }
    id.is_empty().then_some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_carried_over() {
        let ids = "blocks.{}.hook_mlp_out__trainer_{}";
        let path = translate(ids, "l{}/t{}", "blocks.3.hook_mlp_out__trainer_12");
        assert_eq!(path.as_deref(), Some("l3/t12"));
        assert_eq!(translate(ids, "x", "blocks.3.hook_mlp_out__trainer_"), None);
        assert_eq!(translate("layer{}", "{}", "layer4x"), None);
        assert_eq!(translate("same", "other", "same").as_deref(), Some("other"));
    }
}
