//! How cosines of pairs of directions are distributed.

use super::random::{covariance_matched_directions, isotropic_directions};
use super::unit::{blocks, unit_rows};
use crate::error::{Error, Result};
use crate::sae::Sae;
use candle_core::Tensor;
use polars::prelude::{Column, DataFrame};
use rayon::prelude::*;
use std::fmt;

/// The cosines of all pairs of some directions: an exact histogram from -1 to 1.
#[derive(Clone, PartialEq)]
pub struct CosineHistogram {
    /// The pairs in each bin; all bins are of one width.
    pub counts: Vec<u64>,
    /// How many pairs there are.
    pub pairs: u64,
    /// The mean cosine.
    pub mean: f64,
    /// Its standard deviation (of all pairs: ddof 0).
    pub std: f64,
    /// The smallest cosine.
    pub min: f32,
    /// The largest cosine.
    pub max: f32,
}

impl CosineHistogram {
    /// Of all pairs of two different rows, `[n, d]`, each pair once.
    ///
    /// ```
    /// use ferrolens::analysis::{CosineHistogram, isotropic_directions};
    /// let cosines = CosineHistogram::within(&isotropic_directions(400, 64, 0)?, 50)?;
    /// assert_eq!(cosines.pairs, 400 * 399 / 2);
    /// assert!((cosines.std - 1. / 8.).abs() < 0.01); // 1 / sqrt(d)
    /// # Ok::<(), ferrolens::Error>(())
    /// ```
    ///
    /// # Errors
    /// They are no matrix of finite numbers with two rows or more, or there are no bins.
    pub fn within(directions: &Tensor, bins: usize) -> Result<Self> {
        let rows = unit_rows("the directions", directions)?;
        if rows.dim(0)? < 2 {
            return Err(Error::new(
                "one direction makes no pair: give two rows or more.",
            ));
        }
        Self::of(&rows, &rows, true, bins)
    }

    /// Of all pairs of a row of the first, `[n, d]`, and one of the second, `[m, d]`.
    ///
    /// # Errors
    /// They are no matrices of finite numbers of one width, or there are no bins.
    pub fn between(left: &Tensor, right: &Tensor, bins: usize) -> Result<Self> {
        let (left, right) = (
            unit_rows("the first directions", left)?,
            unit_rows("the second directions", right)?,
        );
        if left.dim(1)? != right.dim(1)? {
            return Err(Error::new(format!(
                "directions of shapes {:?} and {:?} have no cosines: they must be of one width.",
                left.dims(),
                right.dims()
            )));
        }
        Self::of(&left, &right, false, bins)
    }

    fn of(left: &Tensor, right: &Tensor, once: bool, bins: usize) -> Result<Self> {
        if bins == 0 {
            return Err(Error::new(
                "a histogram has at least one bin: ask for 1 or more.",
            ));
        }
        let mut total = Part::empty(bins);
        blocks(left, right, once, |start, from, products| {
            let rows = products.into_par_iter().enumerate();
            let part = rows.map(|(at, row)| {
                // With each pair once, those behind the diagonal.
                let skip = if once { start + at + 1 - from } else { 0 };
                Part::of(row.get(skip..).unwrap_or_default(), bins)
            });
            total = std::mem::replace(&mut total, Part::empty(0))
                .and(part.reduce(|| Part::empty(bins), Part::and));
            Ok(())
        })?;
        let pairs: u64 = total.counts.iter().sum();
        let mean = total.sum / pairs as f64;
        Ok(Self {
            counts: total.counts,
            pairs,
            mean,
            std: (total.squares / pairs as f64 - mean * mean).max(0.).sqrt(),
            min: total.min,
            max: total.max,
        })
    }

    /// The bins' edges, from -1 to 1: one more than bins.
    pub fn edges(&self) -> Vec<f64> {
        let bins = self.counts.len().max(1);
        (0..=bins)
            .map(|at| 2. * at as f64 / bins as f64 - 1.)
            .collect()
    }

    /// The share of all pairs in each bin.
    pub fn shares(&self) -> Vec<f64> {
        let pairs = self.pairs.max(1) as f64;
        self.counts
            .iter()
            .map(|count| *count as f64 / pairs)
            .collect()
    }

    /// One row a bin: `cosine` (its middle), `pairs`, `share`.
    ///
    /// # Errors
    /// There is no room for it.
    pub fn to_df(&self) -> Result<DataFrame> {
        let columns = vec![
            Column::new("cosine".into(), self.middles()),
            Column::new("pairs".into(), &self.counts),
            Column::new("share".into(), self.shares()),
        ];
        Ok(DataFrame::new(self.counts.len(), columns)?)
    }

    fn middles(&self) -> Vec<f64> {
        let edges = self.edges();
        edges
            .windows(2)
            .map(|edges| (edges[0] + edges[1]) / 2.)
            .collect()
    }
}

impl fmt::Debug for CosineHistogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "CosineHistogram of {} pairs: mean {:.4}, std {:.4}, from {:.4} to {:.4}, {} bins",
            self.pairs,
            self.mean,
            self.std,
            self.min,
            self.max,
            self.counts.len()
        )
    }
}

/// What some of the pairs add to a histogram.
struct Part {
    counts: Vec<u64>,
    sum: f64,
    squares: f64,
    min: f32,
    max: f32,
}

impl Part {
    fn empty(bins: usize) -> Self {
        Self {
            counts: vec![0; bins],
            sum: 0.,
            squares: 0.,
            min: f32::INFINITY,
            max: f32::NEG_INFINITY,
        }
    }

    fn of(cosines: &[f32], bins: usize) -> Self {
        let mut part = Self::empty(bins);
        for cosine in cosines {
            // Rounding may leave a cosine a little outside.
            let cosine = cosine.clamp(-1., 1.);
            let bin = (f64::from(cosine) + 1.) / 2. * bins as f64;
            part.counts[(bin as usize).min(bins - 1)] += 1;
            part.sum += f64::from(cosine);
            part.squares += f64::from(cosine).powi(2);
            part.min = part.min.min(cosine);
            part.max = part.max.max(cosine);
        }
        part
    }

    fn and(mut self, other: Self) -> Self {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
        self.sum += other.sum;
        self.squares += other.squares;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self
    }
}

/// The cosines of an autoencoder's directions beside those of directions drawn at random.
#[derive(Clone, Debug, PartialEq)]
pub struct DecoderCosines {
    /// Of the latents.
    pub decoder: CosineHistogram,
    /// Of as many directions without preference.
    pub isotropic: CosineHistogram,
    /// Of as many directions with the covariance of activations.
    pub covariance_matched: CosineHistogram,
}

impl DecoderCosines {
    /// One row a bin: `cosine` (its middle) and the shares `decoder`, `isotropic`,
    /// `covariance matched`.
    ///
    /// # Errors
    /// There is no room for it.
    pub fn to_df(&self) -> Result<DataFrame> {
        let columns = vec![
            Column::new("cosine".into(), self.decoder.middles()),
            Column::new("decoder".into(), self.decoder.shares()),
            Column::new("isotropic".into(), self.isotropic.shares()),
            Column::new(
                "covariance matched".into(),
                self.covariance_matched.shares(),
            ),
        ];
        Ok(DataFrame::new(self.decoder.counts.len(), columns)?)
    }
}

impl Sae {
    /// The cosines of all pairs of latents' directions, each pair once.
    ///
    /// # Errors
    /// The weights are not finite, there is a single latent, or there are no bins.
    pub fn decoder_cosines(&self, bins: usize) -> Result<CosineHistogram> {
        CosineHistogram::within(&self.W_dec, bins)
    }

    /// The same beside as many random directions: isotropic ones, and ones with the covariance of these
    /// activations, `[.., d_out]`.
    ///
    /// # Errors
    /// As [`Sae::decoder_cosines`] and [`covariance_matched_directions`].
    pub fn compare_decoder_cosines(
        &self,
        activations: &Tensor,
        bins: usize,
        seed: u64,
    ) -> Result<DecoderCosines> {
        let (n, d) = (self.cfg.d_sae, self.cfg.d_out);
        let matched = covariance_matched_directions(activations, n, seed)?;
        if matched.dim(1)? != d {
            return Err(Error::new(format!(
                "activations of width {} are not what {} writes: give [.., {d}].",
                matched.dim(1)?,
                self.name()
            )));
        }
        Ok(DecoderCosines {
            decoder: self.decoder_cosines(bins)?,
            isotropic: CosineHistogram::within(&isotropic_directions(n, d, seed)?, bins)?,
            covariance_matched: CosineHistogram::within(&matched, bins)?,
        })
    }
}
