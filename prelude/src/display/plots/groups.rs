//! Groups of points, each with x and y of its own.

use super::labels::{hover, token_label};
use super::options::PlotOptions;
use super::series::same_len;
use super::trace::JsonTrace;
use super::{plot, rounded};
use crate::display::Numbers;
use crate::error::{Error, Result};
use crate::math::{LinearFit, shown_p_value};
use plotly::layout::Axis;
use plotly::{Layout, Plot};
use serde_json::{Value, json};

/// plotly's own colours, written out so that a line has that of its points.
const COLOURS: [&str; 10] = [
    "#636efa", "#EF553B", "#00cc96", "#ab63fa", "#FFA15A", "#19d3f3", "#FF6692", "#B6E880",
    "#FF97FF", "#FECB52",
];
const SYMBOLS: [&str; 4] = ["circle", "diamond", "square", "triangle-up"];

/// A fitted line has so many points, because on a logarithmic axis it is bent.
const POINTS_OF_A_LINE: usize = 41;

/// Draws named groups of points in one figure: [`PlotOptions::joined`] joins those of a group,
/// [`PlotOptions::fitted`] puts a line through them and its p-value into the legend. Point labels are those of
/// the first group, then of the next.
///
/// ```
/// use ferrolens::display::{PlotOptions, scatter_groups};
/// let relu = ([3., 12., 40.], [0.71, 0.83, 0.92]); // L0 and loss recovered of three autoencoders
/// let nsae = ([5., 18.], [0.70, 0.88]);
/// let plot = scatter_groups(
///     &[("ReLU", &relu.0[..], &relu.1[..]), ("NSAE", &nsae.0[..], &nsae.1[..])],
///     PlotOptions::new().joined(true).x_title("L0").y_title("loss recovered").log_x(true),
/// )?;
/// # Ok::<(), ferrolens::Error>(())
/// ```
///
/// # Errors
/// There is no group; the x, y and labels of a group are not equally many; a line is asked for and a group
/// has none.
pub fn scatter_groups<N, X, Y>(groups: &[(N, X, Y)], options: PlotOptions) -> Result<Plot>
where
    N: AsRef<str>,
    X: Numbers,
    Y: Numbers,
{
    let mut read = Vec::with_capacity(groups.len());
    for (name, x, y) in groups {
        read.push((name.as_ref().to_owned(), x.numbers()?, y.numbers()?));
    }
    groups_of(read, options)
}

fn groups_of(groups: Vec<(String, Vec<f64>, Vec<f64>)>, mut options: PlotOptions) -> Result<Plot> {
    if groups.is_empty() {
        return Err(Error::new(
            "there is no group to draw; give at least one `(name, &x, &y)`",
        ));
    }
    let points: usize = groups.iter().map(|(_, _, y)| y.len()).sum();
    if !options.point_labels.is_empty() {
        same_len("point labels", options.point_labels.len(), points)?;
    }
    let mut traces = Vec::new();
    let mut labels = std::mem::take(&mut options.point_labels).into_iter();
    for (index, (name, x, y)) in groups.iter().enumerate() {
        same_len("x values", x.len(), y.len())
            .map_err(|error| error.context(format!("{name:?}")))?;
        let colour = COLOURS[index % COLOURS.len()];
        let mut order: Vec<usize> = (0..x.len()).collect();
        if options.joined {
            order.sort_by(|a, b| x[*a].total_cmp(&x[*b]));
        }
        let of_group: Vec<String> = labels.by_ref().take(x.len()).collect();
        let in_order =
            |values: &[f64]| -> Vec<f64> { order.iter().map(|at| rounded(values[*at])).collect() };
        let mut trace = json!({
            "type": "scatter",
            "mode": if options.joined { "lines+markers" } else { "markers" },
            "name": token_label(name),
            "x": in_order(x),
            "y": in_order(y),
            "marker": {"size": 8, "color": colour, "symbol": SYMBOLS[index % SYMBOLS.len()]},
            "line": {"color": colour},
            "hovertemplate": hover_text(name, !of_group.is_empty()),
        });
        if !of_group.is_empty() {
            let of_point = |at: &usize| of_group.get(*at).map(|label| token_label(label));
            trace["customdata"] = json!(order.iter().map(of_point).collect::<Vec<_>>());
        }
        traces.push(JsonTrace(trace));
        if options.fitted {
            let fit = LinearFit::of(x, y).map_err(|error| error.context(format!("{name:?}")))?;
            traces.push(JsonTrace(fitted(x, &fit, colour, options.log_x)));
        }
    }
    let layout = Layout::new().show_legend(traces.len() > 1);
    options.width = options.width.or(Some(800));
    Ok(plot(traces, &options, (Axis::new(), Axis::new()), layout))
}

fn fitted(x: &[f64], fit: &LinearFit, colour: &str, logarithmic: bool) -> Value {
    let finite = || x.iter().copied().filter(|x| x.is_finite());
    let low = finite().fold(f64::INFINITY, f64::min);
    let high = finite().fold(f64::NEG_INFINITY, f64::max);
    let bent = logarithmic && low > 0.;
    let step = |at: usize| at as f64 / (POINTS_OF_A_LINE - 1) as f64;
    let places = (0..POINTS_OF_A_LINE).map(|at| match bent {
        true => low * (high / low).powf(step(at)),
        false => low + (high - low) * step(at),
    });
    let places: Vec<f64> = places.collect();
    let p = shown_p_value(fit.p_value);
    json!({
        "type": "scatter",
        "mode": "lines",
        "name": format!("slope {:.3}, p {p}", fit.slope),
        "x": places.iter().copied().map(rounded).collect::<Vec<_>>(),
        "y": places.iter().map(|x| rounded(fit.at(*x))).collect::<Vec<_>>(),
        "line": {"color": colour, "dash": "dash"},
        "hoverinfo": "skip",
    })
}

fn hover_text(name: &str, labelled: bool) -> String {
    let label = if labelled {
        "<b>%{customdata}</b><br>"
    } else {
        ""
    };
    format!(
        "{label}%{{x:.4g}}, %{{y:.4g}}<extra>{}</extra>",
        hover(name)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit::Rich;

    fn json_of(plot: &Plot) -> Value {
        let bundle = plot.bundle();
        let svg = bundle["image/svg+xml"].as_str().unwrap();
        roxmltree::Document::parse(svg).unwrap();
        bundle["application/vnd.plotly.v1+json"].clone()
    }

    #[test]
    fn groups_have_their_own_points_and_labels_follow_them() {
        let options = PlotOptions::new()
            .joined(true)
            .point_labels(["a2", "a1", "b"]);
        let groups = [
            ("a", vec![2., 1.], vec![20., 10.]),
            ("b", vec![5.], vec![50.]),
        ];
        let figure = json_of(&scatter_groups(&groups, options).unwrap());
        assert_eq!(figure["data"][0]["x"], json!([1.0, 2.0]));
        assert_eq!(figure["data"][0]["y"], json!([10.0, 20.0]));
        assert_eq!(figure["data"][0]["customdata"], json!(["a1", "a2"]));
        assert_eq!(figure["data"][1]["customdata"], json!(["b"]));
        assert_eq!(figure["data"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn a_fitted_line_is_that_of_its_group_and_bends_on_a_logarithmic_axis() {
        let groups = [("a", vec![1., 10., 100.], vec![2., 11., 101.])];
        let options = PlotOptions::new().fitted(true).log_x(true);
        let figure = json_of(&scatter_groups(&groups, options).unwrap());
        let line = &figure["data"][1];
        assert_eq!(line["x"].as_array().unwrap().len(), POINTS_OF_A_LINE);
        assert!((line["x"][20].as_f64().unwrap() - 10.).abs() < 1e-4);
        assert!((line["y"][20].as_f64().unwrap() - 11.).abs() < 1e-3);
        let name = line["name"].as_str().unwrap();
        assert!(name.starts_with("slope 1.000, p "), "{name}");
        assert_eq!(line["line"]["color"], figure["data"][0]["marker"]["color"]);
    }

    #[test]
    fn what_does_not_fit_is_an_error_that_says_why() {
        let message = |groups: &[(&str, Vec<f64>, Vec<f64>)], options| {
            let error = scatter_groups(groups, options).err();
            error.map(|error| error.to_string()).unwrap_or_default()
        };
        assert!(message(&[], PlotOptions::new()).contains("no group"));
        let uneven = [("a", vec![1.], vec![1., 2.])];
        let text = message(&uneven, PlotOptions::new());
        assert!(text.contains("\"a\": 1 x values for 2 values"), "{text}");
        let two = [("a", vec![1., 2.], vec![1., 2.])];
        let text = message(&two, PlotOptions::new().fitted(true));
        assert!(text.contains("at least 3"), "{text}");
        let text = message(&two, PlotOptions::new().point_labels(["x"]));
        assert!(text.contains("1 point labels for 2 values"), "{text}");
    }
}
