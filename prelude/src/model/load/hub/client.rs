//! Requests to the Hub, each made on a thread of its own, so that whoever waits for an answer can
//! be interrupted while there is none.

mod address;
mod head;

pub(super) use head::{Facts, Head};

use self::address::{follow, is_same_server};
use super::DownloadProgress;
use super::retry::TICK;
use super::settings::{Settings, Token};
use super::trouble::Trouble;
use std::io::Read;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use ureq::Agent;

const USER_AGENT: &str = concat!(env!("CARGO_PKG_NAME"), "/", env!("CARGO_PKG_VERSION"));

/// The Hub makes two or three: to the repository's new name, and to where the file is stored.
const MAX_REDIRECTS: usize = 8;

const PIECE: usize = 1 << 16;

/// How many pieces the network may be ahead of the disk.
const AHEAD: usize = 8;

/// More than the list of any repository's files needs.
const MAX_TEXT: usize = 1 << 26;

#[derive(Clone, Debug)]
pub(super) struct Client {
    agent: Agent,
    endpoint: String,
    token: Option<Token>,
}

/// What a server answers: its head, and the body as it arrives. Dropping it ends the transfer.
pub(super) struct Answer {
    pub(super) head: Head,
    pieces: Receiver<Result<Piece, Trouble>>,
}

enum Piece {
    Head(Box<Head>),
    Bytes(Vec<u8>),
    End,
}

impl Client {
    pub(super) fn new(settings: &Settings) -> Self {
        let timeout = Some(settings.timeout);
        let agent = Agent::config_builder()
            .user_agent(USER_AGENT)
            // A file that is packed on the way has no length to check, and cannot be resumed.
            .accept_encoding("identity")
            .http_status_as_error(false)
            // Followed by hand: only the first answers, the Hub's own, describe the file, and the
            // token is for the Hub alone, where ureq compares hosts and not ports.
            .max_redirects(0)
            .timeout_resolve(timeout)
            .timeout_connect(timeout)
            .timeout_recv_response(timeout)
            // Not `timeout_recv_body`, which is for the whole body.
            .timeout_per_read(timeout)
            .timeout_per_write(timeout)
            .build()
            .new_agent();
        Self {
            agent,
            endpoint: settings.endpoint.clone(),
            token: settings.token.clone(),
        }
    }

    /// The answer to a request for what is at an address, from a byte on.
    pub(super) fn get(
        &self,
        url: &str,
        from: u64,
        progress: &mut dyn DownloadProgress,
    ) -> Result<Answer, Trouble> {
        let (sender, pieces) = sync_channel(AHEAD);
        let client = self.clone();
        let url = url.to_owned();
        // It ends when nobody listens any more, at the latest after the timeout.
        std::thread::Builder::new()
            .name("hub".to_owned())
            .spawn(move || client.transfer(&url, from, &sender))?;
        match next(&pieces, progress)? {
            Piece::Head(head) => Ok(Answer {
                head: *head,
                pieces,
            }),
            Piece::Bytes(_) | Piece::End => Err(Trouble::Cut("no answer".to_owned())),
        }
    }

    /// Sends what a server answers, piece by piece, for as long as somebody listens.
    fn transfer(&self, url: &str, from: u64, sender: &SyncSender<Result<Piece, Trouble>>) {
        let (head, mut body) = match self.exchange(url, from) {
            Ok(answer) => answer,
            Err(trouble) => return drop(sender.send(Err(trouble))),
        };
        let mut listening = sender.send(Ok(Piece::Head(Box::new(head)))).is_ok();
        while listening {
            let mut bytes = vec![0; PIECE];
            let (piece, is_last) = match body.read(&mut bytes) {
                Ok(0) => (Ok(Piece::End), true),
                Ok(read) => {
                    bytes.truncate(read);
                    (Ok(Piece::Bytes(bytes)), false)
                }
                Err(error) => (Err(Trouble::from(ureq::Error::from(error))), true),
            };
            listening = sender.send(piece).is_ok() && !is_last;
        }
    }

    fn exchange(&self, url: &str, from: u64) -> Result<(Head, impl Read + use<>), Trouble> {
        let mut head = Head::default();
        let mut url = url.to_owned();
        for _ in 0..=MAX_REDIRECTS {
            let is_hub = is_same_server(&url, &self.endpoint);
            let mut request = self.agent.get(&url);
            if from > 0 {
                request = request.header("Range", format!("bytes={from}-"));
            }
            if let Some(token) = self.token.as_ref().filter(|_| is_hub) {
                request = request.header("Authorization", token.bearer());
            }
            let response = request.call()?;
            head.read(&url, is_hub, &response);
            match head.location() {
                Some(location) => url = follow(&url, location)?,
                None => return Ok((head, response.into_body().into_reader())),
            }
        }
        Err(Trouble::Strange("redirects go on and on".to_owned()))
    }
}

impl Answer {
    /// More of the body, or nothing at its end.
    pub(super) fn next(
        &mut self,
        progress: &mut dyn DownloadProgress,
    ) -> Result<Option<Vec<u8>>, Trouble> {
        match next(&self.pieces, progress)? {
            Piece::Bytes(bytes) => Ok(Some(bytes)),
            Piece::Head(_) | Piece::End => Ok(None),
        }
    }

    /// The whole body.
    pub(super) fn text(&mut self, progress: &mut dyn DownloadProgress) -> Result<Vec<u8>, Trouble> {
        let mut text = Vec::new();
        while let Some(bytes) = self.next(progress)? {
            text.extend(bytes);
            if text.len() > MAX_TEXT {
                return Err(Trouble::Strange("the answer is too long".to_owned()));
            }
        }
        Ok(text)
    }
}

/// The next piece. Meanwhile whoever waits is asked whether to go on.
fn next(
    pieces: &Receiver<Result<Piece, Trouble>>,
    progress: &mut dyn DownloadProgress,
) -> Result<Piece, Trouble> {
    loop {
        match pieces.recv_timeout(TICK) {
            Ok(piece) => return piece,
            Err(RecvTimeoutError::Timeout) => progress.advance(0)?,
            Err(RecvTimeoutError::Disconnected) => {
                return Err(Trouble::Cut("the request broke off".to_owned()));
            }
        }
    }
}
