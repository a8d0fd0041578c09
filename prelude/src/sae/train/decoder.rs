//! A decoder whose rows stay at norm 1 (Bricken et al. 2023).

use super::slices;
use crate::error::Result;
use candle_core::Tensor;
use rayon::prelude::*;

/// Below this a row has no direction.
const SMALLEST: f32 = 1e-12;

/// The gradient without what is parallel to the rows of `W_dec`, both `[d_sae, d_in]`.
pub(super) fn without_parallel(gradient: &Tensor, W_dec: &Tensor) -> Result<Tensor> {
    let width = W_dec.dim(1)?;
    if !slices::on_cpu(gradient) {
        let squares = W_dec.sqr()?.sum_keepdim(1)?.maximum(f64::from(SMALLEST))?;
        let along = ((gradient * W_dec)?.sum_keepdim(1)? / squares)?;
        return Ok((gradient - W_dec.broadcast_mul(&along)?)?);
    }
    slices::read(W_dec, |W_dec| {
        slices::overwrite(gradient, |gradient| {
            let rows = gradient.par_chunks_mut(width).zip(W_dec.par_chunks(width));
            rows.with_min_len(64).for_each(|(gradient, row)| {
                let squares: f32 = row.iter().map(|value| value * value).sum();
                let product: f32 = row.iter().zip(&*gradient).map(|(a, b)| a * b).sum();
                let along = product / squares.max(SMALLEST);
                for (gradient, value) in gradient.iter_mut().zip(row) {
                    *gradient -= along * value;
                }
            });
        })
    })??;
    Ok(gradient.clone())
}

/// Rows divided by their norms; in place on the CPU.
pub(super) fn normalized(W_dec: &Tensor) -> Result<Tensor> {
    let width = W_dec.dim(1)?;
    if !slices::on_cpu(W_dec) {
        let norms = W_dec.sqr()?.sum_keepdim(1)?.sqrt()?;
        return Ok(W_dec.broadcast_div(&norms.maximum(f64::from(SMALLEST))?)?);
    }
    slices::overwrite(W_dec, |values| {
        values
            .par_chunks_mut(width)
            .with_min_len(64)
            .for_each(|row| {
                let squares: f32 = row.iter().map(|value| value * value).sum();
                let norm = squares.sqrt().max(SMALLEST);
                row.iter_mut().for_each(|value| *value /= norm);
            });
    })?;
    Ok(W_dec.clone())
}
