//! Latents set or scaled, with or without what the autoencoder misses.

use super::{LatentValues, Latents, input_of, written};
use crate::error::Result;
use crate::intervene::edit::Edit;
use crate::intervene::intervention::Intervention;
use crate::intervene::place::Chosen;
use crate::sae::Sae;
use candle_core::{D, Tensor};
use std::fmt;

/// What becomes of the difference between an activation and its reconstruction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorTerm {
    /// It is added back, so that only the change of latents acts: `x - x̂ + x̂'` (SAELens's
    /// `use_error_term=True`).
    Kept,
    /// It is lost: the reconstruction stands in the activation's place.
    Dropped,
}

impl Intervention {
    /// The autoencoder's reconstruction in the activation's place. With [`ErrorTerm::Kept`] nothing
    /// changes but for rounding.
    ///
    /// # Errors
    /// An autoencoder without a hook point, or a transcoder.
    pub fn reconstruct(sae: &Sae, error: ErrorTerm) -> Result<Self> {
        let sae = sae.clone();
        Self::on_sae(&sae.clone(), Reconstruct { sae, error })
    }

    /// These latents as active as this: a number for all of them, one for each, or a tensor that
    /// broadcasts to their activations, `[batch, pos, latents]`. 0 switches them off.
    ///
    /// ```
    /// use ferrolens::intervene::{ErrorTerm, Intervention};
    /// use ferrolens::model::HookedTransformer;
    /// use ferrolens::sae::Sae;
    /// let model = HookedTransformer::from_pretrained("stories-2l")?;
    /// let sae = Sae::from_pretrained("stories-2l-relu", "blocks.1.hook_resid_post")?;
    /// let off = Intervention::set_latents(&sae, 7, 0., ErrorTerm::Kept)?;
    /// let steered = Intervention::set_latents(&sae, [7, 9], [0., 5.], ErrorTerm::Dropped)?.at(-1);
    /// let logits = model.run("Once upon a time").hooks(&steered).logits_at(-1)?;
    /// # Ok::<(), ferrolens::Error>(())
    /// ```
    ///
    /// # Errors
    /// A latent that is not there or named twice, not as many values as latents, an autoencoder without
    /// a hook point, or a transcoder.
    pub fn set_latents(
        sae: &Sae,
        latents: impl Into<Latents>,
        values: impl Into<LatentValues>,
        error: ErrorTerm,
    ) -> Result<Self> {
        Self::change(sae, latents.into(), values.into(), error, Change::Set)
    }

    /// These latents as active as they are times this: a number for all of them, or one for each.
    ///
    /// # Errors
    /// As [`Intervention::set_latents`].
    pub fn scale_latents(
        sae: &Sae,
        latents: impl Into<Latents>,
        factors: impl Into<LatentValues>,
        error: ErrorTerm,
    ) -> Result<Self> {
        Self::change(sae, latents.into(), factors.into(), error, Change::Scale)
    }

    fn change(
        sae: &Sae,
        names: Latents,
        values: LatentValues,
        error: ErrorTerm,
        change: Change,
    ) -> Result<Self> {
        let latents = names.once_each(sae)?;
        values.check(latents.len())?;
        let sae = sae.clone();
        Self::on_sae(
            &sae.clone(),
            ChangeLatents {
                sae,
                latents,
                names,
                values,
                error,
                change,
            },
        )
    }
}

#[derive(Clone, Copy)]
enum Change {
    Set,
    Scale,
}

struct ChangeLatents {
    sae: Sae,
    latents: Vec<u32>,
    names: Latents,
    values: LatentValues,
    error: ErrorTerm,
    change: Change,
}

impl Edit for ChangeLatents {
    fn apply(&self, part: &Tensor, chosen: &Chosen) -> Result<Tensor> {
        let Self { sae, latents, .. } = self;
        let x = input_of(sae, part, chosen)?;
        let x = match self.error {
            ErrorTerm::Kept => {
                let acts = sae.encode_latents(&x, latents)?; // [.., latents]
                let change = (self.changed(&acts)? - &acts)?;
                (&x + written(sae, &change, latents, &x)?)?
            }
            ErrorTerm::Dropped => {
                let acts = sae.encode(&x)?; // [.., d_sae]
                let ids = Tensor::new(latents.as_slice(), acts.device())?;
                let some = acts.index_select(&ids, D::Minus1)?;
                let change = (self.changed(&some)? - &some)?;
                let acts = acts.index_add(&ids, &change.contiguous()?, D::Minus1)?;
                sae.decode_for(&acts, &x)?
            }
        };
        sae.put_back(part, &x)
    }
}

impl ChangeLatents {
    fn changed(&self, acts: &Tensor) -> Result<Tensor> {
        let values = self.values.like(acts)?;
        Ok(match self.change {
            Change::Set => values,
            Change::Scale => (acts * values)?,
        })
    }
}

impl fmt::Debug for ChangeLatents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = match self.change {
            Change::Set => "setting",
            Change::Scale => "scaling",
        };
        write!(f, "{verb} {:?} of {}, ", self.names, self.sae.name())?;
        match &self.values {
            LatentValues::Number(number) => write!(f, "{number}")?,
            LatentValues::Each(each) => write!(f, "{each:?}")?,
            LatentValues::Tensor(tensor) => write!(f, "a tensor {:?}", tensor.dims())?,
        }
        write!(f, ", error {:?}", self.error)
    }
}

struct Reconstruct {
    sae: Sae,
    error: ErrorTerm,
}

impl Edit for Reconstruct {
    fn apply(&self, part: &Tensor, chosen: &Chosen) -> Result<Tensor> {
        let x = input_of(&self.sae, part, chosen)?;
        let reconstruction = self.sae.forward(&x)?;
        let x = match self.error {
            ErrorTerm::Dropped => reconstruction,
            ErrorTerm::Kept => ((&x - &reconstruction)? + &reconstruction)?,
        };
        self.sae.put_back(part, &x)
    }
}

impl fmt::Debug for Reconstruct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the reconstruction of {}, error {:?}",
            self.sae.name(),
            self.error
        )
    }
}
