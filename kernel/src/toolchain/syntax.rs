//! What the compiler's parser says of a cell as it was written.
//!
//! The engine takes a cell apart before it compiles it. Where the cell is no Rust, the compiler then speaks of
//! what the engine made of it.

use super::front::{REAL_RUSTC_ENV, real_command};
use serde_json::Value;
use std::io::Write;
use std::process::Stdio;

/// Stands before the code, on a line of its own, so that columns stay what they are.
pub(crate) const OPENING: &str = "fn cell() {\n";

/// The errors without a code, which are those of syntax, of macros and of formats; nothing where the
/// compiler cannot be asked. Lines are counted from that of [`OPENING`].
pub(crate) fn errors(code: &str) -> Vec<Value> {
    let mut rustc = real_command(REAL_RUSTC_ENV, "rustc");
    rustc
        .args([
            "--edition=2024",
            "--crate-type=lib",
            "--crate-name=cell",
            // It ends before types are looked at.
            "--emit=dep-info",
            "--error-format=json",
            "-o",
            "/dev/null",
            "-",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let Ok(mut child) = rustc.spawn() else {
        return Vec::new();
    };
    if let Some(mut input) = child.stdin.take() {
        // Its answer says what is missing.
        let _ = input.write_all(format!("{OPENING}{code}\n}}\n").as_bytes());
    }
    let Ok(output) = child.wait_with_output() else {
        return Vec::new();
    };
    String::from_utf8_lossy(&output.stderr)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|message| message["level"] == "error" && message["code"].is_null())
        .collect()
}
