//! Where in a cell's text there is code, a string or a comment, also while it is being typed.

/// What begins at a place in the text.
pub(super) enum Piece {
    /// This many bytes of ordinary code.
    Code(usize),
    Comment(usize),
    /// A comment that nobody has closed.
    OpenComment,
    /// A string: its length, and where its content begins in it.
    Text {
        len: usize,
        content: usize,
    },
    /// A string that nobody has closed; its content begins so many bytes in.
    OpenText {
        content: usize,
    },
}

/// The piece at `at`, the beginning of a character.
pub(super) fn piece(text: &str, at: usize) -> Piece {
    let rest = &text[at..];
    let mut characters = rest.chars();
    let Some(first) = characters.next() else {
        return Piece::Code(0);
    };
    match (first, characters.next()) {
        ('/', Some('/')) => Piece::Comment(rest.find('\n').unwrap_or(rest.len())),
        ('/', Some('*')) => match block_comment(rest) {
            Some(len) => Piece::Comment(len),
            None => Piece::OpenComment,
        },
        ('"', _) => match string(rest) {
            Some(len) => Piece::Text { len, content: 1 },
            None => Piece::OpenText { content: 1 },
        },
        ('\'', _) => Piece::Code(character(rest)),
        ('r', _) if !ends_in_word(&text[..at]) => raw_string(rest),
        _ => Piece::Code(first.len_utf8()),
    }
}

/// Whether a name could go on behind this text; a `b` before a string is no name.
fn ends_in_word(text: &str) -> bool {
    let word = text
        .rsplit(|c: char| !c.is_alphanumeric() && c != '_')
        .next()
        .unwrap_or("");
    !matches!(word, "" | "b" | "c")
}

/// The length of a block comment, which may hold others.
fn block_comment(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut depth, mut at) = (0_usize, 0);
    loop {
        match bytes.get(at..at + 2)? {
            b"/*" => {
                depth += 1;
                at += 2;
            }
            b"*/" => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => at += 1,
        }
    }
}

fn string(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 1;
    loop {
        match bytes.get(at)? {
            b'\\' => at += 2,
            b'"' => return Some(at + 1),
            _ => at += 1,
        }
    }
}

/// The length of a character literal, or 1 for the tick of a lifetime.
fn character(text: &str) -> usize {
    let mut characters = text.char_indices().skip(1);
    match (characters.next(), characters.next()) {
        (Some((_, '\\')), Some((escaped, c))) => {
            let behind = escaped + c.len_utf8();
            let line = text[behind..].lines().next().unwrap_or("");
            line.find('\'').map_or(1, |close| behind + close + 1)
        }
        (Some(_), Some((close, '\''))) => close + 1,
        _ => 1,
    }
}

fn raw_string(text: &str) -> Piece {
    let hashes = text[1..].bytes().take_while(|byte| *byte == b'#').count();
    let content = 2 + hashes;
    if text.as_bytes().get(1 + hashes) != Some(&b'"') {
        return Piece::Code(1);
    }
    let end = format!("\"{}", "#".repeat(hashes));
    match text[content..].find(&end) {
        Some(len) => Piece::Text {
            len: content + len + end.len(),
            content,
        },
        None => Piece::OpenText { content },
    }
}

/// Whether the engine takes this line, before the first line of Rust, as an order to itself or to a
/// shell.
pub(super) fn is_order(line: &str) -> bool {
    line.starts_with('!') || line.trim_start_matches(' ').starts_with(':')
}

/// How many bytes at the beginning of a cell are orders, blank lines and comments between them.
pub(super) fn orders(code: &str) -> usize {
    let (mut at, mut end) = (0, 0);
    for line in code.split_inclusive('\n') {
        at += line.len();
        let line = line.trim_end();
        if is_order(line) {
            end = at;
        } else if !(line.trim().is_empty() || line.starts_with("//")) {
            break;
        }
    }
    end
}

/// Commands whose argument is Rust.
const WITH_CODE: &[&str] = &[":time", ":timeit", ":type", ":doc"];

/// The Rust around the cursor, and where it begins: without the orders before it, or the argument of
/// an order that takes Rust.
pub(super) fn rust_around(code: &str, cursor: usize) -> (&str, usize) {
    let orders = orders(code);
    let line = code[..cursor].rfind('\n').map_or(0, |end| end + 1);
    if line >= orders {
        return (&code[orders..], orders);
    }
    let end = code[line..].find('\n').map_or(code.len(), |len| line + len);
    let text = &code[line..end];
    let name = text.trim_start().split(' ').next().unwrap_or("");
    let argument = line + text.len() - text.trim_start().len() + name.len() + 1;
    if WITH_CODE.contains(&name) && (argument..=end).contains(&cursor) {
        return (&code[argument..end], argument);
    }
    (code, 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_no_rust_and_some_hold_it() {
        let check = |marked: &str, expected: &str| {
            let cursor = marked.find('|').expect("a cursor");
            let code = marked.replacen('|', "", 1);
            let (rust, at) = rust_around(&code, cursor);
            assert_eq!(
                (rust, &code[at..at + rust.len()]),
                (expected, expected),
                "{marked}"
            );
        };
        check("x.|", "x.");
        check(":vars\n!ls\nx.|y", "x.y");
        check(":time tensor.|\nx", "tensor.");
        check("  :timeit f(|)", "f()");
        check(":ti|me f()", ":time f()");
        check(":dep ra|", ":dep ra");
    }
}
