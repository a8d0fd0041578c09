//! Answers that are tensors, beside what they should be.

use crate::error::Result;
use candle_core::{DType, Device, Tensor};

/// How far two values may be apart, relative to the largest one: orders of summation differ.
const TOLERANCE: f32 = 1e-3;

/// What is wrong with an answer; nothing where it agrees. `dims` names the dimensions asked for.
pub(super) fn difference(answer: &Tensor, expected: &Tensor, dims: &str) -> Result<Option<String>> {
    if answer.dims() != expected.dims() {
        let hint = match answer.elem_count() == expected.elem_count() {
            true => " The numbers may be right: `squeeze` takes a dimension of 1 away.",
            false => "",
        };
        return Ok(Some(format!(
            "its shape is {:?}, and {dims} is {:?}.{hint}",
            answer.dims(),
            expected.dims()
        )));
    }
    let (answer, wanted) = (values(answer)?, values(expected)?);
    let finite = wanted.iter().filter(|value| value.is_finite());
    let scale = finite.fold(1e-6_f32, |most, value| most.max(value.abs()));
    // Masked scores are -inf in both.
    let differs = |at: &usize| {
        let (left, right) = (answer[*at], wanted[*at]);
        let close = (left - right).abs() <= TOLERANCE * scale;
        left != right && !close
    };
    let first = (0..wanted.len()).find(differs);
    Ok(first.map(|at| {
        let differ = (0..wanted.len()).filter(differs);
        format!(
            "{} of its {} values differ; the first is at {:?}: {:.4} where {:.4} is right.",
            differ.count(),
            wanted.len(),
            place(at, expected.dims()),
            answer[at],
            wanted[at]
        )
    }))
}

/// Whether two tensors agree, shapes included.
pub(super) fn agree(left: &Tensor, right: &Tensor) -> Result<bool> {
    Ok(left.dims() == right.dims() && difference(left, right, "")?.is_none())
}

/// Whether two numbers agree.
pub(super) fn near(left: f64, right: f64) -> bool {
    (left - right).abs() <= f64::from(TOLERANCE) * right.abs().max(1e-3)
}

/// The numbers of a tensor, in order.
pub(super) fn values(tensor: &Tensor) -> Result<Vec<f32>> {
    let flat = tensor.flatten_all()?.to_dtype(DType::F32)?;
    Ok(flat.to_device(&Device::Cpu)?.to_vec1()?)
}

/// Where the largest number stands.
pub(super) fn largest(values: &[f32]) -> usize {
    let order = |a: &usize, b: &usize| values[*a].total_cmp(&values[*b]);
    (0..values.len()).max_by(order).unwrap_or_default()
}

fn place(mut at: usize, dims: &[usize]) -> Vec<usize> {
    let mut indices: Vec<usize> = dims
        .iter()
        .rev()
        .map(|size| {
            let index = at % size;
            at /= size;
            index
        })
        .collect();
    indices.reverse();
    indices
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_named() -> Result<()> {
        let right = Tensor::new(&[[1f32, 2.], [3., 4.]], &Device::Cpu)?;
        assert_eq!(difference(&right, &right, "[pos, d]")?, None);
        let masked = Tensor::new(&[[1f32, f32::NEG_INFINITY]], &Device::Cpu)?;
        assert!(agree(&masked, &masked)?);
        let wrong = Tensor::new(&[[1f32, 2.], [f32::NAN, 4.5]], &Device::Cpu)?;
        let said = difference(&wrong, &right, "[pos, d]")?.expect("differs");
        assert_eq!(
            said,
            "2 of its 4 values differ; the first is at [1, 0]: NaN where 3.0000 is right."
        );
        let said = difference(&right.unsqueeze(0)?, &right, "[pos, d]")?.expect("differs");
        assert!(
            said.starts_with("its shape is [1, 2, 2], and [pos, d] is [2, 2]. The numbers may"),
            "{said}"
        );
        assert_eq!(largest(&[1., 5., 3.]), 1);
        assert!(near(0.5, 0.5004) && !near(0.5, 0.51));
        Ok(())
    }
}
