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

/// Which kind of program started this kernel: `lab`, `notebook`, `console`, `headless`, or `unknown`.
pub fn front_end() -> &'static str {
    let command = std::env::var(PARENT_ENV)
        .ok()
        .and_then(|pid| std::fs::read(format!("/proc/{pid}/cmdline")).ok())
        .unwrap_or_default();
    kind_of(&String::from_utf8_lossy(&command))
}

/// Whether the program that started this kernel executes notebooks with nobody watching.
pub fn is_headless() -> bool {
    front_end() == "headless"
}

/// The kind of a program by its command line, whose arguments end in null bytes. The first few say
/// which program it is; a file's name among the later ones may hold any word.
fn kind_of(command: &str) -> &'static str {
    const KINDS: [(&str, &str); 11] = [
        ("nbconvert", "headless"),
        ("nbclient", "headless"),
        ("papermill", "headless"),
        ("execute", "headless"),
        ("console", "console"),
        ("qtconsole", "console"),
        ("lab", "lab"),
        ("labhub", "lab"),
        ("singleuser", "lab"),
        ("notebook", "notebook"),
        ("server", "lab"),
    ];
    let is_named = |word: &str, part: &str| {
        // `python -c` has the program itself as an argument.
        let is_library = ["nbclient", "nbconvert", "papermill"].contains(&part);
        (is_library && word.contains(part))
            || word
                .split(['-', '_'])
                .any(|piece| piece.strip_prefix("jupyter").unwrap_or(piece) == part)
    };
    let mut words = command
        .split('\0')
        .filter(|word| !word.starts_with("--"))
        .take(4)
        .map(|word| word.rsplit('/').next().unwrap_or(word));
    words
        .find_map(|word| {
            let kind = KINDS.iter().find(|(part, _)| is_named(word, part))?;
            Some(kind.1)
        })
        .unwrap_or("unknown")
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

#[cfg(test)]
mod tests {
    use super::kind_of;

    #[test]
    fn a_front_end_is_known_by_its_command() {
        for (command, kind) in [
            ("/env/bin/python3\0/env/bin/jupyter-lab\0--port=8888", "lab"),
            (
                "python\0/env/bin/jupyter\0lab\0--ServerApp.root_dir=/x/nbconvert",
                "lab",
            ),
            ("python\0-m\0jupyterlab\0", "lab"),
            (
                "python\0/env/bin/jupyterhub-singleuser\0--ip=0.0.0.0",
                "lab",
            ),
            ("python\0/env/bin/jupyter-notebook\0", "notebook"),
            (
                "python\0/env/bin/jupyter-console\0--kernel\0ferrolens",
                "console",
            ),
            (
                "python\0/env/bin/jupyter-nbconvert\0--to\0notebook\0--execute",
                "headless",
            ),
            ("python\0/env/bin/jupyter-execute\0lab.ipynb", "headless"),
            ("/env/bin/python\0/env/bin/papermill\0in.ipynb", "headless"),
            (
                "python\0-c\0import nbclient; nbclient.execute()\0",
                "headless",
            ),
            ("python\0-m\0jupyter_console\0--kernel\0x", "console"),
            ("python\0-m\0pytest\0tests/jupyter", "unknown"),
            ("", "unknown"),
        ] {
            assert_eq!(kind_of(command), kind, "{command}");
        }
    }
}
