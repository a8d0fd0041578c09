//! The interpreter behind a kernel: one thread that compiles and runs cells one after the other.
//!
//! The only room that says evcxr. What the server needs of it is on this page.

mod compile_error;
mod engine;
mod interrupt;
mod panic_place;

pub use engine::Engine;
pub use interrupt::Interrupt;

use ferrolens_frames::{Bundle, CellId};
use std::sync::mpsc;
use std::time::Duration;
use tokio::sync::oneshot;

/// Runs code and remembers what it defined.
pub trait Interpreter {
    /// Runs a cell to its end. Output goes to the bridge while it runs.
    fn execute(&mut self, cell: CellId, title: &str, code: &str) -> Outcome;

    /// Prepares for what the user is likely to do next; called when nobody waits.
    fn warm_up(&mut self) {}

    /// What could stand at `cursor`, a byte offset into `code`.
    fn complete(&mut self, code: &str, cursor: usize) -> Completions;
}

/// How a cell ended.
#[derive(Debug, Default)]
pub struct Outcome {
    /// A value that the cell's commands returned; values of Rust expressions come as frames.
    pub value: Option<Bundle>,
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

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Completion {
    pub text: String,
    /// E.g. `method`, `struct`.
    pub kind: String,
    /// The text with its type.
    pub label: String,
}

/// Becomes the engine's wrapper around rustc, and does not return, when the engine started this
/// process as one.
pub fn engine_hook() {
    evcxr::runtime_hook();
}

/// How long the first cell may keep its kernel waiting before that uses the time.
const LEISURE: Duration = Duration::from_millis(300);

enum Task {
    Execute {
        cell: CellId,
        title: String,
        code: String,
        done: oneshot::Sender<Outcome>,
    },
    Complete {
        code: String,
        cursor: usize,
        done: oneshot::Sender<Completions>,
    },
}

/// A handle to the interpreter's thread. The thread ends when the last handle goes.
#[derive(Clone)]
pub struct Session {
    tasks: mpsc::Sender<Task>,
}

impl Session {
    /// Starts the thread, which makes its interpreter there: a slow start keeps nobody waiting but
    /// the first cell. When it cannot be made, every cell fails with that sentence.
    ///
    /// # Errors
    /// When the system starts no thread.
    pub fn start<I: Interpreter>(
        make: impl FnOnce() -> Result<I, String> + Send + 'static,
    ) -> std::io::Result<(Self, std::thread::JoinHandle<()>)> {
        let (tasks, queue) = mpsc::channel();
        // The engine's analyzer recurses deeply.
        let thread = std::thread::Builder::new()
            .name("session".to_owned())
            .stack_size(64 << 20)
            .spawn(move || {
                let mut interpreter = make();
                let mut first = queue.recv_timeout(LEISURE).ok();
                if first.is_none()
                    && let Ok(interpreter) = &mut interpreter
                {
                    interpreter.warm_up();
                }
                while let Some(task) = first.take().or_else(|| queue.recv().ok()) {
                    match (&mut interpreter, task) {
                        (
                            Ok(interpreter),
                            Task::Execute {
                                cell,
                                title,
                                code,
                                done,
                            },
                        ) => {
                            let _ = done.send(interpreter.execute(cell, &title, &code));
                        }
                        (Ok(interpreter), Task::Complete { code, cursor, done }) => {
                            let _ = done.send(interpreter.complete(&code, cursor));
                        }
                        (Err(why), Task::Execute { done, .. }) => {
                            let error = CellError::plain("kernel error", why);
                            let _ = done.send(Outcome {
                                error: Some(error),
                                value: None,
                            });
                        }
                        (Err(_), Task::Complete { done, .. }) => {
                            let _ = done.send(Completions::default());
                        }
                    }
                }
            })?;
        Ok((Self { tasks }, thread))
    }

    /// Runs a cell. `title` is what messages call it, e.g. `cell [3]`.
    pub async fn execute(&self, cell: CellId, title: String, code: String) -> Outcome {
        let (done, outcome) = oneshot::channel();
        let _ = self.tasks.send(Task::Execute {
            cell,
            title,
            code,
            done,
        });
        outcome.await.unwrap_or_else(|_| Outcome {
            value: None,
            error: Some(CellError::plain(
                "kernel error",
                "The kernel's interpreter has failed. Restart the kernel.",
            )),
        })
    }

    /// See [`Interpreter::complete`].
    pub async fn complete(&self, code: String, cursor: usize) -> Completions {
        let (done, completions) = oneshot::channel();
        let _ = self.tasks.send(Task::Complete { code, cursor, done });
        completions.await.unwrap_or_default()
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

    struct Echo;

    impl Interpreter for Echo {
        fn execute(&mut self, _: CellId, title: &str, code: &str) -> Outcome {
            Outcome {
                value: None,
                error: Some(CellError::plain(title, code)),
            }
        }

        fn complete(&mut self, _: &str, cursor: usize) -> Completions {
            Completions {
                start: cursor,
                end: cursor,
                items: Vec::new(),
            }
        }
    }

    #[tokio::test]
    async fn cells_run_in_order_on_the_interpreters_thread() {
        let (session, thread) = Session::start(|| Ok(Echo)).expect("a thread");
        let outcome = session
            .execute(1, "cell [1]".to_owned(), "boom".to_owned())
            .await;
        let error = outcome.error.expect("the echo is an error");
        assert_eq!(
            (error.name.as_str(), error.value.as_str()),
            ("cell [1]", "boom")
        );
        assert_eq!(session.complete("abc".to_owned(), 2).await.start, 2);
        drop(session);
        thread.join().expect("the thread ends with its last handle");
    }

    #[tokio::test]
    async fn an_interpreter_that_cannot_start_says_why_in_every_cell() {
        let (session, _) =
            Session::start(|| Err::<Echo, _>("There is no rustc.".to_owned())).expect("a thread");
        for cell in 1..3 {
            let outcome = session.execute(cell, String::new(), String::new()).await;
            assert_eq!(
                outcome.error.expect("no interpreter").value,
                "There is no rustc."
            );
        }
    }
}
