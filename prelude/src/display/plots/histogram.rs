//! How values are spread.
//!
//! The values are counted here, so that the page holds a bar a bin and not a million numbers.

use super::labels::token_label;
use super::options::{Normalise, PlotOptions};
use super::series::{Borrowed, borrowed, read};
use super::trace::JsonTrace;
use super::{plot, rounded};
use crate::display::Numbers;
use crate::display::static_picture::nice_step;
use crate::error::{Error, Result};
use plotly::layout::{Axis, BarMode};
use plotly::{Layout, Plot};
use serde_json::json;

/// More bins than a screen has columns cannot be seen.
const MOST_BINS: usize = 2000;
/// The most bins where nobody asked for a number.
const MOST_AUTOMATIC_BINS: f64 = 200.0;

/// Draws how the values of each named series are spread, over each other and in the same bins.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use ferrolens::display::{Normalise, PlotOptions, histogram};
///
/// let norms = Tensor::new(&[1.0_f32, 1.5, 1.7, 3.0], &Device::Cpu)?;
/// let options = PlotOptions::new().bins(20).normalise(Normalise::Probability);
/// let plot = histogram(&[("norm", &norms)], options)?;
/// # Ok::<(), ferrolens::Error>(())
/// ```
///
/// # Errors
/// There is no series, a series cannot be read, or no value of any series is finite.
pub fn histogram<N: AsRef<str>, V: Numbers>(
    series: &[(N, V)],
    options: PlotOptions,
) -> Result<Plot> {
    histogram_of(&borrowed(series), options)
}

fn histogram_of(series: &[Borrowed<'_>], options: PlotOptions) -> Result<Plot> {
    let named = read(series)?;
    let all: Vec<f64> = named
        .iter()
        .flat_map(|(_, values)| values)
        .copied()
        .filter(|value| value.is_finite())
        .collect();
    let Some(bins) = Bins::of(&all, options.bins) else {
        return Err(Error::new(
            "there is no finite value to count; check the tensor for NaN with `t.ne(&t)?`",
        ));
    };
    let several = if named.len() > 1 { 0.6 } else { 1.0 };
    let opacity = options.opacity.unwrap_or(several);
    let traces = named
        .iter()
        .map(|(name, values)| {
            let counts = bins.count(values);
            JsonTrace(json!({
                "type": "bar",
                "name": legend(name, values),
                "x": bins.middles(),
                "y": heights(&counts, bins.size, options.normalise),
                "width": bins.size,
                "opacity": opacity,
                "customdata": (0..counts.len()).map(|bin| bins.edges(bin)).collect::<Vec<_>>(),
                "hovertemplate": "%{customdata[0]} to %{customdata[1]}: %{y:.4g}",
            }))
        })
        .collect::<Vec<_>>();
    let mut options = options;
    if options.y_title.is_empty() {
        options.y_title = options.normalise.name().to_owned();
    }
    let layout = Layout::new()
        .bar_mode(BarMode::Overlay)
        .bar_gap(0.0)
        .show_legend(traces.len() > 1);
    Ok(plot(
        traces,
        &options,
        (Axis::new().zero_line(false), Axis::new()),
        layout,
    ))
}

/// The name in the legend, which says what was left out.
fn legend(name: &str, values: &[f64]) -> String {
    let left_out = values.iter().filter(|value| !value.is_finite()).count();
    let name = token_label(name);
    if left_out == 0 {
        name
    } else {
        format!("{name} ({left_out} not finite, left out)")
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Bins {
    start: f64,
    pub(super) size: f64,
    pub(super) count: usize,
}

impl Bins {
    /// Bins of a round width: at most `most`, or, as plotly chooses, about `2 σ / n^0.4` wide.
    #[allow(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss
    )]
    pub(super) fn of(values: &[f64], most: Option<usize>) -> Option<Self> {
        let low = values.iter().copied().reduce(f64::min)?;
        let high = values.iter().copied().reduce(f64::max)?;
        if high <= low {
            return Some(Self {
                start: low - 0.5,
                size: 1.0,
                count: 1,
            });
        }
        let size = match most {
            Some(most) => nice_step(high - low, most.clamp(1, MOST_BINS) as f64),
            None => {
                let count = values.len() as f64;
                let mean = values.iter().sum::<f64>() / count;
                let variance = values
                    .iter()
                    .map(|value| (value - mean).powi(2))
                    .sum::<f64>()
                    / count;
                let rough = 2.0 * variance.sqrt() / count.powf(0.4);
                nice_step(rough.max((high - low) / MOST_AUTOMATIC_BINS), 1.0)
            }
        };
        // Whole numbers stand in the middle of their bins.
        let whole = values.iter().all(|value| value.fract() == 0.0);
        let (size, shift) = if whole {
            (size.max(1.0), 0.5)
        } else {
            (size, 0.0)
        };
        let start = ((low + shift) / size).floor() * size - shift;
        // The last bin holds its upper edge too, as numpy's does.
        let count = ((high - start) / size - 1e-9).ceil().max(1.0) as usize;
        Some(Self {
            start,
            size,
            count: count.min(2 * MOST_BINS),
        })
    }

    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
    pub(super) fn count(&self, values: &[f64]) -> Vec<usize> {
        let mut counts = vec![0; self.count];
        for value in values.iter().filter(|value| value.is_finite()) {
            // A hair more keeps 0.3 out of the bin that ends at 0.30000000000000004.
            let bin = ((value - self.start) / self.size + 1e-9).floor().max(0.0) as usize;
            if let Some(count) = counts.get_mut(bin.min(self.count - 1)) {
                *count += 1;
            }
        }
        counts
    }

    #[allow(clippy::cast_precision_loss)]
    fn edges(&self, bin: usize) -> [f64; 2] {
        let edge = |bin: usize| rounded(self.start + bin as f64 * self.size);
        [edge(bin), edge(bin + 1)]
    }

    #[allow(clippy::cast_precision_loss)]
    fn middles(&self) -> Vec<f64> {
        (0..self.count)
            .map(|bin| self.start + (bin as f64 + 0.5) * self.size)
            .collect()
    }
}

#[allow(clippy::cast_precision_loss)]
pub(super) fn heights(counts: &[usize], size: f64, normalise: Normalise) -> Vec<f64> {
    let total = counts.iter().sum::<usize>().max(1) as f64;
    let unit = match normalise {
        Normalise::Count => return counts.iter().map(|count| *count as f64).collect(),
        Normalise::Probability => total,
        Normalise::Percent => total / 100.0,
        Normalise::Density => total * size,
    };
    counts
        .iter()
        .map(|count| rounded(*count as f64 / unit))
        .collect()
}

impl Normalise {
    fn name(self) -> &'static str {
        match self {
            Self::Count => "count",
            Self::Probability => "probability",
            Self::Percent => "percent",
            Self::Density => "density",
        }
    }
}
