//! A host for tests, on the calling thread only: it remembers what was sent.

use super::Host;
use ferrolens_frames::Frame;
use std::cell::RefCell;

/// What the fake host was given.
#[derive(Debug, Default)]
pub(crate) struct Sent {
    pub frames: Vec<Frame>,
    pub control: Vec<String>,
}

#[derive(Default)]
struct State {
    sent: Sent,
    stop: bool,
    /// How often the flag is looked at before it is raised.
    looks: Option<usize>,
    line: Option<String>,
}

thread_local! {
    static STATE: RefCell<Option<State>> = const { RefCell::new(None) };
}

/// Runs `work` with a host, and returns what it sent.
pub(crate) fn with_host<T>(work: impl FnOnce() -> T) -> (T, Sent) {
    run(State::default(), work)
}

/// The same where the user has asked the cell to stop.
pub(crate) fn with_stop<T>(work: impl FnOnce() -> T) -> (T, Sent) {
    let stop = true;
    run(
        State {
            stop,
            ..State::default()
        },
        work,
    )
}

/// The same where the user asks the cell to stop when the flag has been looked at this often.
pub(crate) fn with_stop_after<T>(looks: usize, work: impl FnOnce() -> T) -> (T, Sent) {
    let looks = Some(looks);
    run(
        State {
            looks,
            ..State::default()
        },
        work,
    )
}

/// The same where the reader answers every question with `line`.
pub(crate) fn with_reader<T>(line: &str, work: impl FnOnce() -> T) -> (T, Sent) {
    let line = Some(line.to_owned());
    run(
        State {
            line,
            ..State::default()
        },
        work,
    )
}

fn run<T>(state: State, work: impl FnOnce() -> T) -> (T, Sent) {
    STATE.with_borrow_mut(|slot| *slot = Some(state));
    let result = work();
    let state = STATE.with_borrow_mut(Option::take).unwrap_or_default();
    (result, state.sent)
}

pub(super) fn current() -> Option<Host> {
    STATE.with_borrow(Option::is_some).then_some(Host {
        send,
        cell,
        stop,
        control,
        input,
    })
}

fn with_state<T>(work: impl FnOnce(&mut State) -> T) -> T {
    STATE.with_borrow_mut(|state| work(state.as_mut().expect("a fake host")))
}

unsafe extern "C" fn send(head: *const u8, head_len: usize, _: *const u8, _: usize) -> i32 {
    // SAFETY: the caller passes a slice's pointer and length.
    let head = unsafe { std::slice::from_raw_parts(head, head_len) };
    let frame = serde_json::from_slice(head).expect("the head of a frame");
    with_state(|state| state.sent.frames.push(frame));
    0
}

unsafe extern "C" fn cell() -> u64 {
    7
}

unsafe extern "C" fn stop() -> i32 {
    with_state(|state| {
        if let Some(looks) = &mut state.looks {
            state.stop |= *looks == 0;
            *looks = looks.saturating_sub(1);
        }
        i32::from(state.stop)
    })
}

unsafe extern "C" fn control(line: *const u8, len: usize) {
    // SAFETY: the caller passes a slice's pointer and length.
    let line = unsafe { std::slice::from_raw_parts(line, len) };
    let line = String::from_utf8(line.to_vec()).expect("UTF-8");
    with_state(|state| state.sent.control.push(line));
}

unsafe extern "C" fn input(_: *const u8, _: usize, _: i32, buf: *mut u8, cap: usize) -> isize {
    with_state(|state| match &state.line {
        Some(line) if line.len() <= cap => {
            // SAFETY: `buf` holds `cap` bytes, of which `line.len()` are written.
            unsafe { std::ptr::copy_nonoverlapping(line.as_ptr(), buf, line.len()) };
            isize::try_from(line.len()).expect("a short line")
        }
        Some(_) => 0,
        None if state.stop => -2,
        None => -1,
    })
}
