//! The parts that families share. Each holds its weights and says its equation.

mod attention;
mod embed;
mod matrix;
mod mlp;
mod norm;

pub(crate) use attention::{Attention, AttentionInput, KeyValueCache, Sequence};
pub(crate) use embed::{Embed, Unembed};
pub(crate) use matrix::{Matrix, Shown, View};
pub(crate) use mlp::Mlp;
pub(crate) use norm::{Norm, NormAt};

use candle_core::{Result, Tensor};

/// `x W + b` for `x` of any number of dimensions: `[.., d_in]` to `[.., d_out]`.
///
/// The matrix product is one GEMM over all rows, whatever the batch.
pub(crate) fn linear(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
    let mut dims = x.dims().to_vec();
    let d_in = dims.pop().unwrap_or(1);
    let rows = x.reshape(((), d_in))?; // [rows, d_in]
    let product = rows.matmul(weight)?; // [rows, d_out]
    dims.push(weight.dim(1)?);
    let product = match bias {
        Some(bias) => product.broadcast_add(bias)?,
        None => product,
    };
    product.reshape(dims)
}
