//! What a run kept: activations by hook point, in firing order.

use super::names::{HookPoint, PointName};
use super::transformer::HookedTransformer;
use crate::error::{Context, Error, Result, suggestion};
use crate::math::Span;
use candle_core::{Device, Tensor};
use std::collections::HashMap;
use std::fmt;
use std::ops::Index;
use std::path::Path;

/// The activations of one run, in the order in which the run computed them.
///
/// The cache also holds the model, which costs no memory while another variable holds it.
///
/// Where the run had hooks, an activation is what the hooks left. Names are full ones
/// (`blocks.0.attn.hook_pattern`) or TransformerLens's short ones (`pattern0`, `("pattern", -1)`).
///
/// ```
/// # use ferrolens::model::HookedTransformer;
/// let model = HookedTransformer::from_pretrained("stories-2l")?;
/// let (_, cache) = model.run_with_cache("Once upon a time", ())?;
/// let first = cache.get("blocks.0.hook_resid_pre")?;
/// let last = &cache[("resid_post", -1)];
/// assert_eq!(first.dims(), last.dims());
/// # Ok::<(), ferrolens::Error>(())
/// ```
#[derive(Clone)]
pub struct ActivationCache {
    model: HookedTransformer,
    entries: Vec<(HookPoint, Tensor)>,
    positions: HashMap<HookPoint, usize>,
    has_batch_dim: bool,
}

impl ActivationCache {
    pub(crate) fn new(model: HookedTransformer, entries: Vec<(HookPoint, Tensor)>) -> Self {
        let positions = entries.iter().enumerate();
        let positions = positions.map(|(index, (point, _))| (*point, index));
        Self {
            positions: positions.collect(),
            model,
            entries,
            has_batch_dim: true,
        }
    }

    /// The activation at a hook point.
    ///
    /// # Errors
    /// The name means no hook point, or the run did not keep it.
    pub fn get(&self, name: impl Into<PointName>) -> Result<Tensor> {
        self.find(&name.into()).cloned()
    }

    /// The activation of this short name in a layer; a negative layer counts from the last.
    ///
    /// # Errors
    /// As [`ActivationCache::get`].
    pub fn act(&self, name: &str, layer: isize) -> Result<Tensor> {
        self.get((name, layer))
    }

    /// The same activation of every layer, `[layer, ...]`.
    ///
    /// # Errors
    /// A layer was not kept.
    pub fn stack_activation(&self, name: &str) -> Result<Tensor> {
        let layers = 0..self.model.config().n_layers as isize;
        let every: Vec<Tensor> = layers
            .map(|layer| self.act(name, layer))
            .collect::<Result<_>>()?;
        Ok(Tensor::stack(&every, 0)?)
    }

    /// Whether the run kept this hook point.
    pub fn contains(&self, name: impl Into<PointName>) -> bool {
        self.find(&name.into()).is_ok()
    }

    /// The hook points kept, in firing order.
    pub fn keys(&self) -> Vec<HookPoint> {
        self.entries.iter().map(|(point, _)| *point).collect()
    }

    /// Hook points and activations, in firing order.
    pub fn iter(&self) -> std::vec::IntoIter<(HookPoint, Tensor)> {
        self.entries.clone().into_iter()
    }

    /// How many activations the cache holds.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether the cache holds nothing.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether the activations still have their leading batch dimension.
    pub fn has_batch_dim(&self) -> bool {
        self.has_batch_dim
    }

    /// The same activations without their leading batch dimension, which must be of size 1.
    ///
    /// # Errors
    /// The batch holds more than one prompt.
    pub fn remove_batch_dim(&self) -> Result<Self> {
        if !self.has_batch_dim {
            return Ok(self.clone());
        }
        let without = self.map(|point, tensor| match tensor.dim(0)? {
            1 => Ok(tensor.squeeze(0)?),
            batch => Err(Error::new(format!(
                "the batch dimension of `{point}` has size {batch}, so it cannot be removed: run a \
                 single prompt, or choose one with `.get(0)?`."
            ))),
        })?;
        Ok(Self {
            has_batch_dim: false,
            ..without
        })
    }

    /// The activations of some prompts of the batch only, a range of them; of one prompt, given by its
    /// index, without the batch dimension.
    ///
    /// ```
    /// # use ferrolens::model::HookedTransformer;
    /// let model = HookedTransformer::from_pretrained("stories-2l")?;
    /// let (_, cache) = model.run_with_cache(["Lily ran", "Tom ran", "Tim ran"], ())?;
    /// let last_two = cache.apply_slice_to_batch_dim(1..)?;
    /// assert_eq!(last_two[("z", 0)].dim(0)?, 2);
    /// let tom = cache.apply_slice_to_batch_dim(1)?; // activations [pos, ..]
    /// assert!(!tom.has_batch_dim());
    /// # Ok::<(), ferrolens::Error>(())
    /// ```
    ///
    /// # Errors
    /// The batch has no such prompts, or the cache no batch dimension.
    pub fn apply_slice_to_batch_dim(&self, prompts: impl Into<Span>) -> Result<Self> {
        if !self.has_batch_dim {
            return Err(Error::new(
                "the cache has no batch dimension, as it was removed: slice before \
                 `.remove_batch_dim()`.",
            ));
        }
        let prompts = prompts.into();
        let sliced = self.map(|point, tensor| {
            let part = prompts.of(tensor, 0);
            part.map_err(|error| error.context(format!("slicing the batch of `{point}`")))
        })?;
        Ok(Self {
            has_batch_dim: !prompts.is_one(),
            ..sliced
        })
    }

    /// The same activations with these beside them, in firing order.
    pub(crate) fn with(&self, more: Vec<(HookPoint, Tensor)>) -> Self {
        let mut entries = self.entries.clone();
        entries.extend(more);
        let order = self.model.firing_order();
        entries.sort_by_key(|(point, _)| order.iter().position(|other| other == point));
        Self {
            has_batch_dim: self.has_batch_dim,
            ..Self::new(self.model.clone(), entries)
        }
    }

    /// The same activations on another device.
    ///
    /// # Errors
    /// The device has no room.
    pub fn to_device(&self, device: &Device) -> Result<Self> {
        self.map(|_, tensor| Ok(tensor.to_device(device)?))
    }

    /// Writes the activations to a safetensors file, under the names of their hook points.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let doing = || format!("writing {}", path.display());
        let tensors = self.entries.iter();
        let tensors: HashMap<String, Tensor> = tensors
            .map(|(point, tensor)| Ok((point.name(), tensor.to_device(&Device::Cpu)?)))
            .collect::<Result<_>>()
            .context(doing)?;
        candle_core::safetensors::save(&tensors, path).context(doing)
    }

    /// The activations in a safetensors file that [`ActivationCache::save`] wrote, in the firing order of
    /// this model, on the CPU.
    ///
    /// # Errors
    /// The file cannot be read, or holds activations that the model does not have.
    pub fn load(model: &HookedTransformer, path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let mut tensors = candle_core::safetensors::load(path, &Device::Cpu)
            .context(|| format!("reading {}", path.display()))?;
        let order = model.firing_order();
        let entries: Vec<(HookPoint, Tensor)> = order
            .iter()
            .filter_map(|point| Some((*point, tensors.remove(&point.name())?)))
            .collect();
        if let Some(name) = tensors.keys().next() {
            let known = order.iter().map(HookPoint::name);
            return Err(Error::new(format!(
                "{} holds `{name}`, which {} does not have.{} Load it with the model that it was \
                 made with.",
                path.display(),
                model.config().model_name,
                suggestion(name, known)
            )));
        }
        let mut cache = Self::new(model.clone(), entries);
        let embed = cache
            .entries
            .iter()
            .find(|(point, _)| *point == "hook_embed");
        if let Some((_, embed)) = embed {
            cache.has_batch_dim = embed.rank() == 3;
        }
        Ok(cache)
    }

    /// The model that was run.
    pub fn model(&self) -> HookedTransformer {
        self.model.clone()
    }

    fn map(&self, change: impl Fn(&HookPoint, &Tensor) -> Result<Tensor>) -> Result<Self> {
        let entries = self.entries.iter();
        let entries = entries.map(|(point, tensor)| Ok((*point, change(point, tensor)?)));
        Ok(Self {
            entries: entries.collect::<Result<_>>()?,
            ..self.clone()
        })
    }

    fn find(&self, name: &PointName) -> Result<&Tensor> {
        let point = name.resolve(Some(self.model.config().n_layers))?;
        if let Some(index) = self.positions.get(&point) {
            return Ok(&self.entries[*index].1);
        }
        if self.is_empty() {
            return Err(Error::new(format!(
                "the cache is empty: `{point}` was not kept by the run's names filter."
            )));
        }
        let kept = self.entries.iter().map(|(point, _)| point.name());
        let suggestion = suggestion(&point.name(), kept);
        Err(Error::new(format!(
            "the cache does not hold `{point}`: the run kept {} other hook points.{suggestion} Widen \
             the run's names filter, or let the run go further.",
            self.len()
        )))
    }
}

/// The activation at a hook point.
///
/// # Panics
/// Where [`ActivationCache::get`] would return an error, with that error's sentence. In a notebook
/// the cell fails, and variables of earlier cells are kept; elsewhere prefer `get`.
impl<N: Into<PointName>> Index<N> for ActivationCache {
    type Output = Tensor;

    fn index(&self, name: N) -> &Tensor {
        match self.find(&name.into()) {
            Ok(tensor) => tensor,
            Err(error) => panic!("{error}"),
        }
    }
}

impl IntoIterator for &ActivationCache {
    type Item = (HookPoint, Tensor);
    type IntoIter = std::vec::IntoIter<(HookPoint, Tensor)>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Debug for ActivationCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "ActivationCache with {} activations:", self.len())?;
        for (point, tensor) in &self.entries {
            writeln!(f, "  {point} {:?}", tensor.dims())?;
        }
        Ok(())
    }
}
