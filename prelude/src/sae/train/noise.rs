//! The noise on pre-activations of the NSAE.

use super::random::{normals, scrambled};
use crate::error::Result;
use candle_core::{DType, Device, Tensor};

/// Pairs of numbers that are drawn together.
const PAIRS: usize = 16;

/// Where noise comes from.
#[derive(Clone, Debug)]
pub(super) enum Noise {
    /// There is none.
    None,
    /// These numbers, `[n, d_sae]`.
    #[cfg_attr(not(test), allow(dead_code))]
    Given(Tensor),
    /// Drawn from `N(0, sigma²)`; the seed decides all of it.
    Drawn { sigma: f64, seed: u64 },
}

impl Noise {
    /// Adds what belongs to this row of pre-activations. Where a block of them is so far below 0
    /// that no noise of less than six deviations makes one positive, it is left as it is.
    pub(super) fn add_to_row(sigma: f32, seed: u64, row: usize, pre: &mut [f32]) {
        let start = scrambled(seed ^ (row as u64).wrapping_mul(0x9e37_79b9));
        let reach = -6. * sigma;
        for (block, pre) in pre.chunks_mut(2 * PAIRS).enumerate() {
            if pre.iter().all(|value| *value < reach) {
                continue;
            }
            let first_pair = start.wrapping_add((block * PAIRS) as u64);
            let mut noise = [(0f32, 0f32); PAIRS];
            for (noise, pair) in noise.iter_mut().zip(0u64..) {
                *noise = normals(scrambled(first_pair.wrapping_add(pair)));
            }
            for (pre, (first, second)) in pre.chunks_mut(2).zip(noise) {
                for (value, noise) in pre.iter_mut().zip([first, second]) {
                    *value += sigma * noise;
                }
            }
        }
    }

    /// The same for all rows of a tensor, on any device.
    pub(super) fn tensor(
        &self,
        rows: usize,
        d_sae: usize,
        device: &Device,
    ) -> Result<Option<Tensor>> {
        Ok(match self {
            Self::None => None,
            Self::Given(noise) => Some(noise.clone()),
            Self::Drawn { sigma, seed } if device.is_cpu() => {
                let mut values = vec![0f32; rows * d_sae];
                for (row, values) in values.chunks_mut(d_sae).enumerate() {
                    Self::add_to_row(*sigma as f32, *seed, row, values);
                }
                Some(Tensor::from_vec(values, (rows, d_sae), device)?)
            }
            Self::Drawn { sigma, seed } => {
                device.set_seed(*seed)?;
                let unit = Tensor::randn(0f32, 1., (rows, d_sae), device)?;
                Some((unit.to_dtype(DType::F32)? * *sigma)?)
            }
        })
    }
}
