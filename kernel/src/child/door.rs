//! The one way out of the child: frames on the kernel's socket, in the order in which they were
//! made, whichever thread or library made them.
//!
//! The prelude finds the `ferrolens_host_*` functions among this executable's symbols. Text needs
//! no cooperation at all: this executable exports the C library's `write`, so what Rust code writes
//! to file descriptors 1 and 2 becomes frames, marked with the writing thread's cell, and cannot
//! overtake a display that was made before it. What reaches the descriptors by another way (a
//! process that a cell started, C's `printf`) goes through a pipe that the kernel reads.

use super::runtime::{EXECUTION_COMPLETE, Work};
use super::threads;
use ferrolens_frames::{self as frames, Frame, Order, StreamName};
use std::ffi::{c_int, c_void};
use std::io::Write as _;
use std::mem::ManuallyDrop;
use std::os::fd::{FromRawFd, RawFd};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, TryLockError, mpsc};
use std::time::{Duration, Instant};

static SOCKET: OnceLock<Mutex<UnixStream>> = OnceLock::new();
/// The engine's pipe for control lines.
static CONTROL: AtomicI32 = AtomicI32::new(-1);
/// Whether writes to 1 and 2 become frames.
static OPEN: AtomicBool = AtomicBool::new(false);
static STOP: AtomicBool = AtomicBool::new(false);
/// Whether the engine takes the running cell for complete.
static COMPLETE: AtomicBool = AtomicBool::new(true);
static LACKS_VARIABLES: AtomicBool = AtomicBool::new(false);

/// The engine's line for a variable that a cell may not take.
const LACKS_VARIABLE: &str = "EVCXR_VARIABLE_CHANGED_TYPE:";
static ANSWERS: OnceLock<Mutex<mpsc::Receiver<Option<String>>>> = OnceLock::new();
static NEXT_CELL: AtomicU64 = AtomicU64::new(0);

/// How long a writer of text waits for its turn before it takes the pipe instead: long enough for a slow
/// kernel, short enough for a signal handler that interrupted the holder of the lock. Other frames come
/// from no signal handler, and wait as long as it takes.
const TURN: Duration = Duration::from_secs(5);

/// Connects to the kernel and starts to take its orders.
pub(super) fn open(
    socket: UnixStream,
    control: RawFd,
    work: mpsc::Sender<Work>,
) -> std::io::Result<()> {
    let mut orders = socket.try_clone()?;
    let hello = Frame::Hello {
        version: frames::VERSION,
        pid: std::process::id(),
    };
    frames::write(&mut &socket, &hello, &[])?;
    let (answer, answers) = mpsc::channel();
    // Each cell is set once: `open` is called once, by `runtime::run`.
    let _ = SOCKET.set(Mutex::new(socket));
    let _ = ANSWERS.set(Mutex::new(answers));
    CONTROL.store(control, Ordering::Release);
    std::thread::Builder::new()
        .name("orders".to_owned())
        .spawn(move || {
            while let Ok(Some((order, _))) = frames::read::<Order>(&mut orders) {
                match order {
                    Order::CellBegin { cell } => {
                        set_stop(false);
                        NEXT_CELL.store(cell, Ordering::Release);
                    }
                    Order::Sync { number } => send(&Frame::Synced { number }, &[]),
                    Order::Stop => {
                        set_stop(true);
                        let _ = answer.send(None);
                    }
                    Order::InputReply { value } => drop(answer.send(value)),
                    Order::Event { cell, comm, data } => {
                        set_stop(false);
                        let data = data.to_string();
                        let _ = work.send(Work::Event { cell, comm, data });
                    }
                    Order::EventClose { comm } => drop(work.send(Work::Close { comm })),
                }
            }
            super::runtime::kernel_is_gone();
        })?;
    OPEN.store(true, Ordering::Release);
    Ok(())
}

/// The cell that the kernel announced last.
pub(super) fn announced_cell() -> frames::CellId {
    NEXT_CELL.load(Ordering::Acquire)
}

/// Loops look at the prelude's flag first: who is woken by this one must find that one raised.
fn set_stop(raised: bool) {
    if raised {
        super::runtime::set_stop(true);
        STOP.store(true, Ordering::Release);
    } else {
        STOP.store(false, Ordering::Release);
        super::runtime::set_stop(false);
    }
}

/// Whether the user has asked to interrupt the cell that the calling thread belongs to.
pub(super) fn stops() -> bool {
    STOP.load(Ordering::Acquire) && threads::belongs_to_the_running_cell()
}

/// The engine listens again, for the cell that begins.
pub(super) fn begin_control() {
    COMPLETE.store(false, Ordering::Release);
    LACKS_VARIABLES.store(false, Ordering::Release);
}

/// Whether the cell found that a variable is not what the engine thinks: it has returned without
/// running its code, and the engine compiles it again.
pub(super) fn lacks_variables() -> bool {
    LACKS_VARIABLES.load(Ordering::Acquire)
}

/// Writes a line to the engine, until that takes the cell for complete: what follows would be taken
/// for the next cell's.
pub(super) fn control(line: &str) {
    if line.starts_with(LACKS_VARIABLE) {
        LACKS_VARIABLES.store(true, Ordering::Release);
    }
    let complete = match line {
        EXECUTION_COMPLETE => COMPLETE.swap(true, Ordering::AcqRel),
        _ => COMPLETE.load(Ordering::Acquire),
    };
    let control = CONTROL.load(Ordering::Acquire);
    if control >= 0 && !complete {
        // SAFETY: the descriptor was opened by `runtime::run` for the life of the process, and
        // `ManuallyDrop` keeps this temporary owner from closing it.
        let mut pipe = ManuallyDrop::new(unsafe { std::fs::File::from_raw_fd(control) });
        let _ = pipe.write_all(format!("{line}\n").as_bytes());
    }
}

pub(super) fn send(frame: &Frame, body: &[u8]) {
    let Ok(head) = serde_json::to_vec(frame) else {
        return;
    };
    let _ = send_parts(&head, body, None);
}

/// Sends one frame whose head is serialised; false when there is no kernel to take it, or when its turn
/// does not come within `patience`.
fn send_parts(head: &[u8], body: &[u8], patience: Option<Duration>) -> bool {
    let (Ok(head_len), Ok(body_len)) = (u32::try_from(head.len()), u32::try_from(body.len()))
    else {
        return false;
    };
    let Some(socket) = SOCKET.get() else {
        return false;
    };
    let deadline = patience.map(|patience| Instant::now() + patience);
    let mut socket = loop {
        match socket.try_lock() {
            Ok(socket) => break socket,
            Err(TryLockError::Poisoned(poisoned)) => break poisoned.into_inner(),
            Err(TryLockError::WouldBlock) if deadline.is_none_or(|end| Instant::now() < end) => {
                std::thread::sleep(Duration::from_micros(50));
            }
            Err(TryLockError::WouldBlock) => return false,
        }
    };
    let mut packet = [0_u8; 4096];
    packet[..4].copy_from_slice(&head_len.to_le_bytes());
    packet[4..8].copy_from_slice(&body_len.to_le_bytes());
    // `write` on a socket is the exported function below, which passes it through. A line of text
    // is one system call.
    let total = 8 + head.len() + body.len();
    if total <= packet.len() {
        packet[8..8 + head.len()].copy_from_slice(head);
        packet[8 + head.len()..total].copy_from_slice(body);
        return socket.write_all(&packet[..total]).is_ok();
    }
    socket.write_all(&packet[..8]).is_ok()
        && socket.write_all(head).is_ok()
        && socket.write_all(body).is_ok()
}

/// Sends text as a frame; takes no memory, because a signal handler may call it.
fn send_text(name: StreamName, text: &[u8]) -> bool {
    let name = match name {
        StreamName::Stdout => "stdout",
        StreamName::Stderr => "stderr",
    };
    let mut head = [0_u8; 80];
    let mut rest = &mut head[..];
    if write!(
        rest,
        r#"{{"t":"stream","cell":{},"name":"{name}"}}"#,
        threads::current()
    )
    .is_err()
    {
        return false;
    }
    let used = 80 - rest.len();
    send_parts(&head[..used], text, Some(TURN))
}

/// Stands before the C library's function of this name. Outside a child, and for every other
/// descriptor, it is the system call.
///
/// # Safety
/// As for `write(2)`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn write(fd: c_int, text: *const c_void, len: usize) -> isize {
    if (fd == 1 || fd == 2) && len > 0 && OPEN.load(Ordering::Acquire) {
        let name = if fd == 1 {
            StreamName::Stdout
        } else {
            StreamName::Stderr
        };
        // SAFETY: the caller vouches for `len` readable bytes at `text`, as for write(2).
        let bytes = unsafe { std::slice::from_raw_parts(text.cast::<u8>(), len) };
        if super::runtime::take_text(name, bytes) || send_text(name, bytes) {
            return len.cast_signed();
        }
    }
    // SAFETY: the caller's arguments, unchanged.
    unsafe { libc::syscall(libc::SYS_write, fd, text, len) as isize }
}

/// Stands before the C library's function of this name; see [`write`].
///
/// # Safety
/// As for `writev(2)`.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn writev(fd: c_int, parts: *const libc::iovec, count: c_int) -> isize {
    if (fd == 1 || fd == 2) && count > 0 && OPEN.load(Ordering::Acquire) {
        // A short count is a correct answer of writev: the caller goes on with the rest.
        let mut done = 0;
        for index in 0..count {
            // SAFETY: the caller vouches for `count` valid parts, as for writev(2).
            let part = unsafe { &*parts.offset(index as isize) };
            // SAFETY: the caller vouches for each part's bytes.
            let wrote = unsafe { write(fd, part.iov_base, part.iov_len) };
            if wrote < 0 {
                return if done > 0 { done } else { wrote };
            }
            done += wrote;
            if wrote.cast_unsigned() < part.iov_len {
                break;
            }
        }
        return done;
    }
    // SAFETY: the caller's arguments, unchanged.
    unsafe { libc::syscall(libc::SYS_writev, fd, parts, count) as isize }
}

/// Hands text to the kernel as the given stream, in order with all other frames.
pub(super) fn say(name: StreamName, text: &[u8]) {
    if !send_text(name, text) {
        let fd = if name == StreamName::Stdout { 1 } else { 2 };
        // SAFETY: a slice's own pointer and length.
        unsafe { libc::syscall(libc::SYS_write, fd, text.as_ptr(), text.len()) };
    }
}

/// # Safety
/// `text` must point to `len` readable bytes, or be null.
unsafe fn bytes<'a>(text: *const u8, len: usize) -> &'a [u8] {
    if text.is_null() || len == 0 {
        return &[];
    }
    // SAFETY: not null, and the caller vouches for the length.
    unsafe { std::slice::from_raw_parts(text, len) }
}

/// Sends a frame whose head the prelude serialised. 0: sent.
///
/// # Safety
/// `head` and `body` must point to as many readable bytes as their lengths say, or be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ferrolens_host_send(
    head: *const u8,
    head_len: usize,
    body: *const u8,
    body_len: usize,
) -> c_int {
    // SAFETY: the caller's promise.
    let (head, body) = unsafe { (bytes(head, head_len), bytes(body, body_len)) };
    if send_parts(head, body, None) { 0 } else { -1 }
}

/// The cell to which the calling thread belongs.
#[unsafe(no_mangle)]
pub extern "C" fn ferrolens_host_cell() -> u64 {
    threads::current()
}

/// Not 0 when the user has asked to interrupt the running cell.
#[unsafe(no_mangle)]
pub extern "C" fn ferrolens_host_stop() -> c_int {
    c_int::from(stops())
}

/// Writes a control line to the engine.
///
/// # Safety
/// `line` must point to `len` readable bytes, or be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ferrolens_host_control(line: *const u8, len: usize) {
    // SAFETY: the caller's promise.
    control(&String::from_utf8_lossy(unsafe { bytes(line, len) }));
}

/// Asks the user for a line and copies it to `buffer`: its length, -1 when there is nobody to ask,
/// -2 when the user interrupts. A longer line is cut at a character.
///
/// # Safety
/// `prompt` must point to `prompt_len` readable bytes and `buffer` to `capacity` writable ones.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ferrolens_host_input(
    prompt: *const u8,
    prompt_len: usize,
    password: c_int,
    buffer: *mut u8,
    capacity: usize,
) -> isize {
    // SAFETY: the caller's promise.
    let prompt = String::from_utf8_lossy(unsafe { bytes(prompt, prompt_len) }).into_owned();
    let Some(Ok(answers)) = ANSWERS.get().map(Mutex::lock) else {
        return -1;
    };
    while answers.try_recv().is_ok() {}
    // The wish to stop may have been among them.
    if STOP.load(Ordering::Acquire) {
        return -2;
    }
    send(
        &Frame::Input {
            cell: threads::current(),
            prompt,
            password: password != 0,
        },
        &[],
    );
    match answers.recv() {
        Ok(Some(line)) => {
            let len = line.floor_char_boundary(capacity.min(line.len()));
            // SAFETY: `len` is at most `capacity`, and the two ranges are of different objects.
            unsafe { std::ptr::copy_nonoverlapping(line.as_ptr(), buffer, len) };
            len.cast_signed()
        }
        Ok(None) if STOP.load(Ordering::Acquire) => -2,
        _ => -1,
    }
}
