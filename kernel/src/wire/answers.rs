//! Answers to front ends, of which one that reads nothing must cost neither the others their answers nor the machine
//! its memory.
//!
//! A ROUTER drops what a peer does not take (ZeroMQ's guide, "high-water marks"). That of zeromq 0.7 keeps 100,000
//! messages of any size for each peer, and then waits for the peer, with the kernel behind it. So it is counted here
//! what waits, and beyond [`MOST`] it is dropped.

use bytes::Bytes;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use zeromq::{RouterSendHalf, SocketSend, ZmqMessage};

/// Bytes that wait for one peer, beyond which it gets no further answer.
const MOST: usize = 64 << 20;
/// What a message costs beside its frames; [`MOST`] of it are fewer messages than a queue of the socket takes.
const ENVELOPE: usize = 1 << 10;

pub(super) struct Answers {
    socket: RouterSendHalf,
    waiting: HashMap<Bytes, Waiting>,
}

/// What waits for a peer.
#[derive(Default)]
struct Waiting {
    bytes: Arc<AtomicUsize>,
    is_warned_of: bool,
}

impl Answers {
    pub(super) fn new(socket: RouterSendHalf) -> Self {
        Self {
            socket,
            waiting: HashMap::new(),
        }
    }

    /// Sends a message to the peer that its first frame names. Nothing is said of one that has gone; to one for
    /// which too much waits, the message is lost.
    pub(super) async fn send(&mut self, frames: ZmqMessage) {
        let Some(peer) = frames.get(0).cloned() else {
            return;
        };
        self.waiting
            .retain(|other, waiting| waiting.bytes() > 0 || *other == peer);
        let waiting = self.waiting.entry(peer).or_default();
        if waiting.bytes() > MOST {
            if !std::mem::replace(&mut waiting.is_warned_of, true) {
                eprintln!("a front end does not read its answers: they are dropped until it does");
            }
            return;
        }
        waiting.is_warned_of = false;
        let _ = self.socket.send(waiting.count(frames)).await;
    }
}

impl Waiting {
    fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// The same message, counted until it is dropped: by the socket, once it is on its way.
    fn count(&self, mut frames: ZmqMessage) -> ZmqMessage {
        let size = ENVELOPE + frames.iter().map(Bytes::len).sum::<usize>();
        let last = frames.split_off(frames.len().saturating_sub(1));
        for content in last.into_vec() {
            self.bytes.fetch_add(size, Ordering::Relaxed);
            frames.push_back(Bytes::from_owner(Counted {
                content,
                size,
                waiting: self.bytes.clone(),
            }));
        }
        frames
    }
}

struct Counted {
    content: Bytes,
    size: usize,
    waiting: Arc<AtomicUsize>,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.content
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.waiting.fetch_sub(self.size, Ordering::Relaxed);
    }
}
