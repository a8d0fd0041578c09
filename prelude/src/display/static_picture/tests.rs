//! Figures in, pictures out.

use super::draw;
use serde_json::{Value, json};

/// The texts of a picture, which must be well-formed XML.
fn texts(svg: &str) -> Vec<String> {
    let document = roxmltree::Document::parse(svg).expect("well-formed");
    document
        .descendants()
        .filter(|node| node.has_tag_name("tspan"))
        .filter_map(|node| node.text().map(str::to_owned))
        .collect()
}

#[test]
fn a_figure_that_cannot_be_drawn_says_so() {
    let texts = texts(&super::could_not_draw());
    assert!(texts[0].contains("no picture"), "{texts:?}");
}

fn has(figure: &Value, expected: &[&str]) -> String {
    let svg = draw(figure);
    let texts = texts(&svg);
    for text in expected {
        assert!(
            texts.iter().any(|found| found == text),
            "{text:?} is missing in {texts:?}"
        );
    }
    svg
}

#[test]
fn lines_have_titles_ticks_and_a_legend() {
    let figure = json!({
        "data": [
            {"type": "scatter", "x": [0, 1, 2], "y": [1.0, null, 3.0], "name": "clean"},
            {"type": "scatter", "x": [0, 1, 2], "y": [2.0, 2.5, 1.0], "mode": "markers", "name": "ablated"},
        ],
        "layout": {"title": {"text": "Loss"}, "xaxis": {"title": {"text": "step"}}, "yaxis": {"title": {"text": "nats"}}},
    });
    let svg = has(
        &figure,
        &["Loss", "step", "nats", "clean", "ablated", "0", "1", "1.5"],
    );
    assert_eq!(
        svg.matches("<circle").count(),
        2 + 3 + 2,
        "points of both, and two in the legend"
    );
}

#[test]
fn bars_stand_side_by_side_or_on_top_of_each_other() {
    let figure = |mode: &str| {
        json!({
            "data": [
                {"type": "bar", "x": ["a", "b"], "y": [1, 2], "name": "one"},
                {"type": "bar", "x": ["a", "b"], "y": [3, -1], "name": "two", "error_y": {"array": [0.5, 0.5]}},
            ],
            "layout": {"barmode": mode},
        })
    };
    let tops = |mode: &str| -> Vec<(String, String)> {
        let svg = has(&figure(mode), &["a", "b", "one", "two"]);
        let document = roxmltree::Document::parse(&svg).expect("well-formed");
        let bars = document.descendants().filter(|node| {
            node.has_tag_name("rect")
                && node.attribute("fill").is_some_and(|fill| fill == "#ff7f0e")
        });
        bars.map(|bar| {
            let side = |name| bar.attribute(name).unwrap_or_default().to_owned();
            (side("x"), side("y"))
        })
        .collect()
    };
    let (grouped, stacked) = (tops("group"), tops("stack"));
    assert_eq!(grouped.len(), 3, "two bars and the legend's square");
    assert_ne!(grouped, stacked);
}

#[test]
fn heat_maps_have_cells_labels_and_a_colour_bar() {
    let figure = json!({
        "data": [{
            "type": "heatmap",
            "z": [[0.0, 0.5], [1.0, null]],
            "texttemplate": "%{z:.1f}",
            "colorscale": "Viridis",
            "colorbar": {"title": {"text": "weight"}},
        }],
        "layout": {"xaxis": {"tickvals": [0, 1], "ticktext": ["the", "the"]}, "yaxis": {"autorange": "reversed"}},
    });
    let svg = has(&figure, &["the", "weight", "0.5", "1.0"]);
    assert_eq!(texts(&svg).iter().filter(|text| *text == "the").count(), 2);
    assert!(svg.contains("href=\"data:image/png;base64,"));
}

#[test]
fn histograms_boxes_and_log_axes() {
    let values: Vec<f64> = (0..200).map(|i| f64::from(i % 17) + 0.25).collect();
    has(
        &json!({
            "data": [
                {"type": "histogram", "x": values, "histnorm": "probability", "opacity": 0.5, "name": "a"},
                {"type": "histogram", "x": values, "nbinsx": 5, "histnorm": "probability", "opacity": 0.5, "name": "b"},
            ],
            "layout": {"barmode": "overlay", "yaxis": {"tickformat": ".0%"}},
        }),
        &["a", "b", "0%", "10%"],
    );
    has(
        &json!({
            "data": [{"type": "box", "y": [1, 2, 3, 50], "name": "mlp"}, {"type": "box", "y": [2, 2, 9], "name": "attn"}],
            "layout": {"yaxis": {"type": "log"}},
        }),
        &["mlp", "attn", "10"],
    );
}

#[test]
fn subplots_have_their_own_axes_and_titles() {
    let figure = json!({
        "data": [
            {"type": "scatter", "y": [1, 2]},
            {"type": "bar", "x": ["p"], "y": [100], "xaxis": "x2", "yaxis": "y2"},
        ],
        "layout": {
            "grid": {"rows": 1, "columns": 2, "pattern": "independent"},
            "xaxis2": {"title": {"text": "kind"}},
            "annotations": [{"text": "left one", "x": 0.2, "y": 1.0, "xref": "paper", "yref": "paper", "showarrow": false}],
            "shapes": [{"type": "line", "x0": 0, "x1": 1, "y0": 1.5, "y1": 1.5, "line": {"dash": "dot"}}],
        },
    });
    let svg = has(&figure, &["left one", "kind", "p", "100"]);
    assert!(svg.contains("stroke-dasharray"));
}

#[test]
fn what_it_does_not_know_it_says() {
    has(
        &json!({"data": [{"type": "surface", "z": [[1]]}]}),
        &["A 3-D surface: open the notebook in JupyterLab to see it"],
    );
    has(&json!({"data": []}), &["An empty plot"]);
    let figure =
        json!({"data": [{"type": "bar", "x": [1], "y": [1]}], "layout": {"sliders": [{}]}});
    has(
        &figure,
        &["sliders, buttons and animations work in JupyterLab"],
    );
}

#[test]
fn labels_are_text_whatever_they_hold() {
    let evil = "</tspan><script>alert(1)</script>\u{0}";
    let figure = json!({
        "data": [
            {"type": "bar", "x": [evil], "y": [1], "name": evil, "text": evil},
            {"type": "scatter", "x": [evil], "y": [1], "mode": "text", "text": [evil], "marker": {"color": evil, "symbol": evil}, "line": {"dash": evil, "color": evil}},
            {"type": "heatmap", "x": [evil], "y": [evil], "z": [[1]], "text": [[evil]], "texttemplate": "%{text}", "colorscale": evil, "colorbar": {"title": {"text": evil}, "tickformat": evil}},
            {"type": evil},
        ],
        "layout": {"title": {"text": evil}, "xaxis": {"tickformat": evil, "tickprefix": evil}, "annotations": [{"text": evil, "x": 0, "y": 1}]},
    });
    let svg = draw(&figure);
    texts(&svg);
    assert!(!svg.contains("<script"));
}

/// Whatever a figure holds, there is a picture.
#[test]
fn strange_figures_do_not_panic() {
    let oddities = [
        json!(null),
        json!(-1),
        json!(1e308),
        json!("text"),
        json!([]),
        json!([null]),
        json!([[]]),
        json!([1e308, -1e308]),
        json!([0, 0, 0]),
        json!({}),
        json!({"color": [1, "red"], "width": -5, "size": [1e9], "text": 7}),
        json!(true),
    ];
    let kinds = ["scatter", "bar", "histogram", "heatmap", "box", "pie"];
    let trace_keys = [
        "x",
        "y",
        "z",
        "marker",
        "line",
        "text",
        "error_y",
        "xaxis",
        "orientation",
        "width",
        "xbins",
        "name",
    ];
    let axis_keys = [
        "range",
        "type",
        "tickvals",
        "dtick",
        "domain",
        "overlaying",
        "matches",
        "tickangle",
        "nticks",
        "title",
    ];
    let layout_keys = [
        "width",
        "height",
        "grid",
        "margin",
        "legend",
        "annotations",
        "shapes",
        "template",
        "barmode",
        "title",
        "colorway",
    ];
    for oddity in &oddities {
        for kind in kinds {
            for key in trace_keys {
                let mut trace =
                    json!({"type": kind, "x": [1, 2], "y": [3, 4], "z": [[1, 2], [3, 4]]});
                trace[key] = oddity.clone();
                texts(&draw(&json!({"data": [trace], "layout": {}})));
            }
            for key in axis_keys {
                let axis = json!({key: oddity});
                let layout = json!({"xaxis": axis, "yaxis": axis});
                let trace = json!({"type": kind, "x": [1, 2], "y": [3, 4], "z": [[1, 2], [3, 4]]});
                texts(&draw(&json!({"data": [trace], "layout": layout})));
            }
        }
        for key in layout_keys {
            let layout = json!({key: oddity});
            texts(&draw(
                &json!({"data": [{"y": [1, 2]}, {"type": "bar", "y": [1]}], "layout": layout}),
            ));
        }
        texts(&draw(&json!({"data": oddity, "layout": oddity})));
        texts(&draw(oddity));
    }
}

#[test]
fn a_picture_of_many_points_stays_small() {
    let y: Vec<f64> = (0..200_000).map(|i| f64::from(i).sin()).collect();
    let lines = draw(&json!({"data": [{"y": y, "mode": "lines"}]}));
    assert!(lines.len() < 200_000, "{}", lines.len());
    let markers = draw(&json!({"data": [{"y": y, "mode": "markers"}]}));
    assert!(markers.len() < 600_000, "{}", markers.len());
    assert!(markers.contains("4000 of 200000 points drawn"));
    let row: Vec<f64> = (0..2000).map(f64::from).collect();
    let map = draw(&json!({"data": [{"type": "heatmap", "z": vec![row; 1500]}]}));
    assert!(map.len() < 800_000, "{}", map.len());
}
