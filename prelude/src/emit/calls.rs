//! Which functions led to a panic, read from the text of a backtrace.
//!
//! The standard library's backtrace has no other stable form than its text: a line with a function's
//! name, and below it, where that is known, `at file:line:column`.

use ferrolens_frames::{CELL_SOURCE, Call, SourcePlace};

/// How many calls are kept from each end of a recursion that went deep.
const MOST: usize = 100;

/// What stands between a panic and the function in which it happened.
const MACHINERY: &[&str] = &["std::", "core::", "alloc::", "rust_", "__rust", "backtrace"];

/// The calls of functions that cells define, the innermost first.
pub(super) fn of_cells(backtrace: &str) -> Vec<Call> {
    let mut calls: Vec<Call> = entries(backtrace)
        .filter_map(|(function, at)| {
            let at = at?;
            at.file.contains(CELL_SOURCE).then(|| Call {
                function: function.to_owned(),
                at,
            })
        })
        .collect();
    if calls.len() > 2 * MOST {
        calls.drain(MOST..calls.len() - MOST);
    }
    calls
}

/// The function that panicked, where that is a library's: nothing when the panic's place is a cell.
pub(super) fn panicking(backtrace: &str, at: Option<&SourcePlace>) -> Option<String> {
    if at.is_none_or(|at| at.file.contains(CELL_SOURCE)) {
        return None;
    }
    entries(backtrace)
        .take_while(|(_, at)| !at.as_ref().is_some_and(|at| at.file.contains(CELL_SOURCE)))
        .find(|(function, _)| !is_machinery(function))
        .map(|(function, _)| function.to_owned())
        // Without a name, or where only the process's own start is left.
        .filter(|function| function.contains("::") && !function.contains("ferrolens_kernel"))
}

fn is_machinery(function: &str) -> bool {
    let mut home = function.trim_start_matches(['<', '&', '[']);
    // A method of a primitive type belongs to who wrote the trait.
    if let Some((kind, of_trait)) = home.split_once(" as ")
        && !kind.contains("::")
    {
        home = of_trait;
    }
    home.starts_with("ferrolens::emit::panics")
        || MACHINERY.iter().any(|start| home.starts_with(start))
}

/// Functions with their places.
fn entries(backtrace: &str) -> impl Iterator<Item = (&str, Option<SourcePlace>)> {
    let mut lines = backtrace.lines().map(str::trim).peekable();
    std::iter::from_fn(move || {
        let line = lines.find(|line| !line.is_empty() && !line.starts_with("at "))?;
        let at = lines
            .next_if(|line| line.starts_with("at "))
            .and_then(|line| place(&line[3..]));
        // An inlined function has no number of its own.
        let function = match line.split_once(": ") {
            Some((number, function)) if number.bytes().all(|byte| byte.is_ascii_digit()) => {
                function
            }
            _ => line,
        };
        Some((function, at))
    })
}

fn place(text: &str) -> Option<SourcePlace> {
    let (rest, column) = text.rsplit_once(':')?;
    let (file, line) = rest.rsplit_once(':')?;
    Some(SourcePlace {
        file: file.to_owned(),
        line: line.parse().ok()?,
        column: column.parse().ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "   0: ferrolens::emit::panics::remember
   1: std::panicking::panic_with_hook
             at /rustc/abc/library/std/src/panicking.rs:833:13
   2: core::slice::index::slice_index_fail
   3: <usize as core::slice::index::SliceIndex<[T]>>::index
             at /rustc/abc/library/core/src/slice/index.rs:1:1
   3: candle_core::tensor::Tensor::zeros
      ctx::pick
             at /s/./ferrolens-cell-7/lib.rs:12:5
   4: ctx::run_user_code_7::{{closure}}
             at /s/./ferrolens-cell-7/lib.rs:40:1
   5: ferrolens::model::run
   6: main";

    fn at(file: &str) -> SourcePlace {
        SourcePlace {
            file: file.to_owned(),
            line: 1,
            column: 1,
        }
    }

    #[test]
    fn only_the_cells_own_calls_are_kept_and_inlined_ones_too() {
        let calls = of_cells(TEXT);
        let found: Vec<(&str, u32)> = calls
            .iter()
            .map(|call| (call.function.as_str(), call.at.line))
            .collect();
        assert_eq!(
            found,
            [("ctx::pick", 12), ("ctx::run_user_code_7::{{closure}}", 40)]
        );
    }

    #[test]
    fn a_deep_recursion_keeps_both_ends() {
        let text: String = (0..1000)
            .map(|at| format!("{at}: ctx::f\n  at /ferrolens-cell-1/lib.rs:{at}:1\n"))
            .collect();
        let calls = of_cells(&text);
        assert_eq!(calls.len(), 200);
        assert_eq!((calls[99].at.line, calls[100].at.line), (99, 900));
    }

    #[test]
    fn a_library_that_panics_is_named() {
        assert_eq!(
            panicking(TEXT, Some(&at("/s/ferrolens-cell-7/lib.rs"))),
            None
        );
        assert_eq!(panicking(TEXT, None), None);
        let inside = panicking(TEXT, Some(&at("candle-core/src/tensor.rs")));
        assert_eq!(
            inside.as_deref(),
            Some("candle_core::tensor::Tensor::zeros")
        );
    }
}
