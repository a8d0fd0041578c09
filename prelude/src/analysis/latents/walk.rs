//! One walk over a corpus: activations of latents, block by block, to whoever collects them.

use super::progress::{Progress, Storage};
use crate::data::{
    Corpus, Fingerprint, Kept, Record, TokenBatch, Window, by_position, chosen, of_model,
};
use crate::emit::{self, check_interrupt};
use crate::error::{Error, Result};
use crate::model::{HookPoint, HookedTransformer};
use crate::sae::{FEWEST_LATENTS, Sae};
use candle_core::{DType, Device, Storage as TensorStorage, Tensor};
use std::ops::Range;

/// The most bytes of activations of all latents at a time.
const BLOCK_BYTES: usize = if cfg!(test) { 1 << 16 } else { 64 << 20 };
/// How many latents a core looks at in one go.
pub(super) const STRIPE: usize = FEWEST_LATENTS;

/// What is walked over, and what is looked at.
#[derive(Clone, Debug)]
pub(super) struct Walk {
    pub(super) model: HookedTransformer,
    pub(super) sae: Sae,
    pub(super) point: HookPoint,
    pub(super) corpus: Corpus,
    /// Nothing: all.
    pub(super) latents: Option<Vec<u32>>,
    pub(super) window: Window,
    pub(super) token_budget: usize,
}

/// Activations of latents that follow each other at some positions, whole prompts together.
pub(super) struct Block<'a> {
    /// `[tokens, latents]`.
    pub(super) acts: &'a [f32],
    pub(super) latents: usize,
    /// The place of the first of them, a multiple of [`STRIPE`].
    pub(super) first: usize,
    pub(super) prompts: &'a [u32],
    pub(super) positions: &'a [u32],
    pub(super) tokens: &'a [u32],
}

/// Who collects what a walk sees.
pub(super) trait Collector {
    /// Sees some more: at each position first the latents from 0 on, then the others in order.
    fn take(&mut self, block: &Block<'_>);

    /// Everything collected so far.
    fn record(&self) -> Record;

    /// Goes on from what [`Collector::record`] gave.
    ///
    /// # Errors
    /// It does not fit.
    fn restore(&mut self, record: &Record) -> Result<()>;

    /// What decides over the result, beside what is walked over.
    fn identify(&self, key: &mut Fingerprint);
}

impl Walk {
    /// How many latents are looked at.
    pub(super) fn width(&self) -> usize {
        let some = self.latents.as_ref().map(Vec::len);
        some.unwrap_or(self.sae.cfg.d_sae)
    }

    /// Walks over the corpus, from where an earlier walk of this kind was stopped.
    pub(super) fn run<C: Collector>(
        &self,
        mut collector: C,
        label: &str,
        storage: &Storage,
    ) -> Result<C> {
        let sae = &self.sae;
        let read = [
            ("W_enc", &sae.W_enc),
            ("b_enc", &sae.b_enc),
            ("b_dec", &sae.b_dec),
        ];
        for (name, weight) in read.into_iter().chain(sae.gate.weights()) {
            check_numbers(weight, || format!("`{name}` of {}", sae.name()))?;
        }
        let batches = self.corpus.batches(self.token_budget)?;
        let total = batches.count_all();
        let key = |collector: &C| self.key(collector);
        let mut progress = Progress::find(storage, key, total, self.has_hooks(), &mut collector)?;
        if progress.at.batches == total {
            return Ok(collector);
        }
        let tokens = |batch: usize| batches.get(batch).map_or(0, |batch| batch.tokens());
        let mut line = emit::Progress::new(self.corpus.tokens())
            .labelled(format!("{label}, tokens"))
            .resumed_at((0..progress.at.batches).map(tokens).sum());
        while let Some(batch) = batches.get(progress.at.batches) {
            let walked = self.walk_batch(&batch, &mut progress, &mut collector);
            walked.inspect_err(|_| progress.pause(&collector, key))?;
            line.advance(batch.tokens());
            progress.advance(&collector)?;
        }
        line.end();
        progress.finish(&collector)?;
        Ok(collector)
    }

    /// The blocks of a batch that the collector has not seen. After an error it has seen whole blocks, or
    /// progress knows that it has not.
    fn walk_batch(
        &self,
        batch: &TokenBatch,
        progress: &mut Progress,
        collector: &mut impl Collector,
    ) -> Result<()> {
        check_interrupt()?;
        let (rows, kept) = self.activations(batch)?;
        let most = BLOCK_BYTES / (4 * self.width()).max(1);
        for block in blocks(&kept.prompts, most)
            .into_iter()
            .skip(progress.at.blocks)
        {
            check_interrupt()?;
            let rows = rows.narrow(0, block.start, block.len())?;
            progress.begin_block();
            self.encode(&rows, |first, acts| {
                let (storage, layout) = acts.storage_and_layout();
                let (TensorStorage::Cpu(values), Some((from, to))) =
                    (&*storage, layout.contiguous_offsets())
                else {
                    return Err(Error::new(
                        "the activations of latents did not come to the CPU.",
                    ));
                };
                collector.take(&Block {
                    acts: &values.as_slice::<f32>()?[from..to],
                    latents: acts.dim(1)?,
                    first,
                    prompts: &kept.prompts[block.clone()],
                    positions: &kept.positions[block.clone()],
                    tokens: &kept.tokens[block.clone()],
                });
                Ok(())
            })?;
            progress.end_block();
        }
        Ok(())
    }

    /// Hands on the activations of latents, `[tokens, latents]`, on the CPU, and the place of the first: of a range
    /// after the other, or of all at once where they cannot be known apart, or another device calculates.
    fn encode(
        &self,
        rows: &Tensor,
        mut take: impl FnMut(usize, Tensor) -> Result<()>,
    ) -> Result<()> {
        let to_cpu = |acts: Tensor| {
            let acts = acts.to_device(&Device::Cpu)?.to_dtype(DType::F32)?;
            Ok::<Tensor, Error>(acts.contiguous()?)
        };
        if let Some(latents) = &self.latents {
            return take(0, to_cpu(self.sae.encode_latents(rows, latents)?)?);
        }
        let ranges = match rows.device().is_cpu() {
            true => self.sae.ranges(rows)?,
            false => None,
        };
        let Some(ranges) = ranges else {
            return take(0, to_cpu(self.sae.encode(rows)?)?);
        };
        ranges
            .all()
            .try_for_each(|range| take(range.start, to_cpu(ranges.encode(range)?)?))
    }

    /// The name of what a walk with this collector finds.
    fn key(&self, collector: &impl Collector) -> Result<String> {
        let mut key = of_model(&self.model, self.point)?;
        identify(&self.sae, &mut key)?;
        key.text(&self.corpus.fingerprint());
        match &self.latents {
            Some(latents) => key.ids(latents),
            None => key.text("all"),
        }
        let Window {
            skip_first,
            skip_last,
        } = self.window;
        for number in [skip_first, skip_last, self.token_budget] {
            key.number(number as u64);
        }
        collector.identify(&mut key);
        Ok(key.finish())
    }

    /// Whether the model is inside a scope of hooks or autoencoders, whose effect no key holds.
    fn has_hooks(&self) -> bool {
        self.model.is_in_scope()
    }

    /// What the autoencoder reads at the positions that count, `[tokens, ..]`.
    pub(super) fn activations(&self, batch: &TokenBatch) -> Result<(Tensor, Kept)> {
        let kept = batch.kept(self.window);
        let cache = self.model.cache_only(batch.input(), self.point)?;
        let read = self.sae.input_of(&cache.get(self.point)?)?;
        let rows = by_position(&read, self.point, batch)?;
        let width: usize = rows.dims().iter().skip(1).product();
        if width != self.sae.cfg.d_in {
            return Err(Error::new(format!(
                "`{}` of {} is {width} wide, but {} reads {}: take the model and the hook point that it \
                 was trained on.",
                self.point,
                self.model.config().model_name,
                self.sae.name(),
                self.sae.cfg.d_in
            )));
        }
        let rows = chosen(&rows, &kept, batch.prompts.len() * batch.width())?;
        let rows = rows.reshape((kept.tokens.len(), width))?;
        check_numbers(&rows, || format!("an activation at `{}`", self.point))?;
        Ok((rows.to_device(&self.sae.device())?, kept))
    }
}

/// # Errors
/// An entry is not a number. A gate would make 0 of it, and the latent would seem to be dead.
fn check_numbers(tensor: &Tensor, name: impl FnOnce() -> String) -> Result<()> {
    let sum = tensor.to_dtype(DType::F32)?.sum_all()?.to_scalar::<f32>()?;
    match sum.is_nan() {
        false => Ok(()),
        true => Err(Error::new(format!(
            "{} holds what is not a number: load it again, or look for the hook or the type (f16) that \
             made it.",
            name()
        ))),
    }
}

/// Everything about an autoencoder that decides over its activations.
fn identify(sae: &Sae, key: &mut Fingerprint) -> Result<()> {
    let cfg = &sae.cfg;
    key.text(&format!(
        "{:?} {} {:?} {:?} {}",
        sae.gate,
        cfg.apply_b_dec_to_input,
        cfg.normalize_activations,
        cfg.hook_head_index,
        cfg.hook_z
    ));
    let of_gate = sae.gate.weights().map(|(_, weight)| weight);
    let weights = [&sae.W_enc, &sae.b_enc, &sae.W_dec, &sae.b_dec];
    let weights = weights.into_iter().chain(&sae.b_pre).chain(of_gate);
    weights
        .into_iter()
        .try_for_each(|weight| key.tensor(weight))
}

impl Block<'_> {
    /// The rows of each prompt.
    pub(super) fn by_prompt(&self) -> Vec<(u32, Range<usize>)> {
        runs(self.prompts)
    }
}

/// Whole prompts together, of at most this many rows where no prompt alone has more.
fn blocks(prompts: &[u32], most: usize) -> Vec<Range<usize>> {
    let mut blocks: Vec<Range<usize>> = Vec::new();
    for (_, rows) in runs(prompts) {
        match blocks.last_mut() {
            Some(last) if rows.end - last.start <= most => last.end = rows.end,
            _ => blocks.push(rows),
        }
    }
    blocks
}

/// Where the same number stands, again and again.
fn runs(numbers: &[u32]) -> Vec<(u32, Range<usize>)> {
    let mut start = 0;
    let chunks = numbers.chunk_by(|a, b| a == b);
    chunks
        .filter_map(|chunk| {
            let rows = start..start + chunk.len();
            start = rows.end;
            Some((*chunk.first()?, rows))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_hold_whole_prompts() {
        let prompts = [3, 3, 1, 7, 7, 7, 2, 2];
        assert_eq!(blocks(&prompts, 4), [0..3, 3..6, 6..8]);
        assert_eq!(blocks(&prompts, 1), [0..2, 2..3, 3..6, 6..8]);
        assert_eq!(blocks(&prompts, 100).len(), 1);
        assert!(blocks(&[], 4).is_empty());
    }
}
