//! How long a piece of code takes, run many times.

use super::{cell_failed, stop_point};
use std::fmt::Display;
use std::time::{Duration, Instant};

/// A repeat should take at least this long, so that the clock's own steps do not count.
const ENOUGH: Duration = Duration::from_millis(200);

/// All repeats together take about this long, where a single run is not slower.
const PATIENCE: Duration = Duration::from_secs(2);

/// The most repeats of the same number of runs.
const REPEATS: usize = 7;

/// The most runs in a repeat.
const MOST: u64 = 1_000_000_000;

/// The error with which a timed piece of code ends early; it has been reported when it is made.
///
/// It takes any error that can be shown, so that `?` works in a timed piece of code as in a cell.
pub struct Left;

impl<E: Display> From<E> for Left {
    #[track_caller]
    fn from(error: E) -> Self {
        cell_failed(&error);
        Self
    }
}

/// Runs code until two seconds are over, or seven repeats, and prints what a run takes.
///
/// ```
/// ferrolens::timeit! { (1..1000_u64).sum::<u64>() }
/// // e.g. 412 ns ± 3.1 ns a run, best 408 ns (mean ± standard deviation of 7 repeats of …)
/// ```
///
/// `?` works inside; an error ends the measurement and the cell. In a notebook, `:timeit` before the
/// code is the same.
#[macro_export]
macro_rules! timeit {
    ($($code:tt)*) => {
        $crate::emit::timeit(|| -> ::std::result::Result<(), $crate::emit::Left> {
            ::std::hint::black_box({ $($code)* });
            ::std::result::Result::Ok(())
        })
    };
}

/// [`timeit!`](crate::timeit!) as a function: runs `code` until two seconds are over, or seven
/// repeats, and prints what a run takes. An error of the code ends it.
pub fn timeit<E>(mut code: impl FnMut() -> Result<(), E>) {
    let Some(timing) = measure(&mut code) else {
        return;
    };
    println!("{timing}");
}

/// What a run takes: seconds for each repeat.
#[derive(Debug, Clone, PartialEq)]
struct Timing {
    seconds: Vec<f64>,
    runs: u64,
}

fn measure<E>(code: &mut impl FnMut() -> Result<(), E>) -> Option<Timing> {
    let begun = Instant::now();
    let mut runs = 1;
    // What finds the number of runs warms caches up, and counts only where one run is enough.
    let first = loop {
        let took = repeat(code, runs)?;
        if took >= ENOUGH || runs >= MOST {
            break took;
        }
        runs *= 10;
    };
    let mut taken = Vec::with_capacity(REPEATS);
    if runs == 1 {
        taken.push(first);
    }
    while taken.is_empty() || (taken.len() < REPEATS && begun.elapsed() < PATIENCE) {
        taken.push(repeat(code, runs)?);
    }
    Some(Timing {
        #[allow(clippy::cast_precision_loss)]
        seconds: taken
            .iter()
            .map(|took| took.as_secs_f64() / runs as f64)
            .collect(),
        runs,
    })
}

fn repeat<E>(code: &mut impl FnMut() -> Result<(), E>, runs: u64) -> Option<Duration> {
    let begun = Instant::now();
    for _ in 0..runs {
        stop_point();
        code().ok()?;
    }
    Some(begun.elapsed())
}

impl Display for Timing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let repeats = self.seconds.len();
        #[allow(clippy::cast_precision_loss)]
        let count = repeats.max(1) as f64;
        let mean = self.seconds.iter().sum::<f64>() / count;
        let variance = self
            .seconds
            .iter()
            .map(|seconds| (seconds - mean).powi(2))
            .sum::<f64>()
            / count;
        let best = self.seconds.iter().copied().fold(f64::INFINITY, f64::min);
        let runs = grouped(self.runs);
        let (s_repeats, s_runs) = (plural(repeats as u64), plural(self.runs));
        if repeats <= 1 && self.runs == 1 {
            return write!(f, "{} (1 run)", in_words(mean));
        }
        write!(
            f,
            "{} ± {} a run, best {} (mean ± standard deviation of {repeats} repeat{s_repeats} of \
             {runs} run{s_runs})",
            in_words(mean),
            in_words(variance.sqrt()),
            in_words(best),
        )
    }
}

fn plural(count: u64) -> &'static str {
    if count == 1 { "" } else { "s" }
}

/// Three digits and a unit, e.g. `1.23 ms`.
fn in_words(seconds: f64) -> String {
    let (value, unit) = match seconds {
        s if s >= 1.0 => (s, "s"),
        s if s >= 1e-3 => (s * 1e3, "ms"),
        s if s >= 1e-6 => (s * 1e6, "µs"),
        s => (s * 1e9, "ns"),
    };
    let digits = match value {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        _ => 2,
    };
    format!("{value:.digits$} {unit}")
}

/// A number with commas between its thousands.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_three_digits_and_a_unit() {
        for (seconds, words) in [
            (1.5, "1.50 s"),
            (0.0123, "12.3 ms"),
            (123.4e-6, "123 µs"),
            (4.2e-9, "4.20 ns"),
        ] {
            assert_eq!(in_words(seconds), words);
        }
    }

    #[test]
    fn a_timing_names_repeats_and_runs() {
        let timing = Timing {
            seconds: vec![1e-6, 3e-6],
            runs: 100_000,
        };
        assert_eq!(
            timing.to_string(),
            "2.00 µs ± 1.00 µs a run, best 1.00 µs (mean ± standard deviation of 2 repeats of \
             100,000 runs)"
        );
    }

    #[test]
    fn slow_code_is_not_run_seven_times() {
        let mut count = 0;
        let timing = measure(&mut || {
            count += 1;
            std::thread::sleep(Duration::from_millis(900));
            Ok::<(), Left>(())
        })
        .expect("no error");
        assert_eq!(timing.runs, 1);
        assert_eq!(timing.seconds.len(), count, "the first run counts");
        assert!((2..=3).contains(&count), "{count}");
    }

    #[test]
    fn an_error_ends_it_and_is_reported_once() {
        let mut count = 0;
        let (timing, sent) = crate::emit::host::fake::with_host(|| {
            measure(&mut || -> Result<(), Left> {
                count += 1;
                Err("no such head")?;
                Ok(())
            })
        });
        assert_eq!((timing, count), (None, 1));
        assert_eq!(sent.frames.len(), 1, "{sent:?}");
    }
}
