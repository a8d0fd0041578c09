//! Pairs of latents whose directions are nearly one.

use super::unit::{blocks, unit_rows};
use crate::error::{Error, Result};
use crate::sae::Sae;
use polars::prelude::{Column, DataFrame};
use rayon::prelude::*;
use std::fmt;

/// The most pairs that are kept.
const MOST: usize = 1_000_000;

/// Pairs of latents and the cosines of their directions, the largest first.
#[derive(Clone, PartialEq)]
pub struct LatentPairs {
    /// The pairs, the smaller latent first.
    pub pairs: Vec<(u32, u32)>,
    /// Their cosines.
    pub cosines: Vec<f32>,
}

impl LatentPairs {
    /// The latents that are in any pair, rising.
    pub fn latents(&self) -> Vec<u32> {
        let mut latents: Vec<u32> = self.pairs.iter().flat_map(|(a, b)| [*a, *b]).collect();
        latents.sort_unstable();
        latents.dedup();
        latents
    }

    /// One row a pair: `latent`, `other`, `cosine`.
    ///
    /// # Errors
    /// There is no room for it.
    pub fn to_df(&self) -> Result<DataFrame> {
        let (latents, others): (Vec<u32>, Vec<u32>) = self.pairs.iter().copied().unzip();
        let columns = vec![
            Column::new("latent".into(), latents),
            Column::new("other".into(), others),
            Column::new("cosine".into(), &self.cosines),
        ];
        Ok(DataFrame::new(self.pairs.len(), columns)?)
    }
}

impl fmt::Debug for LatentPairs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let latents = self.latents().len();
        write!(f, "{} pairs of {latents} latents", self.pairs.len())
    }
}

impl Sae {
    /// The pairs of latents whose directions have at least this cosine: direction vectors, in the words of
    /// the NSAE post, of which several write nearly the same.
    ///
    /// # Errors
    /// The threshold is not a cosine, or more than a million pairs reach it.
    pub fn direction_vectors(&self, threshold: f32) -> Result<LatentPairs> {
        if !(-1. ..=1.).contains(&threshold) {
            return Err(Error::new(format!(
                "{threshold} is not a cosine: give a threshold of -1 to 1, such as 0.95."
            )));
        }
        let rows = unit_rows("the rows of W_dec", &self.W_dec)?;
        let mut found: Vec<(u32, u32, f32)> = Vec::new();
        blocks(&rows, &rows, true, |start, from, products| {
            let rows = products.par_iter().enumerate();
            found.par_extend(rows.flat_map_iter(|(at, row)| {
                let latent = start + at;
                let others = row.iter().enumerate().skip(latent + 1 - from);
                let near = others.filter(|(_, cosine)| **cosine >= threshold);
                near.map(move |(other, cosine)| (latent as u32, (from + other) as u32, *cosine))
            }));
            match found.len() > MOST {
                true => Err(Error::new(format!(
                    "more than {MOST} pairs of latents have a cosine of {threshold} or more: raise the \
                     threshold."
                ))),
                false => Ok(()),
            }
        })?;
        found.sort_by(|a, b| b.2.total_cmp(&a.2).then((a.0, a.1).cmp(&(b.0, b.1))));
        Ok(LatentPairs {
            pairs: found.iter().map(|pair| (pair.0, pair.1)).collect(),
            cosines: found.iter().map(|pair| pair.2).collect(),
        })
    }
}
