//! What a front end asks about code that has not run: is it complete, where is the cursor.

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

/// Judges by delimiters, strings and comments, as a reader does who waits for the closing brace.
pub fn is_complete(code: &str) -> Completeness {
    let text: Vec<char> = code.chars().collect();
    let mut open = Vec::new();
    let mut at = 0;
    while let Some(&c) = text.get(at) {
        let rest = &text[at..];
        at += match c {
            '(' | '[' | '{' => {
                open.push(c);
                1
            }
            ')' | ']' | '}' => {
                let expected = match c {
                    ')' => '(',
                    ']' => '[',
                    _ => '{',
                };
                if open.pop() != Some(expected) {
                    return Completeness::Invalid;
                }
                1
            }
            '/' if rest.get(1) == Some(&'/') => {
                rest.iter().position(|c| *c == '\n').unwrap_or(rest.len())
            }
            '/' if rest.get(1) == Some(&'*') => match block_comment(rest) {
                Some(len) => len,
                None => return Completeness::Incomplete { indent: 0 },
            },
            '"' => match string(rest) {
                Some(len) => len,
                None => return Completeness::Incomplete { indent: 0 },
            },
            '\'' => character(rest),
            'r' if !follows_word(&text, at) => match raw_string(rest) {
                Raw::No => 1,
                Raw::Closed(len) => len,
                Raw::Open => return Completeness::Incomplete { indent: 0 },
            },
            _ => 1,
        };
    }
    if !open.is_empty() {
        return Completeness::Incomplete {
            indent: 4 * open.len(),
        };
    }
    // A line that ends in an operator goes on; a blank line ends it all the same.
    let last = code.trim_end_matches([' ', '\t']);
    let goes_on = ["=", "+", "*", ",", "&&", "||", "->", "=>", "::", "."]
        .iter()
        .any(|operator| last.ends_with(operator));
    let is_type_star = last.ends_with("::*");
    if goes_on && !is_type_star {
        Completeness::Incomplete { indent: 4 }
    } else {
        Completeness::Complete
    }
}

fn follows_word(text: &[char], at: usize) -> bool {
    at.checked_sub(1)
        .is_some_and(|before| text[before].is_alphanumeric() || text[before] == '_')
}

/// The length of a block comment, which may hold others.
fn block_comment(text: &[char]) -> Option<usize> {
    let (mut depth, mut at) = (0_usize, 0);
    while at + 1 < text.len() {
        match (text[at], text[at + 1]) {
            ('/', '*') => {
                depth += 1;
                at += 2;
            }
            ('*', '/') => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => at += 1,
        }
    }
    None
}

fn string(text: &[char]) -> Option<usize> {
    let mut at = 1;
    while at < text.len() {
        match text[at] {
            '\\' => at += 2,
            '"' => return Some(at + 1),
            _ => at += 1,
        }
    }
    None
}

/// The length of a character literal, or 1 for the tick of a lifetime.
fn character(text: &[char]) -> usize {
    match text {
        ['\'', '\\', ..] => text
            .iter()
            .skip(3)
            .position(|c| *c == '\'')
            .map_or(1, |close| close + 4),
        ['\'', _, '\'', ..] => 3,
        _ => 1,
    }
}

enum Raw {
    No,
    Closed(usize),
    Open,
}

fn raw_string(text: &[char]) -> Raw {
    let hashes = text[1..].iter().take_while(|c| **c == '#').count();
    if text.get(1 + hashes) != Some(&'"') {
        return Raw::No;
    }
    let mut at = 2 + hashes;
    while at < text.len() {
        if text[at] == '"'
            && text[at + 1..]
                .iter()
                .take(hashes)
                .filter(|c| **c == '#')
                .count()
                == hashes
        {
            return Raw::Closed(at + 1 + hashes);
        }
        at += 1;
    }
    Raw::Open
}

/// The byte at which the `character`-th character of `text` begins; Jupyter counts code points.
pub fn byte_of_character(text: &str, character: usize) -> usize {
    text.char_indices()
        .nth(character)
        .map_or(text.len(), |(byte, _)| byte)
}

/// The number of characters before `byte`.
pub fn character_of_byte(text: &str, byte: usize) -> usize {
    text.char_indices().take_while(|(at, _)| *at < byte).count()
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
        check("let x =", Completeness::Incomplete { indent: 4 });
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
        check("/* a /* b */", Completeness::Incomplete { indent: 0 });
        check("// {", Completeness::Complete);
        check("use std::collections::*", Completeness::Complete);
    }

    #[test]
    fn cursors_count_characters() {
        let text = "é🦀x";
        assert_eq!(byte_of_character(text, 2), 6);
        assert_eq!(character_of_byte(text, 6), 2);
        assert_eq!(byte_of_character(text, 99), text.len());
    }
}
