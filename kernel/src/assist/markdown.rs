//! The analyzer's descriptions as Markdown: the engine hands them out as HTML, which has no colours in
//! JupyterLab.

/// The few elements that documentation is made of, as Markdown; others are left out.
pub(super) fn from_html(html: &str) -> String {
    let mut out = String::new();
    let mut rest = html;
    let mut lists: Vec<Option<usize>> = Vec::new();
    let mut is_block = false;
    while let Some(open) = rest.find('<') {
        text(&rest[..open], is_block, &mut out);
        let Some(close) = rest[open..].find('>') else {
            rest = &rest[open..];
            break;
        };
        let tag = &rest[open + 1..open + close];
        rest = &rest[open + close + 1..];
        let name = tag
            .split([' ', '/'])
            .find(|part| !part.is_empty())
            .unwrap_or("");
        let ends = tag.starts_with('/');
        match (name, ends) {
            ("p" | "table" | "blockquote", true) => out.push_str("\n\n"),
            ("tr", true) => out.push('\n'),
            ("td" | "th", true) => out.push_str(" | "),
            ("br", _) => out.push('\n'),
            ("hr", _) => out.push_str("\n---\n\n"),
            ("h1" | "h2" | "h3" | "h4", false) => out.push_str("\n#### "),
            ("h1" | "h2" | "h3" | "h4", true) => out.push_str("\n\n"),
            ("em", _) => out.push('*'),
            ("strong", _) => out.push_str("**"),
            ("pre", false) => is_block = true,
            ("pre", true) => is_block = false,
            ("code", false) if is_block => {
                let language = tag
                    .split_once("language-")
                    .map_or("", |(_, language)| language);
                let language = language
                    .trim_end_matches('"')
                    .split(',')
                    .next()
                    .unwrap_or("");
                let language = match language {
                    "" => "rust",
                    other => other,
                };
                out.push_str(&format!("```{language}\n"));
            }
            ("code", true) if is_block => out.push_str("```\n\n"),
            ("code", _) => out.push('`'),
            ("ul", false) => lists.push(None),
            ("ol", false) => lists.push(Some(0)),
            ("ul" | "ol", true) => {
                lists.pop();
                out.push('\n');
            }
            ("li", false) => {
                let indent = "  ".repeat(lists.len().saturating_sub(1));
                match lists.last_mut() {
                    Some(Some(number)) => {
                        *number += 1;
                        out.push_str(&format!("{indent}{number}. "));
                    }
                    _ => out.push_str(&format!("{indent}- ")),
                }
            }
            ("li", true) if !out.ends_with('\n') => out.push('\n'),
            _ => {}
        }
    }
    text(rest, is_block, &mut out);
    tidy(&out)
}

/// Without blank lines in a row, and without what is not for a reader: the crate of the cells, and the
/// lines that `cargo doc` hides.
fn tidy(text: &str) -> String {
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
            lines.push_str(line);
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

fn text(text: &str, is_block: bool, out: &mut String) {
    // Between elements there are line ends only.
    if !is_block && text.trim().is_empty() && text.contains('\n') {
        return;
    }
    let text = text
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"");
    out.push_str(
        &text
            .replace("&#39;", "'")
            .replace("&#x27;", "'")
            .replace("&amp;", "&"),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_documentation_is_made_of() {
        let html = "<pre><code class=\"language-rust\">fn f&lt;T&gt;()\n</code></pre>\n<hr />\n\
                    <p>Is <code>a</code> <em>or</em> <a href=\"x\">b</a>.</p>\n<h1>Errors</h1>\n\
                    <ul>\n<li>one</li>\n<li>two</li>\n</ul>\n";
        assert_eq!(
            from_html(html),
            "```rust\nfn f<T>()\n```\n\n---\n\nIs `a` *or* b.\n\n#### Errors\n\n- one\n- two\n"
        );
        assert_eq!(from_html("a < b"), "a < b\n");
    }

    #[test]
    fn what_is_not_for_a_reader_is_left_out() {
        let html = "<pre><code class=\"language-rust\">ctx::Point\n</code></pre>\n<p>X</p>\n\
                    <pre><code># hidden\nshown();\n</code></pre>";
        let markdown = from_html(html);
        assert_eq!(
            markdown,
            "```rust\nPoint\n```\n\nX\n\n```rust\nshown();\n```\n"
        );
        assert_eq!(plain(&markdown), "Point\n\nX\n\nshown();\n");
    }
}
