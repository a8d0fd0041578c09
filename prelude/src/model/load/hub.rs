//! A repository on the Hugging Face Hub, through the cache that Python's libraries share.
//!
//! hf-hub gives the layout of the cache and of the repository's description. The downloading is our
//! own, on the HTTP client below hf-hub, because hf-hub's cannot be given a timeout, cannot be
//! stopped, does not retry a status, and checks neither the answer's status nor the file's size.

mod client;
mod download;
mod names;
mod part;
mod retry;
mod settings;
mod snapshot;
mod trouble;

#[cfg(test)]
mod tests;

use self::client::Client;
use self::download::{Job, Outcome};
use self::names::{encode, encode_path, is_commit, is_relative};
use self::retry::with_retries;
use self::settings::Settings;
use self::snapshot::Snapshots;
use self::trouble::{Subject, Trouble};
use crate::error::{Error, Result};
use hf_hub::api::RepoInfo;
use std::fmt;
use std::path::PathBuf;
use std::sync::OnceLock;

/// Told how a download goes, and asked whether it should go on.
pub(crate) trait DownloadProgress {
    /// The file's bytes begin to arrive. It is called again, and counting begins again, when the
    /// download does after a cut; what is then already on the disk is told by one `advance`.
    /// `total` is 0 where the server does not tell.
    fn start(&mut self, total: u64);

    /// So many bytes more have arrived: none, several times a second, as long as there is nothing
    /// but waiting to be told, even before `start`.
    ///
    /// # Errors
    /// The download should stop; the error is what `fetch` returns. What has arrived stays in the
    /// cache, and the next download of the file goes on from there.
    fn advance(&mut self, bytes: u64) -> Result<()>;

    /// The file is complete.
    fn end(&mut self);
}

/// Nobody looks.
struct Silent;

impl DownloadProgress for Silent {
    fn start(&mut self, _total: u64) {}

    fn advance(&mut self, _bytes: u64) -> Result<()> {
        Ok(())
    }

    fn end(&mut self) {}
}

/// Makes what is told about the download of a file with this name.
pub(crate) type NewProgress = fn(file: &str) -> Box<dyn DownloadProgress>;

/// What to fetch from a repository, and as whom. What is left open, the environment decides.
#[derive(Clone, Default)]
pub(crate) struct HubOptions {
    /// A branch, a tag or a commit; `main` where there is none.
    pub(crate) revision: Option<String>,
    pub(crate) token: Option<String>,
    pub(crate) progress: Option<NewProgress>,
}

impl HubOptions {
    /// The same for another repository, whose revisions are its own.
    pub(crate) fn latest(&self) -> Self {
        Self {
            revision: None,
            ..self.clone()
        }
    }
}

/// Written by hand, as the token is nobody's to read in a notebook's output.
impl fmt::Debug for HubOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HubOptions")
            .field("revision", &self.revision)
            .field("token", &self.token.as_ref().map(|_| ".."))
            .finish_non_exhaustive()
    }
}

/// A repository on the Hugging Face Hub.
#[derive(Debug)]
pub(crate) struct Hub {
    repository: String,
    settings: Settings,
    snapshots: Snapshots,
    /// Nothing: only the cache may be used.
    client: Option<Client>,
    progress: Option<NewProgress>,
    pin: OnceLock<Pin>,
}

/// The commit that all files are taken from once the first one was: a model whose config is of one
/// commit and whose weights are of the next is nobody's model.
#[derive(Debug)]
struct Pin {
    commit: String,
    /// The server said that the revision means this commit, so the cache should remember it.
    is_news: bool,
}

impl Hub {
    /// The repository `owner/name`.
    ///
    /// # Errors
    /// The environment names no folder for the cache, or something that cannot be used.
    pub(crate) fn new(repository: &str, options: &HubOptions) -> Result<Self> {
        let settings = Settings::from_env(options)?;
        Ok(Self::with_settings(repository, settings, options.progress))
    }

    fn with_settings(repository: &str, settings: Settings, progress: Option<NewProgress>) -> Self {
        Self {
            repository: repository.to_owned(),
            snapshots: Snapshots::new(&settings.cache, repository, &settings.revision),
            client: (!settings.offline).then(|| Client::new(&settings)),
            settings,
            progress,
            pin: OnceLock::new(),
        }
    }

    pub(crate) fn repository(&self) -> &str {
        &self.repository
    }

    /// The path of a file in the cache, downloaded if need be; nothing where the repository has no
    /// such file or, offline, the cache has none.
    ///
    /// # Errors
    /// The file cannot be had: the sentence says why, and what to do.
    pub(crate) fn fetch(&self, file: &str) -> Result<Option<PathBuf>> {
        if !is_relative(file) {
            return Err(Error::new(format!(
                "`{file}` is not the name of a file in {}.",
                self.repository
            )));
        }
        if let Some(commit) = self.commit() {
            if let Some(path) = self.snapshots.find(&commit, file) {
                self.pin(&commit, false);
                return Ok(Some(path));
            }
            if self.pin.get().is_some() && self.snapshots.is_absent(&commit, file) {
                return Ok(None);
            }
        }
        match &self.client {
            Some(client) => self.download(client, file),
            None => Ok(None),
        }
    }

    /// The names of the repository's files; offline, of those that are in the cache.
    ///
    /// # Errors
    /// The repository cannot be asked, or the cache cannot be read.
    pub(crate) fn list(&self) -> Result<Vec<String>> {
        let Some(client) = &self.client else {
            let commit = self.commit();
            return commit.map_or(Ok(Vec::new()), |commit| self.snapshots.list(&commit));
        };
        let url = format!(
            "{}/api/models/{}/revision/{}",
            self.settings.endpoint,
            self.repository,
            encode(self.revision())
        );
        let subject = self.subject("the list of files");
        let info = with_retries(&subject, &mut Silent, |progress, seen| {
            let mut answer = client.get(&url, 0, progress)?;
            seen.reached = true;
            answer.head.check()?;
            let json = answer.text(progress)?;
            let info: RepoInfo = serde_json::from_slice(&json)
                .map_err(|error| Trouble::Strange(format!("the answer is no list ({error})")))?;
            Ok(info)
        })?;
        self.pin(&info.sha, true);
        Ok(info
            .siblings
            .into_iter()
            .map(|file| file.rfilename)
            .collect())
    }

    fn download(&self, client: &Client, file: &str) -> Result<Option<PathBuf>> {
        let url = format!(
            "{}/{}/resolve/{}/{}",
            self.settings.endpoint,
            self.repository,
            encode(self.revision()),
            encode_path(file)
        );
        let job = Job {
            client,
            url: &url,
            snapshots: &self.snapshots,
            lock_wait: self.settings.lock_wait,
        };
        let subject = self.subject(file);
        let mut progress = self.progress.map_or_else(silent, |new| new(file));
        let outcome = with_retries(&subject, progress.as_mut(), |progress, seen| {
            job.attempt(progress, seen)
        })?;
        match outcome {
            Outcome::Landed { commit, etag } => {
                let link = || {
                    let path = self.snapshots.link(&commit, file, &etag)?;
                    self.pin(&commit, true);
                    self.remember(&commit)?;
                    Ok(path)
                };
                let linked: std::io::Result<PathBuf> = link();
                let path = linked.map_err(|error| Trouble::from(error).tell(&subject, 1))?;
                progress.end();
                Ok(Some(path))
            }
            Outcome::Absent { commit } => {
                if let Some(commit) = commit.filter(|commit| is_commit(commit)) {
                    self.pin(&commit, true);
                    self.snapshots.mark_absent(&commit, file);
                }
                Ok(None)
            }
        }
    }

    /// The commit whose snapshot in the cache to look into.
    fn commit(&self) -> Option<String> {
        match self.pin.get() {
            Some(pin) => Some(pin.commit.clone()),
            None => self.snapshots.commit(),
        }
    }

    /// What to ask the server for.
    fn revision(&self) -> &str {
        let pin = self.pin.get();
        pin.map_or(&self.settings.revision, |pin| pin.commit.as_str())
    }

    /// Takes every further file from this commit. What a mirror calls a commit without it being one
    /// may not be asked for by that name, and is not held to.
    fn pin(&self, commit: &str, is_news: bool) {
        if is_commit(commit) {
            self.pin.get_or_init(|| Pin {
                commit: commit.to_owned(),
                is_news,
            });
        }
    }

    /// Has the cache remember what commit the revision is, where the server said so.
    fn remember(&self, commit: &str) -> std::io::Result<()> {
        match self.pin.get() {
            Some(pin) if !pin.is_news => Ok(()),
            _ => self.snapshots.set_commit(commit),
        }
    }

    fn subject<'a>(&'a self, what: &'a str) -> Subject<'a> {
        Subject {
            what,
            repository: &self.repository,
            revision: self.revision(),
            settings: &self.settings,
        }
    }
}

fn silent() -> Box<dyn DownloadProgress> {
    Box::new(Silent)
}
