//! How far a loop is.

use super::line::{Line, Look};
use super::stop_point;
use std::time::{Duration, Instant};

/// The width of the bar, in characters.
const BAR: usize = 24;

/// Shows how far a loop over `items` is, in one line that changes where it stands.
///
/// In JupyterLab the line is a bar with words, in a console one that is written over, and in a notebook
/// that runs with nobody watching it appears once, at the end. A loop inside another one has its line
/// below, which goes with it. A step costs well under a microsecond.
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
pub fn progress<I: IntoIterator>(items: I, label: impl Into<String>) -> ProgressIter<I::IntoIter> {
    let items = items.into_iter();
    let total = match items.size_hint() {
        (least, Some(most)) if least == most => Some(least),
        _ => None,
    };
    ProgressIter {
        items,
        line: Progress::new(total).labelled(label),
    }
}

/// An iterator that shows how far it is; see [`progress()`].
#[derive(Debug)]
pub struct ProgressIter<I> {
    items: I,
    line: Progress,
}

impl<I: Iterator> Iterator for ProgressIter<I> {
    type Item = I::Item;

    #[inline]
    fn next(&mut self) -> Option<I::Item> {
        stop_point();
        self.line.show();
        let item = self.items.next();
        match item {
            Some(_) => self.line.state.done += 1,
            None => self.line.end(),
        }
        item
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.items.size_hint()
    }
}

impl<I: ExactSizeIterator> ExactSizeIterator for ProgressIter<I> {}

/// The same line for work that is no iterator: it is told what was done.
///
/// ```
/// use ferrolens::display::Progress;
///
/// let mut line = Progress::new(300).labelled("tokens");
/// for batch in [100, 200] {
///     line.advance(batch);
/// }
/// line.end();
/// ```
#[derive(Debug)]
pub struct Progress {
    state: State,
    patience: Duration,
    line: Line,
}

impl Progress {
    /// A line for this much to do, or `None` where that is not known. It shows with the first advance.
    pub fn new(total: impl Into<Option<usize>>) -> Self {
        Self {
            state: State {
                label: "progress".to_owned(),
                total: total.into(),
                before: 0,
                done: 0,
                started: Instant::now(),
                ended: None,
            },
            patience: Duration::ZERO,
            line: Line::new(),
        }
    }

    /// The same with these words in front.
    #[must_use]
    pub fn labelled(mut self, label: impl Into<String>) -> Self {
        self.label(label);
        self
    }

    /// The same with this much done before: it counts for how far, but not for how fast.
    #[must_use]
    pub fn resumed_at(mut self, done: usize) -> Self {
        self.state.before = done;
        self.state.done = done;
        self
    }

    /// Says that this much more is done.
    pub fn advance(&mut self, done: usize) {
        self.state.done += done;
        self.show();
    }

    /// A line that shows only when the work has taken this long: for what is mostly quick.
    #[must_use]
    pub(crate) fn after(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Puts another label in front, such as one with a loss in it.
    pub fn label(&mut self, label: impl Into<String>) {
        self.state.label = label.into();
    }

    /// Shows the line as it is at the end. Dropping it does the same.
    pub fn end(&mut self) {
        if self.state.ended.is_none() {
            self.state.ended = Some(self.state.started.elapsed());
            if self.line.is_shown() || self.patience.is_zero() {
                let Self { state, line, .. } = self;
                line.end(|| state.look());
            }
        }
    }

    fn show(&mut self) {
        let Self {
            state,
            line,
            patience,
        } = self;
        if !line.is_shown() && !patience.is_zero() && state.started.elapsed() < *patience {
            return;
        }
        line.show(|| state.look());
    }
}

/// A loop that is left early says where it was left.
impl Drop for Progress {
    fn drop(&mut self) {
        if self.line.is_shown() {
            self.end();
        }
    }
}

#[derive(Debug, Clone)]
struct State {
    label: String,
    total: Option<usize>,
    /// What was done before the line began.
    before: usize,
    done: usize,
    started: Instant,
    ended: Option<Duration>,
}

impl State {
    fn look(&self) -> Look {
        let share = self.total.map(|_| (self.share(), self.words()));
        Look {
            text: self.text(),
            share,
        }
    }

    /// How much is done, of 1.
    #[allow(clippy::cast_precision_loss)]
    fn share(&self) -> f64 {
        match self.total {
            None | Some(0) => 1.0,
            Some(total) => (self.done as f64 / total as f64).min(1.0),
        }
    }

    /// The text without the bar.
    fn words(&self) -> String {
        let text = self.text();
        match (text.find('|'), text.rfind("| ")) {
            (Some(from), Some(to)) if from < to => format!("{}{}", &text[..from], &text[to + 2..]),
            _ => text,
        }
    }

    /// `sweep:  42% |██████████              | 42/100 [00:12<00:17, 3.5/s]`
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss
    )]
    fn text(&self) -> String {
        let elapsed = self.ended.unwrap_or_else(|| self.started.elapsed());
        let new = self.done - self.before.min(self.done);
        let rate = new as f64 / elapsed.as_secs_f64().max(1e-9);
        let rate_text = if new == 0 {
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
        let share = self.share();
        let bar = "█".repeat((share * BAR as f64) as usize);
        let left = if self.ended.is_some() {
            String::new()
        } else if new == 0 {
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
            before: 0,
            done,
            started: Instant::now(),
            ended: Some(Duration::from_secs(seconds)),
        }
        .text()
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
        assert!(caught.is_err_and(|payload| payload.is::<crate::emit::Interrupted>()));
        assert_eq!(seen, 0);
    }
}
