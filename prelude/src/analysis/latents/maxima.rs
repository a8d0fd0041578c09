//! The maximum of every prompt and latent, where it was asked for.

use crate::data::{Array, Record};
use crate::error::{Error, Result};
use candle_core::{Device, Tensor};

/// The largest activation of each latent in each prompt, and its position; over the positions that the
/// sweep looked at.
#[derive(Clone, Debug)]
pub struct MaxActivations {
    /// The latent of each column.
    pub latents: Vec<u32>,
    /// `[prompt, latent]`, `f32`, on the CPU; 0 where the latent is not active in the prompt.
    pub values: Tensor,
    /// `[prompt, latent]`, `u32`, on the CPU: the first position with that activation.
    pub positions: Tensor,
}

impl MaxActivations {
    pub(super) fn new(latents: Vec<u32>, maxima: &Maxima) -> Result<Self> {
        let shape = (maxima.prompts, latents.len());
        Ok(Self {
            values: Tensor::from_vec(maxima.values(), shape, &Device::Cpu)?,
            positions: Tensor::from_vec(maxima.positions(), shape, &Device::Cpu)?,
            latents,
        })
    }
}

/// Maxima while they are collected. What one thread writes for one prompt lies side by side: a place in
/// memory that is far from the last costs as much as the activations of a hundred latents.
#[derive(Clone, Debug)]
pub(super) struct Maxima {
    prompts: usize,
    stripe: usize,
    stripes: Vec<Stripe>,
}

/// Those of some latents that follow each other.
#[derive(Clone, Debug)]
pub(super) struct Stripe {
    width: usize,
    /// `[prompt, width]`.
    values: Vec<f32>,
    positions: Vec<u32>,
}

impl Maxima {
    /// For stripes of so many latents, the last of which may be narrower; nothing is kept of 0 prompts.
    pub(super) fn new(latents: usize, prompts: usize, stripe: usize) -> Self {
        let widths = (0..latents).step_by(stripe);
        let empty = |first: usize| {
            let width = stripe.min(latents - first);
            Stripe {
                width,
                values: vec![0.; prompts * width],
                positions: vec![0; prompts * width],
            }
        };
        Self {
            prompts,
            stripe,
            stripes: widths.map(empty).collect(),
        }
    }

    pub(super) fn stripes_mut(&mut self) -> &mut [Stripe] {
        &mut self.stripes
    }

    /// The maximum of one latent in each prompt, and its position.
    pub(super) fn of(&self, latent: usize) -> impl Iterator<Item = (f32, u32)> {
        let stripe = self.stripes.get(latent / self.stripe);
        let all = stripe.into_iter().flat_map(move |stripe| {
            let at = latent % self.stripe;
            let column = (at..stripe.values.len()).step_by(stripe.width);
            column.map(|at| (stripe.values[at], stripe.positions[at]))
        });
        all.take(self.prompts)
    }

    /// `[prompt, latent]`.
    fn values(&self) -> Vec<f32> {
        self.rows(|stripe| &stripe.values)
    }

    /// `[prompt, latent]`.
    fn positions(&self) -> Vec<u32> {
        self.rows(|stripe| &stripe.positions)
    }

    fn rows<T: Copy>(&self, part: impl Fn(&Stripe) -> &Vec<T>) -> Vec<T> {
        let all = self.stripes.iter().map(|stripe| part(stripe).len()).sum();
        let mut rows = Vec::with_capacity(all);
        for prompt in 0..self.prompts {
            for stripe in &self.stripes {
                let row = prompt * stripe.width..(prompt + 1) * stripe.width;
                rows.extend_from_slice(&part(stripe)[row]);
            }
        }
        rows
    }

    pub(super) fn record(&self, record: &mut Record) {
        record.set("maxima", Array::F32(self.values()));
        record.set("maxima position", Array::U32(self.positions()));
    }

    /// Goes on from what [`Maxima::record`] gave.
    ///
    /// # Errors
    /// It is of other latents or prompts.
    pub(super) fn restore(&mut self, record: &Record) -> Result<()> {
        let (values, positions) = (record.f32("maxima")?, record.u32("maxima position")?);
        let latents: usize = self.stripes.iter().map(|stripe| stripe.width).sum();
        if [values.len(), positions.len()] != [latents * self.prompts; 2] {
            return Err(Error::new("it is of another number of maxima"));
        }
        let mut at = 0;
        for prompt in 0..self.prompts {
            for stripe in &mut self.stripes {
                let (from, to) = (at..at + stripe.width, prompt * stripe.width);
                let to = to..to + stripe.width;
                stripe.values[to.clone()].copy_from_slice(&values[from.clone()]);
                stripe.positions[to].copy_from_slice(&positions[from]);
                at += stripe.width;
            }
        }
        Ok(())
    }
}

impl Stripe {
    /// The maxima of a prompt and their positions, if they are kept.
    pub(super) fn of_prompt(&mut self, prompt: usize) -> Option<(&mut [f32], &mut [u32])> {
        let row = prompt * self.width..(prompt + 1) * self.width;
        let values = self.values.get_mut(row.clone())?;
        Some((values, self.positions.get_mut(row)?))
    }
}
