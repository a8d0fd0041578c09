//! Cells: the queue, the running one, how it ends, and the lines that it asks for.

use super::cells::InputAsked;
use super::{Server, expressions};
use crate::session::{Cell, CellError, Outcome};
use crate::wire::{Channel, Message};
use ferrolens_frames::Order;
use jupyter_protocol::{
    ErrorOutput, ExecuteInput, ExecuteReply, ExecuteRequest, ExecutionCount, ExecutionState,
    InputReply, InputRequest, ReplyError, ReplyStatus,
};
use serde_json::json;
use std::collections::{BTreeMap, HashMap};
use tokio::sync::mpsc;

/// A request that waits for its turn, or runs.
pub(super) struct Queued {
    channel: Channel,
    message: Message,
    request: ExecuteRequest,
    count: usize,
    turn: u64,
}

impl Queued {
    /// Its place among what front ends sent, events of widgets included.
    pub(super) fn turn(&self) -> u64 {
        self.turn
    }
}

/// A cell that has run.
pub(super) struct Done {
    pub(super) outcome: Outcome,
    /// The answers to its `user_expressions`.
    expressions: serde_json::Map<String, serde_json::Value>,
    /// The text of its value.
    shown: Option<String>,
}

impl Server {
    /// Puts a request into the queue.
    pub(super) async fn enqueue(&mut self, channel: Channel, message: Message) {
        match serde_json::from_value::<ExecuteRequest>(message.content.clone()) {
            Ok(request) => {
                self.queue.push_back(Queued {
                    channel,
                    message,
                    request,
                    count: 0,
                    turn: self.events.turn(),
                });
            }
            Err(error) => {
                self.status(&message.header, ExecutionState::Busy).await;
                let error = CellError::plain("bad request", &error.to_string());
                let reply = reply(self.count, Some(&error));
                self.reply(channel, &message, &reply).await;
                self.status(&message.header, ExecutionState::Idle).await;
            }
        }
    }

    /// Starts the next cell when none runs.
    pub(super) async fn start_next(&mut self, done: &mpsc::UnboundedSender<Done>) {
        if self.running.is_some() || self.events.is_running() || self.start_event().await {
            return;
        }
        let Some(mut next) = self.queue.pop_front() else {
            return;
        };
        let silent = next.request.silent;
        let counted = next.request.store_history && !silent;
        next.count = self.count;
        if counted {
            self.count += 1;
            self.history.add(next.count, &next.request.code);
        }
        self.status(&next.message.header, ExecutionState::Busy)
            .await;
        if !silent {
            let input = ExecuteInput {
                code: next.request.code.clone(),
                execution_count: ExecutionCount::new(next.count),
            };
            self.publish(&next.message.header, "execute_input", &input)
                .await;
        }
        self.assistant.cell_begins(&next.request.code);
        let cell = self
            .cells
            .enter(next.message.header.clone(), silent, next.count);
        let (session, cells, done) = (self.session.clone(), self.cells.clone(), done.clone());
        let parent = next.message.header.clone();
        let wanted: BTreeMap<String, String> = next
            .request
            .user_expressions
            .iter()
            .flatten()
            .map(|(name, code)| (name.clone(), code.clone()))
            .collect();
        let cell = Cell {
            id: cell,
            title: format!("cell [{}]", next.count),
            code: next.request.code.clone(),
            since: Some(std::time::Instant::now()),
        };
        self.running = Some(next);
        tokio::spawn(async move {
            let id = cell.id;
            let outcome = session.execute(cell).await;
            let shown = cells
                .take_value(id)
                .and_then(|(text, _)| text.as_str().map(str::to_owned));
            let expressions = if outcome.error.is_none() {
                expressions::evaluate(&session, &cells, &parent, wanted).await
            } else {
                serde_json::Map::new()
            };
            let _ = done.send(Done {
                outcome,
                expressions,
                shown,
            });
        });
    }

    /// Whether a failure of the running cell aborts the queue behind it.
    pub(super) fn stops_on_error(&self) -> bool {
        self.running
            .as_ref()
            .is_some_and(|cell| cell.request.stop_on_error && !cell.request.silent)
    }

    /// Ends the running cell.
    pub(super) async fn cell_done(&mut self, done: Done) {
        let Some(cell) = self.running.take() else {
            return;
        };
        let outcome = done.outcome;
        if let Some(text) = done.shown
            && cell.request.store_history
            && !cell.request.silent
        {
            self.history.add_output(cell.count, text);
        }
        self.asked = false;
        let header = &cell.message.header;
        if !cell.request.silent {
            if let Some(value) = outcome.value {
                let content = json!({
                    "execution_count": cell.count, "data": value, "metadata": {}, "transient": {},
                });
                self.publish(header, "execute_result", &content).await;
            }
            if let Some(error) = &outcome.error {
                let content = ErrorOutput {
                    ename: error.name.clone(),
                    evalue: error.value.clone(),
                    traceback: error.traceback.clone(),
                };
                self.publish(header, "error", &content).await;
            }
        }
        self.sockets.iopub.flush().await;
        let reply = reply(cell.count, outcome.error.as_ref());
        let mut reply = serde_json::to_value(reply).unwrap_or_else(|_| json!({}));
        reply["user_expressions"] = done.expressions.into();
        if let Some(page) = outcome.page {
            // The protocol crate's type has no room for the field that says what it is.
            reply["payload"] = json!([{"source": "page", "data": page, "start": 0}]);
        }
        self.reply(cell.channel, &cell.message, &reply).await;
        self.status(header, ExecutionState::Idle).await;
    }

    /// Answers every waiting cell with `aborted`.
    pub(super) async fn abort_queue(&mut self) {
        for cell in std::mem::take(&mut self.queue) {
            self.status(&cell.message.header, ExecutionState::Busy)
                .await;
            self.reply(cell.channel, &cell.message, &json!({"status": "aborted"}))
                .await;
            self.status(&cell.message.header, ExecutionState::Idle)
                .await;
        }
    }

    /// Passes a cell's question on to the front end that runs it.
    pub(super) async fn ask_for_input(&mut self, asked: InputAsked) {
        let Some(cell) = self
            .running
            .as_ref()
            .filter(|cell| cell.request.allow_stdin)
        else {
            self.bridge.order(&Order::InputReply { value: None });
            return;
        };
        let content = InputRequest {
            prompt: asked.prompt,
            password: asked.password,
        };
        let request = cell.message.reply(&self.id, "input_request", &content);
        self.sockets.send(Channel::Stdin, &request).await;
        self.asked = true;
    }

    /// Passes the line on to the cell that asked for it.
    pub(super) fn input_reply(&mut self, message: &Message) {
        if !std::mem::take(&mut self.asked) {
            return;
        }
        let value = serde_json::from_value::<InputReply>(message.content.clone())
            .ok()
            .map(|reply| reply.value);
        self.bridge.order(&Order::InputReply { value });
    }
}

fn reply(count: usize, error: Option<&CellError>) -> ExecuteReply {
    ExecuteReply {
        status: if error.is_some() {
            ReplyStatus::Error
        } else {
            ReplyStatus::Ok
        },
        execution_count: ExecutionCount::new(count),
        payload: Vec::new(),
        user_expressions: Some(HashMap::new()),
        error: error.map(|error| {
            Box::new(ReplyError {
                ename: error.name.clone(),
                evalue: error.value.clone(),
                traceback: error.traceback.clone(),
            })
        }),
    }
}
