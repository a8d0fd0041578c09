//! Prompts of which everything but the last position has been computed.

use crate::error::Result;
use crate::model::{HookedTransformer, KeyValueCache, Padded, Run};
use candle_core::{Device, Tensor};

/// What is left to do of some prompts: their last position. Hooks and caches see that one alone,
/// `[batch, 1, ..]`.
///
/// Runs write their last position's keys and values to one place, one after the other.
pub(super) struct LastStep {
    model: HookedTransformer,
    last: Padded,
    past: Option<KeyValueCache>,
}

impl LastStep {
    /// All but the last positions of these rows of token ids, none of them empty; rows are padded on
    /// the left.
    pub(super) fn of(model: &HookedTransformer, rows: &[&[u32]]) -> Result<Self> {
        let width = rows.iter().map(|row| row.len()).max().unwrap_or(1);
        let first: Vec<usize> = rows.iter().map(|row| width - row.len()).collect();
        let ids: Vec<u32> = rows
            .iter()
            .zip(&first)
            .flat_map(|(row, first)| {
                // Any token does: nothing looks at padding.
                std::iter::repeat_n(0, *first).chain(row.iter().copied())
            })
            .collect();
        let tokens = Tensor::from_vec(ids, (rows.len(), width), &model.device())?;
        let first = first.iter().any(|first| *first > 0).then_some(first);
        let padded = |tokens: Tensor| Padded {
            tokens,
            first: first.clone(),
            lengths: None,
        };
        let last = padded(tokens.narrow(1, width - 1, 1)?.contiguous()?);
        let past = match width {
            1 => None,
            _ => {
                let before = padded(tokens.narrow(1, 0, width - 1)?.contiguous()?);
                let room = KeyValueCache::new(model.config().n_layers, width);
                let run = Run::on_prompt(model.clone(), before, Some(room));
                run.logits_at_and_past(-1)?.1
            }
        };
        Ok(Self {
            model: model.clone(),
            last,
            past,
        })
    }

    /// A run of the last positions.
    pub(super) fn run(&self) -> Run {
        Run::on_prompt(self.model.clone(), self.last.clone(), self.past.clone())
    }

    /// A run of the last positions from the entrance of a layer on, with these residual streams there,
    /// `[batch, 1, d_model]`.
    pub(super) fn run_from_layer(&self, layer: usize, residual: &Tensor) -> Run {
        let before = (self.last.first.clone(), self.past.clone());
        Run::on_last_residual(self.model.clone(), layer, residual.clone(), before)
    }

    /// The same of these prompts of the batch, in this order; each may come several times. It can be run
    /// from this layer on.
    pub(super) fn rows(&self, rows: &[u32], from_layer: usize) -> Result<Self> {
        let ids = Tensor::new(rows, &Device::Cpu)?.to_device(&self.model.device())?;
        let first = self.last.first.as_ref();
        let first = first.map(|first| rows.iter().map(|row| first[*row as usize]).collect());
        let past = self.past.as_ref();
        Ok(Self {
            model: self.model.clone(),
            last: Padded {
                tokens: self.last.tokens.index_select(&ids, 0)?,
                first,
                lengths: None,
            },
            past: past.map(|past| past.rows(&ids, from_layer)).transpose()?,
        })
    }
}

/// Prompts of these lengths (with the answer) in batches of similar length, each of at most `budget`
/// tokens with padding. Those of a single position come alone, as there is nothing before it to pad.
pub(super) fn batches(lengths: &[usize], budget: usize) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..lengths.len()).collect();
    order.sort_by_key(|prompt| lengths[*prompt]);
    let mut batches: Vec<Vec<usize>> = Vec::new();
    for prompt in order {
        let length = lengths[prompt];
        let fits = batches.last().is_some_and(|batch| {
            let shortest = batch.first().map_or(0, |first| lengths[*first]);
            (batch.len() + 1) * length <= budget && (shortest > 2 || length == shortest)
        });
        match batches.last_mut() {
            Some(batch) if fits => batch.push(prompt),
            _ => batches.push(vec![prompt]),
        }
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intervene::Intervention;
    use crate::model::HookedTransformer;

    #[test]
    fn the_last_position_is_computed_as_in_a_whole_run_whatever_ran_before() {
        let model = HookedTransformer::from_pretrained("stories-2l").unwrap();
        let rows: Vec<Vec<u32>> = ["Once upon a time", "Lily ran", "Tom saw a big red dog and"]
            .iter()
            .map(|text| {
                model
                    .to_tokens(*text)
                    .unwrap()
                    .get(0)
                    .unwrap()
                    .to_vec1()
                    .unwrap()
            })
            .collect();
        let slices: Vec<&[u32]> = rows.iter().map(Vec::as_slice).collect();
        let step = LastStep::of(&model, &slices).unwrap();
        let zero = Intervention::zero("blocks.0.hook_mlp_out");
        let changed = step.run().hooks(&zero).logits_at(-1).unwrap();
        let clean = step.run().logits_at(-1).unwrap();
        for (row, ids) in rows.iter().enumerate() {
            let alone = |run: Run| run.logits_at(-1).unwrap().get(0).unwrap();
            let whole = alone(model.run(vec![ids.clone()]));
            let without = alone(model.run(vec![ids.clone()]).hooks(zero.clone().at(-1)));
            for (ours, theirs) in [(&clean, whole), (&changed, without)] {
                let apart = (ours.get(row).unwrap() - theirs).unwrap().abs().unwrap();
                assert!(apart.max_all().unwrap().to_scalar::<f32>().unwrap() < 1e-3);
            }
        }
    }

    #[test]
    fn rows_that_start_in_the_middle_are_those_of_whole_runs() {
        let model = HookedTransformer::from_pretrained("stories-2l").unwrap();
        let rows: Vec<Vec<u32>> = vec![vec![0, 40, 41, 42], vec![0, 7, 9, 300, 301, 302]];
        let slices: Vec<&[u32]> = rows.iter().map(Vec::as_slice).collect();
        let step = LastStep::of(&model, &slices).unwrap();
        let (expected, cache) = step
            .run()
            .cache("blocks.0.hook_resid_post")
            .logits_at_and_cache(-1)
            .unwrap();
        let order = [1u32, 0, 1, 1];
        let ids = Tensor::new(order.as_slice(), &Device::Cpu).unwrap();
        let entering = cache["blocks.0.hook_resid_post"]
            .index_select(&ids, 0)
            .unwrap();
        let repeated = step.rows(&order, 1).unwrap();
        let found = repeated.run_from_layer(1, &entering).logits_at(-1).unwrap();
        let apart = (found - expected.index_select(&ids, 0).unwrap()).unwrap();
        let apart = apart.abs().unwrap().max_all().unwrap();
        assert!(apart.to_scalar::<f32>().unwrap() < 1e-4);
        // And from the tokens.
        let found = step.rows(&order, 0).unwrap().run().logits_at(-1).unwrap();
        let apart = (found - expected.index_select(&ids, 0).unwrap()).unwrap();
        let apart = apart.abs().unwrap().max_all().unwrap();
        assert!(apart.to_scalar::<f32>().unwrap() < 1e-4);
    }

    #[test]
    fn batches_hold_every_prompt_once() {
        let lengths = [2, 9, 2, 3, 40, 5, 9];
        let all = batches(&lengths, 20);
        assert_eq!(all[0], [0, 2], "those of one position come alone");
        assert!(all.contains(&vec![4]), "too long for the budget");
        let mut seen: Vec<usize> = all.concat();
        seen.sort_unstable();
        assert_eq!(seen, (0..lengths.len()).collect::<Vec<_>>());
    }
}
