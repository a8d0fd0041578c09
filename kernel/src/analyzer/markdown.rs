//! The analyzer's descriptions, as a reader of a notebook needs them.

/// Without blank lines in a row, and without what is not for a reader: the crate of the cells, and the
/// lines that `cargo doc` hides.
pub(super) fn tidy(text: &str) -> String {
    let mut lines = String::new();
    let (mut blank, mut is_code) = (true, false);
    let text = text
        .replace("```rust\nctx\n```\n", "")
        .replace("```rust\nctx::", "```rust\n");
    for line in text.lines() {
        let line = line.trim_end();
        is_code ^= line.starts_with("```");
        let is_hidden = is_code && (line == "#" || line.starts_with("# "));
        let is_second = line.is_empty() && blank;
        if !(is_hidden || is_second) {
            // A heading in a tooltip is a small one.
            if !is_code && line.starts_with('#') {
                lines.push_str("#### ");
                lines.push_str(line.trim_start_matches(['#', ' ']));
            } else {
                lines.push_str(line);
            }
            lines.push('\n');
        }
        blank = line.is_empty();
    }
    if lines.ends_with("\n\n") {
        lines.pop();
    }
    lines
}

/// The same for a reader without Markdown.
pub(super) fn plain(markdown: &str) -> String {
    let mut out = String::new();
    for line in markdown.lines() {
        if line.starts_with("```") || line == "---" {
            continue;
        }
        let line = line.strip_prefix("#### ").unwrap_or(line);
        if !(line.is_empty() && (out.is_empty() || out.ends_with("\n\n"))) {
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_for_a_reader_is_left_out() {
        let markdown = "```rust\nctx::Point\n```\n\n---\n\n\nX\n\n# Errors\n\n```rust\n# hidden\nshown::<T>();\n```";
        let tidied = tidy(markdown);
        assert_eq!(
            tidied,
            "```rust\nPoint\n```\n\n---\n\nX\n\n#### Errors\n\n```rust\nshown::<T>();\n```\n"
        );
        assert_eq!(plain(&tidied), "Point\n\nX\n\nErrors\n\nshown::<T>();\n");
    }
}
