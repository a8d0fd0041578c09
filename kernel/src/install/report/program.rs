//! Programs that the report asks.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a program prints when it succeeds.
pub(super) fn output(program: impl AsRef<Path>, args: &[&str]) -> Option<String> {
    let output = Command::new(program.as_ref())
        .args(args)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The first line of that.
pub(super) fn first_line(program: impl AsRef<Path>, args: &[&str]) -> Option<String> {
    output(program, args)?.lines().next().map(str::to_owned)
}

/// Where a program lies.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
}
