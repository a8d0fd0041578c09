//! The residual stream taken apart: what each component has written to it.
//!
//! Source: TransformerLens's `ActivationCache`, whose labels and order of components these are. The
//! idea: nostalgebraist 2020 ("interpreting GPT: the logit lens"); Elhage et al. 2021.

mod answer;
mod directions;
mod options;
mod parts;

pub use answer::Answer;
pub use options::ResidOptions;

use self::options::Mode;
use self::parts::Parts;
use super::cache::ActivationCache;
use super::config::Normalization;
use super::names::{HookPoint, Site, resolve_layer};
use super::parts::linear;
use crate::error::{Error, Result};
use crate::math::Span;
use candle_core::{D, Tensor};
use std::fmt;

/// Parts of the residual stream, one a component, and what they are called.
#[derive(Clone)]
pub struct ResidualStack {
    /// `[component, batch, pos, d_model]`; without `pos` where one position was chosen, without
    /// `batch` where the cache has none. Where components were projected, `d_model` is the number of
    /// directions, or gone where there was one: see [`ResidOptions::project_output_onto`].
    pub components: Tensor,
    /// One label a component: `L0H3`, `1_mlp_out`, `L2N17`, `embed`, `pos_embed`, `bias`, ...
    pub labels: Vec<String>,
}

impl ActivationCache {
    /// The residual stream at the entrance of each layer up to one (`0_pre`, `1_pre`, ...,
    /// `final_post`), and with `incl_mid` between attention and MLP (`0_mid`): the logit lens's input.
    ///
    /// With `apply_ln` up to the unembedding, each goes through the final norm for itself, as in the
    /// logit lens: these are states of one stream, not parts that sum to it.
    ///
    /// # Errors
    /// The run did not keep the residual streams, or has no such layer or position; `resid_mid` is
    /// asked of blocks that have none.
    pub fn accumulated_resid(&self, options: &ResidOptions) -> Result<ResidualStack> {
        let (layer, n_layers) = (self.layer_of(options)?, self.model().config().n_layers);
        let has_own_scale = options.apply_ln && layer == n_layers;
        let onto = match has_own_scale {
            true => None,
            false => self.onto(options, layer)?,
        };
        let mut parts = Parts::new(self, options, onto);
        for at in 0..=layer {
            if at == n_layers {
                parts.add(("resid_post", n_layers as isize - 1), "final_post")?;
                continue;
            }
            parts.add(("resid_pre", at as isize), format!("{at}_pre"))?;
            if (options.incl_mid && at < layer) || (options.mlp_input && at == layer) {
                parts.add(("resid_mid", at as isize), format!("{at}_mid"))?;
            }
        }
        if !has_own_scale {
            return self.finish(parts, options);
        }
        let mut stack = parts.stack()?;
        stack.components = self.model().final_norm(&stack.components)?;
        if let Some(onto) = self.directions(options)? {
            stack.components = linear(&stack.components, &onto, None)?;
        }
        directions::squeezed(stack, options)
    }

    /// What each layer's attention and MLP have written up to a layer, `0_attn_out`, `0_mlp_out`, ...,
    /// with the embeddings first.
    ///
    /// # Errors
    /// As [`ActivationCache::accumulated_resid`].
    pub fn decompose_resid(&self, options: &ResidOptions) -> Result<ResidualStack> {
        let layer = self.layer_of(options)?;
        let attn_only = self.model().config().attn_only;
        let (attention, mlp) = (options.mode != Mode::Mlp, options.mode != Mode::Attention);
        let mut parts = Parts::new(self, options, self.onto(options, layer)?);
        if options.incl_embeds {
            parts.add_embeds()?;
        }
        for at in 0..layer {
            if attention {
                parts.add(("attn_out", at as isize), format!("{at}_attn_out"))?;
            }
            if mlp && !attn_only {
                parts.add(("mlp_out", at as isize), format!("{at}_mlp_out"))?;
            }
        }
        if options.mlp_input && attention {
            parts.add(("attn_out", layer as isize), format!("{layer}_attn_out"))?;
        }
        self.finish(parts, options)
    }

    /// What each head (`L0H0`, ...), each MLP (`0_mlp_out`) or neuron (`L0N0`), the embeddings and all
    /// biases together (`bias`) have written up to a layer. They sum to the residual stream, but in
    /// models with a norm behind attention (Gemma 2), where heads are not what is added, and in
    /// shortformer models, whose `pos_embed` TransformerLens lists though it is read beside the stream.
    ///
    /// # Errors
    /// As [`ActivationCache::accumulated_resid`].
    pub fn get_full_resid_decomposition(&self, options: &ResidOptions) -> Result<ResidualStack> {
        let (model, layer) = (self.model(), self.layer_of(options)?);
        let mut parts = Parts::new(self, options, self.onto(options, layer)?);
        for at in 0..layer + usize::from(options.mlp_input) {
            parts.add_heads(at)?;
        }
        for at in 0..layer {
            match options.expand_neurons {
                _ if model.config().attn_only => {}
                true => parts.add_neurons(at)?,
                false => parts.add(("mlp_out", at as isize), format!("{at}_mlp_out"))?,
            }
        }
        parts.add_embeds()?;
        let bias = model.accumulated_bias(layer, options.mlp_input, options.expand_neurons)?;
        parts.add_everywhere(&bias, "bias")?;
        self.finish(parts, options)
    }

    /// What each head has written up to a layer: `L0H0`, `L0H1`, ... Computed from `hook_z` where the
    /// run did not keep `hook_result`.
    ///
    /// # Errors
    /// As [`ActivationCache::accumulated_resid`].
    pub fn stack_head_results(&self, options: &ResidOptions) -> Result<ResidualStack> {
        let layer = self.layer_of(options)?;
        let mut parts = Parts::new(self, options, self.onto(options, layer)?);
        (0..layer).try_for_each(|at| parts.add_heads(at))?;
        if options.incl_remainder {
            parts.add_remainder(layer)?;
        }
        self.finish(parts, options)
    }

    /// The same activations with `hook_result`, what each head writes, `[batch, pos, head, d_model]`, in
    /// each layer whose `hook_z` was kept: as if the run had been asked for it.
    ///
    /// ```
    /// use ferrolens::model::HookedTransformer;
    /// let model = HookedTransformer::from_pretrained("stories-2l")?;
    /// let (_, cache) = model.run_with_cache("Once upon a time", "*.hook_z")?;
    /// let result = &cache.compute_head_results()?[("result", 1)];
    /// assert_eq!(result.dim(2)?, model.config().n_heads);
    /// # Ok::<(), ferrolens::Error>(())
    /// ```
    ///
    /// # Errors
    /// The run kept no `hook_z`.
    pub fn compute_head_results(&self) -> Result<ActivationCache> {
        let n_layers = self.model().config().n_layers;
        let of_layer = |layer: &usize| self.contains(("z", *layer as isize));
        let layers: Vec<usize> = (0..n_layers).filter(of_layer).collect();
        if layers.is_empty() {
            return Err(Error::new(
                "what heads write is computed from `hook_z`, of which the run kept none: run with a \
                 names filter that chooses \"*.hook_z\".",
            ));
        }
        let mut results = Vec::new();
        for layer in layers {
            if self.contains(("result", layer as isize)) {
                continue;
            }
            let mut parts = Parts::new(self, &ResidOptions::new(), None);
            parts.add_heads(layer)?;
            let heads = parts.stack()?.components; // [head, .., d_model]
            let rank = heads.rank();
            let mut order: Vec<usize> = (1..rank - 1).collect();
            order.extend([0, rank - 1]);
            let result = heads.permute(order)?.contiguous()?; // [.., head, d_model]
            results.push((HookPoint::new(Site::Result, layer), result));
        }
        Ok(self.with(results))
    }

    /// What each neuron has written up to a layer: `L0N0`, `L0N1`, ... `[component, batch, pos,
    /// d_model]` is large: choose a position, some neurons ([`ResidOptions::neuron_slice`]), or
    /// directions ([`ResidOptions::project_output_onto`]).
    ///
    /// # Errors
    /// As [`ActivationCache::accumulated_resid`]; the model has no MLPs.
    pub fn stack_neuron_results(&self, options: &ResidOptions) -> Result<ResidualStack> {
        let layer = self.layer_of(options)?;
        let mut parts = Parts::new(self, options, self.onto(options, layer)?);
        (0..layer).try_for_each(|at| parts.add_neurons(at))?;
        if options.incl_remainder {
            parts.add_remainder(layer)?;
        }
        self.finish(parts, options)
    }

    /// What neurons of one layer write: each one's activation times its row of `W_out`, `[batch, pos,
    /// neuron, d_model]`. One neuron and one position leave out their dimensions.
    ///
    /// ```
    /// use ferrolens::model::HookedTransformer;
    /// let model = HookedTransformer::from_pretrained("stories-2l")?;
    /// let (_, cache) = model.run_with_cache("Once upon a time", ())?;
    /// let written = cache.get_neuron_results(1, 10..20, -1)?; // [batch, neuron, d_model]
    /// assert_eq!(written.dims(), [1, 10, model.config().d_model]);
    /// # Ok::<(), ferrolens::Error>(())
    /// ```
    ///
    /// # Errors
    /// The run did not keep `hook_post` of the layer, which has no such neurons or positions.
    pub fn get_neuron_results(
        &self,
        layer: isize,
        neuron_slice: impl Into<Span>,
        pos_slice: impl Into<Span>,
    ) -> Result<Tensor> {
        let (model, neurons) = (self.model(), neuron_slice.into());
        let post = self.get(("post", layer))?; // [.., pos, d_mlp]
        let post = pos_slice.into().of(&post, post.rank() - 2)?;
        let post = neurons.of(&post, post.rank() - 1)?;
        let layer = resolve_layer(layer, Some(model.config().n_layers))?;
        let W_out = model.weight(&format!("blocks.{layer}.mlp.W_out"))?;
        let W_out = neurons.of(&W_out, 0)?; // [neuron, d_model]
        Ok(post.unsqueeze(D::Minus1)?.broadcast_mul(&W_out)?)
    }

    /// Parts of the residual stream through the norm of the layer that reads their sum, with the
    /// scale that the run had: centred where the norm is a LayerNorm, and divided. As that is linear,
    /// the parts still sum to what the layer reads (a processed model's norms have no `w` and `b`).
    ///
    /// `layer` and `mlp_input` are those that the parts were made with; the last dimensions of
    /// `stack` are those of the residual stream at `pos_slice`.
    ///
    /// # Errors
    /// The run did not keep the scale, or it does not fit.
    pub fn apply_ln_to_stack(
        &self,
        stack: &Tensor,
        layer: isize,
        mlp_input: bool,
        pos_slice: impl Into<Span>,
    ) -> Result<Tensor> {
        let (kind, _) = self.norm_before(self.layer(layer)?, mlp_input);
        let stack = match kind.centres() {
            true => stack.broadcast_sub(&stack.mean_keepdim(D::Minus1)?)?,
            false => stack.clone(),
        };
        self.scaled(&stack, layer, mlp_input, pos_slice.into())
    }

    /// The norm before a layer, or before its MLP, and the hook point of its scale.
    fn norm_before(&self, layer: usize, mlp_input: bool) -> (Normalization, String) {
        let config = self.model().config();
        if layer == config.n_layers {
            let scale = "ln_final.hook_scale".to_owned();
            return (config.final_normalization(), scale);
        }
        let norm = if mlp_input { 2 } else { 1 };
        let scale = format!("blocks.{layer}.ln{norm}.hook_scale");
        (config.normalization, scale)
    }

    /// A stack divided by the scale of the norm before a layer.
    fn scaled(
        &self,
        stack: &Tensor,
        layer: isize,
        mlp_input: bool,
        pos_slice: Span,
    ) -> Result<Tensor> {
        let (kind, name) = self.norm_before(self.layer(layer)?, mlp_input);
        if kind == Normalization::None {
            return Ok(stack.clone());
        }
        let scale = self.get(name.as_str())?; // [batch, pos, 1]
        let scale = pos_slice.of(&scale, scale.rank() - 2)?;
        stack.broadcast_div(&scale).map_err(|_| {
            Error::new(format!(
                "a stack of shape {:?} does not fit the scale of `{name}`, of shape {:?}: give the \
                 `pos_slice` that the stack was made with.",
                stack.dims(),
                scale.dims()
            ))
        })
    }

    /// By how much each part of a stack raises the logit of a token, or of one token over another
    /// (direct logit attribution): the part through the final norm, times the token's column of
    /// `W_U`. `[component, batch, pos]`, or without `pos` for one position.
    ///
    /// `tokens` is one token for all, one for each prompt (`[batch]`), or one for each position
    /// (`[batch, pos]`).
    ///
    /// # Errors
    /// A text that is not one token, tokens that do not fit the stack, or a scale that was not kept.
    pub fn logit_attrs(
        &self,
        stack: &Tensor,
        tokens: impl Into<Answer>,
        incorrect_tokens: Option<Answer>,
        pos_slice: impl Into<Span>,
    ) -> Result<Tensor> {
        let model = self.model();
        let mut directions = model.tokens_to_residual_directions(tokens)?;
        if let Some(incorrect) = incorrect_tokens {
            directions = (directions - model.tokens_to_residual_directions(incorrect)?)?;
        }
        let scaled = self.apply_ln_to_stack(stack, -1, false, pos_slice)?;
        let product = scaled.broadcast_mul(&directions).map_err(|_| {
            Error::new(format!(
                "directions of shape {:?} do not fit a stack of shape {:?}: give one token, one for \
                 each prompt, or one for each position.",
                directions.dims(),
                scaled.dims()
            ))
        })?;
        Ok(product.sum(D::Minus1)?)
    }

    fn layer_of(&self, options: &ResidOptions) -> Result<usize> {
        self.layer(options.layer.unwrap_or(-1))
    }

    /// -1 is what comes after the last block.
    fn layer(&self, layer: isize) -> Result<usize> {
        let n_layers = self.model().config().n_layers;
        match usize::try_from(layer) {
            Ok(layer) if layer <= n_layers => Ok(layer),
            Err(_) if layer == -1 => Ok(n_layers),
            _ => Err(Error::new(format!(
                "layer {layer} does not exist: use 0 to {n_layers}, or -1 for what the unembedding \
                 reads."
            ))),
        }
    }

    fn finish(&self, parts: Parts, options: &ResidOptions) -> Result<ResidualStack> {
        let mut stack = parts.stack()?;
        if options.apply_ln {
            let layer = options.layer.unwrap_or(-1);
            let (mlp_input, positions) = (options.mlp_input, options.pos_slice);
            stack.components = match options.project_output_onto {
                // The directions are centred already.
                Some(_) => self.scaled(&stack.components, layer, mlp_input, positions)?,
                None => self.apply_ln_to_stack(&stack.components, layer, mlp_input, positions)?,
            };
        }
        directions::squeezed(stack, options)
    }
}

impl fmt::Debug for ResidualStack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shape = self.components.dims();
        write!(f, "ResidualStack {shape:?}: ")?;
        let shown = self.labels.iter().take(8).map(String::as_str);
        f.write_str(&shown.collect::<Vec<_>>().join(", "))?;
        if self.labels.len() > 8 {
            f.write_str(", ...")?;
        }
        Ok(())
    }
}
