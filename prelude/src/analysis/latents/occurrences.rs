//! On which tokens a latent is strongly active.

use super::sweep::LatentSweep;
use super::walk::{Block, Collector, STRIPE, Walk};
use crate::data::{Array, Fingerprint, Record, Window};
use crate::error::{Error, Result};
use polars::prelude::{Column, DataFrame};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::fmt;

/// Counts tokens on which latents are above a share of their maximum, as the notebook's
/// `eval_direction_tokens_global` does, without a count for each of `d_sae × d_vocab` pairs.
///
/// ```
/// # use ferrolens::analysis::{Occurrences, Sweep};
/// # use ferrolens::data::Corpus;
/// # use ferrolens::model::HookedTransformer;
/// # use ferrolens::sae::{Gate, Sae, SaeConfig};
/// # use ferrolens::{Device, Tensor};
/// # let model = HookedTransformer::from_pretrained("stories-2l")?;
/// let sae = Sae::from_pretrained("stories-2l-relu", "blocks.0.hook_mlp_out")?;
/// # let corpus = Corpus::new(&model, ["Once upon a time", "Lily saw a cat."])?;
/// let sweep = Sweep::new().no_cache().run(&model, &sae, &corpus)?;
/// let counts = Occurrences::new(0.5).run(&sweep)?;
/// println!("{:?}", counts.of(3)?); // [(" cat", 1), …]
/// # Ok::<(), ferrolens::Error>(())
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Occurrences {
    fraction: f64,
    window: Window,
}

impl Occurrences {
    /// Tokens on which a latent is above `fraction` of its maximum, at position 10 and behind, as in the
    /// notebook.
    pub fn new(fraction: f64) -> Self {
        Self {
            fraction,
            window: Window {
                skip_first: 10,
                skip_last: 0,
            },
        }
    }

    /// Without the first positions of each prompt (10).
    #[must_use]
    pub fn skip_first(mut self, positions: usize) -> Self {
        self.window.skip_first = positions;
        self
    }

    /// Without the last positions of each prompt (0).
    #[must_use]
    pub fn skip_last(mut self, positions: usize) -> Self {
        self.window.skip_last = positions;
        self
    }

    /// Goes over the sweep's corpus again, with the maxima that it found. What is counted is kept where
    /// the sweep keeps its own, so that it goes on after a stop.
    ///
    /// # Errors
    /// As [`Sweep::run`](super::Sweep::run), and a fraction outside 0 to 1.
    pub fn run(&self, sweep: &LatentSweep) -> Result<TokenOccurrences> {
        if !(0. ..=1.).contains(&self.fraction) {
            return Err(Error::new(format!(
                "a fraction of {} of the maximum cannot be: give 0 to 1, such as 0.5.",
                self.fraction
            )));
        }
        let walk = Walk {
            window: self.window,
            ..sweep.walk().clone()
        };
        let of = |max: f32| (self.fraction * f64::from(max)) as f32;
        let thresholds: Vec<f32> = sweep.max().into_iter().map(of).collect();
        let empty = Counts {
            each: vec![BTreeMap::new(); thresholds.len()],
            thresholds,
        };
        let counts = walk.run(empty, "token occurrences", sweep.storage())?;
        let corpus = sweep.corpus();
        Ok(TokenOccurrences {
            latents: sweep.latents(),
            counts: counts.each.into_iter().map(Vec::from_iter).collect(),
            corpus,
        })
    }
}

/// How often each token activates each latent strongly: only the pairs that occur.
#[derive(Clone)]
pub struct TokenOccurrences {
    /// The latent of each entry of `counts`.
    pub latents: Vec<u32>,
    /// Tokens and how often, by token.
    pub counts: Vec<Vec<(u32, u64)>>,
    corpus: crate::data::Corpus,
}

impl TokenOccurrences {
    /// The tokens that activate a latent strongly and how often, the most frequent first.
    ///
    /// # Errors
    /// There are no counts for this latent; the corpus has no tokenizer.
    pub fn of(&self, latent: u32) -> Result<Vec<(String, u64)>> {
        let at = self.latents.iter().position(|other| *other == latent);
        let Some(counts) = at.and_then(|at| self.counts.get(at)) else {
            return Err(Error::new(format!(
                "tokens were not counted for latent {latent}: they were for {} others.",
                self.latents.len()
            )));
        };
        let mut counts = counts.clone();
        counts.sort_by_key(|(token, count)| (std::cmp::Reverse(*count), *token));
        let tokenizer = self.corpus.tokenizer()?;
        let texts = counts.into_iter();
        texts
            .map(|(token, count)| Ok((tokenizer.decode(&[token])?, count)))
            .collect()
    }

    /// A row a latent that is strongly active at all: `latent`, `token` (the most frequent one), `count`,
    /// `of` (all strong activations) and `share`, count over all; the largest share first, of equal ones
    /// that with more activations.
    ///
    /// # Errors
    /// The corpus has no tokenizer.
    pub fn top_tokens(&self) -> Result<DataFrame> {
        let tokenizer = self.corpus.tokenizer()?;
        let mut rows = Vec::new();
        for (latent, counts) in self.latents.iter().zip(&self.counts) {
            let of: u64 = counts.iter().map(|(_, count)| count).sum();
            let top = counts
                .iter()
                .max_by_key(|(token, count)| (*count, std::cmp::Reverse(*token)));
            if let Some((token, count)) = top {
                rows.push((*latent, tokenizer.decode(&[*token])?, *count, of));
            }
        }
        let share = |row: &(u32, String, u64, u64)| row.2 as f64 / row.3.max(1) as f64;
        rows.sort_by(|a, b| share(b).total_cmp(&share(a)).then(b.3.cmp(&a.3)));
        let columns = vec![
            Column::new(
                "latent".into(),
                rows.iter().map(|row| row.0).collect::<Vec<_>>(),
            ),
            Column::new(
                "token".into(),
                rows.iter().map(|row| row.1.clone()).collect::<Vec<_>>(),
            ),
            Column::new(
                "count".into(),
                rows.iter().map(|row| row.2).collect::<Vec<_>>(),
            ),
            Column::new(
                "of".into(),
                rows.iter().map(|row| row.3).collect::<Vec<_>>(),
            ),
            Column::new("share".into(), rows.iter().map(share).collect::<Vec<_>>()),
        ];
        Ok(DataFrame::new(rows.len(), columns)?)
    }

    /// A row a pair that occurs: `latent`, `token` (its id), `count`.
    ///
    /// # Errors
    /// The table cannot be made.
    pub fn to_df(&self) -> Result<DataFrame> {
        let (mut latents, mut tokens, mut counts) = (vec![], vec![], vec![]);
        for (latent, of) in self.latents.iter().zip(&self.counts) {
            for (token, count) in of {
                latents.push(*latent);
                tokens.push(*token);
                counts.push(*count);
            }
        }
        let columns = vec![
            Column::new("latent".into(), &latents),
            Column::new("token".into(), tokens),
            Column::new("count".into(), counts),
        ];
        Ok(DataFrame::new(latents.len(), columns)?)
    }
}

impl fmt::Debug for TokenOccurrences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pairs: usize = self.counts.iter().map(Vec::len).sum();
        write!(
            f,
            "TokenOccurrences({} latents, {pairs} pairs of latent and token)",
            self.latents.len()
        )
    }
}

#[derive(Clone)]
struct Counts {
    thresholds: Vec<f32>,
    each: Vec<BTreeMap<u32, u64>>,
}

impl Collector for Counts {
    fn take(&mut self, block: &Block<'_>) {
        let latents = block.first..block.first + block.latents;
        let stripes = self.each[latents.clone()].par_chunks_mut(STRIPE);
        let thresholds = self.thresholds[latents].par_chunks(STRIPE);
        let stripes = stripes.zip(thresholds).enumerate();
        stripes.for_each(|(stripe, (counts, thresholds))| {
            let first = stripe * STRIPE;
            for (row, token) in block.tokens.iter().enumerate() {
                let start = row * block.latents + first;
                let acts = &block.acts[start..start + counts.len()];
                let pairs = acts.iter().zip(thresholds).zip(counts.iter_mut());
                for ((act, threshold), counts) in pairs {
                    if act > threshold {
                        *counts.entry(*token).or_default() += 1;
                    }
                }
            }
        });
    }

    fn record(&self) -> Record {
        let pairs = || self.each.iter().flatten();
        let mut record = Record::default();
        let lengths = self.each.iter().map(|counts| counts.len() as u32);
        record.set("tokens of each", Array::U32(lengths.collect()));
        record.set(
            "token",
            Array::U32(pairs().map(|(token, _)| *token).collect()),
        );
        record.set(
            "count",
            Array::U64(pairs().map(|(_, count)| *count).collect()),
        );
        record
    }

    fn restore(&mut self, record: &Record) -> Result<()> {
        let lengths = record.u32("tokens of each")?;
        let (tokens, counts) = (record.u32("token")?, record.u64("count")?);
        let total: usize = lengths.iter().map(|length| *length as usize).sum();
        if lengths.len() != self.each.len() || [tokens.len(), counts.len()] != [total; 2] {
            return Err(Error::new("it is of another number of latents"));
        }
        let mut pairs = tokens.iter().copied().zip(counts.iter().copied());
        for (each, length) in self.each.iter_mut().zip(lengths) {
            *each = pairs.by_ref().take(*length as usize).collect();
        }
        Ok(())
    }

    fn identify(&self, key: &mut Fingerprint) {
        key.text("occurrences 1");
        let bits: Vec<u32> = self
            .thresholds
            .iter()
            .map(|value| value.to_bits())
            .collect();
        key.ids(&bits);
    }
}
