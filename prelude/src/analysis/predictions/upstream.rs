//! Which earlier latents, removed one by one, move a later one.

use super::Predictions;
use crate::error::{Error, Result};
use crate::math::top_k_of;
use crate::model::{HookPoint, Hooks};
use crate::sae::Sae;
use candle_core::{DType, Device, Tensor};
use polars::prelude::{Column, DataFrame};
use std::collections::BTreeMap;
use std::fmt;

/// What the removal of one earlier latent did to a later one, at the position in question of one prompt.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UpstreamEffect {
    /// The prompt's number.
    pub prompt: usize,
    /// The earlier latent, which was removed.
    pub upstream: u32,
    /// How active it was.
    pub activation: f32,
    /// The later latent.
    pub downstream: u32,
    /// How active that was.
    pub before: f32,
    /// How active it is without the earlier one.
    pub after: f32,
}

/// The effects of all removals, prompt by prompt.
#[derive(Clone, PartialEq)]
pub struct UpstreamEffects {
    /// One for each prompt and active earlier latent.
    pub effects: Vec<UpstreamEffect>,
}

impl Predictions {
    /// Removes each latent of `upstream` that is active at the position in question, one by one, at that
    /// position, and reads a latent of `downstream` there: this one, or the one that is most active in
    /// the prompt. The answers play no part.
    ///
    /// # Errors
    /// An autoencoder does not fit the model, `upstream` is a transcoder or treats inputs one by one, or
    /// comes later in the model.
    pub fn upstream_effects(
        &self,
        upstream: &Sae,
        downstream: &Sae,
        latent: Option<u32>,
    ) -> Result<UpstreamEffects> {
        let (from, to) = (
            upstream.hook_point(&self.model)?,
            downstream.hook_point(&self.model)?,
        );
        if upstream.is_transcoder() || upstream.decoding_needs_input() {
            return Err(Error::new(format!(
                "latents of {} cannot be removed by what they write alone.",
                upstream.name()
            )));
        }
        if let Some(latent) = latent {
            downstream.check_latents(&[latent])?;
        }
        let order = self.model.hook_points();
        let place = |point: &HookPoint| order.iter().position(|other| other == point);
        if place(&from) >= place(&to) {
            return Err(Error::new(format!(
                "{} is at `{from}`, which is not before `{to}`: name the earlier one first.",
                upstream.name()
            )));
        }
        let mut effects = Vec::new();
        self.each_step("prompts read", |batch, _, step| {
            let both = step.run().cache([from.name(), to.name()]).cache_only()?;
            let x = upstream.input_of(&both.get(from)?)?; // [batch, 1, d_in]
            let active = rows(&upstream.encode(&x)?)?;
            let active: Vec<Vec<(usize, f32)>> = active
                .iter()
                .map(|row| {
                    let count = row.iter().filter(|value| **value > 0.).count();
                    top_k_of(row, count)
                })
                .collect();
            let read = |run: crate::model::Run| -> Result<Vec<Vec<f32>>> {
                let cache = run.cache(to).cache_only()?;
                rows(&downstream.encode(&downstream.input_of(&cache.get(to)?)?)?)
            };
            let before = rows(&downstream.encode(&downstream.input_of(&both.get(to)?)?)?)?;
            let watched: Vec<usize> = before
                .iter()
                .map(|row| match latent {
                    Some(latent) => latent as usize,
                    None => top_k_of(row, 1).first().map_or(0, |(latent, _)| *latent),
                })
                .collect();
            let most = active.iter().map(Vec::len).max().unwrap_or(0);
            for rank in 0..most {
                // Of each prompt the latent of this rank; prompts that have fewer stay as they are.
                let removed: Vec<Option<(usize, f32)>> =
                    active.iter().map(|row| row.get(rank).copied()).collect();
                let written = written(upstream, &removed)?; // [batch, d_out]
                let hooks = Hooks::new().add(from, move |value: &Tensor, _: &HookPoint| {
                    let change = written.to_dtype(value.dtype())?.reshape(value.shape())?;
                    Ok::<Tensor, Error>((value - change)?)
                });
                let after = read(step.run().hooks(hooks))?;
                for (row, removed) in removed.iter().enumerate() {
                    let Some((upstream, activation)) = *removed else {
                        continue;
                    };
                    let downstream = watched[row];
                    effects.push(UpstreamEffect {
                        prompt: batch[row],
                        upstream: upstream as u32,
                        activation,
                        downstream: downstream as u32,
                        before: before[row][downstream],
                        after: after[row][downstream],
                    });
                }
            }
            Ok(())
        })?;
        effects.sort_by_key(|effect| effect.prompt);
        Ok(UpstreamEffects { effects })
    }
}

/// `[batch, 1, d_sae]` on the host.
fn rows(acts: &Tensor) -> Result<Vec<Vec<f32>>> {
    let acts = acts.to_device(&Device::Cpu)?.to_dtype(DType::F32)?;
    Ok(acts.squeeze(1)?.to_vec2()?)
}

/// What one latent a row writes, `[batch, d_out]` of `f32`.
fn written(sae: &Sae, removed: &[Option<(usize, f32)>]) -> Result<Tensor> {
    let ids: Vec<u32> = removed
        .iter()
        .map(|latent| latent.map_or(0, |(latent, _)| latent as u32))
        .collect();
    let acts: Vec<f32> = removed
        .iter()
        .map(|latent| latent.map_or(0., |(_, activation)| activation))
        .collect();
    let directions = sae
        .W_dec
        .index_select(&Tensor::new(ids, &sae.device())?, 0)?;
    let acts = Tensor::new(acts, &sae.device())?.unsqueeze(1)?;
    Ok(directions.to_dtype(DType::F32)?.broadcast_mul(&acts)?)
}

impl UpstreamEffects {
    /// A row an effect: `prompt`, `upstream`, `activation`, `downstream`, `before`, `after`, `change`.
    ///
    /// # Errors
    /// There is no room for it.
    pub fn to_df(&self) -> Result<DataFrame> {
        let all = &self.effects;
        let of = |part: fn(&UpstreamEffect) -> f32| -> Vec<f32> { all.iter().map(part).collect() };
        let ids = |part: fn(&UpstreamEffect) -> u32| -> Vec<u32> { all.iter().map(part).collect() };
        let prompts: Vec<u64> = all.iter().map(|effect| effect.prompt as u64).collect();
        let columns = vec![
            Column::new("prompt".into(), prompts),
            Column::new("upstream".into(), ids(|effect| effect.upstream)),
            Column::new("activation".into(), of(|effect| effect.activation)),
            Column::new("downstream".into(), ids(|effect| effect.downstream)),
            Column::new("before".into(), of(|effect| effect.before)),
            Column::new("after".into(), of(|effect| effect.after)),
            Column::new("change".into(), of(|effect| effect.after - effect.before)),
        ];
        Ok(DataFrame::new(all.len(), columns)?)
    }

    /// A row a pair of latents: `upstream`, `downstream`, `positions` (at which the removal was tried),
    /// `before`, `change` and `share` (the change over what it was), means over these; the largest total
    /// change first, up or down.
    ///
    /// # Errors
    /// There is no room for it.
    pub fn pairs(&self) -> Result<DataFrame> {
        let mut pairs: BTreeMap<(u32, u32), [f64; 3]> = BTreeMap::new();
        for effect in &self.effects {
            let sums = pairs
                .entry((effect.upstream, effect.downstream))
                .or_default();
            sums[0] += 1.;
            sums[1] += f64::from(effect.before);
            sums[2] += f64::from(effect.after - effect.before);
        }
        let mut pairs: Vec<((u32, u32), [f64; 3])> = pairs.into_iter().collect();
        pairs.sort_by(|a, b| b.1[2].abs().total_cmp(&a.1[2].abs()));
        let of = |part: fn(&[f64; 3]) -> f64| -> Vec<f64> {
            pairs.iter().map(|(_, sums)| part(sums)).collect()
        };
        let (upstream, downstream): (Vec<u32>, Vec<u32>) =
            pairs.iter().map(|(pair, _)| *pair).unzip();
        let columns = vec![
            Column::new("upstream".into(), upstream),
            Column::new("downstream".into(), downstream),
            Column::new("positions".into(), of(|sums| sums[0])),
            Column::new("before".into(), of(|sums| sums[1] / sums[0])),
            Column::new("change".into(), of(|sums| sums[2] / sums[0])),
            Column::new("share".into(), of(|sums| sums[2] / sums[1])),
        ];
        Ok(DataFrame::new(pairs.len(), columns)?)
    }
}

impl fmt::Debug for UpstreamEffects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UpstreamEffects({} removals)", self.effects.len())
    }
}
