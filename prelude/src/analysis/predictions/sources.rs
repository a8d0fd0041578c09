//! Which earlier components activate a latent.

use super::Predictions;
use super::attributions::ComponentAttributions;
use crate::data::Corpus;
use crate::emit::check_interrupt;
use crate::error::{Error, Result};
use crate::model::{HookPoint, HookedTransformer, ResidOptions, Site};
use crate::sae::Sae;
use candle_core::{D, DType, Tensor};

/// What a component counts as having given to neurons that are not active, as latents of `mlp.hook_post`
/// see nothing of those.
#[derive(Clone, Debug, Default)]
pub enum Inactive {
    /// Nothing.
    #[default]
    Zero,
    /// What it gives them on average, `[component, d_mlp]`:
    /// [`HookedTransformer::mean_neuron_inputs`].
    Mean(Tensor),
}

impl Predictions {
    /// What each component before an autoencoder's hook point gives to a latent, at the predicting
    /// position: `component W_enc[:, latent]` for latents of the residual stream, and `component W_in
    /// W_enc[:, latent]` through the MLP's norm for those of `mlp.hook_post`, whose neurons count as
    /// linear where they are active (above 0) and as `inactive` says where not.
    ///
    /// # Errors
    /// The latent is not there, or reads neither the residual stream nor an MLP's neurons.
    pub fn latent_sources(
        &self,
        sae: &Sae,
        latent: u32,
        inactive: &Inactive,
    ) -> Result<ComponentAttributions> {
        sae.check_latents(&[latent])?;
        let point = sae.hook_point(&self.model)?;
        let reads = Reads::of(&self.model, sae, &point)?;
        let column = sae.W_enc.narrow(1, latent as usize, 1)?; // [d_in, 1]
        let column = column
            .to_device(&self.model.device())?
            .to_dtype(DType::F32)?;
        let mut labels = Vec::new();
        let values = self.rows("prompts attributed", |_, step| {
            let cache = step.run().cache(()).cache_only()?;
            let stack = cache.get_full_resid_decomposition(&reads.options.clone().pos_slice(-1))?;
            let mut given = stack.components.to_dtype(DType::F32)?; // [component, batch, d_model]
            labels = stack.labels;
            if let Some(W_in) = &reads.W_in {
                let (components, batch, d_model) = given.dims3()?;
                given = given.reshape(((), d_model))?.matmul(W_in)?;
                given = given.reshape((components, batch, ()))?; // [component, batch, d_mlp]
                let post = cache.get(point)?.squeeze(1)?.unsqueeze(0)?; // [1, batch, d_mlp]
                let active = post.gt(0.)?.broadcast_as(given.dims())?;
                let otherwise = match inactive {
                    Inactive::Zero => given.zeros_like()?,
                    Inactive::Mean(mean) => {
                        let mean = mean.to_dtype(DType::F32)?;
                        if mean.dims() != [components, given.dim(2)?] {
                            return Err(Error::new(format!(
                                "mean inputs of shape {:?} do not fit {components} components and {} \
                                 neurons: take them from `model.mean_neuron_inputs({}, &corpus)?`.",
                                mean.dims(),
                                given.dim(2)?,
                                point.layer().unwrap_or(0)
                            )));
                        }
                        mean.unsqueeze(1)?.broadcast_as(given.dims())?.contiguous()?
                    }
                };
                given = active.contiguous()?.where_cond(&given.contiguous()?, &otherwise)?;
            }
            let (components, batch, width) = given.dims3()?;
            let sources = given.reshape((components * batch, width))?.matmul(&column)?;
            Ok(sources.reshape((components, batch))?.t()?.contiguous()?) // [batch, component]
        })?;
        Ok(ComponentAttributions { labels, values })
    }
}

impl HookedTransformer {
    /// What each component gives to each neuron of a layer's MLP before its activation function, on
    /// average over positions of a prompt and then over prompts: `[component, d_mlp]` of `f32`, through
    /// the MLP's norm. Components are those of
    /// [`get_full_resid_decomposition`](crate::model::ActivationCache::get_full_resid_decomposition).
    ///
    /// # Errors
    /// There is no such layer, or it has no MLP.
    pub fn mean_neuron_inputs(&self, layer: usize, prompts: &Corpus) -> Result<Tensor> {
        let reads = Reads::neurons(self, layer)?;
        let W_in = reads
            .W_in
            .as_ref()
            .ok_or_else(|| Error::new(format!("layer {layer} has no matrix into its MLP.")))?;
        let mut sum: Option<Tensor> = None;
        for prompt in 0..prompts.len() {
            check_interrupt()?;
            let cache = self
                .run(vec![prompts.ids(prompt)?])
                .cache(())
                .cache_only()?;
            let stack = cache.get_full_resid_decomposition(&reads.options)?;
            let mean = stack.components.to_dtype(DType::F32)?.mean(2)?.squeeze(1)?; // [component, d_model]
            let mean = mean.contiguous()?.matmul(W_in)?;
            sum = Some(match sum {
                Some(sum) => (sum + mean)?,
                None => mean,
            });
        }
        let sum = sum.ok_or_else(|| Error::new("there are no prompts: give at least one."))?;
        Ok((sum / prompts.len() as f64)?)
    }
}

/// What stands between the residual stream and a latent.
pub(super) struct Reads {
    options: ResidOptions,
    /// `[d_model, d_mlp]` of `f32`, where neurons are between them.
    pub(super) W_in: Option<Tensor>,
}

impl Reads {
    /// # Errors
    /// The point is neither in the residual stream nor an MLP's neurons.
    pub(super) fn of(model: &HookedTransformer, sae: &Sae, point: &HookPoint) -> Result<Self> {
        let layer = point.layer().unwrap_or(0);
        let stream = |options: ResidOptions| Self {
            options: options.expand_neurons(false),
            W_in: None,
        };
        match point.site() {
            Site::Post => Self::neurons(model, layer),
            Site::ResidMid | Site::MlpIn => Ok(stream(
                ResidOptions::new().layer(layer as isize).mlp_input(true),
            )),
            Site::ResidPost => Ok(stream(ResidOptions::new().layer(layer as isize + 1))),
            Site::ResidPre if layer > 0 => Ok(stream(ResidOptions::new().layer(layer as isize))),
            _ => Err(Error::new(format!(
                "{} reads `{point}`: what gives to its latents is only known for the residual stream \
                 behind a first component (`hook_resid_mid`, `hook_resid_post`, later \
                 `hook_resid_pre`) and for `mlp.hook_post`.",
                sae.name()
            ))),
        }
    }

    fn neurons(model: &HookedTransformer, layer: usize) -> Result<Self> {
        let W_in = model.weight(&format!("blocks.{layer}.mlp.W_in"))?;
        Ok(Self {
            options: ResidOptions::new()
                .layer(layer as isize)
                .mlp_input(true)
                .apply_ln(true)
                .expand_neurons(false),
            W_in: Some(W_in.to_dtype(DType::F32)?.contiguous()?),
        })
    }

    /// What latents read of the residual stream, `[latents, d_model]` of `f32`: their columns of `W_enc`,
    /// through `W_in` where neurons are between.
    pub(super) fn directions(&self, sae: &Sae) -> Result<Tensor> {
        let mut columns = sae.W_enc.to_dtype(DType::F32)?;
        if let Some(W_in) = &self.W_in {
            columns = W_in.matmul(&columns.to_device(W_in.device())?.contiguous()?)?;
        }
        Ok(columns.transpose(D::Minus1, D::Minus2)?.contiguous()?)
    }
}
