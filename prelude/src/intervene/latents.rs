//! Latents of a sparse autoencoder: removed, set, scaled; the reconstruction in the activation's place.

mod ids;
mod remove;
mod set;

pub use ids::{LatentValues, Latents};
pub use remove::Removal;
pub use set::ErrorTerm;

use super::intervention::Intervention;
use super::place::Chosen;
use crate::error::{Error, Result};
use crate::model::{HookPoint, get_act_name};
use crate::sae::Sae;
use candle_core::{D, DType, Tensor};

impl Intervention {
    /// An intervention at the hook point that an autoencoder reads and writes.
    fn on_sae(sae: &Sae, edit: impl super::edit::Edit + 'static) -> Result<Self> {
        Ok(Self::new(hook_point(sae)?, edit))
    }
}

/// # Errors
/// The autoencoder has no hook point, one that no model has, or writes another than it reads.
fn hook_point(sae: &Sae) -> Result<HookPoint> {
    if sae.is_transcoder() {
        return Err(Error::new(format!(
            "{} is a transcoder, which writes something else than it reads: subtract what its latents \
             write with a hook on the point that it writes.",
            sae.name()
        )));
    }
    let name = sae.cfg.hook_name.as_ref().ok_or_else(|| {
        Error::new(format!(
            "{} does not say at which hook point it reads: say so with `sae.cfg.hook_name = \
             Some(\"blocks.0.hook_resid_pre\".into())`.",
            sae.name()
        ))
    })?;
    get_act_name(name).map_err(|error| error.context(format!("the config of {}", sae.name())))
}

/// What the autoencoder reads of the chosen part of an activation.
///
/// # Errors
/// The activation is not as wide as the autoencoder, or only heads or neurons of it were chosen.
fn input_of(sae: &Sae, part: &Tensor, chosen: &Chosen) -> Result<Tensor> {
    if chosen.is_within_position() {
        return Err(Error::new(format!(
            "{} reads whole activations: leave out `.heads(..)` and `.neurons(..)`.",
            sae.name()
        )));
    }
    let x = sae.input_of(part)?;
    let width = match (sae.cfg.hook_z, x.dims()) {
        (true, [.., heads, d_head]) if x.rank() == 4 => heads * d_head,
        (_, dims) => dims.last().copied().unwrap_or(0),
    };
    if width != sae.cfg.d_in {
        return Err(Error::new(format!(
            "{}{} reads activations of width {}, but the activation at `{}` is {:?}, of width {width}: \
             use the model and the hook point that it was trained on.",
            sae.name(),
            match &sae.cfg.model_name {
                Some(model) => format!(" (for {model})"),
                None => String::new(),
            },
            sae.cfg.d_in,
            chosen.point(),
            chosen.dims()
        )));
    }
    Ok(x)
}

/// What a change of the activations of some latents, `[.., latents]`, changes in what the autoencoder
/// writes for an input, in its shape and type.
fn written(sae: &Sae, change: &Tensor, latents: &[u32], x: &Tensor) -> Result<Tensor> {
    let change = change.to_dtype(sae.dtype())?;
    let difference = match sae.decoding_needs_input() {
        false => sae.decode_latents(&change, latents)?,
        true => {
            // The scale of the reconstruction is the input's: two reconstructions know it.
            let mut dims = change.dims().to_vec();
            if let Some(last) = dims.last_mut() {
                *last = sae.cfg.d_sae;
            }
            let none = Tensor::zeros(dims, change.dtype(), change.device())?;
            let ids = Tensor::new(latents, change.device())?;
            let some = none.index_add(&ids, &change.contiguous()?, D::Minus1)?;
            (sae.decode_for(&some, x)?.to_dtype(DType::F32)?
                - sae.decode_for(&none, x)?.to_dtype(DType::F32)?)?
        }
    };
    Ok(difference.to_dtype(x.dtype())?.reshape(x.shape())?)
}
