//! What the tests run against.

use std::path::{Path, PathBuf};

/// The installed kernel: `FERROLENS_KERNEL`, or the one in the user's data folder.
///
/// # Panics
/// When there is none: `./install.sh --test` installs it first.
pub fn installed_kernel() -> PathBuf {
    let path = std::env::var_os("FERROLENS_KERNEL")
        .map(PathBuf::from)
        .unwrap_or_else(|| {
            let data = std::env::var_os("XDG_DATA_HOME")
                .map(PathBuf::from)
                .unwrap_or_else(|| {
                    std::env::home_dir()
                        .expect("a home folder")
                        .join(".local/share")
                });
            data.join("ferrolens/bin/ferrolens-kernel")
        });
    assert!(
        path.is_file(),
        "{} is missing: run ./install.sh --test",
        path.display()
    );
    path
}

/// A file beside the project that only its developers have; `None`, with a message, where it is
/// absent.
pub fn shared(path: &str) -> Option<PathBuf> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../shared")
        .join(path);
    if path.exists() {
        return Some(path);
    }
    eprintln!("skipped: {} is not here", path.display());
    None
}
