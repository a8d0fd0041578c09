//! What components contribute, as bars.

use super::{PlotOptions, bar};
use crate::analysis::ComponentAttributions;
use crate::error::Result;
use plotly::Plot;

impl ComponentAttributions {
    /// A bar a component: its mean over the prompts, with the 95 % interval.
    ///
    /// # Errors
    /// The figure cannot be made.
    pub fn plot(&self, options: PlotOptions) -> Result<Plot> {
        let estimates = self.estimates()?;
        let means: Vec<f64> = estimates.iter().map(|estimate| estimate.mean).collect();
        let sure: Vec<f64> = estimates.iter().map(|estimate| estimate.ci95).collect();
        let options = options
            .x_title("component")
            .x_labels(&self.labels)
            .errors(&sure)?;
        bar(&[("mean", &means)], options)
    }
}
