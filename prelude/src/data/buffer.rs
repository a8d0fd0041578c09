//! Activations from all over a corpus in one batch.

use crate::error::{Error, Result};
use candle_core::Tensor;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use std::collections::VecDeque;
use std::fmt;

/// Batches of one size, mixed from a stream of activations, `[tokens, d_in]` each.
///
/// The buffer is filled, shuffled, and half of it given out; then it is filled again. At the end of the
/// stream the rest follows; what does not fill a batch is left out. As SAELens's `mixing_buffer`, seeded:
/// the same stream and the same seed give the same batches.
///
/// ```
/// use ferrolens::data::{Corpus, MixOptions};
/// use ferrolens::model::HookedTransformer;
/// let model = HookedTransformer::from_pretrained("stories-2l")?;
/// let corpus = Corpus::new(&model, vec!["Once upon a time there was a cat."; 10])?;
/// let stream = corpus.activations(&model, "blocks.0.hook_mlp_out")?;
/// for batch in stream.mixed(MixOptions::new(16).batches_in_memory(4).seed(1))? {
///     assert_eq!(batch?.dims(), [16, 256]);
/// }
/// # Ok::<(), ferrolens::Error>(())
/// ```
pub struct MixingBuffer {
    source: Box<dyn Iterator<Item = Result<Tensor>> + Send>,
    options: MixOptions,
    held: Vec<Tensor>,
    /// How many rows `held` has.
    rows: usize,
    ready: VecDeque<Tensor>,
    is_at_end: bool,
    random: StdRng,
}

/// How a [`MixingBuffer`] mixes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MixOptions {
    batch_size: usize,
    batches_in_memory: usize,
    keep: f64,
    seed: u64,
}

impl MixOptions {
    /// Batches of this many tokens, from 64 of them in memory, of which half stay at each filling.
    pub fn new(batch_size: usize) -> Self {
        Self {
            batch_size,
            batches_in_memory: 64,
            keep: 0.5,
            seed: 0,
        }
    }

    /// How many batches are in memory when the buffer is full.
    #[must_use]
    pub fn batches_in_memory(mut self, batches: usize) -> Self {
        self.batches_in_memory = batches;
        self
    }

    /// The share of the buffer that stays to be mixed with what comes, 0 to below 1; 0 does not mix.
    #[must_use]
    pub fn keep(mut self, share: f64) -> Self {
        self.keep = share;
        self
    }

    /// What the order follows from.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }
}

impl MixingBuffer {
    /// A buffer behind any stream of activations.
    ///
    /// # Errors
    /// Batches of no tokens, a buffer of no batch, or a share outside 0 to 1.
    pub fn new(
        source: impl Iterator<Item = Result<Tensor>> + Send + 'static,
        options: MixOptions,
    ) -> Result<Self> {
        if options.batch_size == 0 || options.batches_in_memory == 0 {
            return Err(Error::new(format!(
                "{} batches of {} tokens hold nothing: both must be at least 1.",
                options.batches_in_memory, options.batch_size
            )));
        }
        if !(0. ..1.).contains(&options.keep) {
            return Err(Error::new(format!(
                "a share of {} cannot be kept: it must be 0 to below 1.",
                options.keep
            )));
        }
        Ok(Self {
            source: Box::new(source),
            options,
            held: Vec::new(),
            rows: 0,
            ready: VecDeque::new(),
            is_at_end: false,
            random: StdRng::seed_from_u64(options.seed),
        })
    }

    /// Makes batches ready, as many as there can be.
    fn fill(&mut self) -> Result<()> {
        let MixOptions {
            batch_size,
            batches_in_memory,
            keep,
            ..
        } = self.options;
        let capacity = batch_size.saturating_mul(batches_in_memory);
        while self.rows < capacity && !self.is_at_end {
            match self.source.next() {
                Some(rows) => {
                    let rows = rows?;
                    let (count, _) = rows.dims2().map_err(|_| {
                        Error::new(format!(
                            "activations of shape {:?} cannot be mixed: they must be [tokens, d_in].",
                            rows.dims()
                        ))
                    })?;
                    self.rows += count;
                    self.held.push(rows);
                }
                None => self.is_at_end = true,
            }
        }
        if self.rows < batch_size {
            return Ok(());
        }
        let mut all = Tensor::cat(&self.held, 0)?;
        if keep > 0. {
            let mut order: Vec<u32> = (0..self.rows as u32).collect();
            order.shuffle(&mut self.random);
            all = all.index_select(&Tensor::new(order, all.device())?, 0)?;
        }
        let staying = match self.is_at_end {
            true => 0,
            false => (capacity as f64 * keep) as usize,
        };
        let batches = ((self.rows - staying) / batch_size).max(1);
        for batch in 0..batches {
            let rows = all.narrow(0, batch * batch_size, batch_size)?;
            self.ready.push_back(rows.contiguous()?);
        }
        self.rows -= batches * batch_size;
        self.held = match self.rows {
            0 => Vec::new(),
            // A copy, so that what was given out is freed.
            rows => vec![
                all.narrow(0, batches * batch_size, rows)?
                    .force_contiguous()?,
            ],
        };
        Ok(())
    }
}

impl Iterator for MixingBuffer {
    type Item = Result<Tensor>;

    fn next(&mut self) -> Option<Result<Tensor>> {
        if self.ready.is_empty()
            && let Err(error) = self.fill()
        {
            return Some(Err(error));
        }
        self.ready.pop_front().map(Ok)
    }
}

impl fmt::Debug for MixingBuffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let held = self.rows + self.ready.len() * self.options.batch_size;
        write!(
            f,
            "MixingBuffer({:?}, {held} tokens in memory)",
            self.options
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::Device;

    /// Tensors of these numbers of rows; each row holds its number in the stream.
    fn stream(sizes: &[usize]) -> impl Iterator<Item = Result<Tensor>> + Send + use<> {
        let mut next = 0f32;
        let mut tensors = Vec::new();
        for size in sizes {
            let values: Vec<f32> = (0..*size).map(|row| next + row as f32).collect();
            next += *size as f32;
            tensors.push(Ok(
                Tensor::from_vec(values, (*size, 1), &Device::Cpu).unwrap()
            ));
        }
        tensors.into_iter()
    }

    fn batches(sizes: &[usize], options: MixOptions) -> Vec<Vec<f32>> {
        let buffer = MixingBuffer::new(stream(sizes), options).unwrap();
        let flat = |batch: Result<Tensor>| batch.unwrap().flatten_all().unwrap().to_vec1().unwrap();
        buffer.map(flat).collect()
    }

    #[test]
    fn every_row_comes_once_and_late_ones_among_early_ones() {
        let options = MixOptions::new(4).batches_in_memory(8).seed(1);
        let given = batches(&[10; 20], options);
        assert_eq!(given.len(), 50);
        let mut rows: Vec<f32> = given.concat();
        assert_eq!(
            batches(&[10; 20], options).concat(),
            rows,
            "the seed decides"
        );
        assert_ne!(batches(&[10; 20], options.seed(2)).concat(), rows);
        rows.sort_by(f32::total_cmp);
        assert_eq!(rows, (0..200).map(|row| row as f32).collect::<Vec<_>>());
        let spread = |batch: &Vec<f32>| {
            batch.iter().copied().fold(0f32, f32::max) - batch.iter().copied().fold(1e9, f32::min)
        };
        let mean = given.iter().map(spread).sum::<f32>() / 50.;
        assert!(mean > 12., "{mean}");
        // Memory stays bounded: after the first filling no batch is later than the buffer reaches.
        let first = given[0].iter().copied().fold(0f32, f32::max);
        assert!(first < 40., "{first}");
    }

    #[test]
    fn without_mixing_the_order_stays_and_the_rest_is_left_out() {
        let given = batches(&[3, 3, 3], MixOptions::new(4).keep(0.).batches_in_memory(1));
        assert_eq!(given, [[0., 1., 2., 3.], [4., 5., 6., 7.]]);
        assert!(batches(&[3], MixOptions::new(4)).is_empty());
        assert!(batches(&[], MixOptions::new(4)).is_empty());
    }

    #[test]
    fn what_cannot_be_mixed_is_a_sentence() {
        let options = |options| {
            MixingBuffer::new(stream(&[]), options)
                .err()
                .unwrap()
                .to_string()
        };
        assert!(options(MixOptions::new(0)).contains("at least 1"));
        assert!(options(MixOptions::new(1).batches_in_memory(0)).contains("at least 1"));
        assert!(options(MixOptions::new(1).keep(1.)).contains("share of 1"));
        let flat = std::iter::once(Ok(
            Tensor::zeros(3, candle_core::DType::F32, &Device::Cpu).unwrap()
        ));
        let mut buffer = MixingBuffer::new(flat, MixOptions::new(1)).unwrap();
        assert!(
            buffer
                .next()
                .unwrap()
                .unwrap_err()
                .to_string()
                .contains("[3]")
        );
    }
}
