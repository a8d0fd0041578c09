//! The residual stream taken apart: what each component has written to it.
//!
//! Source: TransformerLens's `ActivationCache`, whose labels and order of components these are. The
//! idea: nostalgebraist 2020 ("interpreting GPT: the logit lens"); Elhage et al. 2021.

use super::cache::ActivationCache;
use super::config::Normalization;
use crate::error::{Error, Result};
use crate::math::Span;
use candle_core::{D, Tensor};
use std::fmt;

/// Parts of the residual stream, one a component, and what they are called.
#[derive(Clone)]
pub struct ResidualStack {
    /// `[component, batch, pos, d_model]`; without `pos` where one position was chosen, without
    /// `batch` where the cache has none.
    pub components: Tensor,
    /// One label a component: `L0H3`, `1_mlp_out`, `L2N17`, `embed`, `pos_embed`, `bias`, ...
    pub labels: Vec<String>,
}

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
    layer: Option<isize>,
    mlp_input: bool,
    incl_mid: bool,
    apply_ln: bool,
    pos_slice: Span,
    mode: Mode,
    incl_embeds: bool,
    expand_neurons: bool,
    incl_remainder: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
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

    /// With `resid_mid` of each layer, in [`ActivationCache::accumulated_resid`].
    #[must_use]
    pub fn incl_mid(mut self, on: bool) -> Self {
        self.incl_mid = on;
        self
    }

    /// Through the norm of the layer that reads it, with the scale that the run had: see
    /// [`ActivationCache::apply_ln_to_stack`].
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

    /// Attention's outputs only, in [`ActivationCache::decompose_resid`].
    #[must_use]
    pub fn only_attn(mut self) -> Self {
        self.mode = Mode::Attention;
        self
    }

    /// The MLPs' outputs only, in [`ActivationCache::decompose_resid`].
    #[must_use]
    pub fn only_mlp(mut self) -> Self {
        self.mode = Mode::Mlp;
        self
    }

    /// With the embeddings, in [`ActivationCache::decompose_resid`]. On by default.
    #[must_use]
    pub fn incl_embeds(mut self, on: bool) -> Self {
        self.incl_embeds = on;
        self
    }

    /// Neuron by neuron rather than MLP by MLP, in
    /// [`ActivationCache::get_full_resid_decomposition`]. On by default, as in TransformerLens: choose a
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
        let mut parts = Parts::new(self, options.pos_slice);
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
        if layer < n_layers || !options.apply_ln {
            return self.finish(parts, options);
        }
        let mut stack = parts.stack()?;
        stack.components = self.model().final_norm(&stack.components)?;
        Ok(stack)
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
        let mut parts = Parts::new(self, options.pos_slice);
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
        let mut parts = Parts::new(self, options.pos_slice);
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
        let mut parts = Parts::new(self, options.pos_slice);
        (0..layer).try_for_each(|at| parts.add_heads(at))?;
        if options.incl_remainder {
            parts.add_remainder(layer)?;
        }
        self.finish(parts, options)
    }

    /// What each neuron has written up to a layer: `L0N0`, `L0N1`, ... `[component, batch, pos,
    /// d_model]` is large: choose a position.
    ///
    /// # Errors
    /// As [`ActivationCache::accumulated_resid`]; the model has no MLPs.
    pub fn stack_neuron_results(&self, options: &ResidOptions) -> Result<ResidualStack> {
        let layer = self.layer_of(options)?;
        let mut parts = Parts::new(self, options.pos_slice);
        (0..layer).try_for_each(|at| parts.add_neurons(at))?;
        if options.incl_remainder {
            parts.add_remainder(layer)?;
        }
        self.finish(parts, options)
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
        let config = self.model().config();
        let layer = self.layer(layer)?;
        let (kind, name) = match layer == config.n_layers {
            true => (
                config.final_normalization(),
                "ln_final.hook_scale".to_owned(),
            ),
            false => {
                let norm = if mlp_input { 2 } else { 1 };
                let name = format!("blocks.{layer}.ln{norm}.hook_scale");
                (config.normalization, name)
            }
        };
        if kind == Normalization::None {
            return Ok(stack.clone());
        }
        let scale = self.get(name.as_str())?; // [batch, pos, 1]
        let scale = pos_slice.into().of(&scale, scale.rank() - 2)?;
        let stack = match kind.centres() {
            true => stack.broadcast_sub(&stack.mean_keepdim(D::Minus1)?)?,
            false => stack.clone(),
        };
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
            stack.components =
                self.apply_ln_to_stack(&stack.components, layer, mlp_input, positions)?;
        }
        Ok(stack)
    }
}

/// A stack in the making.
struct Parts<'a> {
    cache: &'a ActivationCache,
    pos_slice: Span,
    /// `[component, ..]` each.
    stacks: Vec<Tensor>,
    labels: Vec<String>,
}

impl<'a> Parts<'a> {
    fn new(cache: &'a ActivationCache, pos_slice: Span) -> Self {
        Self {
            cache,
            pos_slice,
            stacks: Vec::new(),
            labels: Vec::new(),
        }
    }

    /// One activation, `[batch, pos, d_model]`.
    fn add(&mut self, (name, layer): (&str, isize), label: impl Into<String>) -> Result<()> {
        let value = self.cache.get((name, layer))?;
        self.push(&value, label)
    }

    fn push(&mut self, value: &Tensor, label: impl Into<String>) -> Result<()> {
        let value = self.pos_slice.of(value, value.rank() - 2)?;
        self.stacks.push(value.unsqueeze(0)?);
        self.labels.push(label.into());
        Ok(())
    }

    fn add_embeds(&mut self) -> Result<()> {
        let embed = self.cache.get("hook_embed")?;
        self.push(&embed, "embed")?;
        if self
            .cache
            .model()
            .hook_points()
            .iter()
            .any(|point| point == "hook_pos_embed")
        {
            let pos_embed = self.cache.get("hook_pos_embed")?;
            self.push(&pos_embed, "pos_embed")?;
        }
        Ok(())
    }

    /// What each head of a layer writes.
    fn add_heads(&mut self, layer: usize) -> Result<()> {
        let heads = match self.cache.contains(("result", layer as isize)) {
            true => {
                let result = self.cache.get(("result", layer as isize))?; // [.., pos, head, d_model]
                let result = self.pos_slice.of(&result, result.rank() - 3)?;
                let heads = result.dim(D::Minus2)?;
                self.push_last_but_one(&result)?;
                heads
            }
            false => {
                let z = self.cache.get(("z", layer as isize))?; // [.., pos, head, d_head]
                let z = self.pos_slice.of(&z, z.rank() - 3)?;
                let mut dims = z.dims().to_vec();
                let (d_head, heads) = (dims.pop().unwrap_or(1), dims.pop().unwrap_or(1));
                let by_head = z.reshape(((), heads, d_head))?.transpose(0, 1)?;
                let W_O = self
                    .cache
                    .model()
                    .weight(&format!("blocks.{layer}.attn.W_O"))?;
                let written = by_head.contiguous()?.matmul(&W_O.contiguous()?)?; // [head, rows, d_model]
                dims.insert(0, heads);
                dims.push(written.dim(2)?);
                self.stacks.push(written.reshape(dims)?);
                heads
            }
        };
        let labels = (0..heads).map(|head| format!("L{layer}H{head}"));
        self.labels.extend(labels);
        Ok(())
    }

    /// What each neuron of a layer writes: its activation times its row of `W_out`.
    fn add_neurons(&mut self, layer: usize) -> Result<()> {
        let post = self.cache.get(("post", layer as isize))?; // [.., pos, d_mlp]
        let post = self.pos_slice.of(&post, post.rank() - 2)?;
        let W_out = self
            .cache
            .model()
            .weight(&format!("blocks.{layer}.mlp.W_out"))?;
        let by_neuron = post.unsqueeze(D::Minus1)?.broadcast_mul(&W_out)?; // [.., d_mlp, d_model]
        let neurons = by_neuron.dim(D::Minus2)?;
        self.push_last_but_one(&by_neuron)?;
        self.labels
            .extend((0..neurons).map(|neuron| format!("L{layer}N{neuron}")));
        Ok(())
    }

    /// `[.., component, d_model]` as `[component, .., d_model]`.
    fn push_last_but_one(&mut self, stack: &Tensor) -> Result<()> {
        let rank = stack.rank();
        let mut order: Vec<usize> = (0..rank).collect();
        order.remove(rank - 2);
        order.insert(0, rank - 2);
        self.stacks.push(stack.permute(order)?);
        Ok(())
    }

    /// The same vector at every position.
    fn add_everywhere(&mut self, vector: &Tensor, label: &str) -> Result<()> {
        let Some(like) = self.stacks.first() else {
            return Ok(());
        };
        let mut dims = like.dims().to_vec();
        dims[0] = 1;
        self.stacks.push(vector.broadcast_as(dims)?);
        self.labels.push(label.to_owned());
        Ok(())
    }

    /// What the residual stream at the entrance of a layer holds beside the parts so far.
    fn add_remainder(&mut self, layer: usize) -> Result<()> {
        let whole = match layer {
            0 => self.cache.get(("resid_pre", 0))?,
            layer => self.cache.get(("resid_post", layer as isize - 1))?,
        };
        let whole = self.pos_slice.of(&whole, whole.rank() - 2)?;
        let rest = match self.stacks.is_empty() {
            true => whole,
            false => (whole - Tensor::cat(&self.stacks, 0)?.sum(0)?)?,
        };
        self.stacks.push(rest.unsqueeze(0)?);
        self.labels.push("remainder".to_owned());
        Ok(())
    }

    fn stack(self) -> Result<ResidualStack> {
        if self.stacks.is_empty() {
            return Err(Error::new(
                "there is nothing before layer 0 but the embeddings: choose a later layer.",
            ));
        }
        Ok(ResidualStack {
            components: Tensor::cat(&self.stacks, 0)?,
            labels: self.labels,
        })
    }
}

/// A token, or several: what `logit_attrs` asks about.
///
/// Made from a text that is one token, an id, or a tensor of ids.
#[derive(Clone, Debug)]
pub enum Answer {
    /// A text that is one token.
    Text(String),
    /// The id of a token.
    Token(u32),
    /// Ids of any shape.
    Tokens(Tensor),
}

impl From<&str> for Answer {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Answer {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<u32> for Answer {
    fn from(token: u32) -> Self {
        Self::Token(token)
    }
}

impl From<Tensor> for Answer {
    fn from(tokens: Tensor) -> Self {
        Self::Tokens(tokens)
    }
}

impl From<&Tensor> for Answer {
    fn from(tokens: &Tensor) -> Self {
        Self::Tokens(tokens.clone())
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
