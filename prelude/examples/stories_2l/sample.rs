//! `sample`: stories by ancestral sampling, at temperature 1, from stories260K.

use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::{collections::BTreeMap, thread, time::Instant};

use crate::chance::Chance;
use crate::generator::{Generator, LANES, Lane, exponentials};
use crate::pieces::{END, Pieces, START};

/// Stands on its own line after each story of a corpus.
pub const MARKER: &str = "<|endoftext|>";

/// Stories that share a set of lanes: the next one starts where another ends.
const GROUP: usize = 256;

/// Writes `groups` times 256 stories, less those that did not end within the model's context.
///
/// Story `i` of a seed is the same whatever the number of threads.
pub fn sample(
    generator: &Generator,
    pieces: &Pieces,
    seed: u64,
    groups: usize,
    output: &mut impl Write,
) -> io::Result<()> {
    let started = Instant::now();
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let next = AtomicUsize::new(0);
    let (sender, receiver) = mpsc::sync_channel(2 * threads);
    let (mut stories, mut characters) = (0, 0);
    thread::scope(|scope| {
        for _ in 0..threads {
            let (sender, next) = (sender.clone(), &next);
            scope.spawn(move || {
                loop {
                    let group = next.fetch_add(1, Ordering::Relaxed);
                    if group >= groups
                        || sender
                            .send((group, sample_group(generator, pieces, seed, group)))
                            .is_err()
                    {
                        return;
                    }
                }
            });
        }
        drop(sender);
        // Groups finish in any order and are written in theirs.
        let mut waiting = BTreeMap::new();
        let mut due = 0;
        for (group, texts) in receiver {
            waiting.insert(group, texts);
            while let Some(texts) = waiting.remove(&due) {
                for text in texts {
                    writeln!(output, "{text}\n{MARKER}")?;
                    stories += 1;
                    characters += text.chars().count();
                }
                due += 1;
                if due % 50 == 0 || due == groups {
                    let seconds = started.elapsed().as_secs_f32();
                    println!(
                        "group {due} of {groups}: {stories} of {} stories ended, {characters} characters, {seconds:.0} s",
                        due * GROUP
                    );
                }
            }
        }
        Ok(())
    })
}

/// The stories of one group, in their order.
fn sample_group(generator: &Generator, pieces: &Pieces, seed: u64, group: usize) -> Vec<String> {
    let first = (group * GROUP) as u64;
    let source = |story: usize| Chance::new(seed, first + story as u64);
    let mut caches = generator.stories();
    let mut texts: Vec<Option<String>> = vec![None; GROUP];
    let mut started = LANES;
    let mut story: [usize; LANES] = std::array::from_fn(|lane| lane);
    let mut chances: [Chance; LANES] = std::array::from_fn(source);
    let mut written: [Vec<usize>; LANES] = Default::default();
    let mut running = [true; LANES];
    while running.contains(&true) {
        let tokens = std::array::from_fn(|lane| written[lane].last().copied().unwrap_or(START));
        let positions = std::array::from_fn(|lane| written[lane].len());
        let logits = generator.step(&mut caches, tokens, positions);
        let chosen = choose(logits, std::array::from_fn(|lane| chances[lane].unit()));
        for lane in 0..LANES {
            if !running[lane] {
                continue;
            }
            let ended = chosen[lane] <= END;
            if ended {
                texts[story[lane]] = Some(pieces.decode(&written[lane]).trim().to_owned());
            } else {
                written[lane].push(chosen[lane]);
            }
            if ended || written[lane].len() == generator.n_ctx {
                written[lane].clear();
                running[lane] = started < GROUP;
                story[lane] = started;
                chances[lane] = source(started);
                started += 1;
            }
        }
    }
    // A story that holds the marker, or nothing, would break the corpus apart.
    texts
        .into_iter()
        .flatten()
        .filter(|text| !text.is_empty() && !text.contains(MARKER))
        .collect()
}

/// One token for each lane, where `chance` (between 0 and 1) falls among the probabilities.
fn choose(logits: &[Lane], chance: Lane) -> [usize; LANES] {
    let mut largest = [f32::NEG_INFINITY; LANES];
    for logit in logits {
        for lane in 0..LANES {
            largest[lane] = largest[lane].max(logit[lane]);
        }
    }
    let weight = |logit: &Lane| -> Lane {
        exponentials(std::array::from_fn(|lane| logit[lane] - largest[lane]))
    };
    let weights: Vec<Lane> = logits.iter().map(weight).collect();
    let mut total = [0.0; LANES];
    for weight in &weights {
        for lane in 0..LANES {
            total[lane] += weight[lane];
        }
    }
    let mut passed = [0.0; LANES];
    let mut chosen = [0u32; LANES];
    for weight in &weights {
        for lane in 0..LANES {
            passed[lane] += weight[lane];
            chosen[lane] += u32::from(passed[lane] <= chance[lane] * total[lane]);
        }
    }
    chosen.map(|token| (token as usize).min(logits.len() - 1))
}
