//! Descriptors 1 and 2 of the child, for writers that the child cannot see: processes that a cell
//! starts, and C libraries that print.

use crate::child::PIPES_ENV;
use ferrolens_frames::StreamName;
use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Mutex;

/// Both ends stay open in the kernel: a child that crashes loses nothing that is in the pipe, and
/// the next child gets the same ones.
pub(super) struct Pipes {
    out: Pipe,
    err: Pipe,
    /// One reader at a time, so that a finished [`Pipes::drain`] means that everything was handed on.
    turn: Mutex<()>,
}

struct Pipe {
    read: File,
    write: OwnedFd,
}

impl Pipe {
    fn open() -> std::io::Result<Self> {
        let mut ends = [0; 2];
        // SAFETY: the call fills an array of two descriptors.
        if unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) } != 0 {
            return Err(std::io::Error::last_os_error());
        }
        // SAFETY: two fresh descriptors that nobody else owns.
        let (read, write) = unsafe { (File::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1])) };
        // SAFETY: sets a flag of an open descriptor; no memory is involved.
        if unsafe { libc::fcntl(read.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) } != 0 {
            return Err(std::io::Error::last_os_error());
        }
        Ok(Self { read, write })
    }
}

impl Pipes {
    pub(super) fn open() -> std::io::Result<Self> {
        Ok(Self {
            out: Pipe::open()?,
            err: Pipe::open()?,
            turn: Mutex::new(()),
        })
    }

    pub(super) fn equip(&self, command: &mut Command) {
        let (out, err) = (self.out.write.as_raw_fd(), self.err.write.as_raw_fd());
        command.env(PIPES_ENV, format!("{out},{err}"));
        // SAFETY: between fork and exec, two system calls that take no memory.
        unsafe {
            command.pre_exec(move || {
                for fd in [out, err] {
                    if libc::fcntl(fd, libc::F_SETFD, 0) != 0 {
                        return Err(std::io::Error::last_os_error());
                    }
                }
                Ok(())
            });
        }
    }

    /// Waits until there is something to read; false when there never will be.
    pub(super) fn wait(&self) -> bool {
        let mut ends = [&self.out, &self.err].map(|pipe| libc::pollfd {
            fd: pipe.read.as_raw_fd(),
            events: libc::POLLIN,
            revents: 0,
        });
        // SAFETY: the pointer and the count describe `ends`.
        let ready = unsafe { libc::poll(ends.as_mut_ptr(), 2, -1) };
        ready > 0 || std::io::Error::last_os_error().kind() == std::io::ErrorKind::Interrupted
    }

    /// Hands on everything that is in the pipes now.
    pub(super) fn drain(&self, mut hand_on: impl FnMut(StreamName, Vec<u8>)) {
        let _turn = self.turn.lock().unwrap_or_else(|bad| bad.into_inner());
        let mut buffer = vec![0; 1 << 16];
        for (pipe, name) in [
            (&self.out, StreamName::Stdout),
            (&self.err, StreamName::Stderr),
        ] {
            while let Ok(count @ 1..) = (&pipe.read).read(&mut buffer) {
                hand_on(name, buffer[..count].to_vec());
            }
        }
    }
}
