//! What it costs that the loops of a cell look at the interrupt.
//!
//! `cargo run --release -p ferrolens-benches --bin checks`
//!
//! The same cells run in the installed kernel with `:interruptible on` and `off` in turn; each loop is
//! timed inside the cell, the best of several runs, and the ratio of the two medians is printed.

use ferrolens_tests::FrontEnd;

/// What is summed, and a cell that prints the nanoseconds of one whole loop.
const LOOPS: &[(&str, &str)] = &[
    (
        "floats of a vector",
        "let mut sum = 0_f64; for x in &numbers { sum += x; } sum",
    ),
    (
        "whole numbers, multiplied",
        "let mut sum = 1_u64; for i in 0..n { sum = sum.wrapping_mul(31).wrapping_add(i); } sum",
    ),
    (
        "whole numbers, added",
        "let mut sum = 0_u64; for i in 0..n { sum = sum.wrapping_add(std::hint::black_box(i)); } sum",
    ),
    (
        "two loops, one in the other",
        "let mut sum = 0_f64; for i in 0..4000 { for x in &numbers[i..i + 1000] { sum += x; } } sum",
    ),
];

const ROUNDS: usize = 5;

fn main() {
    let mut front_end = FrontEnd::start();
    front_end
        .execute("let n = std::hint::black_box(4_000_000_u64);\nlet numbers: Vec<f64> = (0..n).map(|i| i as f64).collect();")
        .ok();
    println!("| loop | without, ms | with, ms | ratio |");
    println!("| --- | ---: | ---: | ---: |");
    for (name, body) in LOOPS {
        let cell = format!(
            "let mut best = f64::MAX;\n\
             for _ in 0..15 {{\n\
             let started = std::time::Instant::now();\n\
             let sum = {{ {body} }};\n\
             std::hint::black_box(sum);\n\
             best = best.min(started.elapsed().as_secs_f64());\n\
             }}\n\
             print!(\"{{}}\", best * 1e3)"
        );
        let mut times = [Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            for (at, switch) in [":interruptible off", ":interruptible on"]
                .iter()
                .enumerate()
            {
                front_end.execute(switch).ok();
                let reply = front_end.execute(&cell).ok();
                times[at].extend(reply.outputs.text("stdout").parse::<f64>().ok());
            }
        }
        let [without, with] = times.map(median);
        println!(
            "| {name} | {without:.3} | {with:.3} | {:.3} |",
            with / without
        );
    }
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times.get(times.len() / 2).copied().unwrap_or(f64::NAN)
}
