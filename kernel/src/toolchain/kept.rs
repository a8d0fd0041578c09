//! Compiled cells that are kept for the next time that somebody runs the same text, and what the analyzer said
//! of it: "Run all" on an unchanged notebook then compiles nothing, and waits for no analyzer.
//!
//! A key is a hash of everything that the compiler is given. Two folders are looked into: one in the
//! installation, which whoever installs may fill for a class, and the user's own.

use super::prebuilt::Prebuilt;
use sha2::{Digest, Sha256};
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// Where compiled cells are kept, in the place of the user's own folder; `off` keeps none.
pub const KEPT_CELLS_ENV: &str = "FERROLENS_KEPT_CELLS";

/// How much the user's own folder may hold.
const LIMIT: u64 = 512 << 20;

/// How the files end.
const LIBRARY: &str = "so";
const SAID: &str = "said";

/// The folders of kept cells.
#[derive(Debug)]
pub struct KeptCells {
    installed: PathBuf,
    own: PathBuf,
    /// Which prelude cells are compiled against.
    prelude: String,
}

/// What a cell is known by.
#[derive(Debug, Clone)]
pub(crate) struct Key(Sha256);

impl Key {
    /// Of everything that decides what is kept, but the prelude.
    pub(crate) fn of(parts: impl IntoIterator<Item = impl AsRef<str>>) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            let part = part.as_ref();
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        Self(hash)
    }
}

impl KeptCells {
    /// Those of this user; `None` where none are wanted, or no folder can be told.
    pub fn find(prebuilt: &Prebuilt) -> Option<Self> {
        let own = own_folder()?;
        let library = std::fs::metadata(prebuilt.library()).ok()?;
        Some(Self {
            installed: prebuilt.folder().with_file_name("cells"),
            own,
            prelude: format!(
                "{} {}.{} {}",
                library.len(),
                library.mtime(),
                library.mtime_nsec(),
                prebuilt.rustc_version().unwrap_or_default()
            ),
        })
    }

    /// Copies the cell's library to `to`; false where it is not there.
    ///
    /// A copy, since the child's loader takes the same file for the same library, whose statics would
    /// then be those of the earlier run.
    pub(super) fn take(&self, key: &Key, to: &Path) -> bool {
        self.find_kept(key, LIBRARY)
            .is_some_and(|kept| std::fs::copy(kept, to).is_ok())
    }

    /// Keeps a copy of the cell's library. Where that fails, the cell is compiled again the next time.
    pub(super) fn keep(&self, key: &Key, library: &Path) {
        self.put(key, LIBRARY, |to| std::fs::copy(library, to).map(drop));
    }

    /// What was said about a text.
    pub(crate) fn said(&self, key: &Key) -> Option<String> {
        std::fs::read_to_string(self.find_kept(key, SAID)?).ok()
    }

    /// Keeps what is said about a text.
    pub(crate) fn keep_said(&self, key: &Key, said: &str) {
        self.put(key, SAID, |to| std::fs::write(to, said));
    }

    fn find_kept(&self, key: &Key, kind: &str) -> Option<PathBuf> {
        let name = self.name(key, kind);
        let kept = [&self.own, &self.installed]
            .into_iter()
            .map(|folder| folder.join(&name))
            .find(|kept| kept.is_file())?;
        // What was used last goes last. The installation's may be read-only.
        let _ = std::fs::File::open(&kept).and_then(|file| file.set_modified(SystemTime::now()));
        Some(kept)
    }

    /// A file is there whole or not at all.
    fn put(&self, key: &Key, kind: &str, write: impl FnOnce(&Path) -> std::io::Result<()>) {
        let kept = self.own.join(self.name(key, kind));
        let unfinished = kept.with_extension(format!("{}", std::process::id()));
        let done = private_folder(kept.parent().unwrap_or(&self.own))
            .and_then(|()| write(&unfinished))
            .and_then(|()| std::fs::rename(&unfinished, &kept));
        if done.is_err() {
            let _ = std::fs::remove_file(unfinished);
        }
    }

    /// E.g. `3f/9a….so`, below either folder.
    fn name(&self, key: &Key, kind: &str) -> PathBuf {
        let mut hash = key.0.clone();
        hash.update(&self.prelude);
        let name: String = hash
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Path::new(&name[..2]).join(format!("{}.{kind}", &name[2..]))
    }
}

/// How many compiled cells are kept for this user, and how many bytes they have; `None` where none are to be.
pub fn held() -> Option<(PathBuf, usize, u64)> {
    let folder = own_folder()?;
    let files = files(&folder);
    let bytes = files.iter().map(|file| file.bytes).sum();
    Some((folder, files.len(), bytes))
}

/// Removes those that were not used for the longest time, where there are too many.
pub fn sweep() {
    if let Some(folder) = own_folder() {
        sweep_to(&folder, LIMIT);
    }
}

fn sweep_to(folder: &Path, limit: u64) {
    let mut files = files(folder);
    files.sort_by_key(|file| std::cmp::Reverse(file.used));
    let mut bytes = 0;
    for file in files {
        bytes += file.bytes;
        if bytes > limit {
            let _ = std::fs::remove_file(file.path);
        }
    }
}

struct Kept {
    path: PathBuf,
    bytes: u64,
    used: SystemTime,
}

fn files(folder: &Path) -> Vec<Kept> {
    let inside = |folder: &Path| -> Vec<PathBuf> {
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    };
    inside(folder)
        .iter()
        .flat_map(|folder| inside(folder))
        .filter_map(|path| {
            let about = std::fs::metadata(&path).ok()?;
            Some(Kept {
                path,
                bytes: about.len(),
                used: about.modified().ok()?,
            })
        })
        .collect()
}

fn own_folder() -> Option<PathBuf> {
    match std::env::var_os(KEPT_CELLS_ENV) {
        Some(off) if off == "off" => None,
        Some(folder) => Some(folder.into()),
        None => {
            let cache = std::env::var_os("XDG_CACHE_HOME")
                .map(PathBuf::from)
                .filter(|folder| folder.is_absolute())
                .or_else(|| Some(std::env::home_dir()?.join(".cache")))?;
            Some(cache.join("ferrolens/cells"))
        }
    }
}

/// What lies there is run: nobody else may put anything in.
fn private_folder(folder: &Path) -> std::io::Result<()> {
    std::fs::DirBuilder::new()
        .mode(0o700)
        .recursive(true)
        .create(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cells(folder: &Path, prelude: &str) -> KeptCells {
        KeptCells {
            installed: folder.join("installed"),
            own: folder.join("own"),
            prelude: prelude.to_owned(),
        }
    }

    #[test]
    fn the_same_text_settings_and_prelude_are_the_same_cell() {
        let folder = tempfile::tempdir().expect("a folder");
        let (library, taken) = (folder.path().join("a.so"), folder.path().join("b.so"));
        std::fs::write(&library, b"code").expect("written");
        let one = cells(folder.path(), "one");
        let key = Key::of(["1 + 1", "-Copt-level=1"]);
        assert!(!one.take(&key, &taken));
        one.keep(&key, &library);
        assert!(one.take(&key, &taken));
        assert_eq!(std::fs::read(&taken).expect("copied"), b"code");
        for (text, level, prelude) in [
            ("1 + 2", "-Copt-level=1", "one"),
            ("1 + 1", "-Copt-level=2", "one"),
            ("1 + 1", "-Copt-level=1", "two"),
        ] {
            let key = Key::of([text, level]);
            assert!(!cells(folder.path(), prelude).take(&key, &taken), "{text}");
        }
        std::fs::rename(folder.path().join("own"), folder.path().join("installed")).expect("moved");
        assert!(one.take(&key, &taken), "the installation's");
    }

    #[test]
    fn what_was_not_used_for_the_longest_time_goes() {
        let folder = tempfile::tempdir().expect("a folder");
        let kept = cells(folder.path(), "");
        let library = folder.path().join("a.so");
        std::fs::write(&library, [0; 100]).expect("written");
        let key = |text| Key::of([text]);
        for (age, text) in ["new", "old", "older"].into_iter().enumerate() {
            kept.keep(&key(text), &library);
            let then = SystemTime::now() - std::time::Duration::from_secs(60 * age as u64);
            std::fs::File::open(kept.own.join(kept.name(&key(text), LIBRARY)))
                .and_then(|file| file.set_modified(then))
                .expect("dated");
        }
        sweep_to(&kept.own, 200);
        assert_eq!(files(&kept.own).len(), 2);
        assert!(!kept.take(&key("older"), &library));
        assert!(kept.take(&key("old"), &library));
    }
}
