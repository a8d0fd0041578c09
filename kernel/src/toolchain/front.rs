//! This binary under the name `cargo`, `rustc` or `rustup`.
//!
//! | the engine asks | the front answers |
//! | --- | --- |
//! | `rustup which cargo` / `rustc` | itself, and the real compiler |
//! | `cargo metadata` in the crate of cells | the stored graph ([`super::graph`]) |
//! | `cargo build` / `check` there, no `:dep` | the one rustc call that it is ([`super::cell`]) |
//! | the same with `:dep` | the real cargo, with the prelude at hand ([`super::workspace`]) |
//! | anything else | the real tool |
//!
//! [`OFF_ENV`] turns the second and third answer off.

use super::{cell, graph, workspace, wrapped};
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder with this binary under the names of the tools.
pub const FRONT_ENV: &str = "FERROLENS_FRONT";
/// Set to `0`, it leaves every cell to the real cargo: no graph that was stored, no compiler of its own, no
/// compiled cell that was kept.
pub const OFF_ENV: &str = "FERROLENS_CARGO_FRONT";
pub(super) const REAL_CARGO_ENV: &str = "FERROLENS_REAL_CARGO";
pub(super) const REAL_RUSTC_ENV: &str = "FERROLENS_REAL_RUSTC";
pub(super) const REAL_CARGO_HOME_ENV: &str = "FERROLENS_REAL_CARGO_HOME";

/// Becomes the tool, and does not return, when this process was called by a tool's name.
pub fn run_if_tool() {
    let Some(called) = std::env::args_os().next() else {
        return;
    };
    let name = Path::new(&called)
        .file_name()
        .and_then(|name| name.to_str());
    let Some(tool @ ("cargo" | "rustc" | "rustup")) = name else {
        return;
    };
    if std::env::var_os(FRONT_ENV).is_none() {
        return;
    }
    // SAFETY: asks the system to end this process when the kernel ends, so that no compiler is
    // left behind; no memory is involved.
    unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) };
    let args: Vec<String> = std::env::args().skip(1).collect();
    let status = match tool {
        "cargo" => cargo(&args),
        "rustc" => match args.split_first() {
            // The real cargo calls its compiler through this.
            Some((real, args)) if real.starts_with('/') => wrapped::compile(real, args),
            _ => pass_on(REAL_RUSTC_ENV, "rustc", &args),
        },
        _ => rustup(&args),
    };
    match status {
        Ok(code) => std::process::exit(code),
        Err(failure) => {
            eprintln!("error: {failure}");
            std::process::exit(101);
        }
    }
}

fn rustup(args: &[String]) -> Result<i32, String> {
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match args.as_slice() {
        ["which", "cargo"] => {
            let front = std::env::var(FRONT_ENV).map_err(|error| error.to_string())?;
            println!("{front}/cargo");
            Ok(0)
        }
        ["which", "rustc"] => {
            println!("{}", real(REAL_RUSTC_ENV, "rustc").display());
            Ok(0)
        }
        _ => Err(
            "rustup is not available inside a session: choose the toolchain before the kernel \
                  starts, and run install.sh with it"
                .to_owned(),
        ),
    }
}

fn cargo(args: &[String]) -> Result<i32, String> {
    let subcommand = args
        .iter()
        .find(|arg| !arg.starts_with('-'))
        .map(String::as_str);
    let manifest = args
        .iter()
        .position(|arg| arg == "--manifest-path")
        .and_then(|at| args.get(at + 1))
        .map_or_else(|| PathBuf::from("Cargo.toml"), PathBuf::from);
    let manifest = std::path::absolute(&manifest).map_err(|error| error.to_string())?;
    if !is_cell_crate(&manifest) {
        return pass_on(REAL_CARGO_ENV, "cargo", args);
    }
    let passes_on = is_off();
    match subcommand {
        Some("metadata") if passes_on => pass_on(REAL_CARGO_ENV, "cargo", args),
        Some("build" | "check") if passes_on => workspace::compile(&manifest, args),
        Some("metadata") => graph::answer(&manifest, args),
        Some("build") if !workspace::has_dependencies(&manifest) => cell::compile(&manifest, false),
        Some("check") if !workspace::has_dependencies(&manifest) => cell::compile(&manifest, true),
        Some("build" | "check") => workspace::compile(&manifest, args),
        _ => pass_on(REAL_CARGO_ENV, "cargo", args),
    }
}

/// Whether cells are the real cargo's.
pub fn is_off() -> bool {
    std::env::var_os(OFF_ENV).is_some_and(|switch| switch == "0")
}

/// Whether a manifest is the one that the engine writes for cells.
fn is_cell_crate(manifest: &Path) -> bool {
    let Some(cells) = std::env::var_os("EVCXR_TMPDIR") else {
        return false;
    };
    manifest.parent() == Some(Path::new(&cells))
}

/// The real tool, in the environment that the user started the kernel with.
pub(super) fn real_command(variable: &str, name: &str) -> Command {
    let mut command = Command::new(real(variable, name));
    user_environment(&mut command);
    command
}

/// Lets a command find the tools that the user has.
pub(super) fn user_environment(command: &mut Command) {
    match std::env::var_os(REAL_CARGO_HOME_ENV) {
        Some(home) => command.env("CARGO_HOME", home),
        None => command.env_remove("CARGO_HOME"),
    };
    if let (Some(front), Some(search)) = (std::env::var_os(FRONT_ENV), std::env::var_os("PATH")) {
        let front = PathBuf::from(front);
        let rest = std::env::split_paths(&search).filter(|folder| *folder != front);
        if let Ok(rest) = std::env::join_paths(rest) {
            command.env("PATH", rest);
        }
    }
}

/// Replaces this process by the real tool.
fn pass_on(variable: &str, name: &str, args: &[String]) -> Result<i32, String> {
    let error = real_command(variable, name).args(args).exec();
    Err(format!("{name} could not be started: {error}"))
}

fn real(variable: &str, name: &str) -> PathBuf {
    std::env::var_os(variable).map_or_else(|| PathBuf::from(name), PathBuf::from)
}

/// The real cargo and rustc: those of the toolchain that is in force, not rustup's proxies, which
/// cost a process each time.
///
/// # Errors
/// A sentence when there is no Rust compiler.
pub fn real_tools() -> Result<(PathBuf, PathBuf), String> {
    let find = |tool: &str| -> Option<PathBuf> {
        if let Some(path) = printed_path(Command::new("rustup").args(["which", tool])) {
            return Some(path);
        }
        let search = std::env::var_os("PATH")?;
        let mut folders: Vec<PathBuf> = std::env::split_paths(&search).collect();
        // Front ends that a desktop started often lack the folder that rustup adds to PATH.
        if let Some(home) = std::env::var_os("CARGO_HOME") {
            folders.push(PathBuf::from(home).join("bin"));
        }
        if let Some(home) = std::env::home_dir() {
            folders.push(home.join(".cargo/bin"));
        }
        folders
            .into_iter()
            .map(|folder| folder.join(tool))
            .find(|path| path.is_file())
    };
    let missing = |tool: &str| {
        format!(
            "There is no {tool} on PATH, which the kernel needs to compile cells. Install Rust from \
             https://rustup.rs, then start the kernel again."
        )
    };
    Ok((
        find("cargo").ok_or_else(|| missing("cargo"))?,
        find("rustc").ok_or_else(|| missing("rustc"))?,
    ))
}

fn printed_path(command: &mut Command) -> Option<PathBuf> {
    let output = command
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    let path = PathBuf::from(OsString::from(
        String::from_utf8(output.stdout).ok()?.trim(),
    ));
    path.is_file().then_some(path)
}
