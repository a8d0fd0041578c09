//! Sends random, truncated, replayed and wrongly signed messages to the installed kernel.
//!
//! `cargo run --release -p ferrolens-tests --bin fuzz -- [seconds, 600 where left out] [seed]`
//!
//! Every hundred messages the kernel must answer a question; at the end it must run a cell. The memory
//! of its process is printed before and after.

use ferrolens_tests::{FrontEnd, fuzz};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

fn main() {
    let mut arguments = std::env::args().skip(1).map(|word| word.parse::<u64>());
    let seconds = arguments.next().and_then(Result::ok).unwrap_or(600);
    let seed = arguments.next().and_then(Result::ok).unwrap_or_else(|| {
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        now.map_or(1, |time| time.as_secs())
    });
    println!("seed {seed}");
    let mut front_end = FrontEnd::start_with(|command| {
        command.stderr(std::process::Stdio::null());
    });
    front_end.execute("1").ok();
    let before = megabytes(front_end.process().id());
    let sent = fuzz(&mut front_end, seed, Duration::from_secs(seconds));
    println!("{sent:?}");
    // What was sent last may fail, and abort what stands behind it.
    let mut reply = front_end.execute("1 + 1");
    while reply.status() == "aborted" {
        reply = front_end.execute("1 + 1");
    }
    assert_eq!(reply.ok().outputs.result(), "2");
    println!(
        "{before} MB before, {} MB after",
        megabytes(front_end.process().id())
    );
    front_end.shut_down();
    front_end.forget();
}

/// The resident size of a process.
fn megabytes(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kilobytes = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
    kilobytes.unwrap_or(0) / 1024
}
