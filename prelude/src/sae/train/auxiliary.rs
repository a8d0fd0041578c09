//! Gao et al. 2024, "Scaling and evaluating sparse autoencoders" (arXiv 2406.04093), section A.2: dead
//! latents learn what the others leave.

use super::backward::{Batch, column_sums, total};
use super::parameters::Parameters;
use crate::error::Result;
use crate::math::top_k_of;
use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;

/// Adds the gradients of the auxiliary loss, and says how large it is: the mean squared norm of
/// `residual - acts W_dec`, where `acts` are the pre-activations of the `d_in / 2` largest dead latents of
/// each position; times the coefficient, and less where fewer latents than these are dead (as SAELens and
/// sparsify compute it, who do not divide by the residual's variance as the paper does).
pub(super) fn add(
    batch: &Batch<'_>,
    coefficient: f64,
    residual: &Tensor,
    gradients: &mut Parameters,
) -> Result<f64> {
    let weights = batch.weights;
    let dead = batch.step.dead;
    let (rows, d_in) = batch.x.dims2()?;
    let most = (d_in / 2).max(1);
    let share = (dead.len() as f64 / most as f64).min(1.);
    let ids = Tensor::new(dead, batch.x.device())?;
    let W_enc = weights.W_enc.index_select(&ids, 0)?; // [dead, d_in]
    let W_dec = weights.W_dec.index_select(&ids, 0)?;
    let b_enc = weights.b_enc.index_select(&ids, 0)?;
    let pre = batch.centred.matmul(&W_enc.t()?)?.broadcast_add(&b_enc)?; // [n, dead]
    let chosen = match dead.len() <= most {
        true => pre.ones_like()?,
        false => largest(&pre, most)?,
    };
    let acts = (&pre * &chosen)?;
    let difference = (acts.matmul(&W_dec)? - residual)?;
    let weight = coefficient * share / rows as f64;
    let loss = weight * total(&difference.sqr()?)?;
    let errors = (difference * (2. * weight))?;
    let by_pre = (errors.matmul(&W_dec.t()?)? * chosen)?;
    gradients.W_dec = gradients
        .W_dec
        .index_add(&ids, &acts.t()?.matmul(&errors)?, 0)?;
    gradients.W_enc = gradients
        .W_enc
        .index_add(&ids, &by_pre.t()?.matmul(batch.centred)?, 0)?;
    gradients.b_enc = gradients.b_enc.index_add(&ids, &column_sums(&by_pre)?, 0)?;
    Ok(loss)
}

/// 1 where one of the `k` largest of a row is.
fn largest(pre: &Tensor, k: usize) -> Result<Tensor> {
    let (rows, width) = pre.dims2()?;
    let values: Vec<f32> = pre
        .to_device(&Device::Cpu)?
        .to_dtype(DType::F32)?
        .flatten_all()?
        .to_vec1()?;
    let mut mask = vec![0f32; values.len()];
    mask.par_chunks_mut(width)
        .zip(values.par_chunks(width))
        .for_each(|(mask, values)| {
            for (latent, _) in top_k_of(values, k) {
                mask[latent] = 1.;
            }
        });
    Ok(Tensor::from_vec(mask, (rows, width), &Device::Cpu)?.to_device(pre.device())?)
}
