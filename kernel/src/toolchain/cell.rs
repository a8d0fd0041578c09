//! A cell without `:dep` is one call of rustc: no lock, no freshness checks, no build directory.

use super::front::{REAL_RUSTC_ENV, real_command};
use super::prebuilt::Prebuilt;
use super::rewrite::{self, Fallback, How};
use ferrolens_frames::CELL_SOURCE;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// The name that the engine gives to its crate of cells.
pub(super) const CRATE: &str = "ctx";

/// What the session knows a message's additions by; see [`whole`].
pub(crate) const ADDED: &str = "ferrolens_added";

/// Where the engine wants to read the path of the library.
const RESULT_ENV: &str = "EVCXR_EXECUTION_SO_PATH";

/// A file of this name in the session's folder switches the checks in loops off.
pub const UNINTERRUPTIBLE: &str = "uninterruptible";

/// Compiles `src/lib.rs` beside `manifest`, and prints the compiler's messages as cargo would.
/// Returns the exit status.
pub(super) fn compile(manifest: &Path, only_check: bool) -> Result<i32, String> {
    let prebuilt = Prebuilt::find()?;
    let crate_folder = manifest
        .parent()
        .ok_or("the crate of cells has no folder")?;
    let source = crate_folder.join("src/lib.rs");
    let generated = std::fs::read_to_string(&source).map_err(|error| error.to_string())?;
    let out = crate_folder.join("target");
    std::fs::create_dir_all(&out).map_err(|error| no_space(&error))?;
    let settings = std::fs::read_to_string(manifest).map_err(|error| error.to_string())?;

    let mut how = How {
        fallback: if rewrite::has_fallback(&generated) {
            Fallback::Rich
        } else {
            Fallback::Plain
        },
        checks: interruptible(crate_folder),
        gives_back: true,
    };
    let try_it = |how: How| -> Result<(i32, Vec<u8>), String> {
        std::fs::write(&source, rewrite::source(&generated, how))
            .map_err(|error| no_space(&error))?;
        let mut rustc = rustc(crate_folder, &out, &settings, &prebuilt, only_check);
        let output = rustc
            .args(debug_args(&generated))
            .output()
            .map_err(|error| format!("rustc could not be started: {error}"))?;
        Ok((output.status.code().unwrap_or(101), output.stderr))
    };
    let (mut status, mut messages) = try_it(how)?;
    while status != 0
        && let Some(next) = how.without_what_is_seen_in(&messages)
    {
        how = next;
        (status, messages) = try_it(how)?;
    }
    if status != 0 && how.fallback == Fallback::Rich {
        (status, messages) = try_it(How {
            fallback: Fallback::Plain,
            checks: false,
            gives_back: false,
        })?;
    }
    relay(&messages)?;
    if status == 0
        && !only_check
        && let Some(result) = std::env::var_os(RESULT_ENV)
    {
        let library = out.join(format!("lib{CRATE}.so"));
        std::fs::write(result, library.to_string_lossy().as_bytes())
            .map_err(|error| no_space(&error))?;
    }
    Ok(status)
}

fn rustc(
    crate_folder: &Path,
    out: &Path,
    settings: &str,
    prebuilt: &Prebuilt,
    only_check: bool,
) -> Command {
    let mut rustc = real_command(REAL_RUSTC_ENV, "rustc");
    rustc
        .current_dir(crate_folder)
        .args([
            "--crate-name",
            CRATE,
            "--edition=2024",
            "src/lib.rs",
            "--crate-type",
            "cdylib",
        ])
        .args([
            "--error-format=json",
            "--json=diagnostic-rendered-ansi,future-incompat",
        ])
        .arg(if only_check {
            "--emit=metadata"
        } else {
            "--emit=link"
        })
        .arg("--out-dir")
        .arg(out)
        .arg(format!("-Copt-level={}", opt_level(settings)))
        .args([
            "-Cdebug-assertions=on",
            "-Coverflow-checks=on",
            "-Cprefer-dynamic",
        ])
        .args(["-Ccodegen-units=16", "-Cpanic=unwind"])
        // Most of the time of a cell that instantiates generics, for code that runs once.
        .arg("-Clto=off")
        .args(link_args(prebuilt))
        .stdin(Stdio::null());
    // SAFETY: between fork and exec, one system call that takes no memory: the compiler ends when
    // this process does.
    unsafe {
        rustc.pre_exec(|| {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            Ok(())
        });
    }
    rustc
}

/// What lets a panic say which lines of which cells led to it.
pub(super) fn debug_args(generated: &str) -> Vec<String> {
    let mut args = vec![
        "-Cdebuginfo=line-tables-only".to_owned(),
        "-Cstrip=none".to_owned(),
    ];
    // A backtrace, and a panic's own place, then name the cell's library that they are about.
    if let Some(number) = rewrite::number(generated) {
        args.push(format!("--remap-path-prefix=src={CELL_SOURCE}{number}"));
    }
    args
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
        .map_or("1", |level| level.trim().trim_matches('"'))
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
