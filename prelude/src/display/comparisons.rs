//! Autoencoders beside each other: one measure against another, hook point by hook point, over a training.

use super::{PlotOptions, line, scatter_groups};
use crate::error::Result;
use crate::sae::metrics::SaeComparison;
use crate::sae::train::TrainingCourse;
use plotly::Plot;

impl SaeComparison {
    /// One measure against another, a point an autoencoder, a colour a kind: with
    /// [`PlotOptions::joined`], `"L0"` and `"loss recovered"` a Pareto curve; with [`PlotOptions::fitted`],
    /// `"norm of input"` and `"L0"` a line and whether its slope could be chance.
    ///
    /// ```
    /// use ferrolens::data::Corpus;
    /// use ferrolens::display::PlotOptions;
    /// use ferrolens::model::HookedTransformer;
    /// use ferrolens::sae::Sae;
    /// use ferrolens::sae::metrics::SaeEvaluation;
    /// let model = HookedTransformer::from_pretrained("stories-2l")?;
    /// let corpus = Corpus::new(&model, ["Lily saw a big cat."])?;
    /// let of = |release: &str| Sae::from_pretrained(release, "blocks.1.hook_resid_post");
    /// let kinds = [("ReLU", [of("stories-2l-relu")?]), ("NSAE", [of("stories-2l-nsae")?])];
    /// let measured = SaeEvaluation::new(&model, &corpus)?.measure(kinds)?;
    /// let pareto = measured.plot("L0", "loss recovered", PlotOptions::new().joined(true))?;
    /// # Ok::<(), ferrolens::Error>(())
    /// ```
    ///
    /// # Errors
    /// No measure is called so; a line is asked for and a kind has fewer than three autoencoders.
    pub fn plot(&self, x: &str, y: &str, options: PlotOptions) -> Result<Plot> {
        let (mut groups, mut labels) = (Vec::new(), Vec::new());
        for kind in self.kinds() {
            labels.extend(
                self.of_kind(&kind)?
                    .rows
                    .into_iter()
                    .map(|row| row.hook_point),
            );
            groups.push((kind.clone(), self.values(&kind, x)?, self.values(&kind, y)?));
        }
        let options = options.titles_where_none(x, y).point_labels(labels);
        scatter_groups(&groups, options)
    }

    /// One measure at each hook point, a line a kind.
    ///
    /// # Errors
    /// No measure is called so.
    pub fn plot_by_hook_point(&self, measure: &str, options: PlotOptions) -> Result<Plot> {
        let points = self.hook_points();
        let labels = points.iter().map(|point| point.replace("hook_", ""));
        let options = options
            .titles_where_none("hook point", measure)
            .x_labels(labels)
            .markers(true);
        line(&self.series(measure)?, options)
    }
}

impl TrainingCourse {
    /// A measure over the steps of the training, a line a hook point.
    ///
    /// # Errors
    /// No measure is called so, or nothing was measured.
    pub fn plot(&self, measure: &str, options: PlotOptions) -> Result<Plot> {
        let mut series = Vec::new();
        for point in self.last()?.hook_points() {
            let values = self.values(measure, &point)?;
            series.push((point.replace("hook_", ""), values));
        }
        let options = options
            .titles_where_none("step", measure)
            .x_values(&self.steps)?
            .markers(true);
        line(&series, options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Corpus;
    use crate::emit::Rich;
    use crate::model::HookedTransformer;
    use crate::sae::Sae;
    use crate::sae::metrics::SaeEvaluation;

    #[test]
    fn kinds_are_groups_and_hook_points_are_labels() {
        let model = HookedTransformer::from_pretrained("stories-2l").unwrap();
        let corpus = Corpus::new(&model, ["Lily saw a big cat."]).unwrap();
        let of = |release: &str| {
            ["blocks.0.hook_mlp_out", "blocks.1.hook_resid_post"]
                .map(|hook| Sae::from_pretrained(release, hook).unwrap())
        };
        let kinds = [
            ("ReLU", of("stories-2l-relu")),
            ("NSAE", of("stories-2l-nsae")),
        ];
        let evaluation = SaeEvaluation::new(&model, &corpus).unwrap();
        let measured = evaluation.measure(kinds).unwrap();
        let json = |plot: Plot| plot.bundle()["application/vnd.plotly.v1+json"].clone();
        let pareto = json(
            measured
                .plot("L0", "loss recovered", PlotOptions::new())
                .unwrap(),
        );
        assert_eq!(pareto["data"][1]["name"], "NSAE");
        assert_eq!(pareto["data"][1]["customdata"][0], "blocks.0.hook_mlp_out");
        assert_eq!(pareto["layout"]["xaxis"]["title"]["text"], "L0");
        let options = PlotOptions::new().y_title("active latents");
        let by_point = json(measured.plot_by_hook_point("L0", options).unwrap());
        assert_eq!(
            by_point["layout"]["xaxis"]["ticktext"][1],
            "blocks.1.resid_post"
        );
        assert_eq!(
            by_point["layout"]["yaxis"]["title"]["text"],
            "active latents"
        );
        assert!(measured.plot("L0", "L5", PlotOptions::new()).is_err());
        assert!(
            measured.bundle()["text/html"]
                .as_str()
                .unwrap()
                .contains("ReLU")
        );
    }
}
