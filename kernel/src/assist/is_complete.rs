//! Whether a cell can be run as it stands.

use super::lexical::{self, Piece};
use ra_ap_syntax::{Edition, SourceFile};

/// Whether a cell can be run as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Completeness {
    Complete,
    /// More must follow; the next line starts with this many spaces.
    Incomplete {
        indent: usize,
    },
    /// Nothing that follows can make it valid.
    Invalid,
}

/// Judges by delimiters, strings and comments, and then by where the parser misses something, as a
/// reader does who waits for the closing brace.
pub fn is_complete(code: &str) -> Completeness {
    // Orders to the kernel and shell lines are complete as they stand.
    let code = &code[lexical::orders(code)..];
    let mut open = Vec::new();
    let (mut at, mut end) = (0, 0);
    while at < code.len() {
        at += match lexical::piece(code, at) {
            Piece::Comment(len) => len,
            Piece::OpenComment | Piece::OpenText { .. } => {
                return Completeness::Incomplete { indent: 0 };
            }
            Piece::Text { len, .. } => {
                end = at + len;
                len
            }
            Piece::Code(len) => {
                let piece = &code[at..at + len];
                match piece {
                    "(" | "[" | "{" => open.push(piece),
                    ")" | "]" | "}" => {
                        let expected = match piece {
                            ")" => "(",
                            "]" => "[",
                            _ => "{",
                        };
                        if open.pop() != Some(expected) {
                            return Completeness::Invalid;
                        }
                    }
                    _ => {}
                }
                if !piece.trim().is_empty() {
                    end = at + len;
                }
                len
            }
        };
    }
    if !open.is_empty() {
        return Completeness::Incomplete {
            indent: 4 * open.len(),
        };
    }
    // A blank line ends what only looks as if it went on.
    let is_ended = code[end..].contains('\n') && code.ends_with('\n');
    if !is_ended && goes_on(&code[..end]) {
        Completeness::Incomplete { indent: 4 }
    } else {
        Completeness::Complete
    }
}

/// Whether the parser misses something at the end of this code, other than a semicolon.
fn goes_on(code: &str) -> bool {
    const BEFORE: &str = "fn cell() {";
    let parsed = SourceFile::parse(&format!("{BEFORE}{code}\n}}"), Edition::Edition2024);
    let end = BEFORE.len() + code.len();
    parsed.errors().iter().any(|error| {
        usize::from(error.range().start()) >= end && !error.to_string().contains("SEMICOLON")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(code: &str, expected: Completeness) {
        assert_eq!(is_complete(code), expected, "{code:?}");
    }

    #[test]
    fn delimiters_strings_and_comments_decide() {
        check("1 + 1", Completeness::Complete);
        check("fn f() {", Completeness::Incomplete { indent: 4 });
        check("f(&[1,", Completeness::Incomplete { indent: 8 });
        check("}", Completeness::Invalid);
        check("(]", Completeness::Invalid);
        check("println!(\"}\")", Completeness::Complete);
        check(
            "let c = '{'; let l: &'static str = \"\";",
            Completeness::Complete,
        );
        check("let c = '\\''; let d = '\\u{7d}';", Completeness::Complete);
        check("let s = r#\"a \" b\"#;", Completeness::Complete);
        check("let s = r#\"open", Completeness::Incomplete { indent: 0 });
        check("let s = br\"{\";", Completeness::Complete);
        check("/* a /* b */", Completeness::Incomplete { indent: 0 });
        check("// {", Completeness::Complete);
        check("", Completeness::Complete);
    }

    #[test]
    fn what_ends_in_the_middle_goes_on() {
        for code in [
            "let x =",
            "let x = 1 +",
            "let x = 1 -",
            "x.",
            "tensor.sum(0)?.",
            "v.iter().collect::<Vec<",
            "v.iter().collect::<Vec<_>>",
            "#[derive(Debug)]",
            "#[derive(Debug)] // the next line has the struct",
            "fn f()",
            "if x",
            "let c = |x|",
        ] {
            check(code, Completeness::Incomplete { indent: 4 });
        }
        check("let x =\n\n", Completeness::Complete);
    }

    #[test]
    fn what_can_be_run_is_complete() {
        for code in [
            "let x = 5",
            "let x = 5;",
            "use std::collections::*;",
            "v.iter().collect::<Vec<_>>()",
            "x // the first, the last,",
            "struct Point { x: f32 }",
            "#[derive(Debug)]\nstruct Point;",
            "for x in 0..3 { println!(\"{x}\"); }",
            "fn f() -> i32 {\n    1\n}",
            ":vars",
            ":dep rand = { version = \"0.9\", features = [\"small_rng\"",
            "!ls (",
            "!echo \"\n:vars\n1 + 1",
        ] {
            check(code, Completeness::Complete);
        }
        check(":time f(", Completeness::Complete);
        check(":vars\nf(", Completeness::Incomplete { indent: 4 });
    }
}
