//! `eval`: does the model close the quotations that it opens?

use std::fmt;

use ferrolens::model::{Generate, HookedTransformer, Tokenizer};
use ferrolens::{Error, Result, Tensor};

/// Quotation marks of texts, which open and close in turn within each paragraph.
#[derive(Default)]
pub struct Quotations {
    texts: usize,
    opened: usize,
    closed: usize,
}

impl Quotations {
    pub fn of<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut quotations = Self::default();
        for text in texts {
            quotations.texts += 1;
            for paragraph in text.split('\n') {
                let marks = paragraph.matches('"').count();
                quotations.opened += marks.div_ceil(2);
                quotations.closed += marks / 2;
            }
        }
        quotations
    }
}

impl fmt::Display for Quotations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            texts,
            opened,
            closed,
        } = self;
        let share = 100.0 * *closed as f64 / (*opened).max(1) as f64;
        write!(
            f,
            "{texts} texts open {opened} quotations and close {closed} of them ({share:.1} %)"
        )
    }
}

/// Stories that the model tells from nothing, at temperature 1; those that ended within `length` tokens.
pub fn told(
    model: &HookedTransformer,
    count: usize,
    length: usize,
    seed: u64,
) -> Result<Vec<String>> {
    let tokenizer = model.tokenizer()?;
    let start = end_of_text(&tokenizer)?;
    let options = Generate::new(length).temperature(1.0).seed(seed);
    let rows: Vec<Vec<u32>> = model
        .generate(vec![vec![start]; count], &options)?
        .new_tokens()?
        .to_vec2()?;
    let ended = |row: Vec<u32>| {
        row.iter()
            .position(|token| *token == start)
            .map(|end| row[..end].to_vec())
    };
    rows.into_iter()
        .filter_map(ended)
        .map(|row| tokenizer.decode(&row))
        .collect()
}

/// The probability of a token with a quotation mark, at places of real rows where the next token begins with the
/// end of a clause: the mean inside quotations, and outside.
pub fn closing_probability(
    model: &HookedTransformer,
    rows: &[String],
) -> Result<[(f64, usize); 2]> {
    let tokenizer = model.tokenizer()?;
    let texts =
        tokenizer.decode_each(&(0..tokenizer.vocabulary_size() as u32).collect::<Vec<_>>())?;
    let with_mark: Vec<u32> = (0u32..)
        .zip(&texts)
        .filter(|(_, text)| text.contains('"'))
        .map(|(id, _)| id)
        .collect();
    let with_mark = Tensor::new(with_mark, &model.device())?;
    let (mut sums, mut counts) = ([0.0; 2], [0; 2]);
    for row in rows {
        let mut tokens = tokenizer.encode(row, true)?;
        tokens.truncate(model.config().n_ctx);
        let logits = model.forward(&tokens)?.squeeze(0)?; // [pos, d_vocab]
        let probabilities = ferrolens::math::softmax(&logits)?
            .index_select(&with_mark, 1)?
            .sum(1)?
            .to_vec1::<f32>()?;
        let mut inside = false;
        for (probability, next) in probabilities.into_iter().zip(&tokens[1..]) {
            let text = &texts[*next as usize];
            if text.starts_with(['.', ',', '!', '?']) {
                sums[usize::from(!inside)] += f64::from(probability);
                counts[usize::from(!inside)] += 1;
            }
            for mark in text.chars().filter(|mark| matches!(mark, '"' | '\n')) {
                inside = mark == '"' && !inside;
            }
        }
    }
    Ok([0, 1].map(|place| {
        (
            sums[place] / f64::from(counts[place].max(1) as u32),
            counts[place],
        )
    }))
}

fn end_of_text(tokenizer: &Tokenizer) -> Result<u32> {
    tokenizer
        .bos()
        .ok_or_else(|| Error::new("the model's tokenizer has no end-of-text token."))
}
