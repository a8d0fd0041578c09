//! A matrix as colours.

use super::labels::{self, hover};
use super::options::PlotOptions;
use super::trace::JsonTrace;
use super::{plot, rounded};
use crate::display::Numbers;
use crate::error::{Error, Result};
use candle_core::Tensor;
use plotly::layout::Axis;
use plotly::{Layout, Plot};
use serde_json::{Value, json};

/// A page with more cells than this does not open in reasonable time.
const MOST_CELLS: usize = 4_000_000;

/// Draws a matrix `[rows, columns]`, one cell a value; row 0 is at the top.
///
/// ```
/// use candle_core::{Device, Tensor};
/// use ferrolens::display::{PlotOptions, heatmap};
///
/// let pattern = Tensor::new(&[[1.0_f32, 0.0], [0.3, 0.7]], &Device::Cpu)?;
/// let tokens = ["The", " cat"];
/// let options = PlotOptions::new().title("Head 0.3").x_labels(tokens).y_labels(tokens);
/// let plot = heatmap(&pattern, options)?;
/// # Ok::<(), ferrolens::Error>(())
/// ```
///
/// # Errors
/// The tensor is not a matrix, is too large for a page, cannot be read, or has another number of
/// rows or columns than there are labels.
pub fn heatmap(values: &Tensor, options: PlotOptions) -> Result<Plot> {
    let &[rows, columns] = values.dims() else {
        return Err(Error::new(format!(
            "a heat map shows a matrix [rows, columns], and this tensor has the shape {:?}; \
             select one with `.get(i)?` or join dimensions with `.flatten(..)?`",
            values.dims()
        )));
    };
    if rows * columns > MOST_CELLS {
        return Err(Error::new(format!(
            "a heat map of {rows} × {columns} cells is too large for a page; \
             narrow it with `.narrow(dim, start, len)?`, or plot a histogram"
        )));
    }
    let numbers = values.numbers()?;
    let scale = options.colour_scale.for_values(numbers.iter().copied());
    let z: Vec<Vec<f64>> = numbers
        .chunks(columns.max(1))
        .map(|row| row.iter().copied().map(rounded).collect())
        .collect();
    let mut trace = json!({
        "type": "heatmap",
        "z": z,
        "colorscale": scale.json(),
        "colorbar": {"title": {"text": labels::title(&options.value_title)}},
        "hovertemplate": hover_text(&options),
    });
    if !options.hover_values.is_empty() {
        trace["customdata"] = more_values(&options, rows, columns)?;
    }
    if let Some((low, high)) = options.colour_range {
        trace["zmin"] = json!(low);
        trace["zmax"] = json!(high);
    } else if scale.is_centred() {
        trace["zmid"] = json!(0.0);
    }
    if options.show_values {
        trace["texttemplate"] = json!("%{z:.2f}");
    }
    let x = labels::put(Axis::new(), &options.x_labels, columns, "column")?;
    let y = labels::put(Axis::new(), &options.y_labels, rows, "row")?;
    // Cells hide the grid, and empty cells should show nothing.
    let bare = |axis: Axis| axis.show_grid(false).zero_line(false);
    let (low, high) = ends(rows);
    let y = if options.first_row_at_bottom {
        y
    } else {
        y.range(vec![high, low])
    };
    let mut options = options;
    options.width = options
        .width
        .or(Some(labels::room(&options.x_labels, 700, 14, 220)));
    options.height = options
        .height
        .or(Some(labels::room(&options.y_labels, 450, 20, 180)));
    Ok(plot(
        vec![JsonTrace(trace)],
        &options,
        (bare(x), bare(y)),
        Layout::new(),
    ))
}

/// The edges of the first and the last of `count` cells.
#[allow(clippy::cast_precision_loss)]
fn ends(count: usize) -> (f64, f64) {
    (-0.5, count.max(1) as f64 - 0.5)
}

fn hover_text(options: &PlotOptions) -> Value {
    let or = |title: &str, default: &str| hover(if title.is_empty() { default } else { title });
    let mut text = format!(
        "{}: %{{x}}<br>{}: %{{y}}<br>{}: %{{z:.4g}}",
        or(&options.x_title, "column"),
        or(&options.y_title, "row"),
        or(&options.value_title, "value"),
    );
    for (at, (name, _)) in options.hover_values.iter().enumerate() {
        text.push_str(&format!("<br>{}: %{{customdata[{at}]:.4g}}", hover(name)));
    }
    json!(text + "<extra></extra>")
}

/// The further numbers of each cell, `[row][column][number]`.
fn more_values(options: &PlotOptions, rows: usize, columns: usize) -> Result<Value> {
    for (name, values) in &options.hover_values {
        if values.len() != rows * columns {
            return Err(Error::new(format!(
                "{} numbers of {name:?} for {rows} × {columns} cells: give one a cell",
                values.len()
            )));
        }
    }
    let of_cell = |cell: usize| -> Vec<f64> {
        let each = options.hover_values.iter();
        each.filter_map(|(_, values)| values.get(cell).copied().map(rounded))
            .collect()
    };
    let row = |row: usize| (row * columns..(row + 1) * columns).map(of_cell).collect();
    Ok(json!((0..rows).map(row).collect::<Vec<Vec<Vec<f64>>>>()))
}
