//! Text that comes from data, made harmless where it goes.

/// For HTML and SVG, in text and in quoted attributes.
pub(super) fn html(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // XML 1.0 has no way to write these.
            '\u{0}'..='\u{8}'
            | '\u{b}'
            | '\u{c}'
            | '\u{e}'..='\u{1f}'
            | '\u{fffe}'
            | '\u{ffff}' => {
                out.push('\u{fffd}');
            }
            other => out.push(other),
        }
    }
    out
}

/// For a label in a plotly figure, which reads a little HTML (`<b>`, `<br>`, `<a href>`) and
/// entities: a token `<br>` must stay a token.
pub(super) fn plotly(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

/// For JSON inside a `<script>`: `</script>` and `<!--` must not end or hide it.
pub(super) fn script(json: &str) -> String {
    json.replace('<', "\\u003c")
        .replace('\u{2028}', "\\u2028")
        .replace('\u{2029}', "\\u2029")
}

/// Makes white space and control characters visible: ` the` → `·the`, a line end → `↵`.
pub(super) fn visible(text: &str) -> String {
    text.chars()
        .map(|character| match character {
            ' ' => '·',
            '\n' => '↵',
            '\t' => '⇥',
            '\r' => '␍',
            '\u{0}'..='\u{1f}' => char::from_u32(0x2400 + character as u32).unwrap_or('�'),
            '\u{7f}' => '␡',
            '\u{a0}' => '⍽',
            other => other,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_breaks_out() {
        assert_eq!(html("<a b='\"'>&"), "&lt;a b=&#39;&quot;&#39;&gt;&amp;");
        assert_eq!(html("a\u{1b}b"), "a\u{fffd}b");
        assert_eq!(plotly("<br>&lt;"), "&lt;br&gt;&amp;lt;");
        assert_eq!(script(r#"{"a":"</script>"}"#), r#"{"a":"\u003c/script>"}"#);
        assert_eq!(visible(" a\n\u{1}"), "·a↵␁");
    }
}
