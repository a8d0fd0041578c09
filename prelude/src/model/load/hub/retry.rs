//! Trying again what may pass: how often, and how long to wait in between.

use super::DownloadProgress;
use super::trouble::{Subject, Trouble};
use crate::error::Result;
use std::time::{Duration, Instant};

/// How often somebody who waits is asked whether to go on waiting.
pub(super) const TICK: Duration = Duration::from_millis(100);

/// A download that gets this much further may fail as often again. Less would let a server that
/// gives a byte at a time keep a download alive for ever.
const FURTHER: u64 = 1 << 20;

/// What the attempts so far have seen.
#[derive(Default)]
pub(super) struct Seen {
    /// The server has answered. Until it does there is no network; after that it is a cut.
    pub(super) reached: bool,
    /// The most bytes of the file that there ever were.
    pub(super) furthest: u64,
}

/// Makes attempts until one succeeds, fails for good, or was made often enough.
pub(super) fn with_retries<T>(
    subject: &Subject<'_>,
    progress: &mut dyn DownloadProgress,
    mut attempt: impl FnMut(&mut dyn DownloadProgress, &mut Seen) -> Result<T, Trouble>,
) -> Result<T> {
    let settings = subject.settings;
    let mut seen = Seen::default();
    let mut mark = 0;
    let mut tries = 0;
    loop {
        let trouble = match attempt(progress, &mut seen) {
            Ok(done) => return Ok(done),
            Err(trouble) => trouble,
        };
        if seen.furthest >= mark + FURTHER {
            mark = seen.furthest;
            tries = 0;
        }
        tries += 1;
        let own = settings.pause * 2_u32.saturating_pow(tries - 1);
        let pause = trouble.asked_pause().unwrap_or(own);
        if !trouble.may_pass(seen.reached)
            || tries > settings.retries
            || pause > settings.longest_pause
        {
            return Err(trouble.tell(subject, tries));
        }
        wait(pause, progress)?;
    }
}

/// Waits, asking in between whether to go on.
pub(super) fn wait(time: Duration, progress: &mut dyn DownloadProgress) -> Result<()> {
    let end = Instant::now() + time;
    loop {
        progress.advance(0)?;
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        std::thread::sleep(left.min(TICK));
    }
}
