//! Panics of a cell become the cell's error, with a message and a place.
//!
//! On the thread that runs cells the panic hook prints nothing and remembers the panic:
//! [`cell_panicked`] sends it when it has unwound the cell. A panic that the user's own code
//! catches is not lost: it is written to stderr when the cell ends, or when the next one follows.
//! Other threads report on stderr, in Rust's own words.

use super::control;
use super::failure::Failure;
use ferrolens_frames::SourcePlace;
use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::{Cell, RefCell};
use std::io::Write as _;
use std::panic::PanicHookInfo;
use std::sync::{Mutex, Once};

/// evcxr's control line for a panic: the variables that the cell defined are forgotten.
const PANICKED: &str = "EVCXR_PANIC_NOTIFICATION";

struct Remembered {
    failure: Failure,
    backtrace: Option<String>,
}

thread_local! {
    /// Whether cells run on this thread.
    static RUNS_CELLS: Cell<bool> = const { Cell::new(false) };
    /// The last panic of this thread that nobody has reported yet.
    static UNREPORTED: RefCell<Option<Remembered>> = const { RefCell::new(None) };
}

/// The last panic of any other thread. rayon carries such a panic to the cell's thread without
/// telling the hook a second time.
static ELSEWHERE: Mutex<Option<Failure>> = Mutex::new(None);

/// Makes the calling thread the one that runs cells, and installs the hook.
pub(super) fn install() {
    RUNS_CELLS.set(true);
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !remember(panic) {
                usual(panic);
            }
        }));
    });
}

/// Reports the panic that has just unwound the cell. The kernel's generated code calls it.
pub fn cell_panicked() {
    let here = UNREPORTED.with_borrow_mut(Option::take);
    let elsewhere = take_elsewhere();
    let failure = match here {
        Some(Remembered { failure, backtrace }) => {
            if let Some(backtrace) = backtrace {
                write_stderr(&format!("{backtrace}\n"));
            }
            failure
        }
        None => elsewhere.unwrap_or_else(|| Failure {
            name: "panic".to_owned(),
            value: "the cell was unwound without a message".to_owned(),
            at: None,
        }),
    };
    failure.report();
    control(PANICKED);
}

/// The panic that has just unwound a callback: its name and message.
pub(super) fn take() -> (String, String) {
    let here = UNREPORTED.with_borrow_mut(Option::take);
    let elsewhere = take_elsewhere();
    let failure = here.map(|remembered| remembered.failure).or(elsewhere);
    failure.map_or_else(
        || {
            let value = "the callback was unwound without a message".to_owned();
            ("panic".to_owned(), value)
        },
        |failure| (failure.name, failure.value),
    )
}

/// Writes a panic that the cell caught itself to stderr. Called when a cell has ended.
pub(super) fn report_caught() {
    if let Some(caught) = UNREPORTED.with_borrow_mut(Option::take) {
        caught.write();
    }
    take_elsewhere();
}

/// Remembers that an interrupt unwinds this thread.
pub(super) fn remember_interrupt() {
    if RUNS_CELLS.get() {
        UNREPORTED.set(Some(Remembered {
            failure: Failure::interrupted(),
            backtrace: None,
        }));
    } else {
        set_elsewhere(Failure::interrupted());
    }
}

/// Keeps the panic for later; false where the usual hook should report it now.
fn remember(panic: &PanicHookInfo<'_>) -> bool {
    let failure = failure(panic);
    // A thread that is being torn down has no thread-locals any more.
    if !RUNS_CELLS.try_with(Cell::get).unwrap_or(false) {
        set_elsewhere(failure);
        return false;
    }
    let earlier = UNREPORTED
        .try_with(|slot| slot.try_borrow_mut().ok().and_then(|mut slot| slot.take()))
        .ok()
        .flatten();
    if let Some(earlier) = earlier {
        earlier.write();
    }
    if aborts(&failure.value) {
        return false;
    }
    let backtrace = Backtrace::capture();
    let backtrace =
        (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
    UNREPORTED
        .try_with(|slot| {
            if let Ok(mut slot) = slot.try_borrow_mut() {
                *slot = Some(Remembered { failure, backtrace });
            }
        })
        .is_ok()
}

fn failure(panic: &PanicHookInfo<'_>) -> Failure {
    Failure {
        name: "panic".to_owned(),
        value: panic.payload_as_str().unwrap_or("Box<dyn Any>").to_owned(),
        at: panic.location().map(|place| SourcePlace {
            file: place.file().to_owned(),
            line: place.line(),
            column: place.column(),
        }),
    }
}

/// Whether the process ends right after this panic, so that what is not written now is lost.
/// `PanicHookInfo::can_unwind` would say it, and is not stable.
fn aborts(message: &str) -> bool {
    [
        "panic in a function that cannot unwind",
        "panic in a destructor during cleanup",
        "unsafe precondition(s) violated",
        "misaligned pointer dereference",
        "null pointer dereference occurred",
    ]
    .iter()
    .any(|start| message.starts_with(start))
}

impl Remembered {
    /// Writes the panic to stderr as Rust does.
    fn write(self) {
        let place = self.failure.at.map_or_else(
            || "an unknown place".to_owned(),
            |at| format!("{}:{}:{}", at.file, at.line, at.column),
        );
        let thread = std::thread::current();
        let name = thread.name().unwrap_or("<unnamed>");
        let message = self.failure.value;
        let backtrace = self
            .backtrace
            .map_or_else(String::new, |backtrace| format!("{backtrace}\n"));
        write_stderr(&format!(
            "\nthread '{name}' panicked at {place}:\n{message}\n{backtrace}"
        ));
    }
}

fn write_stderr(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

fn set_elsewhere(failure: Failure) {
    if let Ok(mut slot) = ELSEWHERE.lock() {
        *slot = Some(failure);
    }
}

fn take_elsewhere() -> Option<Failure> {
    ELSEWHERE.lock().ok().and_then(|mut slot| slot.take())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit::host::fake;
    use ferrolens_frames::Frame;
    use std::panic::catch_unwind;

    /// Runs `work` on a thread of its own, which runs cells.
    fn on_a_cell_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
        std::thread::spawn(|| {
            install();
            work()
        })
        .join()
        .expect("the work catches its panics")
    }

    #[test]
    fn a_panic_becomes_the_failure_of_the_cell_with_its_place() {
        let sent = on_a_cell_thread(|| {
            let caught = catch_unwind(|| panic!("layer {} is missing", 3));
            assert!(caught.is_err());
            fake::with_host(cell_panicked).1
        });
        let [
            Frame::Failed {
                cell: 7,
                name,
                value,
                at: Some(at),
            },
        ] = sent.frames.as_slice()
        else {
            panic!("one failure was expected: {sent:?}");
        };
        assert_eq!(
            (name.as_str(), value.as_str()),
            ("panic", "layer 3 is missing")
        );
        assert!(at.file.ends_with("panics.rs") && at.line > 0 && at.column > 0);
        assert_eq!(sent.control, ["EVCXR_PANIC_NOTIFICATION"]);
    }

    #[test]
    fn a_panic_that_the_cell_catches_is_reported_when_the_cell_ends() {
        on_a_cell_thread(|| {
            assert!(catch_unwind(|| panic!("caught")).is_err());
            assert!(UNREPORTED.with_borrow(Option::is_some));
            report_caught();
            assert!(UNREPORTED.with_borrow(Option::is_none));
        });
    }

    #[test]
    fn an_interrupt_is_the_failure_of_the_cell() {
        let sent = on_a_cell_thread(|| {
            let (caught, _) = fake::with_stop(|| catch_unwind(crate::emit::stop_point));
            assert!(caught.is_err());
            fake::with_host(cell_panicked).1
        });
        assert!(
            matches!(sent.frames.as_slice(), [Frame::Failed { name, .. }] if name == "Interrupted"),
            "{sent:?}"
        );
    }

    #[test]
    fn what_aborts_the_process_is_written_at_once() {
        assert!(aborts(
            "unsafe precondition(s) violated: slice::from_raw_parts"
        ));
        assert!(!aborts("index out of bounds"));
    }
}
