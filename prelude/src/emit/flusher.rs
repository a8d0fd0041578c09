//! A thread that flushes stdout, so that `print!` without a newline and `\r` appear at once.
//!
//! Rust's stdout holds a line back until it ends. Flushing an empty buffer takes a lock and no
//! system call; between cells the thread looks twice a second only.

use super::sending::flush_stdout;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::{Condvar, Mutex, Once};
use std::time::Duration;

const WHILE_A_CELL_RUNS: Duration = Duration::from_millis(30);
const BETWEEN_CELLS: Duration = Duration::from_millis(500);

/// Whether the host says when a cell begins.
static BEGINS_ARE_TOLD: AtomicBool = AtomicBool::new(false);

struct Pace {
    cell_runs: Mutex<bool>,
    changed: Condvar,
}

static PACE: Pace = Pace {
    cell_runs: Mutex::new(true),
    changed: Condvar::new(),
};

/// Starts the thread, once.
pub(super) fn start() {
    static START: Once = Once::new();
    START.call_once(|| {
        // Without a thread, text appears a line at a time, as in any Rust program.
        let _ = std::thread::Builder::new()
            .name("ferrolens-flush".to_owned())
            .spawn(run);
    });
}

/// A cell begins: text must appear soon again.
pub(super) fn cell_begins() {
    BEGINS_ARE_TOLD.store(true, Relaxed);
    set_cell_runs(true);
}

/// A cell has ended. The thread rests only where the next cell's beginning will wake it.
pub(super) fn cell_ended() {
    if BEGINS_ARE_TOLD.load(Relaxed) {
        set_cell_runs(false);
    }
}

fn set_cell_runs(runs: bool) {
    if let Ok(mut cell_runs) = PACE.cell_runs.lock() {
        *cell_runs = runs;
        if runs {
            PACE.changed.notify_one();
        }
    }
}

fn run() {
    loop {
        let Ok(cell_runs) = PACE.cell_runs.lock() else {
            return;
        };
        let pause = if *cell_runs {
            WHILE_A_CELL_RUNS
        } else {
            BETWEEN_CELLS
        };
        // A wake-up before its time is one flush more.
        drop(PACE.changed.wait_timeout(cell_runs, pause));
        flush_stdout();
    }
}
