//! Brackets and quotes that do not match, said before the engine puts its own around the cell.

use super::compile_error::{Mark, Shown};
use super::places::{Source, rust_begins};
use ra_ap_syntax::{Edition, NodeOrToken, SourceFile, SyntaxKind};
use std::ops::Range;
use std::sync::Arc;

/// What is wrong with the delimiters of a cell; nothing where they match.
pub(super) fn check(source: &Arc<Source>) -> Option<Shown> {
    let code = &source.code;
    let begins = rust_begins(code);
    let mut open: Vec<(char, Range<usize>)> = Vec::new();
    for (kind, range) in tokens(&code[begins..]) {
        let range = begins + range.start..begins + range.end;
        let text = code.get(range.clone()).unwrap_or_default();
        match kind {
            SyntaxKind::L_PAREN => open.push((')', range)),
            SyntaxKind::L_BRACK => open.push((']', range)),
            SyntaxKind::L_CURLY => open.push(('}', range)),
            SyntaxKind::R_PAREN | SyntaxKind::R_BRACK | SyntaxKind::R_CURLY => {
                let Some((closing, opening)) = open.pop() else {
                    return Some(shown(
                        source,
                        format!("unexpected closing delimiter: `{text}`"),
                        vec![(range, "nothing is open here")],
                    ));
                };
                if text != closing.to_string() {
                    return Some(shown(
                        source,
                        format!("mismatched closing delimiter: `{text}`"),
                        vec![
                            (range, "mismatched closing delimiter"),
                            (opening, "unclosed delimiter"),
                        ],
                    ));
                }
            }
            SyntaxKind::STRING | SyntaxKind::BYTE_STRING | SyntaxKind::C_STRING if !ends(text) => {
                let quote = range.start..range.start + text.find('"').map_or(1, |at| at + 1);
                return Some(Shown {
                    code: Some("E0765".to_owned()),
                    ..shown(
                        source,
                        "unterminated double quote string".to_owned(),
                        vec![(quote, "the string begins here, and does not end")],
                    )
                });
            }
            SyntaxKind::COMMENT if text.starts_with("/*") && !closes(text) => {
                return Some(Shown {
                    code: Some("E0758".to_owned()),
                    ..shown(
                        source,
                        "unterminated block comment".to_owned(),
                        vec![(
                            range.start..range.start + 2,
                            "the comment begins here, and does not end",
                        )],
                    )
                });
            }
            _ => {}
        }
    }
    let (closing, opening) = open.pop()?;
    let message = "this cell contains an unclosed delimiter".to_owned();
    let mut error = shown(source, message, vec![(opening, "unclosed delimiter")]);
    error
        .advice
        .push(format!("write `{closing}` where it should end"));
    Some(error)
}

fn shown(source: &Arc<Source>, message: String, marks: Vec<(Range<usize>, &str)>) -> Shown {
    Shown {
        marks: marks
            .into_iter()
            .enumerate()
            .map(|(at, (range, label))| Mark {
                source: source.clone(),
                range,
                label: label.to_owned(),
                is_primary: at == 0,
            })
            .collect(),
        ..Shown::new(message)
    }
}

fn tokens(rust: &str) -> Vec<(SyntaxKind, Range<usize>)> {
    SourceFile::parse(rust, Edition::Edition2024)
        .syntax_node()
        .descendants_with_tokens()
        .filter_map(NodeOrToken::into_token)
        .map(|token| {
            let range = token.text_range();
            (
                token.kind(),
                usize::from(range.start())..usize::from(range.end()),
            )
        })
        .collect()
}

/// Whether a string literal is closed; what may follow the quotes of a raw one does not matter.
fn ends(text: &str) -> bool {
    let Some((prefix, rest)) = text.split_once('"') else {
        return true;
    };
    if prefix.contains('r') {
        let hashes = prefix.matches('#').count();
        return rest.contains(&format!("\"{}", "#".repeat(hashes)));
    }
    let mut escaped = false;
    for c in rest.chars() {
        match c {
            '"' if !escaped => return true,
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    false
}

/// Whether a block comment, which may hold others, is closed.
fn closes(text: &str) -> bool {
    text.matches("/*").count() <= text.matches("*/").count()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(code: &str) -> Option<String> {
        let source = Arc::new(Source {
            title: "cell [1]".to_owned(),
            code: code.to_owned(),
        });
        check(&source).map(|error| {
            let mark = &error.marks[0];
            format!("{} at {}", error.message, mark.range.start)
        })
    }

    #[test]
    fn what_matches_is_left_to_the_compiler() {
        for code in [
            "let v = vec![1, (2)];",
            "let s = \"{ [ (\"; // }",
            "let c = '{'; let s = r#\"a \" b {\"#; /* { /* */ */",
            "\"a\\\"b\"",
            "let x = ;",
            ":dep x = { a = [\nlet y = 1;",
            "b\"x\"; c\"y\"; 'a: loop { break 'a }",
            "\"two\nlines\"",
            "",
        ] {
            assert_eq!(message(code), None, "{code}");
        }
    }

    #[test]
    fn what_does_not_match_is_shown_where_it_is() {
        for (code, expected) in [
            ("}", "unexpected closing delimiter: `}` at 0"),
            ("f(]", "mismatched closing delimiter: `]` at 2"),
            (
                "let é = vec![1;\nx",
                "this cell contains an unclosed delimiter at 13",
            ),
            ("let s = \"abc;", "unterminated double quote string at 8"),
            ("1 /* a", "unterminated block comment at 2"),
            (
                "// {\nfn f() {\n  if x {\n}",
                "this cell contains an unclosed delimiter at 12",
            ),
        ] {
            assert_eq!(message(code).as_deref(), Some(expected), "{code}");
        }
    }
}
