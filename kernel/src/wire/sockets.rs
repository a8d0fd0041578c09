//! The five sockets of a kernel.

use super::answers::Answers;
use super::connection::Connection;
use super::iopub::Iopub;
use super::message::{Message, Signer};
use super::replays::Replays;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{Mutex, mpsc};
use zeromq::{PubSocket, RepSocket, RouterSocket, Socket, SocketRecv, SocketSend, ZmqError};

/// The sockets on which requests arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Channel {
    Shell,
    Control,
    Stdin,
}

/// A request, and where it came from.
#[derive(Debug)]
pub struct Incoming {
    pub channel: Channel,
    pub message: Message,
}

/// The bound sockets. Their reading ends are tasks of their own.
pub struct Sockets {
    pub iopub: Iopub,
    signer: Signer,
    shell: Mutex<Answers>,
    control: Mutex<Answers>,
    stdin: Mutex<Answers>,
    dropped: Arc<AtomicU64>,
}

impl Sockets {
    /// Binds all five, and sends what arrives into the returned queue.
    ///
    /// # Errors
    /// A sentence that names the socket and its address, e.g. when another kernel holds the port.
    pub async fn bind(
        connection: &Connection,
        session: &str,
    ) -> Result<(Self, mpsc::Receiver<Incoming>), String> {
        let info = &connection.info;
        let signer = Signer::new(&info.key);
        let (incoming, queue) = mpsc::channel(1_024);
        let dropped = Arc::new(AtomicU64::new(0));
        let replays = Arc::new(Replays::default());

        let mut heartbeat = RepSocket::new();
        bind(&mut heartbeat, "heartbeat", &info.hb_url()).await?;
        let mut iopub = PubSocket::new();
        bind(&mut iopub, "iopub", &info.iopub_url()).await?;
        let mut senders = Vec::new();
        for (channel, name, url) in [
            (Channel::Shell, "shell", info.shell_url()),
            (Channel::Control, "control", info.control_url()),
            (Channel::Stdin, "stdin", info.stdin_url()),
        ] {
            let mut router = RouterSocket::new();
            bind(&mut router, name, &url).await?;
            let (sender, mut receiver) = router.split();
            senders.push(Mutex::new(Answers::new(sender)));
            let (signer, incoming) = (signer.clone(), incoming.clone());
            let (dropped, replays) = (dropped.clone(), replays.clone());
            tokio::spawn(async move {
                loop {
                    match receiver.recv().await {
                        Ok(frames) => match Message::read(&frames, &signer).and_then(|message| {
                            replays.note(Message::signature(&frames))?;
                            Ok(message)
                        }) {
                            Ok(message) => {
                                if incoming.send(Incoming { channel, message }).await.is_err() {
                                    return;
                                }
                            }
                            Err(why) => {
                                let count = dropped.fetch_add(1, Ordering::Relaxed) + 1;
                                eprintln!("message {count} dropped on {name}: {why}");
                            }
                        },
                        // One peer's error; the others go on.
                        Err(error) => {
                            eprintln!("{name}: {error}");
                            tokio::time::sleep(Duration::from_millis(5)).await;
                        }
                    }
                }
            });
        }
        tokio::spawn(async move {
            loop {
                match heartbeat.recv().await {
                    Ok(beat) => drop(heartbeat.send(beat).await),
                    Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
                }
            }
        });
        let iopub = Iopub::start(iopub, signer.clone(), session.to_owned());
        let mut senders = senders.into_iter();
        let (Some(shell), Some(control), Some(stdin)) =
            (senders.next(), senders.next(), senders.next())
        else {
            return Err("a socket is missing".to_owned());
        };
        Ok((
            Self {
                iopub,
                signer,
                shell,
                control,
                stdin,
                dropped,
            },
            queue,
        ))
    }

    /// Sends a message to one front end. A front end that has gone is not an error.
    pub async fn send(&self, channel: Channel, message: &Message) {
        let socket = match channel {
            Channel::Shell => &self.shell,
            Channel::Control => &self.control,
            Channel::Stdin => &self.stdin,
        };
        match message.to_frames(&self.signer) {
            Ok(frames) => socket.lock().await.send(frames).await,
            Err(error) => eprintln!("a reply could not be sent: {error}"),
        }
    }

    /// How many messages were dropped because they were malformed or wrongly signed.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

/// How long to ask for an address that another process has. One that looks for a free port holds it for a
/// moment; a kernel that ends lets go of its own.
const ADDRESS_PATIENCE: Duration = Duration::from_secs(2);

async fn bind(socket: &mut impl Socket, name: &str, url: &str) -> Result<(), String> {
    let deadline = Instant::now() + ADDRESS_PATIENCE;
    loop {
        let error = match socket.bind(url).await {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        let is_taken = matches!(
            &error,
            ZmqError::Network(error) if error.kind() == io::ErrorKind::AddrInUse
        );
        if !is_taken || Instant::now() >= deadline {
            return Err(format!(
                "The {name} socket cannot listen at {url}: {error}. Another kernel may be using this \
                 connection file; start a new one from the front end."
            ));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
