//! Where in the user's cell something happened, given where it happened in the compiled source.

use ferrolens_frames::SourcePlace;

/// A line of the cell, counted from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) line: usize,
}

/// The engine copies the cell's lines as they are, with lines of its own around them, and leaves out
/// commands and blank lines between statements. So the line at `at` is looked up by its text; among
/// equal lines the one whose neighbours agree best is taken.
pub(super) fn find(code: &str, compiled: &str, at: &SourcePlace) -> Option<Place> {
    if !at.file.ends_with("lib.rs") {
        return None;
    }
    let compiled: Vec<&str> = compiled.lines().map(str::trim).collect();
    let lines: Vec<&str> = code.lines().map(str::trim).collect();
    let here = (at.line as usize).checked_sub(1)?;
    let text = *compiled.get(here)?;
    let agreement = |line: usize| -> usize {
        let before = (1..=line.min(here))
            .take_while(|back| lines[line - back] == compiled[here - back])
            .count();
        let after = (1..lines.len() - line)
            .take_while(|ahead| compiled.get(here + ahead) == Some(&lines[line + ahead]))
            .count();
        before + after
    };
    (0..lines.len())
        .filter(|line| lines[*line] == text)
        .max_by_key(|line| agreement(*line))
        .map(|line| Place { line: line + 1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(line: u32) -> SourcePlace {
        SourcePlace {
            file: "src/lib.rs".to_owned(),
            line,
            column: 1,
        }
    }

    #[test]
    fn a_line_is_found_by_its_text_and_its_neighbours() {
        let code = "let v = f();\nv[9];\n\nlet w = g();\nv[9];";
        let compiled = "fn wrapper() {\nlet v = f();\nv[9];\nlet w = g();\nv[9];\n}";
        assert_eq!(find(code, compiled, &at(3)), Some(Place { line: 2 }));
        assert_eq!(find(code, compiled, &at(5)), Some(Place { line: 5 }));
        assert_eq!(
            find(code, compiled, &at(1)),
            None,
            "the wrapper is not the user's"
        );
    }

    #[test]
    fn a_place_in_a_library_is_not_in_the_cell() {
        let place = SourcePlace {
            file: "core/option.rs".to_owned(),
            line: 1,
            column: 1,
        };
        assert_eq!(find("x", "x", &place), None);
    }
}
