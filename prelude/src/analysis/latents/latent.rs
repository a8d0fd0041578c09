//! What a sweep keeps of each latent, and the loop that collects it.

use super::maxima::Maxima;
use super::walk::{Block, Collector, STRIPE};
use crate::data::{Array, Fingerprint, Record};
use crate::error::{Error, Result};
use rayon::prelude::*;
use std::cmp::Ordering;

/// How many activations are looked at together, as nearly all of them are 0.
const TOGETHER: usize = 16;
/// How many bins a histogram has: two for each power of two.
pub(super) const BINS: usize = 48;
/// Where the first of them begins, as a power of two.
const FIRST_EXPONENT: i32 = -12;

/// A prompt that activates a latent, where it does so most, and how much.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Activating {
    /// The prompt's number in the corpus.
    pub prompt: usize,
    /// The position of its maximal activation; the first, where there are several.
    pub position: usize,
    /// That activation.
    pub activation: f32,
}

impl Activating {
    /// The larger activation first; of equal ones the earlier prompt.
    pub(super) fn order(&self, other: &Self) -> Ordering {
        let by_value = other.activation.total_cmp(&self.activation);
        by_value.then(self.prompt.cmp(&other.prompt))
    }
}

/// How the activations of one latent are spread, those that are 0 left out.
#[derive(Clone, Debug, PartialEq)]
pub struct ActivationHistogram {
    /// Where bins begin and end, one more than there are bins: 1, 1.5, 2, 3, 4, 6, 8 and so on, from
    /// `2^-12` to `2^12`. What is outside is counted in the first and the last bin.
    pub edges: Vec<f64>,
    /// How many activations are in each bin; negative ones by their magnitude.
    pub counts: Vec<u64>,
}

/// What a sweep has seen of one latent.
#[derive(Clone, Debug)]
pub(super) struct Latent {
    /// On how many tokens it is not 0.
    pub(super) active: u64,
    pub(super) sum: f64,
    pub(super) max: f32,
    pub(super) histogram: [u64; BINS],
    /// The prompts that activate it most, in order.
    pub(super) top: Vec<Activating>,
    /// Those with the smallest draws, in the order of the draws.
    pub(super) sample: Vec<(u64, Activating)>,
}

/// What a sweep has seen of all latents.
#[derive(Clone, Debug)]
pub(super) struct Latents {
    pub(super) each: Vec<Latent>,
    /// How many positions it has looked at.
    pub(super) tokens: u64,
    pub(super) keeps_maxima: bool,
    /// Of each prompt and latent, where they are kept.
    pub(super) maxima: Maxima,
    top: usize,
    sample: usize,
    seed: u64,
}

impl Latents {
    pub(super) fn new(
        latents: usize,
        prompts: usize,
        top: usize,
        (sample, seed): (usize, u64),
        keeps_maxima: bool,
    ) -> Self {
        let kept = if keeps_maxima { prompts } else { 0 };
        let empty = Latent {
            active: 0,
            sum: 0.,
            max: 0.,
            histogram: [0; BINS],
            top: Vec::new(),
            sample: Vec::new(),
        };
        Self {
            each: vec![empty; latents],
            tokens: 0,
            keeps_maxima,
            maxima: Maxima::new(latents, kept, STRIPE),
            top,
            sample,
            seed,
        }
    }
}

impl Collector for Latents {
    fn take(&mut self, block: &Block<'_>) {
        let by_prompt = block.by_prompt();
        let (top, sample) = (self.top, self.sample);
        let draws: Vec<u64> = by_prompt
            .iter()
            .map(|(prompt, _)| draw(self.seed, *prompt))
            .collect();
        let maxima = &mut self.maxima.stripes_mut()[block.first / STRIPE..];
        let each = &mut self.each[block.first..block.first + block.latents];
        let stripes = each.par_chunks_mut(STRIPE).zip(maxima).enumerate();
        stripes.for_each(|(stripe, (latents, maxima))| {
            let first = stripe * STRIPE;
            let mut best = [(0f32, 0u32); STRIPE];
            let mut touched: Vec<usize> = Vec::with_capacity(STRIPE);
            for ((prompt, rows), draw) in by_prompt.iter().zip(&draws) {
                for row in rows.clone() {
                    let start = row * block.latents + first;
                    let acts = &block.acts[start..start + latents.len()];
                    for (group, acts) in acts.chunks(TOGETHER).enumerate() {
                        if are_zero(acts) {
                            continue;
                        }
                        for (at, act) in acts.iter().enumerate() {
                            if *act != 0. {
                                let at = group * TOGETHER + at;
                                latents[at].see(*act);
                                if *act > best[at].0 {
                                    if best[at].0 == 0. {
                                        touched.push(at);
                                    }
                                    best[at] = (*act, block.positions[row]);
                                }
                            }
                        }
                    }
                }
                let mut kept = maxima.of_prompt(*prompt as usize);
                if let Some((_, positions)) = &mut kept {
                    // Where nothing is active the maximum is that of the first position.
                    let nowhere = rows.clone().next().map_or(0, |row| block.positions[row]);
                    positions.fill(nowhere);
                }
                for at in touched.drain(..) {
                    let (activation, position) = std::mem::take(&mut best[at]);
                    if let Some((values, positions)) = &mut kept {
                        values[at] = activation;
                        positions[at] = position;
                    }
                    let activating = Activating {
                        prompt: *prompt as usize,
                        position: position as usize,
                        activation,
                    };
                    latents[at].keep(activating, *draw, top, sample);
                }
            }
        });
        if block.first == 0 {
            self.tokens += block.tokens.len() as u64;
        }
    }

    fn record(&self) -> Record {
        let each = || self.each.iter();
        let mut record = Record::default();
        record.set("tokens", Array::U64(vec![self.tokens]));
        record.set(
            "active",
            Array::U64(each().map(|latent| latent.active).collect()),
        );
        record.set("sum", Array::F64(each().map(|latent| latent.sum).collect()));
        record.set("max", Array::F32(each().map(|latent| latent.max).collect()));
        let histogram = each().flat_map(|latent| latent.histogram);
        record.set("histogram", Array::U64(histogram.collect()));
        set_lists(
            &mut record,
            "top",
            each().map(|latent| latent.top.as_slice()),
        );
        let sampled: Vec<Vec<Activating>> = each()
            .map(|latent| latent.sample.iter().map(|(_, prompt)| *prompt).collect())
            .collect();
        set_lists(&mut record, "sample", sampled.iter().map(Vec::as_slice));
        let draws = each().flat_map(|latent| latent.sample.iter().map(|(draw, _)| *draw));
        record.set("sample draw", Array::U64(draws.collect()));
        if self.keeps_maxima {
            self.maxima.record(&mut record);
        }
        record
    }

    fn restore(&mut self, record: &Record) -> Result<()> {
        let mut restored = self.clone();
        let wrong = || Error::new("it is of another number of latents");
        let count = restored.each.len();
        let (active, sum) = (record.u64("active")?, record.f64("sum")?);
        let (max, histogram) = (record.f32("max")?, record.u64("histogram")?);
        let tops = lists(record, "top")?;
        let samples = lists(record, "sample")?;
        let draws = record.u64("sample draw")?;
        let lengths = [
            active.len(),
            sum.len(),
            max.len(),
            tops.len(),
            samples.len(),
        ];
        let drawn: usize = samples.iter().map(Vec::len).sum();
        if lengths.iter().any(|length| *length != count)
            || histogram.len() != count * BINS
            || draws.len() != drawn
        {
            return Err(wrong());
        }
        let mut draws = draws.iter();
        let lists = tops.into_iter().zip(samples);
        for (index, (latent, (top, sample))) in restored.each.iter_mut().zip(lists).enumerate() {
            latent.active = active[index];
            latent.sum = sum[index];
            latent.max = max[index];
            let bins = &histogram[index * BINS..(index + 1) * BINS];
            latent.histogram.copy_from_slice(bins);
            latent.top = top;
            latent.sample = draws.by_ref().copied().zip(sample).collect();
        }
        if self.keeps_maxima {
            restored.maxima.restore(record)?;
        }
        restored.tokens = record.u64("tokens")?.first().copied().ok_or_else(wrong)?;
        *self = restored;
        Ok(())
    }

    fn identify(&self, key: &mut Fingerprint) {
        key.text("latents 2");
        for number in [self.top, self.sample, usize::from(self.keeps_maxima)] {
            key.number(number as u64);
        }
        key.number(self.seed);
    }
}

impl Latent {
    #[inline]
    fn see(&mut self, act: f32) {
        self.active += 1;
        self.sum += f64::from(act);
        self.max = self.max.max(act);
        self.histogram[bin(act)] += 1;
    }

    fn keep(&mut self, activating: Activating, draw: u64, top: usize, sample: usize) {
        insert(&mut self.top, activating, top, Activating::order);
        insert(&mut self.sample, (draw, activating), sample, |a, b| {
            a.0.cmp(&b.0).then(a.1.prompt.cmp(&b.1.prompt))
        });
    }

    pub(super) fn histogram(&self) -> ActivationHistogram {
        let edge = |edge: usize| {
            let power = f64::from(FIRST_EXPONENT + (edge / 2) as i32).exp2();
            power * if edge.is_multiple_of(2) { 1. } else { 1.5 }
        };
        ActivationHistogram {
            edges: (0..=BINS).map(edge).collect(),
            counts: self.histogram.to_vec(),
        }
    }
}

/// Whether all are 0 (or -0), without a branch for each.
#[inline]
fn are_zero(acts: &[f32]) -> bool {
    let bits = acts.iter().fold(0, |bits, act| bits | act.to_bits());
    bits << 1 == 0
}

/// The bin of an activation: its exponent and the first bit behind it.
#[inline]
fn bin(act: f32) -> usize {
    let first = (127 + FIRST_EXPONENT) << 1;
    let half_octave = ((act.to_bits() & 0x7fff_ffff) >> 22) as i32;
    (half_octave - first).clamp(0, BINS as i32 - 1) as usize
}

/// Puts an item in its place in a sorted list of at most `most`.
fn insert<T>(list: &mut Vec<T>, item: T, most: usize, order: impl Fn(&T, &T) -> Ordering) {
    let is_full = list.len() >= most;
    if is_full && list.last().is_none_or(|last| order(&item, last).is_ge()) {
        return;
    }
    let at = list.partition_point(|other| order(other, &item).is_lt());
    if is_full {
        list.pop();
    }
    list.insert(at, item);
}

/// A number for a prompt, the same for all latents: of those that a latent is active on, the ones with
/// the smallest numbers are a uniform sample, in whatever order they come (splitmix64).
fn draw(seed: u64, prompt: u32) -> u64 {
    let mut draw = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(
        u64::from(prompt)
            .wrapping_add(1)
            .wrapping_mul(0xbf58_476d_1ce4_e5b9),
    );
    draw = (draw ^ (draw >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    draw = (draw ^ (draw >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    draw ^ (draw >> 31)
}

fn set_lists<'a>(record: &mut Record, name: &str, lists: impl Iterator<Item = &'a [Activating]>) {
    let (mut counts, mut prompts, mut positions, mut values) = (vec![], vec![], vec![], vec![]);
    for list in lists {
        counts.push(list.len() as u32);
        prompts.extend(list.iter().map(|item| item.prompt as u32));
        positions.extend(list.iter().map(|item| item.position as u32));
        values.extend(list.iter().map(|item| item.activation));
    }
    record.set(&format!("{name} count"), Array::U32(counts));
    record.set(&format!("{name} prompt"), Array::U32(prompts));
    record.set(&format!("{name} position"), Array::U32(positions));
    record.set(&format!("{name} activation"), Array::F32(values));
}

fn lists(record: &Record, name: &str) -> Result<Vec<Vec<Activating>>> {
    let counts = record.u32(&format!("{name} count"))?;
    let prompts = record.u32(&format!("{name} prompt"))?;
    let positions = record.u32(&format!("{name} position"))?;
    let values = record.f32(&format!("{name} activation"))?;
    let total: usize = counts.iter().map(|count| *count as usize).sum();
    if [prompts.len(), positions.len(), values.len()] != [total; 3] {
        return Err(Error::new(format!(
            "its lists `{name}` are not as long as it says"
        )));
    }
    let mut all = prompts
        .iter()
        .zip(positions)
        .zip(values)
        .map(|((prompt, position), value)| Activating {
            prompt: *prompt as usize,
            position: *position as usize,
            activation: *value,
        });
    let of = |count: &u32| all.by_ref().take(*count as usize).collect();
    Ok(counts.iter().map(of).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Numbers without a pattern, most of them 0.
    fn acts(tokens: usize, latents: usize) -> Vec<f32> {
        let random = |at: usize| draw(at as u64, 7);
        (0..tokens * latents)
            .map(|at| match random(at) % 10 {
                0 => (random(at) >> 40) as f32 / 1e5,
                1 if at % 97 == 0 => -1.,
                _ => 0.,
            })
            .collect()
    }

    fn block<'a>(acts: &'a [f32], latents: usize, places: &'a [Vec<u32>; 3]) -> Block<'a> {
        let [prompts, positions, tokens] = places;
        Block {
            acts,
            latents,
            first: 0,
            prompts,
            positions,
            tokens,
        }
    }

    #[test]
    fn the_loop_finds_what_a_plain_one_finds() {
        let latents = STRIPE + 37;
        let lengths = [5usize, 1, 40, 7];
        let prompts: Vec<u32> = (0..4u32)
            .flat_map(|prompt| vec![prompt; lengths[prompt as usize]])
            .collect();
        let positions: Vec<u32> = lengths
            .iter()
            .flat_map(|length| 0..*length as u32)
            .collect();
        let places = [prompts.clone(), positions.clone(), prompts.clone()];
        let acts = acts(prompts.len(), latents);
        let mut found = Latents::new(latents, 4, 2, (3, 1), true);
        found.take(&block(&acts, latents, &places));
        assert_eq!(found.tokens, 53);
        for latent in 0..latents {
            let column: Vec<f32> = acts.iter().skip(latent).step_by(latents).copied().collect();
            let of = &found.each[latent];
            assert_eq!(
                of.active,
                column.iter().filter(|act| **act != 0.).count() as u64
            );
            let sum: f64 = column.iter().map(|act| f64::from(*act)).sum();
            assert!((of.sum - sum).abs() < 1e-9 * sum.abs().max(1.));
            assert_eq!(of.max, column.iter().copied().fold(0., f32::max));
            assert_eq!(of.histogram.iter().sum::<u64>(), of.active);
            let mut all = Vec::new();
            for prompt in 0..4u32 {
                let rows = (0..column.len()).filter(|row| prompts[*row] == prompt);
                let best = rows.fold((0f32, 0u32), |best, row| match column[row] > best.0 {
                    true => (column[row], positions[row]),
                    false => best,
                });
                assert_eq!(found.maxima.of(latent).nth(prompt as usize), Some(best));
                if best.0 > 0. {
                    all.push(Activating {
                        prompt: prompt as usize,
                        position: best.1 as usize,
                        activation: best.0,
                    });
                }
            }
            all.sort_by(Activating::order);
            assert_eq!(of.sample.len(), all.len().min(3));
            all.truncate(2);
            assert_eq!(of.top, all);
        }
    }

    #[test]
    fn what_is_recorded_is_restored_and_what_does_not_fit_changes_nothing() {
        let latents = 20;
        let places = [vec![0, 0, 1], vec![0, 1, 0], vec![9, 9, 9]];
        let acts = acts(3, latents);
        let empty = || Latents::new(latents, 2, 5, (2, 1), true);
        let mut found = empty();
        found.take(&block(&acts, latents, &places));
        let mut restored = empty();
        restored.restore(&found.record()).unwrap();
        assert_eq!(restored.record(), found.record());
        let mut other = Latents::new(latents + 1, 2, 5, (2, 1), true);
        assert!(other.restore(&found.record()).is_err());
        assert_eq!(other.tokens, 0);
        let mut without = Latents::new(latents, 2, 5, (2, 1), false);
        without.take(&block(&acts, latents, &places));
        assert!(empty().restore(&without.record()).is_err());
    }

    #[test]
    fn bins_are_where_the_edges_say() {
        let edges = Latents::new(1, 1, 1, (0, 0), false).each[0]
            .histogram()
            .edges;
        assert_eq!(edges.len(), BINS + 1);
        assert_eq!((edges[24], edges[25], edges[26]), (1., 1.5, 2.));
        for (index, edge) in edges.iter().take(BINS).enumerate() {
            assert_eq!(bin(*edge as f32), index, "{edge}");
            assert_eq!(bin(*edge as f32 * 0.999), index.saturating_sub(1), "{edge}");
        }
        assert_eq!((bin(1e-30), bin(1e30), bin(-1.)), (0, BINS - 1, 24));
    }
}
