//! Files that are there whole or not at all.

use crate::error::{Error, Result};
use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

/// Where results are kept that nobody named a folder for: `FERROLENS_CACHE`, else `ferrolens` in the
/// user's cache folder.
///
/// # Errors
/// There is no such folder, as there is no home.
pub(crate) fn cache_folder() -> Result<PathBuf> {
    folder_from(|name| std::env::var_os(name), std::env::home_dir())
}

fn folder_from(
    variable: impl Fn(&str) -> Option<OsString>,
    home: Option<PathBuf>,
) -> Result<PathBuf> {
    let path = |name: &str| {
        let value = variable(name).filter(|value| !value.is_empty());
        value.map(PathBuf::from)
    };
    let of_user = || path("XDG_CACHE_HOME").or_else(|| home.map(|home| home.join(".cache")));
    path("FERROLENS_CACHE")
        .or_else(|| of_user().map(|folder| folder.join("ferrolens")))
        .ok_or_else(|| {
            Error::new(
                "there is no folder to keep results in, as there is no home folder: set \
                 FERROLENS_CACHE, or give one.",
            )
        })
}

/// Writes a file under another name, and gives it its own when it is whole: whoever reads it, now or
/// after a crash, finds the last one or this one.
///
/// # Errors
/// The folder cannot be made, or the disk is full; what was begun is removed then, and the last file
/// is as it was.
pub(super) fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let failed = |error: std::io::Error| {
        let megabytes = bytes.len() as f64 / 1e6;
        let what = match error.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => format!(
                "the disk is full: {megabytes:.1} MB were needed for {}. Free some space, or choose \
                 another folder with `cache_in(..)` or FERROLENS_CACHE.",
                path.display()
            ),
            _ => format!(
                "{} cannot be written ({error}): choose another folder with `cache_in(..)` or \
                 FERROLENS_CACHE.",
                path.display()
            ),
        };
        Error::with_source(what, error)
    };
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(failed)?;
    }
    let partial = partial(path);
    let written = fs::write(&partial, bytes)
        // What a crash of the machine finds under the name must be on the disk before.
        .and_then(|()| File::open(&partial)?.sync_all())
        .and_then(|()| fs::rename(&partial, path));
    written.map_err(|error| {
        let _ = fs::remove_file(&partial);
        failed(error)
    })
}

/// The name of a file while this process writes it.
fn partial(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or(path.as_os_str()).to_owned();
    name.push(format!(".{}.partial", std::process::id()));
    path.with_file_name(name)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Makes the next write of this file fail as on a full disk: its first name leads to a device that
    /// is always full.
    #[cfg(target_os = "linux")]
    pub(crate) fn fill_disk_for(path: &Path) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink("/dev/full", partial(path)).unwrap();
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_disk_leaves_the_last_file_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b.bin");
        write_whole(&path, b"1").unwrap();
        fill_disk_for(&path);
        let failed = write_whole(&path, &vec![0; 2_500_000]);
        let message = failed.unwrap_err().to_string();
        assert!(
            message.contains("disk is full") && message.contains("2.5 MB"),
            "{message}"
        );
        assert_eq!(fs::read(&path).unwrap(), b"1");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
        write_whole(&path, b"2").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"2");
    }

    #[test]
    fn a_folder_that_cannot_be_is_a_sentence() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        fs::write(&file, b"").unwrap();
        let failed = write_whole(&file.join("b"), b"1");
        let message = failed.unwrap_err().to_string();
        assert!(
            message.contains("cannot be written") && message.contains("cache_in"),
            "{message}"
        );
    }

    #[test]
    fn the_folder_is_what_the_environment_says() {
        let of = |set: &[(&str, &str)], home: Option<&str>| {
            let variable = |name: &str| {
                let found = set.iter().find(|(other, _)| *other == name);
                found.map(|(_, value)| OsString::from(value))
            };
            folder_from(variable, home.map(PathBuf::from)).map_err(|error| error.to_string())
        };
        let both = [("FERROLENS_CACHE", "/a"), ("XDG_CACHE_HOME", "/b")];
        assert_eq!(of(&both, Some("/h")), Ok("/a".into()));
        assert_eq!(of(&both[1..], Some("/h")), Ok("/b/ferrolens".into()));
        assert_eq!(
            of(&[("FERROLENS_CACHE", "")], Some("/h")),
            Ok("/h/.cache/ferrolens".into())
        );
        assert!(of(&[], None).unwrap_err().contains("FERROLENS_CACHE"));
    }
}
