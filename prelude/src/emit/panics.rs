//! Panics of a cell become the cell's error, with a message and a place.
//!
//! On the thread that runs cells the panic hook prints nothing and remembers the panic:
//! [`cell_panicked`] sends it when it has unwound the cell. A panic that the user's own code
//! catches is not lost: it is written to stderr when the cell ends, or when the next one follows.
//! Other threads report on stderr, in Rust's own words, at once.

use super::failure::Failure;
use super::{Host, calls, control, symbols};
use crate::error::with_next_step;
use ferrolens_frames::{Frame, SourcePlace};
use std::backtrace::Backtrace;
use std::cell::{Cell, RefCell};
use std::io::Write as _;
use std::panic::PanicHookInfo;
use std::sync::{Mutex, Once};

/// evcxr's control line for a panic: the variables that the cell defined are forgotten.
const PANICKED: &str = "EVCXR_PANIC_NOTIFICATION";

struct Remembered {
    failure: Failure,
    thread: String,
    /// Addresses only: names are looked up when somebody is to read them.
    backtrace: Backtrace,
}

thread_local! {
    /// Whether cells run on this thread.
    static RUNS_CELLS: Cell<bool> = const { Cell::new(false) };
    /// The last panic of this thread that nobody has reported yet.
    static UNREPORTED: RefCell<Option<Remembered>> = const { RefCell::new(None) };
}

/// The last panic of any other thread. rayon carries such a panic to the cell's thread without
/// telling the hook a second time.
static ELSEWHERE: Mutex<Option<Remembered>> = Mutex::new(None);

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
    take("the cell was unwound without a message").report();
    control(PANICKED);
}

/// The panic that has just unwound this thread; `silent` is its message where nobody reported one.
pub(super) fn take(silent: &str) -> Failure {
    let here = UNREPORTED.with_borrow_mut(Option::take);
    match (here, take_elsewhere()) {
        (Some(here), _) => here.failure(),
        (None, Some(elsewhere)) => Failure {
            thread: Some(elsewhere.thread.clone()),
            ..elsewhere.failure()
        },
        (None, None) => Failure {
            name: "panic".to_owned(),
            value: silent.to_owned(),
            ..Failure::default()
        },
    }
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
    let interrupted = Remembered::now(Failure::interrupted());
    if RUNS_CELLS.get() {
        UNREPORTED.set(Some(interrupted));
    } else {
        set_elsewhere(interrupted);
    }
}

/// Keeps the panic for later; false where the usual hook should report it now.
fn remember(panic: &PanicHookInfo<'_>) -> bool {
    let remembered = Remembered::now(failure(panic));
    // A thread that is being torn down has no thread-locals any more.
    if !RUNS_CELLS.try_with(Cell::get).unwrap_or(false) {
        let told = !aborts(&remembered.failure.value) && remembered.tell();
        set_elsewhere(remembered);
        return told;
    }
    let earlier = UNREPORTED
        .try_with(|slot| slot.try_borrow_mut().ok().and_then(|mut slot| slot.take()))
        .ok()
        .flatten();
    if let Some(earlier) = earlier {
        earlier.write();
    }
    if aborts(&remembered.failure.value) {
        return false;
    }
    UNREPORTED
        .try_with(|slot| {
            if let Ok(mut slot) = slot.try_borrow_mut() {
                *slot = Some(remembered);
            }
        })
        .is_ok()
}

fn failure(panic: &PanicHookInfo<'_>) -> Failure {
    Failure {
        name: "panic".to_owned(),
        value: with_next_step(panic.payload_as_str().unwrap_or("Box<dyn Any>").to_owned()),
        at: panic.location().map(|place| SourcePlace {
            file: place.file().to_owned(),
            line: place.line(),
            column: place.column(),
        }),
        ..Failure::default()
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
    fn now(failure: Failure) -> Self {
        let thread = std::thread::current();
        Self {
            failure,
            thread: thread.name().unwrap_or("<unnamed>").to_owned(),
            backtrace: Backtrace::force_capture(),
        }
    }

    /// The failure with the names of the functions that led to it.
    fn failure(self) -> Failure {
        let text = symbols::text(&self.backtrace);
        // For who asked for it inside a cell; the kernel's traceback is shorter.
        if std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0") {
            write_stderr(&format!("{text}\n"));
        }
        Failure {
            calls: calls::of_cells(&text),
            inside: calls::panicking(&text, self.failure.at.as_ref()),
            ..self.failure
        }
    }

    /// Has the kernel write the panic to the cell's stderr, with the cell's own name for the place;
    /// false where there is no kernel.
    fn tell(&self) -> bool {
        let Some(host) = Host::find() else {
            return false;
        };
        host.send(&Frame::Panicked {
            cell: host.cell(),
            thread: self.thread.clone(),
            value: self.failure.value.clone(),
            at: self.failure.at.clone(),
        });
        true
    }

    /// Writes the panic to stderr as Rust does.
    fn write(self) {
        if self.tell() {
            return;
        }
        let place = self.failure.at.map_or_else(
            || "an unknown place".to_owned(),
            |at| format!("{}:{}:{}", at.file, at.line, at.column),
        );
        let (name, message) = (self.thread, self.failure.value);
        write_stderr(&format!(
            "\nthread '{name}' panicked at {place}:\n{message}\n"
        ));
    }
}

fn write_stderr(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

fn set_elsewhere(panic: Remembered) {
    if let Ok(mut slot) = ELSEWHERE.lock() {
        *slot = Some(panic);
    }
}

fn take_elsewhere() -> Option<Remembered> {
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
                calls,
                ..
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
        assert!(calls.is_empty(), "no cell called: {calls:?}");
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
