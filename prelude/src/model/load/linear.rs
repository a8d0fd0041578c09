//! PyTorch's `nn.Linear` keeps its matrix as `[out, in]`; TransformerLens's shapes have heads apart.

use super::tensors::Tensors;
use crate::error::Result;
use candle_core::Tensor;

/// The matrix `{name}.weight` as `[d_in, d_out]`.
pub(super) fn matrix(files: &Tensors, name: &str, d_in: usize, d_out: usize) -> Result<Tensor> {
    Ok(files.get(&format!("{name}.weight"), &[d_out, d_in])?.t()?)
}

/// The matrix into heads, as `[head, d_model, d_head]`.
pub(super) fn into_heads(
    files: &Tensors,
    name: &str,
    [heads, d_model, d_head]: [usize; 3],
) -> Result<Tensor> {
    let weight = files.get(&format!("{name}.weight"), &[heads * d_head, d_model])?;
    Ok(weight.reshape((heads, d_head, d_model))?.transpose(1, 2)?)
}

/// The matrix out of heads, as `[head, d_head, d_model]`.
pub(super) fn out_of_heads(
    files: &Tensors,
    name: &str,
    [heads, d_head, d_model]: [usize; 3],
) -> Result<Tensor> {
    let weight = matrix(files, name, heads * d_head, d_model)?;
    Ok(weight.reshape((heads, d_head, d_model))?)
}

/// The bias `{name}.bias` in this shape, or zeros where the files have none.
pub(super) fn bias(files: &Tensors, name: &str, shape: &[usize]) -> Result<Tensor> {
    let name = format!("{name}.bias");
    match files.contains(&name) {
        true => Ok(files
            .get(&name, &[shape.iter().product()])?
            .reshape(shape)?),
        false => files.zeros(shape),
    }
}
