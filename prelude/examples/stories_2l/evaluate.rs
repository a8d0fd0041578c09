//! `eval`: how well the model predicts real TinyStories, beside the model that it learned from.
//!
//! The rows of `tinystories_val_head.txt` are what blank lines separate. Each row is given to a model for itself,
//! behind the token that starts a text, and every token of the row is predicted; what does not fit into the context
//! goes on in a further window of its own. Nats are summed over all tokens and divided by the characters of all rows.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use ferrolens::model::HookedTransformer;
use ferrolens::{Error, Result};

use crate::generator::{Generator, LANES};
use crate::pieces::{Pieces, START};

/// The loss over a text.
#[derive(Default)]
pub struct Score {
    nats: f64,
    tokens: usize,
    characters: usize,
}

/// The rows of the sample text in the data folder.
pub fn rows(data: &Path) -> Result<Vec<String>> {
    let path = data.join("text/tinystories_val_head.txt");
    let text = std::fs::read_to_string(&path)
        .map_err(|error| Error::from(error).context(format!("reading {}", path.display())))?;
    Ok(text
        .split("\n\n")
        .map(str::trim)
        .filter(|row| !row.is_empty())
        .map(str::to_owned)
        .collect())
}

/// stories260K's loss, with tokens as `encode` makes them.
pub fn by_generator(
    generator: &Generator,
    rows: &[String],
    encode: impl Fn(&str) -> Vec<usize>,
) -> Score {
    let mut score = Score {
        characters: characters(rows),
        ..Score::default()
    };
    let mut windows = Vec::new();
    for row in rows {
        for window in encode(row).chunks(generator.n_ctx - 1) {
            windows.push([&[START], window].concat());
        }
    }
    // Windows of like length share a set of lanes.
    windows.sort_by_key(Vec::len);
    let mut stories = generator.stories();
    for windows in windows.chunks(LANES) {
        let longest = windows.iter().map(Vec::len).max().unwrap_or(0);
        let token = |lane: usize, at: usize| {
            windows
                .get(lane)
                .and_then(|window: &Vec<usize>| window.get(at).copied())
        };
        for at in 0..longest - 1 {
            let tokens = std::array::from_fn(|lane| token(lane, at).unwrap_or(START));
            let logits = generator.step(&mut stories, tokens, [at; LANES]);
            for lane in 0..LANES {
                let Some(next) = token(lane, at + 1) else {
                    continue;
                };
                let largest = logits
                    .iter()
                    .map(|logit| f64::from(logit[lane]))
                    .fold(f64::NEG_INFINITY, f64::max);
                let sum: f64 = logits
                    .iter()
                    .map(|logit| (f64::from(logit[lane]) - largest).exp())
                    .sum();
                score.nats += largest + sum.ln() - f64::from(logits[next][lane]);
                score.tokens += 1;
            }
        }
    }
    score
}

/// The model's loss.
pub fn by_model(model: &HookedTransformer, rows: &[String]) -> Result<Score> {
    let mut score = Score {
        characters: characters(rows),
        ..Score::default()
    };
    let tokenizer = model.tokenizer()?;
    let start = tokenizer
        .bos()
        .ok_or_else(|| Error::new("the model's tokenizer has no end-of-text token."))?;
    let mut by_length: BTreeMap<usize, Vec<Vec<u32>>> = BTreeMap::new();
    for row in rows {
        for window in tokenizer
            .encode(row, false)?
            .chunks(model.config().n_ctx - 1)
        {
            let window = [&[start], window].concat();
            by_length.entry(window.len()).or_default().push(window);
        }
    }
    for windows in by_length.values() {
        for batch in windows.chunks(16) {
            for losses in model.run(batch).loss_per_token()?.to_vec2::<f32>()? {
                score.tokens += losses.len();
                score.nats += losses.into_iter().map(f64::from).sum::<f64>();
            }
        }
    }
    Ok(score)
}

/// Both of stories260K's scores: with the tokens that it was trained on, and with the longest piece at each place,
/// by which its reference value of 0.945 nats per character was taken.
pub fn references(
    generator: &Generator,
    pieces: &Pieces,
    rows: &[String],
) -> [(&'static str, Score); 2] {
    [
        (
            "stories260K, merged pieces as in its training",
            by_generator(generator, rows, |row| pieces.encode(row)),
        ),
        (
            "stories260K, longest pieces (the reference 0.945)",
            by_generator(generator, rows, |row| pieces.encode_longest(row)),
        ),
    ]
}

fn characters(rows: &[String]) -> usize {
    rows.iter().map(|row| row.chars().count()).sum()
}

impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.4} nats per character, {:.4} per token, {} tokens, {} characters",
            self.nats / self.characters as f64,
            self.nats / self.tokens as f64,
            self.tokens,
            self.characters
        )
    }
}
