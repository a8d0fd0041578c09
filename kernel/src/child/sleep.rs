//! Sleeping threads of a cell wake when the user interrupts it.
//!
//! Rust's standard library goes back to sleep when a signal wakes it, so this executable exports the
//! C library's functions: a thread that belongs to the running cell sleeps in short pieces, and is
//! told that it has slept enough once the user interrupts. The next check of its code unwinds it.

use super::door;
use super::threads;
use std::ffi::c_int;
use std::sync::atomic::{AtomicBool, Ordering};

/// The longest piece, in nanoseconds.
const PIECE: i64 = 50_000_000;

const SECOND: i64 = 1_000_000_000;

/// Whether this process runs cells.
static IN_CHILD: AtomicBool = AtomicBool::new(false);

/// From now on sleeps can be ended.
pub(super) fn enter() {
    IN_CHILD.store(true, Ordering::Release);
}

/// Stands before the C library's function of this name.
///
/// # Safety
/// As for `nanosleep(2)`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn nanosleep(
    request: *const libc::timespec,
    remaining: *mut libc::timespec,
) -> c_int {
    // SAFETY: the caller's arguments, unchanged.
    let error = unsafe { clock_nanosleep(libc::CLOCK_MONOTONIC, 0, request, remaining) };
    if error == 0 {
        return 0;
    }
    // SAFETY: the calling thread's own error number.
    unsafe { *libc::__errno_location() = error };
    -1
}

/// Stands before the C library's function of this name.
///
/// # Safety
/// As for `clock_nanosleep(2)`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn clock_nanosleep(
    clock: libc::clockid_t,
    flags: c_int,
    request: *const libc::timespec,
    remaining: *mut libc::timespec,
) -> c_int {
    if request.is_null()
        || !IN_CHILD.load(Ordering::Acquire)
        || !threads::belongs_to_the_running_cell()
    {
        // SAFETY: the caller's arguments, unchanged.
        return unsafe { system_sleep(clock, flags, request, remaining) };
    }
    // SAFETY: not null, and the caller vouches for what it points to.
    let request = unsafe { *request };
    let wanted = i128::from(request.tv_sec) * i128::from(SECOND) + i128::from(request.tv_nsec);
    let until = if flags & libc::TIMER_ABSTIME == 0 {
        now(clock) + wanted
    } else {
        wanted
    };
    if !(0..SECOND).contains(&request.tv_nsec) || request.tv_sec < 0 {
        return libc::EINVAL;
    }
    loop {
        let left = until - now(clock);
        if left <= 0 || door::stops() {
            return 0;
        }
        let piece = libc::timespec {
            tv_sec: 0,
            tv_nsec: i64::try_from(left).unwrap_or(PIECE).min(PIECE),
        };
        // SAFETY: a whole `timespec`, and no place for what remains.
        let error = unsafe { system_sleep(clock, 0, &raw const piece, std::ptr::null_mut()) };
        if error != 0 && error != libc::EINTR {
            return error;
        }
    }
}

/// The time on a clock, in nanoseconds.
fn now(clock: libc::clockid_t) -> i128 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the pointer is to a `timespec`, which the call fills.
    unsafe { libc::clock_gettime(clock, &raw mut time) };
    i128::from(time.tv_sec) * i128::from(SECOND) + i128::from(time.tv_nsec)
}

/// The system call: 0, or an error number.
///
/// # Safety
/// As for `clock_nanosleep(2)`.
unsafe fn system_sleep(
    clock: libc::clockid_t,
    flags: c_int,
    request: *const libc::timespec,
    remaining: *mut libc::timespec,
) -> c_int {
    // SAFETY: the caller's arguments, unchanged.
    let result = unsafe {
        libc::syscall(
            libc::SYS_clock_nanosleep,
            libc::c_long::from(clock),
            libc::c_long::from(flags),
            request,
            remaining,
        )
    };
    if result == 0 {
        0
    } else {
        std::io::Error::last_os_error()
            .raw_os_error()
            .unwrap_or(libc::EINVAL)
    }
}
