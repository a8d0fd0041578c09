//! Ready figures of labelled data.
//!
//! Each returns plotly's [`Plot`], to be shown as it is or changed with plotly's own methods.
//! Labels and titles are texts, never markup: a token `<br>` stays a token, white space at its
//! ends is visible, and two positions with the same token stay two positions.

mod boxes;
mod colours;
mod groups;
mod heat;
mod histogram;
mod labels;
mod options;
mod series;
mod trace;

pub use boxes::boxes;
pub use colours::ColourScale;
pub use groups::scatter_groups;
pub use heat::heatmap;
pub use histogram::histogram;
pub use labels::token_label;
pub use options::{Normalise, PlotOptions};
pub use series::{bar, line, scatter};

use plotly::common::Title;
use plotly::layout::{Axis, AxisType, Margin};
use plotly::{Configuration, Layout, Plot};
use trace::JsonTrace;

/// A plot of these traces with the titles and the size that the options ask for.
fn plot(traces: Vec<JsonTrace>, options: &PlotOptions, axes: (Axis, Axis), layout: Layout) -> Plot {
    let titled = |axis: Axis, title: &str| {
        if title.is_empty() {
            axis
        } else {
            axis.title(Title::with_text(labels::title(title)))
        }
    };
    let logarithmic = |axis: Axis, is: bool| if is { axis.type_(AxisType::Log) } else { axis };
    let x = logarithmic(titled(axes.0, &options.x_title), options.log_x);
    let x = match options.x_range {
        Some((low, high)) if !options.log_x => x.range(vec![low, high]),
        _ => x,
    };
    let y = logarithmic(titled(axes.1, &options.y_title), options.log_y);
    let mut layout = layout
        .x_axis(x.auto_margin(true))
        .y_axis(y.auto_margin(true));
    if !options.title.is_empty() {
        layout = layout.title(Title::with_text(labels::title(&options.title)));
    }
    layout = layout.margin(Margin::new().top(if options.title.is_empty() { 30 } else { 70 }));
    if let Some(width) = options.width {
        layout = layout.width(width);
    }
    if let Some(height) = options.height {
        layout = layout.height(height);
    }
    let mut plot = Plot::new();
    for trace in traces {
        plot.add_trace(Box::new(trace));
    }
    plot.set_layout(layout);
    // Two `$` in a label would become a formula.
    plot.set_configuration(Configuration::new().typeset_math(false).responsive(true));
    plot
}

/// Six significant digits: what a page can show, in half the bytes. NaN becomes JSON's `null`.
pub(super) fn rounded(value: f64) -> f64 {
    format!("{value:.5e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests;
