//! `:time`: how long a cell's Rust took to compile and to run, and the processor time of the latter.

use crate::bridge::Run;
use std::time::{Duration, Instant};

/// What the Rust of one cell has taken so far.
#[derive(Debug, Default)]
pub(super) struct Timing {
    begun: Option<Instant>,
    compiled: Duration,
    run: Duration,
    processor_before: Option<Duration>,
    processor: Option<Duration>,
    has_run: bool,
}

impl Timing {
    pub(super) fn code_begins(&mut self, processor: Option<Duration>) {
        self.begun = Some(Instant::now());
        self.processor_before = processor;
    }

    /// There was nothing to run, or it could not be compiled.
    pub(super) fn code_did_not_run(&mut self) {
        self.compiled += self.begun.take().map_or(Duration::ZERO, |at| at.elapsed());
    }

    pub(super) fn code_ended(&mut self, run: Option<Run>, processor: Option<Duration>) {
        let (Some(begun), Some(run)) = (self.begun.take(), run) else {
            return;
        };
        self.has_run = true;
        self.compiled += run.started.saturating_duration_since(begun);
        self.run += run.ended.saturating_duration_since(run.started);
        // Another process than the one in which it began has another clock.
        if let (Some(before), Some(after)) = (self.processor_before, processor)
            && let Some(taken) = after.checked_sub(before)
        {
            *self.processor.get_or_insert_default() += taken;
        }
    }

    /// The line for the reader; none where no code has been compiled.
    pub(super) fn line(&self) -> Option<String> {
        if !self.has_run {
            return (self.compiled > Duration::ZERO)
                .then(|| format!("compile {}", seconds(self.compiled)));
        }
        let processor = self
            .processor
            .map_or_else(String::new, |taken| format!(" (cpu {})", seconds(taken)));
        Some(format!(
            "compile {}, run {}{processor}",
            seconds(self.compiled),
            seconds(self.run)
        ))
    }
}

fn seconds(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    match seconds {
        s if s >= 100.0 => format!("{s:.0} s"),
        s if s >= 10.0 => format!("{s:.1} s"),
        s if s >= 0.1 => format!("{s:.2} s"),
        s if s >= 1e-3 => format!("{:.1} ms", s * 1e3),
        s => format!("{:.0} µs", s * 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_cell_add_up() {
        let at = Instant::now();
        let after = |ms| at + Duration::from_millis(ms);
        let mut timing = Timing::default();
        assert_eq!(timing.line(), None);
        for _ in 0..2 {
            timing.begun = Some(at);
            timing.processor_before = Some(Duration::from_secs(3));
            let run = Run {
                started: after(500),
                ended: after(1115),
            };
            timing.code_ended(Some(run), Some(Duration::from_millis(4150)));
        }
        assert_eq!(
            timing.line().as_deref(),
            Some("compile 1.00 s, run 1.23 s (cpu 2.30 s)")
        );
    }

    #[test]
    fn times_have_three_digits_at_most() {
        for (microseconds, words) in [
            (12, "12 µs"),
            (1_250, "1.2 ms"),
            (250_000, "0.25 s"),
            (12_340_000, "12.3 s"),
        ] {
            assert_eq!(seconds(Duration::from_micros(microseconds)), words);
        }
    }
}
