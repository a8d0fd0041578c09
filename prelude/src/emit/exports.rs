//! The C symbols of this library that the host process looks up.
//!
//! No unwinding may leave them, and a null pointer does nothing. `ferrolens_prelude_legacy` lies
//! with what values look like, in `display/legacy.rs`.

use super::{flusher, interrupt, panics, sending, variables};
use std::panic::catch_unwind;

/// Called by the host once, on the thread that runs cells, before the first cell.
#[unsafe(no_mangle)]
pub extern "C" fn ferrolens_prelude_init() {
    let _ = catch_unwind(|| {
        panics::install();
        flusher::start();
        // A pool that the first cell builds would belong to that cell, and so would all that its
        // threads print. An error means that there is a pool already.
        let _ = rayon::ThreadPoolBuilder::new().build_global();
    });
}

/// Called by the host when a cell begins. Optional: it lets the flusher rest between cells.
#[unsafe(no_mangle)]
pub extern "C" fn ferrolens_prelude_cell_begin() {
    let _ = catch_unwind(flusher::cell_begins);
}

/// Called by the host on the thread that ran the cell, when it has ended and before the host says
/// so.
#[unsafe(no_mangle)]
pub extern "C" fn ferrolens_prelude_cell_end() {
    let _ = catch_unwind(|| {
        panics::report_caught();
        variables::report();
        sending::flush_stdout();
        flusher::cell_ended();
    });
}

/// Called by the host from another thread than the one that runs cells: 1 when the user asks the
/// running cell to stop, 0 when the next one begins.
#[unsafe(no_mangle)]
pub extern "C" fn ferrolens_prelude_stop(raised: i32) {
    interrupt::raise(raised != 0);
}
