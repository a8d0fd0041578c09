//! Everything that all front ends see, in one order, from one task.
//!
//! Text is collected for a moment and sent as one message, because a server passes on at most a
//! thousand messages a second, and a saved notebook keeps each as an output of its own. Whatever is
//! not text first sends the text before it.
//!
//! The socket is PUB, not XPUB: an XPUB of zeromq 0.7 waits for its slowest subscriber, so that one
//! front end that stopped reading froze the output of all.

use super::message::{Message, Signer};
use ferrolens_frames::StreamName;
use jupyter_protocol::{Stdio, StreamContent};
use serde_json::Value;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;
use zeromq::{PubSocket, SocketSend};

/// How long text waits for more text.
const PATIENCE: Duration = Duration::from_millis(50);
/// How much text waits at most, in bytes.
const FULL: usize = 1 << 20;

/// Text that a cell wrote.
#[derive(Debug)]
pub struct Text {
    /// The header of the request that started the cell.
    pub parent: Value,
    pub name: StreamName,
    pub bytes: Vec<u8>,
}

enum Item {
    Message(Box<Message>),
    Text(Text),
    Flush(oneshot::Sender<()>),
}

/// A clonable handle to the task that owns the socket. A full queue makes writers wait, down to the
/// cell that prints.
#[derive(Clone)]
pub struct Iopub {
    queue: mpsc::Sender<Item>,
}

impl Iopub {
    pub(super) fn start(socket: PubSocket, signer: Signer, session: String) -> Self {
        let (queue, items) = mpsc::channel(1_024);
        tokio::spawn(
            Publisher {
                socket,
                signer,
                session,
                pending: None,
            }
            .run(items),
        );
        Self { queue }
    }

    /// Sends a message, after the text before it.
    pub async fn send(&self, message: Message) {
        let _ = self.queue.send(Item::Message(Box::new(message))).await;
    }

    /// [`Iopub::send`] for threads outside the runtime.
    pub fn send_blocking(&self, message: Message) {
        let _ = self.queue.blocking_send(Item::Message(Box::new(message)));
    }

    /// Adds text to what is waiting; for threads outside the runtime.
    pub fn text_blocking(&self, text: Text) {
        let _ = self.queue.blocking_send(Item::Text(text));
    }

    /// Returns when everything before it is on the socket.
    pub async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        if self.queue.send(Item::Flush(done)).await.is_ok() {
            let _ = flushed.await;
        }
    }
}

struct Pending {
    text: Text,
    since: Instant,
}

struct Publisher {
    socket: PubSocket,
    signer: Signer,
    session: String,
    pending: Option<Pending>,
}

impl Publisher {
    async fn run(mut self, mut items: mpsc::Receiver<Item>) {
        loop {
            let due = self
                .pending
                .as_ref()
                .map(|pending| pending.since + PATIENCE);
            let item = tokio::select! {
                biased;
                () = wait_until(due) => {
                    self.publish_text(false).await;
                    continue;
                }
                item = items.recv() => item,
            };
            match item {
                Some(Item::Text(text)) => self.add(text).await,
                Some(Item::Message(message)) => {
                    self.publish_text(true).await;
                    self.publish(*message).await;
                }
                Some(Item::Flush(done)) => {
                    self.publish_text(true).await;
                    let _ = done.send(());
                }
                None => break,
            }
        }
        self.publish_text(true).await;
    }

    async fn add(&mut self, text: Text) {
        match &mut self.pending {
            Some(pending)
                if pending.text.name == text.name
                    && pending.text.parent["msg_id"] == text.parent["msg_id"] =>
            {
                pending.text.bytes.extend_from_slice(&text.bytes);
            }
            _ => {
                self.publish_text(true).await;
                self.pending = Some(Pending {
                    text,
                    since: Instant::now(),
                });
            }
        }
        if self
            .pending
            .as_ref()
            .is_some_and(|pending| pending.text.bytes.len() >= FULL)
        {
            self.publish_text(false).await;
        }
    }

    /// Sends the waiting text. Unless `all`, the beginning of a character whose rest has not arrived
    /// goes on waiting.
    async fn publish_text(&mut self, all: bool) {
        let Some(mut pending) = self.pending.take() else {
            return;
        };
        let cut = if all {
            pending.text.bytes.len()
        } else {
            whole_characters(&pending.text.bytes)
        };
        let rest = pending.text.bytes.split_off(cut);
        let content = StreamContent {
            name: match pending.text.name {
                StreamName::Stdout => Stdio::Stdout,
                StreamName::Stderr => Stdio::Stderr,
            },
            text: String::from_utf8_lossy(&pending.text.bytes).into_owned(),
        };
        if !content.text.is_empty() {
            let message =
                Message::caused_by(&pending.text.parent, &self.session, "stream", &content);
            self.publish(message).await;
        }
        if !rest.is_empty() {
            pending.text.bytes = rest;
            self.pending = Some(Pending {
                text: pending.text,
                since: Instant::now(),
            });
        }
    }

    async fn publish(&mut self, mut message: Message) {
        message.identities = vec![format!("kernel.{}", message.kind()).into_bytes()];
        match message.to_frames(&self.signer) {
            Ok(frames) => drop(self.socket.send(frames).await),
            Err(error) => eprintln!("a message could not be sent: {error}"),
        }
    }
}

async fn wait_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}

/// The length of `bytes` without a last character whose rest may still come.
fn whole_characters(bytes: &[u8]) -> usize {
    let tail = bytes.len().saturating_sub(3);
    for at in (tail..bytes.len()).rev() {
        let needed = match bytes[at] {
            0xc0..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf7 => 4,
            0x80..=0xbf => continue,
            _ => return bytes.len(),
        };
        return if bytes.len() - at < needed {
            at
        } else {
            bytes.len()
        };
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::whole_characters;

    #[test]
    fn a_character_is_not_cut_in_two() {
        let text = "naïve 🦀".as_bytes();
        assert_eq!(whole_characters(text), text.len());
        assert_eq!(whole_characters(&text[..text.len() - 1]), text.len() - 4);
        assert_eq!(
            whole_characters(b"abc\xff"),
            4,
            "a byte that begins nothing does not wait"
        );
        assert_eq!(whole_characters(b""), 0);
    }
}
