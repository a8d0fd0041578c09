//! The history of cells, as IPython keeps it: one SQLite file for each user, which several kernels
//! write at once.
//!
//! A thread of its own has the file open, so that no cell waits for a disk. When the file cannot be
//! used (locked, read-only, corrupt, no space left), one line on the kernel's error stream says so,
//! and the history is that of this session.
//!
//! Invariant: only this room says SQL.

mod place;
mod request;
mod store;

use request::Request;
use serde_json::{Value, json};
use std::sync::mpsc;
use std::time::Duration;
use store::Store;
use tokio::sync::oneshot;

pub use place::{HISTORY_ENV, Place};

/// How long a kernel that leaves waits for the disk.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// How long a front end waits for the disk.
const PATIENCE: Duration = Duration::from_secs(4);

enum Task {
    Add {
        line: usize,
        code: String,
    },
    Output {
        line: usize,
        text: String,
    },
    Ask {
        request: Request,
        answer: oneshot::Sender<Value>,
    },
    End,
}

/// The history's thread.
#[derive(Debug)]
pub struct History {
    tasks: mpsc::Sender<Task>,
    ended: mpsc::Receiver<()>,
}

impl History {
    /// Opens the user's history, in a thread that tells nobody when it cannot but the kernel's error
    /// stream.
    pub fn open(place: Place) -> Self {
        let (tasks, queue) = mpsc::channel();
        let (leaving, ended) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("history".to_owned())
            .spawn(move || {
                serve(&mut Store::open(&place), &queue);
                drop(leaving);
            });
        if let Err(error) = thread {
            eprintln!("The history is not kept: {error}.");
        }
        Self { tasks, ended }
    }

    /// Notes a cell that begins.
    pub fn add(&self, line: usize, code: &str) {
        let code = code.trim_end_matches('\n').to_owned();
        let _ = self.tasks.send(Task::Add { line, code });
    }

    /// Notes what a cell has shown as its result.
    pub fn add_output(&self, line: usize, text: String) {
        let _ = self.tasks.send(Task::Output { line, text });
    }

    /// The content of a `history_reply`, when it comes.
    pub fn answer(&self, request: &Value) -> impl Future<Output = Value> + Send + 'static {
        let (answer, answered) = oneshot::channel();
        let _ = self.tasks.send(Task::Ask {
            request: Request::read(request),
            answer,
        });
        async move {
            match tokio::time::timeout(PATIENCE, answered).await {
                Ok(Ok(content)) => content,
                _ => json!({"status": "ok", "history": []}),
            }
        }
    }

    /// Waits until everything is on the disk, or a second has passed.
    pub fn close(&self) {
        let _ = self.tasks.send(Task::End);
        let _ = self.ended.recv_timeout(LAST_WORDS);
    }
}

fn serve(store: &mut Store, queue: &mpsc::Receiver<Task>) {
    while let Ok(task) = queue.recv() {
        match task {
            Task::Add { line, code } => store.add(line, &code),
            Task::Output { line, text } => store.add_output(line, &text),
            Task::Ask { request, answer } => {
                let history = store.find(&request);
                let _ = answer.send(json!({"status": "ok", "history": history}));
            }
            Task::End => break,
        }
    }
    store.end();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_was_added_is_found_and_is_there_for_the_next_kernel() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("deep/history.sqlite");
        let history = History::open(Place::File(file.clone()));
        history.add(1, "let x = 1;\n");
        history.add(2, "x");
        history.add_output(2, "1".to_owned());
        let tail = json!({"hist_access_type": "tail", "n": 2, "output": true});
        let both = json!([[1, 1, ["let x = 1;", null]], [1, 2, ["x", "1"]]]);
        assert_eq!(history.answer(&tail).await["history"], both);
        history.close();
        let next = History::open(Place::File(file));
        assert_eq!(next.answer(&tail).await["history"], both);
        next.add(1, "y");
        let range = |session: i64| json!({"hist_access_type": "range", "session": session});
        assert_eq!(
            next.answer(&range(0)).await["history"],
            json!([[0, 1, "y"]])
        );
        assert_eq!(
            next.answer(&range(-1)).await["history"],
            json!([[1, 1, "let x = 1;"], [1, 2, "x"]])
        );
        next.close();
    }
}
