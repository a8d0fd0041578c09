//! Sends random, truncated, replayed and wrongly signed messages to the installed kernel.
//!
//! `cargo run --release -p ferrolens-tests --bin fuzz -- [seconds, 600 where left out] [seed]`
//!
//! Every hundred messages the kernel must answer a question; at the end it must run a cell. The memory
//! of its process is printed before and after.

use ferrolens_tests::process::resident_mb;
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
    let before = resident_mb(front_end.process().id());
    let sent = fuzz(&mut front_end, seed, Duration::from_secs(seconds));
    println!("{sent:?}");
    // What was sent last may fail, and abort what stands behind it.
    let mut reply = front_end.execute("1 + 1");
    while reply.status() == "aborted" {
        reply = front_end.execute("1 + 1");
    }
    assert_eq!(reply.ok().outputs.result(), "2");
    println!(
        "{before:.0} MB before, {:.0} MB after",
        resident_mb(front_end.process().id())
    );
    front_end.shut_down();
    front_end.forget();
}
