//! How far a loop is.

use super::handle::{DisplayHandle, display};
use crate::emit::{self, Bundle, Host, Rich, text};
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// The shortest time between two looks of the line.
const PAUSE: Duration = Duration::from_millis(100);
/// The width of the bar, in characters.
const BAR: usize = 24;

/// Shows how far a loop over `items` is, in one line that changes where it stands.
///
/// The loop stops when the user interrupts: it unwinds, and the variables of earlier cells stay.
/// Outside a notebook the line goes to stderr, where that is a terminal.
///
/// ```
/// use ferrolens::display::progress;
///
/// let mut sum = 0;
/// for batch in progress(0..100, "sweep") {
///     sum += batch;
/// }
/// assert_eq!(sum, 4950);
/// ```
pub fn progress<I: IntoIterator>(items: I, label: impl Into<String>) -> Progress<I::IntoIter> {
    let items = items.into_iter();
    let total = match items.size_hint() {
        (least, Some(most)) if least == most => Some(least),
        _ => None,
    };
    Progress {
        items,
        state: State {
            label: label.into(),
            total,
            done: 0,
            started: Instant::now(),
            ended: None,
        },
        shown: Shown::NotYet,
        last_look: None,
    }
}

/// An iterator that shows how far it is; see [`progress()`].
#[derive(Debug)]
pub struct Progress<I> {
    items: I,
    state: State,
    shown: Shown,
    last_look: Option<Instant>,
}

#[derive(Debug, Clone)]
struct State {
    label: String,
    total: Option<usize>,
    done: usize,
    started: Instant,
    ended: Option<Duration>,
}

#[derive(Debug)]
enum Shown {
    NotYet,
    InNotebook(DisplayHandle),
    InTerminal,
    Nowhere,
}

impl<I: Iterator> Iterator for Progress<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        emit::stop_point();
        let now = Instant::now();
        if self.last_look.is_none_or(|last| now - last >= PAUSE) {
            self.last_look = Some(now);
            self.show();
        }
        let item = self.items.next();
        match item {
            Some(_) => self.state.done += 1,
            None => self.end(),
        }
        item
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.items.size_hint()
    }
}

impl<I: ExactSizeIterator> ExactSizeIterator for Progress<I> {}

impl<I> Progress<I> {
    fn end(&mut self) {
        if self.state.ended.is_none() {
            self.state.ended = Some(self.state.started.elapsed());
            self.show();
            if matches!(self.shown, Shown::InTerminal) {
                let _ = std::io::stderr().write_all(b"\n");
            }
        }
    }

    fn show(&mut self) {
        match &self.shown {
            Shown::InNotebook(handle) => handle.update(&self.state),
            Shown::InTerminal => self.write_line(),
            Shown::Nowhere => {}
            Shown::NotYet => {
                self.shown = if Host::find().is_some() {
                    Shown::InNotebook(display(&self.state))
                } else if std::io::stderr().is_terminal() {
                    self.write_line();
                    Shown::InTerminal
                } else {
                    Shown::Nowhere
                };
            }
        }
    }

    fn write_line(&self) {
        // The escape clears what a longer line left behind.
        let line = format!("\r{}\u{1b}[K", self.state.line());
        let _ = std::io::stderr().write_all(line.as_bytes());
    }
}

/// A loop that is left early says where it was left.
impl<I> Drop for Progress<I> {
    fn drop(&mut self) {
        if !matches!(self.shown, Shown::NotYet) {
            self.end();
        }
    }
}

impl Rich for State {
    fn bundle(&self) -> Bundle {
        text(self.line())
    }
}

impl State {
    /// `sweep:  42% |██████████              | 42/100 [00:12<00:17, 3.5/s]`
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss
    )]
    fn line(&self) -> String {
        let elapsed = self.ended.unwrap_or_else(|| self.started.elapsed());
        let rate = self.done as f64 / elapsed.as_secs_f64().max(1e-9);
        let rate_text = if self.done == 0 {
            "?/s".to_owned()
        } else if rate >= 1.0 {
            format!("{rate:.1}/s")
        } else {
            format!("{:.1} s each", 1.0 / rate)
        };
        let (label, done) = (&self.label, self.done);
        let Some(total) = self.total else {
            return format!("{label}: {done} [{}, {rate_text}]", clock(elapsed));
        };
        let share = if total == 0 {
            1.0
        } else {
            (done as f64 / total as f64).min(1.0)
        };
        let bar = "█".repeat((share * BAR as f64) as usize);
        let left = if self.ended.is_some() {
            String::new()
        } else if done == 0 {
            "<?".to_owned()
        } else {
            let seconds = total.saturating_sub(done) as f64 / rate;
            format!(
                "<{}",
                clock(Duration::try_from_secs_f64(seconds).unwrap_or_default())
            )
        };
        format!(
            "{label}: {:>3.0}% |{bar:<BAR$}| {done}/{total} [{}{left}, {rate_text}]",
            (100.0 * share).floor(),
            clock(elapsed),
        )
    }
}

/// `01:05`, or `1:01:05` from an hour on.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes:02}:{seconds:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit::fake;
    use ferrolens_frames::Frame;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    fn line(done: usize, total: Option<usize>, seconds: u64) -> String {
        State {
            label: "sweep".to_owned(),
            total,
            done,
            started: Instant::now(),
            ended: Some(Duration::from_secs(seconds)),
        }
        .line()
    }

    #[test]
    fn the_line_says_where_the_loop_is() {
        assert_eq!(
            line(42, Some(100), 12),
            "sweep:  42% |██████████              | 42/100 [00:12, 3.5/s]"
        );
        assert_eq!(line(3, None, 3665), "sweep: 3 [1:01:05, 1221.7 s each]");
        assert!(line(0, Some(0), 0).contains("100%"));
    }

    #[test]
    fn quick_loops_send_two_frames_and_every_item() {
        let (items, sent) = fake::with_host(|| progress(0..10_000, "count").collect::<Vec<_>>());
        assert_eq!(items.len(), 10_000);
        assert!(matches!(sent.frames.first(), Some(Frame::Display { .. })));
        let Some(Frame::Update { data, .. }) = sent.frames.last() else {
            panic!("the end is shown: {sent:?}");
        };
        assert!(
            data["text/plain"]
                .as_str()
                .is_some_and(|text| text.contains("10000/10000"))
        );
        assert!(sent.frames.len() < 20, "{}", sent.frames.len());
    }

    #[test]
    fn an_interrupt_unwinds_the_loop() {
        let mut seen = 0;
        let (caught, _) = fake::with_stop(|| {
            catch_unwind(AssertUnwindSafe(|| {
                for _ in progress(0..3, "stop") {
                    seen += 1;
                }
            }))
        });
        assert!(caught.is_err_and(|payload| payload.is::<emit::Interrupted>()));
        assert_eq!(seen, 0);
    }
}
