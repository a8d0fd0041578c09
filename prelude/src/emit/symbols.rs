//! The names behind the addresses of a backtrace.
//!
//! The standard library lists the process's libraries when it first looks for a name, and never again:
//! of cells that were loaded later it would find nothing. So a copy of the process looks, which has
//! looked for nothing before.

use std::backtrace::Backtrace;

/// The text of a backtrace; empty where no names can be had.
pub(super) fn text(backtrace: &Backtrace) -> String {
    #[cfg(all(target_os = "linux", not(test)))]
    return forked::text(backtrace).unwrap_or_default();
    #[cfg(not(all(target_os = "linux", not(test))))]
    backtrace.to_string()
}

#[cfg(all(target_os = "linux", not(test)))]
mod forked {
    use super::Backtrace;
    use std::fs::File;
    use std::io::Read;
    use std::os::fd::{AsRawFd, FromRawFd};
    use std::time::{Duration, Instant};

    /// Longer than any library takes to be read; a copy that waits for another thread's lock waits
    /// for ever.
    const PATIENCE: Duration = Duration::from_secs(5);

    pub(super) fn text(backtrace: &Backtrace) -> Option<String> {
        let mut ends = [0; 2];
        // SAFETY: the call fills the two numbers that the pointer is to.
        if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) } != 0 {
            return None;
        }
        // SAFETY: both descriptors are fresh, and nobody else's.
        let (mut out, into) = unsafe { (File::from_raw_fd(ends[0]), File::from_raw_fd(ends[1])) };
        // SAFETY: the copy has this thread only. It allocates, which the C library allows after a fork,
        // reads files and writes to the pipe; it runs no destructor and no other code of the cell, and
        // where it waits for a lock of a thread that it lacks, it is ended below.
        let copy = unsafe { libc::fork() };
        if copy < 0 {
            return None;
        }
        if copy == 0 {
            write_all(into.as_raw_fd(), backtrace.to_string().as_bytes());
            // SAFETY: ends the copy at once.
            unsafe { libc::_exit(0) };
        }
        drop(into);
        let text = read(&mut out);
        // SAFETY: ends and collects the process that was started above.
        unsafe {
            libc::kill(copy, libc::SIGKILL);
            libc::waitpid(copy, std::ptr::null_mut(), 0);
        }
        text
    }

    /// Past the host's own `write`, which is for the cell's output.
    fn write_all(fd: i32, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            // SAFETY: the kernel reads at most `bytes.len()` bytes at the pointer.
            let written =
                unsafe { libc::syscall(libc::SYS_write, fd, bytes.as_ptr(), bytes.len()) };
            let Some(rest) = usize::try_from(written)
                .ok()
                .filter(|written| *written > 0)
                .and_then(|written| bytes.get(written..))
            else {
                return;
            };
            bytes = rest;
        }
    }

    fn read(out: &mut File) -> Option<String> {
        let deadline = Instant::now() + PATIENCE;
        let mut text = Vec::new();
        let mut part = vec![0; 1 << 16];
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let mut waits = libc::pollfd {
                fd: out.as_raw_fd(),
                events: libc::POLLIN,
                revents: 0,
            };
            // SAFETY: one structure, which the call reads and fills.
            let ready = unsafe {
                libc::poll(
                    &raw mut waits,
                    1,
                    i32::try_from(left.as_millis()).unwrap_or(i32::MAX),
                )
            };
            let interrupted =
                || std::io::Error::last_os_error().kind() == std::io::ErrorKind::Interrupted;
            match ready {
                ready if ready < 0 && interrupted() => {}
                ready if ready <= 0 => return None,
                _ => match out.read(&mut part) {
                    Ok(0) => return Some(String::from_utf8_lossy(&text).into_owned()),
                    Ok(len) => text.extend_from_slice(part.get(..len)?),
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(_) => return None,
                },
            }
        }
    }
}
