//! Whole-process measurements of the installed kernel, beside `evcxr_jupyter` with the same
//! dependencies where that is on PATH, in one run, as ratios.
//!
//! `cargo run --release -p ferrolens-benches`
//!
//! Cells of the two kernels are timed in turn, so that a machine that changes its speed changes both.

use ferrolens_kernel::install::{cells, resident_megabytes};
use ferrolens_kernel::toolchain::kept::KEPT_CELLS_ENV;
use ferrolens_tests::FrontEnd;
use std::path::PathBuf;
use std::time::{Duration, Instant};

const CELLS: usize = 20;

/// A kernel under measurement.
struct Kernel {
    name: &'static str,
    front_end: FrontEnd,
    heard: Duration,
    /// Until it had run the first cell that uses the prelude.
    first: Duration,
    /// Run before anything else; makes the prelude's crates usable.
    opening: Option<String>,
    /// How a cell shows the figure `plot`.
    show: &'static str,
}

impl Kernel {
    /// A kernel that has answered, with its first cells run: before another one starts, which would take its time.
    fn opened(
        name: &'static str,
        mut front_end: FrontEnd,
        started: Instant,
        opening: Option<String>,
        show: &'static str,
    ) -> Self {
        let heard = started.elapsed();
        if let Some(opening) = &opening {
            run(&mut front_end, opening);
        }
        run(&mut front_end, cells::FIRST);
        Self {
            name,
            front_end,
            heard,
            first: started.elapsed(),
            opening,
            show,
        }
    }
}

fn main() {
    let started = Instant::now();
    let kept = std::env::temp_dir().join(format!("ferrolens-bench-{}", std::process::id()));
    let front_end = FrontEnd::start_with(|command| {
        command.env(KEPT_CELLS_ENV, &kept);
    });
    let mut kernels = vec![Kernel::opened(
        "ferrolens",
        front_end,
        started,
        None,
        "plot",
    )];
    match find("evcxr_jupyter") {
        Some(program) => {
            let started = Instant::now();
            let mut front_end =
                FrontEnd::start_program(&program, &["--control_file", "{connection_file}"], |_| {});
            // It compiles all dependencies in its first cell.
            front_end.wait_at_most(Duration::from_secs(1_800));
            kernels.push(Kernel::opened(
                "evcxr_jupyter",
                front_end,
                started,
                Some(stock_opening()),
                "plot.notebook_display();",
            ));
        }
        None => println!(
            "evcxr_jupyter is not on PATH, so there are no ratios: cargo install evcxr_jupyter \
             --version 0.22.0 --locked"
        ),
    }
    let mut table = Table::default();
    for (at, kernel) in kernels.iter().enumerate() {
        table.put("start to kernel_info, s", at, kernel.heard.as_secs_f64());
    }
    for (at, kernel) in kernels.iter().enumerate() {
        table.put(
            "start to first result that uses the prelude, s",
            at,
            kernel.first.as_secs_f64(),
        );
    }
    table.measure(
        "trivial cell, median of 50, s",
        &mut kernels,
        50,
        |_, round| cells::trivial(round),
    );
    table.measure("`let` cell, median, s", &mut kernels, CELLS, |_, round| {
        cells::binding(round)
    });
    for kernel in &mut kernels {
        run(&mut kernel.front_end, cells::MODEL);
    }
    let analysis = |show: &str, round: usize| {
        let figure = cells::analysis(round);
        match figure.strip_suffix('?') {
            // The other kernel shows what is told to show itself.
            Some(figure) if show != "plot" => {
                let (before, figure) = figure.rsplit_once('\n').unwrap_or(("", figure));
                format!("{before}\nlet plot = {figure}?;\n{show}")
            }
            _ => figure,
        }
    };
    table.measure("analysis of 20 lines, median, s", &mut kernels, 7, analysis);
    table.measure(
        "the same cell again, median, s",
        &mut kernels,
        7,
        |show, _| analysis(show, 6),
    );
    table.measure(
        "cell with a figure, median, s",
        &mut kernels,
        10,
        |show, _| {
            format!(
                "{{ let mut plot = plotly::Plot::new(); \
             plot.add_trace(plotly::Scatter::new(vec![1, 2, 3], vec![2, 3, 1])); {show} }}"
            )
        },
    );
    for (at, kernel) in kernels.iter_mut().enumerate() {
        table.put(
            "kernel process after these cells, resident MB",
            at,
            resident_megabytes(kernel.front_end.process().id()),
        );
    }
    table.print(&kernels);
    for kernel in &mut kernels {
        kernel.front_end.forget();
        if kernel.opening.is_some() {
            kernel.front_end.kill();
        }
    }
    let _ = std::fs::remove_dir_all(kept);
}

/// The prelude by stock means, and its crates with the features of this workspace.
fn stock_opening() -> String {
    let prelude = concat!(env!("CARGO_MANIFEST_DIR"), "/../prelude");
    format!(":dep ferrolens = {{ path = {prelude:?} }}\nuse ferrolens::prelude::*;")
}

fn run(front_end: &mut FrontEnd, code: &str) -> Duration {
    let started = Instant::now();
    let reply = front_end.execute(code);
    let took = started.elapsed();
    assert_eq!(reply.status(), "ok", "{code}: {:#?}", reply.outputs);
    took
}

/// Rows of figures, a column a kernel.
#[derive(Default)]
struct Table {
    rows: Vec<(String, Vec<f64>)>,
}

impl Table {
    fn put(&mut self, row: &str, column: usize, value: f64) {
        if column == 0 {
            self.rows.push((row.to_owned(), Vec::new()));
        }
        if let Some((_, values)) = self.rows.last_mut()
            && column == values.len()
        {
            values.push(value);
            return;
        }
        if let Some((_, values)) = self.rows.iter_mut().find(|(name, _)| name == row) {
            values.push(value);
        }
    }

    fn measure(
        &mut self,
        row: &str,
        kernels: &mut [Kernel],
        times: usize,
        code: impl Fn(&str, usize) -> String,
    ) {
        let mut took = vec![Vec::new(); kernels.len()];
        for round in 0..times {
            for (kernel, took) in kernels.iter_mut().zip(&mut took) {
                let code = code(kernel.show, round);
                took.push(run(&mut kernel.front_end, &code).as_secs_f64());
            }
        }
        for (column, mut took) in took.into_iter().enumerate() {
            took.sort_by(f64::total_cmp);
            self.put(row, column, took[took.len() / 2]);
        }
    }

    fn print(&self, kernels: &[Kernel]) {
        let names: Vec<&str> = kernels.iter().map(|kernel| kernel.name).collect();
        println!("| whole process | {} | ratio |", names.join(" | "));
        println!("| --- |{}", " ---: |".repeat(names.len() + 1));
        for (row, values) in &self.rows {
            let shown: Vec<String> = values.iter().map(|value| format!("{value:.2}")).collect();
            let ratio = match values.as_slice() {
                [ours, stock] => format!("{:.3}", ours / stock),
                _ => "-".to_owned(),
            };
            println!("| {row} | {} | {ratio} |", shown.join(" | "));
        }
    }
}

fn find(program: &str) -> Option<PathBuf> {
    let search = std::env::var_os("PATH")?;
    std::env::split_paths(&search)
        .map(|folder| folder.join(program))
        .find(|path| path.is_file())
}
