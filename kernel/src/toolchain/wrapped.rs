//! This binary between the real cargo and rustc, for cells with `:dep`: what [`super::cell`] does for
//! the others.

use super::cell;
use std::io::Write;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// Calls `real`; where it compiles a cell, with the cell rewritten, and with messages as the session wants them.
pub(super) fn compile(real: &str, args: &[String]) -> Result<i32, String> {
    let mut rustc = Command::new(real);
    rustc.args(args);
    let is_cell = args
        .windows(2)
        .any(|pair| pair[0] == "--crate-name" && pair[1] == cell::CRATE);
    if !is_cell {
        return Err(format!("{real} could not be started: {}", rustc.exec()));
    }
    let folder = std::env::current_dir().map_err(|error| error.to_string())?;
    let (status, messages) = cell::attempts(&folder, |rewritten| {
        let output = Command::new(real)
            .args(args)
            .args(cell::debug_args(rewritten))
            .stdout(Stdio::inherit())
            .output()
            .map_err(|error| format!("{real} could not be started: {error}"))?;
        Ok((output.status.code().unwrap_or(101), output.stderr))
    })?;
    let mut out = std::io::stderr().lock();
    for line in String::from_utf8_lossy(&messages).lines() {
        let line = match serde_json::from_str(line) {
            Ok(message) => cell::whole(message).to_string(),
            Err(_) => line.to_owned(),
        };
        writeln!(out, "{line}").map_err(|error| error.to_string())?;
    }
    Ok(status)
}
