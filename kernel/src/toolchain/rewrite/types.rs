//! The types of a cell's variables, which only the engine is told.

/// Calls no macro: it marks a `let` of the session's, and stands before the variable's name.
pub(crate) const TYPED: &str = "ferrolens_typed!";

/// Takes out what the session has put behind the user's own statements. The engine gives each
/// statement lines of its own.
pub(super) fn remove(lines: &mut [String]) {
    for line in lines {
        let text = line.trim_end();
        if text.starts_with("let ") && text.ends_with(");") && text.contains(TYPED) {
            line.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{TYPED, remove};

    #[test]
    fn only_what_the_session_has_put_in_goes() {
        let mut lines = vec![
            "let x = f();".to_owned(),
            format!("let x: Vec<u8> = {TYPED}(x);"),
            format!("println!(\"{TYPED}\");"),
        ];
        remove(&mut lines);
        assert_eq!(lines[0], "let x = f();");
        assert_eq!(lines[1], "");
        assert!(!lines[2].is_empty());
    }
}
