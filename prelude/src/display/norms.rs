//! Norms of two runs as a heat map.

use super::{ColourScale, PlotOptions, heatmap};
use crate::analysis::Norms;
use crate::error::{Error, Result};
use candle_core::Tensor;
use plotly::Plot;

impl Norms {
    /// How these norms, of one prompt that was run with an intervention, differ from those of the clean
    /// run: a row a hook point, a column a token. The colour is the relative difference, the number at the
    /// mouse also both norms, their difference and their ratio.
    ///
    /// ```
    /// use ferrolens::display::PlotOptions;
    /// use ferrolens::intervene::Intervention;
    /// use ferrolens::model::HookedTransformer;
    /// let model = HookedTransformer::from_pretrained("stories-2l")?;
    /// let (prompt, points) = ("Once upon a time", "blocks.*.hook_resid_*");
    /// let zero = Intervention::zero("blocks.0.hook_attn_out").at(-1);
    /// let clean = model.cache_only(prompt, points)?.norms()?;
    /// let corrupted = model.run(prompt).hooks(&zero).cache(points).cache_only()?.norms()?;
    /// let words = model.to_str_tokens(prompt)?;
    /// let plot = corrupted.plot_difference(&clean, &words, PlotOptions::new().title("Without attention"))?;
    /// # Ok::<(), ferrolens::Error>(())
    /// ```
    ///
    /// # Errors
    /// The norms are not of the same hook points and of one prompt, or there are not as many tokens as
    /// positions.
    pub fn plot_difference(
        &self,
        clean: &Norms,
        tokens: &[String],
        options: PlotOptions,
    ) -> Result<Plot> {
        let of_prompt = |norms: &Tensor| match norms.dims() {
            [_, 1, _] => Ok(norms.squeeze(1)?),
            [_, _] => Ok(norms.clone()),
            dims => Err(Error::new(format!(
                "norms of shape {dims:?} are not those of one prompt, [point, 1, pos]: run one prompt at \
                 a time."
            ))),
        };
        let difference = of_prompt(&self.relative_difference(clean)?)?;
        let labels = tokens.iter().enumerate();
        let labels: Vec<String> = labels
            .map(|(at, token)| format!("{at}: {token:?}"))
            .collect();
        let names = self.points.iter().map(|point| point.name());
        let options = options
            .x_title("token")
            .y_title("hook point")
            .value_title("relative difference")
            .colour_scale(ColourScale::RdBu)
            .x_labels(labels)
            .y_labels(names)
            .hover_value("clean", &clean.values)?
            .hover_value("corrupted", &self.values)?
            .hover_value("difference", &(&self.values - &clean.values)?)?
            .hover_value("ratio", &self.ratio(clean)?)?;
        heatmap(&difference, options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::HookedTransformer;

    #[test]
    fn a_cell_says_both_norms() {
        let model = HookedTransformer::from_pretrained("stories-2l").unwrap();
        let cache = model
            .cache_only("Lily ran", "blocks.*.hook_resid_pre")
            .unwrap();
        let clean = cache.norms().unwrap();
        let mut half = clean.clone();
        half.values = (&clean.values / 2.).unwrap();
        let words = model.to_str_tokens("Lily ran").unwrap();
        let plot = half
            .plot_difference(&clean, &words, PlotOptions::new())
            .unwrap();
        let json: serde_json::Value = serde_json::from_str(&plot.to_json()).unwrap();
        let trace = &json["data"][0];
        let cell = &trace["customdata"][1][2];
        assert_eq!(cell.as_array().unwrap().len(), 4);
        assert!((cell[3].as_f64().unwrap() - 0.5).abs() < 1e-6);
        assert!((trace["z"][1][2].as_f64().unwrap() + 2. / 3.).abs() < 1e-4);
        let hover = trace["hovertemplate"].as_str().unwrap();
        assert!(hover.contains("ratio: %{customdata[3]:.4g}"), "{hover}");
        assert!(
            half.plot_difference(&clean, &words[1..], PlotOptions::new())
                .is_err()
        );
    }
}
