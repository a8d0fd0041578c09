//! Rotary position embedding.

use crate::math;
use crate::model::config::{Positions, Rotary as Choice};
use candle_core::{DType, Result, Tensor};

/// Turns pairs of numbers of each head by angles that grow with the position.
///
/// Source: Su et al. 2021 (arXiv 2104.09864), with the pairs of GPT-NeoX, number `i` and number
/// `i + dim / 2`, or those of the paper, neighbours.
#[derive(Debug)]
pub(super) struct Rotary {
    dim: usize,
    adjacent_pairs: bool,
    /// By how much each pair turns from one position to the next.
    frequencies: Vec<f64>,
}

/// Cosine and sine of every pair at every position, `[1 or batch, pos, 1, dim / 2]` each.
#[derive(Clone, Debug)]
pub(super) struct Angles {
    cos: Tensor,
    sin: Tensor,
}

impl Rotary {
    /// Nothing where positions are not rotary.
    pub(super) fn new(positions: &Positions) -> Option<Self> {
        match positions {
            Positions::Rotary(choice) => Some(Self::of(choice)),
            Positions::Learned | Positions::Shortformer => None,
        }
    }

    fn of(choice: &Choice) -> Self {
        Self {
            dim: choice.dim,
            adjacent_pairs: choice.adjacent_pairs,
            frequencies: choice.frequencies(),
        }
    }

    /// The angles of `pos` positions behind `past` others, counted from `first` in each row that is
    /// padded on the left.
    pub(super) fn angles(
        &self,
        past: usize,
        pos: usize,
        first: Option<&[usize]>,
        like: &Tensor,
    ) -> Result<Angles> {
        let rows = first.unwrap_or(&[0]);
        let positions = rows
            .iter()
            .flat_map(|first| (past..past + pos).map(move |at| at.saturating_sub(*first) as f64));
        let angles = positions.flat_map(|position| {
            let turned = self.frequencies.iter();
            turned.map(move |frequency| position * frequency)
        });
        let (cos, sin): (Vec<f64>, Vec<f64>) =
            angles.map(|angle| (angle.cos(), angle.sin())).unzip();
        let shape = (rows.len(), pos, 1, self.frequencies.len());
        let tensor = |values: Vec<f64>| {
            // The devices convert to less than doubles on the host's side only.
            let tensor = match like.dtype() {
                DType::F64 => Tensor::from_vec(values, shape, like.device())?,
                _ => {
                    let values: Vec<f32> = values.into_iter().map(|value| value as f32).collect();
                    Tensor::from_vec(values, shape, like.device())?
                }
            };
            tensor.to_dtype(like.dtype())
        };
        Ok(Angles {
            cos: tensor(cos)?,
            sin: tensor(sin)?,
        })
    }

    /// [`Rotary::turn`] in one pass.
    fn turn_rows(&self, x: &Tensor, angles: &Angles) -> Result<Tensor> {
        let (half, adjacent) = (self.dim / 2, self.adjacent_pairs);
        let (_, pos, heads, _) = x.dims4()?;
        let all_rows = angles.cos.dim(0)? == 1;
        let cos: Vec<f32> = angles.cos.flatten_all()?.to_vec1()?;
        let sin: Vec<f32> = angles.sin.flatten_all()?.to_vec1()?;
        math::map_rows(x, "rotary positions", move |index, row, out| {
            let place = index / heads; // a row of the batch and a position
            let at = if all_rows { place % pos } else { place };
            let (cos, sin) = (&cos[at * half..][..half], &sin[at * half..][..half]);
            out.copy_from_slice(row);
            for (pair, (cos, sin)) in cos.iter().zip(sin).enumerate() {
                let (a, b) = match adjacent {
                    true => (2 * pair, 2 * pair + 1),
                    false => (pair, pair + half),
                };
                out[a] = row[a] * cos - row[b] * sin;
                out[b] = row[b] * cos + row[a] * sin;
            }
        })
    }

    /// `[batch, pos, head, d_head]` to the same shape; numbers from `dim` on stay as they are.
    pub(super) fn turn(&self, x: &Tensor, angles: &Angles) -> Result<Tensor> {
        if math::is_plain(x) && math::is_plain(&angles.cos) {
            return self.turn_rows(x, angles);
        }
        let (half, d_head) = (self.dim / 2, x.dim(3)?);
        let (a, b) = match self.adjacent_pairs {
            false => (x.narrow(3, 0, half)?, x.narrow(3, half, half)?),
            true => {
                let (batch, pos, heads, _) = x.dims4()?;
                let pairs = x.narrow(3, 0, self.dim)?;
                let pairs = pairs.reshape((batch, pos, heads, half, 2))?;
                (
                    pairs.narrow(4, 0, 1)?.squeeze(4)?,
                    pairs.narrow(4, 1, 1)?.squeeze(4)?,
                )
            }
        };
        let turned_a = (a.broadcast_mul(&angles.cos)? - b.broadcast_mul(&angles.sin)?)?;
        let turned_b = (b.broadcast_mul(&angles.cos)? + a.broadcast_mul(&angles.sin)?)?;
        let turned = match self.adjacent_pairs {
            false => Tensor::cat(&[turned_a, turned_b], 3)?,
            true => Tensor::stack(&[turned_a, turned_b], 4)?.flatten(3, 4)?,
        };
        match d_head - self.dim {
            0 => Ok(turned),
            rest => Tensor::cat(&[turned, x.narrow(3, self.dim, rest)?], 3),
        }
    }
}
