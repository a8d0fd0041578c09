//! A front end for measuring: starts a kernel, asks it, waits for what it says.

use super::Ports;
use super::message::{Message, Signer};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use tokio::time::timeout;
use zeromq::{DealerSocket, Socket, SocketRecv, SocketSend, SubSocket};

/// How long a kernel may be silent.
const PATIENCE: Duration = Duration::from_secs(120);

/// One kernel and the sockets to it.
pub struct Client {
    runtime: Runtime,
    shell: DealerSocket,
    iopub: SubSocket,
    signer: Signer,
    kernel: Kernel,
}

/// The process and its connection file. Dropping it ends the kernel.
struct Kernel {
    process: Child,
    connection: PathBuf,
    _ports: Ports,
}

impl Client {
    /// Starts `program run <connection file>`, and waits for its first reply.
    ///
    /// # Errors
    /// A sentence: it does not start, or does not answer.
    pub fn start(program: &Path) -> Result<Self, String> {
        let unlucky = |error: std::io::Error| format!("The kernel could not be started: {error}.");
        let key = uuid::Uuid::new_v4().to_string();
        let connection = std::env::temp_dir().join(format!("ferrolens-bench-{key}.json"));
        let ports = Ports::free().map_err(unlucky)?;
        let said = ports.connection_file(&key);
        std::fs::write(&connection, said.to_string()).map_err(unlucky)?;
        let process = Command::new(program)
            .arg("run")
            .arg(&connection)
            .stdin(Stdio::null())
            .spawn();
        let kernel = Kernel {
            process: process.map_err(unlucky)?,
            connection,
            _ports: ports,
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .map_err(unlucky)?;
        let (shell, iopub) = runtime.block_on(async {
            let (mut shell, mut iopub) = (DealerSocket::new(), SubSocket::new());
            connect(&mut iopub, &said["iopub_port"]).await?;
            iopub
                .subscribe("")
                .await
                .map_err(|error| error.to_string())?;
            connect(&mut shell, &said["shell_port"]).await?;
            Ok::<_, String>((shell, iopub))
        })?;
        let mut client = Self {
            runtime,
            shell,
            iopub,
            signer: Signer::new(&key),
            kernel,
        };
        client.ask("kernel_info_request", json!({}))?;
        Ok(client)
    }

    /// The process of the kernel.
    pub fn pid(&self) -> u32 {
        self.kernel.process.id()
    }

    /// Runs a cell; how long until the kernel was done with it.
    ///
    /// # Errors
    /// A sentence: it failed, or the kernel is silent.
    pub fn execute(&mut self, code: &str) -> Result<Duration, String> {
        let started = Instant::now();
        let reply = self.ask(
            "execute_request",
            json!({
                "code": code, "silent": false, "store_history": false, "user_expressions": {},
                "allow_stdin": false, "stop_on_error": true,
            }),
        )?;
        if reply["status"] != "ok" {
            return Err(format!("A cell failed: {}.\n{code}", reply["evalue"]));
        }
        Ok(started.elapsed())
    }

    /// Asks what could stand at the end of the code; how long until the answer.
    ///
    /// # Errors
    /// A sentence: the kernel is silent.
    pub fn complete(&mut self, code: &str) -> Result<Duration, String> {
        let started = Instant::now();
        let end = code.chars().count();
        self.ask("complete_request", json!({"code": code, "cursor_pos": end}))?;
        Ok(started.elapsed())
    }

    /// The content of the reply; what is published meanwhile is read and dropped.
    fn ask(&mut self, kind: &str, content: Value) -> Result<Value, String> {
        let message = Message::caused_by(&json!({}), "bench", kind, &content);
        let id = message.id().to_owned();
        let frames = message.to_frames(&self.signer)?;
        let Self {
            runtime,
            shell,
            iopub,
            signer,
            ..
        } = self;
        runtime.block_on(async {
            let failed = |error: zeromq::ZmqError| format!("The kernel's socket failed: {error}.");
            shell.send(frames).await.map_err(failed)?;
            let deadline = Instant::now() + PATIENCE;
            loop {
                let left = deadline.saturating_duration_since(Instant::now());
                let next = async {
                    loop {
                        tokio::select! {
                            reply = shell.recv() => return reply,
                            published = iopub.recv() => drop(published),
                        }
                    }
                };
                let reply = timeout(left, next)
                    .await
                    .map_err(|_| format!("The kernel has not answered a {kind} in two minutes."))?
                    .map_err(failed)?;
                let reply = Message::read(&reply, signer)
                    .map_err(|error| format!("A reply cannot be read: {error}."))?;
                if reply.parent["msg_id"] == id.as_str() {
                    return Ok(reply.content);
                }
            }
        })
    }
}

impl Drop for Kernel {
    fn drop(&mut self) {
        // SAFETY: a signal to this struct's own child, which has not been waited for.
        unsafe { libc::kill(self.process.id().cast_signed(), libc::SIGTERM) };
        let _ = self.process.wait();
        let _ = std::fs::remove_file(&self.connection);
    }
}

/// A kernel that starts listens some time later.
async fn connect(socket: &mut impl Socket, port: &Value) -> Result<(), String> {
    let deadline = Instant::now() + PATIENCE;
    let address = format!("tcp://127.0.0.1:{port}");
    loop {
        match timeout(PATIENCE, socket.connect(&address)).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(_)) if Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            _ => return Err("The kernel does not listen.".to_owned()),
        }
    }
}
