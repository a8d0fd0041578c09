//! Prompts of similar length together.

use super::corpus::Corpus;
use crate::error::{Error, Result};
use crate::model::Input;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use std::sync::Arc;

/// Batches of prompts, each of at most a number of tokens with padding (or of one prompt, where that
/// alone has more).
///
/// Prompts of one length come in their order; shorter ones come before longer ones, unless
/// [`Batches::shuffled`]. The numbers of a batch's prompts say where its results belong.
#[derive(Clone, Debug)]
pub struct Batches {
    corpus: Corpus,
    plan: Arc<[Vec<usize>]>,
    next: usize,
}

/// Some prompts, padded on the right to one length.
///
/// A model whose positions see only earlier ones computes the same for them as without padding.
#[derive(Clone, Debug)]
pub struct TokenBatch {
    /// The numbers of the prompts in the corpus.
    pub prompts: Vec<usize>,
    /// How many tokens of each row are the prompt's.
    pub lengths: Vec<usize>,
    /// Token ids, `[batch, pos]`, all rows of the length of the longest.
    pub rows: Vec<Vec<u32>>,
}

impl Batches {
    pub(super) fn new(corpus: Corpus, token_budget: usize) -> Result<Self> {
        if token_budget == 0 {
            return Err(Error::new(
                "batches of 0 tokens hold nothing: give a budget such as 4096.",
            ));
        }
        let mut order: Vec<usize> = (0..corpus.len()).collect();
        order.sort_by_key(|prompt| corpus.row(*prompt).len());
        let mut plan: Vec<Vec<usize>> = Vec::new();
        let mut batch: Vec<usize> = Vec::new();
        for prompt in order {
            // The last is the longest.
            let width = corpus.row(prompt).len();
            if !batch.is_empty() && (batch.len() + 1).saturating_mul(width) > token_budget {
                plan.push(std::mem::take(&mut batch));
            }
            batch.push(prompt);
        }
        plan.push(batch);
        Ok(Self {
            corpus,
            plan: plan.into(),
            next: 0,
        })
    }

    /// The same batches in an order that the seed decides.
    #[must_use]
    pub fn shuffled(&self, seed: u64) -> Self {
        let mut plan = self.plan.to_vec();
        plan.shuffle(&mut StdRng::seed_from_u64(seed));
        Self {
            plan: plan.into(),
            ..self.clone()
        }
    }

    /// How many batches there are in all.
    pub fn count_all(&self) -> usize {
        self.plan.len()
    }

    /// One of the batches.
    pub(crate) fn get(&self, index: usize) -> Option<TokenBatch> {
        let prompts = self.plan.get(index)?;
        Some(TokenBatch::of(&self.corpus, prompts.clone()))
    }
}

impl Iterator for Batches {
    type Item = TokenBatch;

    fn next(&mut self) -> Option<TokenBatch> {
        let batch = self.get(self.next)?;
        self.next += 1;
        Some(batch)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.plan.len().saturating_sub(self.next);
        (left, Some(left))
    }
}

impl ExactSizeIterator for Batches {}

impl TokenBatch {
    pub(crate) fn of(corpus: &Corpus, prompts: Vec<usize>) -> Self {
        let mut rows: Vec<Vec<u32>> = prompts.iter().map(|at| corpus.row(*at).to_vec()).collect();
        let lengths: Vec<usize> = rows.iter().map(Vec::len).collect();
        let longest = lengths.iter().copied().max().unwrap_or(0);
        for row in &mut rows {
            // Any token does: nothing that is kept comes behind it.
            let last = row.last().copied().unwrap_or(0);
            row.resize(longest, last);
        }
        Self {
            prompts,
            lengths,
            rows,
        }
    }

    /// What a model is run on.
    pub fn input(&self) -> Input {
        Input::Ids(self.rows.clone())
    }

    /// How many tokens are the prompts' own.
    pub fn tokens(&self) -> usize {
        self.lengths.iter().sum()
    }

    /// The length of the rows.
    pub fn width(&self) -> usize {
        self.rows.first().map_or(0, Vec::len)
    }

    /// The positions that count, prompt after prompt.
    pub(crate) fn kept(&self, window: Window) -> Kept {
        let mut kept = Kept::default();
        let of = self.prompts.iter().zip(&self.lengths).zip(&self.rows);
        for (row, ((prompt, length), ids)) in of.enumerate() {
            let end = length.saturating_sub(window.skip_last);
            for (position, id) in ids.iter().enumerate().take(end).skip(window.skip_first) {
                kept.indices.push((row * self.width() + position) as u32);
                kept.prompts.push(*prompt as u32);
                kept.positions.push(position as u32);
                kept.tokens.push(*id);
            }
        }
        kept
    }
}

/// Which positions of each prompt count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Window {
    pub(crate) skip_first: usize,
    pub(crate) skip_last: usize,
}

/// The positions of a batch that count: a column an entry.
#[derive(Clone, Debug, Default)]
pub(crate) struct Kept {
    /// Where in `[batch * pos]`.
    pub(crate) indices: Vec<u32>,
    pub(crate) prompts: Vec<u32>,
    pub(crate) positions: Vec<u32>,
    pub(crate) tokens: Vec<u32>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn corpus(lengths: &[usize]) -> Corpus {
        let rows = lengths.iter().enumerate();
        let rows = rows.map(|(at, length)| vec![at as u32; *length]).collect();
        Corpus::from_tokens(rows, None).unwrap()
    }

    #[test]
    fn lengths_are_together_and_the_budget_holds() {
        let corpus = corpus(&[5, 1, 9, 2, 5, 30, 1]);
        let batches: Vec<TokenBatch> = corpus.batches(10).unwrap().collect();
        let prompts: Vec<&[usize]> = batches.iter().map(|batch| &batch.prompts[..]).collect();
        assert_eq!(prompts, [&[1, 6, 3][..], &[0, 4], &[2], &[5]]);
        assert_eq!(batches[0].lengths, [1, 1, 2]);
        assert_eq!(batches[0].rows, [[1, 1], [6, 6], [3, 3]]);
        assert!(corpus.batches(0).is_err());
        let shuffled: Vec<usize> = corpus
            .batches(1)
            .unwrap()
            .shuffled(1)
            .flat_map(|batch| batch.prompts)
            .collect();
        let mut sorted = shuffled.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..7).collect::<Vec<usize>>());
        assert_ne!(shuffled, [1, 6, 3, 0, 4, 2, 5]);
    }

    #[test]
    fn positions_that_count_know_where_they_are() {
        let batch = corpus(&[3, 2, 4]).batches(100).unwrap().next().unwrap();
        assert_eq!(batch.prompts, [1, 0, 2]);
        let window = Window {
            skip_first: 1,
            skip_last: 1,
        };
        let kept = batch.kept(window);
        assert_eq!(kept.prompts, [0, 2, 2]);
        assert_eq!(kept.positions, [1, 1, 2]);
        assert_eq!(kept.indices, [4 + 1, 8 + 1, 8 + 2]);
        assert_eq!(kept.tokens, [0, 2, 2]);
        assert_eq!(batch.kept(Window::default()).tokens.len(), batch.tokens());
    }
}
