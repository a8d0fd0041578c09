//! A kernel process and the sockets to it.

use crate::{Outputs, installed_kernel};
use ferrolens_kernel::wire::message::Signer;
use ferrolens_kernel::wire::{Message, Ports};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::runtime::Runtime;
use zeromq::{DealerSocket, Socket, SocketRecv, SocketSend, SubSocket};

const KEY: &str = "a key for tests";
/// A cell may wait for the interpreter's start, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(120);
/// Seconds to wait instead, where many work on one machine.
const PATIENCE_ENV: &str = "FERROLENS_TEST_PATIENCE";

fn patience() -> Duration {
    std::env::var(PATIENCE_ENV)
        .ok()
        .and_then(|seconds| seconds.parse().ok())
        .map_or(PATIENCE, Duration::from_secs)
}

/// Counts front ends, each of which its kernel must tell from the others.
static COUNT: AtomicU64 = AtomicU64::new(0);

/// A front end with its own kernel, which it ends when dropped.
pub struct FrontEnd {
    runtime: Runtime,
    shell: DealerSocket,
    control: DealerSocket,
    stdin: DealerSocket,
    iopub: SubSocket,
    signer: Signer,
    folder: tempfile::TempDir,
    /// The kernel, where this front end has started it.
    process: Option<Child>,
    /// Its ports, which it may want again.
    _ports: Option<Ports>,
    /// Messages on iopub that belong to a request which has not been collected yet.
    waiting: Vec<Message>,
    ended: bool,
    patience: Duration,
}

/// A reply, and what was published for the same request.
#[derive(Debug)]
pub struct Reply {
    /// The request.
    pub id: String,
    pub content: Value,
    pub outputs: Outputs,
    pub took: Duration,
}

impl Reply {
    /// The reply's status.
    pub fn status(&self) -> &str {
        self.content["status"].as_str().unwrap_or("")
    }

    /// Asserts that the cell succeeded.
    pub fn ok(self) -> Self {
        assert_eq!(self.status(), "ok", "{:#?}", self.content);
        self
    }

    /// Asserts that the cell failed, with one `error` message that says the same as the reply.
    pub fn failed(self) -> Self {
        assert_eq!(self.status(), "error", "{:#?}", self.outputs);
        let errors: Vec<&Value> = self.outputs.of("error").collect();
        assert_eq!(errors.len(), 1, "{:#?}", self.outputs);
        for key in ["ename", "evalue", "traceback"] {
            assert_eq!(errors[0][key], self.content[key]);
        }
        self
    }

    /// The error's traceback without colours.
    pub fn traceback(&self) -> String {
        let lines: Vec<&str> = self.content["traceback"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        let mut plain = String::new();
        let mut inside = false;
        for c in lines.join("\n").chars() {
            match c {
                '\u{1b}' => inside = true,
                'm' if inside => inside = false,
                _ if inside => {}
                c => plain.push(c),
            }
        }
        plain
    }
}

impl FrontEnd {
    /// Starts a kernel and connects to it.
    pub fn start() -> Self {
        Self::start_with(|_| {})
    }

    /// [`FrontEnd::start`], with changes to the kernel's command.
    pub fn start_with(change: impl FnOnce(&mut Command)) -> Self {
        Self::start_program(&installed_kernel(), &["run", "{connection_file}"], change)
    }

    /// Starts any kernel program; `{connection_file}` among its arguments is replaced.
    pub fn start_program(program: &Path, args: &[&str], change: impl FnOnce(&mut Command)) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let ports = Ports::free().expect("free ports");
        let file = folder.path().join("connection.json");
        let connection = ports.connection_file(KEY);
        std::fs::write(&file, connection.to_string()).expect("a writable folder");
        let temporary = folder.path().join("tmp");
        std::fs::create_dir(&temporary).expect("a writable folder");
        let mut command = Command::new(program);
        for arg in args {
            if *arg == "{connection_file}" {
                command.arg(&file);
            } else {
                command.arg(arg);
            }
        }
        command
            .env("TMPDIR", &temporary)
            // Tests leave the user's own history alone.
            .env(ferrolens_kernel::history::HISTORY_ENV, ":memory:")
            // What is tested is compiled.
            .env(ferrolens_kernel::toolchain::kept::KEPT_CELLS_ENV, "off")
            .stdin(Stdio::null());
        change(&mut command);
        let process = command.spawn().expect("the installed kernel starts");
        Self::over(folder, Some((process, ports)))
    }

    /// Another front end of the same kernel.
    pub fn attach(other: &Self) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("connection.json");
        std::fs::copy(other.connection_file(), file).expect("a writable folder");
        Self::over(folder, None)
    }

    fn over(folder: tempfile::TempDir, started: Option<(Child, Ports)>) -> Self {
        let (process, held) = started.unzip();
        let file = std::fs::read(folder.path().join("connection.json"));
        let ports: Value =
            serde_json::from_slice(&file.expect("the test's own file")).expect("JSON");
        let identity = format!("front end {}", COUNT.fetch_add(1, Ordering::Relaxed));
        let runtime = Runtime::new().expect("threads");
        let (shell, control, stdin, iopub) = runtime.block_on(async {
            let url = |name: &str| format!("tcp://127.0.0.1:{}", ports[name]);
            let mut iopub = SubSocket::new();
            connect(&mut iopub, &url("iopub_port")).await;
            iopub.subscribe("").await.expect("a subscription");
            let options = || {
                let mut options = zeromq::SocketOptions::default();
                options.peer_identity(identity.parse().expect("an identity"));
                options
            };
            let mut shell = DealerSocket::with_options(options());
            connect(&mut shell, &url("shell_port")).await;
            let mut control = DealerSocket::with_options(options());
            connect(&mut control, &url("control_port")).await;
            let mut stdin = DealerSocket::with_options(options());
            connect(&mut stdin, &url("stdin_port")).await;
            (shell, control, stdin, iopub)
        });
        let mut front_end = Self {
            runtime,
            shell,
            control,
            stdin,
            iopub,
            signer: Signer::new(KEY),
            folder,
            ended: process.is_none(),
            process,
            _ports: held,
            waiting: Vec::new(),
            patience: patience(),
        };
        front_end.wait_until_heard();
        front_end
    }

    /// How long each wait may last, for kernels slower than ours.
    pub fn wait_at_most(&mut self, patience: Duration) {
        self.patience = patience;
    }

    /// A subscription takes effect some time after the connection: asks until iopub answers.
    fn wait_until_heard(&mut self) {
        let deadline = Instant::now() + self.patience;
        loop {
            let id = self.send("kernel_info_request", json!({}));
            self.reply_to(&id);
            let heard = Instant::now() + Duration::from_millis(300);
            while let Some(message) = self.publication(heard) {
                if message.parent["msg_id"] == id.as_str()
                    && message.content["execution_state"] == "idle"
                {
                    self.waiting.clear();
                    return;
                }
            }
            assert!(Instant::now() < deadline, "the kernel is never idle");
        }
    }

    /// Runs a cell to its end.
    pub fn execute(&mut self, code: &str) -> Reply {
        self.execute_with(code, json!({}))
    }

    /// [`FrontEnd::execute`] with other fields in the request.
    pub fn execute_with(&mut self, code: &str, fields: Value) -> Reply {
        let id = self.submit(code, fields);
        self.collect(&id)
    }

    /// Sends a cell without waiting for it.
    pub fn submit(&mut self, code: &str, fields: Value) -> String {
        let mut content = json!({
            "code": code, "silent": false, "store_history": true, "user_expressions": {},
            "allow_stdin": false, "stop_on_error": true,
        });
        for (key, value) in fields.as_object().into_iter().flatten() {
            content[key] = value.clone();
        }
        self.send("execute_request", content)
    }

    /// The reply to a request, and everything published for it, from busy to idle.
    pub fn collect(&mut self, id: &str) -> Reply {
        let started = Instant::now();
        let reply = self.reply_to(id);
        let took = started.elapsed();
        Reply {
            id: id.to_owned(),
            content: reply.content,
            outputs: self.outputs_of(id),
            took,
        }
    }

    /// Sends a request on shell and waits for its reply.
    pub fn ask(&mut self, kind: &str, content: Value) -> Value {
        let id = self.send(kind, content);
        let reply = self.collect(&id);
        assert!(
            reply.outputs.messages.is_empty(),
            "{kind} publishes nothing: {:#?}",
            reply.outputs
        );
        reply.content
    }

    /// Sends a request on control and waits for its reply.
    pub fn command(&mut self, kind: &str, content: Value) -> Value {
        let message = Message::caused_by(&json!({}), "test", kind, &content);
        let id = message.id().to_owned();
        let frames = message.to_frames(&self.signer).expect("JSON serialises");
        let reply = self.runtime.block_on(async {
            self.control
                .send(frames)
                .await
                .expect("the kernel takes it");
            tokio::time::timeout(self.patience, self.control.recv())
                .await
                .expect("a reply in time")
                .expect("a reply")
        });
        let reply = Message::read(&reply, &self.signer).expect("a signed message");
        assert_eq!(reply.parent["msg_id"], id.as_str());
        if kind != "shutdown_request" {
            let outputs = self.outputs_of(&id);
            assert!(outputs.messages.is_empty(), "{outputs:#?}");
        }
        reply.content
    }

    /// Sends a request on shell; returns its id.
    pub fn send(&mut self, kind: &str, content: Value) -> String {
        let message = Message::caused_by(&json!({}), "test", kind, &content);
        let id = message.id().to_owned();
        let frames = message.to_frames(&self.signer).expect("JSON serialises");
        self.send_raw(frames);
        id
    }

    /// Sends frames as they are.
    pub fn send_raw(&mut self, frames: zeromq::ZmqMessage) {
        self.runtime
            .block_on(self.shell.send(frames))
            .expect("the kernel takes it");
    }

    /// Signs as the front end does, for messages that a test takes apart.
    pub fn signer(&self) -> &Signer {
        &self.signer
    }

    /// Waits for a question on stdin and answers it.
    pub fn answer_input(&mut self, value: &str) -> Value {
        let question = self.question();
        self.answer(&question, value);
        question.content
    }

    /// Waits for a question on stdin.
    pub fn question(&mut self) -> Message {
        let question = self.runtime.block_on(async {
            tokio::time::timeout(self.patience, self.stdin.recv())
                .await
                .expect("a question in time")
                .expect("a question")
        });
        let question = Message::read(&question, &self.signer).expect("a signed message");
        assert_eq!(question.kind(), "input_request");
        question
    }

    /// Answers a question.
    pub fn answer(&mut self, question: &Message, value: &str) {
        let answer = Message::caused_by(
            &question.header,
            "test",
            "input_reply",
            &json!({"value": value}),
        );
        let frames = answer.to_frames(&self.signer).expect("JSON serialises");
        self.runtime
            .block_on(self.stdin.send(frames))
            .expect("the kernel takes it");
    }

    /// Waits until a message of this type is published for a request, and keeps it for later.
    pub fn wait_for(&mut self, id: &str, kind: &str) -> Message {
        let belongs = |message: &Message| message.parent["msg_id"] == id && message.kind() == kind;
        if let Some(found) = self.waiting.iter().find(|message| belongs(message)) {
            return found.clone();
        }
        let deadline = Instant::now() + self.patience;
        while let Some(message) = self.publication(deadline) {
            self.waiting.push(message.clone());
            if belongs(&message) {
                return message;
            }
        }
        panic!(
            "no {kind} was published for {id} in time; there were {:#?}",
            self.waiting
        );
    }

    /// Waits for the end of a request that has no reply.
    pub fn collect_status(&mut self, id: &str) {
        let outputs = self.outputs_of(id);
        assert!(outputs.messages.is_empty(), "{outputs:#?}");
    }

    /// What was published for a message that has no reply, from busy to idle.
    pub fn collect_published(&mut self, id: &str) -> Outputs {
        self.outputs_of(id)
    }

    /// Ends the kernel without asking, for programs that leave things behind.
    pub fn kill(&mut self) {
        self.ended = true;
        self.end_process();
    }

    fn end_process(&mut self) {
        if let Some(process) = &mut self.process {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// The kernel's process.
    pub fn process(&mut self) -> &mut Child {
        let process = self.process.as_mut();
        process.expect("a front end that started its kernel")
    }

    /// What another front end's request published, from busy to idle.
    pub fn overheard(&mut self, id: &str) -> Outputs {
        self.outputs_of(id)
    }

    /// Drops the messages that were kept by [`FrontEnd::wait_for`].
    pub fn forget(&mut self) {
        self.waiting.clear();
    }

    /// Where the kernel's temporary files lie.
    pub fn temporary(&self) -> PathBuf {
        self.folder.path().join("tmp")
    }

    /// The path of the connection file.
    pub fn connection_file(&self) -> PathBuf {
        self.folder.path().join("connection.json")
    }

    /// The connection file, with the ports.
    pub fn ports(&self) -> Value {
        let text = std::fs::read_to_string(self.connection_file()).expect("the test's own file");
        serde_json::from_str(&text).expect("JSON")
    }

    /// Asks the kernel to leave and checks that nothing of it stays.
    pub fn shut_down(&mut self) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let reply = self.command("shutdown_request", json!({"restart": false}));
        assert_eq!(reply, json!({"status": "ok", "restart": false}));
        self.wait_for_end();
    }

    /// Waits until the kernel's process is gone, and checks that nothing of it stays.
    pub fn wait_for_end(&mut self) {
        self.ended = true;
        let deadline = Instant::now() + Duration::from_secs(15);
        while self
            .process()
            .try_wait()
            .expect("a child process")
            .is_none()
        {
            assert!(Instant::now() < deadline, "the kernel does not end");
            std::thread::sleep(Duration::from_millis(20));
        }
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            let left: Vec<PathBuf> = std::fs::read_dir(self.temporary())
                .expect("the test's own folder")
                .flatten()
                .map(|entry| entry.path())
                .collect();
            if left.is_empty() {
                return;
            }
            assert!(Instant::now() < deadline, "the kernel left {left:?}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The requests whose answers have arrived and wait to be read, which they are.
    pub fn answers_waiting(&mut self) -> Vec<String> {
        let mut ids = Vec::new();
        let soon = Duration::from_millis(300);
        while let Ok(Ok(frames)) = self
            .runtime
            .block_on(async { tokio::time::timeout(soon, self.shell.recv()).await })
        {
            let reply = Message::read(&frames, &self.signer).expect("a signed message");
            ids.extend(reply.parent["msg_id"].as_str().map(str::to_owned));
        }
        ids
    }

    fn reply_to(&mut self, id: &str) -> Message {
        let reply = self.runtime.block_on(async {
            tokio::time::timeout(self.patience, self.shell.recv())
                .await
                .expect("a reply in time")
                .expect("a reply")
        });
        let reply = Message::read(&reply, &self.signer).expect("a signed message");
        assert_eq!(
            reply.parent["msg_id"], id,
            "a reply to another request: {reply:#?}"
        );
        reply
    }

    fn outputs_of(&mut self, id: &str) -> Outputs {
        let mut outputs = Outputs::default();
        let mut busy = false;
        let deadline = Instant::now() + self.patience;
        let mut kept = std::mem::take(&mut self.waiting).into_iter();
        loop {
            let message = match kept.next() {
                Some(message) => message,
                None => self.publication(deadline).expect("an idle status in time"),
            };
            if message.parent["msg_id"] != id {
                self.waiting.push(message);
                continue;
            }
            match (message.kind(), message.content["execution_state"].as_str()) {
                ("status", Some("busy")) => busy = true,
                ("status", Some("idle")) => break,
                ("execute_input", _) => assert!(busy, "execute_input comes after busy"),
                _ => outputs.messages.push(message),
            }
        }
        assert!(busy, "idle without busy");
        self.waiting.extend(kept);
        outputs
    }

    fn publication(&mut self, deadline: Instant) -> Option<Message> {
        let left = deadline.saturating_duration_since(Instant::now());
        let frames = self
            .runtime
            .block_on(async { tokio::time::timeout(left, self.iopub.recv()).await })
            .ok()?;
        Some(Message::read(&frames.expect("a message"), &self.signer).expect("a signed message"))
    }

    fn unread(&mut self) -> Vec<Message> {
        let deadline = Instant::now() + Duration::from_millis(100);
        while let Some(message) = self.publication(deadline) {
            self.waiting.push(message);
        }
        // The start is nobody's request.
        self.waiting
            .retain(|message| message.content["execution_state"] != "starting");
        std::mem::take(&mut self.waiting)
    }
}

impl Drop for FrontEnd {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.end_process();
            return;
        }
        if !self.ended {
            let unread = self.unread();
            assert!(unread.is_empty(), "nobody read {unread:#?}");
            self.shut_down();
        }
    }
}

async fn connect(socket: &mut impl Socket, url: &str) {
    let deadline = Instant::now() + patience();
    while let Err(error) = socket.connect(url).await {
        assert!(
            Instant::now() < deadline,
            "the kernel does not listen: {error}"
        );
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
