//! Which request started which cell, and what becomes of the cell's output.

use super::comms::Comms;
use crate::bridge::Output;
use crate::wire::{Iopub, Message, Text};
use ferrolens_frames::{Bundle, CellId, Frame};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::mpsc;

/// How many past cells can still put out something, from a thread that outlived them.
const REMEMBERED: usize = 10_000;

/// A cell waits for a line from the user.
#[derive(Debug)]
pub struct InputAsked {
    pub prompt: String,
    pub password: bool,
}

#[derive(Debug, Clone)]
struct Cell {
    /// The header of its request.
    parent: Value,
    silent: bool,
    count: usize,
    /// Whether its value is for the kernel, and nothing of it for front ends.
    hidden: bool,
}

/// The table, shared with the bridge's threads.
pub struct Cells {
    table: Mutex<BTreeMap<CellId, Cell>>,
    /// What cells have shown as their values: data and metadata.
    values: Mutex<BTreeMap<CellId, (Value, Value)>>,
    iopub: Iopub,
    inputs: mpsc::UnboundedSender<InputAsked>,
    id: String,
    comms: Arc<Comms>,
    ends: Mutex<Option<mpsc::UnboundedReceiver<CellId>>>,
}

impl Cells {
    pub(super) fn new(
        iopub: Iopub,
        id: String,
    ) -> (Arc<Self>, mpsc::UnboundedReceiver<InputAsked>) {
        let (inputs, asked) = mpsc::unbounded_channel();
        let (comms, ends) = Comms::new(iopub.clone(), id.clone());
        (
            Arc::new(Self {
                table: Mutex::default(),
                values: Mutex::default(),
                iopub,
                inputs,
                id,
                comms,
                ends: Mutex::new(Some(ends)),
            }),
            asked,
        )
    }

    /// Enters a cell, and returns its number.
    pub(super) fn enter(&self, parent: Value, silent: bool, count: usize) -> CellId {
        self.insert(Cell {
            parent,
            silent,
            count,
            hidden: false,
        })
    }

    /// Enters a cell of the kernel's own, whose value is to be taken.
    pub(super) fn enter_hidden(&self, parent: Value) -> CellId {
        self.insert(Cell {
            parent,
            silent: true,
            count: 0,
            hidden: true,
        })
    }

    /// The value that a cell has shown, once: all of a hidden cell's, and the text of others.
    pub(super) fn take_value(&self, cell: CellId) -> Option<(Value, Value)> {
        let mut values = self.values.lock().unwrap_or_else(|bad| bad.into_inner());
        values.remove(&cell)
    }

    fn insert(&self, cell: Cell) -> CellId {
        let mut table = self.lock();
        let id = table.last_key_value().map_or(1, |(last, _)| last + 1);
        table.insert(id, cell);
        if table.len() > REMEMBERED {
            table.pop_first();
        }
        id
    }

    /// The comms of this kernel.
    pub(super) fn comms(&self) -> &Comms {
        &self.comms
    }

    /// Hears of each cell whose code has ended. There is one listener.
    pub(super) fn ends(&self) -> Option<mpsc::UnboundedReceiver<CellId>> {
        self.ends.lock().ok().and_then(|mut ends| ends.take())
    }

    /// Turns output into a message. Called from the bridge's threads.
    pub fn take(&self, output: Output) {
        if let Frame::Hello { .. } = output.frame {
            self.comms.forget_child();
            return;
        }
        let cell = {
            let table = self.lock();
            // The oldest cells are forgotten; their late output goes to the newest.
            let newest = || {
                table
                    .last_key_value()
                    .filter(|_| output.cell != 0)
                    .map(|(_, cell)| cell)
            };
            table.get(&output.cell).or_else(newest).cloned()
        };
        let Some(cell) = cell else {
            // Before the first cell, the interpreter prepares itself; no request asked for that.
            if let Frame::Stream { .. } = output.frame {
                eprint!("{}", String::from_utf8_lossy(&output.body));
            }
            return;
        };
        let Some(output) = self.comms.take(output, &cell.parent) else {
            return;
        };
        if let Frame::Input {
            prompt, password, ..
        } = output.frame
        {
            let _ = self.inputs.send(InputAsked { prompt, password });
            return;
        }
        if let Frame::Value { data, metadata, .. } = &output.frame {
            let shown = match (cell.hidden, data.get("text/plain")) {
                (true, _) => Some((json!(data), json!(metadata))),
                (false, Some(text)) => Some((text.clone(), Value::Null)),
                (false, None) => None,
            };
            let mut values = self.values.lock().unwrap_or_else(|bad| bad.into_inner());
            if let Some(shown) = shown {
                values.insert(output.cell, shown);
            }
        }
        if cell.silent {
            return;
        }
        let parent = &cell.parent;
        match output.frame {
            Frame::Stream { name, .. } => {
                self.iopub.text_blocking(Text {
                    parent: parent.clone(),
                    name,
                    bytes: output.body,
                });
            }
            Frame::Display {
                data,
                metadata,
                display_id,
                ..
            } => {
                let transient = match display_id {
                    Some(id) => json!({"display_id": id}),
                    None => json!({}),
                };
                self.publish(parent, "display_data", rich(&data, &metadata, transient));
            }
            Frame::Update {
                data,
                metadata,
                display_id,
                ..
            } => {
                let transient = json!({"display_id": display_id});
                self.publish(
                    parent,
                    "update_display_data",
                    rich(&data, &metadata, transient),
                );
            }
            Frame::Value { data, metadata, .. } => {
                let mut content = rich(&data, &metadata, json!({}));
                content["execution_count"] = json!(cell.count);
                self.publish(parent, "execute_result", content);
            }
            Frame::Clear { wait, .. } => {
                self.publish(parent, "clear_output", json!({"wait": wait}));
            }
            Frame::Hello { .. }
            | Frame::Failed { .. }
            | Frame::Panicked { .. }
            | Frame::Input { .. }
            | Frame::Synced { .. }
            | Frame::Started { .. }
            | Frame::Ended { .. }
            | Frame::Variables { .. }
            | Frame::Words { .. }
            | Frame::CommOpen { .. }
            | Frame::CommMessage { .. }
            | Frame::CommClose { .. }
            | Frame::Capture { .. }
            | Frame::Caught { .. } => {}
        }
    }

    fn publish(&self, parent: &Value, kind: &str, content: Value) {
        self.iopub
            .send_blocking(Message::caused_by(parent, &self.id, kind, &content));
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<CellId, Cell>> {
        self.table.lock().unwrap_or_else(|bad| bad.into_inner())
    }
}

fn rich(data: &Bundle, metadata: &Bundle, transient: Value) -> Value {
    json!({"data": data, "metadata": metadata, "transient": transient})
}
