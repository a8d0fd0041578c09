//! Cells with `:dep`: the real cargo builds what the user added, with the prelude at hand.

use super::cell::link_args;
use super::front::{FRONT_ENV, REAL_CARGO_ENV, real_command};
use super::prebuilt::Prebuilt;
use super::rewrite::{self, Fallback, How};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Whether the crate of cells has dependencies of its own.
pub(super) fn has_dependencies(manifest: &Path) -> bool {
    let Ok(text) = std::fs::read_to_string(manifest) else {
        return false;
    };
    text.lines()
        .skip_while(|line| line.trim() != "[dependencies]")
        .skip(1)
        .any(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'))
}

/// Replaces this process by cargo, whose rustc can name the prelude.
pub(super) fn compile(manifest: &Path, args: &[String]) -> Result<i32, String> {
    let prebuilt = Prebuilt::find()?;
    let folder = manifest
        .parent()
        .ok_or("the crate of cells has no folder")?;
    let how = How {
        fallback: Fallback::Plain,
        // The same text must compile the first time: cargo's messages go out as they come.
        checks: false,
    };
    rewrite::file(&folder.join("src/lib.rs"), how)?;
    let mut flags = vec!["-Cprefer-dynamic".to_owned()];
    flags.extend(link_args(&prebuilt));
    let error = real_command(REAL_CARGO_ENV, "cargo")
        .args(args)
        .env_remove("RUSTFLAGS")
        .envs(
            std::env::var(FRONT_ENV)
                .map(|front| ("RUSTC_WORKSPACE_WRAPPER", format!("{front}/rustc"))),
        )
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
        .exec();
    Err(format!("cargo could not be started: {error}"))
}

/// The standard library's source, which the analyzer reads: the toolchain's own component, or a
/// distribution's copy.
pub fn std_source(rustc: &Path) -> Option<PathBuf> {
    let output = Command::new(rustc)
        .args(["--print", "sysroot"])
        .output()
        .ok()?;
    let sysroot = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    let component = sysroot.join("lib/rustlib/src/rust/library");
    if component.join("std/src/lib.rs").is_file() {
        return Some(component);
    }
    let data = std::env::var_os("XDG_DATA_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(std::env::home_dir()?.join(".local/share")))?;
    let mut candidates = vec![data.join("ferrolens-rust-src/library")];
    for entry in std::fs::read_dir("/usr/src")
        .into_iter()
        .flatten()
        .flatten()
    {
        if entry.file_name().to_string_lossy().starts_with("rustc-") {
            candidates.push(entry.path().join("library"));
        }
    }
    candidates
        .into_iter()
        .rfind(|folder| folder.join("std/src/lib.rs").is_file())
}
