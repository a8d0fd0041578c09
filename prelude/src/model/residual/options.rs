//! Which parts of the residual stream are asked for.

use crate::math::Span;
use candle_core::Tensor;

/// Which parts of the residual stream, up to where, at which positions.
///
/// ```
/// use ferrolens::model::{HookedTransformer, ResidOptions};
/// let model = HookedTransformer::from_pretrained("stories-2l")?;
/// let (_, cache) = model.run_with_cache("Once upon a time", ())?;
/// let options = ResidOptions::new().expand_neurons(false).apply_ln(true).pos_slice(-1);
/// let parts = cache.get_full_resid_decomposition(&options)?;
/// let attrs = cache.logit_attrs(&parts.components, "," , None, -1)?; // [component, batch]
/// assert_eq!(attrs.dim(0)?, parts.labels.len());
/// # Ok::<(), ferrolens::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct ResidOptions {
    pub(super) layer: Option<isize>,
    pub(super) mlp_input: bool,
    pub(super) incl_mid: bool,
    pub(super) apply_ln: bool,
    pub(super) pos_slice: Span,
    pub(super) mode: Mode,
    pub(super) incl_embeds: bool,
    pub(super) expand_neurons: bool,
    pub(super) incl_remainder: bool,
    pub(super) neuron_slice: Span,
    pub(super) project_output_onto: Option<Tensor>,
}

/// Which components a decomposition has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    All,
    Attention,
    Mlp,
}

impl Default for ResidOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl ResidOptions {
    /// Everything before the unembedding, at all positions, before the final norm.
    pub fn new() -> Self {
        Self {
            layer: None,
            mlp_input: false,
            incl_mid: false,
            apply_ln: false,
            pos_slice: Span::all(),
            mode: Mode::All,
            incl_embeds: true,
            expand_neurons: true,
            incl_remainder: false,
            neuron_slice: Span::all(),
            project_output_onto: None,
        }
    }

    /// What block `layer` reads; -1 and `n_layers` mean what the unembedding reads, as in
    /// TransformerLens.
    #[must_use]
    pub fn layer(mut self, layer: isize) -> Self {
        self.layer = Some(layer);
        self
    }

    /// With the attention of the layer itself: what its MLP reads.
    #[must_use]
    pub fn mlp_input(mut self, on: bool) -> Self {
        self.mlp_input = on;
        self
    }

    /// With `resid_mid` of each layer, in [`ActivationCache::accumulated_resid`](crate::model::ActivationCache::accumulated_resid).
    #[must_use]
    pub fn incl_mid(mut self, on: bool) -> Self {
        self.incl_mid = on;
        self
    }

    /// Through the norm of the layer that reads it, with the scale that the run had: see
    /// [`ActivationCache::apply_ln_to_stack`](crate::model::ActivationCache::apply_ln_to_stack).
    #[must_use]
    pub fn apply_ln(mut self, on: bool) -> Self {
        self.apply_ln = on;
        self
    }

    /// At one position (-1: the last), which leaves out the dimension, or at a range of them.
    #[must_use]
    pub fn pos_slice(mut self, positions: impl Into<Span>) -> Self {
        self.pos_slice = positions.into();
        self
    }

    /// Attention's outputs only, in [`ActivationCache::decompose_resid`](crate::model::ActivationCache::decompose_resid).
    #[must_use]
    pub fn only_attn(mut self) -> Self {
        self.mode = Mode::Attention;
        self
    }

    /// The MLPs' outputs only, in [`ActivationCache::decompose_resid`](crate::model::ActivationCache::decompose_resid).
    #[must_use]
    pub fn only_mlp(mut self) -> Self {
        self.mode = Mode::Mlp;
        self
    }

    /// With the embeddings, in [`ActivationCache::decompose_resid`](crate::model::ActivationCache::decompose_resid). On by default.
    #[must_use]
    pub fn incl_embeds(mut self, on: bool) -> Self {
        self.incl_embeds = on;
        self
    }

    /// Neuron by neuron rather than MLP by MLP, in
    /// [`ActivationCache::get_full_resid_decomposition`](crate::model::ActivationCache::get_full_resid_decomposition). On by default, as in TransformerLens: choose a
    /// position, or it is large.
    #[must_use]
    pub fn expand_neurons(mut self, on: bool) -> Self {
        self.expand_neurons = on;
        self
    }

    /// With the rest of the residual stream as a last component, `remainder`, in the stacks of
    /// heads and of neurons.
    #[must_use]
    pub fn incl_remainder(mut self, on: bool) -> Self {
        self.incl_remainder = on;
        self
    }

    /// Some neurons of each layer only, an index or a range, where components are neurons: `L0N3` of
    /// `neuron_slice(3)`. The others are part of the `remainder`.
    ///
    /// ```
    /// use ferrolens::model::{HookedTransformer, ResidOptions};
    /// let model = HookedTransformer::from_pretrained("stories-2l")?;
    /// let (_, cache) = model.run_with_cache("Once upon a time", ())?;
    /// let options = ResidOptions::new().neuron_slice(2..5).pos_slice(-1);
    /// let stack = cache.stack_neuron_results(&options)?; // [component, batch, d_model]
    /// assert_eq!(stack.labels[..3], ["L0N2", "L0N3", "L0N4"]);
    /// # Ok::<(), ferrolens::Error>(())
    /// ```
    #[must_use]
    pub fn neuron_slice(mut self, neurons: impl Into<Span>) -> Self {
        self.neuron_slice = neurons.into();
        self
    }

    /// How far each component goes in these directions, in the place of the component itself: for
    /// `[d_model]` the last dimension is gone, for `[d_model, directions]` it is that of the
    /// directions. With `apply_ln` it is what the directions read through the norm.
    ///
    /// Components of `d_model` numbers are not made first, so that all neurons at all positions fit.
    ///
    /// ```
    /// use ferrolens::model::{HookedTransformer, ResidOptions};
    /// let model = HookedTransformer::from_pretrained("stories-2l")?;
    /// let (_, cache) = model.run_with_cache("Once upon a", ())?;
    /// let direction = model.tokens_to_residual_directions(" time")?; // [d_model]
    /// let options = ResidOptions::new().apply_ln(true).project_output_onto(&direction);
    /// let attrs = cache.get_full_resid_decomposition(&options)?; // [component, batch, pos]
    /// assert_eq!(attrs.components.dims()[1..], [1, 4]);
    /// # Ok::<(), ferrolens::Error>(())
    /// ```
    #[must_use]
    pub fn project_output_onto(mut self, directions: &Tensor) -> Self {
        self.project_output_onto = Some(directions.clone());
        self
    }
}
