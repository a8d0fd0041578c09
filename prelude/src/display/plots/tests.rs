//! The figures as JSON, and that their pictures can be drawn.

use super::histogram::{Bins, heights};
use super::*;
use crate::emit::Rich;
use candle_core::{Device, Tensor};
use serde_json::Value;

fn json(plot: &Plot) -> Value {
    let bundle = plot.bundle();
    let svg = bundle["image/svg+xml"].as_str().expect("a picture");
    roxmltree::Document::parse(svg).expect("well-formed");
    bundle["application/vnd.plotly.v1+json"].clone()
}

fn matrix() -> Tensor {
    Tensor::new(&[[0.1_f32, -0.2, 0.3], [0.4, 0.5, f32::NAN]], &Device::Cpu).expect("a matrix")
}

#[test]
fn repeated_tokens_stay_apart_and_are_text() {
    let options = PlotOptions::new()
        .x_labels([" to", "<br>", " to"])
        .y_labels(["a\n", "b"])
        .title("<b>");
    let figure = json(&heatmap(&matrix(), options).expect("a plot"));
    let x = &figure["layout"]["xaxis"];
    assert_eq!(x["tickvals"], serde_json::json!([0.0, 1.0, 2.0]));
    assert_eq!(
        x["ticktext"],
        serde_json::json!(["·to", "&lt;br&gt;", "·to"])
    );
    assert_eq!(figure["layout"]["yaxis"]["ticktext"][0], "a↵");
    assert_eq!(figure["layout"]["title"]["text"], "&lt;b&gt;");
    assert!(figure["data"][0].get("x").is_none());
}

#[test]
fn a_matrix_is_drawn_as_it_is_written() {
    let figure = json(&heatmap(&matrix(), PlotOptions::new()).expect("a plot"));
    let trace = &figure["data"][0];
    assert_eq!(
        trace["z"][0],
        serde_json::json!([0.1, -0.2, 0.3]),
        "no digits of f32 noise"
    );
    assert!(trace["z"][1][2].is_null());
    assert_eq!(
        (&trace["zmid"], trace["colorscale"][0][1].as_str()),
        (&0.0.into(), Some("#053061"))
    );
    assert_eq!(
        figure["layout"]["yaxis"]["range"],
        serde_json::json!([1.5, -0.5])
    );
    let options = PlotOptions::new()
        .first_row_at_bottom(true)
        .colour_range(0.0, 1.0);
    let figure = json(&heatmap(&matrix(), options).expect("a plot"));
    assert!(figure["layout"]["yaxis"].get("range").is_none());
    assert_eq!(figure["data"][0]["zmax"], 1.0);
}

#[test]
fn what_does_not_fit_is_an_error_that_says_why() {
    let message = |result: crate::Result<Plot>| {
        result
            .err()
            .map(|error| error.to_string())
            .unwrap_or_default()
    };
    let vector = Tensor::zeros(3, candle_core::DType::F32, &Device::Cpu).expect("a tensor");
    let text = message(heatmap(&vector, PlotOptions::new()));
    assert!(text.contains("has the shape [3]"), "{text}");
    let text = message(heatmap(&matrix(), PlotOptions::new().x_labels(["a"])));
    assert!(text.contains("1 column labels for 3 positions"), "{text}");
    let text = message(line::<&str, Vec<f64>>(&[], PlotOptions::new()));
    assert!(text.contains("no series"), "{text}");
    let text = message(scatter(&[1.0], &[1.0, 2.0], PlotOptions::new()));
    assert!(text.contains("1 x values for 2 values"), "{text}");
    let text = message(histogram(&[("x", &[f64::NAN])], PlotOptions::new()));
    assert!(text.contains("no finite value"), "{text}");
}

#[test]
fn series_have_names_positions_and_errors() {
    let loss = vec![1.0_f32, 2.0];
    let options = PlotOptions::new()
        .errors(&[0.1, 0.2])
        .expect("errors")
        .x_labels(["a", "a"]);
    let figure = json(&bar(&[("clean", &loss), ("cut", &loss)], options).expect("a plot"));
    assert_eq!(figure["data"][0]["error_y"]["array"][1], 0.2);
    assert!(figure["data"][1].get("error_y").is_none());
    assert_eq!(figure["layout"]["barmode"], "group");
    let options = PlotOptions::new()
        .x_values(&[10, 100])
        .expect("positions")
        .log_x(true);
    let figure = json(&line(&[("loss", &loss)], options).expect("a plot"));
    assert_eq!(figure["data"][0]["x"], serde_json::json!([10.0, 100.0]));
    assert_eq!(figure["layout"]["xaxis"]["type"], "log");
    let options = PlotOptions::new()
        .point_labels([" a", "b"])
        .colour_by(&loss)
        .expect("colours");
    let figure = json(&scatter(&loss, &loss, options).expect("a plot"));
    assert_eq!(figure["data"][0]["customdata"][0], "·a");
    assert_eq!(figure["data"][0]["marker"]["showscale"], true);
}

#[test]
fn values_are_counted_here_and_in_common_bins() {
    let many: Vec<f64> = (0..100_000).map(|i| f64::from(i % 1000) / 100.0).collect();
    let few = vec![f64::INFINITY, 1.0];
    let options = PlotOptions::new()
        .bins(10)
        .normalise(Normalise::Probability);
    let figure = json(&histogram(&[("many", &many), ("few", &few)], options).expect("a plot"));
    assert_eq!(figure["data"][0]["x"], figure["data"][1]["x"]);
    assert_eq!(figure["data"][0]["y"][3], 0.1);
    assert_eq!(figure["data"][1]["name"], "few (1 not finite, left out)");
    assert!(figure.to_string().len() < 5_000);
    assert_eq!(figure["layout"]["yaxis"]["title"]["text"], "probability");
}

#[test]
fn bins_and_heights() {
    let bins = Bins::of(&[0.0, 0.1, 0.2, 0.3], Some(3)).expect("values");
    assert_eq!(bins.count(&[0.0, 0.1, 0.2, 0.3]), [1, 1, 2]);
    let whole = Bins::of(&[0.0, 1.0, 3.0], Some(10)).expect("values");
    assert_eq!(whole.count(&[0.0, 1.0, 3.0]), [1, 1, 0, 1]);
    assert_eq!(
        Bins::of(&[2.0, 2.0], None).map(|bins| bins.count(&[2.0, 2.0])),
        Some(vec![2])
    );
    assert_eq!(Bins::of(&[], None), None);
    assert_eq!(heights(&[1, 3], 0.5, Normalise::Density), [0.5, 1.5]);
    assert_eq!(heights(&[1, 3], 0.5, Normalise::Percent), [25.0, 75.0]);
}

#[test]
fn formulas_are_not_read_into_labels() {
    let figure = json(&line(&[("$a$", &[1.0])], PlotOptions::new()).expect("a plot"));
    assert_eq!(figure["config"]["typesetMath"], false);
    assert_eq!(token_label(" a b\n"), "·a b↵");
    assert_eq!(token_label("   "), "···");
    assert_eq!(rounded(0.1_f32.into()), 0.1);
    assert!(rounded(f64::NAN).is_nan());
}

#[test]
fn cells_have_more_numbers_under_the_mouse() {
    let values = Tensor::new(&[[1_f32, 2.0], [3.0, 4.0]], &Device::Cpu).expect("a matrix");
    let twice = (&values * 2.0).expect("a matrix");
    let options = || {
        PlotOptions::new()
            .hover_value("twice <b>", &twice)
            .expect("numbers")
    };
    let trace = json(&heatmap(&values, options()).expect("a plot"))["data"][0].clone();
    assert_eq!(trace["customdata"][1][0][0], 6.0);
    let hover = trace["hovertemplate"].as_str().expect("a template");
    assert!(
        hover.contains("twice &lt;b&gt;: %{customdata[0]:.4g}"),
        "{hover}"
    );
    let other = values.narrow(0, 0, 1).expect("a row");
    let Err(error) = heatmap(&other, options()) else {
        panic!("4 numbers for 2 cells");
    };
    let error = error.to_string();
    assert!(
        error.contains("4 numbers of \"twice <b>\" for 1 × 2 cells"),
        "{error}"
    );
}

#[test]
fn a_histogram_may_be_cut_and_seen_through() {
    let options = PlotOptions::new().x_range(0.0, 2.0).opacity(0.75);
    let plot = json(&histogram(&[("x", [0.5, 1.0, 9.0])], options).expect("a plot"));
    assert_eq!(plot["data"][0]["opacity"], 0.75);
    assert_eq!(
        plot["layout"]["xaxis"]["range"],
        serde_json::json!([0.0, 2.0])
    );
}

#[test]
fn a_band_has_two_edges_for_every_value() {
    let options = PlotOptions::new()
        .band(&[0., 1.], &[2., 3.])
        .expect("a band");
    let plot = line(&[("mean", [1., 2.])], options).expect("a line");
    let json: Value = serde_json::from_str(&plot.to_json()).expect("JSON");
    assert_eq!(json["data"].as_array().map(Vec::len), Some(3));
    assert_eq!(json["data"][0]["fill"], "none");
    assert_eq!(json["data"][1]["fill"], "tonexty");
    assert_eq!(json["data"][2]["name"], "mean");
    let options = PlotOptions::new().band(&[0.], &[2., 3.]).expect("a band");
    let error = line(&[("mean", [1., 2.])], options)
        .err()
        .expect("too few edges");
    let error = error.to_string();
    assert!(error.contains("edges of the band"), "{error}");
}
