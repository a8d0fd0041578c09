//! One repository's part of the cache: `refs`, `snapshots` and `blobs`, as hf-hub and Python's
//! libraries lay them out.

use super::names::is_commit;
use crate::error::{Context, Result};
use hf_hub::{Cache, CacheRepo, Repo, RepoType};
use std::io;
use std::path::{Path, PathBuf};

#[derive(Debug)]
pub(super) struct Snapshots {
    /// `models--owner--name`.
    folder: PathBuf,
    /// Where Python's libraries keep the locks of this repository. They lock as we do.
    locks: PathBuf,
    revision: String,
    cache: CacheRepo,
}

impl Snapshots {
    pub(super) fn new(cache: &Path, repository: &str, revision: &str) -> Self {
        let repo = Repo::with_revision(repository.into(), RepoType::Model, revision.into());
        let name = repo.folder_name();
        Self {
            folder: cache.join(&name),
            locks: cache.join(".locks").join(&name),
            revision: revision.to_owned(),
            cache: Cache::new(cache.to_owned()).repo(repo),
        }
    }

    /// The commit that the revision was when the server was last asked. hf-hub keeps how it looks
    /// this up to itself, and would not find a commit that Python fetched by its hash.
    pub(super) fn commit(&self) -> Option<String> {
        if is_commit(&self.revision) {
            return Some(self.revision.clone());
        }
        let text = std::fs::read_to_string(self.reference()).ok()?;
        let commit = text.trim();
        super::is_relative(commit).then(|| commit.to_owned())
    }

    pub(super) fn set_commit(&self, commit: &str) -> io::Result<()> {
        if is_commit(&self.revision) || self.commit().as_deref() == Some(commit) {
            return Ok(());
        }
        self.cache.create_ref(commit)
    }

    /// The path of a file of this commit, if it is there.
    pub(super) fn find(&self, commit: &str, file: &str) -> Option<PathBuf> {
        Some(self.cache.pointer_path(commit).join(file)).filter(|path| path.is_file())
    }

    /// Whether the server once said that this commit has no such file. Python's libraries leave the
    /// same note.
    pub(super) fn is_absent(&self, commit: &str, file: &str) -> bool {
        self.absent(commit, file).is_file()
    }

    /// Notes that this commit has no such file, so that it need not be asked for again, which
    /// without a network would be an error. The note is a help, not a need.
    pub(super) fn mark_absent(&self, commit: &str, file: &str) {
        let note = self.absent(commit, file);
        if let Some(folder) = note.parent()
            && std::fs::create_dir_all(folder).is_ok()
        {
            let _ = std::fs::File::create(note);
        }
    }

    pub(super) fn blob(&self, etag: &str) -> PathBuf {
        self.cache.blob_path(etag)
    }

    pub(super) fn lock(&self, etag: &str) -> PathBuf {
        self.locks.join(format!("{etag}.lock"))
    }

    /// Puts a blob under a file's name, and says where.
    pub(super) fn link(&self, commit: &str, file: &str, etag: &str) -> io::Result<PathBuf> {
        let path = self.cache.pointer_path(commit).join(file);
        let up = "../".repeat(2 + file.matches('/').count());
        let target = PathBuf::from(format!("{up}blobs/{etag}"));
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        if std::fs::read_link(&path).is_ok_and(|old| old == target) {
            return Ok(path);
        }
        if path.symlink_metadata().is_ok() {
            std::fs::remove_file(&path)?;
        }
        match symlink(&target, &path) {
            // Another load of the same file was quicker.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(path),
            // A file system without links, or Windows where they are not allowed.
            Err(_) => std::fs::rename(self.blob(etag), &path).map(|()| path),
            Ok(()) => Ok(path),
        }
    }

    /// The names of a commit's files that are in the cache.
    pub(super) fn list(&self, commit: &str) -> Result<Vec<String>> {
        let top = self.cache.pointer_path(commit);
        let mut names = Vec::new();
        if top.is_dir() {
            walk(&top, "", &mut names).context(|| format!("reading {}", top.display()))?;
        }
        names.sort();
        Ok(names)
    }

    fn reference(&self) -> PathBuf {
        self.folder.join("refs").join(&self.revision)
    }

    fn absent(&self, commit: &str, file: &str) -> PathBuf {
        self.folder.join(".no_exist").join(commit).join(file)
    }
}

fn walk(folder: &Path, prefix: &str, names: &mut Vec<String>) -> io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        let name = format!("{prefix}{name}");
        // The links are to files: a link to a folder is not ours, and might lead in circles.
        if entry.file_type()?.is_dir() {
            walk(&entry.path(), &format!("{name}/"), names)?;
        } else if entry.path().is_file() {
            names.push(name);
        }
    }
    Ok(())
}

#[cfg(unix)]
fn symlink(target: &Path, path: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, path)
}

#[cfg(windows)]
fn symlink(target: &Path, path: &Path) -> io::Result<()> {
    std::os::windows::fs::symlink_file(target, path)
}
