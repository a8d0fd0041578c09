//! One value for every trained weight: the weights themselves, their gradients, what Adam remembers.

use crate::error::Result;
use candle_core::Tensor;

/// The encoder is kept transposed, `[d_sae, d_in]`: what belongs to a latent is then in one row of both
/// matrices.
#[derive(Clone, Debug)]
pub(super) struct Parameters<T = Tensor> {
    /// `[d_sae, d_in]`.
    pub(super) W_enc: T,
    /// `[d_sae]`; a gated autoencoder's `b_gate`.
    pub(super) b_enc: T,
    /// `[d_sae, d_in]`.
    pub(super) W_dec: T,
    /// `[d_in]`.
    pub(super) b_dec: T,
    /// What only one kind of gate has, `[d_sae]` each, under SAELens's names.
    pub(super) of_gate: Vec<(&'static str, T)>,
}

impl<T> Parameters<T> {
    /// Every value with the name of its weight.
    pub(super) fn named(&self) -> Vec<(&'static str, &T)> {
        let mut named = vec![
            ("W_enc", &self.W_enc),
            ("b_enc", &self.b_enc),
            ("W_dec", &self.W_dec),
            ("b_dec", &self.b_dec),
        ];
        named.extend(self.of_gate.iter().map(|(name, value)| (*name, value)));
        named
    }

    /// Every value with its name, to be changed.
    pub(super) fn named_mut(&mut self) -> Vec<(&'static str, &mut T)> {
        let mut named = vec![
            ("W_enc", &mut self.W_enc),
            ("b_enc", &mut self.b_enc),
            ("W_dec", &mut self.W_dec),
            ("b_dec", &mut self.b_dec),
        ];
        let of_gate = self.of_gate.iter_mut();
        named.extend(of_gate.map(|(name, value)| (*name, value)));
        named
    }

    /// Other values for the same weights.
    pub(super) fn map<U>(
        &self,
        mut change: impl FnMut(&'static str, &T) -> Result<U>,
    ) -> Result<Parameters<U>> {
        let mut of_gate = Vec::with_capacity(self.of_gate.len());
        for (name, value) in &self.of_gate {
            of_gate.push((*name, change(name, value)?));
        }
        Ok(Parameters {
            W_enc: change("W_enc", &self.W_enc)?,
            b_enc: change("b_enc", &self.b_enc)?,
            W_dec: change("W_dec", &self.W_dec)?,
            b_dec: change("b_dec", &self.b_dec)?,
            of_gate,
        })
    }

    /// What only one kind of gate has.
    pub(super) fn of_gate(&self, wanted: &str) -> Option<&T> {
        let found = self.of_gate.iter().find(|(name, _)| *name == wanted);
        found.map(|(_, value)| value)
    }
}

impl Parameters {
    /// Copies that later steps, which write over the weights in place, leave alone.
    pub(super) fn copied(&self) -> Result<Self> {
        self.map(|_, value| Ok(value.copy()?))
    }
}
