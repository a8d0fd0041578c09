//! What a step of `progress` costs, in every kind of front end, beside the same loop without it.
//!
//! `cargo run --release -p ferrolens-benches --bin progress`

use ferrolens_tests::FrontEnd;

const CELL: &str = "
use std::hint::black_box;
let steps = 5_000_000_u64;
let started = std::time::Instant::now();
for step in 0..steps { black_box(step); }
let bare = started.elapsed();
let started = std::time::Instant::now();
for step in progress(0..steps, \"steps\") { black_box(step); }
let shown = started.elapsed();
(bare.as_secs_f64() * 1e9 / steps as f64, shown.as_secs_f64() * 1e9 / steps as f64)";

fn main() {
    println!(
        "| front end | bare loop, ns a step | with progress, ns a step |\n| --- | ---: | ---: |"
    );
    for kind in ["unknown", "lab", "console", "headless"] {
        let mut front_end = FrontEnd::start_with(|command| {
            command.env("FERROLENS_FRONT_END", kind);
        });
        let reply = front_end.execute(CELL).ok();
        let result = reply.outputs.result().trim_matches(['(', ')']).to_owned();
        let numbers: Vec<f64> = result
            .split(", ")
            .filter_map(|it| it.parse().ok())
            .collect();
        if let [bare, shown] = numbers.as_slice() {
            println!("| {kind} | {bare:.1} | {shown:.1} |");
        }
    }
}
