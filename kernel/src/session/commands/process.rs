//! The process that runs cells, as the system sees it.

use crate::session::engine::Engine;
use std::path::PathBuf;
use std::time::Duration;

impl Engine {
    /// The folder in which cells run.
    pub(super) fn directory(&self) -> PathBuf {
        self.process()
            .and_then(|id| std::fs::read_link(format!("/proc/{id}/cwd")).ok())
            .or_else(|| std::env::current_dir().ok())
            .unwrap_or_else(|| PathBuf::from("."))
    }

    /// What the process has used of all processors since it started.
    pub(super) fn processor_time(&self) -> Option<Duration> {
        let mut clock: libc::clockid_t = 0;
        let id = self.process()?.cast_signed();
        // SAFETY: the call writes one number to `clock`.
        if unsafe { libc::clock_getcpuclockid(id, &raw mut clock) } != 0 {
            return None;
        }
        let mut time = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: the call fills `time`, a plain structure.
        if unsafe { libc::clock_gettime(clock, &raw mut time) } != 0 {
            return None;
        }
        Some(Duration::new(
            u64::try_from(time.tv_sec).ok()?,
            u32::try_from(time.tv_nsec).ok()?,
        ))
    }

    fn process(&self) -> Option<u32> {
        let handle = self.context.process_handle();
        let process = handle.lock().ok()?;
        Some(process.id())
    }
}
