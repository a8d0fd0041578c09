//! One run of a model, put together step by step: what goes in, which hooks, what comes out.

mod back;

pub use back::BackwardPass;

use super::backward::Backward;
use super::cache::ActivationCache;
use super::filter::{IntoFilter, NamesFilter};
use super::hooks::Hooks;
use super::input::Input;
use super::loss;
use super::names::resolve_layer;
use super::padded::Padded;
use super::parts::{KeyValueCache, Sequence};
use super::pass::{Halt, Pass, Step};
use super::tokenizer::PaddingSide;
use super::transformer::HookedTransformer;
use crate::error::{Error, Result};
use crate::math::Span;
use candle_core::Tensor;

/// A run that has not started: add hooks, a cache or a stopping point, then ask for a result.
///
/// ```
/// # use ferrolens::model::{HookedTransformer, Hooks};
/// let model = HookedTransformer::from_pretrained("stories-2l")?;
/// let hooks = Hooks::new().add(("mlp_out", 0), |value, _| value.zeros_like());
/// let loss = model.run("Once upon a time").hooks(&hooks).loss()?;
/// let residual = model.run("Once upon a time").stop_at_layer(1).residual()?;
/// # Ok::<(), ferrolens::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Run {
    model: HookedTransformer,
    start: Start,
    hooks: Hooks,
    kept: Option<NamesFilter>,
    gradients: Option<NamesFilter>,
    pos_slice: Option<Span>,
    stop: Option<isize>,
    side: Option<PaddingSide>,
    prepend_bos: Option<bool>,
}

#[derive(Clone, Debug)]
enum Start {
    Input(Input),
    Prompt(Padded, Option<KeyValueCache>),
    Residual {
        layer: usize,
        residual: Tensor,
        before: Before,
    },
}

/// What stands before a residual stream: the first real position of each row, where rows are padded on
/// the left, and keys and values.
type Before = (Option<Vec<usize>>, Option<KeyValueCache>);

/// What a run has to compute beside its captures.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Goal {
    Captures,
    Residual,
    Logits(Rows),
}

/// Of which positions logits are wanted.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rows {
    All,
    AllButLast,
    One(isize),
}

struct Outcome {
    output: Option<Tensor>,
    cache: ActivationCache,
    prompt: Option<Padded>,
    past: Option<KeyValueCache>,
}

impl Run {
    pub(crate) fn on_input(model: HookedTransformer, input: Input) -> Self {
        Self::new(model, Start::Input(input))
    }

    /// A run that goes on where the one before, which left the cache, has ended.
    pub(crate) fn on_prompt(
        model: HookedTransformer,
        prompt: Padded,
        past: Option<KeyValueCache>,
    ) -> Self {
        Self::new(model, Start::Prompt(prompt, past))
    }

    pub(crate) fn on_residual(model: HookedTransformer, layer: usize, residual: Tensor) -> Self {
        Self::on_last_residual(model, layer, residual, (None, None))
    }

    /// A run that goes on behind the positions of an earlier one, in the middle of the model.
    pub(crate) fn on_last_residual(
        model: HookedTransformer,
        layer: usize,
        residual: Tensor,
        before: Before,
    ) -> Self {
        let start = Start::Residual {
            layer,
            residual,
            before,
        };
        Self::new(model, start)
    }

    fn new(model: HookedTransformer, start: Start) -> Self {
        Self {
            model,
            start,
            hooks: Hooks::new(),
            kept: None,
            gradients: None,
            pos_slice: None,
            stop: None,
            side: None,
            prepend_bos: None,
        }
    }

    /// With these hooks, or this [`Intervention`](crate::intervene::Intervention), after those added
    /// before.
    #[must_use]
    pub fn hooks(mut self, hooks: impl Into<Hooks>) -> Self {
        self.hooks = self.hooks.and(hooks);
        self
    }

    /// Keeping the activations that the filter chooses (`()`: all).
    #[must_use]
    pub fn cache(mut self, names_filter: impl IntoFilter) -> Self {
        self.kept = Some(names_filter.into_filter());
        self
    }

    /// Keeping activations at these positions only: an index (-1: the last) or a range. The dimension
    /// stays, of size 1 for an index; in scores and patterns it is that of the queries.
    #[must_use]
    pub fn pos_slice(mut self, positions: impl Into<Span>) -> Self {
        self.pos_slice = Some(positions.into());
        self
    }

    /// Keeping the gradients at the points that the filter chooses (`()`: all), for
    /// [`Run::backward`].
    #[must_use]
    pub fn gradients(mut self, names_filter: impl IntoFilter) -> Self {
        self.gradients = Some(names_filter.into_filter());
        self
    }

    /// Stopping at the entrance of a layer; negative layers count from the end, so that -1 leaves
    /// out the last block only.
    #[must_use]
    pub fn stop_at_layer(mut self, layer: isize) -> Self {
        self.stop = Some(layer);
        self
    }

    /// Saying that token rows are padded on this side, so that padding is not attended to and
    /// positions are counted from the first real token.
    #[must_use]
    pub fn padding_side(mut self, side: PaddingSide) -> Self {
        self.side = Some(side);
        self
    }

    /// Whether text gets a beginning-of-sequence token in front, where the family's habit does not fit.
    /// Token ids are taken as they are.
    ///
    /// ```
    /// # use ferrolens::model::HookedTransformer;
    /// let model = HookedTransformer::from_pretrained("stories-2l")?;
    /// let with = model.run("Once upon a time").prepend_bos(true).logits()?;
    /// let without = model.run("Once upon a time").prepend_bos(false).logits()?;
    /// assert_eq!(with.dim(1)?, without.dim(1)? + 1);
    /// # Ok::<(), ferrolens::Error>(())
    /// ```
    #[must_use]
    pub fn prepend_bos(mut self, on: bool) -> Self {
        self.prepend_bos = Some(on);
        self
    }

    /// The logits, `[batch, pos, d_vocab]`.
    ///
    /// # Errors
    /// The input does not fit the model, a filter means no hook point, a hook fails, or the run is
    /// to stop before the logits.
    pub fn logits(self) -> Result<Tensor> {
        let outcome = self.walk(Goal::Logits(Rows::All))?;
        outcome.output()
    }

    /// The logits of one position of every prompt, `[batch, d_vocab]`; -1 is the last. The other
    /// positions are not unembedded.
    ///
    /// # Errors
    /// As [`Run::logits`], and a position outside the prompt.
    pub fn logits_at(self, position: isize) -> Result<Tensor> {
        let outcome = self.walk(Goal::Logits(Rows::One(position)))?;
        Ok(outcome.output()?.squeeze(1)?)
    }

    /// The logits of one position of every prompt, `[batch, d_vocab]`, and the cache: only that position
    /// is unembedded.
    ///
    /// ```
    /// # use ferrolens::model::HookedTransformer;
    /// let model = HookedTransformer::from_pretrained("stories-2l")?;
    /// let run = model.run("Once upon a time").cache("blocks.*.hook_resid_post").pos_slice(-1);
    /// let (last, cache) = run.logits_at_and_cache(-1)?;
    /// assert_eq!(last.dims(), [1, model.config().d_vocab]);
    /// # Ok::<(), ferrolens::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Run::logits_at`].
    pub fn logits_at_and_cache(self, position: isize) -> Result<(Tensor, ActivationCache)> {
        let outcome = self.walk(Goal::Logits(Rows::One(position)))?;
        let cache = outcome.cache.clone();
        Ok((outcome.output()?.squeeze(1)?, cache))
    }

    /// The logits of one position of every prompt, and the cache of keys and values.
    pub(crate) fn logits_at_and_past(
        self,
        position: isize,
    ) -> Result<(Tensor, Option<KeyValueCache>)> {
        let mut outcome = self.walk(Goal::Logits(Rows::One(position)))?;
        let past = outcome.past.take();
        Ok((outcome.output()?.squeeze(1)?, past))
    }

    /// The logits and the cache.
    ///
    /// # Errors
    /// As [`Run::logits`].
    pub fn logits_and_cache(self) -> Result<(Tensor, ActivationCache)> {
        let outcome = self.walk(Goal::Logits(Rows::All))?;
        let cache = outcome.cache.clone();
        Ok((outcome.output()?, cache))
    }

    /// The cache alone. The run stops after the last hook point that is kept or hooked.
    ///
    /// # Errors
    /// As [`Run::logits`].
    pub fn cache_only(self) -> Result<ActivationCache> {
        Ok(self.walk(Goal::Captures)?.cache)
    }

    /// The residual stream where the run stops, `[batch, pos, d_model]`: at the entrance of the
    /// layer given to [`Run::stop_at_layer`], or behind the last block.
    ///
    /// # Errors
    /// As [`Run::logits`].
    pub fn residual(self) -> Result<Tensor> {
        self.walk(Goal::Residual)?.output()
    }

    /// The residual stream where the run stops, and the cache.
    ///
    /// # Errors
    /// As [`Run::logits`].
    pub fn residual_and_cache(self) -> Result<(Tensor, ActivationCache)> {
        let outcome = self.walk(Goal::Residual)?;
        let cache = outcome.cache.clone();
        Ok((outcome.output()?, cache))
    }

    /// The mean over all predictions of `-log p(next token)`, in nats. Padding does not count.
    ///
    /// # Errors
    /// As [`Run::logits`]; a prompt of a single token predicts nothing.
    pub fn loss(self) -> Result<f32> {
        let outcome = self.walk(Goal::Logits(Rows::AllButLast))?;
        let prompt = outcome.prompt()?.clone();
        loss::mean(&loss::per_token(&outcome.output()?, &prompt)?, &prompt)
    }

    /// The logits, `[batch, pos, d_vocab]`, and the loss, of one run: TransformerLens's
    /// `return_type="both"`.
    ///
    /// ```
    /// # use ferrolens::model::HookedTransformer;
    /// let model = HookedTransformer::from_pretrained("stories-2l")?;
    /// let (logits, loss) = model.run("Once upon a time").logits_and_loss()?;
    /// assert_eq!(loss, model.loss_fn(&logits, "Once upon a time")?);
    /// # Ok::<(), ferrolens::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`Run::loss`].
    pub fn logits_and_loss(self) -> Result<(Tensor, f32)> {
        let outcome = self.walk(Goal::Logits(Rows::All))?;
        let prompt = outcome.prompt()?.clone();
        let logits = outcome.output()?;
        let loss = loss::mean(&loss::of_all(&logits, &prompt)?, &prompt)?;
        Ok((logits, loss))
    }

    /// `-log p(next token)` in nats, `[batch, pos - 1]`: entry `i` is the loss of predicting token
    /// `i + 1`. Where the next token is padding the entry has no meaning.
    ///
    /// # Errors
    /// As [`Run::loss`].
    pub fn loss_per_token(self) -> Result<Tensor> {
        let outcome = self.walk(Goal::Logits(Rows::AllButLast))?;
        let prompt = outcome.prompt()?.clone();
        loss::per_token(&outcome.output()?, &prompt)
    }

    /// `-log p(next token)` at one position of every prompt, `[batch]`: entry `position` of
    /// [`Run::loss_per_token`], with only that position unembedded. -1 is the last prediction.
    ///
    /// # Errors
    /// As [`Run::loss`], and a position outside the predictions.
    pub fn loss_at(self, position: isize) -> Result<Tensor> {
        // The last prediction is made one before the last token.
        let row = if position < 0 { position - 1 } else { position };
        let outcome = self.walk(Goal::Logits(Rows::One(row)))?;
        let prompt = outcome.prompt()?.clone();
        loss::at(&outcome.output()?, &prompt, position)
    }

    fn walk(self, goal: Goal) -> Result<Outcome> {
        self.walk_back(goal, None)
    }

    fn walk_back(self, goal: Goal, backward: Option<Backward>) -> Result<Outcome> {
        if self.stop.is_some() && matches!(goal, Goal::Logits(_)) {
            return Err(Error::new(
                "a run that stops at a layer has no logits: ask it for `.residual()` or \
                 `.cache_only()`, or leave out `.stop_at_layer(..)`.",
            ));
        }
        let stop_when_done = goal == Goal::Captures;
        let offered = self.model.offered();
        let kept = self.kept.as_ref();
        let scope = self.model.scope();
        let mut pass = Pass::new(scope, &self.hooks, kept, stop_when_done, backward, offered)?;
        pass.keep_positions(self.pos_slice);
        pass.splice(self.model.splices().clone());
        pass.ungroup(self.model.ungroups());
        let end = self.end()?;
        let prompt = match &self.start {
            Start::Input(input) => Some(self.model.prepare(input, self.side, self.prepend_bos)?),
            Start::Prompt(prompt, _) => Some(prompt.clone()),
            Start::Residual {
                layer, residual, ..
            } => {
                self.check_residual(*layer, residual)?;
                None
            }
        };
        if let Some(prompt) = &prompt {
            pass.set_tokens(&prompt.tokens);
        }
        let mut past = None;
        let output = match self.steps(goal, end, prompt.as_ref(), &mut pass) {
            Ok((output, sequence)) => {
                pass.check_all_reached()?;
                past = sequence.into_cache();
                Some(output)
            }
            Err(Halt::Done) => None,
            Err(Halt::Failed(error)) => return Err(error),
        };
        Ok(Outcome {
            output,
            cache: ActivationCache::new(self.model, pass.into_captured()),
            prompt,
            past,
        })
    }

    /// The layer at whose entrance the run stops.
    fn end(&self) -> Result<usize> {
        let n_layers = self.model.config().n_layers;
        match self.stop.map(|layer| (layer, usize::try_from(layer))) {
            None => Ok(n_layers),
            Some((_, Ok(layer))) if layer == n_layers => Ok(n_layers),
            Some((layer, _)) => resolve_layer(layer, Some(n_layers)),
        }
    }

    fn steps(
        &self,
        goal: Goal,
        end: usize,
        prompt: Option<&Padded>,
        pass: &mut Pass,
    ) -> Step<(Tensor, Sequence)> {
        let model = &self.model;
        let network = model.network();
        let (first_layer, mut residual, mut sequence) = match (&self.start, prompt) {
            (
                Start::Residual {
                    layer,
                    residual,
                    before,
                },
                _,
            ) => {
                let (batch, pos, _) = residual.dims3()?;
                let (first, past) = before.clone();
                let mut sequence = Sequence::new(pos, first, past);
                network.prepare(batch, &mut sequence)?;
                (*layer, residual.clone(), sequence)
            }
            (start, Some(prompt)) => {
                let past = match start {
                    Start::Prompt(_, past) => past.clone(),
                    _ => None,
                };
                let pos = prompt.tokens.dim(1)?;
                let mut sequence = Sequence::new(pos, prompt.first.clone(), past);
                (0, network.embed(prompt, &mut sequence, pass)?, sequence)
            }
            (_, None) => return Err(Error::new("the run has no prompt.").into()),
        };
        for layer in first_layer..end {
            checkpoint()?;
            residual = network.block(layer, residual, &mut sequence, pass)?; // [batch, pos, d_model]
        }
        if self.stop.is_some() || goal == Goal::Residual {
            return Ok((residual, sequence));
        }
        let normalized = network.final_norm(residual, pass)?; // [batch, pos, d_model]
        let normalized = match goal {
            Goal::Logits(rows) => rows.of(&normalized)?,
            Goal::Captures | Goal::Residual => normalized,
        };
        let logits = network.unembed(normalized, pass)?; // [batch, pos, d_vocab]
        Ok((logits, sequence))
    }

    fn check_residual(&self, layer: usize, residual: &Tensor) -> Result<()> {
        let config = self.model.config();
        let fits = match residual.dims() {
            [_, pos, d_model] => *d_model == config.d_model && (1..=config.n_ctx).contains(pos),
            _ => false,
        };
        if !fits {
            return Err(Error::new(format!(
                "a residual stream of shape {:?} does not fit {}: it takes [batch, pos, {}] with 1 \
                 to {} positions.",
                residual.dims(),
                config.model_name,
                config.d_model,
                config.n_ctx
            )));
        }
        if residual.dtype() != self.model.dtype() {
            return Err(Error::new(format!(
                "a residual stream of {:?} does not fit {}, which calculates in {:?}: use \
                 `.to_dtype(model.dtype())?`.",
                residual.dtype(),
                config.model_name,
                self.model.dtype()
            )));
        }
        if layer > config.n_layers {
            return Err(Error::new(format!(
                "a run cannot start at layer {layer}: {} has {} layers.",
                config.model_name, config.n_layers
            )));
        }
        Ok(())
    }
}

impl Rows {
    fn of(self, normalized: &Tensor) -> Result<Tensor> {
        let pos = normalized.dim(1)?;
        match self {
            Rows::All => Ok(normalized.clone()),
            Rows::AllButLast if pos < 2 => Err(Error::new(
                "a prompt of one token predicts nothing, so it has no loss: give at least two.",
            )),
            Rows::AllButLast => Ok(normalized.narrow(1, 0, pos - 1)?),
            Rows::One(position) => {
                let row = match usize::try_from(position) {
                    Ok(row) => Some(row).filter(|row| *row < pos),
                    Err(_) => pos.checked_sub(position.unsigned_abs()),
                };
                let row = row.ok_or_else(|| {
                    Error::new(format!(
                        "position {position} is outside the prompt, which has {pos} tokens."
                    ))
                })?;
                Ok(normalized.narrow(1, row, 1)?)
            }
        }
    }
}

impl Outcome {
    fn output(self) -> Result<Tensor> {
        self.output
            .ok_or_else(|| Error::new("the run stopped before it had a result."))
    }

    fn prompt(&self) -> Result<&Padded> {
        self.prompt.as_ref().ok_or_else(|| {
            Error::new(
                "a run that starts from a residual stream knows no tokens, so it has no loss: ask \
                 it for `.logits()`.",
            )
        })
    }
}

/// Where a run may be interrupted: before each layer, and before each generated token.
pub(crate) fn checkpoint() -> Result<()> {
    crate::emit::check_interrupt()
}
