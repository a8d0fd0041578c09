//! The compiler's words about code that the engine put around a cell, in words for its reader.

use super::places::Places;
use ferrolens_frames::{CELL_SOURCE, SourcePlace};

/// Sentences that say something about the wrapping, each with what it means for the cell.
const MEANINGS: &[(&str, &str)] = &[
    (
        "cannot `break` inside of a closure",
        "no loop and no labelled block is around it",
    ),
    (
        "cannot `break` inside `async` block",
        "no loop and no labelled block is around it",
    ),
    (
        "cannot `continue` inside of a closure",
        "no loop is around it",
    ),
    (
        "cannot `continue` inside `async` block",
        "no loop is around it",
    ),
    ("`break` inside of a closure", "`break` outside of a loop"),
    ("`break` inside `async` block", "`break` outside of a loop"),
    (
        "`continue` inside of a closure",
        "`continue` outside of a loop",
    ),
    (
        "`continue` inside `async` block",
        "`continue` outside of a loop",
    ),
    (
        "captured variable cannot escape `FnMut` closure body",
        "a reference to a variable cannot outlive the cell",
    ),
    (
        "`return;` in a function whose return type is not `()`",
        "`return;` in a cell",
    ),
    ("return type is not `()`", "a cell cannot be left like this"),
    ("`evcxr_variable_store`", "the end of the cell"),
    ("<end of input>", "the end of the cell"),
];

/// Names that only the wrapping has.
const INTERNAL: &[&str] = &[
    "evcxr",
    "EvcxrUserCodeError",
    "run_user_code_",
    "put_variable",
    "take_variable",
    "ferrolens::emit::",
    "ferrolens_last",
    "vars_ok",
    "question mark operation (`?`) implicitly performs a conversion",
];

/// The text as the reader of a notebook should see it; nothing where it is about the wrapping alone.
pub(super) fn plain(text: &str, places: &Places) -> Option<String> {
    let mut text = text.to_owned();
    for (words, meaning) in MEANINGS {
        if text.contains(words) {
            text = text.replace(words, meaning);
        }
    }
    let text = without_files(&text, places);
    (!is_internal(&text)).then_some(text)
}

/// Whether the text names the wrapping.
pub(super) fn is_internal(text: &str) -> bool {
    INTERNAL.iter().any(|name| text.contains(name))
}

/// Places in the compiled source, such as that in the name of a closure's type, become the cell's.
fn without_files(text: &str, places: &Places) -> String {
    const FILE: &str = "lib.rs:";
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(FILE) {
        let begins = rest[..at]
            .rfind(|c: char| c == '@' || c == '`' || c.is_whitespace())
            .map_or(0, |before| before + 1);
        let numbers = &rest[at + FILE.len()..];
        let len = numbers
            .find(|c: char| !c.is_ascii_digit() && c != ':' && c != ' ')
            .unwrap_or(numbers.len());
        let numbers = numbers[..len].trim_end();
        let mut parts = numbers.split(':').map(|part| part.trim().parse().ok());
        let place = match (parts.next().flatten(), parts.next().flatten()) {
            (Some(line), Some(column)) => Some(SourcePlace {
                file: format!("{}lib.rs", &rest[begins..at]),
                line,
                column,
            }),
            _ => None,
        };
        let is_ours = rest[begins..at].contains(CELL_SOURCE) || &rest[begins..at] == "src/";
        out.push_str(&rest[..begins]);
        if is_ours {
            let name = place.and_then(|place| places.find_compiled(&place));
            out.push_str(&name.map_or_else(|| "this cell".to_owned(), |place| place.name()));
        } else {
            out.push_str(&rest[begins..at + FILE.len() + numbers.len()]);
        }
        rest = &rest[at + FILE.len() + numbers.len()..];
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wrapping_is_not_spoken_of() {
        let places = Places::new("none".into());
        for (text, expected) in [
            ("mismatched types", Some("mismatched types")),
            (
                "expected `;`, found `evcxr_variable_store`",
                Some("expected `;`, found the end of the cell"),
            ),
            (
                "expected `Result<(), EvcxrUserCodeError>`, found integer",
                None,
            ),
            (
                "`break` inside of a closure",
                Some("`break` outside of a loop"),
            ),
            (
                "{closure@ferrolens-cell-3/lib.rs:30:9: 30:17} is",
                Some("{closure@this cell} is"),
            ),
            ("see other/lib.rs:3:4", Some("see other/lib.rs:3:4")),
        ] {
            assert_eq!(plain(text, &places).as_deref(), expected, "{text}");
        }
    }
}
