//! Stopping a cell without losing what the notebook holds.
//!
//! The kernel raises a flag; every long operation looks at it and unwinds, and the variables of
//! earlier cells stay where they are.

use super::{Host, panics};
use crate::error::{Error, Result};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

/// Raised by the host while the running cell is asked to stop. Loops look at this first: a load, where
/// the host's own answer, which knows to whom the wish applies, is a call.
static RAISED: AtomicBool = AtomicBool::new(false);

/// Raises the flag, or takes it down.
pub(super) fn raise(raised: bool) {
    RAISED.store(raised, Relaxed);
}

/// What unwinds a cell that was asked to stop; a cell that catches panics finds it as the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interrupted;

/// The words of the error, by which a failure is known as an interrupt.
pub(super) const MESSAGE: &str =
    "interrupted: the cell was stopped, and the variables of earlier cells are kept";

/// Whether the user asked the running cell to stop.
#[inline]
#[must_use]
pub fn interrupted() -> bool {
    (cfg!(test) || RAISED.load(Relaxed)) && Host::find().is_some_and(|host| host.stops())
}

/// `Err` once the user asked the running cell to stop. Call it once a layer, a batch or a step.
///
/// ```
/// use ferrolens::emit::check_interrupt;
///
/// fn train(steps: usize) -> ferrolens::Result<usize> {
///     for _ in 0..steps {
///         check_interrupt()?;
///     }
///     Ok(steps)
/// }
/// assert_eq!(train(3)?, 3);
/// # Ok::<(), ferrolens::Error>(())
/// ```
///
/// # Errors
/// An error whose message starts with `interrupted`.
pub fn check_interrupt() -> Result<()> {
    if interrupted() { Err(error()) } else { Ok(()) }
}

/// Unwinds the thread once the user asked the running cell to stop.
///
/// For places that cannot return an error: the kernel puts it into the loops that a cell writes. It
/// costs one load and one branch. A thread that unwinds already goes on.
#[inline(always)]
pub fn stop_point() {
    if (cfg!(test) || RAISED.load(Relaxed)) && is_meant() {
        unwind();
    }
}

/// Whether the calling thread is to unwind: a second panic while the first unwinds would end the process.
///
/// With C's calling convention, from which nothing unwinds: the compiler then keeps a loop's numbers in
/// registers, and moves them to memory only where this is called.
#[cold]
#[inline(never)]
extern "C" fn is_meant() -> bool {
    !std::thread::panicking() && interrupted()
}

pub(super) fn error() -> Error {
    Error::new(MESSAGE)
}

#[cold]
fn unwind() -> ! {
    panics::remember_interrupt();
    // Not `panic_any`: the panic hook would report the user's own wish to them.
    std::panic::resume_unwind(Box::new(Interrupted))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit::host::fake;

    #[test]
    fn only_a_raised_flag_stops() {
        assert!(check_interrupt().is_ok(), "there is no host");
        let (result, _) = fake::with_host(check_interrupt);
        assert!(result.is_ok());
        let (result, _) = fake::with_stop(check_interrupt);
        let message = result.expect_err("the flag is raised").to_string();
        assert!(message.starts_with("interrupted"), "{message}");
    }

    #[test]
    fn a_stop_point_unwinds_with_its_own_payload() {
        stop_point();
        let (caught, _) = fake::with_stop(|| std::panic::catch_unwind(stop_point));
        let payload = caught.expect_err("it unwinds");
        assert!(payload.is::<Interrupted>());
    }
}
