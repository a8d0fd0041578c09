//! Reasons to leave that are no messages: the front end that started this kernel has gone, or the
//! system asks the process to end.

use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};

/// Jupyter's name for the process that started the kernel.
const PARENT_ENV: &str = "JPY_PARENT_PID";

/// Returns when the kernel should leave.
pub(super) async fn leave() {
    tokio::select! {
        () = parent_is_gone() => {}
        () = asked_by(SignalKind::terminate()) => {}
        () = asked_by(SignalKind::hangup()) => {}
    }
}

/// Whether the program that started this kernel executes notebooks with nobody watching.
pub fn is_headless() -> bool {
    let command = std::env::var(PARENT_ENV)
        .ok()
        .and_then(|pid| std::fs::read(format!("/proc/{pid}/cmdline")).ok())
        .unwrap_or_default();
    let command = String::from_utf8_lossy(&command).into_owned();
    ["nbconvert", "nbclient", "papermill", "jupyter-execute"]
        .iter()
        .any(|name| command.contains(name))
}

/// Returns at Ctrl-C.
pub(super) async fn interrupt_key() {
    asked_by(SignalKind::interrupt()).await;
}

async fn asked_by(kind: SignalKind) {
    match signal(kind) {
        Ok(mut signal) => {
            signal.recv().await;
        }
        Err(_) => std::future::pending().await,
    }
}

async fn parent_is_gone() {
    let Some(parent) = std::env::var(PARENT_ENV)
        .ok()
        .and_then(|pid| pid.parse::<libc::pid_t>().ok())
        .filter(|pid| *pid > 1)
    else {
        return std::future::pending().await;
    };
    // SAFETY: takes no arguments and cannot fail.
    let born_to = unsafe { libc::getppid() };
    loop {
        tokio::time::sleep(Duration::from_millis(500)).await;
        // SAFETY: takes no arguments and cannot fail.
        let orphaned = unsafe { libc::getppid() } != born_to;
        // SAFETY: signal 0 is no signal: the call only asks whether the process exists.
        let gone = unsafe { libc::kill(parent, 0) } != 0;
        if orphaned || gone {
            return;
        }
    }
}
