//! Labels of positions, which may repeat.

use crate::display::escape;
use crate::error::{Error, Result};
use plotly::layout::Axis;

/// With more labels than this along an axis, only some are written.
const MOST_LABELS: usize = 100;

/// A token as a label for a plotly figure: white space at its ends is visible (` Mary` → `·Mary`,
/// a line end → `↵`), and what plotly would read as markup is text.
///
/// ```
/// assert_eq!(ferrolens::display::token_label(" <b>"), "·&lt;b&gt;");
/// ```
#[must_use]
pub fn token_label(token: &str) -> String {
    let inner = token.trim();
    let start = token.len() - token.trim_start().len();
    let (before, behind) = (&token[..start], &token[start + inner.len()..]);
    // Control characters inside a token are visible too; spaces between words stay spaces.
    let inner: Vec<String> = inner.split(' ').map(escape::visible).collect();
    escape::plotly(&format!(
        "{}{}{}",
        escape::visible(before),
        inner.join(" "),
        escape::visible(behind)
    ))
}

/// A title: text, with its line ends.
pub(super) fn title(text: &str) -> String {
    escape::plotly(text).replace('\n', "<br>")
}

/// A text inside a hover template, where `%{…}` would be filled in.
pub(super) fn hover(text: &str) -> String {
    escape::plotly(text).replace("%{", "% {").replace('\n', " ")
}

/// The axis with these labels at 0, 1, 2…, or as it was where there are none.
///
/// Positions are numbers and labels are tick texts: on a category axis plotly would draw two equal
/// tokens at one place.
#[allow(clippy::cast_precision_loss)]
pub(super) fn put(axis: Axis, labels: &[String], len: usize, what: &str) -> Result<Axis> {
    if labels.is_empty() {
        return Ok(axis);
    }
    if labels.len() != len {
        return Err(Error::new(format!(
            "{} {what} labels for {len} positions: give one label a position",
            labels.len()
        )));
    }
    let every = labels.len().div_ceil(MOST_LABELS).max(1);
    let shown = || labels.iter().enumerate().step_by(every);
    Ok(axis
        .zero_line(false)
        .tick_values(shown().map(|(index, _)| index as f64).collect())
        .tick_text(shown().map(|(_, label)| token_label(label)).collect()))
}

/// The pixels that a side of a figure needs for its labels: at least `least`.
pub(super) fn room(labels: &[String], least: usize, each: usize, around: usize) -> usize {
    (labels.len().min(MOST_LABELS) * each + around).clamp(least, 1600)
}
