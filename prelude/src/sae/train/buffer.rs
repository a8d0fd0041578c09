//! A buffer that mixes activations of many texts, so that a batch is not from a few of them.

use super::config::TrainConfig;
use super::random::{Purpose, generator};
use super::source::ActivationSource;
use crate::emit::check_interrupt;
use crate::error::{Error, Result};
use candle_core::Tensor;
use rand::seq::SliceRandom;

/// Filled with shuffled activations; when half of them are served, filled up and shuffled again.
#[derive(Clone, Debug)]
pub(super) struct Buffer {
    /// For each hook point, `[rows, d_in]`, in the same order.
    pub(super) rows: Vec<Tensor>,
    /// Rows that were served.
    pub(super) served: usize,
    /// The batch of the source that comes next.
    pub(super) position: u64,
    /// How often it was filled.
    pub(super) fillings: u64,
}

impl Buffer {
    pub(super) fn new() -> Self {
        Self {
            rows: Vec::new(),
            served: 0,
            position: 0,
            fillings: 0,
        }
    }

    /// Makes sure that a batch can be served. Where it is stopped or fails, nothing has changed.
    pub(super) fn fill(
        &mut self,
        source: &mut ActivationSource,
        config: &TrainConfig,
    ) -> Result<()> {
        let batch = config.batch_size;
        let size = batch * config.buffer_batches.max(2);
        let left = self.left();
        if left >= batch && left > size / 2 {
            return Ok(());
        }
        let places = source.places().len();
        let mut parts: Vec<Vec<Tensor>> = vec![Vec::new(); places];
        if left > 0 {
            for (parts, rows) in parts.iter_mut().zip(&self.rows) {
                parts.push(rows.narrow(0, self.served, left)?);
            }
        }
        let mut count = left;
        let mut position = self.position;
        let mut since_start = None;
        while count < size {
            check_interrupt()?;
            let Some(tensors) = source.batch(position, config)? else {
                if position == 0 || since_start == Some(0) {
                    return Err(Error::new(format!(
                        "there is nothing to train on: the source of {} gave no activations.",
                        source.hooks().join(", ")
                    )));
                }
                position = 0;
                since_start = Some(0);
                continue;
            };
            let new = tensors.first().map_or(Ok(0), |first| first.dim(0))?;
            since_start = since_start.map(|rows: usize| rows + new);
            position += 1;
            if new == 0 {
                continue;
            }
            count += new;
            for (parts, tensor) in parts.iter_mut().zip(tensors) {
                parts.push(tensor);
            }
        }
        let mut order: Vec<u32> = (0..count as u32).collect();
        order.shuffle(&mut generator(config.seed, Purpose::Shuffle, self.fillings));
        let mut rows = Vec::with_capacity(places);
        for parts in parts {
            let all = Tensor::cat(&parts, 0)?;
            drop(parts);
            let order = Tensor::new(order.as_slice(), all.device())?;
            rows.push(all.index_select(&order, 0)?);
        }
        self.rows = rows;
        self.served = 0;
        self.position = position;
        self.fillings += 1;
        Ok(())
    }

    /// The next `n` rows of each hook point, which stay where they are.
    pub(super) fn next(&self, n: usize) -> Result<Vec<Tensor>> {
        let rows = self.rows.iter();
        let next = rows.map(|rows| Ok(rows.narrow(0, self.served, n)?));
        next.collect()
    }

    /// Says that `n` rows were served.
    pub(super) fn serve(&mut self, n: usize) {
        self.served += n;
    }

    /// All rows that were not served yet.
    pub(super) fn unserved(&self) -> Result<Vec<Tensor>> {
        self.next(self.left())
    }

    fn left(&self) -> usize {
        let rows = self.rows.first().and_then(|rows| rows.dim(0).ok());
        rows.unwrap_or(0).saturating_sub(self.served)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use candle_core::{DType, Device};

    #[test]
    fn every_row_is_served_once_a_round_and_batches_mix() {
        let x = Tensor::arange(0f32, 64., &Device::Cpu).unwrap();
        let x = x.reshape((64, 1)).unwrap();
        let config = TrainConfig::relu(2)
            .batch_size(8)
            .buffer_batches(4)
            .model_batch_tokens(8);
        let mut source = ActivationSource::from_fn([("x", 1)], move |index| {
            let rows = x.narrow(0, index as usize * 8, 8);
            Ok((index < 8).then(|| vec![rows.unwrap()]))
        })
        .unwrap();
        let mut buffer = Buffer::new();
        let mut seen = vec![0; 64];
        let mut sources = 0;
        for _ in 0..32 {
            buffer.fill(&mut source, &config).unwrap();
            let batch = buffer.next(8).unwrap().remove(0);
            buffer.serve(8);
            let rows: Vec<f32> = batch.flatten_all().unwrap().to_vec1().unwrap();
            let mut of: Vec<usize> = rows.iter().map(|row| *row as usize / 8).collect();
            of.sort_unstable();
            of.dedup();
            sources += of.len();
            rows.iter().for_each(|row| seen[*row as usize] += 1);
        }
        // Four rounds were read into the buffer, whose last rows may not have been served.
        assert!(seen.iter().all(|count| (2..=5).contains(count)), "{seen:?}");
        assert!(sources > 32 * 2, "batches of few sources: {sources}");
    }

    #[test]
    fn an_empty_source_says_so() {
        let config = TrainConfig::relu(2);
        for rows in [None, Some(0)] {
            let mut source = ActivationSource::from_fn([("x", 3)], move |index| {
                let none = Tensor::zeros((0, 3), DType::F32, &Device::Cpu)?;
                Ok(rows.filter(|_| index < 2).map(|_: usize| vec![none]))
            })
            .unwrap();
            let error = Buffer::new().fill(&mut source, &config).unwrap_err();
            assert!(error.to_string().contains("nothing to train on"), "{error}");
        }
    }
}
