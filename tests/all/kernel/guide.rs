//! The page for readers who come from TransformerLens: its Rust cells are one session.

use ferrolens_tests::FrontEnd;
use std::path::Path;

const PAGE: &str = "prelude/coming-from-transformerlens.md";

/// A block of code between fences.
struct Fence {
    /// What stands behind the opening fence: `rust`, `rust,no_run`, `python`.
    info: String,
    /// The line of the opening fence, counted from 1.
    line: usize,
    code: String,
}

fn fences(page: &str) -> Vec<Fence> {
    let mut found = Vec::new();
    let mut open: Option<Fence> = None;
    for (at, line) in page.lines().enumerate() {
        match (line.strip_prefix("```"), open.take()) {
            (Some(info), None) => {
                assert!(!info.is_empty(), "line {}: which language?", at + 1);
                open = Some(Fence {
                    info: info.to_owned(),
                    line: at + 1,
                    code: String::new(),
                });
            }
            (Some(_), Some(fence)) => found.push(fence),
            (None, Some(mut fence)) => {
                fence.code.push_str(line);
                fence.code.push('\n');
                open = Some(fence);
            }
            (None, None) => {}
        }
    }
    if let Some(fence) = open {
        panic!("the fence of line {} is not closed", fence.line);
    }
    found
}

#[test]
fn every_rust_cell_of_the_page_runs() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(PAGE);
    let page = std::fs::read_to_string(&path).expect("the page");
    let fences = fences(&page);
    let count = |of: &dyn Fn(&str) -> bool| fences.iter().filter(|fence| of(&fence.info)).count();
    let (run, rust, python) = (
        count(&|info| info == "rust"),
        count(&|info| info.starts_with("rust")),
        count(&|info| info == "python"),
    );
    assert_eq!(rust + python, fences.len(), "fences of another language");
    assert!(run >= 80, "{run} cells that run");
    assert!(rust - run <= 5, "{} cells that do not run", rust - run);
    assert!(python >= rust, "{python} Python cells for {rust} Rust ones");

    let mut front_end = FrontEnd::start();
    for cell in fences.iter().filter(|fence| fence.info == "rust") {
        let reply = front_end.execute(&cell.code);
        assert_eq!(
            reply.status(),
            "ok",
            "{PAGE}:{}\n{}\n{}",
            cell.line,
            cell.code,
            reply.traceback()
        );
    }
}
