//! What a front end asks about, by where its cursor stands.

use super::lexical::{self, Piece};
use super::place::{Around, Before, Place, ending_name};

/// What is to be described.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Target {
    Nothing,
    Command(String),
    /// The content of a string.
    Text {
        content: String,
        around: Vec<Around>,
    },
    /// A name, behind whose last letter `end` is.
    Name {
        name: String,
        end: usize,
        before: Before,
    },
}

impl Target {
    /// The name at or right before the cursor; elsewhere the function whose arguments it is in.
    pub(super) fn find(code: &str, cursor: usize) -> Self {
        match Place::find(code, cursor) {
            Place::Nothing => Self::Nothing,
            Place::Command { start } => {
                let name = code[start..].split_whitespace().next().unwrap_or("");
                Self::Command(name.to_owned())
            }
            Place::Text { start, around } => {
                let rest = &code[start..];
                let end = rest.find(['"', '\n']).unwrap_or(rest.len());
                Self::Text {
                    content: rest[..end].to_owned(),
                    around,
                }
            }
            Place::Name { start, end, before } => {
                let name = &code[start..end];
                if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
                    Self::call(code, cursor)
                } else {
                    Self::Name {
                        name: name.to_owned(),
                        end,
                        before,
                    }
                }
            }
        }
    }

    /// The function in whose parentheses the cursor stands.
    pub(super) fn call(code: &str, cursor: usize) -> Self {
        let mut open = Vec::new();
        let mut at = lexical::orders(code);
        while at < cursor {
            at += match lexical::piece(code, at) {
                Piece::Comment(len) | Piece::Text { len, .. } => len,
                Piece::OpenComment | Piece::OpenText { .. } => break,
                Piece::Code(len) => {
                    match &code[at..at + len] {
                        "(" | "[" | "{" => open.push(at),
                        ")" | "]" | "}" => drop(open.pop()),
                        _ => {}
                    }
                    len
                }
            };
        }
        for at in open
            .into_iter()
            .rev()
            .filter(|at| code[*at..].starts_with('('))
        {
            let text = without_generics(code[..at].trim_end());
            let text = text.strip_suffix('!').unwrap_or(text);
            let name = ending_name(text);
            if !name.is_empty() && !KEYWORDS.contains(&name) {
                return match Place::find(code, text.len()) {
                    Place::Name { before, .. } => Self::Name {
                        name: name.to_owned(),
                        end: text.len(),
                        before,
                    },
                    _ => Self::Nothing,
                };
            }
        }
        Self::Nothing
    }
}

/// What may stand before a parenthesis and is no function.
const KEYWORDS: &[&str] = &["if", "while", "match", "return", "in", "for", "let", "move"];

/// `collect` of `collect::<Vec<_>>`.
fn without_generics(text: &str) -> &str {
    if !text.ends_with('>') {
        return text;
    }
    let mut depth = 0_usize;
    for (at, c) in text.char_indices().rev() {
        match c {
            '>' => depth += 1,
            '<' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return text[..at].strip_suffix("::").unwrap_or(text);
                }
            }
            _ => {}
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The cursor stands at `|`.
    fn check(marked: &str, expected: &str) {
        let cursor = marked.find('|').expect("a cursor");
        let code = marked.replacen('|', "", 1);
        let found = match Target::find(&code, cursor) {
            Target::Nothing => String::new(),
            Target::Command(name) => name,
            Target::Text { content, .. } => format!("\"{content}\""),
            Target::Name { name, end, .. } => {
                assert!(code[..end].ends_with(&name), "{marked}");
                name
            }
        };
        assert_eq!(found, expected, "{marked}");
    }

    #[test]
    fn a_name_is_found_anywhere_in_it() {
        check("te|nsor.shape()", "tensor");
        check("tensor|.shape()", "tensor");
        check("tensor.sh|ape()", "shape");
        check("tensor.shape|()", "shape");
        check("é.naï|ve", "naïve");
        check("print|ln!(\"x\")", "println");
        check("std::collections::Hash|Map", "HashMap");
        check(":va|rs", ":vars");
        check("&cache[\"blocks.0.ho|ok\"]", "\"blocks.0.hook\"");
    }

    #[test]
    fn arguments_show_the_function() {
        check("tensor.reshape(|)", "reshape");
        check("tensor.reshape((2, |3))", "reshape");
        check("model.run_with_cache(\"x\", |", "run_with_cache");
        check("v.iter().collect::<Vec<_>>(|)", "collect");
        check("println!(|)", "println");
        check("f(g(1), |)", "f");
        check("f(\")\", |)", "f");
        check("if (|", "");
        check("1 + |", "");
    }
}
