//! The event loop of a kernel: requests come in, cells run one after the other, busy and idle
//! surround each request. It knows every room and does no work itself.

mod cells;
mod comms;
mod execute;
mod expressions;
mod parent;
mod replies;

use crate::assist::Assistant;
use crate::history::{History, Place};
use crate::session::{Interrupt, Session};
use crate::wire::{Channel, Incoming, Message, Sockets};
use cells::Cells;
use execute::{Done, Queued};
use ferrolens_frames::CellId;
use jupyter_protocol::{ExecutionState, ReplyStatus, ShutdownReply, ShutdownRequest, Status};
use serde_json::{Value, json};
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// Long enough for the sockets to hand the last reply to the system: they do not linger.
const LINGER: Duration = Duration::from_millis(250);

/// Everything that can happen to a kernel.
enum Event {
    Request(Incoming),
    CellDone(Done),
    /// The code of a cell, or a front end's event, has returned.
    CodeEnded(CellId),
    InputAsked(cells::InputAsked),
    /// The front end that started this kernel has gone, or the system asks it to end.
    Leave,
    /// Ctrl-C in the terminal of the kernel.
    InterruptKey,
}

/// One kernel.
pub struct Server {
    sockets: Arc<Sockets>,
    session: Session,
    assistant: Arc<Assistant>,
    interrupt: Interrupt,
    bridge: crate::bridge::Bridge,
    cells: Arc<Cells>,
    history: History,
    /// The number that the next cell with `store_history` gets.
    count: usize,
    queue: VecDeque<Queued>,
    running: Option<Queued>,
    /// What front ends do with widgets.
    events: comms::Events,
    /// Whether the running cell waits for a line.
    asked: bool,
    id: String,
}

/// What a server is made of.
pub struct Parts {
    pub sockets: Arc<Sockets>,
    pub session: Session,
    pub assistant: Arc<Assistant>,
    pub interrupt: Interrupt,
    pub bridge: crate::bridge::Bridge,
    pub cells: Arc<Cells>,
    pub id: String,
}

/// The table of cells that turns what a child puts out into messages.
pub fn cells(
    sockets: &Arc<Sockets>,
    id: &str,
) -> (Arc<Cells>, mpsc::UnboundedReceiver<cells::InputAsked>) {
    Cells::new(sockets.iopub.clone(), id.to_owned())
}

pub use cells::InputAsked;
pub use parent::{front_end, is_headless};

impl Server {
    pub fn new(parts: Parts) -> Self {
        Self {
            sockets: parts.sockets,
            session: parts.session,
            assistant: parts.assistant,
            interrupt: parts.interrupt,
            bridge: parts.bridge,
            cells: parts.cells,
            history: History::open(Place::of_user()),
            count: 1,
            queue: VecDeque::new(),
            running: None,
            events: comms::Events::default(),
            asked: false,
            id: parts.id,
        }
    }

    /// Serves until a front end asks for shutdown, or the one that started this kernel has gone.
    pub async fn run(
        mut self,
        mut requests: mpsc::Receiver<Incoming>,
        mut inputs: mpsc::UnboundedReceiver<InputAsked>,
    ) {
        let (done, mut cells_done) = mpsc::unbounded_channel();
        let (_, never) = mpsc::unbounded_channel();
        let mut ends = self.cells.ends().unwrap_or(never);
        let mut leave = Box::pin(parent::leave());
        let mut key = Box::pin(parent::interrupt_key());
        self.publish(
            &json!({}),
            "status",
            &Status {
                execution_state: ExecutionState::Starting,
            },
        )
        .await;
        loop {
            let event = tokio::select! {
                Some(incoming) = requests.recv() => Event::Request(incoming),
                Some(done) = cells_done.recv() => Event::CellDone(done),
                Some(cell) = ends.recv() => Event::CodeEnded(cell),
                Some(asked) = inputs.recv() => Event::InputAsked(asked),
                () = &mut leave => Event::Leave,
                () = &mut key => {
                    key = Box::pin(parent::interrupt_key());
                    Event::InterruptKey
                }
            };
            match event {
                Event::Request(incoming) => {
                    if self.request(incoming).await {
                        break;
                    }
                }
                Event::CellDone(done) => {
                    let aborts = done.outcome.error.is_some() && self.stops_on_error();
                    // Before the reply: what comes after it is a new decision of the user.
                    let leaving = aborts && self.take_what_has_arrived(&mut requests).await;
                    self.assistant.cell_ended();
                    self.cell_done(done).await;
                    if aborts {
                        self.abort_queue().await;
                    }
                    if leaving {
                        break;
                    }
                }
                Event::CodeEnded(cell) => self.code_has_ended(cell).await,
                Event::InputAsked(asked) => self.ask_for_input(asked).await,
                Event::Leave => break,
                Event::InterruptKey => self.interrupt.ask(),
            }
            self.start_next(&done).await;
        }
        self.interrupt.end_all();
        self.history.close();
        self.sockets.iopub.flush().await;
        tokio::time::sleep(LINGER).await;
    }

    /// Serves one request; true when it ends the kernel.
    async fn request(&mut self, incoming: Incoming) -> bool {
        let Incoming { channel, message } = incoming;
        match (channel, message.kind()) {
            (Channel::Stdin, "input_reply") => {
                self.input_reply(&message);
                return false;
            }
            (Channel::Stdin, _) => return false,
            (_, "execute_request") => {
                self.enqueue(channel, message).await;
                return false;
            }
            (_, "comm_open" | "comm_msg" | "comm_close") => {
                self.comm_request(message).await;
                return false;
            }
            _ => {}
        }
        self.status(&message.header, ExecutionState::Busy).await;
        let mut leaving = false;
        match message.kind() {
            "interrupt_request" => {
                self.interrupt.ask();
                self.reply(channel, &message, &json!({"status": "ok"}))
                    .await;
            }
            "shutdown_request" => {
                let restart = serde_json::from_value(message.content.clone())
                    .map(|request: ShutdownRequest| request.restart)
                    .unwrap_or(false);
                let reply = ShutdownReply {
                    restart,
                    status: ReplyStatus::Ok,
                    error: None,
                };
                self.reply(channel, &message, &reply).await;
                self.publish(&message.header, "shutdown_reply", &reply)
                    .await;
                leaving = true;
            }
            "complete_request" | "inspect_request" => {
                self.assist_later(channel, message);
                return false;
            }
            "history_request" => {
                self.history_later(channel, message);
                return false;
            }
            kind => {
                if let Some(content) = self.answer(kind, &message) {
                    self.reply(channel, &message, &content).await;
                }
            }
        }
        self.status(&message.header, ExecutionState::Idle).await;
        leaving
    }

    /// Sends a reply whose type is that of the request.
    async fn reply(&self, channel: Channel, request: &Message, content: &impl serde::Serialize) {
        let kind = request.kind().replace("_request", "_reply");
        self.sockets
            .send(channel, &request.reply(&self.id, &kind, content))
            .await;
    }

    /// Sends a message to all front ends.
    async fn publish(&self, parent: &Value, kind: &str, content: &impl serde::Serialize) {
        self.sockets
            .iopub
            .send(Message::caused_by(parent, &self.id, kind, content))
            .await;
    }

    async fn status(&self, parent: &Value, state: ExecutionState) {
        self.publish(
            parent,
            "status",
            &Status {
                execution_state: state,
            },
        )
        .await;
    }

    /// Requests that were sent right behind a failing cell belong to the same "Run all"; true when one
    /// of them ends the kernel.
    async fn take_what_has_arrived(&mut self, requests: &mut mpsc::Receiver<Incoming>) -> bool {
        tokio::time::sleep(Duration::from_millis(20)).await;
        let mut leaving = false;
        while let Ok(incoming) = requests.try_recv() {
            leaving |= self.request(incoming).await;
        }
        leaving
    }
}
