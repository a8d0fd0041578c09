//! An autoencoder in the place of the activation that it reconstructs.

use super::autoencoder::Sae;
use crate::error::{Context, Error, Result};
use crate::model::{
    ActivationCache, HookPoint, HookedTransformer, Hooks, Inner, Input, IntoFilter, PointName,
    Seen, Splice, Step,
};
use candle_core::{D, Device, Tensor};
use std::sync::Arc;

/// An autoencoder that is to stand in the place of its hook point's activation, and how.
///
/// The run then goes on with the reconstruction, and instead of the hook point has SAELens's six:
/// `hook_sae_input`, `hook_sae_acts_pre`, `hook_sae_acts_post`, `hook_sae_recons`, `hook_sae_error` (with
/// an error term) and `hook_sae_output`, as in `blocks.0.hook_mlp_out.hook_sae_acts_post`.
#[derive(Clone, Debug)]
pub struct SaeSplice {
    sae: Sae,
    at: Option<PointName>,
    use_error_term: bool,
    excluded: Vec<u32>,
}

impl Sae {
    /// This autoencoder, to be put in the place of its hook point's activation.
    pub fn splice(&self) -> SaeSplice {
        SaeSplice {
            sae: self.clone(),
            at: None,
            use_error_term: false,
            excluded: Vec::new(),
        }
    }

    /// The hook point that it reads, of a model.
    ///
    /// # Errors
    /// It names none, or one that the model does not have.
    pub fn hook_point(&self, model: &HookedTransformer) -> Result<HookPoint> {
        let Some(name) = &self.cfg.hook_name else {
            return Err(Error::new(format!(
                "{} does not say which hook point it is for: say so with \
                 `sae.cfg.hook_name = Some(\"blocks.0.hook_resid_pre\".into())`.",
                self.name()
            )));
        };
        self.point_of(model, name)
    }

    /// The hook point that it writes, of a model: the one that it reads, but for transcoders.
    ///
    /// # Errors
    /// As [`Sae::hook_point`].
    pub fn hook_point_out(&self, model: &HookedTransformer) -> Result<HookPoint> {
        match &self.cfg.hook_name_out {
            Some(name) => self.point_of(model, name),
            None => self.hook_point(model),
        }
    }

    fn point_of(&self, model: &HookedTransformer, name: &str) -> Result<HookPoint> {
        let of = model.config().model_name;
        let doing = || format!("putting {} at `{name}` of {of}", self.name());
        model.hook_point(name).context(doing)
    }
}

impl SaeSplice {
    /// Whether what the clean reconstruction misses is added, so that without further changes the model
    /// computes what it would without the autoencoder (`use_error_term` in SAELens). The error is that
    /// of the clean latents: what a hook does to them shows in full.
    #[must_use]
    pub fn use_error_term(mut self, on: bool) -> Self {
        self.use_error_term = on;
        self
    }

    /// At this hook point instead of the one that the autoencoder's config names.
    #[must_use]
    pub fn at(mut self, name: impl Into<PointName>) -> Self {
        self.at = Some(name.into());
        self
    }

    /// Leaving activations as they are at these tokens (`exclude_special_tokens` in SAELens), such as
    /// BOS.
    #[must_use]
    pub fn exclude_tokens(mut self, tokens: impl Into<Vec<u32>>) -> Self {
        self.excluded = tokens.into();
        self
    }

    fn resolve(self, model: &HookedTransformer) -> Result<Placed> {
        let (reads, replaces) = match &self.at {
            Some(name) => {
                let point = model.hook_point(name.clone())?;
                (point, point)
            }
            None => (self.sae.hook_point(model)?, self.sae.hook_point_out(model)?),
        };
        self.sae.check_width(model, reads)?;
        let sae = match self.sae.device().same_device(&model.device()) {
            true => self.sae,
            false => self.sae.to(&model.device(), self.sae.dtype())?,
        };
        Ok(Placed {
            sae,
            reads,
            replaces,
            use_error_term: self.use_error_term,
            excluded: self.excluded,
        })
    }
}

impl Sae {
    /// # Errors
    /// The activations of a model's hook point are known to have another width.
    pub(crate) fn check_width(&self, model: &HookedTransformer, point: HookPoint) -> Result<()> {
        let Some(width) = point.width(&model.config(), self.cfg.hook_z) else {
            return Ok(());
        };
        if width == self.cfg.d_in {
            return Ok(());
        }
        Err(Error::new(format!(
            "{} reads activations of width {}, but those of `{point}` in {} are {width} wide: it was \
             trained on another model or hook point.",
            self.name(),
            self.cfg.d_in,
            model.config().model_name
        )))
    }
}

/// Runs of a model with autoencoders in the place of activations, as SAELens's `HookedSAETransformer`.
///
/// ```
/// use ferrolens::prelude::*;
/// let model = HookedTransformer::from_pretrained("stories-2l")?;
/// let sae = Sae::from_pretrained("stories-2l-relu", "blocks.0.hook_mlp_out")?;
///
/// let acts = "blocks.0.hook_mlp_out.hook_sae_acts_post";
/// let (logits, cache) = model.run_with_cache_with_saes("Once upon a time", &sae, acts)?;
/// assert_eq!(cache.get(acts)?.dim(2)?, sae.cfg.d_sae);
///
/// // With the error term the logits are those of the model, until a latent is changed.
/// let with_error = sae.splice().use_error_term(true);
/// let ablate = Hooks::new().add(acts, |acts, _| acts.set((.., .., 3), 0.));
/// let logits = model.run_with_hooks_with_saes("Once upon a time", with_error, &ablate)?;
/// # Ok::<(), ferrolens::Error>(())
/// ```
pub trait RunWithSaes {
    /// The same model with these autoencoders in place in every run: a scope that ends where the value
    /// does (`with model.saes(..)` in SAELens).
    ///
    /// # Errors
    /// An autoencoder is for a hook point that the model does not have, or for one of another width.
    fn with_saes(&self, saes: impl IntoSplices) -> Result<HookedTransformer>;

    /// The logits, `[batch, pos, d_vocab]`, with these autoencoders in place.
    ///
    /// # Errors
    /// As [`RunWithSaes::with_saes`] and [`HookedTransformer::forward`].
    fn run_with_saes(&self, input: impl Into<Input>, saes: impl IntoSplices) -> Result<Tensor>;

    /// Logits and activations, those inside the autoencoders among them.
    ///
    /// # Errors
    /// As [`RunWithSaes::with_saes`] and [`HookedTransformer::run_with_cache`].
    fn run_with_cache_with_saes(
        &self,
        input: impl Into<Input>,
        saes: impl IntoSplices,
        names_filter: impl IntoFilter,
    ) -> Result<(Tensor, ActivationCache)>;

    /// The logits with these autoencoders in place, and these hooks, which may be on points inside them.
    ///
    /// # Errors
    /// As [`RunWithSaes::with_saes`] and [`HookedTransformer::run_with_hooks`].
    fn run_with_hooks_with_saes(
        &self,
        input: impl Into<Input>,
        saes: impl IntoSplices,
        hooks: impl Into<Hooks>,
    ) -> Result<Tensor>;
}

impl RunWithSaes for HookedTransformer {
    fn with_saes(&self, saes: impl IntoSplices) -> Result<HookedTransformer> {
        let mut model = self.clone();
        for splice in saes.into_splices() {
            let placed = splice.resolve(&model)?;
            model = model.with_splice(Arc::new(placed))?;
        }
        Ok(model)
    }

    fn run_with_saes(&self, input: impl Into<Input>, saes: impl IntoSplices) -> Result<Tensor> {
        self.with_saes(saes)?.forward(input)
    }

    fn run_with_cache_with_saes(
        &self,
        input: impl Into<Input>,
        saes: impl IntoSplices,
        names_filter: impl IntoFilter,
    ) -> Result<(Tensor, ActivationCache)> {
        self.with_saes(saes)?.run_with_cache(input, names_filter)
    }

    fn run_with_hooks_with_saes(
        &self,
        input: impl Into<Input>,
        saes: impl IntoSplices,
        hooks: impl Into<Hooks>,
    ) -> Result<Tensor> {
        self.with_saes(saes)?.run_with_hooks(input, hooks)
    }
}

/// One autoencoder or several, as they are or with options: `&sae`, `[&a, &b]`, `sae.splice()`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no autoencoder, and no list of them",
    label = "this is no autoencoder",
    note = "write `&sae`, `[&first, &second]`, or `sae.splice()` with its options"
)]
pub trait IntoSplices {
    /// The autoencoders and how they are put in place.
    fn into_splices(self) -> Vec<SaeSplice>;
}

impl IntoSplices for SaeSplice {
    fn into_splices(self) -> Vec<SaeSplice> {
        vec![self]
    }
}

impl IntoSplices for &SaeSplice {
    fn into_splices(self) -> Vec<SaeSplice> {
        vec![self.clone()]
    }
}

impl IntoSplices for Sae {
    fn into_splices(self) -> Vec<SaeSplice> {
        vec![self.splice()]
    }
}

impl IntoSplices for &Sae {
    fn into_splices(self) -> Vec<SaeSplice> {
        vec![self.splice()]
    }
}

impl<T: IntoSplices> IntoSplices for Vec<T> {
    fn into_splices(self) -> Vec<SaeSplice> {
        let every = self.into_iter().flat_map(IntoSplices::into_splices);
        every.collect()
    }
}

impl<T: IntoSplices, const N: usize> IntoSplices for [T; N] {
    fn into_splices(self) -> Vec<SaeSplice> {
        let every = self.into_iter().flat_map(IntoSplices::into_splices);
        every.collect()
    }
}

impl<T> IntoSplices for &[T]
where
    for<'a> &'a T: IntoSplices,
{
    fn into_splices(self) -> Vec<SaeSplice> {
        let every = self.iter().flat_map(IntoSplices::into_splices);
        every.collect()
    }
}

impl<T> IntoSplices for &Vec<T>
where
    for<'a> &'a T: IntoSplices,
{
    fn into_splices(self) -> Vec<SaeSplice> {
        self.as_slice().into_splices()
    }
}

/// An autoencoder at a hook point of a certain model.
struct Placed {
    sae: Sae,
    reads: HookPoint,
    replaces: HookPoint,
    use_error_term: bool,
    excluded: Vec<u32>,
}

impl Splice for Placed {
    fn reads(&self) -> HookPoint {
        self.reads
    }

    fn replaces(&self) -> HookPoint {
        self.replaces
    }

    fn inner(&self) -> Vec<Inner> {
        let mut inner = vec![
            Inner::SaeInput,
            Inner::SaeActsPre,
            Inner::SaeActsPost,
            Inner::SaeRecons,
        ];
        if self.use_error_term {
            inner.push(Inner::SaeError);
        }
        inner.push(Inner::SaeOutput);
        inner
    }

    fn run(
        &self,
        seen: Seen<'_>,
        at: &mut dyn FnMut(Inner, Tensor) -> Step<Tensor>,
    ) -> Step<Tensor> {
        let sae = &self.sae;
        let read = sae.input_of(seen.input)?;
        let in_place = self.reads == self.replaces;
        let original = match in_place {
            true => read.clone(),
            false => seen.original.clone(),
        };
        let mut output = self.reconstruct(&read, at)?;
        let excluded = self.excluded(seen.tokens, &original)?;
        if self.use_error_term {
            let clean = match seen.is_hooked {
                true => sae.forward(&read)?,
                false => output.clone(),
            };
            // A constant: nothing flows back through what the latents do not explain.
            let mut error = (&original - clean)?.detach();
            if let Some(excluded) = &excluded {
                error = excluded.where_cond(&error.zeros_like()?, &error)?;
            }
            output = (output + at(Inner::SaeError, error)?)?;
        }
        if let Some(excluded) = &excluded {
            output = excluded.where_cond(&original, &output)?;
        }
        let output = match in_place {
            true => sae.put_back(seen.original, &output)?,
            false => output,
        };
        at(Inner::SaeOutput, output)
    }
}

impl Placed {
    fn reconstruct(
        &self,
        read: &Tensor,
        at: &mut dyn FnMut(Inner, Tensor) -> Step<Tensor>,
    ) -> Step<Tensor> {
        let sae = &self.sae;
        let input = at(Inner::SaeInput, sae.flat(read)?)?;
        let normalized = sae.normalized(&input)?;
        let projected = sae.project(&normalized)?;
        let pre = at(Inner::SaeActsPre, sae.gate.pre(&projected, &sae.b_enc)?)?;
        let acts = sae.gate.post(&pre, &projected, &sae.scale())?;
        let acts = at(Inner::SaeActsPost, acts)?;
        let written = at(Inner::SaeRecons, sae.write(&acts)?)?;
        let output = sae.finish(written, &input, &normalized)?;
        // Heads that were laid side by side stand apart again.
        Ok(match sae.cfg.hook_z {
            true => output.reshape(read.shape())?,
            false => output,
        }
        .to_dtype(read.dtype())?)
    }

    /// 1 at every entry of the activation whose token is one of those left out.
    fn excluded(&self, tokens: Option<&Tensor>, original: &Tensor) -> Result<Option<Tensor>> {
        if self.excluded.is_empty() {
            return Ok(None);
        }
        let Some(tokens) = tokens else {
            return Err(Error::new(
                "a run that starts from a residual stream knows no tokens, so none can be left out: \
                 take `.exclude_tokens(..)` away.",
            ));
        };
        let rows: Vec<Vec<u32>> = tokens.to_device(&Device::Cpu)?.to_vec2()?;
        let left_out = rows.into_iter().flatten();
        let left_out = left_out.map(|token| u8::from(self.excluded.contains(&token)));
        let left_out: Vec<u8> = left_out.collect();
        let mut mask = Tensor::from_vec(left_out, tokens.shape(), original.device())?;
        while mask.rank() < original.rank() {
            mask = mask.unsqueeze(D::Minus1)?;
        }
        Ok(Some(mask.broadcast_as(original.shape())?.contiguous()?))
    }
}
