//! How many bytes the installed kernel's two processes grow by with each cell, in one long session.
//!
//! `cargo run --release -p ferrolens-benches --bin many_cells [-- CELLS, 2000 where left out]`
//!
//! Cells of eight kinds take turns: numbers, variables, tensors, text, functions, types, and two that fail.
//! Each must end as it should. The first fifth warms up and is not counted.

use ferrolens_kernel::toolchain::kept::KEPT_CELLS_ENV;
use ferrolens_tests::FrontEnd;
use ferrolens_tests::process::{children, resident_mb};
use std::time::Instant;

/// What the sizes are printed at.
const LINES: usize = 10;

/// How a cell must end: with this result, without one, or with an error.
enum Ends {
    With(String),
    Silently,
    Badly,
}

fn main() {
    let cells = std::env::args().nth(1);
    let cells = cells.map_or(2000, |text| text.parse().expect("a number of cells"));
    // Nothing is found ready from an earlier session.
    let kept = tempfile::tempdir().expect("a temporary folder");
    let mut front_end = FrontEnd::start_with(|command| {
        command.env(KEPT_CELLS_ENV, kept.path());
    });
    front_end.execute("let model = 1;").ok();
    let kernel = front_end.process().id();
    let (mut warm, mut unexpected) = (None, 0);
    println!("cell | kernel MB | child MB | child's mappings | ms a cell");
    let mut since = Instant::now();
    let step = (cells / LINES).max(1);
    for at in 1..=cells {
        let (code, ends) = cell(at);
        let reply = front_end.execute(&code);
        let fits = match &ends {
            Ends::With(result) => reply.status() == "ok" && reply.outputs.result() == *result,
            Ends::Silently => reply.status() == "ok",
            Ends::Badly => reply.status() == "error",
        };
        if !fits {
            unexpected += 1;
            println!("cell {at} ended with {}: {code}", reply.status());
        }
        if at % step == 0 {
            let sizes = Sizes::of(kernel);
            let each = since.elapsed().as_secs_f64() * 1e3 / step as f64;
            println!(
                "{at} | {:.1} | {:.1} | {} | {each:.0}",
                sizes.kernel, sizes.child, sizes.mappings
            );
            since = Instant::now();
            if warm.is_none() && at * 5 >= cells {
                warm = Some((at, sizes));
            }
        }
    }
    let end = Sizes::of(kernel);
    if let Some((at, warm)) = warm.filter(|(at, _)| *at < cells) {
        let each = |end: f64, warm: f64| (end - warm) / (cells - at) as f64;
        println!(
            "from cell {at} on, each: kernel {:.1} KB, child {:.1} KB, {:.2} mappings",
            each(end.kernel, warm.kernel) * 1e3,
            each(end.child, warm.child) * 1e3,
            each(end.mappings as f64, warm.mappings as f64)
        );
    }
    println!("{unexpected} of {cells} cells ended otherwise than they should");
    front_end.shut_down();
    front_end.forget();
    assert_eq!(unexpected, 0);
}

/// A cell that no other of the session has the text of.
fn cell(at: usize) -> (String, Ends) {
    match at % 8 {
        0 => (format!("{at} + 1"), Ends::With(format!("{}", at + 1))),
        1 => (format!("let number_{} = {at};", at % 40), Ends::Silently),
        2 => (
            format!("let tensor = Tensor::full({at}f32, (4, 4), &Device::Cpu)?;"),
            Ends::Silently,
        ),
        3 => (format!("println!(\"cell {{}}\", {at});"), Ends::Silently),
        4 => (
            format!(
                "fn double_{}(x: i32) -> i32 {{ 2 * x + {at} }}\ndouble_{}(1)",
                at % 40,
                at % 40
            ),
            Ends::With(format!("{}", at + 2)),
        ),
        5 => (
            format!(
                "#[derive(Debug, Clone)] struct Found{} {{ of: usize }}\nFound{} {{ of: {at} }}.of",
                at % 40,
                at % 40
            ),
            Ends::With(format!("{at}")),
        ),
        6 => (format!("let wrong: i32 = \"{at}\";"), Ends::Badly),
        _ => (format!("panic!(\"in cell {at}\")"), Ends::Badly),
    }
}

/// Resident sizes in MB.
struct Sizes {
    kernel: f64,
    child: f64,
    mappings: usize,
}

impl Sizes {
    fn of(kernel: u32) -> Self {
        let by_size = |a: &u32, b: &u32| resident_mb(*a).total_cmp(&resident_mb(*b));
        let child = children(kernel).into_iter().max_by(by_size);
        let maps = |child: u32| std::fs::read_to_string(format!("/proc/{child}/maps"));
        Self {
            kernel: resident_mb(kernel),
            child: child.map_or(f64::NAN, resident_mb),
            mappings: child.map_or(0, |child| {
                maps(child).map_or(0, |maps| maps.lines().count())
            }),
        }
    }
}
