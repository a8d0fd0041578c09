//! What the reader sees while added crates compile: one line, written over and over.

use crate::session::Cell;
use crate::session::engine::Engine;
use crate::toolchain::workspace::PROGRESS;
use std::path::Path;
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often the line changes.
const PAUSE: Duration = Duration::from_millis(150);

/// Builds that take less than this say nothing.
const LEISURE: Duration = Duration::from_millis(700);

/// The longest line, in characters.
const WIDTH: usize = 78;

/// Watches until it is dropped.
pub(super) struct Watch {
    done: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Watches the build of a cell that adds crates.
pub(super) fn watch(engine: &Engine, part: &Cell) -> Option<Watch> {
    let adds = |line: &str| {
        let line = line.trim_start();
        line.starts_with(":dep ")
    };
    if !part.code.lines().any(adds) {
        return None;
    }
    let file = engine.folder.path().join(PROGRESS);
    let _ = std::fs::remove_file(&file);
    let (bridge, cell) = (engine.bridge.clone(), part.id);
    let (done, ended) = mpsc::channel();
    // Without the thread the reader waits in the dark, and the build goes on.
    let thread = std::thread::Builder::new()
        .name("progress".to_owned())
        .spawn(move || follow(&file, &ended, |text| bridge.say(cell, text)))
        .ok()?;
    Some(Watch {
        done: Some(done),
        thread: Some(thread),
    })
}

impl Drop for Watch {
    fn drop(&mut self) {
        drop(self.done.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn follow(file: &Path, ended: &mpsc::Receiver<()>, say: impl Fn(&str)) {
    let begun = Instant::now();
    let mut shown = String::new();
    let mut compiled = 0;
    while let Err(mpsc::RecvTimeoutError::Timeout) = ended.recv_timeout(PAUSE) {
        let Ok(text) = std::fs::read_to_string(file) else {
            continue;
        };
        let Some(line) = text.lines().last() else {
            continue;
        };
        if line != shown && begun.elapsed() > LEISURE {
            say(&format!("\r{}", fitted(line)));
            line.clone_into(&mut shown);
        }
    }
    if let Ok(text) = std::fs::read_to_string(file) {
        compiled = text
            .lines()
            .filter(|line| line.starts_with("Compiling "))
            .count();
    }
    if begun.elapsed() > LEISURE && !shown.is_empty() {
        let seconds = begun.elapsed().as_secs_f64();
        let line = match compiled {
            0 => format!("{seconds:.1} s"),
            1 => format!("1 crate compiled in {seconds:.1} s"),
            count => format!("{count} crates compiled in {seconds:.1} s"),
        };
        say(&format!("\r{}\r{line}\n", fitted("")));
    }
}

/// A line that covers the one before it.
fn fitted(line: &str) -> String {
    let mut kept: String = line.chars().take(WIDTH).collect();
    let length = kept.chars().count();
    kept.extend(std::iter::repeat_n(' ', WIDTH - length));
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn the_last_line_is_shown_and_the_end_counts() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("progress");
        std::fs::write(&file, "Compiling a v1\nCompiling b v2\n1/3: b\n").expect("a file");
        let (done, ended) = mpsc::channel();
        let said = Mutex::new(String::new());
        std::thread::scope(|scope| {
            let (file, said) = (&file, &said);
            scope.spawn(move || {
                follow(file, &ended, |text| {
                    said.lock().expect("no panic").push_str(text)
                })
            });
            std::thread::sleep(LEISURE + PAUSE * 2);
            std::fs::write(file, "Compiling a v1\nCompiling b v2\n2/3: c\n").expect("a file");
            std::thread::sleep(PAUSE * 2);
            drop(done);
        });
        let said = said.into_inner().expect("no panic");
        assert!(said.contains("\r2/3: c  "), "{said:?}");
        assert!(said.contains("\r2 crates compiled in "), "{said:?}");
        assert!(said.ends_with(" s\n"), "{said:?}");
    }

    #[test]
    fn every_line_covers_the_one_before() {
        assert_eq!(fitted("a").chars().count(), WIDTH);
        assert_eq!(fitted(&"ü".repeat(200)).chars().count(), WIDTH);
    }
}
