//! Encoding a range of latents at a time. The activations of all latents at many positions are more than caches hold,
//! and their memory is mapped anew each time; those of a range are still near when they are read.

use super::Sae;
use super::encode::times;
use super::few::add_up;
use super::gate::{Gate, Scale};
use super::normalize::Normalized;
use crate::error::Result;
use crate::math::{is_plain, times_columns};
use candle_core::Tensor;
use std::ops::Range;

/// Ranges of all latents begin at a multiple of this.
pub(crate) const FEWEST_LATENTS: usize = 256;
/// How many latents a core has in a range: with two cores 2,048, whose activations at 1,024 positions are 8 MB.
const LATENTS_OF_A_CORE: usize = FEWEST_LATENTS * if cfg!(test) { 1 } else { 4 };
/// From so many bytes of activations on a reconstruction goes range by range.
const LARGE: usize = if cfg!(test) { 1 << 14 } else { 16 << 20 };

/// An autoencoder with its input at hand.
pub(crate) struct Ranges<'a> {
    sae: &'a Sae,
    normalized: Normalized,
}

impl Sae {
    /// For an input `[rows, d_in]`; nothing where latents compete for their place, so that one cannot be known
    /// without the others.
    ///
    /// # Errors
    /// As [`Sae::encode`].
    pub(crate) fn ranges(&self, x: &Tensor) -> Result<Option<Ranges<'_>>> {
        match self.gate.latents_compete() {
            true => Ok(None),
            false => Ok(Some(Ranges {
                sae: self,
                normalized: self.normalized(x)?,
            })),
        }
    }
}

impl Ranges<'_> {
    /// All latents, a range after the other.
    pub(crate) fn all(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        all(self.sae.cfg.d_sae)
    }

    /// The activations of some latents that follow each other, `[rows, latents.len()]`.
    ///
    /// # Errors
    /// As [`Sae::encode`], and latents that are not there.
    pub(crate) fn encode(&self, latents: Range<usize>) -> Result<Tensor> {
        encode(self.sae, &self.normalized.value, latents)
    }
}

/// What the activations for an input write, `[.., d_out]`, without `b_dec`; nothing where latents compete, gradients
/// are wanted, numbers are not `f32` on the CPU, or the activations of all latents are few enough.
pub(super) fn written(sae: &Sae, normalized: &Normalized) -> Result<Option<Tensor>> {
    let (x, d_sae) = (&normalized.value, sae.cfg.d_sae);
    let rows = x.elem_count() / sae.cfg.d_in.max(1);
    let weights = [&sae.W_enc, &sae.W_dec, &sae.b_enc].into_iter();
    let mut read = weights.chain(sae.gate.weights().map(|(_, weight)| weight));
    let is_small = rows.saturating_mul(d_sae) < LARGE / 4;
    if is_small || sae.gate.latents_compete() || !is_plain(x) || !read.all(is_plain) {
        return Ok(None);
    }
    let rows = x.reshape(((), sae.cfg.d_in))?;
    let mut written: Option<Tensor> = None;
    for latents in all(d_sae) {
        let acts = encode(sae, &rows, latents.clone())?;
        let W_dec = of_range(&sae.W_dec, &latents)?;
        let coefficients = gate(sae, &latents)?.coefficients(&acts, &Scale { W_dec: &W_dec })?;
        let part = match add_up(&coefficients, &W_dec)? {
            Some(part) => part,
            None => times(&coefficients, &W_dec)?,
        };
        written = Some(match written {
            Some(written) => (written + part)?,
            None => part,
        });
    }
    let mut dims = x.dims().to_vec();
    if let Some(last) = dims.last_mut() {
        *last = sae.W_dec.dim(1)?;
    }
    let written = written.map(|written| written.reshape(dims));
    Ok(written.transpose()?)
}

/// All latents, a range after the other.
fn all(d_sae: usize) -> impl Iterator<Item = Range<usize>> {
    let count = LATENTS_OF_A_CORE * rayon::current_num_threads();
    let firsts = (0..d_sae).step_by(count);
    firsts.map(move |first| first..d_sae.min(first + count))
}

/// The activations of a range, for normalized inputs `[rows, d_in]`.
fn encode(sae: &Sae, x: &Tensor, latents: Range<usize>) -> Result<Tensor> {
    let (b_enc, W_dec) = (
        of_range(&sae.b_enc, &latents)?,
        of_range(&sae.W_dec, &latents)?,
    );
    let gate = gate(sae, &latents)?;
    let projected = times_columns(x, &sae.W_enc, latents)?;
    gate.acts(projected, &b_enc, &Scale { W_dec: &W_dec })
}

fn gate(sae: &Sae, latents: &Range<usize>) -> Result<Gate> {
    sae.gate.map(|weight| of_range(weight, latents))
}

/// The entries, or rows, of a weight that has one for each latent.
fn of_range(weight: &Tensor, latents: &Range<usize>) -> Result<Tensor> {
    Ok(weight.narrow(0, latents.start, latents.len())?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sae::{BatchTopK, Gated, JumpRelu, Matryoshka, Nsae, SaeConfig, TopK};
    use candle_core::{DType, Device};

    /// More than one range, the last of them narrower.
    const D_SAE: usize = 1100;

    fn sae(gate: Gate) -> Result<Sae> {
        let random = |shape: (usize, usize)| Tensor::randn(0f32, 1., shape, &Device::Cpu);
        let bias = Tensor::randn(0f32, 0.5, D_SAE, &Device::Cpu)?;
        let b_dec = Tensor::randn(0f32, 0.5, 12, &Device::Cpu)?;
        let cfg = SaeConfig::new(12, D_SAE);
        Sae::new(
            cfg,
            random((12, D_SAE))?,
            bias,
            random((D_SAE, 12))?,
            b_dec,
            gate,
        )
    }

    fn gates() -> Result<Vec<Gate>> {
        let each = || Tensor::randn(0f32, 0.5, D_SAE, &Device::Cpu);
        let top = |signed, rescale_by_decoder_norm| TopK {
            k: 80,
            rescale_by_decoder_norm,
            signed,
        };
        let batch = |threshold, rescale_by_decoder_norm| BatchTopK {
            k: 80.,
            threshold,
            rescale_by_decoder_norm,
        };
        let jump = Gate::JumpRelu(JumpRelu { threshold: each()? });
        let gated = Gated {
            r_mag: each()?,
            b_mag: each()?,
            b_gate: each()?,
        };
        Ok(vec![
            Gate::Relu,
            Gate::Gated(gated),
            jump.clone(),
            Gate::TopK(top(false, false)),
            Gate::TopK(top(true, false)),
            Gate::TopK(top(false, true)),
            Gate::BatchTopK(batch(Some(1.5), false)),
            Gate::BatchTopK(batch(Some(1.5), true)),
            Gate::BatchTopK(batch(None, true)),
            Gate::Nsae(Nsae { sigma: 0. }),
            Gate::Matryoshka(Matryoshka {
                prefixes: vec![10, D_SAE],
                inner: Box::new(jump),
            }),
        ])
    }

    fn apart(left: &Tensor, right: &Tensor) -> Result<f32> {
        Ok((left - right)?.abs()?.max_all()?.to_scalar()?)
    }

    #[test]
    fn what_is_done_in_place_is_what_the_two_steps_do() -> Result<()> {
        for gate in gates()? {
            let sae = sae(gate)?;
            let x = Tensor::randn(0f32, 1., (40, 12), &Device::Cpu)?;
            let (projected, scale) = (sae.project(&sae.normalized(&x)?)?, sae.scale());
            let pre = sae.gate.pre(&projected, &sae.b_enc)?;
            let plain = sae.gate.post(&pre, &projected, &scale)?;
            let active = plain.ne(0f32)?.to_dtype(DType::F32)?.mean_all()?;
            let active: f32 = active.to_scalar()?;
            assert!((0.01..0.8).contains(&active), "{:?}: {active}", sae.gate);
            let encoded = sae.encode(&x)?;
            assert!(apart(&encoded, &plain)? < 1e-5, "{:?}", sae.gate);
        }
        Ok(())
    }

    #[test]
    fn a_reconstruction_by_ranges_is_the_whole_one() -> Result<()> {
        for gate in gates()? {
            for (batch, pos) in [(1, 2), (3, 40)] {
                let sae = sae(gate.clone())?;
                let x = Tensor::randn(0f32, 1., (batch, pos, 12), &Device::Cpu)?;
                let whole = sae.decode(&sae.encode(&x)?)?;
                let found = sae.forward(&x)?;
                assert_eq!(found.dims(), whole.dims());
                let by_ranges = written(&sae, &sae.normalized(&x)?)?.is_some();
                assert_eq!(by_ranges, pos == 40 && !sae.gate.latents_compete());
                let size = whole.abs()?.max_all()?.to_scalar::<f32>()?;
                assert!(apart(&found, &whole)? < 1e-5 * size, "{:?}", sae.gate);
            }
        }
        Ok(())
    }

    #[test]
    fn ranges_are_parts_of_the_whole() -> Result<()> {
        for gate in gates()? {
            let sae = sae(gate)?;
            let x = Tensor::randn(0f32, 1., (40, 12), &Device::Cpu)?;
            let Some(ranges) = sae.ranges(&x)? else {
                assert!(sae.gate.latents_compete());
                continue;
            };
            let whole = sae.encode(&x)?;
            for range in [0..D_SAE, 0..64, 64..D_SAE, 1099..D_SAE] {
                let of_whole = whole.narrow(1, range.start, range.len())?;
                let found = ranges.encode(range.clone())?;
                assert!(apart(&found, &of_whole)? < 1e-5, "{:?} {range:?}", sae.gate);
            }
            assert!(ranges.encode(1090..D_SAE + 1).is_err());
        }
        Ok(())
    }
}
