//! The order of what a cell's text holds, which the engine's tables change from session to session: the
//! same cells are the same text only where it is always one order.

use ra_ap_syntax::ast::{self, AstNode, HasModuleItem};
use ra_ap_syntax::{Edition, SourceFile, TextSize};

/// The engine's lines of which the first stands behind the items of all cells: a cell of items only has no errors.
const BEHIND_ITEMS: [&str; 2] = ["struct EvcxrUserCodeError {}", "#[unsafe(no_mangle)]"];

/// The engine's lines around the variables, in the text for analysis.
const ARGUMENTS: (&str, &str) = ("async fn evcxr_analysis_wrapper(", ") -> Result<");

/// How it says there which variables the cell would store, one a line.
const STORED: &str = "evcxr_variable_store(";

/// Lines in an order of their own.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Ordered {
    pub(super) lines: Vec<String>,
    /// Where each of them was, counted from 0.
    pub(super) from: Vec<usize>,
}

/// Orders what the compiler reads: the items of all cells, and the lines about variables.
pub(super) fn lines(lines: &[String]) -> Ordered {
    let mut from: Vec<usize> = (0..lines.len()).collect();
    items(lines, &mut from);
    let mut about: Vec<Option<&str>> = lines.iter().map(|line| kind(line)).collect();
    // An empty line was one about a variable that the cell does not need: it goes with its neighbours.
    for at in 1..about.len() {
        if about[at] == Some("") && about[at - 1].is_some() {
            about[at] = about[at - 1];
        }
    }
    for at in (1..about.len()).rev() {
        if about[at - 1] == Some("") && about[at].is_some() {
            about[at - 1] = about[at];
        }
    }
    let mut at = 0;
    for group in about.chunk_by(PartialEq::eq) {
        if group
            .first()
            .is_some_and(|kind| kind.is_some_and(|kind| !kind.is_empty()))
        {
            from[at..at + group.len()].sort_by_key(|line| &lines[*line]);
        }
        at += group.len();
    }
    Ordered {
        lines: from.iter().map(|line| lines[*line].clone()).collect(),
        from,
    }
}

/// What the engine does with a variable on a line; nothing on an empty one.
fn kind(line: &str) -> Option<&str> {
    if line.trim().is_empty() {
        return Some("");
    }
    let (before, _) = line.split_once("_variable::<")?;
    let (store, verb) = before.rsplit_once('.')?;
    (store.contains("evcxr_variable_store") && matches!(verb, "check" | "take" | "put"))
        .then_some(verb)
}

/// Puts the items of all cells into an order of their own.
///
/// Macros mean something only behind their definitions: where there are any, all stays as it is.
fn items(lines: &[String], from: &mut [usize]) {
    let end = lines
        .iter()
        .position(|line| BEHIND_ITEMS.contains(&line.trim()));
    let begin = lines
        .iter()
        .position(|line| !line.trim().is_empty() && !line.starts_with("#!["));
    let (Some(begin), Some(end)) = (begin, end) else {
        return;
    };
    let Some(starts) = lines
        .get(begin..end)
        .and_then(|lines| starts_of_items(&lines.join("\n")))
    else {
        return;
    };
    // What follows an item goes with it: its cell may have empty lines and comments there.
    let bounds: Vec<usize> = std::iter::once(begin)
        .chain(starts.iter().skip(1).map(|start| begin + start))
        .chain([end])
        .collect();
    let mut items: Vec<Vec<usize>> = bounds
        .windows(2)
        .map(|pair| (pair[0]..pair[1]).collect())
        .collect();
    items.sort_by_key(|item| item.iter().map(|line| &lines[*line]).collect::<Vec<_>>());
    for (place, line) in from[begin..].iter_mut().zip(items.into_iter().flatten()) {
        *place = line;
    }
}

/// The first line of each item, counted from 0; `None` where the order says something.
fn starts_of_items(text: &str) -> Option<Vec<usize>> {
    let file = SourceFile::parse(text, Edition::Edition2024);
    if !file.errors().is_empty() {
        return None;
    }
    let mut starts = Vec::new();
    let mut last_line = None;
    for item in file.tree().items() {
        if matches!(
            item,
            ast::Item::MacroRules(_) | ast::Item::MacroDef(_) | ast::Item::MacroCall(_)
        ) {
            return None;
        }
        let range = item.syntax().text_range();
        let line = |at: TextSize| Some(text.get(..at.into())?.matches('\n').count());
        let first = line(range.start())?;
        // Two on one line go together.
        if last_line.is_none_or(|last| first > last) {
            starts.push(first);
        }
        last_line = Some(line(range.end())?);
    }
    Some(starts)
}

/// A text for analysis in an order of its own, which means the same.
pub(crate) fn for_analysis(text: &str) -> String {
    let all: Vec<String> = text.split('\n').map(str::to_owned).collect();
    let mut from: Vec<usize> = (0..all.len()).collect();
    items(&all, &mut from);
    let mut lines: Vec<&str> = from.iter().map(|line| all[*line].as_str()).collect();
    let opens = lines.iter().position(|line| line.trim() == ARGUMENTS.0);
    if let Some(opens) = opens
        && let Some(length) = lines[opens + 1..]
            .iter()
            .position(|line| line.starts_with(ARGUMENTS.1))
    {
        lines[opens + 1..opens + 1 + length].sort_unstable();
    }
    let is_stored = |line: &str| line.starts_with(STORED) && line.ends_with(");");
    for lines in lines.chunk_by_mut(|one, next| is_stored(one) && is_stored(next)) {
        lines.sort_unstable();
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(text: &str) -> Vec<String> {
        text.split('\n').map(str::to_owned).collect()
    }

    fn text(items: &[&str]) -> Vec<String> {
        let items = items.join("\n");
        split(&format!(
            "#![allow(unused)]\n{items}\nuse a::*;\n            {}\nrest",
            BEHIND_ITEMS[0]
        ))
    }

    #[test]
    fn items_come_in_one_order_and_what_follows_stays_where_it_is() {
        let all = [
            "/// What.\nfn f() {\n  1;\n}\n\n// Behind it.\n",
            "struct S;",
            "impl S {\n  fn g() {}\n}",
        ];
        let before = text(&all);
        let one = lines(&before);
        let other = lines(&text(&[all[2], all[0], all[1]]));
        assert_eq!(one.lines, other.lines);
        assert_ne!(one.from, other.from);
        assert_eq!(one.lines.len(), before.len());
        assert_eq!(one.lines.last(), before.last());
        assert!(one.lines.join("\n").contains(all[0]), "{one:?}");
        for (line, from) in one.lines.iter().zip(&one.from) {
            assert_eq!(*line, before[*from]);
        }
    }

    #[test]
    fn variables_come_in_one_order() {
        let text = |lines: [&str; 4]| split(&format!("check\n{}\nrest", lines.join("\n")));
        let put = "note(); evcxr_variable_store.put_variable::<A>(a);";
        let of = "evcxr_variable_store.of(3).put_variable::<B>(b);";
        let take = "let a = evcxr_variable_store.take_variable::<A>(a);";
        for some in [
            [put, "", of, take],
            [of, put, "", take],
            ["", put, of, take],
        ] {
            assert_eq!(lines(&text(some)).lines, text(["", of, put, take]));
        }
        // Two kinds are two groups.
        assert_eq!(
            lines(&text([put, of, take, ""])).lines,
            text([of, put, "", take])
        );
    }

    #[test]
    fn macros_keep_their_place() {
        let before = text(&["struct Z;", "macro_rules! m { () => {} }", "fn a() {}"]);
        assert_eq!(lines(&before).lines, before);
    }

    #[test]
    fn arguments_and_what_is_stored_come_in_one_order() {
        let text = |a: &str, b: &str| {
            format!(
                "fn f() {{}}\n{}\n{}\n{a}\n{b}\n{}(), E> {{\nz;\ny;\n{STORED}{});\n{STORED}{});",
                BEHIND_ITEMS[1],
                ARGUMENTS.0,
                ARGUMENTS.1,
                &a[..1],
                &b[..1]
            )
        };
        assert_eq!(
            for_analysis(&text("y: u8,", "x: u8,")),
            text("x: u8,", "y: u8,")
        );
    }
}
