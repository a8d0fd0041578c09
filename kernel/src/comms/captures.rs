//! Output that belongs into an output widget, and not to its cell.

use ferrolens_frames::{CellId, Frame, StreamName};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How long a change waits for the next one.
pub const PAUSE: Duration = Duration::from_millis(50);

/// The same where a widget holds much, all of which is sent again.
const LONG_PAUSE: Duration = Duration::from_millis(500);
const MUCH: usize = 1 << 16;

/// The most text that a widget keeps of one stream, in bytes; of more the beginning goes.
const MOST: usize = 1 << 20;

/// An output widget whose outputs have changed, and the header of the message for which.
#[derive(Debug, Clone, PartialEq)]
pub struct Replaced {
    pub comm: String,
    pub parent: Value,
    pub outputs: Value,
}

/// What is captured, by cells. A capture inside another one takes what is put out meanwhile.
#[derive(Debug, Default)]
pub struct Captures {
    open: BTreeMap<CellId, Vec<Capture>>,
}

#[derive(Debug)]
struct Capture {
    comm: String,
    parent: Value,
    outputs: Vec<Entry>,
    /// Since when there is something that front ends have not seen.
    changed: Option<Instant>,
    /// What is there goes when something comes.
    clears: bool,
}

#[derive(Debug)]
enum Entry {
    Text {
        name: StreamName,
        bytes: Vec<u8>,
    },
    Value {
        display_id: Option<String>,
        content: Value,
    },
}

impl Captures {
    /// What the cell puts out from here on belongs to this widget. What it holds stays until then.
    pub fn begin(&mut self, cell: CellId, comm: String, parent: Value) {
        self.open.entry(cell).or_default().push(Capture {
            comm,
            parent,
            outputs: Vec::new(),
            changed: None,
            clears: false,
        });
    }

    /// The end of the cell's innermost capture.
    pub fn end(&mut self, cell: CellId) -> Option<Replaced> {
        let captures = self.open.get_mut(&cell)?;
        let ended = captures.pop().map(Capture::replaced);
        if captures.is_empty() {
            self.open.remove(&cell);
        }
        ended
    }

    /// The cell has ended, and with it all that it captured.
    pub fn end_all(&mut self, cell: CellId) -> Vec<Replaced> {
        let captures = self.open.remove(&cell).unwrap_or_default();
        captures.into_iter().map(Capture::replaced).collect()
    }

    /// Takes what a cell puts out where it is captured; gives it back where it is not.
    pub fn take(
        &mut self,
        cell: CellId,
        frame: Frame,
        body: Vec<u8>,
        now: Instant,
    ) -> Option<(Frame, Vec<u8>)> {
        let Some(capture) = self
            .open
            .get_mut(&cell)
            .and_then(|captures| captures.last_mut())
        else {
            return Some((frame, body));
        };
        match frame {
            Frame::Stream { name, .. } => capture.text(name, &body),
            Frame::Display {
                data,
                metadata,
                display_id,
                ..
            } => capture.push(Entry::Value {
                display_id,
                content: rich(json!(data), json!(metadata)),
            }),
            Frame::Value { data, metadata, .. } => capture.push(Entry::Value {
                display_id: None,
                content: rich(json!(data), json!(metadata)),
            }),
            Frame::Update {
                ref display_id,
                ref data,
                ref metadata,
                ..
            } => {
                if !capture.update(display_id, &rich(json!(data), json!(metadata))) {
                    return Some((frame, body));
                }
            }
            Frame::Clear { wait, .. } => {
                capture.clears = wait;
                if !wait {
                    capture.outputs.clear();
                }
            }
            other => return Some((other, body)),
        }
        capture.changed.get_or_insert(now);
        None
    }

    /// An error of the code whose output the cell captures; false where it captures none.
    pub fn fail(&mut self, cell: CellId, error: &CapturedError, now: Instant) -> bool {
        let Some(capture) = self
            .open
            .get_mut(&cell)
            .and_then(|captures| captures.last_mut())
        else {
            return false;
        };
        capture.push(Entry::Value {
            display_id: None,
            content: error.content(),
        });
        capture.changed.get_or_insert(now);
        true
    }

    /// The widgets whose changes have waited long enough.
    pub fn due(&mut self, now: Instant) -> Vec<Replaced> {
        let captures = self.open.values_mut().flatten();
        captures
            .filter_map(|capture| {
                let since = capture.changed?;
                (now.saturating_duration_since(since) >= capture.pause()).then(|| {
                    capture.changed = None;
                    Replaced {
                        comm: capture.comm.clone(),
                        parent: capture.parent.clone(),
                        outputs: capture.contents(),
                    }
                })
            })
            .collect()
    }

    /// Whether anything waits to be seen.
    pub fn is_waiting(&self) -> bool {
        let mut captures = self.open.values().flatten();
        captures.any(|capture| capture.changed.is_some())
    }
}

/// An error that is shown among the outputs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CapturedError {
    pub name: String,
    pub value: String,
    pub traceback: Vec<String>,
}

impl CapturedError {
    /// The output that shows it.
    pub fn content(&self) -> Value {
        json!({
            "output_type": "error", "ename": self.name, "evalue": self.value,
            "traceback": self.traceback,
        })
    }
}

impl Capture {
    fn push(&mut self, entry: Entry) {
        if std::mem::take(&mut self.clears) {
            self.outputs.clear();
        }
        self.outputs.push(entry);
    }

    fn text(&mut self, name: StreamName, text: &[u8]) {
        if std::mem::take(&mut self.clears) {
            self.outputs.clear();
        }
        match self.outputs.last_mut() {
            Some(Entry::Text { name: last, bytes }) if *last == name => {
                bytes.extend_from_slice(text);
                if bytes.len() > MOST {
                    let cut = bytes.len() - MOST / 2;
                    bytes.drain(..cut);
                }
            }
            _ => self.outputs.push(Entry::Text {
                name,
                bytes: text.to_vec(),
            }),
        }
    }

    /// Replaces the displays of this id; false where there are none.
    fn update(&mut self, id: &str, new: &Value) -> bool {
        let mut found = false;
        for entry in &mut self.outputs {
            if let Entry::Value {
                display_id: Some(display_id),
                content,
            } = entry
                && display_id == id
            {
                content.clone_from(new);
                found = true;
            }
        }
        found
    }

    fn pause(&self) -> Duration {
        let text: usize = self
            .outputs
            .iter()
            .map(|entry| match entry {
                Entry::Text { bytes, .. } => bytes.len(),
                Entry::Value { .. } => 0,
            })
            .sum();
        if text > MUCH { LONG_PAUSE } else { PAUSE }
    }

    fn contents(&self) -> Value {
        let contents = self.outputs.iter().map(|entry| match entry {
            Entry::Text { name, bytes } => json!({
                "output_type": "stream",
                "name": match name {
                    StreamName::Stdout => "stdout",
                    StreamName::Stderr => "stderr",
                },
                "text": String::from_utf8_lossy(bytes),
            }),
            Entry::Value { content, .. } => content.clone(),
        });
        contents.collect()
    }

    fn replaced(self) -> Replaced {
        Replaced {
            outputs: self.contents(),
            comm: self.comm,
            parent: self.parent,
        }
    }
}

fn rich(data: Value, metadata: Value) -> Value {
    json!({"output_type": "display_data", "data": data, "metadata": metadata})
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrolens_frames::Bundle;

    fn text(text: &str) -> (Frame, Vec<u8>) {
        let frame = Frame::Stream {
            cell: 1,
            name: StreamName::Stdout,
        };
        (frame, text.as_bytes().to_vec())
    }

    fn display(text: &str, id: &str) -> (Frame, Vec<u8>) {
        let frame = Frame::Display {
            cell: 1,
            data: Bundle::from([("text/plain".to_owned(), json!(text))]),
            metadata: Bundle::new(),
            display_id: Some(id.to_owned()),
        };
        (frame, Vec::new())
    }

    fn update(text: &str, id: &str) -> (Frame, Vec<u8>) {
        let frame = Frame::Update {
            cell: 1,
            data: Bundle::from([("text/plain".to_owned(), json!(text))]),
            metadata: Bundle::new(),
            display_id: id.to_owned(),
        };
        (frame, Vec::new())
    }

    fn capture(frames: Vec<(Frame, Vec<u8>)>) -> (Value, usize) {
        let mut captures = Captures::default();
        captures.begin(1, "out".to_owned(), json!({}));
        let given_back = frames
            .into_iter()
            .filter_map(|(frame, body)| captures.take(1, frame, body, Instant::now()))
            .count();
        (captures.end(1).expect("it was begun").outputs, given_back)
    }

    #[test]
    fn outputs_are_those_of_a_saved_cell() {
        let (outputs, given_back) = capture(vec![
            text("na\u{ef}"),
            text("ve"),
            display("a", "x"),
            update("b", "x"),
            update("c", "elsewhere"),
        ]);
        assert_eq!(
            outputs,
            json!([
                {"output_type": "stream", "name": "stdout", "text": "na\u{ef}ve"},
                {"output_type": "display_data", "data": {"text/plain": "b"}, "metadata": {}},
            ])
        );
        assert_eq!(given_back, 1, "the display of another cell");
    }

    #[test]
    fn clearing_waits_for_the_next_output_where_it_is_asked_to() {
        let clear = |wait| (Frame::Clear { cell: 1, wait }, Vec::new());
        let (outputs, _) = capture(vec![text("a"), clear(true)]);
        assert_eq!(outputs[0]["text"], "a");
        let (outputs, _) = capture(vec![text("a"), clear(true), text("b")]);
        assert_eq!(outputs[0]["text"], "b");
        let (outputs, _) = capture(vec![text("a"), clear(false)]);
        assert_eq!(outputs, json!([]));
    }

    #[test]
    fn changes_wait_for_a_moment_and_inner_captures_take_their_own() {
        let mut captures = Captures::default();
        let start = Instant::now();
        let take = |captures: &mut Captures, (frame, body): (Frame, Vec<u8>)| {
            captures.take(1, frame, body, start).is_none()
        };
        assert!(!take(&mut captures, text("free")));
        captures.begin(1, "outer".to_owned(), json!({}));
        assert!(take(&mut captures, text("a")));
        assert!(captures.is_waiting());
        assert_eq!(captures.due(start), []);
        assert_eq!(captures.due(start + PAUSE)[0].comm, "outer");
        assert!(!captures.is_waiting());
        captures.begin(1, "inner".to_owned(), json!({}));
        assert!(take(&mut captures, text("b")));
        let error = CapturedError {
            name: "panic".to_owned(),
            value: "boom".to_owned(),
            traceback: Vec::new(),
        };
        assert!(captures.fail(1, &error, start) && !captures.fail(2, &error, start));
        let inner = captures.end(1).expect("inner");
        assert_eq!(
            (inner.comm.as_str(), &inner.outputs[0]["text"]),
            ("inner", &json!("b"))
        );
        assert_eq!(inner.outputs[1]["ename"], "panic");
        assert!(take(&mut captures, text("c")));
        let ended = captures.end_all(1);
        assert_eq!(ended[0].outputs[0]["text"], "ac");
        assert_eq!(captures.end(1), None);
    }
}
