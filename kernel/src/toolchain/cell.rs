//! A cell without `:dep` is one call of rustc: no lock, no freshness checks, no build directory.

use super::front::{REAL_RUSTC_ENV, real_command};
use super::prebuilt::Prebuilt;
use super::rewrite;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Stdio;

/// The name that the engine gives to its crate of cells.
const CRATE: &str = "ctx";

/// Where the engine wants to read the path of the library.
const RESULT_ENV: &str = "EVCXR_EXECUTION_SO_PATH";

/// Compiles `src/lib.rs` beside `manifest`, and prints the compiler's messages as cargo would.
/// Returns the exit status.
pub(super) fn compile(manifest: &Path, only_check: bool) -> Result<i32, String> {
    let prebuilt = Prebuilt::find()?;
    let crate_folder = manifest.parent().ok_or("the crate of cells has no folder")?;
    let source = crate_folder.join("src/lib.rs");
    rewrite::file(&source)?;
    let out = crate_folder.join("target");
    std::fs::create_dir_all(&out).map_err(|error| no_space(&error))?;
    let settings = std::fs::read_to_string(manifest).map_err(|error| error.to_string())?;

    let mut rustc = real_command(REAL_RUSTC_ENV, "rustc");
    rustc
        .current_dir(crate_folder)
        .args(["--crate-name", CRATE, "--edition=2024", "src/lib.rs", "--crate-type", "cdylib"])
        .args(["--error-format=json", "--json=diagnostic-rendered-ansi,future-incompat"])
        .arg(if only_check { "--emit=metadata" } else { "--emit=link" })
        .arg("--out-dir")
        .arg(&out)
        .arg(format!("-Copt-level={}", opt_level(&settings)))
        .args(["-Cdebug-assertions=on", "-Coverflow-checks=on", "-Cprefer-dynamic"])
        .args(["-Ccodegen-units=16", "-Cstrip=debuginfo", "-Cpanic=unwind"])
        .args(link_args(&prebuilt))
        .stdin(Stdio::null())
        .stdout(Stdio::inherit())
        .stderr(Stdio::piped());
    // SAFETY: between fork and exec, one system call that takes no memory: the compiler ends when
    // this process does.
    unsafe {
        rustc.pre_exec(|| {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            Ok(())
        });
    }
    let mut child = rustc.spawn().map_err(|error| format!("rustc could not be started: {error}"))?;
    if let Some(messages) = child.stderr.take() {
        relay(BufReader::new(messages))?;
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    if status.success() && !only_check && let Some(result) = std::env::var_os(RESULT_ENV) {
        let library = out.join(format!("lib{CRATE}.so"));
        std::fs::write(result, library.to_string_lossy().as_bytes())
            .map_err(|error| no_space(&error))?;
    }
    Ok(status.code().unwrap_or(101))
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
fn relay(messages: impl BufRead) -> Result<(), String> {
    let mut out = std::io::stdout().lock();
    for line in messages.split(b'\n') {
        let line = line.map_err(|error| error.to_string())?;
        match serde_json::from_slice::<serde_json::Value>(&line) {
            Ok(message) => {
                let message = serde_json::json!({"reason": "compiler-message", "message": message});
                writeln!(out, "{message}").map_err(|error| error.to_string())?;
            }
            Err(_) => {
                let _ = std::io::stderr().write_all(&line).and_then(|()| std::io::stderr().write_all(b"\n"));
            }
        }
    }
    Ok(())
}

/// The optimisation level that the session chose with `:opt`.
fn opt_level(manifest: &str) -> &str {
    manifest
        .lines()
        .find_map(|line| line.trim().strip_prefix("opt-level ="))
        .map_or("2", |level| level.trim().trim_matches('"'))
}

fn no_space(error: &std::io::Error) -> String {
    format!("the cell's library cannot be written: {error}. Free some space in the temporary folder")
}
