//! Directions drawn at random, to compare others with.
//!
//! Source: Heimersheim and Mendel 2024, "Interpreting Language Models' sensitive directions".

use super::unit::unit_rows;
use crate::error::{Error, Result};
use candle_core::{DType, Device, Tensor};
use nalgebra::DMatrix;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Added to the diagonal of a covariance, so that directions without variance do not matter.
const RIDGE: f64 = 1e-4;

/// `n` directions of norm 1 without any preference, `[n, d]` of `f32` on the CPU. The same seed draws the
/// same directions.
///
/// # Errors
/// `n` or `d` is 0.
pub fn isotropic_directions(n: usize, d: usize, seed: u64) -> Result<Tensor> {
    unit_rows("the directions", &normal(n, d, seed)?)
}

/// `n` directions of norm 1 with the covariance of activations, `[.., d]`: `C z / |C z|` with `C C^T` the
/// covariance plus `1e-4` on its diagonal and `z` normal. `[n, d]` of `f32` on the CPU.
///
/// # Errors
/// There are fewer than two activations, they are not finite, or `n` is 0.
pub fn covariance_matched_directions(activations: &Tensor, n: usize, seed: u64) -> Result<Tensor> {
    let covariance = covariance(activations)?;
    let d = covariance.dim(0)?;
    let numbers: Vec<f64> = covariance.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?;
    let ridge = DMatrix::identity(d, d) * RIDGE;
    let decomposed = (DMatrix::from_row_slice(d, d, &numbers) + ridge).cholesky();
    let factor = decomposed.ok_or_else(|| {
        Error::new("the covariance of the activations has no Cholesky decomposition.")
    })?;
    // Columns of `C^T` are rows of `C`, and numbers of a matrix stand column by column.
    let transposed: Vec<f32> = factor.l().iter().map(|number| *number as f32).collect();
    let transposed = Tensor::from_vec(transposed, (d, d), &Device::Cpu)?;
    unit_rows("the directions", &normal(n, d, seed)?.matmul(&transposed)?)
}

/// `n` directions of norm 1 from one of these activations, `[.., d]`, to another, drawn at random: `[n,
/// d]` of `f32` on the CPU.
///
/// # Errors
/// There are fewer than two activations, they are not finite, or `n` is 0.
pub fn difference_directions(activations: &Tensor, n: usize, seed: u64) -> Result<Tensor> {
    let rows = samples(activations)?;
    let count = rows.dim(0)?;
    let mut random = StdRng::seed_from_u64(seed);
    let pairs: Vec<(u32, u32)> = (0..n)
        .map(|_| {
            let from = random.random_range(0..count);
            let to = (from + random.random_range(1..count)) % count;
            (from as u32, to as u32)
        })
        .collect();
    if pairs.is_empty() {
        return Err(Error::new(
            "no directions were asked for: ask for 1 or more.",
        ));
    }
    let of = |ids: Vec<u32>| rows.index_select(&Tensor::new(ids, &Device::Cpu)?, 0);
    let from = of(pairs.iter().map(|pair| pair.0).collect())?;
    let to = of(pairs.iter().map(|pair| pair.1).collect())?;
    unit_rows("the differences", &(to - from)?)
}

/// The covariance of activations, `[.., d]`, over all but their last dimension: `[d, d]` of `f32` on the
/// CPU, divided by one less than their number (`torch.cov`).
///
/// # Errors
/// There are fewer than two activations, or they are not finite.
pub fn covariance(activations: &Tensor) -> Result<Tensor> {
    let rows = samples(activations)?;
    let centred = rows.broadcast_sub(&rows.mean_keepdim(0)?)?;
    let squares = centred.t()?.contiguous()?.matmul(&centred)?;
    Ok((squares / (rows.dim(0)? as f64 - 1.))?)
}

/// Activations, `[.., d]`, as `[n, d]` of `f32` on the CPU.
fn samples(activations: &Tensor) -> Result<Tensor> {
    let width = activations.dims().last().copied().unwrap_or(0);
    if width == 0 || activations.elem_count() < 2 * width {
        return Err(Error::new(format!(
            "activations of shape {:?} have no covariance: give two or more, [.., d].",
            activations.dims()
        )));
    }
    let rows = activations.to_device(&Device::Cpu)?.to_dtype(DType::F32)?;
    let rows = rows.reshape(((), width))?.contiguous()?;
    match rows.abs()?.sum_all()?.to_scalar::<f32>()?.is_finite() {
        true => Ok(rows),
        false => Err(Error::new(
            "the activations hold NaN or infinite values: look at where they came from.",
        )),
    }
}

/// Normal numbers, `[n, d]`, by the method of Box and Muller 1958.
fn normal(n: usize, d: usize, seed: u64) -> Result<Tensor> {
    if n == 0 || d == 0 {
        return Err(Error::new(format!(
            "{n} directions of {d} entries cannot be drawn: ask for 1 or more of each."
        )));
    }
    let mut random = StdRng::seed_from_u64(seed);
    let numbers: Vec<f32> = (0..n * d)
        .map(|_| {
            let radius = (-2. * (1. - random.random::<f64>()).ln()).sqrt();
            let angle = std::f64::consts::TAU * random.random::<f64>();
            (radius * angle.cos()) as f32
        })
        .collect();
    Ok(Tensor::from_vec(numbers, (n, d), &Device::Cpu)?)
}
