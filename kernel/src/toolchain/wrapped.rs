//! This binary between the real cargo and rustc, for cells with `:dep`: what [`super::cell`] does for
//! the others.

use super::cell;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// Calls `real`, with line tables and with messages as the session wants them where it compiles a cell.
pub(super) fn compile(real: &str, args: &[String]) -> Result<i32, String> {
    let mut rustc = Command::new(real);
    rustc.args(args);
    let is_cell = args
        .windows(2)
        .any(|pair| pair[0] == "--crate-name" && pair[1] == cell::CRATE);
    if !is_cell {
        return Err(format!("{real} could not be started: {}", rustc.exec()));
    }
    let source = std::fs::read_to_string("src/lib.rs").unwrap_or_default();
    let mut child = rustc
        .args(cell::debug_args(&source))
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| format!("{real} could not be started: {error}"))?;
    if let Some(messages) = child.stderr.take() {
        let mut out = std::io::stderr().lock();
        for line in BufReader::new(messages).lines().map_while(Result::ok) {
            let line = match serde_json::from_str(&line) {
                Ok(message) => cell::whole(message).to_string(),
                Err(_) => line,
            };
            writeln!(out, "{line}").map_err(|error| error.to_string())?;
        }
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    Ok(status.code().unwrap_or(101))
}
