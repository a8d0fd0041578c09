//! Decoding where few latents are active: their rows of the decoder are added up. A product with the whole decoder
//! reads all of its rows, and multiplies most of them by 0.

use crate::error::Result;
use crate::math::{is_plain, rows_to};
use candle_core::{CpuStorage, Storage, Tensor};

/// Below this share of active latents adding up is the quicker way.
const SPARSE: f64 = 0.06;
/// On so many rows it is looked at how many are active.
const SAMPLED: usize = 16;
/// So many activations are compared with 0 at once.
const LANES: usize = 16;

/// `acts W`, for activations `[.., d_sae]` of which few are not 0; nothing where another way is better: many are, or
/// gradients are wanted, or numbers are not `f32` on the CPU.
pub(super) fn add_up(acts: &Tensor, W: &Tensor) -> Result<Option<Tensor>> {
    if !is_plain(acts) || !is_plain(W) {
        return Ok(None);
    }
    let (acts, W) = (acts.contiguous()?, W.contiguous()?);
    if !slice(&acts, |acts| are_few(acts, W.dims()[0])).unwrap_or(false) {
        return Ok(None);
    }
    let width = W.dim(1)?;
    let written = slice(&W, |W| {
        rows_to(&acts, width, "decode", |acts, out| {
            for (first, part) in (0..).step_by(LANES).zip(acts.chunks(LANES)) {
                // Without a branch for each, so that it becomes one vector instruction; 0 and -0 are 0.
                if part.iter().fold(0, |bits, act| bits | (act.to_bits() << 1)) == 0 {
                    continue;
                }
                for (latent, act) in (first..).zip(part).filter(|(_, act)| **act != 0.) {
                    let row = &W[latent * width..(latent + 1) * width];
                    for (out, value) in out.iter_mut().zip(row) {
                        *out += act * value;
                    }
                }
            }
        })
    });
    Ok(written.transpose()?)
}

fn are_few(acts: &[f32], d_sae: usize) -> bool {
    let step = (acts.len() / d_sae).div_ceil(SAMPLED).max(1);
    let sampled = acts.chunks(d_sae).step_by(step);
    let (mut active, mut all) = (0, 0);
    for row in sampled {
        active += row.iter().map(|act| usize::from(*act != 0.)).sum::<usize>();
        all += row.len();
    }
    (active as f64) < SPARSE * all as f64
}

/// What `function` makes of the numbers of a contiguous tensor; nothing where they are not `f32` on the CPU.
fn slice<R>(tensor: &Tensor, function: impl FnOnce(&[f32]) -> R) -> Option<R> {
    let (storage, layout) = tensor.storage_and_layout();
    match (&*storage, layout.contiguous_offsets()) {
        (Storage::Cpu(CpuStorage::F32(values)), Some((start, end))) => {
            Some(function(&values[start..end]))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{Device, Var};

    const D_SAE: usize = 200;

    /// Activations of which every `nth` is not 0, some of them negative.
    fn acts(rows: usize, nth: usize) -> Result<Tensor> {
        let value = |at: usize| match at % nth {
            0 => ((at * 7 % 13) as f32 - 4.) / 3.,
            _ => 0.,
        };
        let values: Vec<f32> = (0..rows * D_SAE).map(value).collect();
        Ok(Tensor::from_vec(values, (rows, D_SAE), &Device::Cpu)?)
    }

    fn apart(left: &Tensor, right: &Tensor) -> Result<f32> {
        Ok((left - right)?.abs()?.max_all()?.to_scalar()?)
    }

    #[test]
    fn it_is_the_product() -> Result<()> {
        let W = Tensor::randn(0f32, 1., (D_SAE, 24), &Device::Cpu)?;
        for (rows, nth) in [(1, 41), (7, 97), (300, 33), (3, D_SAE)] {
            let acts = acts(rows, nth)?;
            let found = add_up(&acts, &W)?.expect("few are active");
            assert_eq!(found.dims(), [rows, 24]);
            assert!(apart(&found, &acts.matmul(&W)?)? < 1e-5, "{rows} rows");
            let batch = add_up(&acts.unsqueeze(0)?, &W)?.expect("few are active");
            assert_eq!(batch.dims(), [1, rows, 24]);
            assert!(apart(&batch.squeeze(0)?, &found)? == 0.);
        }
        // Views: neither tensor lies in order.
        let acts = acts(D_SAE, 51)?.t()?;
        let turned = W.t()?.contiguous()?.t()?;
        let found = add_up(&acts, &turned)?.expect("few are active");
        assert!(apart(&found, &acts.contiguous()?.matmul(&W)?)? < 1e-5);
        Ok(())
    }

    #[test]
    fn where_many_are_active_or_gradients_are_wanted_it_is_left_to_the_product() -> Result<()> {
        let W = Tensor::randn(0f32, 1., (D_SAE, 24), &Device::Cpu)?;
        assert!(add_up(&acts(5, 10)?, &W)?.is_none());
        let few = acts(5, 50)?;
        assert!(add_up(&few, &W)?.is_some());
        assert!(add_up(Var::from_tensor(&few)?.as_tensor(), &W)?.is_none());
        assert!(add_up(&few, Var::from_tensor(&W)?.as_tensor())?.is_none());
        assert!(add_up(&few.to_dtype(candle_core::DType::F64)?, &W)?.is_none());
        Ok(())
    }
}
