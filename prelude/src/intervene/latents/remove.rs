//! What latents write, subtracted: the two ways of two published notebooks.

use super::{Latents, input_of, written};
use crate::error::{Error, Result};
use crate::intervene::edit::Edit;
use crate::intervene::intervention::Intervention;
use crate::intervene::place::Chosen;
use crate::sae::{Gate, Sae};
use candle_core::Tensor;
use std::fmt;

/// How what latents write is subtracted from an activation. The ways agree for one latent whose encoder
/// bias is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removal {
    /// All at once, as active as they are: `x - Σ a_i W_dec[i]`, with `a` the autoencoder's activations.
    /// (`get_direction_ablation_hook`, which subtracts what the first prompt of a batch has from all;
    /// here each prompt loses its own.)
    AtOnce,
    /// In the order given, each as active as it is without the encoder's bias in what the ones before it
    /// left: `x ← x - ReLU((x - b_dec) W_enc[:, i]) W_dec[i]`. At the last position, unless
    /// [`Intervention::at`] says otherwise (`ablate_sae_feature`).
    OneAfterAnother,
}

impl Intervention {
    /// The activation without what these latents write, at the autoencoder's hook point.
    ///
    /// ```
    /// use ferrolens::intervene::{Intervention, Removal};
    /// use ferrolens::model::HookedTransformer;
    /// use ferrolens::sae::Sae;
    /// let model = HookedTransformer::from_pretrained("stories-2l")?;
    /// let sae = Sae::from_pretrained("stories-2l-relu", "blocks.1.hook_resid_post")?;
    /// let (prompt, point) = ("Once upon a time", "blocks.1.hook_resid_post");
    /// let x = model.cache_only(prompt, point)?.get(point)?;
    /// let strongest: Vec<u32> = sae.encode_top(&x, 2)?.indices.get(0)?.get(3)?.to_vec1()?;
    /// let removal = Intervention::remove_latents(&sae, strongest, Removal::AtOnce)?;
    /// let loss = model.run(prompt).hooks(&removal).loss()?;
    /// let at_one = model.run(prompt).hooks(removal.at(-2)).loss()?;
    /// # assert!(loss != at_one);
    /// # Ok::<(), ferrolens::Error>(())
    /// ```
    ///
    /// # Errors
    /// A latent that is not there, an autoencoder without a hook point, a transcoder, or one whose
    /// encoder has biases of another kind than the way knows.
    pub fn remove_latents(sae: &Sae, latents: impl Into<Latents>, way: Removal) -> Result<Self> {
        let names = latents.into();
        match way {
            Removal::AtOnce => {
                let latents = names.once_each(sae)?;
                let sae = sae.clone();
                Self::on_sae(
                    &sae.clone(),
                    AtOnce {
                        sae,
                        latents,
                        names,
                    },
                )
            }
            Removal::OneAfterAnother => {
                let latents = names.of(sae)?;
                let sae = without_encoder_bias(sae)?;
                let edit = OneAfterAnother {
                    sae,
                    latents,
                    names,
                };
                Ok(Self::on_sae(&edit.sae.clone(), edit)?.at(-1))
            }
        }
    }
}

struct AtOnce {
    sae: Sae,
    latents: Vec<u32>,
    names: Latents,
}

impl Edit for AtOnce {
    fn apply(&self, part: &Tensor, chosen: &Chosen) -> Result<Tensor> {
        let x = input_of(&self.sae, part, chosen)?;
        let acts = self.sae.encode_latents(&x, &self.latents)?; // [.., latents]
        let x = (&x - written(&self.sae, &acts, &self.latents, &x)?)?;
        self.sae.put_back(part, &x)
    }
}

impl fmt::Debug for AtOnce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sae, names, .. } = self;
        write!(f, "removing {names:?} of {} at once", sae.name())
    }
}

struct OneAfterAnother {
    /// Without the encoder's bias.
    sae: Sae,
    latents: Vec<u32>,
    names: Latents,
}

impl Edit for OneAfterAnother {
    fn apply(&self, part: &Tensor, chosen: &Chosen) -> Result<Tensor> {
        let mut x = input_of(&self.sae, part, chosen)?;
        for latent in &self.latents {
            let latent = [*latent];
            let acts = self.sae.encode_latents(&x, &latent)?; // [.., 1]
            x = (&x - written(&self.sae, &acts, &latent, &x)?)?;
        }
        self.sae.put_back(part, &x)
    }
}

impl fmt::Debug for OneAfterAnother {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sae, names, .. } = self;
        write!(f, "removing {names:?} of {} one after another", sae.name())
    }
}

/// # Errors
/// The bias is not all that decides where latents begin to be active.
fn without_encoder_bias(sae: &Sae) -> Result<Sae> {
    let gate = match &sae.gate {
        Gate::Matryoshka(gate) => &*gate.inner,
        gate => gate,
    };
    match gate {
        Gate::Relu | Gate::JumpRelu(_) | Gate::Nsae(_) => {
            let mut without = sae.clone();
            without.b_enc = sae.b_enc.zeros_like()?;
            Ok(without)
        }
        _ => Err(Error::new(format!(
            "latents of {}, a {} autoencoder, cannot be removed one after another: without the encoder's \
             bias has no meaning there. Use `Removal::AtOnce`.",
            sae.name(),
            sae.gate.architecture()
        ))),
    }
}
