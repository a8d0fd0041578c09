//! Stopping a cell, from another thread than the one that runs it.
//!
//! A compiler that runs for the cell is ended at once: nothing has run yet, every variable is as it
//! was. A running cell is asked to stop: the loops of its own code and the long operations of the
//! prelude look at that and unwind, and the variables stay. Code that never looks goes on, and a
//! second interrupt ends its process.

use crate::bridge::Bridge;
use ferrolens_frames::{CellId, Order};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// After this long the user is told that the cell does not answer.
const PATIENCE: Duration = Duration::from_millis(1500);

/// A second interrupt that follows the first this soon is an impatient finger, and not yet the wish
/// to lose every variable.
const DOUBLE_CLICK: Duration = Duration::from_millis(800);

/// How often it is looked for compilers of a cell that is not to be compiled.
const COMPILERS_AGAIN: Duration = Duration::from_millis(20);

/// For how long processes that are ended together are waited for, to stop.
const STANDSTILL: Duration = Duration::from_millis(50);

/// What the interpreter is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Phase {
    #[default]
    Idle,
    Compiling(CellId),
    Running(CellId),
    /// A line of the shell runs, with this group of processes.
    Shell(libc::pid_t),
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
    /// When the running cell was asked to stop first, or the one that waits for its turn.
    asked: Option<Instant>,
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
        let (phase, first) = {
            let mut state = self.lock();
            let first = *state.asked.get_or_insert_with(Instant::now);
            (state.phase, first)
        };
        let again = first.elapsed() > DOUBLE_CLICK;
        match phase {
            Phase::Idle => {}
            Phase::Shell(group) => {
                let signal = if again { libc::SIGKILL } else { libc::SIGINT };
                // SAFETY: sends a signal; no memory is involved.
                unsafe { libc::killpg(group, signal) };
            }
            Phase::Running(_) if again => self.end_child(),
            Phase::Running(cell) => self.stop(cell),
            Phase::Compiling(cell) if !self.bridge.has_started(cell) => self.end_compiling(cell),
            // Its code runs already; once that is noticed here, [`Interrupt::enter`] asks again.
            Phase::Compiling(_) => drop(self.bridge.order(&Order::Stop)),
        }
    }

    fn stop(&self, cell: CellId) {
        self.bridge.order(&Order::Stop);
        self.tell_if_it_goes_on(cell);
    }

    /// Ends the compilers of a cell, also those that are started next; what got through all the same is
    /// stopped by [`Interrupt::enter`].
    fn end_compiling(&self, cell: CellId) {
        let this = self.clone();
        // Without the thread, the cell stops when it has been compiled.
        let _ = std::thread::Builder::new()
            .name("interrupt".to_owned())
            .spawn(move || {
                while this.lock().phase == Phase::Compiling(cell) && !this.bridge.has_started(cell)
                {
                    end_compilers();
                    std::thread::sleep(COMPILERS_AGAIN);
                }
            });
    }

    fn tell_if_it_goes_on(&self, cell: CellId) {
        let this = self.clone();
        // Without the thread nobody is told, and a second interrupt works all the same.
        let _ = std::thread::Builder::new()
            .name("interrupt".to_owned())
            .spawn(move || {
                std::thread::sleep(PATIENCE);
                if this.lock().phase == Phase::Running(cell) {
                    let names: Vec<String> = this.bridge.variables().into_keys().collect();
                    let lost = match names.as_slice() {
                        [] => "There are no variables to lose.".to_owned(),
                        names => {
                            format!("These variables will then be lost: {}.", names.join(", "))
                        }
                    };
                    this.bridge.say(
                        cell,
                        &format!(
                            "The cell has not stopped yet: what it runs does not look whether it \
                             should. Wait, or interrupt once more to end its process. {lost}\n"
                        ),
                    );
                }
            });
    }

    /// Ends the child and the compilers; the kernel is about to leave.
    pub fn end_all(&self) {
        end_compilers();
        if let Phase::Shell(group) = self.lock().phase {
            // SAFETY: sends a signal; no memory is involved.
            unsafe { libc::killpg(group, libc::SIGKILL) };
        }
        self.end_child();
    }

    pub(super) fn watch(&self, child: Arc<Mutex<std::process::Child>>) {
        self.lock().child = Some(child);
    }

    /// A cell begins that was handed over then: what was asked before was meant for another.
    pub(super) fn begin(&self, since: Option<Instant>) {
        let mut state = self.lock();
        state.asked = state
            .asked
            .filter(|asked| Some(*asked) >= since && since.is_some());
    }

    pub(super) fn enter(&self, phase: Phase) {
        let asked = {
            let mut state = self.lock();
            state.phase = phase;
            state.asked.is_some()
        };
        // The wish came before the code was loaded.
        if let Phase::Running(cell) = phase
            && asked
        {
            self.stop(cell);
        }
    }

    /// A front end's event runs in the child as this cell, or has ended.
    pub fn enter_event(&self, cell: Option<CellId>) {
        let mut state = self.lock();
        state.asked = None;
        state.phase = cell.map_or(Phase::Idle, Phase::Running);
    }

    /// Whether the cell that ran last was asked to stop.
    pub(super) fn was_asked(&self) -> bool {
        self.lock().asked.is_some()
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
    let is_tool = |process: &Process| {
        process.parent == own && matches!(process.name.as_str(), "cargo" | "mold")
    };
    end_trees(&is_tool)
}

/// Ends processes with all that they started. They are stopped first: one that still runs could start
/// another between the look at the system's list and its end, and that one would belong to nobody.
fn end_trees(is_root: &dyn Fn(&Process) -> bool) -> bool {
    let mut ending: Vec<u32> = Vec::new();
    let deadline = Instant::now() + STANDSTILL;
    loop {
        let processes = processes();
        let known = ending.len();
        for process in &processes {
            let belongs = is_root(process) || ending.contains(&process.parent);
            if belongs && !ending.contains(&process.id) {
                send(process.id, libc::SIGSTOP);
                ending.push(process.id);
            }
        }
        let stands_still = |process: &Process| !ending.contains(&process.id) || process.is_still;
        if ending.len() == known && processes.iter().all(stands_still) || Instant::now() > deadline
        {
            break;
        }
    }
    for id in &ending {
        send(*id, libc::SIGKILL);
    }
    !ending.is_empty()
}

fn send(process: u32, signal: libc::c_int) {
    // SAFETY: sends a signal; no memory is involved.
    unsafe { libc::kill(process.cast_signed(), signal) };
}

struct Process {
    id: u32,
    parent: u32,
    name: String,
    /// It is stopped, or has ended.
    is_still: bool,
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
            let mut rest = rest.split_whitespace();
            let state = rest.next()?;
            let parent = rest.next()?.parse().ok()?;
            Some(Process {
                id,
                parent,
                name: name.to_owned(),
                is_still: matches!(state, "T" | "t" | "Z" | "X"),
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{end_trees, processes};
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    #[test]
    fn this_process_is_among_the_systems() {
        let own = std::process::id();
        assert!(
            processes()
                .iter()
                .any(|process| process.id == own && process.parent != 0)
        );
    }

    #[test]
    fn what_a_process_starts_while_it_is_ended_ends_too() {
        // Starts sleepers as fast as it can, each of which would outlive it.
        let mark = format!("60.{}", std::process::id());
        let mut starter = Command::new("sh")
            .args(["-c", &format!("while :; do sleep {mark} & done")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("a shell");
        std::thread::sleep(Duration::from_millis(50));
        let id = starter.id();
        assert!(end_trees(&|process| process.id == id));
        starter.wait().expect("its end");
        let sleepers = || {
            let arguments = |id: u32| std::fs::read(format!("/proc/{id}/cmdline"));
            let of_ours = |id: u32| arguments(id).is_ok_and(|line| contains(&line, &mark));
            processes()
                .iter()
                .filter(|process| of_ours(process.id))
                .count()
        };
        let deadline = Instant::now() + Duration::from_secs(5);
        while sleepers() > 0 {
            assert!(Instant::now() < deadline, "{} are left", sleepers());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn contains(line: &[u8], part: &str) -> bool {
        line.windows(part.len())
            .any(|window| window == part.as_bytes())
    }
}
