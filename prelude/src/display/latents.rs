//! Latents of an autoencoder: the prompts that activate them, coloured, and one of them on one page.

use super::{PlotOptions, bar, coloured_tokens, escape};
use crate::analysis::{
    ActivationHistogram, LatentDashboard, LatentExample, LatentExamples, LatentSweep,
    TokenOccurrences,
};
use crate::emit::{Bundle, Rich, text};
use crate::error::Result;
use plotly::Plot;
use std::fmt::Write;

/// How many tokens are shown before and behind the strongest one of a prompt.
const BEFORE: usize = 60;
const BEHIND: usize = 30;

/// The prompts, each coloured by the activation of the latent; full colour is its largest activation.
impl Rich for LatentExamples {
    fn bundle(&self) -> Bundle {
        let mut plain = format!("latent {}, max {:.3}", self.latent, self.max);
        let mut html = format!("<div><b>{}</b>", escape::html(&plain));
        for example in &self.examples {
            let (title, tokens) = (title(example), tokens(example, self.max));
            let _ = write!(plain, "\n{title}: {}", of(&tokens, "text/plain"));
            let _ = write!(
                html,
                "<div style=\"margin-top:6px\"><small style=\"opacity:0.7\">{}</small>{}</div>",
                escape::html(&title),
                of(&tokens, "text/html")
            );
        }
        if self.examples.is_empty() {
            plain.push_str("\nno prompt activates it");
            html.push_str("<div>no prompt activates it</div>");
        }
        html.push_str("</div>");
        both(plain, html)
    }
}

/// Numbers and a histogram, the tokens whose logits the latent moves, and prompts.
impl Rich for LatentDashboard {
    fn bundle(&self) -> Bundle {
        let title = format!("{}, latent {}", self.sae, self.examples.latent);
        let numbers = format!(
            "active on {:.3} % of tokens; {:.3} on average where active, {:.3} at most",
            100. * self.density,
            self.mean_when_active,
            self.examples.max
        );
        let mut plain = format!("{title}\n{numbers}\n");
        let mut html = format!(
            "<div><b>{}</b><br>{}",
            escape::html(&title),
            escape::html(&numbers)
        );
        if let Ok(Some(plot)) = self.histogram.plot() {
            html.push_str(&of(&plot.bundle(), "text/html"));
        }
        for (name, tokens) in [("raises", &self.raised), ("lowers", &self.lowered)] {
            if tokens.is_empty() {
                continue;
            }
            let _ = write!(html, "<div>{name}");
            let _ = write!(plain, "{name}");
            for (token, effect) in tokens {
                let _ = write!(plain, " {token:?} {effect:+.2}");
                let _ = write!(
                    html,
                    " <code>{}</code><small> {effect:+.2}</small>",
                    escape::html(&escape::visible(token))
                );
            }
            plain.push('\n');
            html.push_str("</div>");
        }
        let examples = self.examples.bundle();
        plain.push_str(&of(&examples, "text/plain"));
        html.push_str(&of(&examples, "text/html"));
        html.push_str("</div>");
        both(plain, html)
    }
}

/// What was swept, and a row a latent.
impl Rich for LatentSweep {
    fn bundle(&self) -> Bundle {
        let says = format!("{self:?}");
        match self.to_df() {
            Ok(table) => {
                let table = table.bundle();
                let html = format!(
                    "<small>{}</small>{}",
                    escape::html(&says),
                    of(&table, "text/html")
                );
                both(format!("{says}\n{}", of(&table, "text/plain")), html)
            }
            Err(_) => text(says),
        }
    }
}

/// A row for each latent and token that occur together.
impl Rich for TokenOccurrences {
    fn bundle(&self) -> Bundle {
        match self.to_df() {
            Ok(table) => table.bundle(),
            Err(error) => text(error.to_string()),
        }
    }
}

impl Rich for ActivationHistogram {
    fn bundle(&self) -> Bundle {
        match self.plot() {
            Ok(Some(plot)) => plot.bundle(),
            Ok(None) => text("never active"),
            Err(error) => text(error.to_string()),
        }
    }
}

impl ActivationHistogram {
    /// The bins that are not empty, and those between them, as bars; nothing where all are empty.
    ///
    /// # Errors
    /// The figure cannot be made.
    pub fn plot(&self) -> Result<Option<Plot>> {
        let first = self.counts.iter().position(|count| *count > 0);
        let last = self.counts.iter().rposition(|count| *count > 0);
        let (Some(first), Some(last)) = (first, last) else {
            return Ok(None);
        };
        let counts: Vec<f64> = self.counts[first..=last]
            .iter()
            .map(|count| *count as f64)
            .collect();
        let labels = self.edges.iter().skip(first).take(counts.len());
        let labels: Vec<String> = labels.map(|edge| format!("{edge:.3}")).collect();
        let options = PlotOptions::new()
            .x_labels(labels)
            .x_title("activation, from")
            .y_title("tokens")
            .size(600, 260);
        bar(&[("tokens", counts)], options).map(Some)
    }
}

fn title(example: &LatentExample) -> String {
    let top = example.activating;
    format!(
        "prompt {}, position {}, {:.3}",
        top.prompt, top.position, top.activation
    )
}

/// The tokens round the strongest one.
fn tokens(example: &LatentExample, max: f32) -> Bundle {
    let top = example.activating.position;
    let count = example.tokens.len().min(example.activations.len());
    let end = (top + 1 + BEHIND).min(count);
    let start = top.saturating_sub(BEFORE).min(end);
    let mut shown = example.tokens[start..end].to_vec();
    let mut values = example.activations[start..end].to_vec();
    if start > 0 {
        shown.insert(0, "…".to_owned());
        values.insert(0, 0.);
    }
    if end < count {
        shown.push("…".to_owned());
        values.push(0.);
    }
    match coloured_tokens(&shown, &values) {
        Ok(tokens) => tokens
            .named("activation")
            .max_value(f64::from(max))
            .bundle(),
        Err(error) => text(error.to_string()),
    }
}

fn of(bundle: &Bundle, kind: &str) -> String {
    let content = bundle.get(kind).or_else(|| bundle.get("text/plain"));
    content
        .and_then(|content| content.as_str())
        .unwrap_or_default()
        .to_owned()
}

fn both(plain: String, html: String) -> Bundle {
    let mut bundle = text(plain);
    bundle.insert("text/html".to_owned(), html.into());
    bundle
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::analysis::Activating;

    fn examples() -> LatentExamples {
        let activations: Vec<f32> = (0..200).map(|at| if at == 100 { 4. } else { 0. }).collect();
        let mut tokens: Vec<String> = (0..200).map(|at| format!(" w{at}")).collect();
        tokens[99] = "<script>".to_owned();
        LatentExamples {
            latent: 7,
            max: 8.,
            examples: vec![LatentExample {
                activating: Activating {
                    prompt: 3,
                    position: 100,
                    activation: 4.,
                },
                tokens,
                activations,
            }],
        }
    }

    #[test]
    fn examples_are_coloured_round_their_strongest_token() {
        let bundle = examples().bundle();
        let html = of(&bundle, "text/html");
        roxmltree::Document::parse(&html).expect("well-formed");
        assert!(html.contains("prompt 3, position 100, 4.000"));
        // Half of the maximum of the corpus is half the colour.
        assert!(html.contains("rgb(255,128,128)") && html.contains("·w100<"));
        assert!(html.contains("&lt;script&gt;") && !html.contains("<script"));
        assert!(!html.contains("·w39<") && html.contains("·w40<"));
        assert!(html.contains("·w130<") && !html.contains("·w131<"));
        let plain = of(&bundle, "text/plain");
        assert!(plain.contains("w100[+4.00]"), "{plain}");
        let none = LatentExamples {
            examples: Vec::new(),
            ..examples()
        };
        assert!(of(&none.bundle(), "text/html").contains("no prompt activates it"));
    }

    #[test]
    fn a_dashboard_has_numbers_a_picture_tokens_and_prompts() {
        let mut counts = vec![0; 48];
        counts[20] = 5;
        counts[22] = 1;
        let edges: Vec<f64> = (0..49).map(f64::from).collect();
        let dashboard = LatentDashboard {
            sae: "sae_a<b".to_owned(),
            density: 0.0125,
            mean_when_active: 1.5,
            histogram: ActivationHistogram { edges, counts },
            raised: vec![(" cat".to_owned(), 2.5)],
            lowered: vec![("&".to_owned(), -1.)],
            examples: examples(),
        };
        let bundle = dashboard.bundle();
        let html = of(&bundle, "text/html");
        assert!(html.contains("sae_a&lt;b, latent 7") && html.contains("1.250 %"));
        assert!(html.contains("<img") && html.contains("<code>·cat</code><small> +2.50"));
        assert!(html.contains("<code>&amp;</code>") && html.contains("·w100<"));
        let plain = of(&bundle, "text/plain");
        assert!(plain.contains("raises \" cat\" +2.50") && plain.contains("w100[+4.00]"));
        let empty = ActivationHistogram {
            edges: vec![0.; 49],
            counts: vec![0; 48],
        };
        assert_eq!(of(&empty.bundle(), "text/plain"), "never active");
    }
}
