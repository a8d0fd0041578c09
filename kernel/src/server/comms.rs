//! Comms on the wire: requests of front ends, and what the child does with its comms.
//!
//! A front end's message runs as a cell does: after what was sent before it, with busy and idle
//! around it, and nothing beside it.

use super::Server;
use crate::bridge::Output;
use crate::comms::{CONTROL, CapturedError, Captures, Event, Opener, Replaced, Table, Waiting};
use crate::session::CellError;
use crate::wire::{Iopub, Message};
use ferrolens_frames::{CellId, Frame, Order};
use jupyter_protocol::ExecutionState;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex, MutexGuard, mpsc as thread};
use std::time::Instant;
use tokio::sync::mpsc;

/// What the bridge's threads and the server share.
pub struct Comms {
    state: Mutex<State>,
    iopub: Iopub,
    id: String,
    /// Wakes the thread that sends what has waited long enough.
    ticks: thread::Sender<()>,
    ended: mpsc::UnboundedSender<CellId>,
}

#[derive(Default)]
struct State {
    table: Table,
    captures: Captures,
    /// What the cell that ended last had captured last.
    last: Option<(CellId, Replaced)>,
}

impl Comms {
    /// The other value hears of each cell whose code has ended.
    pub(super) fn new(iopub: Iopub, id: String) -> (Arc<Self>, mpsc::UnboundedReceiver<CellId>) {
        let (ended, ends) = mpsc::unbounded_channel();
        let (ticks, waits) = thread::channel();
        let comms = Arc::new(Self {
            state: Mutex::default(),
            iopub,
            id,
            ticks,
            ended,
        });
        let ticking = Arc::downgrade(&comms);
        // Without the thread, captured output appears when its code has ended.
        let _ = std::thread::Builder::new()
            .name("captures".to_owned())
            .spawn(move || {
                while let Ok(()) = waits.recv() {
                    std::thread::sleep(crate::comms::PAUSE);
                    let Some(comms) = ticking.upgrade() else {
                        return;
                    };
                    comms.send_due();
                }
            });
        (comms, ends)
    }

    /// Takes what is about comms, or captured by one; gives back everything else.
    pub(super) fn take(&self, output: Output, parent: &Value) -> Option<Output> {
        let Output { cell, frame, body } = output;
        let mut state = self.lock();
        match frame {
            Frame::CommOpen {
                comm,
                target,
                data,
                metadata,
                ..
            } => {
                state.table.open(&comm, &target, &data, Opener::Child);
                let content = json!({"comm_id": comm, "target_name": target, "data": data});
                let mut message = Message::caused_by(parent, &self.id, "comm_open", &content);
                message.metadata = json!(metadata);
                self.iopub.send_blocking(message);
            }
            Frame::CommMessage { comm, data, .. } => {
                state.table.merge(&comm, &data);
                self.publish(parent, "comm_msg", &json!({"comm_id": comm, "data": data}));
            }
            Frame::CommClose { comm, .. } => {
                if state.table.close(&comm).is_some() {
                    self.publish(parent, "comm_close", &json!({"comm_id": comm, "data": {}}));
                }
            }
            Frame::Capture {
                comm: Some(comm), ..
            } => state.captures.begin(cell, comm, parent.clone()),
            Frame::Capture { comm: None, .. } => {
                if let Some(ended) = state.captures.end(cell) {
                    self.replace(&mut state, ended.clone());
                    state.last = Some((cell, ended));
                }
            }
            Frame::Caught { name, value, .. } => {
                let CellError {
                    name,
                    value,
                    traceback,
                } = CellError::plain(&name, &value);
                let error = CapturedError {
                    name,
                    value,
                    traceback,
                };
                if !state.captures.fail(cell, &error, Instant::now()) {
                    self.publish(parent, "error", &error.content());
                }
            }
            Frame::Ended { .. } => {
                for ended in state.captures.end_all(cell) {
                    self.replace(&mut state, ended.clone());
                    state.last = Some((cell, ended));
                }
                let _ = self.ended.send(cell);
            }
            frame => {
                let given_back = state.captures.take(cell, frame, body, Instant::now());
                if state.captures.is_waiting() {
                    let _ = self.ticks.send(());
                }
                return given_back.map(|(frame, body)| Output { cell, frame, body });
            }
        }
        None
    }

    /// What the last child had opened is dead: it has gone, or another one has started.
    pub(super) fn forget_child(&self) {
        self.lock().table.forget_child();
    }

    /// Shows in place that the process ended in which this event ran; false where it captured nothing.
    fn crashed(&self, cell: CellId, error: &CellError) -> Option<Message> {
        let (_, mut replaced) = self.lock().last.take_if(|(last, _)| *last == cell)?;
        let error = CapturedError {
            name: error.name.clone(),
            value: error.value.clone(),
            traceback: error.traceback.clone(),
        };
        if let Some(outputs) = replaced.outputs.as_array_mut() {
            outputs.push(error.content());
        }
        let content = outputs_message(&replaced);
        Some(Message::caused_by(
            &replaced.parent,
            &self.id,
            "comm_msg",
            &content,
        ))
    }

    fn send_due(&self) {
        let mut state = self.lock();
        for due in state.captures.due(Instant::now()) {
            self.replace(&mut state, due);
        }
        if state.captures.is_waiting() {
            let _ = self.ticks.send(());
        }
    }

    fn replace(&self, state: &mut State, replaced: Replaced) {
        let content = outputs_message(&replaced);
        state.table.merge(&replaced.comm, &content["data"]);
        self.publish(&replaced.parent, "comm_msg", &content);
    }

    /// For the bridge's threads.
    fn publish(&self, parent: &Value, kind: &str, content: &Value) {
        self.iopub
            .send_blocking(Message::caused_by(parent, &self.id, kind, content));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|bad| bad.into_inner())
    }
}

fn outputs_message(replaced: &Replaced) -> Value {
    let state = json!({"outputs": replaced.outputs});
    json!({
        "comm_id": replaced.comm,
        "data": {"method": "update", "state": state, "buffer_paths": []},
    })
}

/// What front ends did with widgets, as far as it has not been done.
#[derive(Default)]
pub(super) struct Events {
    waiting: Waiting,
    running: Option<Running>,
    turns: u64,
}

struct Running {
    cell: CellId,
    parent: Value,
}

impl Events {
    /// A place behind everything that has one.
    pub(super) fn turn(&mut self) -> u64 {
        self.turns += 1;
        self.turns
    }

    /// Whether the child is busy with one.
    pub(super) fn is_running(&self) -> bool {
        self.running.is_some()
    }
}

impl Server {
    /// The content of a `comm_info_reply`.
    pub(super) fn comm_info(&self, request: &Value) -> Value {
        let comms = self.comms().lock();
        comms.table.info(request["target_name"].as_str())
    }

    /// Takes a front end's message about a comm. Those about unknown comms come from pages and clients
    /// that outlived a session, and are accepted silently.
    pub(super) async fn comm_request(&mut self, message: Message) {
        let id = message.content["comm_id"].as_str().unwrap_or("").to_owned();
        let data = &message.content["data"];
        let opener = self.comms().lock().table.opener(&id);
        if message.kind() == "comm_msg"
            && opener == Some(Opener::Child)
            && data["method"] != "request_state"
        {
            let event = Event {
                comm: id,
                data: data.clone(),
                turn: self.events.turn(),
                parent: message.header,
            };
            if let Some(replaced) = self.events.waiting.push(event) {
                self.status(&replaced.parent, ExecutionState::Busy).await;
                self.echo(&replaced).await;
                self.status(&replaced.parent, ExecutionState::Idle).await;
            }
            return;
        }
        let parent = &message.header;
        self.status(parent, ExecutionState::Busy).await;
        match message.kind() {
            "comm_open" => {
                let target = message.content["target_name"].as_str().unwrap_or("");
                if target == CONTROL {
                    let mut comms = self.comms().lock();
                    comms.table.open(&id, target, data, Opener::FrontEnd);
                } else {
                    let content = json!({"comm_id": id, "data": {}});
                    self.publish(parent, "comm_close", &content).await;
                }
            }
            "comm_close" => {
                if self.comms().lock().table.close(&id) == Some(Opener::Child) {
                    self.bridge.order(&Order::EventClose { comm: id });
                }
            }
            _ => {
                if let Some(answer) = self.state_asked_for(&id, data) {
                    let content = json!({"comm_id": id, "data": answer});
                    self.publish(parent, "comm_msg", &content).await;
                }
            }
        }
        self.status(parent, ExecutionState::Idle).await;
    }

    fn state_asked_for(&self, id: &str, data: &Value) -> Option<Value> {
        let comms = self.comms().lock();
        match data["method"].as_str()? {
            "request_state" => comms.table.state(id),
            "request_states" if comms.table.is_control(id) => Some(comms.table.states()),
            _ => None,
        }
    }

    /// Tells all front ends what one of them has changed.
    async fn echo(&self, event: &Event) {
        if event.data["method"] == "update" {
            let data = json!({
                "method": "echo_update", "state": event.data["state"], "buffer_paths": [],
            });
            let content = json!({"comm_id": event.comm, "data": data});
            self.publish(&event.parent, "comm_msg", &content).await;
        }
    }

    /// Starts the next event where it comes before the next cell; false when there is none.
    pub(super) async fn start_event(&mut self) -> bool {
        let before = self.queue.front().map(super::execute::Queued::turn);
        while let Some(event) = self.events.waiting.next_before(before) {
            self.status(&event.parent, ExecutionState::Busy).await;
            self.comms().lock().table.merge(&event.comm, &event.data);
            self.echo(&event).await;
            let cell = self.cells.enter(event.parent.clone(), false, 0);
            self.bridge.begin_event(cell);
            self.interrupt.enter_event(Some(cell));
            self.events.running = Some(Running {
                cell,
                parent: event.parent,
            });
            let order = Order::Event {
                cell,
                comm: event.comm,
                data: event.data,
            };
            if self.bridge.order(&order) {
                return true;
            }
            self.end_event().await;
        }
        false
    }

    /// The code of a cell, or an event, has ended, or its process has.
    pub(super) async fn code_has_ended(&mut self, cell: CellId) {
        if self
            .events
            .running
            .as_ref()
            .is_none_or(|running| running.cell != cell)
        {
            return;
        }
        if self.bridge.child_is_gone() {
            self.comms().forget_child();
            let crash = self.session.revive().await;
            let shown = self.comms().crashed(cell, &crash);
            if let Some(message) = shown {
                self.sockets.iopub.send(message).await;
            } else if let Some(running) = &self.events.running {
                let content = json!({
                    "ename": crash.name, "evalue": crash.value, "traceback": crash.traceback,
                });
                self.publish(&running.parent, "error", &content).await;
            }
        }
        self.end_event().await;
    }

    async fn end_event(&mut self) {
        self.interrupt.enter_event(None);
        self.sockets.iopub.flush().await;
        if let Some(running) = self.events.running.take() {
            self.status(&running.parent, ExecutionState::Idle).await;
        }
    }

    fn comms(&self) -> &Comms {
        self.cells.comms()
    }
}
