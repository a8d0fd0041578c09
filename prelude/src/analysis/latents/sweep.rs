//! What a sweep has found.

use super::choice::Examples;
use super::latent::{Activating, ActivationHistogram, Latent, Latents};
use super::maxima::MaxActivations;
use super::progress::Storage;
use super::walk::Walk;
use crate::data::Corpus;
use crate::error::{Error, Result};
use crate::model::{HookPoint, HookedTransformer};
use crate::sae::Sae;
use polars::prelude::{Column, DataFrame};
use std::fmt;
use std::sync::Arc;

/// What the latents of an autoencoder are active on, over a corpus; made by [`Sweep`](super::Sweep).
///
/// It also holds the model, the autoencoder and the corpus, which costs no memory while other variables
/// hold them. A token is active where the activation is not 0.
#[derive(Clone)]
pub struct LatentSweep {
    inner: Arc<Inner>,
}

struct Inner {
    walk: Walk,
    found: Latents,
    storage: Storage,
}

impl LatentSweep {
    pub(super) fn new(walk: Walk, found: Latents, storage: Storage) -> Self {
        Self {
            inner: Arc::new(Inner {
                walk,
                found,
                storage,
            }),
        }
    }

    /// The latents that it is about; what has an entry for each latent has them in this order.
    pub fn latents(&self) -> Vec<u32> {
        match &self.walk().latents {
            Some(latents) => latents.clone(),
            None => (0..self.walk().sae.cfg.d_sae as u32).collect(),
        }
    }

    /// How many positions were looked at.
    pub fn tokens(&self) -> u64 {
        self.inner.found.tokens
    }

    /// The share of tokens on which each latent is active: `active / tokens`.
    pub fn density(&self) -> Vec<f64> {
        let tokens = self.tokens().max(1) as f64;
        self.of_each(|latent| latent.active as f64 / tokens)
    }

    /// On how many tokens each latent is active.
    pub fn active_tokens(&self) -> Vec<u64> {
        self.of_each(|latent| latent.active)
    }

    /// The mean activation of each latent over all tokens: `sum / tokens`.
    pub fn mean(&self) -> Vec<f64> {
        let tokens = self.tokens().max(1) as f64;
        self.of_each(|latent| latent.sum / tokens)
    }

    /// The mean activation of each latent over the tokens on which it is active: `sum / active`; 0 where
    /// it never is.
    pub fn mean_when_active(&self) -> Vec<f64> {
        self.of_each(|latent| latent.sum / latent.active.max(1) as f64)
    }

    /// The largest activation of each latent; 0 where it never is active.
    pub fn max(&self) -> Vec<f32> {
        self.of_each(|latent| latent.max)
    }

    /// The latents that are never active here.
    pub fn dead(&self) -> Vec<u32> {
        let each = self.latents().into_iter().zip(&self.inner.found.each);
        each.filter(|(_, found)| found.active == 0)
            .map(|(latent, _)| latent)
            .collect()
    }

    /// The mean number of latents that are active on a token: the sum of all densities.
    pub fn l0(&self) -> f64 {
        self.density().iter().sum()
    }

    /// The prompts that activate a latent most, in order: as many as [`Sweep::top`](super::Sweep::top) kept.
    ///
    /// # Errors
    /// The sweep was not about this latent.
    pub fn top(&self, latent: u32) -> Result<Vec<Activating>> {
        Ok(self.of(latent)?.top.clone())
    }

    /// How the activations of a latent are spread.
    ///
    /// # Errors
    /// The sweep was not about this latent.
    pub fn histogram(&self, latent: u32) -> Result<ActivationHistogram> {
        Ok(self.of(latent)?.histogram())
    }

    /// At most `count` prompts that activate a latent. Those from below the top are chosen from all where
    /// the sweep kept the maxima, else from its sample.
    ///
    /// # Errors
    /// The sweep was not about this latent, or kept neither maxima nor a sample.
    pub fn choose(&self, latent: u32, which: Examples, count: usize) -> Result<Vec<Activating>> {
        let at = self.place(latent)?;
        let found = &self.inner.found.each[at];
        if which == Examples::Top && count <= found.top.len() {
            return Ok(found.top.iter().take(count).copied().collect());
        }
        let mut active: Vec<Activating> = match (self.inner.found.keeps_maxima, which) {
            (true, _) => of_maxima(self.inner.found.maxima.of(at)),
            (false, Examples::Top) => found.top.clone(),
            (false, _) if found.sample.is_empty() && found.active > 0 => {
                return Err(Error::new(format!(
                    "the sweep kept only the top {} prompts of each latent: sweep with `.sample(200)`, \
                     or with `.keep_maxima()`, to see others.",
                    found.top.len()
                )));
            }
            (false, _) => found.sample.iter().map(|(_, prompt)| *prompt).collect(),
        };
        active.sort_by(Activating::order);
        Ok(which.choose(&active, found.max, count))
    }

    /// The maximum of every prompt and latent.
    ///
    /// # Errors
    /// The sweep did not keep them.
    pub fn max_activations(&self) -> Result<MaxActivations> {
        if !self.inner.found.keeps_maxima {
            return Err(Error::new(
                "the sweep did not keep the maxima of all prompts: sweep with `.keep_maxima()`, which \
                 takes 8 bytes for each prompt and latent.",
            ));
        }
        MaxActivations::new(self.latents(), &self.inner.found.maxima)
    }

    /// A row a latent: `latent`, `density`, `active` (tokens), `mean`, `mean when active`, `max`, and the
    /// prompt and position of the maximum.
    ///
    /// # Errors
    /// The table cannot be made.
    pub fn to_df(&self) -> Result<DataFrame> {
        let latents = self.latents();
        let first =
            |part: fn(&Activating) -> u64| self.of_each(|latent| latent.top.first().map(part));
        let columns = vec![
            Column::new("latent".into(), &latents),
            Column::new("density".into(), self.density()),
            Column::new("active".into(), self.active_tokens()),
            Column::new("mean".into(), self.mean()),
            Column::new("mean when active".into(), self.mean_when_active()),
            Column::new("max".into(), self.max()),
            Column::new("prompt".into(), first(|top| top.prompt as u64)),
            Column::new("position".into(), first(|top| top.position as u64)),
        ];
        Ok(DataFrame::new(latents.len(), columns)?)
    }

    /// The model that was looked into.
    pub fn model(&self) -> HookedTransformer {
        self.walk().model.clone()
    }

    /// The autoencoder that it is about.
    pub fn sae(&self) -> Sae {
        self.walk().sae.clone()
    }

    /// The prompts that it went over.
    pub fn corpus(&self) -> Corpus {
        self.walk().corpus.clone()
    }

    /// The hook point that was read.
    pub fn hook_point(&self) -> HookPoint {
        self.walk().point
    }

    pub(super) fn walk(&self) -> &Walk {
        &self.inner.walk
    }

    pub(super) fn storage(&self) -> &Storage {
        &self.inner.storage
    }

    fn of_each<T>(&self, part: impl Fn(&Latent) -> T) -> Vec<T> {
        self.inner.found.each.iter().map(part).collect()
    }

    /// # Errors
    /// The sweep was not about this latent.
    pub(super) fn of(&self, latent: u32) -> Result<&Latent> {
        Ok(&self.inner.found.each[self.place(latent)?])
    }

    /// Where a latent stands among those that the sweep was about.
    ///
    /// # Errors
    /// The sweep was not about this latent.
    fn place(&self, latent: u32) -> Result<usize> {
        let at = match &self.walk().latents {
            Some(latents) => latents.iter().position(|other| *other == latent),
            None => Some(latent as usize),
        };
        let there = at.filter(|at| *at < self.inner.found.each.len());
        there.ok_or_else(|| match &self.walk().latents {
            Some(latents) => Error::new(format!(
                "the sweep was about {} chosen latents, and latent {latent} is not among them.",
                latents.len()
            )),
            None => Error::new(format!(
                "latent {latent} is not there: {} has latents 0 to {}.",
                self.walk().sae.name(),
                self.inner.found.each.len().saturating_sub(1)
            )),
        })
    }
}

fn of_maxima(maxima: impl Iterator<Item = (f32, u32)>) -> Vec<Activating> {
    let each = maxima.enumerate().filter(|(_, (max, _))| *max > 0.);
    each.map(|(prompt, (activation, position))| Activating {
        prompt,
        position: position as usize,
        activation,
    })
    .collect()
}

impl fmt::Debug for LatentSweep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "LatentSweep({} at {}: {} latents, {} of them never active, L0 {:.1}, {} prompts, {} tokens)",
            self.walk().sae.name(),
            self.walk().point,
            self.inner.found.each.len(),
            self.dead().len(),
            self.l0(),
            self.walk().corpus.len(),
            self.tokens()
        )
    }
}
