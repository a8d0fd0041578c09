//! Where activations come from: a model over text, tensors, a function.

use super::config::TrainConfig;
use super::random::{Purpose, generator};
use crate::data::Activations;
use crate::emit::check_interrupt;
use crate::error::{Error, Result};
use crate::model::{HookPoint, HookedTransformer, IntoFilter, TokenOptions};
use candle_core::{DType, Device, Tensor};
use rand::seq::SliceRandom;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Activations to train on, at one hook point or at several, for as many rounds over the data as a
/// training takes.
///
/// ```
/// use ferrolens::model::HookedTransformer;
/// use ferrolens::sae::train::ActivationSource;
/// let model = HookedTransformer::from_pretrained("stories-2l")?;
/// let texts = ["Once upon a time there was a cat.", "The dog ran home."];
/// let source = ActivationSource::of_text(&model, "blocks.*.hook_resid_post", &texts)?;
/// assert_eq!(source.hooks(), ["blocks.0.hook_resid_post", "blocks.1.hook_resid_post"]);
/// # Ok::<(), ferrolens::Error>(())
/// ```
#[derive(Clone)]
pub struct ActivationSource {
    places: Vec<Place>,
    model_name: Option<String>,
    dataset: Option<String>,
    kind: Kind,
}

/// One hook point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) hook: String,
    pub(super) width: usize,
    /// Whether there are heads, read side by side.
    pub(super) heads: bool,
}

type Function = dyn Fn(u64) -> Result<Option<Vec<Tensor>>> + Send + Sync;

#[derive(Clone)]
enum Kind {
    Model {
        model: HookedTransformer,
        points: Vec<HookPoint>,
        sequences: Arc<Vec<Vec<u32>>>,
        /// The order of one round, once it was asked for.
        round: Option<Round>,
    },
    /// `[n, d_in]` for each place.
    Tensors(Vec<Tensor>, Option<Round>),
    /// And where the activations are.
    Function(Arc<Function>, Device),
}

/// The batches of one round over the data: which rows or sequences each has.
#[derive(Clone)]
struct Round {
    number: u64,
    seed: u64,
    batches: Arc<Vec<Vec<u32>>>,
}

impl ActivationSource {
    /// The activations of a model at the hook points that the filter chooses (a name, a pattern such as
    /// `"blocks.*.hook_resid_post"`, a list), over texts: each begins with BOS where the model wants it,
    /// and all of them, one after the other, are cut into rows of the model's context length. SAELens puts
    /// BOS in front of each row as well: [`Packing::SaeLens`](crate::data::Packing) and
    /// [`ActivationSource::of_stream`] do that.
    ///
    /// # Errors
    /// There is no text, or a hook point that the model does not have.
    pub fn of_text<T: AsRef<str>>(
        model: &HookedTransformer,
        names_filter: impl IntoFilter,
        texts: impl IntoIterator<Item = T>,
    ) -> Result<Self> {
        let length = model.config().n_ctx;
        let mut rows = Vec::new();
        let mut row = Vec::with_capacity(length);
        let options = TokenOptions::new().truncate(false);
        for text in texts {
            check_interrupt()?;
            let text = text.as_ref();
            if text.is_empty() {
                continue;
            }
            let tokens = model.to_tokens_with(text, options)?.flatten_all()?;
            for token in tokens.to_dtype(DType::U32)?.to_vec1::<u32>()? {
                row.push(token);
                if row.len() == length {
                    rows.push(std::mem::replace(&mut row, Vec::with_capacity(length)));
                }
            }
        }
        // What is left over counts where there is nothing else.
        if rows.is_empty() && !row.is_empty() {
            rows.push(row);
        }
        Self::of_tokens(model, names_filter, rows)
    }

    /// The same over sequences of token ids as they are. Sequences of one length go through the model
    /// together.
    ///
    /// # Errors
    /// There is no token, a sequence is longer than the model's context, or there is a hook point that the
    /// model does not have.
    pub fn of_tokens(
        model: &HookedTransformer,
        names_filter: impl IntoFilter,
        sequences: impl Into<Vec<Vec<u32>>>,
    ) -> Result<Self> {
        let mut sequences: Vec<Vec<u32>> = sequences.into();
        sequences.retain(|sequence| !sequence.is_empty());
        let Some(first) = sequences.first() else {
            return Err(Error::new(
                "there is nothing to train on: no text has a token. Give at least one text that is \
                 not empty.",
            ));
        };
        let config = model.config();
        if let Some(long) = sequences.iter().find(|tokens| tokens.len() > config.n_ctx) {
            return Err(Error::new(format!(
                "a sequence has {} tokens, but {} reads at most {}: cut it, or give texts to \
                 `ActivationSource::of_text`, which does.",
                long.len(),
                config.model_name,
                config.n_ctx
            )));
        }
        let probe: Vec<u32> = first.iter().copied().take(3).collect();
        let length = probe.len();
        let cache = model.run(probe).cache(names_filter).cache_only()?;
        let mut places = Vec::new();
        let mut points = Vec::new();
        for (point, activation) in &cache {
            let hook = point.name();
            let by_key = ["pattern", "attn_scores"];
            let by_key = by_key.iter().any(|end| hook.ends_with(end));
            let (width, heads) = match activation.dims() {
                [_, positions, width] if *positions == length && !by_key => (*width, false),
                [_, positions, heads, width] if *positions == length && !by_key => {
                    (heads * width, true)
                }
                dims => {
                    return Err(Error::new(format!(
                        "`{hook}` has activations of shape {dims:?}, which are not one vector a \
                         position: train on a point such as `blocks.0.hook_resid_post`."
                    )));
                }
            };
            places.push(Place { hook, width, heads });
            points.push(point);
        }
        Ok(Self {
            places,
            model_name: Some(config.model_name),
            dataset: None,
            kind: Kind::Model {
                model: model.clone(),
                points,
                sequences: Arc::new(sequences),
                round: None,
            },
        })
    }

    /// These activations, `[n, d_in]` or `[.., d_in]`, of a hook point called so.
    ///
    /// # Errors
    /// There are none.
    pub fn of_tensor(hook: impl Into<String>, x: &Tensor) -> Result<Self> {
        let hook = hook.into();
        let x = flat(&hook, x, false)?;
        let (rows, width) = x.dims2()?;
        if rows == 0 || width == 0 {
            return Err(Error::new(format!(
                "there is nothing to train on: the activations of `{hook}` have shape [{rows}, \
                 {width}]."
            )));
        }
        let place = Place {
            hook,
            width,
            heads: false,
        };
        Ok(Self {
            places: vec![place],
            model_name: None,
            dataset: None,
            kind: Kind::Tensors(vec![x], None),
        })
    }

    /// What a function gives for batch 0, 1, 2, …: a tensor `[n, d_in]` for each hook point, or nothing
    /// where the data end, after which it is asked for batch 0 again. A training that is resumed asks for
    /// the batch after the last one that it had: the function must give the same for the same number.
    ///
    /// # Errors
    /// There is no hook point, or one has no width.
    pub fn from_fn<N: Into<String>>(
        hooks: impl IntoIterator<Item = (N, usize)>,
        function: impl Fn(u64) -> Result<Option<Vec<Tensor>>> + Send + Sync + 'static,
    ) -> Result<Self> {
        let place = |(hook, width): (N, usize)| Place {
            hook: hook.into(),
            width,
            heads: false,
        };
        let places: Vec<Place> = hooks.into_iter().map(place).collect();
        if places.is_empty() || places.iter().any(|place| place.width == 0) {
            return Err(Error::new(
                "name at least one hook point, each with the width of its activations, as in \
                 `[(\"blocks.0.hook_resid_post\", 512)]`.",
            ));
        }
        Ok(Self {
            places,
            model_name: None,
            dataset: None,
            kind: Kind::Function(Arc::new(function), Device::Cpu),
        })
    }

    /// The activations of a stream over a corpus, for as many rounds as a training takes: with its choice
    /// of positions, and from the disk where it keeps them there.
    ///
    /// ```
    /// use ferrolens::data::Corpus;
    /// use ferrolens::model::HookedTransformer;
    /// use ferrolens::sae::train::{ActivationSource, SaeTrainer, TrainConfig};
    /// let model = HookedTransformer::from_pretrained("stories-2l")?;
    /// let corpus = Corpus::new(&model, ["Once upon a time", "Lily saw a cat."])?;
    /// let stream = corpus.activations(&model, "blocks.0.hook_mlp_out")?.skip_first(1);
    /// let source = ActivationSource::of_stream(stream.shuffled(1))?; // or `stream.cached()?`
    /// let mut trainer = SaeTrainer::new(source, TrainConfig::relu(256).batch_size(4))?;
    /// trainer.run(2)?;
    /// # Ok::<(), ferrolens::Error>(())
    /// ```
    ///
    /// # Errors
    /// The hook point has no vector at each position, or the stream leaves out every position.
    pub fn of_stream(activations: Activations) -> Result<Self> {
        let (model, point) = (activations.model(), activations.point());
        let heads = point.has_heads() && !activations.has_head();
        let Some(width) = point.width(&model.config(), heads) else {
            return Err(Error::new(format!(
                "`{point}` has no vector at each position to train on: take one such as \
                 `blocks.0.hook_resid_post`."
            )));
        };
        let place = Place {
            hook: point.name(),
            width,
            heads,
        };
        if activations.is_empty() {
            return Err(Error::new(format!(
                "there is nothing to train on: {} has no prompt longer than the positions that are \
                 skipped.",
                activations.corpus_name()
            )));
        }
        let device = model.device();
        let (name, dataset) = (model.config().model_name, activations.corpus_name());
        // Another order in each round, where the stream has one.
        let endless = activations.passes(usize::MAX);
        let batch = move |position| {
            let batch = endless.batch(position as usize)?;
            Ok(batch.map(|batch| vec![batch.values]))
        };
        Ok(Self {
            places: vec![place],
            model_name: Some(name),
            dataset: Some(dataset),
            kind: Kind::Function(Arc::new(batch), device),
        })
    }

    /// The same activations, computed once and kept in memory, for several trainings on them
    /// ([`SaeTrainer::sweep`](super::SaeTrainer::sweep)) or many rounds: 4 bytes a number, which are 42 MB for
    /// 41,000 tokens at a hook point of width 256. All positions are kept, also where a config asks to skip
    /// the first.
    ///
    /// ```
    /// use ferrolens::model::HookedTransformer;
    /// use ferrolens::sae::train::ActivationSource;
    /// let model = HookedTransformer::from_pretrained("stories-2l")?;
    /// let source = ActivationSource::of_text(&model, "blocks.*.hook_resid_post", ["Once upon a time"])?;
    /// let kept = source.clone().in_memory()?;
    /// assert_eq!((kept.hooks(), kept.len()), (source.hooks(), source.len()));
    /// # Ok::<(), ferrolens::Error>(())
    /// ```
    ///
    /// # Errors
    /// The activations are those of a function or a stream, which may have no end; the user stopped the cell.
    pub fn in_memory(mut self) -> Result<Self> {
        match self.kind {
            Kind::Tensors(..) => return Ok(self),
            Kind::Model { .. } => {}
            Kind::Function(..) => {
                return Err(Error::new(
                    "activations of a function or a stream may have no end, so they cannot be kept in \
                     memory: use `stream.cached()?`, or `ActivationSource::of_tokens`.",
                ));
            }
        }
        let config = TrainConfig::relu(1);
        let total = self.len().unwrap_or(0);
        let mut parts: Vec<Vec<Tensor>> = vec![Vec::new(); self.places.len()];
        let (mut position, mut count) = (0, 0);
        // A round has each sequence once.
        while count < total {
            check_interrupt()?;
            let Some(batch) = self.batch(position, &config)? else {
                break;
            };
            position += 1;
            count += batch.first().map_or(Ok(0), |first| first.dim(0))?;
            for (parts, activations) in parts.iter_mut().zip(batch) {
                parts.push(activations);
            }
        }
        let tensors: Result<Vec<Tensor>> = parts
            .into_iter()
            .map(|parts| Ok(Tensor::cat(&parts, 0)?))
            .collect();
        self.kind = Kind::Tensors(tensors?, None);
        Ok(self)
    }

    /// The same with a name for the data, which goes into the configs of trained autoencoders.
    #[must_use]
    pub fn dataset(mut self, name: impl Into<String>) -> Self {
        self.dataset = Some(name.into());
        self
    }

    /// The same with a name for the model.
    #[must_use]
    pub fn model_name(mut self, name: impl Into<String>) -> Self {
        self.model_name = Some(name.into());
        self
    }

    /// The hook points, in the order in which the model reaches them.
    pub fn hooks(&self) -> Vec<String> {
        self.places.iter().map(|place| place.hook.clone()).collect()
    }

    /// How many activations one round over the data has; nothing where a function gives them.
    pub fn len(&self) -> Option<usize> {
        match &self.kind {
            Kind::Model { sequences, .. } => Some(sequences.iter().map(Vec::len).sum()),
            Kind::Tensors(tensors, _) => tensors.first().and_then(|first| first.dim(0).ok()),
            Kind::Function(..) => None,
        }
    }

    /// Whether one round is known to have no activations: never, for such a source cannot be made.
    pub fn is_empty(&self) -> bool {
        self.len() == Some(0)
    }

    /// Where the activations are; those of a function are brought to the CPU.
    pub(super) fn device(&self) -> Device {
        match &self.kind {
            Kind::Model { model, .. } => model.device(),
            Kind::Tensors(tensors, _) => {
                let first = tensors.first();
                first.map_or(Device::Cpu, |first| first.device().clone())
            }
            Kind::Function(_, device) => device.clone(),
        }
    }

    pub(super) fn places(&self) -> &[Place] {
        &self.places
    }

    pub(super) fn names(&self) -> (Option<String>, Option<String>) {
        (self.model_name.clone(), self.dataset.clone())
    }

    /// A number that other data do not have, but by chance.
    pub(super) fn fingerprint(&self) -> u64 {
        // FNV-1a, which is the same in every version of the compiler.
        let mut hash = 0xcbf2_9ce4_8422_2325u64;
        let mut add = |value: u64| hash = (hash ^ value).wrapping_mul(0x100_0000_01b3);
        match &self.kind {
            Kind::Model { sequences, .. } => {
                for sequence in sequences.iter() {
                    add(sequence.len() as u64);
                    sequence.iter().for_each(|token| add(u64::from(*token)));
                }
            }
            Kind::Tensors(tensors, _) => {
                for tensor in tensors {
                    tensor.dims().iter().for_each(|dim| add(*dim as u64));
                }
            }
            Kind::Function(..) => {}
        }
        hash
    }

    /// Batch `position` of the endless row of rounds, `[n, d_in]` for each place; nothing where a
    /// function's data end.
    pub(super) fn batch(
        &mut self,
        position: u64,
        config: &TrainConfig,
    ) -> Result<Option<Vec<Tensor>>> {
        let places = self.places.clone();
        let device = self.device();
        let batch = match &mut self.kind {
            Kind::Function(function, _) => function(position)?,
            Kind::Tensors(tensors, round) => {
                let rows = tensors.first().map_or(Ok(0), |first| first.dim(0))?;
                let batches = || vec![(0..rows as u32).collect::<Vec<u32>>()];
                let ids = batch_of(
                    round,
                    position,
                    config,
                    |_| config.model_batch_tokens,
                    batches,
                );
                let gather = |tensor: &Tensor| {
                    let ids = Tensor::new(ids.as_slice(), tensor.device())?;
                    Ok(tensor.index_select(&ids, 0)?)
                };
                Some(tensors.iter().map(gather).collect::<Result<_>>()?)
            }
            Kind::Model {
                model,
                points,
                sequences,
                round,
            } => {
                let length = |ids: &[u32]| sequences[ids[0] as usize].len();
                let at_once = |ids: &[u32]| (config.model_batch_tokens / length(ids)).max(1);
                let by_length = || {
                    let mut by_length = BTreeMap::<usize, Vec<u32>>::new();
                    for (index, sequence) in sequences.iter().enumerate() {
                        let same = by_length.entry(sequence.len()).or_default();
                        same.push(index as u32);
                    }
                    by_length.into_values().collect()
                };
                let ids = batch_of(round, position, config, at_once, by_length);
                let rows = ids.iter().map(|id| sequences[*id as usize].clone());
                let rows: Vec<Vec<u32>> = rows.collect();
                let names: Vec<String> = points.iter().map(HookPoint::name).collect();
                let cache = model.run(rows).cache(names).cache_only()?;
                let mut activations = Vec::with_capacity(points.len());
                for point in points.iter() {
                    let activation = cache.get(*point)?;
                    let positions = activation.dim(1)?;
                    let first = usize::from(config.skip_first_position && positions > 1);
                    activations.push(activation.narrow(1, first, positions - first)?);
                }
                Some(activations)
            }
        };
        let Some(batch) = batch else {
            return Ok(None);
        };
        if batch.len() != places.len() {
            return Err(Error::new(format!(
                "batch {position} has {} tensors, but there are {} hook points: give one tensor for \
                 each.",
                batch.len(),
                places.len()
            )));
        }
        let mut rows = None;
        let mut checked = Vec::with_capacity(batch.len());
        for (place, activation) in places.iter().zip(&batch) {
            // Kept in memory, heads are side by side already.
            let heads = place.heads && activation.rank() > 2;
            let activation = flat(&place.hook, activation, heads)?;
            let activation = activation.to_device(&device)?;
            let (count, width) = activation.dims2()?;
            if width != place.width {
                return Err(Error::new(format!(
                    "batch {position} of `{}` has activations of width {width}, but {} was announced.",
                    place.hook, place.width
                )));
            }
            if *rows.get_or_insert(count) != count {
                return Err(Error::new(format!(
                    "batch {position} of `{}` has {count} activations, but that of another hook point \
                     has {}: they must be as many.",
                    place.hook,
                    rows.unwrap_or(0)
                )));
            }
            checked.push(activation);
        }
        Ok(Some(checked))
    }
}

/// The rows of batch `position`: each round takes `groups` in another order, each cut into batches.
fn batch_of(
    round: &mut Option<Round>,
    position: u64,
    config: &TrainConfig,
    at_once: impl Fn(&[u32]) -> usize,
    groups: impl Fn() -> Vec<Vec<u32>>,
) -> Vec<u32> {
    let known = round.as_ref().filter(|round| round.seed == config.seed);
    let known = known.filter(|round| position / round.batches.len().max(1) as u64 == round.number);
    let current = match known {
        Some(round) => round.clone(),
        None => {
            let groups = groups();
            let per_round: usize = groups
                .iter()
                .map(|group| group.len().div_ceil(at_once(group)))
                .sum();
            let number = position / per_round.max(1) as u64;
            let mut random = generator(config.seed, Purpose::Order, number);
            let mut batches = Vec::with_capacity(per_round);
            for mut group in groups {
                group.shuffle(&mut random);
                batches.extend(group.chunks(at_once(&group)).map(<[u32]>::to_vec));
            }
            batches.shuffle(&mut random);
            Round {
                number,
                seed: config.seed,
                batches: Arc::new(batches),
            }
        }
    };
    let index = position - current.number * current.batches.len() as u64;
    let ids = current.batches.get(index as usize).cloned();
    *round = Some(current);
    ids.unwrap_or_default()
}

/// An activation as `[n, d_in]` of `f32`.
fn flat(hook: &str, activation: &Tensor, heads: bool) -> Result<Tensor> {
    let dims = activation.dims();
    let width = match dims {
        [_, .., heads_, width] if heads => heads_ * width,
        [_, .., width] => *width,
        _ => {
            return Err(Error::new(format!(
                "the activations of `{hook}` have shape {dims:?}: give them as [n, d_in]."
            )));
        }
    };
    if !activation.dtype().is_float() {
        return Err(Error::new(format!(
            "the activations of `{hook}` are of type {:?}: give floating-point numbers.",
            activation.dtype()
        )));
    }
    let rows = activation.elem_count() / width.max(1);
    let activation = activation.detach().to_dtype(DType::F32)?;
    Ok(activation.reshape((rows, width))?.contiguous()?)
}

impl fmt::Debug for ActivationSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ActivationSource(")?;
        for (index, place) in self.places.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{} [{}]", place.hook, place.width)?;
        }
        match self.len() {
            Some(length) => write!(f, "; {length} activations a round)"),
            None => write!(f, "; from a function)"),
        }
    }
}
