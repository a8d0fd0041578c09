//! How far a download is, in one line that changes where it stands.

use super::hub::DownloadProgress;
use crate::emit::{self, Line};
use crate::error::Result;
use std::time::{Duration, Instant};

/// The download of one file.
pub(crate) struct DownloadLine {
    file: String,
    total: u64,
    done: u64,
    /// What was on the disk before.
    resumed: Option<u64>,
    started: Instant,
    line: Line,
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
            line: Line::new(),
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
            let text = self.text();
            self.line.show(|| text);
        }
        Ok(())
    }

    fn end(&mut self) {
        if self.done > 0 {
            let text = self.text();
            self.line.end(|| text);
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
