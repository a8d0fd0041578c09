//! The interpreter behind a kernel: one thread that compiles and runs cells one after the other.
//!
//! The only room that says evcxr. What the server needs of it is on this page.

mod advice;
mod analysis;
mod closures;
mod commands;
mod compile_error;
mod delimiters;
mod diagnostic;
mod engine;
mod fates;
mod habits;
mod interrupt;
mod keeping;
mod memory;
mod nearest;
mod places;
mod settings;
mod syntax;
mod traceback;
mod twice;
mod wording;

pub use crate::analyzer::{Meaning as Inspection, Suggestion as Completion};
pub(crate) use commands::escaped;
pub use commands::listed as commands;
pub use engine::Engine;
pub use interrupt::Interrupt;

use ferrolens_frames::{Bundle, CellId};
use std::collections::BTreeMap;
use std::sync::{Arc, RwLock, Weak, mpsc};
use std::time::Instant;
use tokio::sync::oneshot;

/// A cell on its way through the interpreter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cell {
    pub id: CellId,
    /// What messages call it, e.g. `cell [3]`.
    pub title: String,
    pub code: String,
    /// When it was handed over: an interrupt after that is meant for it.
    pub since: Option<Instant>,
}

/// What became of a cell that was handed to the interpreter.
#[derive(Debug)]
pub enum Begun {
    /// It needed no code to run, or could not be compiled.
    Ended(Outcome),
    /// Its code runs. The interpreter is free for questions until it hears of the end.
    Runs,
}

/// Runs code and remembers what it defined.
pub trait Interpreter {
    /// Compiles a cell and starts its code. Output goes to the bridge while it runs.
    fn begin(&mut self, cell: &Cell) -> Begun;

    /// A part of the cell that runs has ended, or its process has; another part may run now.
    fn end(&mut self, cell: &Cell) -> Begun;

    /// Does what can wait until the cell that has ended is answered; nothing else comes between.
    fn settle(&mut self) {}

    /// The process that runs cells went while none ran: starts another, and says what was lost.
    fn revive(&mut self) -> CellError {
        CellError::plain("crash", "The process that runs cells has ended.")
    }

    /// What could stand at `cursor`, a byte offset into `code`.
    fn complete(&mut self, code: &str, cursor: usize) -> Completions;

    /// What the name at the end of `code` is; `is_member` where a `.` stands before it.
    fn inspect(&mut self, _code: &str, _is_member: bool) -> Option<Inspection> {
        None
    }

    /// What the cells so far have defined.
    fn known(&self) -> Known {
        Known::default()
    }
}

/// How a cell ended.
#[derive(Debug, Default)]
pub struct Outcome {
    /// A value that the cell's commands returned; values of Rust expressions come as frames.
    pub value: Option<Bundle>,
    /// What a front end shows beside the notebook, where it has a pager.
    pub page: Option<Bundle>,
    /// What went wrong.
    pub error: Option<CellError>,
}

/// What a front end shows for a cell that failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CellError {
    /// A short name, e.g. `panic` or `compile error`.
    pub name: String,
    /// One line.
    pub value: String,
    /// What the reader sees, with ANSI colours.
    pub traceback: Vec<String>,
}

/// What could stand at the cursor.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Completions {
    /// The bytes that a completion replaces.
    pub start: usize,
    pub end: usize,
    pub items: Vec<Completion>,
}

/// What the cells so far have defined.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Known {
    /// The variables with their types.
    pub types: BTreeMap<String, String>,
    /// Types, functions and modules.
    pub items: Vec<String>,
}

/// Becomes the engine's wrapper around rustc, and does not return, when the engine started this
/// process as one.
pub fn engine_hook() {
    evcxr::runtime_hook();
}

enum Task {
    Execute {
        cell: Cell,
        done: oneshot::Sender<Outcome>,
    },
    Ended(CellId),
    Revive(oneshot::Sender<CellError>),
    Complete {
        code: String,
        cursor: usize,
        ticket: Weak<()>,
        done: oneshot::Sender<Completions>,
    },
    Inspect {
        code: String,
        is_member: bool,
        ticket: Weak<()>,
        done: oneshot::Sender<Option<Inspection>>,
    },
}

/// A handle to the interpreter's thread.
#[derive(Clone)]
pub struct Session {
    tasks: mpsc::Sender<Task>,
    known: Arc<RwLock<Arc<Known>>>,
}

/// What the handles of a session have asked for, before and after its thread has started.
pub struct Tasks {
    queue: mpsc::Receiver<Task>,
    known: Arc<RwLock<Arc<Known>>>,
}

impl Session {
    /// A session whose thread has still to be started.
    pub fn new() -> (Self, Tasks) {
        let (tasks, queue) = mpsc::channel();
        let known = Arc::default();
        let tasks = Self {
            tasks,
            known: Arc::clone(&known),
        };
        (tasks, Tasks { queue, known })
    }

    /// Runs a cell.
    pub async fn execute(&self, mut cell: Cell) -> Outcome {
        let (done, outcome) = oneshot::channel();
        cell.since.get_or_insert_with(Instant::now);
        let _ = self.tasks.send(Task::Execute { cell, done });
        outcome.await.unwrap_or_else(|_| Outcome {
            value: None,
            page: None,
            error: Some(CellError::plain(
                "kernel error",
                "The kernel's interpreter has failed. Restart the kernel.",
            )),
        })
    }

    /// Says that the code of a cell has ended, or the process in which it ran.
    pub fn cell_has_ended(&self, cell: CellId) {
        let _ = self.tasks.send(Task::Ended(cell));
    }

    /// See [`Interpreter::revive`].
    pub async fn revive(&self) -> CellError {
        let (done, error) = oneshot::channel();
        let _ = self.tasks.send(Task::Revive(done));
        error.await.unwrap_or_else(|_| {
            CellError::plain(
                "kernel error",
                "The kernel's interpreter has failed. Restart the kernel.",
            )
        })
    }

    /// See [`Interpreter::complete`]. `None` when there is no interpreter, or nobody had the ticket any
    /// more before it began with this.
    pub async fn complete(
        &self,
        code: String,
        cursor: usize,
        ticket: Weak<()>,
    ) -> Option<Completions> {
        let (done, completions) = oneshot::channel();
        let _ = self.tasks.send(Task::Complete {
            code,
            cursor,
            ticket,
            done,
        });
        completions.await.ok()
    }

    /// See [`Interpreter::inspect`], and [`Session::complete`] for the outer `None`.
    pub async fn inspect(
        &self,
        code: String,
        is_member: bool,
        ticket: Weak<()>,
    ) -> Option<Option<Inspection>> {
        let (done, inspection) = oneshot::channel();
        let _ = self.tasks.send(Task::Inspect {
            code,
            is_member,
            ticket,
            done,
        });
        inspection.await.ok()
    }

    /// What the cells so far have defined; never waits.
    pub fn known(&self) -> Arc<Known> {
        self.known
            .read()
            .unwrap_or_else(|bad| bad.into_inner())
            .clone()
    }
}

impl Tasks {
    /// Starts the thread, which makes its interpreter there: a slow start keeps nobody waiting but
    /// the first cell. When it cannot be made, every cell fails with that sentence. The thread ends
    /// when the last handle goes.
    ///
    /// # Errors
    /// When the system starts no thread.
    pub fn serve<I: Interpreter>(
        self,
        make: impl FnOnce() -> Result<I, String> + Send + 'static,
    ) -> std::io::Result<std::thread::JoinHandle<()>> {
        // The engine's analyzer recurses deeply.
        std::thread::Builder::new()
            .name("session".to_owned())
            .stack_size(64 << 20)
            .spawn(move || match make() {
                Ok(interpreter) => self.answer_with(interpreter),
                Err(why) => self.refuse(&why),
            })
    }

    fn answer_with(self, mut interpreter: impl Interpreter) {
        let publish = |known: Known| {
            *self.known.write().unwrap_or_else(|bad| bad.into_inner()) = Arc::new(known);
        };
        let mut running: Option<(Cell, oneshot::Sender<Outcome>)> = None;
        while let Ok(task) = self.queue.recv() {
            match task {
                Task::Execute { cell, done } => {
                    let begun = interpreter.begin(&cell);
                    publish(interpreter.known());
                    match begun {
                        Begun::Ended(outcome) => drop(done.send(outcome)),
                        Begun::Runs => running = Some((cell, done)),
                    }
                }
                Task::Ended(id) => {
                    // A cell that ended while it was begun has been answered.
                    if let Some((cell, done)) = running.take_if(|(cell, _)| cell.id == id) {
                        let ended = interpreter.end(&cell);
                        publish(interpreter.known());
                        match ended {
                            Begun::Ended(outcome) => {
                                drop(done.send(outcome));
                                interpreter.settle();
                                publish(interpreter.known());
                            }
                            Begun::Runs => running = Some((cell, done)),
                        }
                    }
                }
                Task::Revive(done) => drop(done.send(interpreter.revive())),
                Task::Complete { ticket, .. } | Task::Inspect { ticket, .. }
                    if ticket.strong_count() == 0 => {}
                Task::Complete {
                    code, cursor, done, ..
                } => {
                    let _ = done.send(interpreter.complete(&code, cursor));
                }
                Task::Inspect {
                    code,
                    is_member,
                    done,
                    ..
                } => {
                    let _ = done.send(interpreter.inspect(&code, is_member));
                }
            }
        }
    }

    fn refuse(self, why: &str) {
        while let Ok(task) = self.queue.recv() {
            match task {
                Task::Execute { done, .. } => {
                    let _ = done.send(Outcome {
                        error: Some(CellError::plain("kernel error", why)),
                        value: None,
                        page: None,
                    });
                }
                Task::Complete { .. } | Task::Inspect { .. } | Task::Ended(_) | Task::Revive(_) => {
                }
            }
        }
    }
}

impl CellError {
    /// An error whose traceback is its sentence, under the name in red.
    pub fn plain(name: &str, sentence: &str) -> Self {
        Self {
            name: name.to_owned(),
            value: sentence.lines().next().unwrap_or_default().to_owned(),
            traceback: vec![format!("\u{1b}[1;31m{name}\u{1b}[0m: {sentence}")],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fails at once with `boom`, and runs everything else until it is told of the end.
    struct Echo;

    impl Interpreter for Echo {
        fn begin(&mut self, cell: &Cell) -> Begun {
            if cell.code == "boom" {
                self.end(cell)
            } else {
                Begun::Runs
            }
        }

        fn end(&mut self, cell: &Cell) -> Begun {
            Begun::Ended(Outcome {
                value: None,
                page: None,
                error: Some(CellError::plain(&cell.title, &cell.code)),
            })
        }

        fn complete(&mut self, _: &str, cursor: usize) -> Completions {
            Completions {
                start: cursor,
                end: cursor,
                items: Vec::new(),
            }
        }
    }

    fn cell(id: CellId, code: &str) -> Cell {
        Cell {
            id,
            title: format!("cell [{id}]"),
            code: code.to_owned(),
            since: None,
        }
    }

    #[tokio::test]
    async fn questions_are_answered_while_a_cell_runs() {
        let (session, tasks) = Session::new();
        let thread = tasks.serve(|| Ok(Echo)).expect("a thread");
        let outcome = session.execute(cell(1, "boom")).await;
        let error = outcome.error.expect("the echo is an error");
        assert_eq!(
            (error.name.as_str(), error.value.as_str()),
            ("cell [1]", "boom")
        );
        let mut running = Box::pin(session.execute(cell(2, "loop {}")));
        assert!(futures::poll!(&mut running).is_pending());
        let ticket = Arc::new(());
        let start = async |cursor: usize| {
            let found = session.complete("abc".to_owned(), cursor, Arc::downgrade(&ticket));
            found.await.map(|found| found.start)
        };
        assert_eq!(start(2).await, Some(2));
        session.cell_has_ended(1);
        assert_eq!(start(1).await, Some(1));
        assert!(
            futures::poll!(&mut running).is_pending(),
            "another cell's end"
        );
        session.cell_has_ended(2);
        assert!(running.await.error.is_some());
        let nobody = session.complete("abc".to_owned(), 1, Weak::new()).await;
        assert_eq!(nobody, None, "nobody waits for this any more");
        drop(session);
        thread.join().expect("the thread ends with its last handle");
    }

    #[tokio::test]
    async fn an_interpreter_that_cannot_start_says_why_in_every_cell() {
        let (session, tasks) = Session::new();
        let _thread = tasks
            .serve(|| Err::<Echo, _>("There is no rustc.".to_owned()))
            .expect("a thread");
        for id in 1..3 {
            let outcome = session.execute(cell(id, "")).await;
            assert_eq!(
                outcome.error.expect("no interpreter").value,
                "There is no rustc."
            );
        }
    }
}
