//! A group of processes with a limit of memory, where the system lets a test make one.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A control group of Linux; it is removed when this is dropped, which needs its processes to have ended.
#[derive(Debug)]
pub struct MemoryGroup(PathBuf);

impl MemoryGroup {
    /// A group whose processes may have so many megabytes together. None where this user may not make one.
    pub fn new(megabytes: u64) -> Option<Self> {
        // Version 1 has a tree for memory alone, version 2 one for everything.
        let versions = [
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            ("/sys/fs/cgroup", "memory.max"),
        ];
        versions.iter().find_map(|(tree, limit)| {
            let folder = Path::new(tree).join(format!("ferrolens-test-{}", std::process::id()));
            std::fs::create_dir(&folder).ok()?;
            let group = Self(folder);
            std::fs::write(group.0.join(limit), (megabytes << 20).to_string()).ok()?;
            Some(group)
        })
    }

    /// Takes in a process and the processes that it has started.
    ///
    /// # Errors
    /// The system refuses.
    pub fn take_in(&self, pid: u32) -> std::io::Result<()> {
        std::fs::write(self.0.join("cgroup.procs"), pid.to_string())?;
        let children = Command::new("pgrep")
            .args(["-P", &pid.to_string()])
            .output()?;
        for child in String::from_utf8_lossy(&children.stdout).lines() {
            if let Ok(child) = child.parse() {
                self.take_in(child)?;
            }
        }
        Ok(())
    }
}

impl Drop for MemoryGroup {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir(&self.0);
    }
}
