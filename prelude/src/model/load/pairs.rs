//! Rotary pairs: adjacent numbers in llama.cpp's and llama2.c's files, halves in Hugging Face's.

use crate::error::{Error, Result};
use candle_core::Tensor;

/// The rows of a query or key projection (matrix or bias), from adjacent pairs to halves.
///
/// In each head, row `2 i + side` goes to row `i + side * d_head / 2`. Meta's Llama turns number
/// `2 i` with number `2 i + 1`, Hugging Face's number `i` with number `i + d_head / 2`; llama.cpp's
/// converter reorders the rows of `llama` models to Meta's way (`LlamaModel.permute` of
/// `convert_hf_to_gguf.py`), and llama2.c never leaves it (`run.c`). This is the way back.
///
/// # Errors
/// The rows are not `heads` heads of an even number of rows.
pub(super) fn halves_of_pairs(rows: &Tensor, heads: usize) -> Result<Tensor> {
    let shape = rows.dims();
    let n_rows = shape.first().copied().unwrap_or(0);
    if heads == 0 || n_rows == 0 || !n_rows.is_multiple_of(2 * heads) {
        return Err(Error::new(format!(
            "its {n_rows} rows are not {heads} heads of an even number of rows."
        )));
    }
    let pairs = n_rows / heads / 2;
    let columns = rows.elem_count() / n_rows;
    let swapped = rows.reshape((heads, pairs, 2, columns))?.transpose(1, 2)?;
    Ok(swapped.contiguous()?.reshape(shape)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    #[test]
    fn pairs_become_halves_in_each_head() {
        // Two heads of four rows with two columns; the values say head, row, column.
        let rows: Vec<f32> = (0..8)
            .flat_map(|row| (0..2).map(move |column| (row * 10 + column) as f32))
            .collect();
        let rows = Tensor::from_vec(rows, (8, 2), &Device::Cpu).unwrap();
        let halves = halves_of_pairs(&rows, 2).unwrap();
        let first: Vec<f32> = halves
            .narrow(1, 0, 1)
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1()
            .unwrap();
        assert_eq!(first, [0., 20., 10., 30., 40., 60., 50., 70.]);
        let bias = Tensor::new(&[0f32, 1., 2., 3., 4., 5.], &Device::Cpu).unwrap();
        let bias: Vec<f32> = halves_of_pairs(&bias, 1).unwrap().to_vec1().unwrap();
        assert_eq!(bias, [0., 2., 4., 1., 3., 5.]);
    }

    /// What llama.cpp's converter does: `[head, 2, half]` to `[head, half, 2]`.
    #[test]
    fn it_undoes_the_converter() {
        let (heads, d_head, d_model) = (3, 8, 5);
        let original = Tensor::rand(0f32, 1., (heads * d_head, d_model), &Device::Cpu).unwrap();
        let permuted = original
            .reshape((heads, 2, d_head / 2, d_model))
            .and_then(|rows| rows.transpose(1, 2))
            .and_then(|rows| rows.contiguous())
            .and_then(|rows| rows.reshape((heads * d_head, d_model)))
            .unwrap();
        let back: Vec<Vec<f32>> = halves_of_pairs(&permuted, heads)
            .unwrap()
            .to_vec2()
            .unwrap();
        assert_eq!(back, original.to_vec2::<f32>().unwrap());
    }

    #[test]
    fn rows_that_are_no_heads_are_refused() {
        let rows = Tensor::new(&[0f32, 1., 2.], &Device::Cpu).unwrap();
        for heads in [0, 1, 2] {
            let message = halves_of_pairs(&rows, heads).unwrap_err().to_string();
            assert!(message.contains("3 rows"), "{message}");
        }
    }
}
