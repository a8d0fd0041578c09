//! What the heads of a chain of answers say about a file.

use super::super::is_relative;
use super::super::names::encode;
use super::super::trouble::Trouble;
use std::time::Duration;
use ureq::http::Response;

/// The head of an answer and, of the redirects that led to it, what the Hub said about the file.
#[derive(Debug, Default)]
pub(in super::super) struct Head {
    pub(in super::super) status: u16,
    /// Whether the Hub itself answered, and not the server that it keeps the file on.
    is_hub: bool,
    url: String,
    location: Option<String>,
    /// Of the Hub's own answers.
    commit: Option<String>,
    etag: Option<String>,
    linked_etag: Option<String>,
    linked_size: Option<u64>,
    code: Option<String>,
    /// Of the last answer.
    length: Option<u64>,
    is_chunked: bool,
    range: Option<(u64, Option<u64>)>,
    asked_pause: Option<Duration>,
}

/// What the Hub says a file is.
#[derive(Debug, PartialEq)]
pub(in super::super) struct Facts {
    pub(in super::super) commit: String,
    /// The name of its content, fit for a path.
    pub(in super::super) etag: String,
    pub(in super::super) total: Option<u64>,
}

impl Head {
    /// Takes in the next answer of a chain.
    pub(super) fn read<T>(&mut self, url: &str, is_hub: bool, response: &Response<T>) {
        let text = |name: &str| {
            let value = response.headers().get(name)?.to_str().ok()?;
            Some(value.trim().to_owned())
        };
        let number = |name: &str| text(name).and_then(|value| value.parse::<u64>().ok());
        self.status = response.status().as_u16();
        self.is_hub = is_hub;
        url.clone_into(&mut self.url);
        self.location = match self.status {
            301 | 302 | 303 | 307 | 308 => text("location"),
            _ => None,
        };
        self.length = number("content-length");
        self.is_chunked = text("transfer-encoding").is_some();
        self.range = text("content-range").and_then(|value| content_range(&value));
        self.asked_pause = number("retry-after").map(Duration::from_secs);
        if is_hub {
            self.commit = text("x-repo-commit").or_else(|| self.commit.take());
            self.linked_etag = text("x-linked-etag").or_else(|| self.linked_etag.take());
            self.linked_size = number("x-linked-size").or(self.linked_size);
            self.etag = text("etag");
            self.code = text("x-error-code");
        } else {
            self.code = None;
        }
    }

    pub(super) fn location(&self) -> Option<&str> {
        self.location.as_deref()
    }

    /// Where the Hub says that there is no such file: the commit that has none, if it says so.
    pub(in super::super) fn absent(&self) -> Option<Option<&str>> {
        let is_absent = self.status == 404 && self.is_hub;
        match self.code.as_deref() {
            None if is_absent => Some(None),
            Some("EntryNotFound") if is_absent => Some(self.commit.as_deref()),
            _ => None,
        }
    }

    /// # Errors
    /// The answer is none that holds a file.
    pub(in super::super) fn check(&self) -> Result<(), Trouble> {
        let status = self.status;
        Err(match (status, self.code.as_deref()) {
            (200 | 206, _) => return Ok(()),
            (401 | 403, _) if self.is_hub => Trouble::Refused(status),
            (_, Some("RepoNotFound")) => Trouble::NoRepository,
            (_, Some("RevisionNotFound")) => Trouble::NoRevision,
            (408 | 429 | 500 | 502 | 503 | 504, _) => Trouble::Busy {
                status,
                asked: self.asked_pause,
            },
            _ => Trouble::Status {
                status,
                server: server(&self.url).to_owned(),
            },
        })
    }

    /// What the file is that the answer holds.
    ///
    /// # Errors
    /// The answer does not say, so that it is hardly the Hub's.
    pub(in super::super) fn facts(&self) -> Result<Facts, Trouble> {
        let unsaid = |what: &str| Trouble::Strange(format!("the answer says nothing of {what}"));
        let commit = self.commit.as_deref().filter(|commit| is_name(commit));
        let commit = commit.ok_or_else(|| unsaid("a commit (X-Repo-Commit)"))?;
        let etag = self.linked_etag.as_deref().or(self.etag.as_deref());
        let etag = etag.map(normalize).filter(|etag| is_name(etag));
        let etag = etag.ok_or_else(|| unsaid("the content (ETag)"))?;
        let announced = match (self.status, self.range) {
            (206, Some((_, total))) => total,
            _ => self.length,
        };
        let total = self.linked_size.or(announced);
        // The end of such a body could not be told from a cut.
        if self.length.is_none() && !self.is_chunked {
            return Err(unsaid("its length (Content-Length)"));
        }
        Ok(Facts {
            commit: commit.to_owned(),
            etag,
            total,
        })
    }

    /// From which byte of the file on the body is.
    pub(in super::super) fn start(&self) -> Option<u64> {
        match (self.status, self.range) {
            (200, _) => Some(0),
            (206, Some((start, _))) => Some(start),
            _ => None,
        }
    }

    /// # Errors
    /// The body cannot be what is left of the file.
    pub(in super::super) fn check_length(&self, start: u64, facts: &Facts) -> Result<(), Trouble> {
        let (Some(length), Some(total)) = (self.length, facts.total) else {
            return Ok(());
        };
        match start.checked_add(length) {
            Some(end) if end == total => Ok(()),
            _ => Err(Trouble::Damaged(format!(
                "{length} bytes from byte {start} on, where {total} were announced"
            ))),
        }
    }
}

fn server(url: &str) -> &str {
    url.split('/').nth(2).unwrap_or(url)
}

/// Whether this can be the name of one thing in a folder.
fn is_name(name: &str) -> bool {
    is_relative(name) && !name.contains('/') && name.len() < 200
}

/// The content's name as Python's libraries write it: without what marks it as weak, without its
/// quotes, and here also fit for a path.
fn normalize(etag: &str) -> String {
    encode(etag.trim_start_matches("W/").trim_matches('"'))
}

/// The first byte and the whole length in `bytes 5-9/10`.
fn content_range(value: &str) -> Option<(u64, Option<u64>)> {
    let (range, total) = value.strip_prefix("bytes ")?.split_once('/')?;
    let start = range.split_once('-')?.0.trim().parse().ok()?;
    Some((start, total.trim().parse().ok()))
}
