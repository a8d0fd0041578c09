//! What crosses the socket between a kernel and the child that runs its cells.
//!
//! A frame is a short JSON head and an optional run of raw bytes:
//! `[head length: u32 LE][body length: u32 LE][head][body]`. Text that a cell prints travels in the
//! body, because it need not be UTF-8. The vocabulary is versioned: the child's first frame is
//! [`Frame::Hello`], and a kernel that does not know the version ends the child.
//!
//! This crate knows serde and nothing else, so that both sides can link it.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{self, Read, Write};

/// Raised whenever a frame changes its meaning.
pub const VERSION: u32 = 2;

/// The largest head or body that is accepted: a length beyond it means that the stream is corrupt.
pub const MAX_LEN: u32 = 1 << 30;

/// The folder that a compiled cell's source seems to lie in, behind which a number made from its text
/// follows: a place says by that which cell's library it belongs to.
pub const CELL_SOURCE: &str = "ferrolens-cell-";

/// The function of a cell's library that runs it.
pub const CELL_FUNCTION: &str = "run_user_code_0";

/// Names the kernel's Unix socket in the child's environment.
pub const SOCKET_ENV: &str = "FERROLENS_SOCKET";

/// The number of a cell in the order of execution, counted by the kernel. 0 is "no cell": output
/// of a thread that no cell started belongs to the cell that runs.
pub type CellId = u64;

/// Which of a process's two text streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StreamName {
    Stdout,
    Stderr,
}

/// A value in several representations, richest last to choose: MIME type → content. Text MIME
/// types hold a JSON string, `application/json` and its kin hold the value itself, images hold
/// base64.
pub type Bundle = BTreeMap<String, serde_json::Value>;

/// From the child to the kernel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "t", rename_all = "snake_case")]
pub enum Frame {
    /// The first frame of a child.
    Hello { version: u32, pid: u32 },
    /// Text that a cell wrote; the bytes are the frame's body.
    Stream { cell: CellId, name: StreamName },
    /// A rich value. `display_id` makes it addressable by [`Frame::Update`].
    Display {
        cell: CellId,
        data: Bundle,
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        metadata: Bundle,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        display_id: Option<String>,
    },
    /// The value of the cell's last expression.
    Value {
        cell: CellId,
        data: Bundle,
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        metadata: Bundle,
    },
    /// Replaces every display that was sent with this `display_id`.
    Update {
        cell: CellId,
        data: Bundle,
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        metadata: Bundle,
        display_id: String,
    },
    /// Clears the cell's output, at once or when the next output arrives.
    Clear { cell: CellId, wait: bool },
    /// The cell ended in an error of the user's code: a panic, or an `Err` that left it through `?`.
    Failed {
        cell: CellId,
        /// `panic`, or the type of the error, e.g. `candle_core::Error`.
        name: String,
        /// What the panic or the error says.
        value: String,
        /// Where it happened in the compiled source, when that is known.
        at: Option<SourcePlace>,
        /// The thread of a panic, where it is not the one that runs cells.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        thread: Option<String>,
        /// The calls of cells' functions that led to a panic, the innermost first.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        calls: Vec<Call>,
        /// The function of a library that panicked.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        inside: Option<String>,
    },
    /// A panic that did not end its cell: one that the cell caught, or another thread's.
    Panicked {
        cell: CellId,
        thread: String,
        value: String,
        at: Option<SourcePlace>,
    },
    /// Code whose output is shown in a place of its own failed there, and its cell goes on: the callback
    /// of a widget. The name and value are those of [`Frame::Failed`].
    Caught {
        cell: CellId,
        name: String,
        value: String,
    },
    /// The cell asked for a line of input, and waits.
    Input {
        cell: CellId,
        prompt: String,
        password: bool,
    },
    /// The answer to [`Order::Sync`]: every frame that was sent before it has left the child.
    Synced { number: u64 },
    /// The code of a cell has been loaded and begins.
    Started { cell: CellId },
    /// The code of a cell, or the answer to an [`Order::Event`], has returned.
    Ended { cell: CellId },
    /// The variables after a cell: what those look like that it stored, and the names of all.
    Variables {
        cell: CellId,
        stored: Vec<VariableSummary>,
        names: Vec<String>,
    },
    /// Words that functions of the prelude take as text, e.g. the names of models, for completion.
    Words { of: String, words: Vec<String> },
    /// The child opened a comm, which front ends know by `comm`.
    CommOpen {
        cell: CellId,
        comm: String,
        target: String,
        data: serde_json::Value,
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        metadata: Bundle,
    },
    /// A message on an open comm.
    CommMessage {
        cell: CellId,
        comm: String,
        data: serde_json::Value,
    },
    /// The child closed a comm.
    CommClose { cell: CellId, comm: String },
    /// What this cell puts out from here on belongs into the output widget behind `comm`; `None` ends
    /// that.
    Capture { cell: CellId, comm: Option<String> },
}

/// What a reader sees of a variable without its being displayed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VariableSummary {
    pub name: String,
    /// A short value on one line, e.g. `[1, 2, 3, …]`.
    pub value: String,
    /// The dimensions of a tensor or a table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shape: Option<Vec<usize>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dtype: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// What it holds in memory, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// Words that its methods take as text, e.g. a model's hook points.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<String>,
}

/// One call on the stack of a panic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Call {
    /// With the name of the cells' crate before it, e.g. `ctx::normalise`.
    pub function: String,
    pub at: SourcePlace,
}

/// A place in the file that rustc compiled, lines and columns counted from 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourcePlace {
    pub file: String,
    pub line: u32,
    pub column: u32,
}

/// From the kernel to the child.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "t", rename_all = "snake_case")]
pub enum Order {
    /// The next code to be loaded is this cell.
    CellBegin { cell: CellId },
    /// Answer with [`Frame::Synced`].
    Sync { number: u64 },
    /// Long operations should stop at their next check.
    Stop,
    /// The line that was asked for with [`Frame::Input`]; `None` when there is nobody to ask.
    InputReply { value: Option<String> },
    /// A front end did something on a comm that the child opened: run what waits for that, as `cell`,
    /// and answer with [`Frame::Ended`]. Sent only while no cell runs.
    Event {
        cell: CellId,
        comm: String,
        data: serde_json::Value,
    },
    /// A front end closed a comm.
    EventClose { comm: String },
}

/// Writes one frame or order, followed by its raw bytes.
///
/// # Errors
/// Those of the writer, and `InvalidInput` for a part of over [`MAX_LEN`] bytes.
pub fn write<T: Serialize>(out: &mut impl Write, head: &T, body: &[u8]) -> io::Result<()> {
    let head = serde_json::to_vec(head)?;
    let (Ok(head_len), Ok(body_len)) = (u32::try_from(head.len()), u32::try_from(body.len()))
    else {
        return Err(too_long(head.len().max(body.len())));
    };
    if head_len > MAX_LEN || body_len > MAX_LEN {
        return Err(too_long(head.len().max(body.len())));
    }
    let mut packet = Vec::with_capacity(8 + head.len() + body.len());
    packet.extend_from_slice(&head_len.to_le_bytes());
    packet.extend_from_slice(&body_len.to_le_bytes());
    packet.extend_from_slice(&head);
    packet.extend_from_slice(body);
    out.write_all(&packet)
}

/// Reads one frame or order and its raw bytes; `None` when the other side has closed.
///
/// # Errors
/// Those of the reader, and `InvalidData` for what is not a frame.
pub fn read<T: for<'de> Deserialize<'de>>(
    input: &mut impl Read,
) -> io::Result<Option<(T, Vec<u8>)>> {
    let mut lengths = [0_u8; 8];
    match input.read_exact(&mut lengths) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let [a, b, c, d, e, f, g, h] = lengths;
    let head = read_part(input, u32::from_le_bytes([a, b, c, d]))?;
    let body = read_part(input, u32::from_le_bytes([e, f, g, h]))?;
    Ok(Some((serde_json::from_slice(&head)?, body)))
}

fn read_part(input: &mut impl Read, len: u32) -> io::Result<Vec<u8>> {
    if len > MAX_LEN {
        return Err(too_long(len as usize));
    }
    let mut bytes = Vec::new();
    let got = input.take(u64::from(len)).read_to_end(&mut bytes)?;
    if got < len as usize {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(bytes)
}

fn too_long(len: usize) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("a part of {len} bytes, where {MAX_LEN} are the most"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_come_back_as_they_went() {
        let frames = [
            (
                Frame::Hello {
                    version: VERSION,
                    pid: 7,
                },
                vec![],
            ),
            (
                Frame::Stream {
                    cell: 3,
                    name: StreamName::Stdout,
                },
                vec![0xff, b'\n', 0],
            ),
            (Frame::Synced { number: 3 }, vec![]),
        ];
        let mut wire = Vec::new();
        for (frame, body) in &frames {
            write(&mut wire, frame, body).expect("a vector takes every byte");
        }
        let mut input = wire.as_slice();
        for expected in frames {
            assert_eq!(read(&mut input).expect("a whole frame"), Some(expected));
        }
        assert_eq!(read::<Frame>(&mut input).expect("a clean end"), None);
    }

    #[test]
    fn a_frame_cut_short_is_an_error() {
        let mut wire = Vec::new();
        write(&mut wire, &Frame::Synced { number: 1 }, b"abc").expect("a vector takes every byte");
        wire.pop();
        let error = read::<Frame>(&mut wire.as_slice()).expect_err("a byte is missing");
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn an_absurd_length_is_refused_before_memory_is_taken() {
        let wire = [0xff; 16];
        let error = read::<Frame>(&mut wire.as_slice()).expect_err("4 GiB of head");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
