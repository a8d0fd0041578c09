//! Which cell a thread belongs to: the one in which it was started, however long it outlives it.
//!
//! A thread inherits the cell of its creator. Rust offers no hook for that, so this executable
//! exports a `pthread_create` that wraps the start routine; the libraries that a cell loads resolve
//! the symbol here first.

use ferrolens_frames::CellId;
use std::cell::Cell;
use std::ffi::{c_int, c_void};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

thread_local! {
    static CELL: Cell<CellId> = const { Cell::new(0) };
}

/// The cell that runs, or ran last: output of threads that no cell started belongs to it.
static RUNNING: AtomicU64 = AtomicU64::new(0);

/// Marks the calling thread, the one that runs cells, as being in `cell`.
pub(super) fn enter(cell: CellId) {
    RUNNING.store(cell, Ordering::Relaxed);
    CELL.set(cell);
}

/// The cell to which the calling thread's output belongs.
pub(super) fn current() -> CellId {
    // A thread that is being torn down has no storage left; its cell is the running one.
    match CELL.try_with(Cell::get) {
        Ok(0) | Err(_) => RUNNING.load(Ordering::Relaxed),
        Ok(cell) => cell,
    }
}

/// Whether an interrupt of the running cell is meant for the calling thread too.
pub(super) fn belongs_to_the_running_cell() -> bool {
    current() == RUNNING.load(Ordering::Relaxed)
}

type Start = extern "C" fn(*mut c_void) -> *mut c_void;
type Create = unsafe extern "C" fn(
    *mut libc::pthread_t,
    *const libc::pthread_attr_t,
    Start,
    *mut c_void,
) -> c_int;

struct Beginning {
    cell: CellId,
    start: Start,
    argument: *mut c_void,
}

extern "C" fn begin(beginning: *mut c_void) -> *mut c_void {
    // SAFETY: `pthread_create` below made this pointer with `Box::into_raw` for this one call.
    let Beginning {
        cell,
        start,
        argument,
    } = *unsafe { Box::from_raw(beginning.cast()) };
    CELL.set(cell);
    start(argument)
}

/// Stands before the C library's function of this name.
///
/// # Safety
/// As for `pthread_create(3)`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pthread_create(
    thread: *mut libc::pthread_t,
    attributes: *const libc::pthread_attr_t,
    start: Start,
    argument: *mut c_void,
) -> c_int {
    static NEXT: OnceLock<Option<Create>> = OnceLock::new();
    let next = NEXT.get_or_init(|| {
        // SAFETY: the name is a C string; the symbol, where it exists, is the C library's function
        // of the type named by POSIX.
        unsafe {
            let symbol = libc::dlsym(libc::RTLD_NEXT, c"pthread_create".as_ptr());
            (!symbol.is_null()).then(|| std::mem::transmute::<*mut c_void, Create>(symbol))
        }
    });
    let Some(next) = *next else {
        return libc::EAGAIN;
    };
    let cell = CELL.try_with(Cell::get).unwrap_or(0);
    if cell == 0 {
        // SAFETY: the caller's arguments, unchanged.
        return unsafe { next(thread, attributes, start, argument) };
    }
    let beginning = Box::into_raw(Box::new(Beginning {
        cell,
        start,
        argument,
    }));
    // SAFETY: the caller's arguments, with a start routine that takes `beginning` and owns it.
    let result = unsafe { next(thread, attributes, begin, beginning.cast()) };
    if result != 0 {
        // SAFETY: no thread was started, so nobody else has taken the box.
        drop(unsafe { Box::from_raw(beginning) });
    }
    result
}
