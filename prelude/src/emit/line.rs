//! One line of text that changes where it stands.

use super::{Host, display_id, send_display, send_update, text};
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// The shortest time between two looks of the line.
const PAUSE: Duration = Duration::from_millis(100);

/// A line that shows how far something is. In a notebook it is an output that is replaced, in a
/// terminal a line of stderr that is written over, elsewhere nothing.
#[derive(Debug)]
pub(crate) struct Line {
    shown: Shown,
    last_look: Option<Instant>,
}

#[derive(Debug)]
enum Shown {
    NotYet,
    /// Under this id.
    InNotebook(String),
    InTerminal,
    Nowhere,
}

impl Line {
    pub(crate) fn new() -> Self {
        Self {
            shown: Shown::NotYet,
            last_look: None,
        }
    }

    /// Shows this text, unless the last one is too young.
    pub(crate) fn show(&mut self, line: impl FnOnce() -> String) {
        let now = Instant::now();
        if self.last_look.is_none_or(|last| now - last >= PAUSE) {
            self.last_look = Some(now);
            self.write(line());
        }
    }

    /// Shows this text as the last one.
    pub(crate) fn end(&mut self, line: impl FnOnce() -> String) {
        self.write(line());
        if matches!(self.shown, Shown::InTerminal) {
            let _ = std::io::stderr().write_all(b"\n");
        }
    }

    /// Whether anything was to be shown so far.
    pub(crate) fn is_shown(&self) -> bool {
        !matches!(self.shown, Shown::NotYet)
    }

    fn write(&mut self, line: String) {
        match &self.shown {
            Shown::InNotebook(id) => send_update(text(line), id),
            Shown::InTerminal => write_over(&line),
            Shown::Nowhere => {}
            Shown::NotYet => {
                self.shown = if Host::find().is_some() {
                    let id = display_id();
                    send_display(text(line), &id);
                    Shown::InNotebook(id)
                } else if std::io::stderr().is_terminal() {
                    write_over(&line);
                    Shown::InTerminal
                } else {
                    Shown::Nowhere
                };
            }
        }
    }
}

/// The escape clears what a longer line left behind. A closed stderr is no reason to stop.
fn write_over(line: &str) {
    let _ = std::io::stderr().write_all(format!("\r{line}\u{1b}[K").as_bytes());
}
