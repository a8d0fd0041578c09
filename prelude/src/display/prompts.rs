//! What comes after a prompt: generated text, and how well a model knows an answer, as a table for each
//! of its tokens.

use super::escape;
use crate::analysis::{PromptTest, TopToken};
use crate::emit::{Bundle, Rich, text};
use crate::model::Generation;
use std::fmt::Write;

impl Rich for PromptTest {
    fn bundle(&self) -> Bundle {
        let mut bundle = text(self.to_string());
        bundle.insert("text/html".to_owned(), html(self).into());
        bundle
    }
}

/// The text of each prompt with its continuation.
impl Rich for Generation {
    fn bundle(&self) -> Bundle {
        text(self.to_string())
    }
}

fn html(test: &PromptTest) -> String {
    let mut out = String::from("<div style=\"overflow-x:auto\">");
    let prompt: String = test.prompt.iter().map(|token| visible(token)).collect();
    let _ = write!(out, "<small style=\"opacity:0.7\">after {prompt}</small>");
    for answer in &test.answer {
        let _ = write!(
            out,
            "<table class=\"dataframe\"><thead><tr><th style=\"text-align:right\">rank</th>\
             <th style=\"text-align:left\">token</th><th style=\"text-align:right\">logit</th>\
             <th style=\"text-align:right\">probability</th></tr></thead><tbody>"
        );
        for token in &answer.top {
            let is_answer = answer.all().any(|of| of.rank == token.rank);
            row(&mut out, token, is_answer);
        }
        for token in answer.all().filter(|of| of.rank >= answer.top.len()) {
            row(&mut out, token, true);
        }
        out.push_str("</tbody></table>");
    }
    out.push_str("</div>");
    out
}

/// One token; the answer's own stands out.
fn row(out: &mut String, token: &TopToken, is_answer: bool) {
    let (open, close) = if is_answer { ("<b>", "</b>") } else { ("", "") };
    out.push_str("<tr>");
    let mut cell = |side: &str, content: &str| {
        let _ = write!(
            out,
            "<td style=\"text-align:{side}\">{open}{content}{close}</td>"
        );
    };
    cell("right", &token.rank.to_string());
    cell("left", &visible(&token.text));
    cell("right", &format!("{:.2}", token.logit));
    cell("right", &format!("{:.2} %", 100. * token.probability));
    out.push_str("</tr>");
}

/// A token as HTML in which its ends can be seen.
fn visible(token: &str) -> String {
    let shown = token
        .replace(' ', "·")
        .replace('\n', "↵")
        .replace('\t', "⇥");
    format!("<code>{}</code>", escape::html(&shown))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::AnswerToken;

    fn token(text: &str, rank: usize) -> TopToken {
        TopToken {
            text: text.to_owned(),
            rank,
            logit: 1.5,
            probability: 0.25,
        }
    }

    #[test]
    fn the_answer_stands_out_and_nothing_is_markup() {
        let test = PromptTest {
            prompt: vec!["<b>".to_owned()],
            answers: vec![vec![" Mary".to_owned()], vec![" Tom".to_owned()]],
            answer: vec![AnswerToken {
                token: token(" Mary", 7),
                others: vec![token(" Tom", 9)],
                top: vec![token(" <i>", 0)],
            }],
        };
        let bundle = test.bundle();
        let html = bundle["text/html"].as_str().expect("html");
        assert!(html.contains("<b><code>·Mary</code></b>") && html.contains("<b>7</b>"));
        assert!(html.contains("<b><code>·Tom</code></b>") && html.contains("<b>9</b>"));
        assert!(html.contains("·&lt;i&gt;") && !html.contains("<i>"));
        assert!(
            bundle["text/plain"]
                .as_str()
                .expect("text")
                .contains("Rank: 7")
        );
    }
}
