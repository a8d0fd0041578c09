//! Stopping a cell, from another thread than the one that runs it.
//!
//! A compiler that runs for the cell is ended at once: nothing has run yet, every variable is as it
//! was. A running cell is asked to stop; long operations of the prelude look at that and unwind, and
//! the variables stay. A cell that does not answer, or a second interrupt, ends the child.

use crate::bridge::Bridge;
use ferrolens_frames::{CellId, Order};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

/// How long a cell may take to answer.
const PATIENCE: Duration = Duration::from_secs(3);

/// What the interpreter is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Phase {
    #[default]
    Idle,
    Cell(CellId),
}

/// A clonable handle.
#[derive(Clone)]
pub struct Interrupt {
    bridge: Bridge,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    phase: Phase,
    asked: bool,
    child: Option<Arc<Mutex<std::process::Child>>>,
}

impl Interrupt {
    pub fn new(bridge: Bridge) -> Self {
        Self {
            bridge,
            state: Arc::default(),
        }
    }

    /// Asks the running cell to stop. Harmless when none runs.
    pub fn ask(&self) {
        let cell = {
            let mut state = self.lock();
            let Phase::Cell(cell) = state.phase else {
                return;
            };
            if std::mem::replace(&mut state.asked, true) {
                drop(state);
                self.end_child();
                return;
            }
            cell
        };
        if end_compilers() {
            return;
        }
        self.bridge.order(&Order::Stop);
        let this = self.clone();
        // Without the thread, a second interrupt still ends the child.
        let _ = std::thread::Builder::new()
            .name("interrupt".to_owned())
            .spawn(move || {
                std::thread::sleep(PATIENCE);
                if this.lock().phase == Phase::Cell(cell) && !end_compilers() {
                    this.end_child();
                }
            });
    }

    /// Ends the child and the compilers; the kernel is about to leave.
    pub fn end_all(&self) {
        end_compilers();
        self.end_child();
    }

    pub(super) fn watch(&self, child: Arc<Mutex<std::process::Child>>) {
        self.lock().child = Some(child);
    }

    pub(super) fn enter(&self, phase: Phase) {
        let mut state = self.lock();
        state.phase = phase;
        if phase != Phase::Idle {
            state.asked = false;
        }
    }

    /// Whether the cell that ran last was asked to stop.
    pub(super) fn was_asked(&self) -> bool {
        self.lock().asked
    }

    fn end_child(&self) {
        let child = self.lock().child.clone();
        if let Some(child) = child
            && let Ok(mut child) = child.lock()
        {
            let _ = child.kill();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|bad| bad.into_inner())
    }
}

/// Ends every tool that this process has started, with what they started; false when there is none.
fn end_compilers() -> bool {
    let own = std::process::id();
    let processes = processes();
    let mut ending: Vec<u32> = processes
        .iter()
        .filter(|process| {
            process.parent == own && matches!(process.name.as_str(), "cargo" | "mold")
        })
        .map(|process| process.id)
        .collect();
    let found = !ending.is_empty();
    let mut at = 0;
    while at < ending.len() {
        let parent = ending[at];
        ending.extend(
            processes
                .iter()
                .filter(|process| process.parent == parent)
                .map(|p| p.id),
        );
        at += 1;
    }
    for id in ending {
        // SAFETY: sends a signal; no memory is involved.
        unsafe { libc::kill(id.cast_signed(), libc::SIGKILL) };
    }
    found
}

struct Process {
    id: u32,
    parent: u32,
    name: String,
}

/// The system's processes, as far as they can be read.
fn processes() -> Vec<Process> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter_map(|entry| {
            let id = entry.file_name().to_str()?.parse().ok()?;
            let stat = std::fs::read_to_string(entry.path().join("stat")).ok()?;
            // `pid (name) state parent ...`, where the name may hold anything.
            let (name, rest) = stat.split_once('(')?.1.rsplit_once(')')?;
            let parent = rest.split_whitespace().nth(1)?.parse().ok()?;
            Some(Process {
                id,
                parent,
                name: name.to_owned(),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::processes;

    #[test]
    fn this_process_is_among_the_systems() {
        let own = std::process::id();
        assert!(
            processes()
                .iter()
                .any(|process| process.id == own && process.parent != 0)
        );
    }
}
