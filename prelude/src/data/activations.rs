//! The activations of a hook point over a corpus, a batch at a time.

use super::batches::{Kept, TokenBatch, Window};
use super::buffer::{MixOptions, MixingBuffer};
use super::corpus::Corpus;
use super::shards::Shards;
use crate::emit::check_interrupt;
use crate::error::{Error, Result};
use crate::model::{HookPoint, HookedTransformer, IntoFilter, PointName};
use candle_core::{DType, Device, Tensor};
use std::path::Path;

/// How many tokens, with padding, the model runs on at a time where nobody says.
pub(super) const TOKEN_BUDGET: usize = 4096;

/// A stream of activations; see [`Corpus::activations`]. After an error, such as an interrupt, it goes
/// on with the batch that failed.
#[derive(Clone, Debug)]
pub struct Activations {
    model: HookedTransformer,
    point: HookPoint,
    corpus: Corpus,
    window: Window,
    head: Option<usize>,
    token_budget: usize,
    seed: Option<u64>,
    passes: usize,
    shards: Option<Shards>,
    /// The next batch, counted over all passes.
    next: usize,
}

/// Activations of one hook point, and where they were read.
#[derive(Clone, Debug)]
pub struct ActivationBatch {
    /// `[tokens, d_in]`, on the model's device; heads side by side.
    pub values: Tensor,
    /// The prompt of each row: its number in the corpus.
    pub prompts: Vec<u32>,
    /// Its position in the prompt.
    pub positions: Vec<u32>,
    /// Its token.
    pub tokens: Vec<u32>,
}

impl Corpus {
    /// The activations of a hook point, batch by batch. Runs stop behind it.
    ///
    /// ```
    /// use ferrolens::data::Corpus;
    /// use ferrolens::model::HookedTransformer;
    /// let model = HookedTransformer::from_pretrained("stories-2l")?;
    /// let corpus = Corpus::new(&model, ["Once upon a time", "Lily saw a cat."])?;
    /// for batch in corpus.activations(&model, "blocks.0.hook_mlp_out")?.skip_first(1) {
    ///     let batch = batch?;
    ///     assert_eq!(batch.values.dims(), [batch.tokens.len(), model.config().d_model]);
    /// }
    /// # Ok::<(), ferrolens::Error>(())
    /// ```
    ///
    /// # Errors
    /// The model has no such hook point.
    pub fn activations(
        &self,
        model: &HookedTransformer,
        hook_point: impl Into<PointName>,
    ) -> Result<Activations> {
        let point = model.hook_point(hook_point)?;
        point.into_filter().resolve(model.offered())?;
        Ok(Activations {
            model: model.clone(),
            point,
            corpus: self.clone(),
            window: Window::default(),
            head: None,
            token_budget: TOKEN_BUDGET,
            seed: None,
            passes: 1,
            shards: None,
            next: 0,
        })
    }
}

impl Activations {
    /// Without the first positions of each prompt: 1 leaves out the beginning-of-sequence token.
    #[must_use]
    pub fn skip_first(mut self, positions: usize) -> Self {
        self.window.skip_first = positions;
        self
    }

    /// Without the last positions of each prompt.
    #[must_use]
    pub fn skip_last(mut self, positions: usize) -> Self {
        self.window.skip_last = positions;
        self
    }

    /// Of one head only, where the hook point has heads: `[tokens, d_head]`.
    #[must_use]
    pub fn head(mut self, head: usize) -> Self {
        self.head = Some(head);
        self
    }

    /// How many tokens, with padding, the model runs on at a time (4096).
    #[must_use]
    pub fn token_budget(mut self, tokens: usize) -> Self {
        self.token_budget = tokens;
        self
    }

    /// Batches in an order that the seed decides, another one in each pass. Without it shorter prompts
    /// come before longer ones.
    #[must_use]
    pub fn shuffled(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// How many times the stream goes over the corpus (1).
    #[must_use]
    pub fn passes(mut self, passes: usize) -> Self {
        self.passes = passes;
        self
    }

    /// Goes on behind the first `batches` without computing them: where a stopped training goes on.
    #[must_use]
    pub fn starting_at(mut self, batches: usize) -> Self {
        self.next = batches;
        self
    }

    /// Keeps activations in this folder, a file a batch, and reads those that are there. They go by
    /// model, hook point, corpus and batch, so that a folder serves many streams; a stream that was
    /// stopped goes on, and a damaged file is made again.
    ///
    /// # Errors
    /// The model is inside a scope of hooks, whose effect has no name.
    pub fn cache_in(mut self, folder: impl AsRef<Path>) -> Result<Self> {
        self.shards = Some(Shards::new(&self.model, self.point, folder.as_ref())?);
        Ok(self)
    }

    /// The same in the default folder: see [`crate::data`].
    ///
    /// # Errors
    /// As [`Activations::cache_in`]; there is no such folder.
    pub fn cached(self) -> Result<Self> {
        let folder = super::cache_folder()?.join("activations");
        self.cache_in(folder)
    }

    /// How many batches the stream has in all.
    ///
    /// # Errors
    /// The token budget is 0.
    pub fn batches(&self) -> Result<usize> {
        let a_pass = self.corpus.batches(self.token_budget)?.count_all();
        Ok(a_pass.saturating_mul(self.passes))
    }

    /// The tensors alone, `[tokens, d_in]`.
    pub fn tensors(self) -> ActivationTensors {
        ActivationTensors { batches: self }
    }

    /// The mean over all positions of the stream, `[d_in]` of `f32`: what mean ablation puts in an
    /// activation's place.
    ///
    /// # Errors
    /// A run fails; the stream leaves out every position.
    pub fn mean(self) -> Result<Tensor> {
        let (mut sum, mut count): (Option<Tensor>, usize) = (None, 0);
        for batch in self {
            let values = batch?.values.to_dtype(DType::F32)?; // [tokens, d_in]
            count += values.dim(0)?;
            let of_batch = values.sum(0)?;
            sum = Some(match sum {
                Some(sum) => (sum + of_batch)?,
                None => of_batch,
            });
        }
        match sum {
            Some(sum) if count > 0 => Ok((sum / count as f64)?),
            _ => Err(Error::new(
                "a stream without any position has no mean: leave out fewer positions.",
            )),
        }
    }

    /// Batches of one size from all over the stream, for training: see [`MixingBuffer`].
    ///
    /// # Errors
    /// Options that do not fit each other.
    pub fn mixed(self, options: MixOptions) -> Result<MixingBuffer> {
        MixingBuffer::new(self.tensors(), options)
    }

    /// The model that is run.
    pub(crate) fn model(&self) -> &HookedTransformer {
        &self.model
    }

    /// The hook point that is read.
    pub(crate) fn point(&self) -> HookPoint {
        self.point
    }

    /// Whether one head alone is read.
    pub(crate) fn has_head(&self) -> bool {
        self.head.is_some()
    }

    /// Whether no position of any prompt counts.
    pub(crate) fn is_empty(&self) -> bool {
        let Window {
            skip_first,
            skip_last,
        } = self.window;
        let skipped = skip_first.saturating_add(skip_last);
        self.corpus
            .lengths()
            .into_iter()
            .all(|length| length <= skipped)
    }

    /// What the corpus is called.
    pub(crate) fn corpus_name(&self) -> String {
        self.corpus.name()
    }

    /// One batch, counted over all passes; nothing behind the last.
    pub(crate) fn batch(&self, batch: usize) -> Result<Option<ActivationBatch>> {
        let mut batches = self.corpus.batches(self.token_budget)?;
        let a_pass = batches.count_all();
        let (pass, at) = (batch / a_pass, batch % a_pass);
        if pass >= self.passes {
            return Ok(None);
        }
        if let Some(seed) = self.seed {
            batches = batches.shuffled(seed.wrapping_add(pass as u64));
        }
        let Some(batch) = batches.get(at) else {
            return Ok(None);
        };
        check_interrupt()?;
        let kept = batch.kept(self.window);
        let rows = match &self.shards {
            Some(shards) => shards.of(&batch, || rows(&self.model, self.point, &batch))?,
            None => rows(&self.model, self.point, &batch)?,
        };
        let values = chosen(&rows, &kept, batch.prompts.len() * batch.width())?;
        Ok(Some(ActivationBatch {
            values: self.of_head(&values)?,
            prompts: kept.prompts,
            positions: kept.positions,
            tokens: kept.tokens,
        }))
    }

    /// `[tokens, d_in]` of `[tokens, d_in]` or `[tokens, head, d_head]`.
    fn of_head(&self, values: &Tensor) -> Result<Tensor> {
        match (self.head, values.dims()) {
            (Some(head), [_, heads, _]) if head < *heads => {
                Ok(values.narrow(1, head, 1)?.squeeze(1)?.contiguous()?)
            }
            (Some(head), dims) => Err(Error::new(format!(
                "`{}` has no head {head}: its activations are [tokens, ..] = {dims:?}.",
                self.point
            ))),
            (None, [tokens, heads, width]) => Ok(values.reshape((*tokens, heads * width))?),
            (None, _) => Ok(values.clone()),
        }
    }
}

impl Iterator for Activations {
    type Item = Result<ActivationBatch>;

    fn next(&mut self) -> Option<Result<ActivationBatch>> {
        loop {
            let batch = self.batch(self.next).transpose()?;
            if batch.is_ok() {
                self.next += 1;
            }
            // Prompts that are shorter than what is skipped have nothing to give.
            match &batch {
                Ok(batch) if batch.tokens.is_empty() => {}
                _ => return Some(batch),
            }
        }
    }
}

/// The tensors of a stream of activations, each `[tokens, d_in]`.
#[derive(Clone, Debug)]
pub struct ActivationTensors {
    batches: Activations,
}

impl Iterator for ActivationTensors {
    type Item = Result<Tensor>;

    fn next(&mut self) -> Option<Result<Tensor>> {
        Some(self.batches.next()?.map(|batch| batch.values))
    }
}

/// What a batch's positions have at a hook point: `[batch * pos, ..]`.
///
/// # Errors
/// The run fails, or the hook point has no activation of each position.
pub(crate) fn rows(
    model: &HookedTransformer,
    point: HookPoint,
    batch: &TokenBatch,
) -> Result<Tensor> {
    let activation = model.cache_only(batch.input(), point)?.get(point)?;
    by_position(&activation, point, batch)
}

/// `[batch, pos, ..]` as `[batch * pos, ..]`.
pub(crate) fn by_position(
    activation: &Tensor,
    point: HookPoint,
    batch: &TokenBatch,
) -> Result<Tensor> {
    let (prompts, width) = (batch.prompts.len(), batch.width());
    match activation.dims() {
        // Scores and patterns are [batch, head, query, key].
        [b, p, rest @ ..]
            if *b == prompts && *p == width && !rest.is_empty() && !is_between_positions(point) =>
        {
            let mut dims = vec![prompts * width];
            dims.extend(rest);
            Ok(activation.reshape(dims)?)
        }
        dims => Err(Error::new(format!(
            "`{point}` has shape {dims:?}, which is no vector at each position: take a hook point of \
             shape [batch, pos, ..]."
        ))),
    }
}

fn is_between_positions(point: HookPoint) -> bool {
    let name = point.name();
    name.ends_with("hook_attn_scores") || name.ends_with("hook_pattern")
}

/// The rows of the positions that count.
pub(crate) fn chosen(rows: &Tensor, kept: &Kept, all: usize) -> Result<Tensor> {
    if kept.indices.len() == all {
        return Ok(rows.clone());
    }
    let indices = Tensor::new(kept.indices.as_slice(), &Device::Cpu)?;
    Ok(rows
        .contiguous()?
        .index_select(&indices.to_device(rows.device())?, 0)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit::fake;

    const POINT: &str = "blocks.0.hook_mlp_out";

    fn parts() -> (HookedTransformer, Corpus) {
        let model = HookedTransformer::from_pretrained("stories-2l").unwrap();
        let texts = [
            "Once upon a time there was a cat.",
            "Lily",
            "The dog ran to Tom.",
        ];
        let corpus = Corpus::new(&model, texts).unwrap();
        (model, corpus)
    }

    fn all(stream: Activations) -> Vec<ActivationBatch> {
        stream.collect::<Result<_>>().unwrap()
    }

    #[test]
    fn every_position_has_the_activation_of_a_run_of_its_own() {
        let (model, corpus) = parts();
        let batches = all(corpus.activations(&model, POINT).unwrap());
        assert_eq!(batches.len(), 1, "the prompts are padded to one batch");
        let values: Vec<Vec<f32>> = batches[0].values.to_vec2().unwrap();
        assert_eq!(values.len(), corpus.tokens());
        for (row, values) in values.iter().enumerate() {
            let (prompt, position) = (batches[0].prompts[row], batches[0].positions[row]);
            let ids = corpus.ids(prompt as usize).unwrap();
            assert_eq!(ids[position as usize], batches[0].tokens[row]);
            let alone = model.cache_only(ids, POINT).unwrap().get(POINT).unwrap();
            let alone: Vec<Vec<f32>> = alone.squeeze(0).unwrap().to_vec2().unwrap();
            for (a, b) in values.iter().zip(&alone[position as usize]) {
                assert!((a - b).abs() < 1e-4, "{a} {b}");
            }
        }
    }

    #[test]
    fn windows_heads_passes_and_places() {
        let (model, corpus) = parts();
        let z = || corpus.activations(&model, "blocks.1.attn.hook_z").unwrap();
        let whole = all(z())[0].values.clone();
        let head = all(z().head(3))[0].values.clone();
        assert_eq!((whole.dims()[1], head.dims()[1]), (256, 32));
        let expected: Vec<Vec<f32>> = whole.narrow(1, 96, 32).unwrap().to_vec2().unwrap();
        assert_eq!(head.to_vec2::<f32>().unwrap(), expected);
        let inner = all(z().skip_first(1).skip_last(1));
        assert_eq!(inner[0].tokens.len(), corpus.tokens() - 2 * corpus.len());
        // "Lily" is two tokens or less without its first.
        let ragged = z().token_budget(1).skip_first(3).passes(2).shuffled(5);
        let prompts: Vec<u32> = all(ragged).iter().map(|batch| batch.prompts[0]).collect();
        assert_eq!(prompts.len(), 4, "{prompts:?}");
        let late = all(z().token_budget(1).starting_at(2));
        assert_eq!(late.len(), 1);
    }

    #[test]
    fn what_cannot_be_streamed_is_a_sentence() {
        let (model, corpus) = parts();
        let unknown = corpus
            .activations(&model, "blocks.0.hook_mlp_ou")
            .unwrap_err()
            .to_string();
        assert!(unknown.contains("hook_mlp_out"), "{unknown}");
        let error = |name: &str, head: Option<usize>| {
            let mut stream = corpus.activations(&model, name).unwrap();
            stream.head = head;
            stream.next().unwrap().unwrap_err().to_string()
        };
        let pattern = error("blocks.0.attn.hook_pattern", None);
        assert!(pattern.contains("no vector at each position"), "{pattern}");
        assert!(error(POINT, Some(1)).contains("no head 1"));
        assert!(error("blocks.0.attn.hook_z", Some(8)).contains("no head 8"));
    }

    #[test]
    fn an_interrupt_loses_no_batch() {
        let (model, corpus) = parts();
        let mut stream = corpus.activations(&model, POINT).unwrap().token_budget(1);
        let expected = all(stream.clone());
        let mut got = vec![stream.next().unwrap().unwrap()];
        let (stopped, _) = fake::with_stop(|| stream.next().unwrap());
        assert!(stopped.unwrap_err().to_string().starts_with("interrupted"));
        got.extend(all(stream));
        let prompts = |batches: &[ActivationBatch]| -> Vec<u32> {
            batches
                .iter()
                .flat_map(|batch| batch.prompts.clone())
                .collect()
        };
        assert_eq!(prompts(&got), prompts(&expected));
    }

    #[test]
    fn what_is_kept_on_disk_is_read_and_what_is_damaged_made_again() {
        let (model, corpus) = parts();
        let folder = tempfile::tempdir().unwrap();
        let stream = || {
            let stream = corpus.activations(&model, POINT).unwrap().token_budget(1);
            stream.cache_in(folder.path()).unwrap()
        };
        let values = |batches: Vec<ActivationBatch>| -> Vec<Vec<Vec<f32>>> {
            batches
                .iter()
                .map(|batch| batch.values.to_vec2().unwrap())
                .collect()
        };
        let first = values(all(stream()));
        let files = || {
            let mut files = Vec::new();
            for inner in std::fs::read_dir(folder.path()).unwrap() {
                let inner = std::fs::read_dir(inner.unwrap().path()).unwrap();
                files.extend(inner.map(|file| file.unwrap().path()));
            }
            files.sort();
            files
        };
        assert_eq!(files().len(), 3);
        // A file that is there is not written again.
        let read_only = files()[0].clone();
        let before = read_only.metadata().unwrap().modified().unwrap();
        assert_eq!(values(all(stream())), first);
        assert_eq!(read_only.metadata().unwrap().modified().unwrap(), before);
        let whole = std::fs::read(&read_only).unwrap();
        std::fs::write(&read_only, &whole[..whole.len() / 2]).unwrap();
        assert_eq!(values(all(stream())), first);
        assert_eq!(std::fs::read(&read_only).unwrap(), whole);
        let hooked = model
            .with_hooks(crate::model::Hooks::new().add(POINT, |value, _| value.affine(1., 0.)));
        let refused = corpus
            .activations(&hooked, POINT)
            .unwrap()
            .cache_in(folder.path());
        assert!(refused.unwrap_err().to_string().contains("hooks"));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_full_disk_is_one_error_and_loses_nothing() {
        let (model, corpus) = parts();
        let folder = tempfile::tempdir().unwrap();
        let stream = corpus.activations(&model, POINT).unwrap();
        let mut stream = stream.cache_in(folder.path()).unwrap();
        let batch = corpus.batches(TOKEN_BUDGET).unwrap().next().unwrap();
        let path = stream.shards.as_ref().unwrap().path(&batch);
        super::super::store::tests::fill_disk_for(&path);
        let full = stream.next().unwrap().unwrap_err().to_string();
        assert!(full.contains("disk is full"), "{full}");
        assert_eq!(
            std::fs::read_dir(path.parent().unwrap()).unwrap().count(),
            0
        );
        assert_eq!(
            stream.next().unwrap().unwrap().tokens.len(),
            corpus.tokens()
        );
        assert!(path.exists());
    }
}
