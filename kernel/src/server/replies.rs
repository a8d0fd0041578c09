//! Requests that are answered at once, also while a cell runs.

use super::Server;
use crate::assist::{self, Description, Matches};
use crate::wire::{Channel, Message};
use jupyter_protocol::{ExecutionState, IsCompleteReply, IsCompleteReplyStatus, Status};
use serde_json::{Value, json};

impl Server {
    /// The content of the reply; `None` for messages that have none.
    pub(super) fn answer(&self, kind: &str, message: &Message) -> Option<Value> {
        let content = &message.content;
        match kind {
            "kernel_info_request" => Some(kernel_info()),
            "is_complete_request" => {
                let code = content["code"].as_str().unwrap_or("");
                Some(is_complete(code))
            }
            "comm_info_request" => Some(self.comm_info(content)),
            "connect_request" => Some(json!({"status": "ok"})),
            other if other.ends_with("_request") => Some(json!({
                "status": "error",
                "ename": "NotSupported",
                "evalue": format!("this kernel does not answer `{other}`"),
                "traceback": [],
            })),
            _ => None,
        }
    }

    /// Answers a `history_request` when the disk can.
    pub(super) fn history_later(&self, channel: Channel, message: Message) {
        let answer = self.history.answer(&message.content);
        let (sockets, id) = (self.sockets.clone(), self.id.clone());
        tokio::spawn(async move {
            let content = answer.await;
            sockets
                .send(channel, &message.reply(&id, "history_reply", &content))
                .await;
            let idle = Status {
                execution_state: ExecutionState::Idle,
            };
            sockets
                .iopub
                .send(Message::caused_by(&message.header, &id, "status", &idle))
                .await;
        });
    }

    /// Answers a `complete_request` or an `inspect_request` when that is known; everything else goes on
    /// meanwhile.
    pub(super) fn assist_later(&self, channel: Channel, message: Message) {
        let (assistant, sockets, id) = (
            self.assistant.clone(),
            self.sockets.clone(),
            self.id.clone(),
        );
        let is_busy = self.running.is_some();
        tokio::spawn(async move {
            let content = &message.content;
            let code = content["code"].as_str().unwrap_or("");
            let cursor = content["cursor_pos"].as_u64();
            let cursor = cursor.and_then(|at| usize::try_from(at).ok());
            let cursor = assist::byte_of_character(code, cursor.unwrap_or(usize::MAX));
            let (kind, content) = if message.kind() == "complete_request" {
                let found = assistant.complete(code, cursor, is_busy).await;
                ("complete_reply", matches(code, &found))
            } else {
                let is_detailed = content["detail_level"].as_u64() == Some(1);
                let found = assistant.inspect(code, cursor, is_detailed, is_busy).await;
                ("inspect_reply", description(found))
            };
            sockets
                .send(channel, &message.reply(&id, kind, &content))
                .await;
            let idle = Status {
                execution_state: ExecutionState::Idle,
            };
            sockets
                .iopub
                .send(Message::caused_by(&message.header, &id, "status", &idle))
                .await;
        });
    }
}

fn matches(code: &str, found: &Matches) -> Value {
    let start = assist::character_of_byte(code, found.start);
    let end = assist::character_of_byte(code, found.end);
    let types: Vec<Value> = found
        .items
        .iter()
        .map(|item| {
            json!({
                "text": item.text, "type": item.kind, "start": start, "end": end,
                "signature": item.signature,
            })
        })
        .collect();
    let matches: Vec<&str> = found.items.iter().map(|item| item.text.as_str()).collect();
    json!({
        "status": "ok", "matches": matches, "cursor_start": start, "cursor_end": end,
        "metadata": {"_jupyter_types_experimental": types},
    })
}

fn description(found: Option<Description>) -> Value {
    match found {
        Some(found) => json!({
            "status": "ok", "found": true, "metadata": {},
            "data": {"text/plain": found.plain, "text/markdown": found.markdown},
        }),
        None => json!({"status": "ok", "found": false, "data": {}, "metadata": {}}),
    }
}

/// Sent as a value: the protocol crate's type lacks `supported_features`.
fn kernel_info() -> Value {
    json!({
        "status": "ok",
        "protocol_version": "5.4",
        "implementation": "ferrolens",
        "implementation_version": env!("CARGO_PKG_VERSION"),
        "language_info": {
            "name": "rust",
            "version": env!("CARGO_PKG_RUST_VERSION"),
            "mimetype": "text/x-rustsrc",
            "file_extension": ".rs",
            "pygments_lexer": "rust",
            "codemirror_mode": "rust",
            "nbconvert_exporter": "script",
        },
        "banner": concat!(
            "ferrolens ", env!("CARGO_PKG_VERSION"),
            ": Rust for mechanistic interpretability. `use ferrolens::prelude::*;` is in force."
        ),
        "help_links": [
            {"text": "Rust: the book", "url": "https://doc.rust-lang.org/book/"},
            {"text": "Rust: the standard library", "url": "https://doc.rust-lang.org/std/"},
            {"text": "Crates and their documentation", "url": "https://docs.rs/"},
            {"text": "Tables: polars", "url": "https://docs.pola.rs/"},
            {"text": "TransformerLens, whose names are in force", "url":
                "https://transformerlensorg.github.io/TransformerLens/"},
        ],
        "debugger": false,
        "supported_features": [],
    })
}

fn is_complete(code: &str) -> Value {
    let reply = match assist::is_complete(code) {
        assist::Completeness::Complete => IsCompleteReply::complete(),
        assist::Completeness::Invalid => IsCompleteReply::invalid(),
        assist::Completeness::Incomplete { indent } => IsCompleteReply {
            status: IsCompleteReplyStatus::Incomplete,
            indent: " ".repeat(indent),
        },
    };
    let mut content = serde_json::to_value(reply).unwrap_or_else(|_| json!({"status": "unknown"}));
    // The protocol has the indent with `incomplete` alone.
    if content["status"] != "incomplete"
        && let Some(content) = content.as_object_mut()
    {
        content.remove("indent");
    }
    content
}
