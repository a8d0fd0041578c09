//! Messages that no front end should send, for a kernel that must survive them.

use crate::FrontEnd;
use ferrolens_kernel::wire::Message;
use ferrolens_kernel::wire::message::Signer;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use std::io::Write;
use std::net::TcpStream;
use std::time::{Duration, Instant};
use zeromq::{DealerSocket, Socket, SocketRecv, SocketSend, ZmqMessage};

/// Every kind of request that does not end the kernel, and some that are none.
const KINDS: &[&str] = &[
    "execute_request",
    "complete_request",
    "inspect_request",
    "history_request",
    "is_complete_request",
    "kernel_info_request",
    "comm_info_request",
    "comm_open",
    "comm_msg",
    "comm_close",
    "connect_request",
    "interrupt_request",
    "input_reply",
    "debug_request",
    "create_subshell_request",
    "status",
    "no_such_request",
    "",
];

/// What was sent, by what it was.
#[derive(Debug, Default, Clone, Copy)]
pub struct Sent {
    pub garbage: u64,
    pub damaged: u64,
    pub replayed: u64,
    pub wrongly_signed: u64,
    pub strange: u64,
    pub not_zmq: u64,
}

/// Sends nonsense to a kernel for this long, and looks in between whether it still answers.
///
/// # Panics
/// When it does not.
pub fn fuzz(front_end: &mut FrontEnd, seed: u64, duration: Duration) -> Sent {
    let mut random = StdRng::seed_from_u64(seed);
    let mut sent = Sent::default();
    let runtime = tokio::runtime::Runtime::new().expect("threads");
    let ports = front_end.ports();
    let channels = ["shell_port", "control_port", "stdin_port"];
    let mut sockets: Vec<DealerSocket> = channels
        .iter()
        .map(|name| runtime.block_on(dealer(ports[*name].as_u64().unwrap_or(0))))
        .collect();
    let signer = front_end.signer().clone();
    let stranger = Signer::new("not the key");
    let mut earlier: Vec<ZmqMessage> = Vec::new();
    let until = Instant::now() + duration;
    let mut count = 0_u64;
    while Instant::now() < until {
        count += 1;
        let message = message(&mut random);
        let whole = message.to_frames(&signer).expect("JSON serialises");
        let frames = match random.random_range(0..100) {
            0..20 => {
                sent.garbage += 1;
                garbage(&mut random)
            }
            20..40 => {
                sent.damaged += 1;
                damage(whole, &mut random)
            }
            40..55 if !earlier.is_empty() => {
                sent.replayed += 1;
                earlier.choose(&mut random).cloned().unwrap_or(whole)
            }
            55..65 => {
                sent.wrongly_signed += 1;
                message.to_frames(&stranger).expect("JSON serialises")
            }
            65..68 => {
                sent.not_zmq += 1;
                let port = ports.as_object().and_then(|all| {
                    let ports: Vec<u64> = all.values().filter_map(Value::as_u64).collect();
                    ports.choose(&mut random).copied()
                });
                talk_nonsense(port.unwrap_or(0), &mut random);
                continue;
            }
            _ => {
                sent.strange += 1;
                if earlier.len() < 1000 {
                    earlier.push(whole.clone());
                }
                whole
            }
        };
        let at = random.random_range(0..sockets.len());
        if runtime.block_on(sockets[at].send(frames)).is_err() {
            let port = ports[channels[at]].as_u64().unwrap_or(0);
            sockets[at] = runtime.block_on(dealer(port));
        }
        if count.is_multiple_of(100) {
            for socket in &mut sockets {
                runtime.block_on(read_all(socket));
            }
            let reply = front_end.send("kernel_info_request", json!({}));
            front_end.collect(&reply);
            front_end.forget();
        }
    }
    sent
}

/// Reads what has arrived, as every front end does.
async fn read_all(socket: &mut DealerSocket) {
    while let Ok(Ok(_)) = tokio::time::timeout(Duration::ZERO, socket.recv()).await {}
}

async fn dealer(port: u64) -> DealerSocket {
    let mut socket = DealerSocket::new();
    socket
        .connect(&format!("tcp://127.0.0.1:{port}"))
        .await
        .expect("the kernel listens");
    socket
}

/// A request that is signed as it should be, and holds anything.
fn message(random: &mut StdRng) -> Message {
    let kind = KINDS.choose(random).copied().unwrap_or_default();
    let mut content = match kind {
        "execute_request" => json!({
            "code": *["", "  ", "// nothing", ":vars", "é", ":no_such_command"].choose(random).unwrap_or(&""),
            "silent": random.random_bool(0.5), "store_history": random.random_bool(0.5),
            "allow_stdin": random.random_bool(0.5), "user_expressions": {},
        }),
        "complete_request" | "inspect_request" => json!({
            "code": text(random), "cursor_pos": random.random_range(-3..40), "detail_level": 0,
        }),
        "history_request" => json!({
            "hist_access_type": *["tail", "range", "search", "x"].choose(random).unwrap_or(&"tail"),
            "n": random.random_range(-2..5), "start": random.random_range(-9..9),
            "stop": random.random_range(-9..9), "session": random.random_range(-9..9),
            "pattern": text(random), "output": true, "raw": true, "unique": random.random_bool(0.5),
        }),
        "is_complete_request" => json!({"code": text(random)}),
        "comm_open" | "comm_msg" | "comm_close" => json!({
            "comm_id": text(random), "target_name": *["jupyter.widget", "jupyter.widget.control", "x"].choose(random).unwrap_or(&"x"),
            "data": anything(random, 3),
        }),
        _ => json!({}),
    };
    if random.random_bool(0.3) {
        content = anything(random, 4);
    }
    let parent = if random.random_bool(0.1) {
        anything(random, 2)
    } else {
        json!({})
    };
    let mut message = Message::caused_by(&parent, "fuzz", kind, &content);
    if random.random_bool(0.1) {
        message.header = anything(random, 2);
    }
    if random.random_bool(0.1) {
        message.metadata = anything(random, 2);
    }
    for _ in 0..random.random_range(0..3_usize) {
        message.buffers.push(bytes(random));
    }
    message
}

/// Text with everything in it that is cut at the wrong place somewhere.
fn text(random: &mut StdRng) -> String {
    const PIECES: &[&str] = &[
        "let x = ", "é", "😀", "\"", "'", "{", "}", "(", ")", "::", ".", "std::", "Tensor", "\n",
        "\r\n", "\u{0}", "//", "/*", ":", "!", "?", "<", ">", " ", "%%time", "r#\"", "\\u{", "#[",
        "0x", "\t",
    ];
    (0..random.random_range(0..12))
        .filter_map(|_| PIECES.choose(random).copied())
        .collect()
}

fn anything(random: &mut StdRng, depth: usize) -> Value {
    match random.random_range(0..if depth == 0 { 6 } else { 8 }) {
        0 => Value::Null,
        1 => json!(random.random_bool(0.5)),
        2 => json!(random.random::<i64>()),
        3 => json!(random.random::<f64>()),
        4 | 5 => json!(text(random)),
        6 => (0..random.random_range(0..4))
            .map(|_| anything(random, depth - 1))
            .collect(),
        _ => {
            const KEYS: &[&str] = &[
                "code",
                "cursor_pos",
                "comm_id",
                "data",
                "method",
                "state",
                "buffer_paths",
                "msg_id",
                "msg_type",
                "session",
                "value",
                "silent",
            ];
            let entries = (0..random.random_range(0..4)).map(|_| {
                let key = KEYS.choose(random).copied().unwrap_or_default();
                (key.to_owned(), anything(random, depth - 1))
            });
            Value::Object(entries.collect())
        }
    }
}

fn garbage(random: &mut StdRng) -> ZmqMessage {
    let mut message = ZmqMessage::from(bytes(random));
    for _ in 0..random.random_range(0..8) {
        let frame = if random.random_bool(0.2) {
            b"<IDS|MSG>".to_vec()
        } else {
            bytes(random)
        };
        message.push_back(frame.into());
    }
    message
}

fn bytes(random: &mut StdRng) -> Vec<u8> {
    let most = if random.random_bool(0.01) {
        200_000
    } else {
        60
    };
    let mut bytes = vec![0; random.random_range(0..most)];
    random.fill(&mut bytes[..]);
    bytes
}

/// Takes frames away, doubles or changes them.
fn damage(whole: ZmqMessage, random: &mut StdRng) -> ZmqMessage {
    let mut frames: Vec<Vec<u8>> = whole
        .into_vec()
        .iter()
        .map(|frame| frame.to_vec())
        .collect();
    let at = random.random_range(0..frames.len());
    match random.random_range(0..5) {
        0 => frames.truncate(at.max(1)),
        1 => drop(frames.remove(at)),
        2 => frames.insert(at, frames[at].clone()),
        3 => {
            let length = random.random_range(0..=frames[at].len());
            frames[at].truncate(length);
        }
        _ => {
            if let Some(byte) = frames[at].first_mut() {
                *byte ^= 1 << random.random_range(0..8);
            }
        }
    }
    let mut frames = frames.into_iter();
    let mut message = ZmqMessage::from(frames.next().unwrap_or_default());
    for frame in frames {
        message.push_back(frame.into());
    }
    message
}

/// Connects without knowing the protocol, says something, and goes.
fn talk_nonsense(port: u64, random: &mut StdRng) {
    let Ok(port) = u16::try_from(port) else {
        return;
    };
    if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", port)) {
        let mut words = bytes(random);
        if random.random_bool(0.3) {
            // The beginning of a greeting, and then something else.
            words.splice(0..0, [0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3]);
        }
        let _ = stream.write_all(&words);
    }
}
