//! The kernel's end of the frames socket, and of the pipes for what bypasses it.
//!
//! One child is connected at a time; the engine starts another after a crash, which connects to the
//! same socket. Frames are handed on in the order in which they arrive, from one thread.
//!
//! Invariant: this room knows no Jupyter message and no compiler.

mod pipes;

use ferrolens_frames::{self as frames, CellId, Frame, Order, StreamName, VariableSummary};
use pipes::Pipes;
use std::collections::{BTreeMap, HashMap};
use std::io::{BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// What a cell puts out, on its way to the front ends.
#[derive(Debug)]
pub struct Output {
    /// The cell that it belongs to.
    pub cell: CellId,
    /// What it is; text comes as [`Frame::Stream`] with the bytes beside it.
    pub frame: Frame,
    /// The frame's raw bytes.
    pub body: Vec<u8>,
}

/// Takes what cells put out. Called from the bridge's threads, one call at a time for one cell.
pub type Sink = Arc<dyn Fn(Output) + Send + Sync>;

/// How a cell of the user's code failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    pub name: String,
    pub value: String,
    pub at: Option<frames::SourcePlace>,
    /// Of a panic: its thread where that is not the cell's, the calls that led to it with the innermost
    /// first, and the function of a library in which it happened.
    pub thread: Option<String>,
    pub calls: Vec<frames::Call>,
    pub inside: Option<String>,
}

/// When the code of a cell began and ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    pub started: Instant,
    pub ended: Instant,
}

/// What Rust writes of a process before it ends it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LastWords {
    pub overflowed: bool,
    pub allocation_failed: bool,
}

/// How the reader of a notebook knows a place in what was compiled, e.g. `cell [3], line 2`.
pub type Namer = Arc<dyn Fn(&frames::SourcePlace) -> Option<String> + Send + Sync>;

/// A clonable handle; the last one to go closes the socket.
#[derive(Clone)]
pub struct Bridge {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    running: AtomicU64,
    sync: AtomicU64,
    pipes: Pipes,
    sink: Sink,
}

#[derive(Default)]
struct State {
    child: Option<UnixStream>,
    /// Counts connections, so that the end of an old child is not taken for the end of a new one.
    generation: u64,
    /// The connection on which the running cell began.
    began_on: u64,
    synced: u64,
    failures: HashMap<CellId, Failure>,
    last_words: LastWords,
    refused: Option<String>,
    /// The last cell whose code was loaded, and the last whose code has ended.
    started: CellId,
    ended: CellId,
    started_at: Option<Instant>,
    ended_at: Option<Instant>,
    variables: BTreeMap<String, VariableSummary>,
    words: BTreeMap<String, Vec<String>>,
    namer: Option<Namer>,
}

impl Bridge {
    /// Listens at `socket`, and hands on what arrives.
    ///
    /// # Errors
    /// Those of the socket and the pipes.
    pub fn open(socket: &Path, sink: Sink) -> std::io::Result<Self> {
        let listener = UnixListener::bind(socket)?;
        std::fs::set_permissions(socket, std::fs::Permissions::from_mode(0o600))?;
        let bridge = Self {
            shared: Arc::new(Shared {
                state: Mutex::default(),
                changed: Condvar::new(),
                running: AtomicU64::new(0),
                sync: AtomicU64::new(0),
                pipes: Pipes::open()?,
                sink,
            }),
        };
        let accepting = bridge.clone();
        std::thread::Builder::new()
            .name("bridge".to_owned())
            .spawn(move || {
                for stream in listener.incoming().flatten() {
                    if is_same_user(&stream) {
                        accepting.serve(stream);
                    }
                }
            })?;
        let piped = bridge.clone();
        std::thread::Builder::new()
            .name("pipes".to_owned())
            .spawn(move || {
                while piped.shared.pipes.wait() {
                    piped.drain_pipes();
                }
            })?;
        Ok(bridge)
    }

    /// Gives the child's command the write ends of the pipes.
    pub fn equip(&self, command: &mut Command) {
        self.shared.pipes.equip(command);
    }

    /// Announces the cell whose code is to be loaded next, and forgets the failure of the last one.
    pub fn begin(&self, cell: CellId) {
        self.shared.running.store(cell, Ordering::Release);
        {
            let mut state = self.lock();
            state.failures.clear();
            state.last_words = LastWords::default();
            // A cell may have several parts, which have its number.
            (state.started, state.ended) = (0, 0);
            (state.started_at, state.ended_at) = (None, None);
        }
        self.wait_for_child(Duration::from_secs(10));
        {
            let mut state = self.lock();
            state.began_on = state.generation;
        }
        self.order(&Order::CellBegin { cell });
        self.settle();
    }

    /// Announces that a front end's event is sent to the child next, as this cell.
    pub fn begin_event(&self, cell: CellId) {
        self.shared.running.store(cell, Ordering::Release);
        let mut state = self.lock();
        state.began_on = state.generation;
        state.last_words = LastWords::default();
    }

    /// Waits until everything that the child has put out so far has been handed on. Returns at once
    /// when there is no child.
    pub fn settle(&self) {
        let number = self.shared.sync.fetch_add(1, Ordering::Relaxed) + 1;
        if self.order(&Order::Sync { number }) {
            let mut state = self.lock();
            let generation = state.generation;
            while state.synced < number && state.child.is_some() && state.generation == generation {
                state = self
                    .shared
                    .changed
                    .wait(state)
                    .unwrap_or_else(|bad| bad.into_inner());
            }
            self.drain_pipes();
        } else {
            // Nobody is there to answer; what the child has sent may still be on its way.
            self.settle_dead();
        }
    }

    /// After a crash: waits until the dead child's last frames have been handed on.
    pub fn settle_dead(&self) {
        let deadline = Instant::now() + Duration::from_secs(2);
        let mut state = self.lock();
        // The engine has already started the next child; the frames thread takes connections one
        // after the other, so the next connection means that the last one is read to its end.
        while state.child.is_some()
            && state.generation == state.began_on
            && Instant::now() < deadline
        {
            let (next, _) = self
                .shared
                .changed
                .wait_timeout(state, Duration::from_millis(50))
                .unwrap_or_else(|bad| bad.into_inner());
            state = next;
        }
        drop(state);
        self.drain_pipes();
    }

    /// How the cell's code failed, if it reported that.
    pub fn failure(&self, cell: CellId) -> Option<Failure> {
        self.lock().failures.remove(&cell)
    }

    /// What the running cell's process said of its own end.
    pub fn last_words(&self) -> LastWords {
        self.lock().last_words
    }

    /// Whether the code of this cell was loaded, and runs or has run.
    pub fn has_started(&self, cell: CellId) -> bool {
        self.lock().started == cell
    }

    /// Whether the code of this cell has ended, or its process has.
    pub fn has_ended(&self, cell: CellId) -> bool {
        self.lock().ended == cell || self.child_is_gone()
    }

    /// When the code that ran last began and ended; `None` while it runs, and for code that crashed.
    pub fn last_run(&self) -> Option<Run> {
        let state = self.lock();
        Some(Run {
            started: state.started_at?,
            ended: state.ended_at?,
        })
    }

    /// Waits until the code of this cell has ended, or its process has.
    pub fn wait_for_end(&self, cell: CellId) {
        let mut state = self.lock();
        while state.ended != cell && state.child.is_some() && state.generation == state.began_on {
            state = self
                .shared
                .changed
                .wait(state)
                .unwrap_or_else(|bad| bad.into_inner());
        }
    }

    /// Whether the process in which the running cell began is there no more.
    pub fn child_is_gone(&self) -> bool {
        let state = self.lock();
        state.child.is_none() || state.generation != state.began_on
    }

    /// What the child holds in variables, by their names, as they looked when they were stored.
    pub fn variables(&self) -> BTreeMap<String, VariableSummary> {
        self.lock().variables.clone()
    }

    /// Words that functions of the prelude take as text, by what they name, e.g. `models`.
    pub fn words(&self) -> BTreeMap<String, Vec<String>> {
        self.lock().words.clone()
    }

    /// Tells the reader of a cell something that the cell itself did not print.
    pub fn say(&self, cell: CellId, sentence: &str) {
        self.write(cell, StreamName::Stderr, sentence.as_bytes());
    }

    /// [`Bridge::say`], for what the reader asked for.
    pub fn tell(&self, cell: CellId, sentence: &str) {
        self.write(cell, StreamName::Stdout, sentence.as_bytes());
    }

    /// Hands on text as if the cell had printed it.
    pub fn write(&self, cell: CellId, name: StreamName, text: &[u8]) {
        (self.shared.sink)(Output {
            cell,
            frame: Frame::Stream { cell, name },
            body: text.to_vec(),
        });
    }

    /// Hands on a value as if the cell had displayed it.
    pub fn show(&self, cell: CellId, data: frames::Bundle) {
        (self.shared.sink)(Output {
            cell,
            frame: Frame::Display {
                cell,
                data,
                metadata: frames::Bundle::new(),
                display_id: None,
            },
            body: Vec::new(),
        });
    }

    /// Says that a part of a cell has ended that the child knows nothing of.
    pub fn step_has_ended(&self, cell: CellId) {
        (self.shared.sink)(Output {
            cell,
            frame: Frame::Ended { cell },
            body: Vec::new(),
        });
    }

    /// Has places named by `namer` from now on.
    pub fn name_places(&self, namer: Namer) {
        self.lock().namer = Some(namer);
    }

    /// What Rust says of a panic that did not end its cell, with the notebook's name for the place.
    fn panicked(&self, thread: &str, value: &str, at: Option<&frames::SourcePlace>) -> String {
        let namer = self.lock().namer.clone();
        let place = at.map_or_else(
            || "an unknown place".to_owned(),
            |at| {
                namer
                    .and_then(|namer| namer(at))
                    .unwrap_or_else(|| format!("{}:{}:{}", at.file, at.line, at.column))
            },
        );
        format!("\nthread '{thread}' panicked at {place}:\n{value}\n")
    }

    /// Sends an order; false when there is no child to take it.
    pub fn order(&self, order: &Order) -> bool {
        let stream = {
            let state = self.lock();
            state
                .child
                .as_ref()
                .and_then(|child| child.try_clone().ok())
        };
        let Some(mut stream) = stream else {
            return false;
        };
        frames::write(&mut stream, order, &[])
            .and_then(|()| stream.flush())
            .is_ok()
    }

    /// Why the last child was refused.
    pub fn refusal(&self) -> Option<String> {
        self.lock().refused.clone()
    }

    fn wait_for_child(&self, patience: Duration) {
        let deadline = Instant::now() + patience;
        let mut state = self.lock();
        while state.child.is_none() && Instant::now() < deadline {
            let (next, _) = self
                .shared
                .changed
                .wait_timeout(state, Duration::from_millis(20))
                .unwrap_or_else(|bad| bad.into_inner());
            state = next;
        }
    }

    /// Reads one child to its end.
    fn serve(&self, stream: UnixStream) {
        let Ok(input) = stream.try_clone() else {
            return;
        };
        let mut input = BufReader::with_capacity(1 << 16, input);
        match frames::read::<Frame>(&mut input) {
            Ok(Some((hello @ Frame::Hello { version, .. }, _))) if version == frames::VERSION => {
                // What the last child had opened is of no use any more.
                (self.shared.sink)(Output {
                    cell: 0,
                    frame: hello,
                    body: Vec::new(),
                });
            }
            Ok(Some((Frame::Hello { version, .. }, _))) => {
                self.lock().refused = Some(format!(
                    "The process that runs cells speaks version {version} of the frames, the kernel \
                     version {}. Run install.sh again.",
                    frames::VERSION
                ));
                return;
            }
            _ => return,
        }
        {
            let mut state = self.lock();
            state.child = Some(stream);
            state.generation += 1;
            state.variables.clear();
        }
        self.shared.changed.notify_all();
        while let Ok(Some((frame, body))) = frames::read::<Frame>(&mut input) {
            self.take(frame, body);
        }
        self.lock().child = None;
        self.shared.changed.notify_all();
        // Whoever waits for the end of the cell that ran need not wait any longer.
        let cell = self.shared.running.load(Ordering::Acquire);
        (self.shared.sink)(Output {
            cell,
            frame: Frame::Ended { cell },
            body: Vec::new(),
        });
    }

    fn take(&self, frame: Frame, body: Vec<u8>) {
        match frame {
            Frame::Synced { number } => {
                self.lock().synced = number;
                self.shared.changed.notify_all();
            }
            Frame::Failed {
                cell,
                name,
                value,
                at,
                thread,
                calls,
                inside,
            } => {
                let failure = Failure {
                    name,
                    value,
                    at,
                    thread,
                    calls,
                    inside,
                };
                self.lock().failures.insert(cell, failure);
            }
            Frame::Panicked {
                cell,
                thread,
                value,
                at,
            } => self.say(cell, &self.panicked(&thread, &value, at.as_ref())),
            Frame::Hello { .. } => {}
            Frame::Started { cell } => {
                let mut state = self.lock();
                state.started = cell;
                state.started_at = Some(Instant::now());
            }
            Frame::Caught { cell, .. } => (self.shared.sink)(Output { cell, frame, body }),
            Frame::Ended { cell } => {
                {
                    let mut state = self.lock();
                    state.ended = cell;
                    state.ended_at = Some(Instant::now());
                }
                self.shared.changed.notify_all();
                (self.shared.sink)(Output { cell, frame, body });
            }
            Frame::Variables { stored, names, .. } => {
                let mut state = self.lock();
                let mut known = std::mem::take(&mut state.variables);
                known.extend(stored.into_iter().map(|it| (it.name.clone(), it)));
                state.variables = names
                    .into_iter()
                    .map(|name| {
                        let summary = known.remove(&name).unwrap_or_default();
                        (name.clone(), VariableSummary { name, ..summary })
                    })
                    .collect();
            }
            Frame::Words { of, words } => drop(self.lock().words.insert(of, words)),
            Frame::Stream { cell, name } => {
                if name == StreamName::Stderr && holds(&body, b"has overflowed its stack") {
                    self.lock().last_words.overflowed = true;
                }
                if name == StreamName::Stderr && holds(&body, b"memory allocation of ") {
                    self.lock().last_words.allocation_failed = true;
                }
                (self.shared.sink)(Output { cell, frame, body });
            }
            Frame::Display { cell, .. }
            | Frame::Value { cell, .. }
            | Frame::Update { cell, .. }
            | Frame::Clear { cell, .. }
            | Frame::Input { cell, .. }
            | Frame::CommOpen { cell, .. }
            | Frame::CommMessage { cell, .. }
            | Frame::CommClose { cell, .. }
            | Frame::Capture { cell, .. } => (self.shared.sink)(Output { cell, frame, body }),
        }
    }

    fn drain_pipes(&self) {
        let cell = self.shared.running.load(Ordering::Acquire);
        self.shared.pipes.drain(|name, body| {
            self.take(Frame::Stream { cell, name }, body);
        });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared
            .state
            .lock()
            .unwrap_or_else(|bad| bad.into_inner())
    }
}

fn holds(text: &[u8], words: &[u8]) -> bool {
    text.windows(words.len()).any(|window| window == words)
}

/// Whether the other end belongs to the user who runs the kernel.
fn is_same_user(stream: &UnixStream) -> bool {
    use std::os::fd::AsRawFd;
    let mut peer = libc::ucred {
        pid: 0,
        uid: u32::MAX,
        gid: u32::MAX,
    };
    let mut len = size_of::<libc::ucred>() as libc::socklen_t;
    // SAFETY: the pointer and the length describe `peer`, a plain structure that the call fills.
    let answer = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            (&raw mut peer).cast(),
            &raw mut len,
        )
    };
    // SAFETY: takes no arguments and cannot fail.
    answer == 0 && peer.uid == unsafe { libc::getuid() }
}
