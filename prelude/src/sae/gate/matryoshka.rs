//! Bussmann et al. 2025, "Learning Multi-Level Features with Matryoshka Sparse Autoencoders" (arXiv
//! 2503.17547).

use super::Gate;
use crate::error::{Error, Result};

/// Latents in nested groups: the first `prefixes[i]` of them are an autoencoder of their own.
#[derive(Clone, Debug)]
pub struct Matryoshka {
    /// How many latents each autoencoder has, rising to `d_sae`.
    pub prefixes: Vec<usize>,
    /// How activations follow from pre-activations.
    pub inner: Box<Gate>,
}

impl Matryoshka {
    pub(super) fn check(&self, d_sae: usize) -> Result<()> {
        let rises = self.prefixes.windows(2).all(|pair| pair[0] < pair[1]);
        let starts = self.prefixes.first().is_some_and(|first| *first > 0);
        if !rises || !starts || self.prefixes.last() != Some(&d_sae) {
            return Err(Error::new(format!(
                "the prefixes {:?} must rise from at least 1 to d_sae, which is {d_sae}.",
                self.prefixes
            )));
        }
        if matches!(*self.inner, Gate::Matryoshka(_)) {
            return Err(Error::new(
                "a Matryoshka gate cannot be inside another: give one list of prefixes.",
            ));
        }
        self.inner.check(d_sae)
    }
}
