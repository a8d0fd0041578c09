//! How far a download is, in one line that changes where it stands.

use super::hub::DownloadProgress;
use crate::emit::{self, Host};
use crate::error::Result;
use std::io::{IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The shortest time between two changes of the line.
const PAUSE: Duration = Duration::from_millis(200);

/// Lines so far, as each needs a name of its own.
static LINES: AtomicU64 = AtomicU64::new(0);

/// The download of one file.
pub(crate) struct DownloadLine {
    file: String,
    total: u64,
    done: u64,
    /// What was on the disk before.
    resumed: Option<u64>,
    started: Instant,
    last_look: Option<Instant>,
    /// The name of the line in the notebook, once it is there.
    shown: Option<String>,
}

impl DownloadLine {
    /// The line of this file, which shows when bytes arrive.
    pub(crate) fn of(file: &str) -> Box<dyn DownloadProgress> {
        Box::new(Self {
            file: file.to_owned(),
            total: 0,
            done: 0,
            resumed: None,
            started: Instant::now(),
            last_look: None,
            shown: None,
        })
    }

    fn text(&self) -> String {
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        let arrived = self.done - self.resumed.unwrap_or(0).min(self.done);
        let rate = megabytes(arrived) / self.started.elapsed().as_secs_f64().max(1e-3);
        let (file, done) = (&self.file, megabytes(self.done));
        match self.total {
            0 => format!("{file}: {done:.1} MB, {rate:.1} MB/s"),
            total => {
                let percent = 100. * self.done as f64 / total as f64;
                let total = megabytes(total);
                format!("{file}: {done:.1} of {total:.1} MB ({percent:.0} %), {rate:.1} MB/s")
            }
        }
    }

    fn show(&mut self, is_last: bool) {
        let now = Instant::now();
        if !is_last && self.last_look.is_some_and(|last| now - last < PAUSE) {
            return;
        }
        self.last_look = Some(now);
        let text = self.text();
        if Host::find().is_some() {
            let bundle = emit::text(text);
            match &self.shown {
                Some(line) => emit::send_update(bundle, line),
                None => {
                    let number = LINES.fetch_add(1, Ordering::Relaxed);
                    let line = format!("download-{}-{number}", std::process::id());
                    emit::send_display(bundle, &line);
                    self.shown = Some(line);
                }
            }
        } else if std::io::stderr().is_terminal() {
            let end = if is_last { "\n" } else { "" };
            // A closed stderr is no reason to stop.
            let _ = write!(std::io::stderr(), "\r\x1b[K{text}{end}");
        }
    }
}

impl DownloadProgress for DownloadLine {
    fn start(&mut self, total: u64) {
        self.total = total;
        self.done = 0;
        self.resumed = None;
        self.started = Instant::now();
    }

    fn advance(&mut self, bytes: u64) -> Result<()> {
        emit::check_interrupt()?;
        if bytes > 0 {
            self.done += bytes;
            // What comes at once after the start was on the disk.
            if self.resumed.is_none() {
                let at_once = self.started.elapsed() < Duration::from_millis(1);
                self.resumed = Some(if at_once { bytes } else { 0 });
            }
            self.show(false);
        }
        Ok(())
    }

    fn end(&mut self) {
        if self.done > 0 {
            self.show(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit::fake;
    use ferrolens_frames::Frame;

    #[test]
    fn one_line_says_how_far_it_is_and_the_reader_can_stop_it() {
        let ((), sent) = fake::with_host(|| {
            let mut line = DownloadLine::of("model.safetensors");
            line.start(2_000_000);
            line.advance(500_000).unwrap();
            line.advance(1_500_000).unwrap();
            line.end();
        });
        let [
            Frame::Display { data: first, .. },
            Frame::Update { data: last, .. },
        ] = sent.frames.as_slice()
        else {
            panic!("a display and an update were expected: {sent:?}");
        };
        let text = |bundle: &crate::emit::Bundle| bundle["text/plain"].as_str().unwrap().to_owned();
        assert!(text(first).starts_with("model.safetensors: 0.5 of 2.0 MB (25 %)"));
        assert!(text(last).contains("2.0 of 2.0 MB (100 %)"));
        let (stopped, _) = fake::with_stop(|| DownloadLine::of("a").advance(0));
        assert!(stopped.is_err());
    }
}
