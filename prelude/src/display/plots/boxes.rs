//! How values are spread, one box a series.

use super::labels;
use super::options::PlotOptions;
use super::series::{Borrowed, borrowed, read};
use super::trace::JsonTrace;
use super::{plot, rounded};
use crate::display::Numbers;
use crate::error::{Error, Result};
use plotly::layout::Axis;
use plotly::{Layout, Plot};
use serde_json::json;

/// The percentiles that the page holds in the place of all values.
const PERCENTILES: std::ops::RangeInclusive<usize> = 1..=99;

/// Draws how the values of each named series are spread, one box beside the other: the box is the middle half
/// of the values with their median, the whiskers reach from the 1st to the 99th percentile. For more series
/// than a [`histogram`](super::histogram()) can show over each other, as the layers of a model.
///
/// ```
/// use ferrolens::display::{PlotOptions, boxes};
/// use ferrolens::model::HookedTransformer;
/// let model = HookedTransformer::from_pretrained("stories-2l")?;
/// let norms = model.cache_only("Once upon a time", "blocks.*.hook_resid_*")?.norms()?;
/// let plot = boxes(&norms.series()?, PlotOptions::new().y_title("norm").log_y(true))?;
/// # Ok::<(), ferrolens::Error>(())
/// ```
///
/// # Errors
/// There is no series, or one cannot be read or has no finite value.
pub fn boxes<N: AsRef<str>, V: Numbers>(series: &[(N, V)], options: PlotOptions) -> Result<Plot> {
    boxes_of(&borrowed(series), options)
}

fn boxes_of(series: &[Borrowed<'_>], mut options: PlotOptions) -> Result<Plot> {
    let named = read(series)?;
    if named.is_empty() {
        return Err(Error::new(
            "there is no series to draw; give at least one `(name, &values)`",
        ));
    }
    let (mut places, mut values) = (Vec::new(), Vec::new());
    for (place, (name, of_series)) in named.iter().enumerate() {
        let mut sorted: Vec<f64> = of_series
            .iter()
            .copied()
            .filter(|v| v.is_finite())
            .collect();
        if sorted.is_empty() {
            return Err(Error::new(format!(
                "the series {name:?} has no finite value; check where it came from, or leave it out"
            )));
        }
        sorted.sort_by(f64::total_cmp);
        for percentile in PERCENTILES {
            places.push(place);
            values.push(rounded(quantile(&sorted, percentile as f64 / 100.)));
        }
    }
    if options.x_labels.is_empty() {
        options.x_labels = named.iter().map(|(name, _)| (*name).to_owned()).collect();
    }
    options.width = options
        .width
        .or(Some(labels::room(&options.x_labels, 700, 24, 200)));
    let trace = json!({
        "type": "box",
        "x": places,
        "y": values,
        "boxpoints": false,
        "marker": {"color": "#636efa"},
    });
    let axis = labels::put(Axis::new(), &options.x_labels, named.len(), "x")?;
    let layout = Layout::new().show_legend(false);
    let axes = (axis.zero_line(false), Axis::new());
    Ok(plot(vec![JsonTrace(trace)], &options, axes, layout))
}

/// A quantile of sorted values, between two of them where it falls so (numpy's default).
#[allow(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss
)]
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let place = share * sorted.len().saturating_sub(1) as f64;
    let below = place.floor() as usize;
    let at = |index: usize| sorted.get(index).or(sorted.last()).copied();
    match (at(below), at(below + 1)) {
        (Some(low), Some(high)) => low + (high - low) * place.fract(),
        _ => f64::NAN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_numpys() {
        let values = [1., 2., 4., 8., 16.];
        // numpy.percentile([1, 2, 4, 8, 16], [1, 30, 50, 99])
        for (share, expected) in [(0.01, 1.04), (0.3, 2.4), (0.5, 4.), (0.99, 15.68)] {
            assert!((quantile(&values, share) - expected).abs() < 1e-12);
        }
        assert_eq!(quantile(&[3.], 0.5), 3.);
    }

    #[test]
    fn a_box_a_series_under_its_name() {
        let many: Vec<f64> = (0..1000u32).map(f64::from).collect();
        let plot = boxes(
            &[("a", many), ("b", vec![5., f64::NAN])],
            PlotOptions::new(),
        )
        .unwrap();
        let figure: serde_json::Value = serde_json::from_str(&plot.to_json()).unwrap();
        let y = figure["data"][0]["y"].as_array().unwrap();
        assert_eq!(y.len(), 2 * 99);
        assert_eq!((&y[49], &y[99]), (&json!(499.5), &json!(5.0)));
        assert_eq!(figure["layout"]["xaxis"]["ticktext"], json!(["a", "b"]));
        use crate::emit::Rich;
        let svg = plot.bundle()["image/svg+xml"].as_str().unwrap().to_owned();
        roxmltree::Document::parse(&svg).unwrap();
        let none = boxes(&[("a", vec![f64::NAN])], PlotOptions::new());
        assert!(
            none.err()
                .unwrap()
                .to_string()
                .contains("\"a\" has no finite value")
        );
        assert!(boxes::<&str, Vec<f64>>(&[], PlotOptions::new()).is_err());
    }
}
