//! What activations cost, besides the error that they leave.

use super::slices;
use crate::error::Result;
use candle_core::{D, Tensor};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

/// What one position's activations `a` cost; the loss holds the mean over positions, times a coefficient.
///
/// sparse_coding, where the others than L1 come from, adds up over positions instead: its coefficients are
/// these divided by the batch size.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Penalty {
    /// `|a|₁`.
    L1,
    /// The sum of `sqrt(a)` below 1 and `a` above: sparse_coding's `sqrt`.
    Sqrt,
    /// `(|a|₁ / |a|₂)²`, which is between 1 and the number of active latents (Hoyer 2004; Yang, Wen and Li
    /// 2020, arXiv 1908.09979): sparse_coding's `hoyer_square`.
    HoyerSquare,
    /// `|A|₁² / (|A|₂² n d_sae)` of the whole batch `A` of `n` positions, which is between 0 and 1:
    /// sparse_coding's `hoyer_d`, divided by `n`.
    HoyerDensity,
    /// The same times the mean `|a|₁`: sparse_coding's `hoyer_d_scaled_l1`.
    HoyerDensityL1,
}

/// Below this the slope of a square root counts as that here.
const SMALLEST_ROOT: f32 = 1e-9;

/// What is added to `|a|₂` in a denominator.
const EPSILON: f64 = f32::EPSILON as f64;

/// Sums over the activations of each position.
#[derive(Clone, Debug, Default)]
pub(super) struct RowSums {
    /// `|a|₁`.
    pub(super) absolute: Vec<f32>,
    /// `|a|₂²`.
    pub(super) squares: Vec<f32>,
    /// [`Penalty::Sqrt`].
    pub(super) roots: Vec<f32>,
    /// How many are above 0.
    pub(super) active: Vec<f32>,
}

/// One row's part of [`RowSums`].
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    absolute: f32,
    squares: f32,
    roots: f32,
    active: f32,
}

impl RowSums {
    /// Of activations `[n, d_sae]`, none of them below 0.
    pub(super) fn of(acts: &Tensor, penalties: &Penalties) -> Result<Self> {
        let roots = penalties.roots > 0.;
        if slices::on_cpu(acts) {
            let width = acts.dim(1)?;
            return slices::read(acts, |acts| {
                let rows: Vec<Sums> = acts
                    .par_chunks(width)
                    .with_min_len(16)
                    .map(|row| Sums::of(row, roots))
                    .collect();
                Self {
                    absolute: rows.iter().map(|sums| sums.absolute).collect(),
                    squares: rows.iter().map(|sums| sums.squares).collect(),
                    roots: rows.iter().map(|sums| sums.roots).collect(),
                    active: rows.iter().map(|sums| sums.active).collect(),
                }
            });
        }
        let sum = |values: Tensor| Ok::<_, crate::Error>(values.sum(D::Minus1)?.to_vec1()?);
        Ok(Self {
            absolute: sum(acts.clone())?,
            squares: sum(acts.sqr()?)?,
            roots: match roots {
                true => sum(acts.sqrt()?.maximum(acts)?)?,
                false => vec![0.; acts.dim(0)?],
            },
            active: sum(acts.gt(0.)?.to_dtype(acts.dtype())?)?,
        })
    }

    /// The mean number of active latents.
    pub(super) fn l0(&self) -> f64 {
        mean(&self.active)
    }

    /// The mean of `|a|₁`.
    pub(super) fn l1(&self) -> f64 {
        mean(&self.absolute)
    }
}

impl Sums {
    fn of(row: &[f32], roots: bool) -> Self {
        const LANES: usize = 8;
        let mut lanes = [[0f32; LANES]; 3];
        let chunks = row.chunks_exact(LANES);
        let rest = chunks.remainder();
        for chunk in chunks {
            for lane in 0..LANES {
                let value = chunk[lane];
                lanes[0][lane] += value;
                lanes[1][lane] += value * value;
                lanes[2][lane] += if value > 0. { 1. } else { 0. };
            }
        }
        for (lane, value) in rest.iter().enumerate() {
            lanes[0][lane] += value;
            lanes[1][lane] += value * value;
            lanes[2][lane] += if *value > 0. { 1. } else { 0. };
        }
        let [absolute, squares, active] = lanes.map(|lanes| lanes.iter().sum::<f32>());
        Self {
            absolute,
            squares,
            roots: match roots {
                // Below 1 the root is the larger one of the two.
                true => row.iter().map(|value| value.sqrt().max(*value)).sum(),
                false => 0.,
            },
            active,
        }
    }
}

/// Penalties with the coefficients that they have in one step.
#[derive(Clone, Debug, Default)]
pub(super) struct Penalties {
    terms: Vec<(Penalty, f64)>,
    /// The coefficient of [`Penalty::Sqrt`].
    roots: f64,
}

/// The slope of all penalties at an activation `a` of row `i`, `constant[i] + slope[i] a + roots s(a)`, where
/// `s` is the slope of [`Penalty::Sqrt`].
#[derive(Clone, Debug)]
pub(super) struct PenaltySlope {
    pub(super) constant: Vec<f32>,
    pub(super) slope: Vec<f32>,
    pub(super) roots: f32,
}

impl Penalties {
    /// Those of a config, all coefficients times `scale`.
    pub(super) fn new(terms: &[(Penalty, f64)], scale: f64) -> Self {
        let scaled = terms
            .iter()
            .map(|(penalty, coefficient)| (*penalty, coefficient * scale));
        let terms: Vec<(Penalty, f64)> = scaled
            .filter(|(_, coefficient)| *coefficient > 0.)
            .collect();
        let roots = terms.iter().find(|(penalty, _)| *penalty == Penalty::Sqrt);
        let roots = roots.map_or(0., |(_, coefficient)| *coefficient);
        Self { terms, roots }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.terms.is_empty()
    }

    /// The sum of all, and its slope.
    pub(super) fn of(&self, sums: &RowSums, d_sae: usize) -> (f64, PenaltySlope) {
        let rows = sums.absolute.len();
        let n = rows as f64;
        let entries = n * d_sae as f64;
        let all: f64 = sums.absolute.iter().map(|sum| f64::from(*sum)).sum();
        let squares: f64 = sums.squares.iter().map(|sum| f64::from(*sum)).sum();
        let squares = squares.max(f64::MIN_POSITIVE);
        let mut total = 0.;
        let mut constant = vec![0f32; rows];
        let mut slope = vec![0f32; rows];
        let everywhere = |values: &mut [f32], value: f64| {
            for entry in values {
                *entry += value as f32;
            }
        };
        for (penalty, coefficient) in &self.terms {
            match penalty {
                Penalty::L1 => {
                    total += coefficient * all / n;
                    everywhere(&mut constant, coefficient / n);
                }
                Penalty::Sqrt => total += coefficient * mean(&sums.roots),
                Penalty::HoyerSquare => {
                    for row in 0..rows {
                        let one = f64::from(sums.absolute[row]);
                        let two = f64::from(sums.squares[row]).sqrt();
                        if two == 0. {
                            continue;
                        }
                        let ratio = one / (two + EPSILON);
                        let outer = 2. * ratio / (two + EPSILON) * coefficient / n;
                        total += coefficient * ratio * ratio / n;
                        constant[row] += outer as f32;
                        slope[row] -= (outer * one / (two * (two + EPSILON))) as f32;
                    }
                }
                Penalty::HoyerDensity => {
                    let scale = coefficient / entries;
                    total += scale * all * all / squares;
                    everywhere(&mut constant, scale * 2. * all / squares);
                    everywhere(&mut slope, -scale * 2. * (all / squares).powi(2));
                }
                Penalty::HoyerDensityL1 => {
                    let scale = coefficient / (entries * n);
                    total += scale * all.powi(3) / squares;
                    everywhere(&mut constant, scale * 3. * all * all / squares);
                    everywhere(&mut slope, -scale * 2. * all * (all / squares).powi(2));
                }
            }
        }
        let slope = PenaltySlope {
            constant,
            slope,
            roots: (self.roots / n) as f32,
        };
        (total, slope)
    }
}

impl PenaltySlope {
    /// At an activation above 0.
    #[inline]
    pub(super) fn at(&self, row: usize, act: f32) -> f32 {
        let linear = self.constant[row] + self.slope[row] * act;
        match self.roots > 0. {
            true => linear + self.roots * root_slope(act),
            false => linear,
        }
    }

    /// At all activations `[n, d_sae]`; what it says where nothing is active has no meaning.
    pub(super) fn tensor(&self, acts: &Tensor) -> Result<Tensor> {
        let column = |values: &[f32]| Tensor::new(values, acts.device())?.unsqueeze(1);
        let linear = acts
            .broadcast_mul(&column(&self.slope)?)?
            .broadcast_add(&column(&self.constant)?)?;
        if self.roots == 0. {
            return Ok(linear);
        }
        let below = acts.lt(1.)?.to_dtype(acts.dtype())?;
        let root = (acts.maximum(f64::from(SMALLEST_ROOT))?.sqrt()?.recip()? * 0.5)?;
        let slope = ((&below * root)? + below.affine(-1., 1.)?)?;
        Ok((linear + (slope * f64::from(self.roots))?)?)
    }
}

#[inline]
fn root_slope(act: f32) -> f32 {
    match act < 1. {
        true => 0.5 / act.max(SMALLEST_ROOT).sqrt(),
        false => 1.,
    }
}

fn mean(values: &[f32]) -> f64 {
    let sum: f64 = values.iter().map(|value| f64::from(*value)).sum();
    sum / values.len().max(1) as f64
}
