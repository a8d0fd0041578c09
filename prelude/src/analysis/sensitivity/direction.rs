//! The directions in which an activation is pushed.

use super::push::Sensitivity;
use crate::analysis::directions::{covariance_matched_directions, isotropic_directions, unit_rows};
use crate::error::{Error, Result};
use crate::sae::Sae;
use candle_core::{DType, Device, Tensor};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// Where the activation of each prompt is pushed to.
#[derive(Clone, Debug)]
pub enum Direction {
    /// A direction without any preference, a new one for each prompt.
    Isotropic,
    /// A direction with the covariance of these activations, `[.., d_model]`, a new one for each prompt:
    /// see [`covariance_matched_directions`]. Give many more activations than `d_model`.
    CovarianceMatched(Tensor),
    /// From the prompt's activation to that of another prompt, drawn at random.
    TowardsAnother,
    /// From one activation to another, both of other prompts.
    Difference,
    /// What a latent writes: a row of `W_dec`, drawn at random for each prompt, whatever the latent is
    /// active on.
    Latent(Sae),
    /// From an autoencoder's input to its reconstruction, `x̂ - x`, at the autoencoder's own hook point.
    ReconstructionError(Sae),
    /// These: one for all prompts, `[d_model]`, or one for each, `[prompt, d_model]`.
    Given(Tensor),
}

impl Direction {
    /// The way to go for each prompt, `[prompt, d_model]` of `f32` on the CPU, as long as it is by
    /// nature: to another activation or to the reconstruction; 1 where nothing says how long.
    pub(super) fn ways(&self, of: &Sensitivity, seed: u64) -> Result<Tensor> {
        let (prompts, d_model) = of.activations().dims2()?;
        match self {
            Self::Isotropic => isotropic_directions(prompts, d_model, seed),
            Self::CovarianceMatched(activations) => {
                let ways = covariance_matched_directions(activations, prompts, seed)?;
                check_width("activations", ways.dim(1)?, d_model)?;
                Ok(ways)
            }
            Self::TowardsAnother => {
                let others = Others::new(of, seed)?.map(|others, prompt| {
                    let to = others.unlike(prompt, &[prompt])?;
                    Ok((prompt, to))
                })?;
                others.differences(of)
            }
            Self::Difference => {
                let pairs = Others::new(of, seed)?.map(|others, prompt| {
                    let from = others.unlike(prompt, &[prompt])?;
                    Ok((from, others.unlike(from, &[prompt, from])?))
                })?;
                pairs.differences(of)
            }
            Self::Latent(sae) => {
                check_width("what the latents write", sae.cfg.d_out, d_model)?;
                let rows = unit_rows("the rows of W_dec", &on_cpu(&sae.W_dec)?)?;
                let norms: Vec<f32> = rows.sqr()?.sum(1)?.to_vec1()?;
                let write: Vec<u32> = (0u32..)
                    .zip(&norms)
                    .filter(|(_, norm)| **norm > 0.5)
                    .map(|(latent, _)| latent)
                    .collect();
                if write.is_empty() {
                    return Err(Error::new(format!(
                        "no latent of {} writes anything: its decoder is 0.",
                        sae.name()
                    )));
                }
                let mut random = StdRng::seed_from_u64(seed);
                let drawn: Vec<u32> = (0..prompts)
                    .map(|_| write[random.random_range(0..write.len())])
                    .collect();
                Ok(rows.index_select(&Tensor::new(drawn, &Device::Cpu)?, 0)?)
            }
            Self::ReconstructionError(sae) => {
                check_width("what the autoencoder writes", sae.cfg.d_out, d_model)?;
                if sae.is_transcoder() {
                    return Err(Error::new(format!(
                        "{} is a transcoder, and has no reconstruction of what it reads: give an \
                         autoencoder.",
                        sae.name()
                    )));
                }
                let x = of.last_activations(&sae.hook_point(of.model())?)?;
                let x = x.to_device(&sae.device())?.to_dtype(sae.dtype())?;
                on_cpu(&(sae.forward(&x)? - x)?)
            }
            Self::Given(directions) => {
                let directions = on_cpu(directions)?;
                match *directions.dims() {
                    [width] if width == d_model => Ok(directions
                        .unsqueeze(0)?
                        .broadcast_as((prompts, d_model))?
                        .contiguous()?),
                    [rows, width] if (rows, width) == (prompts, d_model) => Ok(directions),
                    _ => Err(Error::new(format!(
                        "directions of shape {:?} do not fit {prompts} prompts at `{}`: give \
                         [{d_model}] or [{prompts}, {d_model}].",
                        directions.dims(),
                        of.point()
                    ))),
                }
            }
        }
    }
}

fn check_width(what: &str, width: usize, d_model: usize) -> Result<()> {
    match width == d_model {
        true => Ok(()),
        false => Err(Error::new(format!(
            "{what} has width {width}, but the activation that is pushed has {d_model}: take both from \
             one residual stream."
        ))),
    }
}

pub(super) fn on_cpu(x: &Tensor) -> Result<Tensor> {
    Ok(x.to_device(&Device::Cpu)?
        .to_dtype(DType::F32)?
        .contiguous()?)
}

/// Draws other prompts, whose activations differ.
struct Others {
    rows: Vec<Vec<f32>>,
    random: StdRng,
}

struct Pairs(Vec<(usize, usize)>);

impl Others {
    fn new(of: &Sensitivity, seed: u64) -> Result<Self> {
        Ok(Self {
            rows: of.activations().to_vec2()?,
            random: StdRng::seed_from_u64(seed),
        })
    }

    fn map(
        mut self,
        mut each: impl FnMut(&mut Self, usize) -> Result<(usize, usize)>,
    ) -> Result<Pairs> {
        let prompts = 0..self.rows.len();
        let pairs = prompts.map(|prompt| each(&mut self, prompt));
        Ok(Pairs(pairs.collect::<Result<_>>()?))
    }

    /// A prompt that is none of these, with another activation than this one's.
    fn unlike(&mut self, prompt: usize, but: &[usize]) -> Result<usize> {
        let count = self.rows.len();
        let start = self.random.random_range(0..count);
        let order = (0..count).map(|step| (start + step) % count);
        let mut others = order.filter(|other| !but.contains(other));
        others
            .find(|other| self.rows[*other] != self.rows[prompt])
            .ok_or_else(|| {
                Error::new(format!(
                    "of {count} prompts none has another activation to push prompt {prompt} to: give \
                     more prompts, that differ."
                ))
            })
    }
}

impl Pairs {
    fn differences(self, of: &Sensitivity) -> Result<Tensor> {
        let rows = |ids: Vec<u32>| {
            let ids = Tensor::new(ids, &Device::Cpu)?;
            of.activations().index_select(&ids, 0)
        };
        let from = rows(self.0.iter().map(|pair| pair.0 as u32).collect())?;
        let to = rows(self.0.iter().map(|pair| pair.1 as u32).collect())?;
        Ok((to - from)?)
    }
}
