//! A cell without `:dep` is one call of rustc: no lock, no freshness checks, no build directory.

use super::front::{REAL_RUSTC_ENV, real_command};
use super::kept::{KeptCells, Key};
use super::prebuilt::Prebuilt;
use super::rewrite::{self, Checks, How, Rewritten};
use ferrolens_frames::CELL_SOURCE;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Stdio;

/// The name that the engine gives to its crate of cells.
pub(super) const CRATE: &str = "ctx";

/// What the session knows a message's additions by; see [`whole`].
pub(crate) const ADDED: &str = "ferrolens_added";

/// Where the engine wants to read the path of the library.
const RESULT_ENV: &str = "EVCXR_EXECUTION_SO_PATH";

/// The level at which cells are compiled until a `:opt` says otherwise, and those that do not calculate at 0. The
/// library that they call is optimised whatever this is.
pub const USUAL_OPT_LEVEL: &str = "1";

/// A file of this name in the session's folder switches the checks in loops off.
pub const UNINTERRUPTIBLE: &str = "uninterruptible";

/// Beside the engine's crate of cells: its source as [`rewrite::Rewritten::readable`] has it.
pub const READABLE: &str = "readable.rs";

/// Compiles `src/lib.rs` beside `manifest`, and prints the compiler's messages as cargo would.
/// Returns the exit status.
pub(super) fn compile(manifest: &Path, only_check: bool) -> Result<i32, String> {
    let prebuilt = Prebuilt::find()?;
    let crate_folder = manifest
        .parent()
        .ok_or("the crate of cells has no folder")?;
    let out = crate_folder.join("target");
    std::fs::create_dir_all(&out).map_err(|error| no_space(&error))?;
    let library = out.join(format!("lib{CRATE}.so"));
    let settings = std::fs::read_to_string(manifest).map_err(|error| error.to_string())?;
    let kept = KeptCells::find(&prebuilt).filter(|_| !only_check);

    let (status, messages) = attempts(crate_folder, |rewritten| {
        let level = match opt_level(&settings) {
            USUAL_OPT_LEVEL if !rewritten.is_hot => "0",
            level => level,
        };
        let mut settings = settings_of_cells(level, &prebuilt);
        settings.extend(debug_args(rewritten));
        let key = kept
            .as_ref()
            .map(|_| Key::of(settings.iter().chain([&rewritten.text])));
        if let (Some(kept), Some(key)) = (&kept, &key)
            && kept.take(key, &library)
        {
            return Ok((0, Vec::new()));
        }
        let (status, messages) = rustc(crate_folder, &out, &settings, only_check)?;
        if let (0, Some(kept), Some(key)) = (status, &kept, &key)
            && reads_nothing_else(&out.join(format!("{CRATE}.d")))
        {
            kept.keep(key, &library);
        }
        Ok((status, messages))
    })?;
    relay(&messages)?;
    if status == 0
        && !only_check
        && let Some(result) = std::env::var_os(RESULT_ENV)
    {
        std::fs::write(result, library.to_string_lossy().as_bytes())
            .map_err(|error| no_space(&error))?;
    }
    Ok(status)
}

/// Rewrites the cell that the engine has generated, and compiles it; again without what was put in where
/// the compiler's messages show that. Returns the last exit status and its messages.
pub(super) fn attempts(
    crate_folder: &Path,
    mut compile: impl FnMut(&Rewritten) -> Result<(i32, Vec<u8>), String>,
) -> Result<(i32, Vec<u8>), String> {
    let source = crate_folder.join("src/lib.rs");
    let generated = std::fs::read_to_string(&source).map_err(|error| error.to_string())?;
    let checks = if interruptible(crate_folder) {
        Checks::Pieces
    } else {
        Checks::Nowhere
    };
    let readable = crate_folder.join(READABLE);
    let mut how = How::first(&generated, checks);
    loop {
        let rewritten = rewrite::source(&generated, how);
        let write =
            |file: &Path, text: &str| std::fs::write(file, text).map_err(|error| no_space(&error));
        write(&source, &rewritten.text)?;
        write(&readable, &rewritten.readable)?;
        let (status, messages) = compile(&rewritten)?;
        match how.after(&messages).filter(|_| status != 0) {
            Some(next) => how = next,
            None if status == 0 => return Ok((status, messages)),
            None => {
                // The engine knows by the line what an error is about.
                write(&readable, &rewritten.readable_as_generated())?;
                return Ok((status, rewritten.messages_as_generated(&messages)));
            }
        }
    }
}

/// Everything that decides what a cell becomes, but its text.
fn settings_of_cells(opt_level: &str, prebuilt: &Prebuilt) -> Vec<String> {
    let mut settings: Vec<String> = [
        "--crate-name",
        CRATE,
        "--edition=2024",
        "--crate-type",
        "cdylib",
        "-Cdebug-assertions=on",
        "-Coverflow-checks=on",
        "-Cprefer-dynamic",
        "-Ccodegen-units=16",
        "-Cpanic=unwind",
        // Most of the time of a cell that instantiates generics, for code that runs once.
        "-Clto=off",
    ]
    .map(str::to_owned)
    .into();
    settings.push(format!("-Copt-level={opt_level}"));
    settings.extend(link_args(prebuilt));
    settings
}

/// One call of the compiler; its exit status and messages.
fn rustc(
    crate_folder: &Path,
    out: &Path,
    settings: &[String],
    only_check: bool,
) -> Result<(i32, Vec<u8>), String> {
    let mut rustc = real_command(REAL_RUSTC_ENV, "rustc");
    rustc
        .current_dir(crate_folder)
        .arg("src/lib.rs")
        .args(settings)
        .args([
            "--error-format=json",
            "--json=diagnostic-rendered-ansi,future-incompat",
        ])
        .arg(if only_check {
            "--emit=metadata"
        } else {
            "--emit=link,dep-info"
        })
        .arg("--out-dir")
        .arg(out)
        .stdin(Stdio::null());
    // SAFETY: between fork and exec, one system call that takes no memory: the compiler ends when
    // this process does.
    unsafe {
        rustc.pre_exec(|| {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            Ok(())
        });
    }
    let output = rustc
        .output()
        .map_err(|error| format!("rustc could not be started: {error}"))?;
    Ok((output.status.code().unwrap_or(101), output.stderr))
}

/// Whether the compiler says that it has read the cell's own text only: no other file, nothing of the
/// environment.
fn reads_nothing_else(record: &Path) -> bool {
    std::fs::read_to_string(record).is_ok_and(|record| {
        record
            .lines()
            .filter(|line| !line.trim().is_empty())
            .all(|line| match line.split_once(": ") {
                Some((_, read)) => read.trim() == "src/lib.rs",
                None => line.trim() == "src/lib.rs:",
            })
    })
}

/// What lets a panic say which lines of which cells led to it.
pub(super) fn debug_args(cell: &Rewritten) -> [String; 3] {
    // A backtrace, and a panic's own place, then name the cell's library that they are about.
    let number = rewrite::identity(&cell.readable);
    [
        "-Cdebuginfo=line-tables-only".to_owned(),
        "-Cstrip=none".to_owned(),
        format!("--remap-path-prefix=src={CELL_SOURCE}{number}"),
    ]
}

/// The message with what the compiler adds under another name: where the engine finds help about the
/// user's code below an error about its own, it forgets the error.
pub(super) fn whole(mut message: serde_json::Value) -> serde_json::Value {
    if message["level"] == "error"
        && let Some(children) = message.get_mut("children").map(serde_json::Value::take)
    {
        message["children"] = serde_json::json!([]);
        message[ADDED] = children;
    }
    message
}

/// What lets a crate name the prelude and find it when it is loaded.
pub(super) fn link_args(prebuilt: &Prebuilt) -> Vec<String> {
    vec![
        "--extern".to_owned(),
        format!("ferrolens={}", prebuilt.library().display()),
        "-L".to_owned(),
        format!("dependency={}", prebuilt.crates().display()),
        format!("-Clink-arg=-Wl,-rpath,{}", prebuilt.folder().display()),
    ]
}

/// Prints each message as cargo does: JSON inside a line of JSON; the rest as it is.
fn relay(messages: &[u8]) -> Result<(), String> {
    let mut out = std::io::stdout().lock();
    for line in String::from_utf8_lossy(messages).lines() {
        match serde_json::from_str::<serde_json::Value>(line) {
            Ok(message) => {
                let message = whole(message);
                let message = serde_json::json!({"reason": "compiler-message", "message": message});
                writeln!(out, "{message}").map_err(|error| error.to_string())?;
            }
            Err(_) => eprintln!("{line}"),
        }
    }
    Ok(())
}

/// The optimisation level that the session chose with `:opt`.
fn opt_level(manifest: &str) -> &str {
    manifest
        .lines()
        .find_map(|line| line.trim().strip_prefix("opt-level ="))
        .map_or(USUAL_OPT_LEVEL, |level| level.trim().trim_matches('"'))
}

/// Whether the loops of cells look at the interrupt: the session leaves a file beside the crate when
/// they should not.
fn interruptible(crate_folder: &Path) -> bool {
    !crate_folder.with_file_name(UNINTERRUPTIBLE).exists()
}

fn no_space(error: &std::io::Error) -> String {
    format!(
        "the cell's library cannot be written: {error}. Free some space in the temporary folder"
    )
}
