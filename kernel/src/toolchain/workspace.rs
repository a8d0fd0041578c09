//! Cells with `:dep`: the real cargo builds what the user added, with the prelude at hand.

use super::cell::link_args;
use super::front::{FRONT_ENV, REAL_CARGO_ENV, real_command};
use super::prebuilt::Prebuilt;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// How the standard library's files are called in what was compiled with it, before its commit.
pub const STANDARD_LIBRARY: &str = "/rustc/";

/// The dependencies of its own that the crate of cells has, as its manifest names them.
pub fn dependencies(manifest: &Path) -> Option<String> {
    let text = std::fs::read_to_string(manifest).ok()?;
    let lines = text
        .lines()
        .skip_while(|line| line.trim() != "[dependencies]")
        .skip(1)
        .filter(|line| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
    let found: Vec<&str> = lines.collect();
    (!found.is_empty()).then(|| found.join("\n"))
}

/// Whether the crate of cells has dependencies of its own.
pub(super) fn has_dependencies(manifest: &Path) -> bool {
    dependencies(manifest).is_some()
}

/// The file in the session's folder that says how far a build is: one line for each change.
pub const PROGRESS: &str = "progress";

/// Runs cargo, whose rustc can name the prelude, and keeps a record of how far it is.
pub(super) fn compile(manifest: &Path, args: &[String]) -> Result<i32, String> {
    let prebuilt = Prebuilt::find()?;
    let folder = manifest
        .parent()
        .ok_or("the crate of cells has no folder")?;
    let mut flags = vec!["-Cprefer-dynamic".to_owned()];
    flags.extend(link_args(&prebuilt));
    let mut cargo = real_command(REAL_CARGO_ENV, "cargo");
    cargo
        .args(args)
        .env_remove("RUSTFLAGS")
        .envs(
            std::env::var(FRONT_ENV)
                .map(|front| ("RUSTC_WORKSPACE_WRAPPER", format!("{front}/rustc"))),
        )
        .env("CARGO_ENCODED_RUSTFLAGS", flags.join("\u{1f}"))
        .env("CARGO_TERM_PROGRESS_WHEN", "always")
        .env("CARGO_TERM_PROGRESS_WIDTH", "100")
        .stderr(Stdio::piped());
    // SAFETY: between fork and exec, one system call that takes no memory: cargo ends when this
    // process does.
    unsafe {
        cargo.pre_exec(|| {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            Ok(())
        });
    }
    let failed = |error: std::io::Error| format!("cargo could not be started: {error}");
    let mut cargo = cargo.spawn().map_err(failed)?;
    if let Some(messages) = cargo.stderr.take() {
        // Without the record the build is as good.
        let mut record = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(folder.with_file_name(PROGRESS))
            .ok();
        follow(BufReader::new(messages), |line| match line {
            Said::Progress(text) => {
                if let Some(record) = &mut record {
                    let _ = writeln!(record, "{text}");
                }
            }
            Said::Line(text) => eprintln!("{text}"),
        });
    }
    let status = cargo.wait().map_err(failed)?;
    Ok(status.code().unwrap_or(101))
}

/// What cargo says on its error stream.
enum Said {
    /// How far it is.
    Progress(String),
    /// A line for whoever called it.
    Line(String),
}

/// Takes cargo's lines apart; its progress bar is a line that ends in a carriage return.
fn follow(mut messages: impl BufRead, mut say: impl FnMut(Said)) {
    let mut piece = Vec::new();
    loop {
        let (bytes, ended) = match messages.fill_buf() {
            Ok([]) | Err(_) => (0, true),
            Ok(bytes) => {
                let end = bytes.iter().position(|byte| matches!(byte, b'\r' | b'\n'));
                piece.extend_from_slice(&bytes[..end.unwrap_or(bytes.len())]);
                (end.map_or(bytes.len(), |at| at + 1), end.is_some())
            }
        };
        messages.consume(bytes);
        if ended {
            let text = String::from_utf8_lossy(&piece).into_owned();
            piece.clear();
            // The bar is wiped out with an escape before each line.
            let text = text.trim_start_matches("\u{1b}[K").trim_end();
            if let Some(progress) = progress(text) {
                say(Said::Progress(progress));
            }
            if !text.is_empty() && !text.trim_start().starts_with("Building [") {
                say(Said::Line(text.to_owned()));
            }
        }
        if bytes == 0 {
            return;
        }
    }
}

/// `Building [==>  ] 3/12: serde, syn` as `compiling 3/12: serde, syn`, and lines about one crate.
fn progress(text: &str) -> Option<String> {
    let text = text.trim();
    if let Some((_, rest)) = text
        .strip_prefix("Building [")
        .and_then(|bar| bar.split_once("] "))
    {
        return Some(format!("compiling {rest}"));
    }
    [
        "Compiling ",
        "Downloading ",
        "Downloaded ",
        "Updating ",
        "Locking ",
    ]
    .iter()
    .any(|verb| text.starts_with(verb))
    // The crate of cells is none that the user added.
    .then(|| text.to_owned())
    .filter(|text| !text.starts_with("Compiling ctx "))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_is_progress_and_the_rest_is_passed_on() {
        let stream = "    Updating crates.io index\n\u{1b}[K   Compiling either v1.15.0\n    Building \
                      [====>   ] 1/3: either, ctx\r\u{1b}[K   Compiling ctx v1.0.0 (cells)\n\u{1b}[Kerror: x";
        let (mut record, mut lines) = (Vec::new(), Vec::new());
        follow(stream.as_bytes(), |said| match said {
            Said::Progress(text) => record.push(text),
            Said::Line(text) => lines.push(text),
        });
        assert_eq!(
            record,
            [
                "Updating crates.io index",
                "Compiling either v1.15.0",
                "compiling 1/3: either, ctx"
            ]
        );
        assert_eq!(lines.len(), 4, "{lines:?}");
        assert_eq!(lines[3], "error: x");
    }
}
