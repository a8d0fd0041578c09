//! Cells: the queue, the running one, how it ends, and the lines that it asks for.

use super::Server;
use super::cells::InputAsked;
use crate::session::{Cell, CellError, Outcome};
use crate::wire::{Channel, Message};
use ferrolens_frames::Order;
use jupyter_protocol::{
    ErrorOutput, ExecuteInput, ExecuteReply, ExecuteRequest, ExecutionCount, ExecutionState,
    ExpressionResult, InputReply, InputRequest, ReplyError, ReplyStatus,
};
use serde_json::json;
use std::collections::HashMap;
use tokio::sync::mpsc;

/// A request that waits for its turn, or runs.
pub(super) struct Queued {
    channel: Channel,
    message: Message,
    request: ExecuteRequest,
    count: usize,
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
    pub(super) async fn start_next(&mut self, done: &mpsc::UnboundedSender<Outcome>) {
        if self.running.is_some() {
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
        let (session, done) = (self.session.clone(), done.clone());
        let cell = Cell {
            id: cell,
            title: format!("cell [{}]", next.count),
            code: next.request.code.clone(),
        };
        self.running = Some(next);
        tokio::spawn(async move {
            let _ = done.send(session.execute(cell).await);
        });
    }

    /// Whether a failure of the running cell aborts the queue behind it.
    pub(super) fn stops_on_error(&self) -> bool {
        self.running
            .as_ref()
            .is_some_and(|cell| cell.request.stop_on_error && !cell.request.silent)
    }

    /// Ends the running cell.
    pub(super) async fn cell_done(&mut self, outcome: Outcome) {
        let Some(cell) = self.running.take() else {
            return;
        };
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
        let mut reply = reply(cell.count, outcome.error.as_ref());
        reply.user_expressions = Some(unsupported(&cell.request));
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

/// An expression of a compiled language cannot be evaluated beside its cell: each gets an error of
/// its own, as the protocol provides.
fn unsupported(request: &ExecuteRequest) -> HashMap<String, ExpressionResult> {
    request
        .user_expressions
        .iter()
        .flatten()
        .map(|(name, _)| {
            let error = ExpressionResult::Error {
                ename: "NotSupported".to_owned(),
                evalue: "user_expressions are not evaluated by this kernel".to_owned(),
                traceback: Vec::new(),
            };
            (name.clone(), error)
        })
        .collect()
}
