//! The C symbols of the process that runs cells.
//!
//! A prelude that is loaded by a cell cannot link to the kernel's binary, and the binary is built
//! without it: each looks the other's symbols up by name.

use super::{fallback, sending};
use crate::error::{Error, Result};
use ferrolens_frames::{CellId, Frame};

type Send = unsafe extern "C" fn(*const u8, usize, *const u8, usize) -> i32;
type Cell = unsafe extern "C" fn() -> u64;
type Stop = unsafe extern "C" fn() -> i32;
type Control = unsafe extern "C" fn(*const u8, usize);
type Input = unsafe extern "C" fn(*const u8, usize, i32, *mut u8, usize) -> isize;

/// The longest line that [`Host::input`] takes, in bytes.
const LONGEST_INPUT: usize = 1 << 20;

/// The functions that the host process exports.
#[derive(Clone, Copy)]
pub(crate) struct Host {
    send: Send,
    cell: Cell,
    stop: Stop,
    control: Control,
    input: Input,
}

impl Host {
    /// The host of this process, if it has one. Looked up once.
    pub(crate) fn find() -> Option<Self> {
        #[cfg(test)]
        return fake::current();
        #[cfg(not(test))]
        {
            static HOST: std::sync::OnceLock<Option<Host>> = std::sync::OnceLock::new();
            *HOST.get_or_init(symbols::look_up)
        }
    }

    /// Sends one frame, after the text that was printed before it. A frame that the host refuses
    /// is lost with the connection that it refused it for: there is nobody left to tell.
    pub(super) fn send(&self, frame: &Frame) {
        let Ok(head) = serde_json::to_vec(frame) else {
            return;
        };
        sending::flush_stdout();
        // SAFETY: the host reads `head_len` bytes at `head` and `body_len` bytes at `body` before
        // it returns; both slices live until then, and an empty slice's pointer is not null.
        unsafe {
            (self.send)(head.as_ptr(), head.len(), [].as_ptr(), 0);
        }
    }

    /// The cell that the calling thread belongs to; 0 for none.
    pub(crate) fn cell(&self) -> CellId {
        // SAFETY: the function takes nothing and only reads the host's own state.
        unsafe { (self.cell)() }
    }

    /// Whether the user asked the running cell to stop.
    #[inline]
    pub(super) fn stops(&self) -> bool {
        // SAFETY: the function takes nothing and only reads the host's own state.
        unsafe { (self.stop)() != 0 }
    }

    /// Asks the reader for one line.
    pub(super) fn input(&self, prompt: &str, password: bool) -> Result<String> {
        sending::flush_stdout();
        let mut line = vec![0_u8; LONGEST_INPUT];
        // SAFETY: `prompt` is read and `line` is written only until the call returns, each within
        // the length that is passed with it, and both live until then.
        let len = unsafe {
            (self.input)(
                prompt.as_ptr(),
                prompt.len(),
                i32::from(password),
                line.as_mut_ptr(),
                line.len(),
            )
        };
        match usize::try_from(len) {
            Ok(len) if len <= line.len() => {
                line.truncate(len);
                String::from_utf8(line)
                    .map_err(|error| Error::with_source("the line is not UTF-8", error))
            }
            Ok(len) => Err(Error::new(format!(
                "a line of {len} bytes was entered, where {LONGEST_INPUT} are the most; \
                 read it from a file instead"
            ))),
            Err(_) if len == -2 => Err(super::interrupt::error()),
            Err(_) => Err(Error::new(
                "nobody can be asked for input here: the notebook runs without a reader; \
                 put the value into the cell instead",
            )),
        }
    }
}

/// Writes one line of evcxr's control protocol; the kernel's generated code calls it.
pub fn control(line: &str) {
    sending::flush_stdout();
    match Host::find() {
        // SAFETY: the host reads `line.len()` bytes at the pointer before it returns, and `line`
        // lives until then.
        Some(host) => unsafe { (host.control)(line.as_ptr(), line.len()) },
        None => fallback::print_line(line),
    }
}

#[cfg(all(unix, not(test)))]
mod symbols {
    use super::{Cell, Control, Host, Input, Send, Stop};
    use std::ffi::{CStr, c_void};
    use std::mem::transmute;

    /// All of the host's functions, or none: a host that lacks one is not one that we know.
    pub(super) fn look_up() -> Option<Host> {
        // SAFETY: each symbol, where it exists, is a function of the type that it is cast to: the
        // names and types are the contract between this crate and the kernel's binary, and carry a
        // prefix that no other library uses.
        unsafe {
            Some(Host {
                send: transmute::<*mut c_void, Send>(symbol(c"ferrolens_host_send")?),
                cell: transmute::<*mut c_void, Cell>(symbol(c"ferrolens_host_cell")?),
                stop: transmute::<*mut c_void, Stop>(symbol(c"ferrolens_host_stop")?),
                control: transmute::<*mut c_void, Control>(symbol(c"ferrolens_host_control")?),
                input: transmute::<*mut c_void, Input>(symbol(c"ferrolens_host_input")?),
            })
        }
    }

    fn symbol(name: &CStr) -> Option<*mut c_void> {
        // SAFETY: `name` ends in a null byte, and RTLD_DEFAULT asks the libraries that are loaded.
        let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
        (!address.is_null()).then_some(address)
    }
}

#[cfg(all(not(unix), not(test)))]
mod symbols {
    pub(super) fn look_up() -> Option<super::Host> {
        None
    }
}

#[cfg(test)]
pub(crate) mod fake;
