//! A stack of components in the making.

use super::ResidualStack;
use super::options::ResidOptions;
use crate::error::{Error, Result};
use crate::math::Span;
use crate::model::cache::ActivationCache;
use crate::model::parts::linear;
use candle_core::{D, Tensor};

/// A stack in the making.
pub(super) struct Parts<'a> {
    cache: &'a ActivationCache,
    pos_slice: Span,
    neuron_slice: Span,
    /// `[d_model, directions]` that parts are projected onto, where they are.
    onto: Option<Tensor>,
    /// `[component, ..]` each.
    stacks: Vec<Tensor>,
    labels: Vec<String>,
}

impl<'a> Parts<'a> {
    pub(super) fn new(
        cache: &'a ActivationCache,
        options: &ResidOptions,
        onto: Option<Tensor>,
    ) -> Self {
        Self {
            cache,
            pos_slice: options.pos_slice,
            neuron_slice: options.neuron_slice,
            onto,
            stacks: Vec::new(),
            labels: Vec::new(),
        }
    }

    /// One activation, `[batch, pos, d_model]`.
    pub(super) fn add(
        &mut self,
        (name, layer): (&str, isize),
        label: impl Into<String>,
    ) -> Result<()> {
        let value = self.cache.get((name, layer))?;
        self.push(&value, label)
    }

    fn push(&mut self, value: &Tensor, label: impl Into<String>) -> Result<()> {
        let value = self.pos_slice.of(value, value.rank() - 2)?;
        self.stacks.push(self.projected(&value)?.unsqueeze(0)?);
        self.labels.push(label.into());
        Ok(())
    }

    /// `[.., d_model]`, or `[.., directions]` where parts are projected.
    fn projected(&self, value: &Tensor) -> Result<Tensor> {
        match &self.onto {
            Some(onto) => Ok(linear(value, onto, None)?),
            None => Ok(value.clone()),
        }
    }

    pub(super) fn add_embeds(&mut self) -> Result<()> {
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
    pub(super) fn add_heads(&mut self, layer: usize) -> Result<()> {
        let heads = match self.cache.contains(("result", layer as isize)) {
            true => {
                let result = self.cache.get(("result", layer as isize))?; // [.., pos, head, d_model]
                let result = self.pos_slice.of(&result, result.rank() - 3)?;
                let heads = result.dim(D::Minus2)?;
                self.push_last_but_one(&self.projected(&result)?)?;
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
                let W_O = self.projected(&W_O)?; // [head, d_head, d_model]
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
    pub(super) fn add_neurons(&mut self, layer: usize) -> Result<()> {
        let post = self.cache.get(("post", layer as isize))?; // [.., pos, d_mlp]
        let post = self.pos_slice.of(&post, post.rank() - 2)?;
        let W_out = self
            .cache
            .model()
            .weight(&format!("blocks.{layer}.mlp.W_out"))?;
        let neurons = self.neuron_slice.resolve(0, W_out.dims())?;
        let post = self.neuron_slice.kept_in(&post, post.rank() - 1)?;
        let W_out = self.projected(&self.neuron_slice.kept_in(&W_out, 0)?)?; // [neuron, d_model]
        let by_neuron = post.unsqueeze(D::Minus1)?.broadcast_mul(&W_out)?; // [.., neuron, d_model]
        self.push_last_but_one(&by_neuron)?;
        self.labels
            .extend(neurons.map(|neuron| format!("L{layer}N{neuron}")));
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
    pub(super) fn add_everywhere(&mut self, vector: &Tensor, label: &str) -> Result<()> {
        let Some(like) = self.stacks.first() else {
            return Ok(());
        };
        let mut dims = like.dims().to_vec();
        dims[0] = 1;
        self.stacks
            .push(self.projected(vector)?.broadcast_as(dims)?);
        self.labels.push(label.to_owned());
        Ok(())
    }

    /// What the residual stream at the entrance of a layer holds beside the parts so far.
    pub(super) fn add_remainder(&mut self, layer: usize) -> Result<()> {
        let whole = match layer {
            0 => self.cache.get(("resid_pre", 0))?,
            layer => self.cache.get(("resid_post", layer as isize - 1))?,
        };
        let whole = self.projected(&self.pos_slice.of(&whole, whole.rank() - 2)?)?;
        let rest = match self.stacks.is_empty() {
            true => whole,
            false => (whole - Tensor::cat(&self.stacks, 0)?.sum(0)?)?,
        };
        self.stacks.push(rest.unsqueeze(0)?);
        self.labels.push("remainder".to_owned());
        Ok(())
    }

    pub(super) fn stack(self) -> Result<ResidualStack> {
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
