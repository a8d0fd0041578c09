//! From what the encoder says to what is active: one kind of autoencoder a file.

mod batch_top_k;
mod gated;
mod jump_relu;
mod matryoshka;
mod nsae;
mod top_k;

pub use batch_top_k::BatchTopK;
pub use gated::Gated;
pub use jump_relu::JumpRelu;
pub use matryoshka::Matryoshka;
pub use nsae::Nsae;
pub use top_k::TopK;

use crate::error::{Error, Result};
use crate::math::{is_plain, update_rows};
use candle_core::Tensor;

/// How activations follow from pre-activations, with the weights that only this kind has.
#[derive(Clone, Debug)]
pub enum Gate {
    /// `ReLU(p)` (Bricken et al. 2023, "Towards Monosemanticity"; Cunningham et al. 2023, arXiv
    /// 2309.08600).
    Relu,
    /// Whether a latent is active, and how much, from two biases.
    Gated(Gated),
    /// `p` above a threshold of each latent, 0 below.
    JumpRelu(JumpRelu),
    /// The `k` largest of each position.
    TopK(TopK),
    /// The `k` largest a position, on average over a batch.
    BatchTopK(BatchTopK),
    /// Any of the others, with prefixes that are autoencoders themselves.
    Matryoshka(Matryoshka),
    /// `tanh(ReLU(p))`, trained under noise.
    Nsae(Nsae),
}

/// What a gate may need to know of the decoder.
pub(crate) struct Scale<'a> {
    /// `[d_sae, d_out]`, or the rows of the latents that are looked at.
    pub(crate) W_dec: &'a Tensor,
}

impl Scale<'_> {
    /// The norms of the decoder's rows, `[d_sae]`.
    pub(super) fn norms(&self) -> Result<Tensor> {
        Ok(self.W_dec.sqr()?.sum(1)?.sqrt()?)
    }

    /// The norms, or 1 for each.
    fn factors(&self, norms: bool) -> Result<Vec<f32>> {
        Ok(match norms {
            true => self.norms()?.to_vec1()?,
            false => vec![1.; self.W_dec.dim(0)?],
        })
    }
}

impl Gate {
    /// SAELens's word for the kind.
    pub fn architecture(&self) -> &'static str {
        match self {
            Self::Relu => "standard",
            Self::Gated(_) => "gated",
            Self::JumpRelu(_) => "jumprelu",
            Self::TopK(gate) if gate.signed => "abstopk",
            Self::TopK(_) => "topk",
            Self::BatchTopK(_) => "batchtopk",
            Self::Matryoshka(gate) => gate.inner.architecture(),
            Self::Nsae(_) => "nsae",
        }
    }

    /// What `hook_sae_acts_pre` shows, from `(x - b_dec) W_enc`, both `[.., d_sae]`.
    pub(crate) fn pre(&self, projected: &Tensor, b_enc: &Tensor) -> Result<Tensor> {
        match self {
            Self::Gated(gate) => gate.magnitudes(projected),
            Self::Matryoshka(gate) => gate.inner.pre(projected, b_enc),
            _ => Ok(projected.broadcast_add(b_enc)?),
        }
    }

    /// The activations, `[.., d_sae]`, from what [`Gate::pre`] gave, or what a hook made of it.
    pub(crate) fn post(
        &self,
        pre: &Tensor,
        projected: &Tensor,
        scale: &Scale<'_>,
    ) -> Result<Tensor> {
        match self {
            Self::Relu => Ok(pre.relu()?),
            Self::Gated(gate) => gate.acts(pre, projected),
            Self::JumpRelu(gate) => gate.acts(pre),
            Self::TopK(gate) => gate.acts(pre, scale),
            Self::BatchTopK(gate) => gate.acts(pre, scale),
            Self::Matryoshka(gate) => gate.inner.post(pre, projected, scale),
            Self::Nsae(gate) => gate.acts(pre),
        }
    }

    /// Both steps at once, from a projection that nobody else holds: where it can be done in its place,
    /// the large tensor is neither copied nor passed over again for each operation.
    pub(crate) fn acts(
        &self,
        projected: Tensor,
        b_enc: &Tensor,
        scale: &Scale<'_>,
    ) -> Result<Tensor> {
        let mut read = self.weights().map(|(_, weight)| weight);
        if !is_plain(&projected)
            || !is_plain(b_enc)
            || !is_plain(scale.W_dec)
            || !read.all(is_plain)
        {
            return self.post(&self.pre(&projected, b_enc)?, &projected, scale);
        }
        let bias = || Ok::<Vec<f32>, Error>(b_enc.to_vec1()?);
        match self {
            Self::Relu => {
                let bias = bias()?;
                let relu = move |_: usize, row: &mut [f32]| {
                    for (act, bias) in row.iter_mut().zip(&bias) {
                        let pre = *act + bias;
                        *act = if pre > 0. { pre } else { 0. };
                    }
                };
                Ok(update_rows(projected, "relu with a bias", relu)?)
            }
            Self::Gated(gate) => gate.acts_in_place(projected),
            Self::JumpRelu(gate) => gate.acts_in_place(projected, &bias()?),
            Self::TopK(gate) => gate.acts_in_place(projected, &bias()?, scale),
            Self::BatchTopK(gate) => match gate.threshold {
                Some(threshold) => gate.acts_in_place(projected, &bias()?, threshold as f32, scale),
                None => self.post(&self.pre(&projected, b_enc)?, &projected, scale),
            },
            Self::Nsae(gate) => gate.acts_in_place(projected, &bias()?),
            Self::Matryoshka(gate) => gate.inner.acts(projected, b_enc, scale),
        }
    }

    /// What `W_dec` is multiplied with, from the activations.
    pub(crate) fn coefficients(&self, acts: &Tensor, scale: &Scale<'_>) -> Result<Tensor> {
        match self {
            Self::TopK(TopK {
                rescale_by_decoder_norm: true,
                ..
            })
            | Self::BatchTopK(BatchTopK {
                rescale_by_decoder_norm: true,
                ..
            }) => Ok(acts.broadcast_div(&scale.norms()?)?),
            Self::Matryoshka(gate) => gate.inner.coefficients(acts, scale),
            _ => Ok(acts.clone()),
        }
    }

    /// The gate of some latents alone; nothing where latents compete for their place.
    pub(crate) fn of_latents(&self, ids: &Tensor) -> Result<Option<Self>> {
        match self.latents_compete() {
            true => Ok(None),
            false => Ok(Some(self.map(|weight| Ok(weight.index_select(ids, 0)?))?)),
        }
    }

    /// Whether a latent's activation depends on the others.
    pub(crate) fn latents_compete(&self) -> bool {
        match self {
            Self::TopK(_) => true,
            Self::BatchTopK(gate) => gate.threshold.is_none(),
            Self::Matryoshka(gate) => gate.inner.latents_compete(),
            Self::Relu | Self::Gated(_) | Self::JumpRelu(_) | Self::Nsae(_) => false,
        }
    }

    /// The weights that only this kind has, each `[d_sae]`.
    pub(crate) fn weights(&self) -> impl Iterator<Item = (&'static str, &Tensor)> {
        let weights = match self {
            Self::Gated(gate) => vec![
                ("r_mag", &gate.r_mag),
                ("b_mag", &gate.b_mag),
                ("b_gate", &gate.b_gate),
            ],
            Self::JumpRelu(gate) => vec![("threshold", &gate.threshold)],
            Self::Matryoshka(gate) => gate.inner.weights().collect(),
            Self::Relu | Self::TopK(_) | Self::BatchTopK(_) | Self::Nsae(_) => Vec::new(),
        };
        weights.into_iter()
    }

    pub(crate) fn map(&self, change: impl Fn(&Tensor) -> Result<Tensor>) -> Result<Self> {
        self.map_dyn(&change)
    }

    fn map_dyn(&self, change: &dyn Fn(&Tensor) -> Result<Tensor>) -> Result<Self> {
        Ok(match self {
            Self::Gated(gate) => Self::Gated(Gated {
                r_mag: change(&gate.r_mag)?,
                b_mag: change(&gate.b_mag)?,
                b_gate: change(&gate.b_gate)?,
            }),
            Self::JumpRelu(gate) => Self::JumpRelu(JumpRelu {
                threshold: change(&gate.threshold)?,
            }),
            Self::Matryoshka(gate) => Self::Matryoshka(Matryoshka {
                prefixes: gate.prefixes.clone(),
                inner: Box::new(gate.inner.map_dyn(change)?),
            }),
            Self::Relu | Self::TopK(_) | Self::BatchTopK(_) | Self::Nsae(_) => self.clone(),
        })
    }

    /// # Errors
    /// The gate asks for something that `d_sae` latents cannot give.
    pub(crate) fn check(&self, d_sae: usize) -> Result<()> {
        match self {
            Self::TopK(gate) if gate.k == 0 || gate.k > d_sae => Err(Error::new(format!(
                "k is {}, but there are {d_sae} latents: it must be 1 to {d_sae}.",
                gate.k
            ))),
            Self::BatchTopK(gate) => gate.check(d_sae),
            Self::Matryoshka(gate) => gate.check(d_sae),
            Self::Nsae(gate) => gate.check(),
            _ => Ok(()),
        }
    }
}
