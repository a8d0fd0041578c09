//! A session's own folder: the engine's crate for cells, this binary under the names of the tools,
//! the socket. It goes with the session, whatever ends it: the kernel removes it, or the child when
//! the kernel was killed, or the next kernel when both were.

use super::front::{FRONT_ENV, REAL_CARGO_ENV, REAL_CARGO_HOME_ENV, REAL_RUSTC_ENV};
use super::prebuilt::{PRELUDE_DIR_ENV, Prebuilt};
use std::io;
use std::os::unix::fs::{DirBuilderExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

/// The temporary folder that the user has, kept for the child.
pub const OUTER_TMPDIR_ENV: &str = "FERROLENS_OUTER_TMPDIR";

const PREFIX: &str = "ferrolens-session-";

/// Removes the folder when dropped.
#[derive(Debug)]
pub struct SessionFolder {
    root: PathBuf,
}

impl SessionFolder {
    /// Makes a fresh folder under the system's temporary one, readable to this user only.
    ///
    /// # Errors
    /// A sentence that names the folder, e.g. when no space is left.
    pub fn new() -> Result<Self, String> {
        let parent = std::env::temp_dir();
        sweep(&parent);
        let root = parent.join(format!(
            "{PREFIX}{}-{}",
            std::process::id(),
            uuid::Uuid::new_v4()
        ));
        let folder = Self { root };
        folder.fill().map_err(|error| {
            format!(
                "The kernel cannot use the temporary folder {}: {error}. Free some space there, or \
                 point TMPDIR to a folder with at least 100 MB free.",
                parent.display()
            )
        })?;
        Ok(folder)
    }

    fn fill(&self) -> io::Result<()> {
        let mut builder = std::fs::DirBuilder::new();
        builder.mode(0o700);
        builder.create(&self.root)?;
        std::fs::create_dir_all(self.cells())?;
        std::fs::create_dir_all(self.scratch())?;
        std::fs::create_dir_all(self.no_source().join("core"))?;
        let bin = self.tools().join("bin");
        std::fs::create_dir_all(&bin)?;
        let exe = std::env::current_exe()?;
        for tool in ["cargo", "rustc", "rustup"] {
            symlink(&exe, bin.join(tool))?;
        }
        // A disk without space fails here, with a sentence, rather than in the first cell.
        std::fs::write(self.root.join("space"), vec![0_u8; 1 << 20])?;
        std::fs::remove_file(self.root.join("space"))
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.root
    }

    /// From here on no tool can be started through it.
    pub fn close(&self) {
        let _ = std::fs::remove_dir_all(self.tools());
    }

    /// Removes the folder; a tool that is just ending may still be writing into it.
    pub fn remove(&self) {
        for _ in 0..20 {
            if std::fs::remove_dir_all(&self.root).is_ok() || !self.root.exists() {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    }

    /// The crate in which the engine compiles cells.
    pub fn cells(&self) -> PathBuf {
        self.root.join("cells")
    }

    /// The path of the kernel's end of the frames socket.
    pub fn socket(&self) -> PathBuf {
        self.root.join("frames")
    }

    fn scratch(&self) -> PathBuf {
        self.root.join("scratch")
    }

    fn no_source(&self) -> PathBuf {
        self.tools().join("library")
    }

    fn tools(&self) -> PathBuf {
        self.root.join("tools")
    }

    /// The environment in which the engine finds the front, and the front finds the real tools.
    ///
    /// # Errors
    /// A sentence when there is no Rust compiler.
    pub fn environment(&self, prebuilt: &Prebuilt) -> Result<Vec<(&'static str, String)>, String> {
        let text = |path: &Path| path.to_string_lossy().into_owned();
        let (cargo, rustc) = super::front::real_tools()?;
        let bin = self.tools().join("bin");
        let mut search = vec![bin.clone()];
        search.extend(std::env::split_paths(
            &std::env::var_os("PATH").unwrap_or_default(),
        ));
        let search = std::env::join_paths(search)
            .map_err(|error| format!("PATH holds a name that cannot be used: {error}"))?;
        let mut environment = vec![
            (FRONT_ENV, text(&bin)),
            (REAL_CARGO_ENV, text(&cargo)),
            (REAL_RUSTC_ENV, text(&rustc)),
            (PRELUDE_DIR_ENV, text(prebuilt.folder())),
            ("PATH", search.to_string_lossy().into_owned()),
            // The analyzer prefers `$CARGO_HOME/bin/cargo` to the search path.
            ("CARGO_HOME", text(&self.tools())),
            ("EVCXR_TMPDIR", text(&self.cells())),
            // The analyzer leaves folders behind. Cells get the user's own TMPDIR.
            (OUTER_TMPDIR_ENV, text(&std::env::temp_dir())),
            ("TMPDIR", text(&self.scratch())),
            // A user's evcxr settings are for evcxr.
            ("EVCXR_CONFIG_DIR", text(&self.tools())),
            ("RUSTUP_AUTO_INSTALL", "0".to_owned()),
            // For the engine's own analyzer, which has nothing to read.
            ("RUST_SRC_PATH", text(&self.no_source())),
        ];
        if let Some(home) = std::env::var_os("CARGO_HOME") {
            environment.push((REAL_CARGO_HOME_ENV, home.to_string_lossy().into_owned()));
        }
        Ok(environment)
    }
}

impl Drop for SessionFolder {
    fn drop(&mut self) {
        self.remove();
    }
}

/// Gives a command of the user's the environment that the kernel was started with.
pub fn leave(command: &mut Command) {
    super::front::user_environment(command);
    if let Some(folder) = std::env::var_os(OUTER_TMPDIR_ENV) {
        command.env("TMPDIR", folder);
    }
    for name in INSIDE {
        command.env_remove(name);
    }
}

/// What only the engine and its tools should find.
const INSIDE: &[&str] = &[
    FRONT_ENV,
    REAL_CARGO_ENV,
    REAL_RUSTC_ENV,
    REAL_CARGO_HOME_ENV,
    OUTER_TMPDIR_ENV,
    "EVCXR_TMPDIR",
    "EVCXR_CONFIG_DIR",
    "RUSTUP_AUTO_INSTALL",
    "RUST_SRC_PATH",
];

/// Removes folders whose kernel and child were both killed.
fn sweep(parent: &Path) {
    let Ok(entries) = std::fs::read_dir(parent) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let Some(pid) = name
            .to_str()
            .and_then(|name| name.strip_prefix(PREFIX))
            .and_then(|rest| rest.split('-').next())
            .and_then(|pid| pid.parse::<libc::pid_t>().ok())
        else {
            continue;
        };
        // SAFETY: signal 0 is no signal: the call only asks whether the process exists.
        let gone = unsafe { libc::kill(pid, 0) } != 0
            && io::Error::last_os_error().raw_os_error() == Some(libc::ESRCH);
        if gone {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}
