//! One attempt at a file.

use super::DownloadProgress;
use super::client::{Client, Facts};
use super::part::{Lock, Part};
use super::retry::Seen;
use super::snapshot::Snapshots;
use super::trouble::Trouble;
use std::time::Duration;

pub(super) struct Job<'a> {
    pub(super) client: &'a Client,
    pub(super) url: &'a str,
    pub(super) snapshots: &'a Snapshots,
    pub(super) lock_wait: Duration,
}

pub(super) enum Outcome {
    /// The content is among the blobs.
    Landed { commit: String, etag: String },
    /// The repository has no such file, in this commit if the Hub named one.
    Absent { commit: Option<String> },
}

impl Job<'_> {
    /// Asks for the file, and takes what of it is not there yet. Every attempt asks anew what the
    /// file is: if it is another one by now, another part is begun.
    pub(super) fn attempt(
        &self,
        progress: &mut dyn DownloadProgress,
        seen: &mut Seen,
    ) -> Result<Outcome, Trouble> {
        let mut answer = self.client.get(self.url, 0, progress)?;
        seen.reached = true;
        if let Some(commit) = answer.head.absent() {
            let commit = commit.map(str::to_owned);
            return Ok(Outcome::Absent { commit });
        }
        answer.head.check()?;
        let facts = answer.head.facts()?;
        // A wait lets the answer grow cold; then it is cut, and the next attempt finds the blob.
        let lock = self.snapshots.lock(&facts.etag);
        let _lock = Lock::acquire(lock, self.lock_wait, progress)?;
        if self.has(&facts) {
            return Ok(landed(facts));
        }
        let blob = self.snapshots.blob(&facts.etag);
        if let Some(folder) = blob.parent() {
            std::fs::create_dir_all(folder)?;
        }

        let mut part = Part::open(self.snapshots, &facts)?;
        let mut start = 0;
        if part.length() > 0 && !part.is_complete() {
            answer = self.client.get(self.url, part.length(), progress)?;
            if answer.head.status == 416 {
                part.discard()?;
                let what = "less than what had arrived before";
                return Err(Trouble::Damaged(what.to_owned()));
            }
            answer.head.check()?;
            if answer.head.facts()? != facts {
                return Err(Trouble::Changed);
            }
            // A server that knows no ranges sends all of it.
            start = answer.head.start().unwrap_or(u64::MAX);
            if start != 0 && start != part.length() {
                return Err(Trouble::Strange("the answer is of another part".to_owned()));
            }
        }
        progress.start(facts.total.unwrap_or(0));
        if !part.is_complete() {
            answer.head.check_length(start, &facts)?;
            part.cut(start)?;
            progress.advance(start)?;
            while let Some(bytes) = answer.next(progress)? {
                part.write(&bytes)?;
                seen.furthest = seen.furthest.max(part.length());
                progress.advance(bytes.len() as u64)?;
            }
        } else {
            progress.advance(part.length())?;
        }
        part.finish(blob)?;
        Ok(landed(facts))
    }

    /// Whether the content is in the cache, for another file or another commit.
    fn has(&self, facts: &Facts) -> bool {
        let blob = self.snapshots.blob(&facts.etag).metadata();
        blob.is_ok_and(|blob| blob.is_file() && facts.total.is_none_or(|total| blob.len() == total))
    }
}

fn landed(facts: Facts) -> Outcome {
    Outcome::Landed {
        commit: facts.commit,
        etag: facts.etag,
    }
}
