//! What can go wrong on the way, whether it may pass, and how it is told.

use super::settings::Settings;
use crate::error::Error;
use std::io;
use std::time::Duration;

/// The command was renamed, and what it was is gone from Python's newer packages.
const LOGIN: &str = "`hf auth login` (formerly `huggingface-cli login`)";

#[derive(Debug)]
pub(super) enum Trouble {
    /// Whoever waited did not want to go on.
    Stopped(Error),
    /// There is no way to the server.
    Unreachable(String),
    Insecure(String),
    Cut(String),
    Stalled,
    Busy {
        status: u16,
        asked: Option<Duration>,
    },
    /// The Hub does not let this reader have the file.
    Refused(u16),
    NoRepository,
    NoRevision,
    Status {
        status: u16,
        server: String,
    },
    /// The file changed between two answers.
    Changed,
    Damaged(String),
    /// This is not how the Hub answers.
    Strange(String),
    /// Another process fetches the same file.
    Locked,
    Disk(io::Error),
}

/// What a message is about.
pub(super) struct Subject<'a> {
    /// A file's name.
    pub(super) what: &'a str,
    pub(super) repository: &'a str,
    pub(super) revision: &'a str,
    pub(super) settings: &'a Settings,
}

impl Trouble {
    /// Whether the same request may succeed later. A server that was reached once will be again.
    pub(super) fn may_pass(&self, reached: bool) -> bool {
        match self {
            Self::Cut(_) | Self::Stalled | Self::Busy { .. } | Self::Changed | Self::Damaged(_) => {
                true
            }
            Self::Unreachable(_) => reached,
            _ => false,
        }
    }

    /// How long the server asks to be left alone.
    pub(super) fn asked_pause(&self) -> Option<Duration> {
        match self {
            Self::Busy { asked, .. } => *asked,
            _ => None,
        }
    }

    /// The sentence for the reader of a notebook, after so many tries.
    pub(super) fn tell(self, subject: &Subject<'_>, tries: u32) -> Error {
        let settings = subject.settings;
        let endpoint = &settings.endpoint;
        let repository = subject.repository;
        let file = format!("{} of {repository}", subject.what);
        let times = match tries {
            1 => "once".to_owned(),
            _ => format!("{tries} times in a row"),
        };
        let again = "run the cell again, and it goes on where it stopped";
        Error::new(match self {
            Self::Stopped(error) => return error,
            Self::Disk(error) => {
                let sentence = disk(&file, settings, &error);
                return Error::with_source(sentence, error);
            }
            Self::Unreachable(why) => format!(
                "{file} could not be fetched, as {endpoint} cannot be reached ({why}): check the \
                 network; without a network, set HF_HUB_OFFLINE=1 to use what is in the cache, or \
                 give a folder that holds the files."
            ),
            Self::Insecure(why) => format!(
                "{file} could not be fetched, as there is no secure connection to {endpoint} \
                 ({why}): check HF_ENDPOINT, the proxy and this machine's clock."
            ),
            Self::Cut(why) => format!(
                "{file} could not be fetched, as the connection was cut {times} ({why}): {again}."
            ),
            Self::Stalled => format!(
                "{file} could not be fetched, as the server was silent for {} {times}: {again}, or \
                 set HF_HUB_DOWNLOAD_TIMEOUT to more seconds.",
                seconds(settings.timeout)
            ),
            Self::Busy {
                status: 429,
                asked: Some(asked),
            } => format!(
                "{file} could not be fetched, as the Hub got too many requests (429) and asks to \
                 wait: run the cell again in {}, or log in with {LOGIN}, which \
                 allows more.",
                seconds(asked)
            ),
            Self::Busy { status: 429, .. } => format!(
                "{file} could not be fetched, as the Hub got too many requests (429): run the cell \
                 again in some minutes, or log in with {LOGIN}, which allows more."
            ),
            Self::Busy { status, .. } => format!(
                "{file} could not be fetched, as the server failed {times} ({status}): run the \
                 cell again in some minutes; https://status.huggingface.co tells how the Hub is."
            ),
            Self::Refused(status) if settings.token.is_none() => format!(
                "{file} may not be fetched without logging in ({status}), as the repository is \
                 gated or private, or does not exist: log in with {LOGIN} or set \
                 HF_TOKEN, and accept the licence on the model's page, {endpoint}/{repository}."
            ),
            Self::Refused(status) => format!(
                "{file} may not be fetched with the token in use ({status}): accept the licence on \
                 the model's page, {endpoint}/{repository}, and if that is done, log in again with \
                 {LOGIN} or set HF_TOKEN to a token that may read the repository."
            ),
            Self::NoRepository => format!(
                "{file} could not be fetched, as there is no repository {repository} on \
                 {endpoint}: check its name; if it is private, log in with {LOGIN} \
                 or set HF_TOKEN."
            ),
            Self::NoRevision if subject.revision != settings.revision => format!(
                "{file} could not be fetched, as the commit that the cache has of {repository}, \
                 {}, is not on {endpoint} any more: delete the repository's folder in {}, and run \
                 the cell again.",
                subject.revision,
                settings.cache.display()
            ),
            Self::NoRevision => format!(
                "{file} could not be fetched, as {repository} has no revision `{}`: choose one of \
                 the branches, tags and commits on {endpoint}/{repository}/commits/main.",
                subject.revision
            ),
            Self::Status { status, server } => format!(
                "{file} could not be fetched, as {server} answered with status {status}: look at \
                 {endpoint}/{repository}, and check HF_ENDPOINT if it is set."
            ),
            Self::Changed => format!(
                "{file} could not be fetched, as it changed on the server {times} meanwhile: run \
                 the cell again."
            ),
            Self::Damaged(why) => format!(
                "{file} arrived damaged {times} ({why}), and was not kept: run the cell again \
                 later, or give a folder that holds the files."
            ),
            Self::Strange(why) => format!(
                "{file} could not be fetched, as {endpoint} does not answer as the Hugging Face \
                 Hub does ({why}): check HF_ENDPOINT, and whether the network asks for a login in \
                 the browser."
            ),
            Self::Locked => format!(
                "{file} could not be fetched, as another process has been fetching it for {}: run \
                 the cell again when that one is done, or end it.",
                seconds(settings.lock_wait)
            ),
        })
    }
}

fn disk(file: &str, settings: &Settings, error: &io::Error) -> String {
    let cache = settings.cache.display();
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => format!(
            "{file} could not be kept, as there is no space left on the disk of {cache}: make \
             room, or set HF_HOME to a folder on a larger disk."
        ),
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => format!(
            "{file} could not be kept, as {cache} may not be written ({error}): set HF_HOME to a \
             folder of your own."
        ),
        io::ErrorKind::Unsupported => format!(
            "{file} could not be kept, as the disk of {cache} knows no locks ({error}): set \
             HF_HOME to a folder on a local disk."
        ),
        _ => format!(
            "{file} could not be kept in {cache} ({error}): check the disk, or set HF_HOME to a \
             folder on another one."
        ),
    }
}

fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs_f64())
}

/// The error of whoever was asked whether to go on.
impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Self::Stopped(error)
    }
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Disk(error)
    }
}

impl From<ureq::Error> for Trouble {
    fn from(error: ureq::Error) -> Self {
        use ureq::Timeout;
        let why = error.to_string();
        match error {
            ureq::Error::Timeout(Timeout::Resolve | Timeout::Connect)
            | ureq::Error::HostNotFound
            | ureq::Error::ConnectionFailed
            | ureq::Error::ConnectProxyFailed(_) => Self::Unreachable(why),
            ureq::Error::Timeout(_) => Self::Stalled,
            ureq::Error::Io(error) => match error.kind() {
                io::ErrorKind::ConnectionRefused
                | io::ErrorKind::HostUnreachable
                | io::ErrorKind::NetworkUnreachable
                | io::ErrorKind::NetworkDown
                | io::ErrorKind::AddrNotAvailable
                | io::ErrorKind::NotFound => Self::Unreachable(error.to_string()),
                io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Self::Stalled,
                // How rustls says that it does not like a certificate.
                io::ErrorKind::InvalidData => Self::Insecure(error.to_string()),
                // The system's resolver has no kind of error of its own.
                _ if error.to_string().contains("failed to lookup address") => {
                    Self::Unreachable(error.to_string())
                }
                _ => Self::Cut(error.to_string()),
            },
            ureq::Error::Protocol(_) | ureq::Error::BodyStalled => Self::Cut(why),
            ureq::Error::Tls(_) | ureq::Error::Rustls(_) | ureq::Error::Pem(_) => {
                Self::Insecure(why)
            }
            _ => Self::Strange(why),
        }
    }
}
