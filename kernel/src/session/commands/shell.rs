//! `!` lines: a process of the kernel whose text is shown as it comes.

use super::load::expanded;
use super::wrong;
use crate::bridge::Bridge;
use crate::session::engine::Engine;
use crate::session::interrupt::Phase;
use crate::session::{Cell, CellError};
use crate::toolchain::folder;
use ferrolens_frames::{CellId, StreamName};
use std::io::Read;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

/// How long the text of a process is waited for that has ended: what it left in the background may
/// keep the pipe open for ever.
const LAST_WORDS: Duration = Duration::from_millis(300);

/// A line that runs.
pub(super) struct Shell {
    line: String,
    status: Arc<Mutex<Option<std::io::Result<ExitStatus>>>>,
}

/// Starts a line; `None` where nothing has to be waited for.
pub(super) fn start(
    engine: &mut Engine,
    cell: &Cell,
    line: &str,
) -> Result<Option<Shell>, CellError> {
    if line.is_empty() {
        return Ok(None);
    }
    if line == "cd" || line.starts_with("cd ") {
        let target = line.strip_prefix("cd").unwrap_or_default().trim();
        // Anything more than a folder is for the shell, and changes nothing here.
        if !target.contains(['&', '|', ';', '$', '>', '<', '`']) {
            return change_folder(engine, cell, target).map(|()| None);
        }
    }
    let mut command = Command::new("sh");
    command
        .args(["-c", line])
        .current_dir(engine.directory())
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        // Of its own, so that an interrupt reaches all that the line starts.
        .process_group(0);
    folder::leave(&mut command);
    // SAFETY: between fork and exec, one system call that takes no memory: the line ends when the
    // kernel is killed.
    unsafe {
        command.pre_exec(|| {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            Ok(())
        });
    }
    let mut child = command
        .spawn()
        .map_err(|error| wrong(format!("The shell could not be started: {error}.")))?;
    engine
        .interrupt
        .enter(Phase::Shell(child.id().cast_signed()));
    let status = Arc::new(Mutex::new(None));
    let shell = Shell {
        line: line.to_owned(),
        status: status.clone(),
    };
    let (bridge, id) = (engine.bridge.clone(), cell.id);
    std::thread::Builder::new()
        .name("shell".to_owned())
        .spawn(move || {
            let ended = follow(&mut child, id, &bridge);
            if let Ok(mut status) = status.lock() {
                *status = Some(ended);
            }
            bridge.step_has_ended(id);
        })
        .map_err(|error| wrong(format!("The shell could not be followed: {error}.")))?;
    Ok(Some(shell))
}

impl Shell {
    /// How the line ended; itself, when it has not.
    pub(super) fn ended(self, engine: &Engine) -> Result<Result<(), CellError>, Self> {
        let status = self.status.lock().map_or(None, |mut status| status.take());
        let Some(status) = status else {
            return Err(self);
        };
        engine.interrupt.enter(Phase::Idle);
        Ok(self.judge(status, engine.interrupt.was_asked()))
    }

    fn judge(
        &self,
        status: std::io::Result<ExitStatus>,
        was_interrupted: bool,
    ) -> Result<(), CellError> {
        let status = status
            .map_err(|error| wrong(format!("`{}` cannot be followed: {error}.", self.line)))?;
        if status.success() {
            return Ok(());
        }
        if was_interrupted {
            return Err(CellError::plain(
                "Interrupted",
                &format!("`!{}` was interrupted.", self.line),
            ));
        }
        let how = match (status.code(), status.signal()) {
            (Some(127), _) => "exit status 127: is the command installed?".to_owned(),
            (Some(code), _) => format!("exit status {code}"),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => "no status".to_owned(),
        };
        Err(CellError::plain(
            "shell",
            &format!("`!{}` ended with {how}.", self.line),
        ))
    }
}

/// Hands on what a process writes until it ends.
fn follow(child: &mut Child, cell: CellId, bridge: &Bridge) -> std::io::Result<ExitStatus> {
    let (done, read) = mpsc::channel::<()>();
    let pipes: [(Option<Box<dyn Read + Send>>, StreamName); 2] = [
        (
            child.stdout.take().map(|pipe| Box::new(pipe) as _),
            StreamName::Stdout,
        ),
        (
            child.stderr.take().map(|pipe| Box::new(pipe) as _),
            StreamName::Stderr,
        ),
    ];
    for (pipe, name) in pipes {
        let Some(mut pipe) = pipe else {
            continue;
        };
        let (bridge, done) = (bridge.clone(), done.clone());
        let reader = std::thread::Builder::new()
            .name("shell text".to_owned())
            .spawn(move || {
                let mut buffer = vec![0; 1 << 14];
                while let Ok(count @ 1..) = pipe.read(&mut buffer) {
                    if let Some(bytes) = buffer.get(..count) {
                        bridge.write(cell, name, bytes);
                    }
                }
                drop(done);
            });
        // The process would wait for ever for somebody to read what it writes.
        if let Err(error) = reader {
            let _ = child.kill();
            return Err(error);
        }
    }
    drop(done);
    let status = child.wait();
    // It ends when both readers have dropped their ends.
    let _ = read.recv_timeout(LAST_WORDS);
    status
}

/// `!cd`: the folder of the process that runs cells, and of the kernel.
fn change_folder(engine: &mut Engine, cell: &Cell, target: &str) -> Result<(), CellError> {
    let target = match target.trim_matches(['"', '\'']) {
        "" => "~",
        target => target,
    };
    let cannot = |why: &str| wrong(format!("`!cd {target}` is not possible: {why}."));
    let folder = engine.directory().join(expanded(target));
    let folder = std::fs::canonicalize(&folder).map_err(|error| cannot(&error.to_string()))?;
    std::env::set_current_dir(&folder).map_err(|error| cannot(&error.to_string()))?;
    // In numbers, so that no character of a name needs an escape.
    let bytes = std::os::unix::ffi::OsStrExt::as_bytes(folder.as_os_str());
    let code = format!(
        "std::env::set_current_dir(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(\
         &{bytes:?}))?;"
    );
    engine
        .run_hidden(&code)
        .map_err(|error| cannot(&error.to_string()))?;
    engine
        .bridge
        .tell(cell.id, &format!("{}\n", folder.display()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(line: &str, interrupted: bool) -> Result<(), CellError> {
        let shell = Shell {
            line: line.to_owned(),
            status: Arc::default(),
        };
        let status = Command::new("sh")
            .args(["-c", line])
            .stderr(Stdio::null())
            .status();
        shell.judge(status, interrupted)
    }

    #[test]
    fn another_status_than_0_is_an_error_that_names_it() {
        assert_eq!(judged("true", false), Ok(()));
        for (line, interrupted, name, says) in [
            ("exit 3", false, "shell", "exit status 3"),
            ("no-such-program", false, "shell", "installed"),
            ("kill -9 $$", false, "shell", "signal 9"),
            ("exit 130", true, "Interrupted", "exit 130"),
        ] {
            let error = judged(line, interrupted).expect_err("a failure");
            assert_eq!(error.name, name, "{line}");
            assert!(error.value.contains(says), "{}", error.value);
        }
    }
}
