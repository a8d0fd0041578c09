//! The model: immutable, cheap to clone, and the door to everything else in this room.

use super::arch::Network;
use super::cache::ActivationCache;
use super::config::Config;
use super::filter::{IntoFilter, Offered};
use super::hooks::Hooks;
use super::input::Input;
use super::names::{HookPoint, PointName, Site};
use super::padded::Padded;
use super::pass::{Halt, Pass};
use super::process::remove_norms;
use super::run::Run;
use super::splice::{Splice, Splices};
use super::tokenizer::{PaddingSide, Tokenizer};
use super::weights::Weights;
use crate::error::{Error, Result, suggestion};
use candle_core::{DType, Device, Tensor};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// A transformer whose every activation can be read and replaced.
///
/// The model never changes: clones share its weights, and hooks and caches belong to a single
/// call. Names, shapes and the order of hook points are TransformerLens's (`HookedTransformer`).
///
/// ```
/// use ferrolens::model::HookedTransformer;
/// let model = HookedTransformer::from_pretrained("stories-2l")?;
/// let (logits, cache) = model.run_with_cache("Once upon a time", ())?;
/// let pattern = cache.act("pattern", 1)?; // [batch, head, query, key]
/// assert_eq!(pattern.dim(1)?, model.config().n_heads);
/// # Ok::<(), ferrolens::Error>(())
/// ```
#[derive(Clone)]
pub struct HookedTransformer {
    inner: Arc<Inner>,
    offered: Arc<Offered>,
    /// In place in every run of this scope: see [`HookedTransformer::with_hooks`].
    hooks: Hooks,
    /// What stands in the place of activations in every run of this scope.
    splices: Splices,
    /// Whether heads that share keys and values have them each for itself at hook points.
    ungroups: bool,
    tokenizer: Option<Tokenizer>,
}

struct Inner {
    config: Config,
    network: Network,
    weights: Weights,
    device: Device,
    dtype: DType,
}

impl HookedTransformer {
    /// A model with these weights, under TransformerLens's names and shapes: `embed.W_E [d_vocab,
    /// d_model]`, `blocks.0.attn.W_Q [head, d_model, d_head]`, `unembed.W_U [d_model, d_vocab]`, ...
    ///
    /// The weights may be variables: the forward pass is differentiable, and follows them when they
    /// are set.
    ///
    /// # Errors
    /// A weight is missing or does not have the shape that the config asks for.
    pub fn new(
        config: Config,
        weights: HashMap<String, Tensor>,
        tokenizer: Option<Tokenizer>,
    ) -> Result<Self> {
        let origin = format!("the weights of {}", config.model_name);
        Self::build(config, Weights::new(origin, weights), tokenizer)
    }

    pub(crate) fn build(
        config: Config,
        mut weights: Weights,
        tokenizer: Option<Tokenizer>,
    ) -> Result<Self> {
        config.validate()?;
        let network = Network::new(&config, &mut weights)?;
        let embedding = weights.get("embed.W_E", &[config.d_vocab, config.d_model])?;
        let offered = network.offered(&[]);
        Ok(Self {
            offered: Arc::new(offered),
            hooks: Hooks::new(),
            splices: Splices::default(),
            ungroups: false,
            tokenizer,
            inner: Arc::new(Inner {
                device: embedding.device().clone(),
                dtype: embedding.dtype(),
                config,
                network,
                weights,
            }),
        })
    }

    /// The logits of a prompt, `[batch, pos, d_vocab]`.
    ///
    /// # Errors
    /// The prompt is empty or longer than `n_ctx`, or holds a token outside the vocabulary; text is
    /// given to a model without a tokenizer.
    pub fn forward(&self, input: impl Into<Input>) -> Result<Tensor> {
        self.run(input).logits()
    }

    /// The logits of a prompt and the activations that `names_filter` chooses (`()`: all).
    ///
    /// # Errors
    /// As [`HookedTransformer::forward`], and a filter that means no hook point.
    pub fn run_with_cache(
        &self,
        input: impl Into<Input>,
        names_filter: impl IntoFilter,
    ) -> Result<(Tensor, ActivationCache)> {
        self.run(input).cache(names_filter).logits_and_cache()
    }

    /// The logits of a prompt with these hooks in place, `[batch, pos, d_vocab]`.
    ///
    /// # Errors
    /// As [`HookedTransformer::forward`], a hook on no hook point, and whatever a hook fails with.
    pub fn run_with_hooks(
        &self,
        input: impl Into<Input>,
        hooks: impl Into<Hooks>,
    ) -> Result<Tensor> {
        self.run(input).hooks(hooks).logits()
    }

    /// Logits and activations with these hooks in place. The cache shows what the hooks left.
    ///
    /// # Errors
    /// As [`HookedTransformer::run_with_cache`] and [`HookedTransformer::run_with_hooks`].
    pub fn run_with_hooks_and_cache(
        &self,
        input: impl Into<Input>,
        hooks: impl Into<Hooks>,
        names_filter: impl IntoFilter,
    ) -> Result<(Tensor, ActivationCache)> {
        let run = self.run(input).hooks(hooks);
        run.cache(names_filter).logits_and_cache()
    }

    /// Only the activations that `names_filter` chooses: the run stops after the last of them, so
    /// early layers cost little.
    ///
    /// # Errors
    /// As [`HookedTransformer::run_with_cache`].
    pub fn cache_only(
        &self,
        input: impl Into<Input>,
        names_filter: impl IntoFilter,
    ) -> Result<ActivationCache> {
        self.run(input).cache(names_filter).cache_only()
    }

    /// A run of this model, to which hooks, a cache and a stopping point can be added.
    pub fn run(&self, input: impl Into<Input>) -> Run {
        Run::on_input(self.clone(), input.into())
    }

    /// A run that starts with this residual stream, `[batch, pos, d_model]`, at the entrance of a
    /// layer (`n_layers`: behind the last block).
    pub fn run_from_layer(&self, layer: usize, residual: &Tensor) -> Run {
        Run::on_residual(self.clone(), layer, residual.clone())
    }

    /// The mean loss over all predictions of a prompt: see [`Run::loss`].
    ///
    /// # Errors
    /// As [`HookedTransformer::forward`]; a prompt of a single token predicts nothing.
    pub fn loss(&self, input: impl Into<Input>) -> Result<f32> {
        self.run(input).loss()
    }

    /// The loss of each prediction, `[batch, pos - 1]`: see [`Run::loss_per_token`].
    ///
    /// # Errors
    /// As [`HookedTransformer::loss`].
    pub fn loss_per_token(&self, input: impl Into<Input>) -> Result<Tensor> {
        self.run(input).loss_per_token()
    }

    /// Every hook point that is on by default, in the order in which a run visits them.
    pub fn hook_points(&self) -> Vec<HookPoint> {
        self.offered.by_default.clone()
    }

    /// The hook points that are computed only when asked for by name.
    pub fn opt_in_hook_points(&self) -> Vec<HookPoint> {
        self.offered.opt_in.clone()
    }

    /// The hook point that a name means in this model, with negative layers resolved.
    ///
    /// # Errors
    /// A name that means no hook point, or a layer that the model does not have.
    pub fn hook_point(&self, name: impl Into<PointName>) -> Result<HookPoint> {
        name.into().resolve(Some(self.inner.config.n_layers))
    }

    /// The same model (it shares the weights) with these hooks in place in every run: a scope that ends
    /// where the value does. Scopes nest: the hooks of the outer one come first.
    ///
    /// ```
    /// use ferrolens::model::{HookedTransformer, Hooks};
    /// let model = HookedTransformer::from_pretrained("stories-2l")?;
    /// let ablated = model.with_hooks(Hooks::new().add(("mlp_out", 0), |value, _| value.zeros_like()));
    /// assert!(ablated.loss("Once upon a time")? > model.loss("Once upon a time")?);
    /// # Ok::<(), ferrolens::Error>(())
    /// ```
    #[must_use]
    pub fn with_hooks(&self, hooks: impl Into<Hooks>) -> Self {
        Self {
            hooks: self.hooks.clone().and(hooks),
            ..self.clone()
        }
    }

    /// The same model (it shares the weights) in which `attn.hook_result` is on by default, so that
    /// a cache of everything holds it.
    #[must_use]
    pub fn use_attn_result(&self, on: bool) -> Self {
        self.with_default(&[Site::Result], on)
    }

    /// The same model in which each head's copies of the residual stream are on by default:
    /// `hook_q_input`, `hook_k_input` and `hook_v_input`.
    #[must_use]
    pub fn use_split_qkv_input(&self, on: bool) -> Self {
        self.with_default(&[Site::QInput, Site::KInput, Site::VInput], on)
    }

    /// The same model in which `hook_attn_in` is on by default.
    #[must_use]
    pub fn use_attn_in(&self, on: bool) -> Self {
        self.with_default(&[Site::AttnIn], on)
    }

    /// The same model in which `hook_mlp_in` is on by default.
    #[must_use]
    pub fn use_hook_mlp_in(&self, on: bool) -> Self {
        self.with_default(&[Site::MlpIn], on)
    }

    /// The same model in which query heads that share keys and values (grouped-query attention) have
    /// them each for itself at `hook_k`, `hook_v`, `hook_rot_k`, `hook_k_input` and `hook_v_input`, so
    /// that a hook there can be for one head alone. It computes the same; models without shared keys
    /// stay as they are.
    ///
    /// ```
    /// use ferrolens::model::HookedTransformer;
    /// let model = HookedTransformer::from_pretrained("stories-2l")?.ungroup_grouped_query_attention(true);
    /// let cache = model.cache_only("Once upon a time", ("k", 0))?;
    /// assert_eq!(cache[("k", 0)].dim(2)?, model.config().n_heads);
    /// # Ok::<(), ferrolens::Error>(())
    /// ```
    #[must_use]
    pub fn ungroup_grouped_query_attention(&self, on: bool) -> Self {
        Self {
            ungroups: on,
            ..self.clone()
        }
    }

    fn with_default(&self, sites: &[Site], on: bool) -> Self {
        let offered = self.network().offered(&[]);
        let opt_in = offered.opt_in.iter().map(HookPoint::site);
        let is_on = |site: &Site| match sites.contains(site) {
            true => on,
            false => {
                let mut now = self.offered.by_default.iter();
                now.any(|point| point.site() == *site && point.inner().is_none())
            }
        };
        let switched_on: Vec<Site> = opt_in.filter(is_on).collect();
        let offered = self.network().offered(&switched_on);
        Self {
            offered: Arc::new(self.splices.offered(&offered, &self.plain_firing_order())),
            ..self.clone()
        }
    }

    /// The same model (it shares the weights) with something in the place of an activation, in every run
    /// of this scope.
    ///
    /// # Errors
    /// The model has no such hook points.
    pub(crate) fn with_splice(&self, splice: Arc<dyn Splice>) -> Result<Self> {
        let order = self.plain_firing_order();
        for point in [splice.reads(), splice.replaces()] {
            if !order.contains(&point) {
                let known = order.iter().map(HookPoint::name);
                return Err(Error::new(format!(
                    "{} has no hook point `{point}`.{} `model.hook_points()` lists them all.",
                    self.inner.config.model_name,
                    suggestion(&point.name(), known)
                )));
            }
        }
        let splices = self.splices.clone().with(splice);
        Ok(Self {
            offered: Arc::new(splices.offered(&self.offered, &order)),
            splices,
            ..self.clone()
        })
    }

    /// Whether it is inside a scope of hooks or autoencoders, which change what it computes and have no
    /// name to tell that by.
    pub(crate) fn is_in_scope(&self) -> bool {
        !self.hooks.is_empty() || !self.splices.is_empty()
    }

    /// What stands in the place of activations in this scope.
    pub(crate) fn splices(&self) -> &Splices {
        &self.splices
    }

    /// A copy of the model with its weights on another device and of another type.
    ///
    /// # Errors
    /// The type is not a floating-point one, or the device has no room.
    pub fn to(&self, device: &Device, dtype: DType) -> Result<Self> {
        let weights = self.inner.weights.clone().place(dtype, device)?;
        Self::build(self.inner.config.clone(), weights, self.tokenizer.clone())
    }

    /// What was odd about the files that the model was loaded from, a sentence each, such as weights
    /// that are not finite. They were also written to stderr.
    pub fn load_warnings(&self) -> Vec<String> {
        self.inner.weights.warnings().to_vec()
    }

    /// The same model without LayerNorms or RMSNorms: the identity stands in their place, and their
    /// hook points are gone. Norms are folded into the matrices behind them first.
    ///
    /// For models that were fine-tuned to need no norms, such as `apollo-research/gpt2_noLN`
    /// (Heimersheim 2024, arXiv 2409.13710). Their checkpoints say so by an `eps` so large that it is
    /// all that a norm divides by; the identity then divides by nothing, and that constant goes into
    /// the matrices. For any other model this changes what it predicts.
    ///
    /// ```
    /// use ferrolens::model::HookedTransformer;
    /// let model = HookedTransformer::from_pretrained("stories-2l")?.without_layer_norm()?;
    /// assert!(!model.hook_points().iter().any(|point| point == "ln_final.hook_scale"));
    /// # Ok::<(), ferrolens::Error>(())
    /// ```
    ///
    /// # Errors
    /// The model has norms behind attention or inside its MLPs, which cannot be folded away.
    pub fn without_layer_norm(&self) -> Result<Self> {
        let (mut config, mut weights) = (self.config(), self.inner.weights.clone());
        remove_norms(&mut config, &mut weights)?;
        Self::build(config, weights, self.tokenizer.clone())
    }

    /// The sizes and choices of the model.
    pub fn config(&self) -> Config {
        self.inner.config.clone()
    }

    /// Where the weights are.
    pub fn device(&self) -> Device {
        self.inner.device.clone()
    }

    /// The type of the weights.
    pub fn dtype(&self) -> DType {
        self.inner.dtype
    }

    /// Whether two models share their weights, as clones do.
    pub fn shares_weights_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// The same model (it shares the weights) with another tokenizer.
    ///
    /// ```
    /// use ferrolens::model::HookedTransformer;
    /// let model = HookedTransformer::from_pretrained("stories-2l")?;
    /// let without_bos = model.with_tokenizer(&model.tokenizer()?.with_prepend_bos(false));
    /// let (with, without) = (model.to_tokens("Lily")?, without_bos.to_tokens("Lily")?);
    /// assert_eq!(with.dim(1)?, without.dim(1)? + 1);
    /// # Ok::<(), ferrolens::Error>(())
    /// ```
    #[must_use]
    pub fn with_tokenizer(&self, tokenizer: &Tokenizer) -> Self {
        Self {
            tokenizer: Some(tokenizer.clone()),
            ..self.clone()
        }
    }

    /// The tokenizer.
    ///
    /// # Errors
    /// The model was made without one.
    pub fn tokenizer(&self) -> Result<Tokenizer> {
        self.tokenizer.clone().ok_or_else(|| {
            Error::new(format!(
                "the model {} has no tokenizer: give it token ids instead of text.",
                self.inner.config.model_name
            ))
        })
    }

    /// Residual streams, `[.., d_model]`, through the final norm, each with a scale of its own.
    pub(crate) fn final_norm(&self, residual: &Tensor) -> Result<Tensor> {
        let mut pass = Pass::new(
            &Hooks::new(),
            &Hooks::new(),
            None,
            false,
            None,
            &self.offered,
        )?;
        match self.network().final_norm(residual.clone(), &mut pass) {
            Ok(normalized) => Ok(normalized),
            Err(Halt::Failed(error)) => Err(error),
            Err(Halt::Done) => Err(Error::new("the final norm stopped by itself.")),
        }
    }

    pub(crate) fn network(&self) -> &Network {
        &self.inner.network
    }

    /// All hook points, the opt-in ones among them, in firing order.
    pub(crate) fn firing_order(&self) -> Vec<HookPoint> {
        let order = self.plain_firing_order();
        let all = Offered {
            by_default: order.clone(),
            opt_in: Vec::new(),
            n_layers: self.offered.n_layers,
        };
        self.splices.offered(&all, &order).by_default
    }

    /// The same of the model itself, whatever stands in it.
    fn plain_firing_order(&self) -> Vec<HookPoint> {
        let opt_in = self.network().offered(&[]).opt_in;
        let sites: Vec<Site> = opt_in.iter().map(HookPoint::site).collect();
        self.network().offered(&sites).by_default
    }

    /// Whether heads that share keys and values have them each for itself at hook points.
    pub(crate) fn ungroups(&self) -> bool {
        self.ungroups
    }

    /// The hooks of the scopes that the model is in.
    pub(crate) fn scope(&self) -> &Hooks {
        &self.hooks
    }

    pub(crate) fn weights(&self) -> &Weights {
        &self.inner.weights
    }

    pub(crate) fn offered(&self) -> &Offered {
        &self.offered
    }

    /// An input as tokens on the model's device, checked.
    pub(crate) fn prepare(
        &self,
        input: &Input,
        side: Option<PaddingSide>,
        prepend_bos: Option<bool>,
    ) -> Result<Padded> {
        Padded::new(self, input, side, prepend_bos)
    }
}

impl fmt::Debug for HookedTransformer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let config = &self.inner.config;
        write!(
            f,
            "HookedTransformer({}: {}, {} layers, d_model {}, {} heads, d_mlp {}, d_vocab {}, \
             n_ctx {}, {:?}, {:?})",
            config.model_name,
            config.architecture,
            config.n_layers,
            config.d_model,
            config.n_heads,
            config.d_mlp,
            config.d_vocab,
            config.n_ctx,
            self.inner.dtype,
            self.inner.device.location(),
        )
    }
}
