//! Pushed activations, combinations and layer horizons as figures.

use super::{PlotOptions, line};
use crate::analysis::{Composites, DecoderCosines, LayerHorizon, Readout, SensitivityCurves};
use crate::emit::{Bundle, Rich, text};
use crate::error::{Error, Result};
use crate::math::Estimate;
use crate::model::HookPoint;
use plotly::Plot;

/// [`SensitivityCurves::plateaus`], or all curves where nothing was pushed as far as that needs.
impl Rich for SensitivityCurves {
    fn bundle(&self) -> Bundle {
        match self.plateaus().or_else(|_| self.summary()) {
            Ok(table) => table.bundle(),
            Err(error) => text(error.to_string()),
        }
    }
}

impl SensitivityCurves {
    /// A line a kind of direction: the mean over prompts against the length, in distances between two
    /// activations. The shaded bands go from the lower to the upper quartile.
    ///
    /// ```
    /// use ferrolens::prelude::*;
    /// let model = HookedTransformer::from_pretrained("stories-2l")?;
    /// let prompts = Corpus::new(&model, ["Once upon a time", "Lily saw a"])?;
    /// let sensitivity = model.sensitivity(&prompts, "blocks.0.hook_resid_post")?;
    /// let curves = sensitivity.push(&[("random", Direction::Isotropic)], &[0., 5., 10.], 1)?;
    /// curves.plot(Readout::Kl, PlotOptions::new().title("Pushed at random"))?;
    /// # Ok::<(), ferrolens::Error>(())
    /// ```
    ///
    /// # Errors
    /// There are no curves.
    pub fn plot(&self, readout: Readout, options: PlotOptions) -> Result<Plot> {
        // A single prompt has no distance to another.
        let (unit, title) = match self.distance > 0. {
            true => (
                self.distance,
                format!(
                    "length / distance of two activations (1 = {:.4})",
                    super::plots::rounded(self.distance)
                ),
            ),
            false => (1., "length".to_owned()),
        };
        let x: Vec<f64> = self.lengths.iter().map(|length| length / unit).collect();
        let mut options = options
            .x_title(title)
            .y_title(readout.title())
            .x_values(&x)?;
        let mut series = Vec::new();
        for kind in &self.kinds {
            let spreads = crate::analysis::sensitivity::spreads(kind.of(readout), x.len());
            let low: Vec<f64> = spreads.iter().map(|spread| spread.low).collect();
            let high: Vec<f64> = spreads.iter().map(|spread| spread.high).collect();
            let mean: Vec<f64> = spreads.iter().map(|spread| spread.mean).collect();
            options = options.band(&low, &high)?;
            series.push((kind.name.clone(), mean));
        }
        line(&series, options)
    }
}

impl Composites {
    /// A line a kind of direction: the mean share explained against the number of terms, with 95 %
    /// intervals.
    ///
    /// # Errors
    /// There is nothing to draw.
    pub fn plot(&self, options: PlotOptions) -> Result<Plot> {
        let terms: Vec<f64> = (1..=self.terms()).map(|terms| terms as f64).collect();
        let mut options = options
            .x_title("other latents in the combination")
            .y_title("share of the squared norm explained")
            .x_values(&terms)?;
        let mut series = Vec::new();
        for kind in &self.kinds {
            let estimates: Vec<Estimate> = (1..=self.terms())
                .map(|terms| self.estimate(kind, terms))
                .collect::<Result<_>>()?;
            let means: Vec<f64> = estimates.iter().map(|each| each.mean).collect();
            let low: Vec<f64> = estimates.iter().map(|each| each.low).collect();
            let high: Vec<f64> = estimates.iter().map(|each| each.high).collect();
            options = options.band(&low, &high)?;
            series.push((kind.clone(), means));
        }
        line(&series, options)
    }
}

impl DecoderCosines {
    /// The shares of pairs against the cosine, a line each for the latents and for the two kinds of
    /// random directions.
    ///
    /// # Errors
    /// There are no bins.
    pub fn plot(&self, options: PlotOptions) -> Result<Plot> {
        let edges = self.decoder.edges();
        let middles = edges.windows(2).map(|pair| (pair[0] + pair[1]) / 2.);
        let middles: Vec<f64> = middles.collect();
        let series = [
            ("decoder", self.decoder.shares()),
            ("isotropic", self.isotropic.shares()),
            ("covariance matched", self.covariance_matched.shares()),
        ];
        let options = options
            .x_title("cosine of two directions")
            .y_title("share of pairs")
            .x_values(&middles)?;
        line(&series, options)
    }
}

/// Its table.
impl Rich for LayerHorizon {
    fn bundle(&self) -> Bundle {
        match self.to_df() {
            Ok(table) => table.bundle(),
            Err(error) => text(error.to_string()),
        }
    }
}

impl LayerHorizon {
    /// A line a writer: how long what it wrote is beside the residual stream, from where it wrote it on.
    ///
    /// # Errors
    /// There are no places.
    pub fn plot(&self, options: PlotOptions) -> Result<Plot> {
        if self.points.is_empty() {
            return Err(Error::new(
                "there is no place in the residual stream to draw.",
            ));
        }
        let mut series = Vec::new();
        for writer in self.writers() {
            let mut values = vec![f64::NAN; self.points.len()];
            for row in self.of(&writer)? {
                let place = self.points.iter().position(|point| *point == row.point);
                if let Some(value) = place.and_then(|place| values.get_mut(place)) {
                    *value = row.norm_ratio;
                }
            }
            series.push((short(&writer), values));
        }
        let places = self.points.iter().map(HookPoint::name);
        let options = options
            .x_title("residual stream at")
            .y_title("|written| / |stream|")
            .x_labels(places.map(|name| short(&name)))
            .markers(true);
        line(&series, options)
    }
}

fn short(name: &str) -> String {
    name.replace("hook_", "")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::SensitivityCurve;

    #[test]
    fn lines_have_bands_and_are_in_distances() {
        let kind = |name: &str| SensitivityCurve {
            name: name.to_owned(),
            kl: vec![vec![0., 1., 2.], vec![0., 3., 4.]],
            l2: vec![vec![0., 5., 6.], vec![0., 7., 8.]],
            reach: vec![1., 1.],
        };
        let curves = SensitivityCurves {
            point: "blocks.0.hook_resid_post".parse().unwrap(),
            lengths: vec![0., 2., 4.],
            distance: 4.,
            kinds: vec![kind("a"), kind("b")],
        };
        let plot = curves.plot(Readout::Kl, PlotOptions::new()).unwrap();
        let json: serde_json::Value = serde_json::from_str(&plot.to_json()).unwrap();
        let traces = json["data"].as_array().unwrap();
        assert_eq!(traces.len(), 6);
        let named: Vec<&serde_json::Value> = traces
            .iter()
            .filter(|trace| trace["showlegend"] != false)
            .collect();
        assert_eq!(named.len(), 2);
        assert_eq!(named[0]["x"], serde_json::json!([0., 0.5, 1.]));
        assert_eq!(named[0]["y"], serde_json::json!([0., 2., 3.]));
        assert_eq!(traces[0]["y"], serde_json::json!([0., 1.5, 2.5]));
        assert_eq!(traces[1]["fill"], "tonexty");
        assert!(
            curves.bundle()["text/html"]
                .as_str()
                .unwrap()
                .contains("half_length")
        );
    }
}
