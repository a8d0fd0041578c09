//! Rows of norm 1, and their products block by block.

use crate::error::{Error, Result};
use candle_core::{DType, Tensor};

/// How many rows are multiplied with all others at once.
const BLOCK: usize = 512;

/// The rows of a matrix, `[n, d]`, at norm 1 in `f32`; rows of zeros stay zeros.
///
/// # Errors
/// It is no matrix of finite floating-point numbers.
pub(crate) fn unit_rows(what: &str, rows: &Tensor) -> Result<Tensor> {
    if rows.rank() != 2 || !rows.dtype().is_float() || rows.elem_count() == 0 {
        return Err(Error::new(format!(
            "{what} of shape {:?} and type {:?} are no directions: give [n, d] of floating-point \
             numbers.",
            rows.dims(),
            rows.dtype()
        )));
    }
    let rows = rows.to_dtype(DType::F32)?;
    let norms = rows.sqr()?.sum_keepdim(1)?.sqrt()?;
    if !norms.sum_all()?.to_scalar::<f32>()?.is_finite() {
        return Err(Error::new(format!(
            "{what} hold NaN or infinite values: look at where they came from."
        )));
    }
    let norms = norms.maximum(f64::from(f32::MIN_POSITIVE))?;
    Ok(rows.broadcast_div(&norms)?.contiguous()?)
}

/// One direction, `[d]`, at norm 1 in `f32`, on the device of directions of that width.
///
/// # Errors
/// It has another width, is on another device, not finite, or 0.
pub(super) fn unit_direction(direction: &Tensor, like: &Tensor) -> Result<Tensor> {
    let width = like.dim(1)?;
    if direction.dims() != [width] {
        return Err(Error::new(format!(
            "a direction of shape {:?} does not fit latents that write [{width}]: give one of that \
             shape.",
            direction.dims()
        )));
    }
    if !direction.device().same_device(like.device()) {
        return Err(Error::new(format!(
            "the direction is on {:?}, but the latents are on {:?}: move it with \
             `.to_device(&sae.device())?`.",
            direction.device().location(),
            like.device().location()
        )));
    }
    let unit = unit_rows("the direction's numbers", &direction.unsqueeze(0)?)?.squeeze(0)?;
    match unit.sqr()?.sum_all()?.to_scalar::<f32>()? > 0. {
        true => Ok(unit),
        false => Err(Error::new(
            "the direction is 0, so it has no cosine with anything: give one that is not.",
        )),
    }
}

/// Products of all pairs of rows of two matrices, `[a, d]` and `[b, d]`: `each(first row of the block,
/// first column, products [rows, columns])`, row by row. With `once`, which is for a matrix and itself,
/// columns begin where the block does.
pub(crate) fn blocks(
    left: &Tensor,
    right: &Tensor,
    once: bool,
    mut each: impl FnMut(usize, usize, Vec<Vec<f32>>) -> Result<()>,
) -> Result<()> {
    let (rows, columns) = (left.dim(0)?, right.dim(0)?);
    for start in (0..rows).step_by(BLOCK) {
        crate::emit::check_interrupt()?;
        let length = BLOCK.min(rows - start);
        let from = if once { start } else { 0 };
        let right = right.narrow(0, from, columns - from)?.t()?;
        let products = left.narrow(0, start, length)?.matmul(&right)?;
        each(start, from, products.to_vec2()?)?;
    }
    Ok(())
}
