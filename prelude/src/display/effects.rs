//! What interventions did: a summary, and kinds of intervention as bars beside each other.

use super::{PlotOptions, bar};
use crate::analysis::{ActiveLatents, EffectComparison, Effects};
use crate::emit::{Bundle, Rich, text};
use crate::error::{Error, Result};
use plotly::Plot;

/// A row a measure, a column a kind of intervention.
impl Rich for EffectComparison {
    fn bundle(&self) -> Bundle {
        match self.table() {
            Ok(table) => table.bundle(),
            Err(error) => text(error.to_string()),
        }
    }
}

/// Its summary.
impl Rich for Effects {
    fn bundle(&self) -> Bundle {
        match self.summary() {
            Ok(table) => table.bundle(),
            Err(error) => text(error.to_string()),
        }
    }
}

impl EffectComparison {
    /// Each measure's mean over the baseline's, a bar a kind of intervention: below 1 it does less than
    /// the baseline, at 0 nothing. Error bars are 95 % intervals.
    ///
    /// # Errors
    /// There is no kind beside the baseline.
    pub fn plot(&self, options: PlotOptions) -> Result<Plot> {
        let mut series = Vec::new();
        let mut options = options
            .x_labels(self.measures().iter().map(|name| name.replace("hook_", "")))
            .y_title(format!("mean, relative to {:?}", self.baseline));
        for name in self.interventions() {
            if name == self.baseline {
                continue;
            }
            let of_kind = || self.rows.iter().filter(|row| row.intervention == name);
            let widths: Vec<f64> = of_kind().map(|row| row.relative.half_width()).collect();
            let values: Vec<f64> = of_kind().map(|row| row.relative.mean).collect();
            options = options.errors(&widths)?;
            series.push((name.clone(), values));
        }
        if series.is_empty() {
            return Err(Error::new(format!(
                "there is nothing beside {:?} to compare it with: give some to `compare`.",
                self.baseline
            )));
        }
        bar(&series, options)
    }
}

impl ActiveLatents {
    /// A bar an active latent: how active it is.
    ///
    /// # Errors
    /// No latent is active.
    pub fn plot(&self, options: PlotOptions) -> Result<Plot> {
        let names = self
            .latents
            .iter()
            .map(|latent| format!("Feature {latent}"));
        let options = options
            .x_labels(names)
            .x_title("Feature")
            .y_title("Activation Strength");
        if self.is_empty() {
            return Err(Error::new(format!(
                "no latent of {} is active there, so there is nothing to draw: look at another position.",
                self.sae
            )));
        }
        bar(&[("activation", &self.acts)], options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::effects::Measure;

    fn effects(name: &str, values: [f64; 3]) -> Effects {
        let measure = Measure {
            name: "KL".to_owned(),
            values: values.to_vec(),
        };
        Effects {
            name: name.to_owned(),
            measures: vec![measure],
        }
    }

    #[test]
    fn bars_stand_beside_each_other_without_the_baseline() {
        let (ablated, fixed) = (
            effects("ablated", [1., 2., 3.]),
            effects("fixed", [0.5, 1., 1.5]),
        );
        let comparison = ablated.compare(&[&fixed]).unwrap();
        let plot = comparison.plot(PlotOptions::new()).unwrap();
        let json: serde_json::Value = serde_json::from_str(&plot.to_json()).unwrap();
        assert_eq!(json["data"].as_array().unwrap().len(), 1);
        assert_eq!(json["data"][0]["y"][0], 0.5);
        assert_eq!(json["data"][0]["error_y"]["array"][0], 0.);
        assert!(
            ablated
                .compare(&[])
                .unwrap()
                .plot(PlotOptions::new())
                .is_err()
        );
        assert!(
            ablated.bundle()["text/html"]
                .as_str()
                .unwrap()
                .contains("KL")
        );
    }
}
