//! A small server on this machine that answers as a test says, and ends with it.

use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// No test needs one for longer.
const LIFE: Duration = Duration::from_secs(10);

#[derive(Clone, Debug, Default)]
pub(super) struct Request {
    pub(super) path: String,
    pub(super) range: Option<String>,
    pub(super) authorization: Option<String>,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Reply {
    status: u16,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    /// How many bytes of the body are sent; all, where there is nothing.
    sent: Option<usize>,
    stalls: bool,
    chunked: bool,
}

impl Reply {
    pub(super) fn status(status: u16) -> Self {
        Self {
            status,
            ..Self::default()
        }
    }

    pub(super) fn body(mut self, body: &[u8]) -> Self {
        self.body = body.to_vec();
        self
    }

    /// Sets a header in the place of one of this name.
    pub(super) fn header(mut self, name: &str, value: impl ToString) -> Self {
        self.headers.retain(|(other, _)| other != name);
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    pub(super) fn cut(mut self, sent: usize) -> Self {
        self.sent = Some(sent);
        self
    }

    pub(super) fn stall(mut self, sent: usize) -> Self {
        self.stalls = true;
        self.cut(sent)
    }

    pub(super) fn chunked(mut self) -> Self {
        self.chunked = true;
        self
    }
}

/// A file as the Hub serves it.
#[derive(Clone)]
pub(super) struct Hosted {
    pub(super) bytes: Vec<u8>,
    pub(super) etag: &'static str,
    pub(super) commit: &'static str,
}

impl Hosted {
    /// What the Hub answers, with the range that is asked for.
    pub(super) fn reply(&self, request: &Request) -> Reply {
        let length = self.bytes.len();
        let start = request.range.as_ref().map_or(0, |range| {
            let start = range.strip_prefix("bytes=").unwrap().trim_end_matches('-');
            start.parse().unwrap()
        });
        let reply = match &request.range {
            None => Reply::status(200).body(&self.bytes),
            Some(_) if start >= length => {
                Reply::status(416).header("content-range", format!("bytes */{length}"))
            }
            Some(_) => Reply::status(206)
                .header(
                    "content-range",
                    format!("bytes {start}-{}/{length}", length - 1),
                )
                .body(&self.bytes[start..]),
        };
        reply
            .header("etag", format!("\"{}\"", self.etag))
            .header("x-repo-commit", self.commit)
    }
}

pub(super) struct Server {
    pub(super) address: String,
    requests: Arc<Mutex<Vec<Request>>>,
    is_over: Arc<AtomicBool>,
}

impl Server {
    /// A server that answers the n-th request, counted from nought, as `answer` says.
    pub(super) fn new(answer: impl Fn(&Request, usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let server = Self {
            address: format!("http://{}", listener.local_addr().unwrap()),
            requests: Arc::default(),
            is_over: Arc::default(),
        };
        let requests = server.requests.clone();
        let is_over = server.is_over.clone();
        let answer = Arc::new(answer);
        std::thread::spawn(move || {
            let end = Instant::now() + LIFE;
            while !is_over.load(Ordering::Relaxed) && Instant::now() < end {
                let Ok((stream, _)) = listener.accept() else {
                    std::thread::sleep(Duration::from_millis(2));
                    continue;
                };
                let (requests, is_over) = (requests.clone(), is_over.clone());
                let answer = answer.clone();
                std::thread::spawn(move || serve(stream, &requests, &is_over, answer.as_ref()));
            }
        });
        server
    }

    pub(super) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    pub(super) fn paths(&self) -> Vec<String> {
        self.requests().into_iter().map(|one| one.path).collect()
    }

    pub(super) fn ranges(&self) -> Vec<Option<String>> {
        self.requests().into_iter().map(|one| one.range).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
    }
}

/// Answers one request and closes the connection.
fn serve(
    mut stream: TcpStream,
    requests: &Mutex<Vec<Request>>,
    is_over: &AtomicBool,
    answer: &dyn Fn(&Request, usize) -> Reply,
) {
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(LIFE)).unwrap();
    let Some(request) = read(&stream) else {
        return;
    };
    let count = {
        let mut requests = requests.lock().unwrap();
        requests.push(request.clone());
        requests.len() - 1
    };
    let reply = answer(&request, count);
    let mut head = format!("HTTP/1.1 {} Said\r\nconnection: close\r\n", reply.status);
    for (name, value) in &reply.headers {
        head += &format!("{name}: {value}\r\n");
    }
    let mut body = reply.body.clone();
    let has_length = reply
        .headers
        .iter()
        .any(|(name, _)| name == "content-length");
    if reply.chunked {
        head += "transfer-encoding: chunked\r\n";
        body = format!("{:x}\r\n", body.len()).into_bytes();
        body.extend(&reply.body);
        body.extend(b"\r\n0\r\n\r\n");
    } else if !has_length {
        head += &format!("content-length: {}\r\n", body.len());
    }
    let sent = reply.sent.unwrap_or(body.len()).min(body.len());
    let written = stream
        .write_all(format!("{head}\r\n").as_bytes())
        .and_then(|()| stream.write_all(&body[..sent]));
    let end = Instant::now() + LIFE;
    while reply.stalls && written.is_ok() && Instant::now() < end {
        if is_over.load(Ordering::Relaxed) {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn read(stream: &TcpStream) -> Option<Request> {
    let mut request = Request::default();
    for (index, line) in BufReader::new(stream).lines().enumerate() {
        let line = line.ok()?;
        if line.is_empty() {
            return Some(request);
        }
        if index == 0 {
            request.path = line.split(' ').nth(1)?.to_owned();
        } else if let Some((name, value)) = line.split_once(": ") {
            match name.to_ascii_lowercase().as_str() {
                "range" => request.range = Some(value.to_owned()),
                "authorization" => request.authorization = Some(value.to_owned()),
                _ => {}
            }
        }
    }
    None
}
