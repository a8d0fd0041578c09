//! Data frames and series as HTML tables, with polars' own text beside them.
//!
//! The table leans on the page for its looks: JupyterLab, `nbconvert` and GitHub style tables in
//! light and dark, and sanitisers remove style sheets but keep alignment in a `style` attribute.

use super::escape;
use crate::emit::{Bundle, Rich, text};
use polars::prelude::{AnyValue, Column, DataFrame, DataType, IntoColumn, LazyFrame, Series};
use std::fmt::Write;

/// The most rows shown; of a longer table, half of them from each end.
const MOST_ROWS: usize = 20;
/// The most columns shown; of a wider table, half of them from each side.
const MOST_COLUMNS: usize = 30;
/// The longest text of one cell, in characters.
const LONGEST_CELL: usize = 100;

impl Rich for DataFrame {
    fn bundle(&self) -> Bundle {
        let mut bundle = text(self.to_string());
        let html = table(self.columns(), self.height(), self.width());
        bundle.insert("text/html".to_owned(), html.into());
        bundle
    }
}

impl Rich for Series {
    fn bundle(&self) -> Bundle {
        let mut bundle = text(self.to_string());
        let column = [self.clone().into_column()];
        let html = table(&column, self.len(), 1);
        bundle.insert("text/html".to_owned(), html.into());
        bundle
    }
}

impl Rich for Column {
    fn bundle(&self) -> Bundle {
        self.as_materialized_series().bundle()
    }
}

/// A plan that has not run: it is described, not run.
impl Rich for LazyFrame {
    fn bundle(&self) -> Bundle {
        match self.describe_plan() {
            Ok(plan) => text(format!("LazyFrame, a plan; `.collect()?` runs it:\n{plan}")),
            Err(error) => text(format!("LazyFrame whose plan cannot be described: {error}")),
        }
    }
}

fn table(columns: &[Column], height: usize, width: usize) -> String {
    let columns: Vec<Option<&Column>> = ends(columns.len(), MOST_COLUMNS)
        .into_iter()
        .map(|index| index.and_then(|index| columns.get(index)))
        .collect();
    let mut out = format!(
        "<div style=\"overflow-x:auto\"><small style=\"opacity:0.7\">shape: ({height}, {width})</small>\
         <table class=\"dataframe\"><thead><tr>"
    );
    for column in &columns {
        match column {
            Some(column) => header(&mut out, column),
            None => out.push_str("<th>…</th>"),
        }
    }
    out.push_str("</tr></thead><tbody>");
    for row in ends(height, MOST_ROWS) {
        out.push_str("<tr>");
        for column in &columns {
            match (column, row) {
                (Some(column), Some(row)) => cell(&mut out, column, row),
                (Some(column), None) => {
                    let _ = write!(
                        out,
                        "<td style=\"text-align:{}\">…</td>",
                        alignment(column.dtype())
                    );
                }
                (None, _) => out.push_str("<td>…</td>"),
            }
        }
        out.push_str("</tr>");
    }
    out.push_str("</tbody></table></div>");
    out
}

/// The indices of `len` items that fit in `most`: all, or both ends with a `None` between them.
fn ends(len: usize, most: usize) -> Vec<Option<usize>> {
    if len <= most {
        return (0..len).map(Some).collect();
    }
    let half = most / 2;
    (0..half)
        .map(Some)
        .chain([None])
        .chain((len - half..len).map(Some))
        .collect()
}

fn header(out: &mut String, column: &Column) {
    let _ = write!(
        out,
        "<th style=\"text-align:{}\">{}<br><small style=\"font-weight:normal;opacity:0.7\">{}</small></th>",
        alignment(column.dtype()),
        escape::html(column.name()),
        escape::html(&column.dtype().to_string()),
    );
}

fn cell(out: &mut String, column: &Column, row: usize) {
    let value = column.get(row).unwrap_or(AnyValue::Null);
    let (style, content) = match &value {
        AnyValue::Null => (";opacity:0.5", "null".to_owned()),
        AnyValue::String(text) => (";white-space:pre-wrap", quoted(text)),
        AnyValue::StringOwned(text) => (";white-space:pre-wrap", quoted(text)),
        other => ("", shortened(&other.to_string())),
    };
    let _ = write!(
        out,
        "<td style=\"text-align:{}{style}\">{}</td>",
        alignment(column.dtype()),
        escape::html(&content),
    );
}

fn alignment(dtype: &DataType) -> &'static str {
    if dtype.is_primitive_numeric() {
        "right"
    } else {
        "left"
    }
}

/// In quotes, so that the space of the token `" Mary"` shows.
fn quoted(text: &str) -> String {
    format!(
        "\"{}\"",
        shortened(text).replace('\n', "\\n").replace('\t', "\\t")
    )
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST_CELL) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use polars::df;
    use polars::prelude::NamedFrom;

    fn html(table: &DataFrame) -> String {
        table.bundle()["text/html"]
            .as_str()
            .expect("html")
            .to_owned()
    }

    #[test]
    fn a_table_says_its_shape_its_types_and_its_values() {
        let table = df!(
            "token" => [Some(" <b>"), None],
            "logit" => [0.5_f64, -1.0],
        )
        .expect("a table");
        let html = html(&table);
        roxmltree::Document::parse(&html.replace("<br>", "<br/>")).expect("well-formed");
        assert!(html.contains("shape: (2, 2)"));
        assert!(html.contains(">token<br><small") && html.contains(">str</small>"));
        assert!(html.contains("\">&quot; &lt;b&gt;&quot;</td>"), "{html}");
        assert!(html.contains("opacity:0.5\">null</td>"));
        assert!(html.contains("text-align:right\">-1.0</td>"));
        assert!(
            table.bundle()["text/plain"]
                .as_str()
                .is_some_and(|text| text.contains("shape: (2, 2)"))
        );
    }

    #[test]
    fn long_and_wide_tables_show_their_ends() {
        let long = df!("x" => (0..1000).collect::<Vec<i32>>()).expect("a table");
        let html_of_long = html(&long);
        assert_eq!(html_of_long.matches("<tr>").count(), 1 + 10 + 1 + 10);
        assert!(html_of_long.contains(">9</td>") && html_of_long.contains(">990</td>"));
        assert!(!html_of_long.contains(">10</td>"));
        let columns = (0..40)
            .map(|i| Column::new(format!("c{i}").into(), [i]))
            .collect::<Vec<_>>();
        let wide = DataFrame::new(1, columns).expect("a table");
        assert_eq!(html(&wide).matches("<th").count() - 1, 31, "one is <thead>");
    }

    #[test]
    fn a_series_is_a_table_and_a_plan_is_described() {
        let series = Series::new("loss".into(), [1.0, 2.0]);
        let bundle = series.bundle();
        assert!(
            bundle["text/html"]
                .as_str()
                .is_some_and(|html| html.contains(">loss<br>"))
        );
        let plan = polars::prelude::IntoLazy::lazy(df!("x" => [1]).expect("a table"));
        let text = plan.bundle()["text/plain"].to_string();
        assert!(text.contains("collect()"), "{text}");
    }
}
