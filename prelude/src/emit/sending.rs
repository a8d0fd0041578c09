//! Frames on their way out.
//!
//! Text that the cell printed before is flushed first, so that the notebook shows text and values
//! in the order of the program.

use super::{Bundle, Host, fallback};
use ferrolens_frames::Frame;
use std::cell::Cell;
use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// Sends the value of the cell's last expression.
pub(super) fn send_value(data: Bundle) {
    if data.is_empty() {
        return;
    }
    match Host::find() {
        Some(host) => host.send(&Frame::Value {
            cell: host.cell(),
            data,
            metadata: Bundle::new(),
        }),
        None => fallback::show(&data),
    }
}

/// Sends a value to be shown now; frames sent later with the same id replace it.
pub(crate) fn send_display(data: Bundle, display_id: &str) {
    if data.is_empty() {
        return;
    }
    match Host::find() {
        Some(host) => host.send(&Frame::Display {
            cell: host.cell(),
            data,
            metadata: Bundle::new(),
            display_id: Some(display_id.to_owned()),
        }),
        None => fallback::show(&data),
    }
}

/// Tells the kernel words that functions take as text, for completion; `of` says what they name.
pub(crate) fn send_words(of: &str, words: Vec<String>) {
    if let Some(host) = Host::find() {
        host.send(&Frame::Words {
            of: of.to_owned(),
            words,
        });
    }
}

/// Replaces what was shown under this id; without a host the new value is shown below the old.
pub(crate) fn send_update(data: Bundle, display_id: &str) {
    match Host::find() {
        Some(host) => host.send(&Frame::Update {
            cell: host.cell(),
            data,
            metadata: Bundle::new(),
            display_id: display_id.to_owned(),
        }),
        None => fallback::show(&data),
    }
}

/// An id that no earlier process has used either: a notebook keeps outputs across restarts.
pub(crate) fn display_id() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let nanoseconds = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |time| time.as_nanos());
    format!(
        "ferrolens-{:x}-{nanoseconds:x}-{count:x}",
        std::process::id()
    )
}

/// Clears the output of the running cell; without a host there is nothing that could be cleared.
pub(crate) fn clear(wait: bool) {
    if let Some(host) = Host::find() {
        host.send(&Frame::Clear {
            cell: host.cell(),
            wait,
        });
    }
}

/// Flushes what the cell printed. An error means that nobody reads stdout any more.
pub(super) fn flush_stdout() {
    if !INSIDE_WRITE.get() {
        let _ = std::io::stdout().flush();
    }
}

/// Runs `work` on a thread that is in the middle of a write to stdout, whose lock it holds: a flush
/// there would be a second borrow of the same buffer. What the cell printed before is on its way.
pub(crate) fn inside_write(work: impl FnOnce()) {
    INSIDE_WRITE.set(true);
    work();
    INSIDE_WRITE.set(false);
}

thread_local! {
    static INSIDE_WRITE: Cell<bool> = const { Cell::new(false) };
}
