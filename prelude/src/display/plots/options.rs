//! What a ready figure may be told.

use super::ColourScale;
use crate::display::Numbers;
use crate::error::Result;

/// The settings of a ready figure; what a figure has no use for is ignored.
///
/// ```
/// use ferrolens::display::PlotOptions;
///
/// let options = PlotOptions::new().title("Attention").x_title("key").y_title("query");
/// ```
#[derive(Debug, Clone, Default)]
pub struct PlotOptions {
    pub(super) title: String,
    pub(super) x_title: String,
    pub(super) y_title: String,
    pub(super) value_title: String,
    pub(super) x_labels: Vec<String>,
    pub(super) y_labels: Vec<String>,
    pub(super) point_labels: Vec<String>,
    pub(super) x_values: Option<Vec<f64>>,
    pub(super) errors: Vec<Vec<f64>>,
    pub(super) bands: Vec<(Vec<f64>, Vec<f64>)>,
    pub(super) point_values: Option<Vec<f64>>,
    pub(super) colour_scale: ColourScale,
    pub(super) colour_range: Option<(f64, f64)>,
    pub(super) first_row_at_bottom: bool,
    pub(super) show_values: bool,
    pub(super) log_x: bool,
    pub(super) log_y: bool,
    pub(super) opacity: Option<f64>,
    pub(super) x_range: Option<(f64, f64)>,
    pub(super) hover_values: Vec<(String, Vec<f64>)>,
    pub(super) stacked: bool,
    pub(super) markers: bool,
    pub(super) joined: bool,
    pub(super) fitted: bool,
    pub(super) bins: Option<usize>,
    pub(super) normalise: Normalise,
    pub(super) width: Option<usize>,
    pub(super) height: Option<usize>,
}

/// What the height of a histogram's bar is, for each series on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Normalise {
    /// How many values lie in the bin.
    #[default]
    Count,
    /// Which share of the values: the heights sum to 1. plotly's `histnorm='probability'`.
    Probability,
    /// Which share in percent: the heights sum to 100.
    Percent,
    /// The share per unit of x: the area is 1. plotly's `histnorm='probability density'`.
    Density,
}

impl PlotOptions {
    /// No titles, no labels, plotly's size.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Above the figure. A text: `\n` starts a line, markup is not read.
    #[must_use]
    pub fn title(mut self, title: impl Into<String>) -> Self {
        self.title = title.into();
        self
    }

    /// Below the x axis.
    #[must_use]
    pub fn x_title(mut self, title: impl Into<String>) -> Self {
        self.x_title = title.into();
        self
    }

    /// Beside the y axis.
    #[must_use]
    pub fn y_title(mut self, title: impl Into<String>) -> Self {
        self.y_title = title.into();
        self
    }

    /// Titles of the axes, where nobody gave others.
    pub(in crate::display) fn titles_where_none(mut self, x: &str, y: &str) -> Self {
        for (title, new) in [(&mut self.x_title, x), (&mut self.y_title, y)] {
            if title.is_empty() {
                new.clone_into(title);
            }
        }
        self
    }

    /// Above the colour bar, and before the value under the mouse.
    #[must_use]
    pub fn value_title(mut self, title: impl Into<String>) -> Self {
        self.value_title = title.into();
        self
    }

    /// One label for each position along x: columns of a heat map, bars, points of lines. They may
    /// repeat, as tokens do.
    #[must_use]
    pub fn x_labels<S: AsRef<str>>(mut self, labels: impl IntoIterator<Item = S>) -> Self {
        self.x_labels = owned(labels);
        self
    }

    /// One label for each row of a heat map. They may repeat.
    #[must_use]
    pub fn y_labels<S: AsRef<str>>(mut self, labels: impl IntoIterator<Item = S>) -> Self {
        self.y_labels = owned(labels);
        self
    }

    /// One name for each point of a scatter plot, shown under the mouse.
    #[must_use]
    pub fn point_labels<S: AsRef<str>>(mut self, labels: impl IntoIterator<Item = S>) -> Self {
        self.point_labels = owned(labels);
        self
    }

    /// Where the points of lines lie along x, instead of at 0, 1, 2…
    ///
    /// # Errors
    /// The numbers cannot be read.
    pub fn x_values(mut self, values: &(impl Numbers + ?Sized)) -> Result<Self> {
        self.x_values = Some(values.numbers()?);
        Ok(self)
    }

    /// How far the error bars of the next series go, both ways; call it once a series, in order.
    ///
    /// # Errors
    /// The numbers cannot be read.
    pub fn errors(mut self, errors: &(impl Numbers + ?Sized)) -> Result<Self> {
        self.errors.push(errors.numbers()?);
        Ok(self)
    }

    /// The lower and the upper edge of a shaded band around the next line, such as quartiles; call it once a
    /// series, in order.
    ///
    /// ```
    /// use ferrolens::display::{PlotOptions, line};
    /// let options = PlotOptions::new().band(&[0.5, 1.5], &[1.5, 3.])?;
    /// line(&[("mean", [1., 2.])], options)?;
    /// # Ok::<(), ferrolens::Error>(())
    /// ```
    ///
    /// # Errors
    /// The numbers cannot be read.
    pub fn band(
        mut self,
        low: &(impl Numbers + ?Sized),
        high: &(impl Numbers + ?Sized),
    ) -> Result<Self> {
        self.bands.push((low.numbers()?, high.numbers()?));
        Ok(self)
    }

    /// Colours the points of a scatter plot by these values.
    ///
    /// # Errors
    /// The numbers cannot be read.
    pub fn colour_by(mut self, values: &(impl Numbers + ?Sized)) -> Result<Self> {
        self.point_values = Some(values.numbers()?);
        Ok(self)
    }

    /// The colours of a heat map, or of points that are coloured by values.
    #[must_use]
    pub fn colour_scale(mut self, scale: ColourScale) -> Self {
        self.colour_scale = scale;
        self
    }

    /// The values of the first and the last colour, to make several figures comparable.
    #[must_use]
    pub fn colour_range(mut self, low: f64, high: f64) -> Self {
        self.colour_range = Some((low, high));
        self
    }

    /// Draws row 0 of a heat map at the bottom, as plotly does; by default it is at the top, as a
    /// matrix is written.
    #[must_use]
    pub fn first_row_at_bottom(mut self, at_bottom: bool) -> Self {
        self.first_row_at_bottom = at_bottom;
        self
    }

    /// Writes the numbers into the cells of a heat map, and on bars.
    #[must_use]
    pub fn show_values(mut self, show: bool) -> Self {
        self.show_values = show;
        self
    }

    /// A logarithmic x axis.
    #[must_use]
    pub fn log_x(mut self, logarithmic: bool) -> Self {
        self.log_x = logarithmic;
        self
    }

    /// A logarithmic y axis.
    #[must_use]
    pub fn log_y(mut self, logarithmic: bool) -> Self {
        self.log_y = logarithmic;
        self
    }

    /// The part of the x axis that is shown, to make several figures comparable. On a logarithmic axis it
    /// is not read.
    #[must_use]
    pub fn x_range(mut self, low: f64, high: f64) -> Self {
        self.x_range = Some((low, high));
        self
    }

    /// How much of what is below the bars of a histogram they hide, 0 to 1. By default 0.6 where there are
    /// several series.
    #[must_use]
    pub fn opacity(mut self, opacity: f64) -> Self {
        self.opacity = Some(opacity);
        self
    }

    /// One more number for each cell of a heat map, shown under the mouse; call it once a number.
    ///
    /// # Errors
    /// The numbers cannot be read.
    pub fn hover_value(
        mut self,
        name: impl Into<String>,
        values: &(impl Numbers + ?Sized),
    ) -> Result<Self> {
        self.hover_values.push((name.into(), values.numbers()?));
        Ok(self)
    }

    /// Puts the bars of several series on top of each other instead of side by side.
    #[must_use]
    pub fn stacked(mut self, stacked: bool) -> Self {
        self.stacked = stacked;
        self
    }

    /// Marks the points of lines.
    #[must_use]
    pub fn markers(mut self, markers: bool) -> Self {
        self.markers = markers;
        self
    }

    /// Joins the points of each group of a scatter plot, from left to right.
    #[must_use]
    pub fn joined(mut self, joined: bool) -> Self {
        self.joined = joined;
        self
    }

    /// Draws the line of least squares through each group of a scatter plot, with its p-value in the legend:
    /// see [`LinearFit`](crate::math::LinearFit).
    #[must_use]
    pub fn fitted(mut self, fitted: bool) -> Self {
        self.fitted = fitted;
        self
    }

    /// The most bins of a histogram; their width is a round number. By default it follows the
    /// spread and the number of values.
    #[must_use]
    pub fn bins(mut self, most: usize) -> Self {
        self.bins = Some(most);
        self
    }

    /// What the heights of a histogram mean.
    #[must_use]
    pub fn normalise(mut self, normalise: Normalise) -> Self {
        self.normalise = normalise;
        self
    }

    /// The figure's size in pixels.
    #[must_use]
    pub fn size(mut self, width: usize, height: usize) -> Self {
        self.width = Some(width);
        self.height = Some(height);
        self
    }
}

fn owned<S: AsRef<str>>(labels: impl IntoIterator<Item = S>) -> Vec<String> {
    labels
        .into_iter()
        .map(|label| label.as_ref().to_owned())
        .collect()
}
