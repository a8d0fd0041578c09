//! The pages for readers who come from elsewhere: the Rust cells of each are one session.

use ferrolens_tests::FrontEnd;
use std::path::Path;

/// A page, and how many of its cells must run and may be shown only.
struct Page {
    path: &'static str,
    run: usize,
    shown: usize,
}

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
fn every_rust_cell_of_the_page_from_transformer_lens_runs() {
    run(&Page {
        path: "prelude/coming-from-transformerlens.md",
        run: 80,
        shown: 5,
    });
}

#[test]
fn every_rust_cell_of_the_page_from_sae_lens_runs() {
    run(&Page {
        path: "prelude/coming-from-saelens.md",
        run: 36,
        shown: 3,
    });
}

fn run(page: &Page) {
    let Page {
        path,
        run: least,
        shown: most,
    } = *page;
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(path);
    let page = std::fs::read_to_string(&file).expect("the page");
    let fences = fences(&page);
    let count = |of: &dyn Fn(&str) -> bool| fences.iter().filter(|fence| of(&fence.info)).count();
    let (run, rust, python) = (
        count(&|info| info == "rust"),
        count(&|info| info.starts_with("rust")),
        count(&|info| info == "python"),
    );
    assert_eq!(rust + python, fences.len(), "fences of another language");
    assert!(run >= least, "{run} cells that run");
    assert!(rust - run <= most, "{} cells that do not run", rust - run);
    assert!(python >= rust, "{python} Python cells for {rust} Rust ones");

    let mut front_end = FrontEnd::start();
    for cell in fences.iter().filter(|fence| fence.info == "rust") {
        let reply = front_end.execute(&cell.code);
        assert_eq!(
            reply.status(),
            "ok",
            "{path}:{}\n{}\n{}",
            cell.line,
            cell.code,
            reply.traceback()
        );
    }
}
