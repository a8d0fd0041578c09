//! Token text coloured by a value: white to red above zero, white to blue below.
//!
//! The colours are those of the `clean_print_strings_as_html` helper that the field's notebooks
//! share: the value over the largest one gives the shade, the same bound holds for negatives, and
//! the text turns white on dark shades.

use super::escape;
use crate::emit::{Bundle, Rich, text};
use crate::error::{Error, Result};
use std::fmt::Write;

/// Values below this share of the largest one are left out of the plain text.
const WORTH_SAYING: f64 = 0.1;

/// Tokens, each with a value that colours it.
///
/// In a notebook each token is shown on its colour, with the value when the mouse rests on it;
/// white space is visible (`·`, `↵`). As text the larger values stand behind their tokens.
#[derive(Debug, Clone)]
pub struct ColouredTokens {
    tokens: Vec<String>,
    measures: Vec<(String, Vec<f64>)>,
    max_value: Option<f64>,
}

/// Colours `tokens` by `values`, one value a token.
///
/// ```
/// use ferrolens::display::{coloured_tokens, display};
///
/// let tokens = coloured_tokens(&["When", " Mary", " and"], &[0.0, 2.5, -0.5])?;
/// display(&tokens.named("activation").max_value(5.0));
/// # Ok::<(), ferrolens::Error>(())
/// ```
///
/// # Errors
/// The values cannot be read, or are not as many as the tokens.
pub fn coloured_tokens<S: AsRef<str>>(
    tokens: &[S],
    values: &(impl super::Numbers + ?Sized),
) -> Result<ColouredTokens> {
    let coloured = ColouredTokens {
        tokens: tokens
            .iter()
            .map(|token| token.as_ref().to_owned())
            .collect(),
        measures: Vec::new(),
        max_value: None,
    };
    coloured.measure("value", values)
}

impl ColouredTokens {
    /// Names the value that colours the tokens; it stands before the number under the mouse.
    #[must_use]
    pub fn named(mut self, name: impl Into<String>) -> Self {
        if let Some((first, _)) = self.measures.first_mut() {
            *first = name.into();
        }
        self
    }

    /// The value of full colour, to make several texts comparable. By default the largest
    /// magnitude among these tokens.
    #[must_use]
    pub fn max_value(mut self, max_value: f64) -> Self {
        self.max_value = Some(max_value);
        self
    }

    /// Shows another number under the mouse, one a token.
    ///
    /// # Errors
    /// The values cannot be read, or are not as many as the tokens.
    pub fn measure(
        mut self,
        name: impl Into<String>,
        values: &(impl super::Numbers + ?Sized),
    ) -> Result<Self> {
        let (name, values) = (name.into(), values.numbers()?);
        if values.len() != self.tokens.len() {
            return Err(Error::new(format!(
                "{} values of {name:?} for {} tokens: give one value a token",
                values.len(),
                self.tokens.len(),
            )));
        }
        self.measures.push((name, values));
        Ok(self)
    }

    fn values(&self) -> &[f64] {
        self.measures.first().map_or(&[], |(_, values)| values)
    }

    fn bound(&self) -> f64 {
        let largest = || {
            self.values()
                .iter()
                .map(|value| value.abs())
                .fold(0.0, f64::max)
        };
        self.max_value.map_or_else(largest, f64::abs)
    }

    fn html(&self) -> String {
        let bound = self.bound();
        let mut out = String::from("<div style=\"line-height:1.7;font-family:monospace\">");
        for (index, (token, value)) in self.tokens.iter().zip(self.values()).enumerate() {
            let [red, green, blue] = shade(value / bound);
            let luminance =
                (0.299 * f64::from(red) + 0.587 * f64::from(green) + 0.114 * f64::from(blue))
                    / 255.0;
            let ink = if luminance > 0.5 { "black" } else { "white" };
            let mut title = String::new();
            for (name, values) in &self.measures {
                let value = values.get(index).copied().unwrap_or(f64::NAN);
                let gap = if title.is_empty() { "" } else { "\n" };
                let _ = write!(title, "{gap}{name}: {value:.4}");
            }
            // The zero-width space lets a long text break between tokens.
            let _ = write!(
                out,
                "<span style=\"background-color:rgb({red},{green},{blue});color:{ink};\
                 padding:1px 0\" title=\"{}\">{}</span>&#8203;",
                escape::html(&title),
                escape::html(&escape::visible(token)),
            );
            if token.ends_with('\n') {
                out.push_str("<br>");
            }
        }
        out.push_str("</div>");
        out
    }

    fn plain(&self) -> String {
        let bound = self.bound();
        let mut out = String::new();
        for (token, value) in self.tokens.iter().zip(self.values()) {
            out.push_str(token);
            if value.abs() >= WORTH_SAYING * bound && *value != 0.0 {
                let _ = write!(out, "[{value:+.2}]");
            }
        }
        out
    }
}

impl Rich for ColouredTokens {
    fn bundle(&self) -> Bundle {
        let mut bundle = text(self.plain());
        bundle.insert("text/html".to_owned(), self.html().into());
        bundle
    }
}

/// White at 0, red at 1, blue at -1.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
fn shade(share: f64) -> [u8; 3] {
    if share.is_nan() {
        return [255; 3];
    }
    let rest = (255.0 * (1.0 - share.abs().min(1.0))).round() as u8;
    if share >= 0.0 {
        [255, rest, rest]
    } else {
        [rest, rest, 255]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_follow_the_values_and_texts_are_escaped() {
        let tokens = coloured_tokens(&["<b>", " a", "\n"], &[1.0, -0.5, 0.0])
            .and_then(|tokens| tokens.named("act").measure("loss \"x\"", &[1.0, 2.0, 3.0]))
            .expect("as many values as tokens");
        let bundle = tokens.bundle();
        let html = bundle["text/html"].as_str().expect("html");
        roxmltree::Document::parse(&html.replace("<br>", "<br/>")).expect("well-formed");
        assert!(html.contains("rgb(255,0,0);color:white"), "{html}");
        assert!(html.contains("rgb(128,128,255);color:black"), "{html}");
        assert!(html.contains(">&lt;b&gt;</span>") && html.contains(">·a</span>"));
        assert!(html.contains("title=\"act: 1.0000\nloss &quot;x&quot;: 1.0000\""));
        assert!(html.contains(">↵</span>&#8203;<br>"));
        assert_eq!(bundle["text/plain"], "<b>[+1.00] a[-0.50]\n");
    }

    #[test]
    fn a_common_bound_makes_texts_comparable() {
        let tokens = coloured_tokens(&["a"], &[1.0])
            .expect("one value")
            .max_value(2.0);
        let html = tokens.bundle()["text/html"].to_string();
        assert!(html.contains("rgb(255,128,128)"), "{html}");
    }

    #[test]
    fn zero_everywhere_is_white_and_a_wrong_count_is_an_error() {
        let tokens = coloured_tokens(&["a"], &[0.0]).expect("one value");
        assert!(
            tokens.bundle()["text/html"]
                .to_string()
                .contains("rgb(255,255,255)")
        );
        let message = coloured_tokens(&["a"], &[0.0, 1.0])
            .expect_err("two values")
            .to_string();
        assert!(
            message.contains("2 values of \"value\" for 1 tokens"),
            "{message}"
        );
    }
}
