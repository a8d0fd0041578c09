//! What the cursor stands in.

use super::lexical::{self, Piece};
use ra_ap_syntax::ast::{self, AstNode, HasArgList};
use ra_ap_syntax::{Edition, SourceFile, SyntaxKind, SyntaxNode};

/// What the cursor stands in, with what is to be completed there.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// A comment, a shell line: nothing to say.
    Nothing,
    /// A command of the kernel, from its colon on.
    Command { start: usize },
    /// A string.
    Text { start: usize, around: Vec<Around> },
    /// A name in code.
    Name {
        start: usize,
        /// Behind the name's last letter, which may be behind the cursor.
        end: usize,
        before: Before,
    },
}

/// What stands before a name.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Before {
    Nothing,
    /// `receiver.`, where that is a single name.
    Variable(String),
    /// `.` behind anything else.
    Expression,
    /// `first::second::`
    Path(String),
}

/// A call, an index or a macro around a string, from the inside outwards.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Around {
    Call {
        /// `Sae::from_pretrained`, or a method's name.
        name: String,
        /// The variable at the root of a method's receiver.
        root: Option<String>,
        /// Which argument the string is in.
        index: usize,
        /// What the arguments before it say, where they are strings.
        texts: Vec<String>,
    },
    Index {
        root: Option<String>,
    },
    Macro,
}

impl Place {
    pub(super) fn find(code: &str, cursor: usize) -> Self {
        let before = &code[..cursor];
        let orders = lexical::orders(code);
        if cursor < orders || (cursor == orders && !before.ends_with('\n') && orders > 0) {
            let start = before.rfind('\n').map_or(0, |line| line + 1);
            let line = &before[start..];
            let colon = start + line.len() - line.trim_start_matches(' ').len();
            let is_name = code[colon..].starts_with(':') && !before[colon..].contains(' ');
            return if is_name {
                Self::Command { start: colon }
            } else {
                Self::Nothing
            };
        }
        let mut at = orders;
        while at < cursor {
            match lexical::piece(code, at) {
                Piece::Comment(len) if at + len >= cursor => return Self::Nothing,
                Piece::OpenComment => return Self::Nothing,
                Piece::Text { len, content } if at + len > cursor => {
                    return Self::text(code, at, (at + content).min(cursor));
                }
                Piece::OpenText { content } => {
                    return Self::text(code, at, (at + content).min(cursor));
                }
                Piece::Comment(len) | Piece::Text { len, .. } | Piece::Code(len) => at += len,
            }
        }
        Self::name(code, cursor)
    }

    fn text(code: &str, quote: usize, start: usize) -> Self {
        Self::Text {
            start,
            around: around(&code[..quote]),
        }
    }

    fn name(code: &str, cursor: usize) -> Self {
        let start = cursor - ending_name(&code[..cursor]).len();
        let is_empty = start == cursor;
        let tail = code[cursor..].find(|c| !is_of_name(c));
        let end = match tail {
            _ if is_empty => cursor,
            Some(len) => cursor + len,
            None => code.len(),
        };
        Self::Name {
            start,
            end,
            before: Before::find(&code[..start]),
        }
    }
}

impl Before {
    fn find(text: &str) -> Self {
        let text = text.trim_end();
        if let Some(path) = text.strip_suffix("::") {
            let mut start = path.len();
            loop {
                let name = ending_name(&path[..start]);
                start -= name.len();
                match path[..start].strip_suffix("::") {
                    Some(rest) if !name.is_empty() => start = rest.len(),
                    _ => break,
                }
            }
            return Self::Path(format!("{}::", &path[start..]));
        }
        let Some(receiver) = text.strip_suffix('.') else {
            return Self::Nothing;
        };
        // A range, or a number that is being typed.
        let receiver = receiver.trim_end();
        let name = ending_name(receiver);
        let is_number = name.starts_with(|c: char| c.is_ascii_digit());
        if receiver.ends_with('.') {
            return Self::Nothing;
        }
        let outside = receiver[..receiver.len() - name.len()].trim_end();
        let is_range = outside.ends_with("..");
        let is_whole = is_range || !(outside.ends_with('.') || outside.ends_with("::"));
        if name.is_empty() || is_number || !is_whole {
            return Self::Expression;
        }
        Self::Variable(name.to_owned())
    }
}

/// The name at the end of this text; empty where there is none.
pub(super) fn ending_name(text: &str) -> &str {
    let start = text
        .char_indices()
        .rev()
        .take_while(|(_, c)| is_of_name(*c))
        .last()
        .map_or(text.len(), |(at, _)| at);
    &text[start..]
}

pub(super) fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// What stands around a string that begins behind this text.
fn around(text: &str) -> Vec<Around> {
    const BEFORE: &str = "fn cell() {";
    let text = text.trim_end_matches(['r', '#', 'b']);
    let source = format!("{BEFORE}{text}\"\"");
    let tree = SourceFile::parse(&source, Edition::Edition2024).syntax_node();
    let Some(string) = tree
        .descendants_with_tokens()
        .filter_map(|element| element.into_token())
        .filter(|token| token.kind() == SyntaxKind::STRING)
        .last()
    else {
        return Vec::new();
    };
    let at = string.text_range().start();
    string
        .parent_ancestors()
        .filter_map(|node| {
            if let Some(call) = ast::MethodCallExpr::cast(node.clone()) {
                let arguments = call.arg_list()?;
                // The string may be in the receiver.
                if arguments.syntax().text_range().start() >= at {
                    return None;
                }
                let (index, texts) = before_in(&arguments, at);
                let root = call.receiver().and_then(|receiver| root(receiver.syntax()));
                let name = call.name_ref()?.text().to_string();
                Some(Around::Call {
                    name,
                    root,
                    index,
                    texts,
                })
            } else if let Some(call) = ast::CallExpr::cast(node.clone()) {
                let (index, texts) = before_in(&call.arg_list()?, at);
                let name = call.expr()?.syntax().text().to_string();
                Some(Around::Call {
                    name,
                    root: None,
                    index,
                    texts,
                })
            } else if let Some(index) = ast::IndexExpr::cast(node.clone()) {
                let root = index.base().and_then(|base| root(base.syntax()));
                Some(Around::Index { root })
            } else {
                ast::MacroCall::can_cast(node.kind()).then_some(Around::Macro)
            }
        })
        .collect()
}

fn before_in(arguments: &ast::ArgList, at: ra_ap_syntax::TextSize) -> (usize, Vec<String>) {
    let before = arguments
        .args()
        .filter(|argument| argument.syntax().text_range().end() <= at);
    let texts: Vec<String> = before
        .map(|argument| {
            let text = argument.syntax().text().to_string();
            text.trim_matches('"').to_owned()
        })
        .collect();
    (texts.len(), texts)
}

/// The variable that a chain of calls begins with.
fn root(node: &SyntaxNode) -> Option<String> {
    let name = node
        .descendants()
        .filter_map(ast::PathExpr::cast)
        .find(|path| path.syntax().text_range().start() == node.text_range().start())?;
    let name = name.syntax().text().to_string();
    name.chars().all(is_of_name).then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The cursor stands at `|`.
    fn find(marked: &str) -> Place {
        let cursor = marked.find('|').expect("a cursor");
        Place::find(&marked.replacen('|', "", 1), cursor)
    }

    fn check_before(marked: &str, expected: Before) {
        let Place::Name { before, .. } = find(marked) else {
            panic!("{marked}: {:?}", find(marked));
        };
        assert_eq!(before, expected, "{marked}");
    }

    #[test]
    fn names_know_what_stands_before_them() {
        let variable = |name: &str| Before::Variable(name.to_owned());
        check_before("tensor.|", variable("tensor"));
        check_before("f(x, naïve.to_upper|)", variable("naïve"));
        check_before("model\n    .run|", variable("model"));
        check_before("model.config().|", Before::Expression);
        check_before("a.b.|", Before::Expression);
        check_before("(x).|", Before::Expression);
        check_before("0..ten|", Before::Nothing);
        check_before("let x = te|", Before::Nothing);
        check_before("'x'.is|", Before::Expression);
        check_before("Tensor::|", Before::Path("Tensor::".to_owned()));
        check_before(
            "use std::collections::Ha|",
            Before::Path("std::collections::".to_owned()),
        );
    }

    #[test]
    fn a_name_goes_on_behind_the_cursor() {
        assert_eq!(
            find("é.sha|pe()"),
            Place::Name {
                start: 3,
                end: 8,
                before: Before::Variable("é".to_owned())
            }
        );
        // A cursor before a name completes nothing of it.
        let Place::Name { start, end, .. } = find("f(|x)") else {
            panic!("a name");
        };
        assert_eq!((start, end), (2, 2));
    }

    #[test]
    fn commands_shell_lines_and_comments() {
        assert_eq!(find(":va|"), Place::Command { start: 0 });
        assert_eq!(find("// x\n  :va|rs"), Place::Command { start: 7 });
        assert_eq!(find(":dep ra|"), Place::Nothing);
        assert_eq!(find("!ls :v|"), Place::Nothing);
        assert_eq!(find("x // te|"), Place::Nothing);
        assert_eq!(find("/* te|"), Place::Nothing);
        check_before("x;\n:va|", Before::Nothing);
        check_before(":vars\nte|", Before::Nothing);
    }

    fn check_text(marked: &str, expected: &[Around]) {
        let Place::Text { start, around } = find(marked) else {
            panic!("{marked}: {:?}", find(marked));
        };
        assert_eq!(around, expected, "{marked}");
        assert_eq!(&marked[start - 1..start], "\"", "{marked}");
    }

    fn call(name: &str, root: Option<&str>, index: usize, texts: &[&str]) -> Around {
        Around::Call {
            name: name.to_owned(),
            root: root.map(str::to_owned),
            index,
            texts: texts.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn strings_know_the_calls_around_them() {
        let index = |root: &str| Around::Index {
            root: Some(root.to_owned()),
        };
        check_text("&cache[\"blo|", &[index("cache")]);
        check_text("&cache[\"blo|\"]", &[index("cache")]);
        check_text(
            "let m = HookedTransformer::from_pretrained(\"gpt|\")?;",
            &[call("HookedTransformer::from_pretrained", None, 0, &[])],
        );
        check_text(
            "Sae::from_pretrained(\"stories-2l-relu\", \"bl|",
            &[call("Sae::from_pretrained", None, 1, &["stories-2l-relu"])],
        );
        check_text(
            "model.run_with_hooks(\"Once\", Hooks::new().add(\"blo|",
            &[
                call("add", None, 0, &[]),
                call("run_with_hooks", Some("model"), 1, &["Once"]),
            ],
        );
        check_text(
            "model.config().f([\"a\", \"b|\"])",
            &[call("f", Some("model"), 0, &[])],
        );
        check_text("println!(\"{te|", &[Around::Macro]);
        check_text("let s = r\"é|", &[]);
    }
}
