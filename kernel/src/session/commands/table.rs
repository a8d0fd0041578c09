//! Tables of the kernel's own: as text in columns, and as html.

use ferrolens_frames::Bundle;
use std::fmt::Write;

/// The widest column of the text form, in characters.
const WIDEST: usize = 60;

/// Rows of text under a heading.
pub(super) struct Table {
    heading: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    pub(super) fn new(heading: &[&str]) -> Self {
        Self {
            heading: heading.iter().map(|word| (*word).to_owned()).collect(),
            rows: Vec::new(),
        }
    }

    pub(super) fn row<const N: usize>(&mut self, cells: [String; N]) {
        self.rows.push(cells.into());
    }

    pub(super) fn bundle(&self) -> Bundle {
        Bundle::from([
            ("text/plain".to_owned(), self.text().into()),
            ("text/html".to_owned(), self.html().into()),
        ])
    }

    fn text(&self) -> String {
        let lines: Vec<Vec<String>> = std::iter::once(&self.heading)
            .chain(&self.rows)
            .map(|cells| cells.iter().map(|cell| short(cell)).collect())
            .collect();
        let widths: Vec<usize> = (0..self.heading.len())
            .map(|column| {
                lines
                    .iter()
                    .filter_map(|cells| cells.get(column))
                    .map(|cell| cell.chars().count())
                    .max()
                    .unwrap_or_default()
            })
            .collect();
        let lines: Vec<String> = lines
            .iter()
            .map(|cells| {
                let mut line = String::new();
                for (cell, width) in cells.iter().zip(&widths) {
                    // A string takes every character.
                    let _ = write!(line, "{cell:width$}  ");
                }
                line.trim_end().to_owned()
            })
            .collect();
        lines.join("\n")
    }

    fn html(&self) -> String {
        let mut out = String::from("<table><thead><tr>");
        for cell in &self.heading {
            let _ = write!(out, "<th style=\"text-align:left\">{}</th>", escaped(cell));
        }
        out.push_str("</tr></thead><tbody>");
        for cells in &self.rows {
            out.push_str("<tr>");
            for cell in cells {
                let _ = write!(out, "<td style=\"text-align:left\">{}</td>", escaped(cell));
            }
            out.push_str("</tr>");
        }
        out.push_str("</tbody></table>");
        out
    }
}

fn short(cell: &str) -> String {
    if cell.chars().count() <= WIDEST {
        return cell.to_owned();
    }
    let mut kept: String = cell.chars().take(WIDEST - 1).collect();
    kept.push('…');
    kept
}

/// Text inside html.
pub(crate) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other_and_html_is_escaped() {
        let mut table = Table::new(&["name", "type"]);
        table.row(["é".to_owned(), "Vec<i32>".to_owned()]);
        table.row(["longer".to_owned(), "a".repeat(100)]);
        let text = table.text();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "name    type");
        assert_eq!(lines[1], "é       Vec<i32>");
        assert!(lines[2].ends_with("a…") && lines[2].chars().count() == 8 + WIDEST);
        assert!(
            table
                .html()
                .contains("<td style=\"text-align:left\">Vec&lt;i32&gt;</td>")
        );
    }
}
