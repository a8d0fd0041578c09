//! Gates whose activations say all that the backward pass needs: ReLU, the top-k ones, NSAE.

use super::config::GateTraining;
use super::noise::Noise;
use super::slices;
use crate::error::Result;
use crate::sae::gate::{BatchTopK, Gate, Scale, TopK};
use candle_core::Tensor;
use rayon::prelude::*;

/// Activations from `(x - b_dec) W_enc`, both `[n, d_sae]`; on the CPU the memory of the one becomes that
/// of the other.
pub(super) fn activate(
    gate: &GateTraining,
    projected: Tensor,
    b_enc: &Tensor,
    noise: &Noise,
) -> Result<Tensor> {
    let (rows, d_sae) = projected.dims2()?;
    if !slices::on_cpu(&projected) {
        let mut pre = projected.broadcast_add(b_enc)?;
        if let Some(noise) = noise.tensor(rows, d_sae, pre.device())? {
            pre = (pre + noise)?;
        }
        return on_any_device(gate, pre);
    }
    let bounded = matches!(gate, GateTraining::Nsae { .. });
    let largest = match gate {
        GateTraining::TopK { k } => Some(*k),
        _ => None,
    };
    let given = match noise {
        Noise::Given(noise) => Some(slices::read(noise, <[f32]>::to_vec)?),
        _ => None,
    };
    slices::read(b_enc, |b_enc| {
        slices::overwrite(&projected, |values| {
            values
                .par_chunks_mut(d_sae)
                .with_min_len(16)
                .enumerate()
                .for_each(|(index, row)| {
                    for (value, bias) in row.iter_mut().zip(b_enc) {
                        *value += bias;
                    }
                    if let Some(given) = &given {
                        let noise = &given[index * d_sae..(index + 1) * d_sae];
                        row.iter_mut()
                            .zip(noise)
                            .for_each(|(value, noise)| *value += noise);
                    }
                    if let Noise::Drawn { sigma, seed } = noise {
                        Noise::add_to_row(*sigma as f32, *seed, index, row);
                    }
                    for value in row.iter_mut() {
                        *value = value.max(0.);
                    }
                    if bounded {
                        for value in row.iter_mut().filter(|value| **value > 0.) {
                            *value = value.tanh();
                        }
                    }
                    if let Some(k) = largest {
                        keep_largest(row, k);
                    }
                });
        })
    })??;
    if let GateTraining::BatchTopK { k, .. } | GateTraining::Matryoshka { k, .. } = gate {
        slices::overwrite(&projected, |values| {
            keep_largest(values, (*k * rows as f64) as usize);
        })?;
    }
    Ok(projected)
}

/// Sets to 0 all but the `k` largest of values that are not below 0. Of equals the first stay.
fn keep_largest(values: &mut [f32], k: usize) {
    let Some(least) = largest(values, k) else {
        return;
    };
    let kept = values.iter().filter(|value| **value >= least).count();
    for value in values.iter_mut() {
        *value = if *value >= least { *value } else { 0. };
    }
    let mut left_out = kept.saturating_sub(k);
    for value in values.iter_mut().rev() {
        if left_out == 0 {
            break;
        }
        if *value == least {
            *value = 0.;
            left_out -= 1;
        }
    }
}

/// The `k`th largest of values that are not below 0; nothing where fewer are above 0.
///
/// The largest of `k` blocks are `k` values, so that the smallest of these is a bound, which most blocks
/// are below altogether.
fn largest(values: &[f32], k: usize) -> Option<f32> {
    const BLOCK: usize = 16;
    if k == 0 {
        return Some(f32::INFINITY);
    }
    let descending = |a: &f32, b: &f32| b.total_cmp(a);
    let most = |block: &[f32]| {
        let mut lanes = [0f32; BLOCK];
        for (lane, value) in lanes.iter_mut().zip(block) {
            *lane = if *value > *lane { *value } else { *lane };
        }
        lanes
            .iter()
            .fold(0f32, |most, lane| if *lane > most { *lane } else { most })
    };
    let of_blocks: Vec<f32> = values.chunks(BLOCK).map(most).collect();
    let bound = match k <= of_blocks.len() {
        true => {
            *of_blocks
                .clone()
                .select_nth_unstable_by(k - 1, descending)
                .1
        }
        false => 0.,
    };
    let blocks = values.chunks(BLOCK).zip(&of_blocks);
    let mut candidates = Vec::with_capacity(4 * k.min(values.len()));
    for (block, _) in blocks.filter(|(_, most)| **most >= bound && **most > 0.) {
        let above = block
            .iter()
            .filter(|value| **value >= bound && **value > 0.);
        candidates.extend(above.copied());
    }
    match candidates.len() < k {
        true => None,
        false => Some(*candidates.select_nth_unstable_by(k - 1, descending).1),
    }
}

/// The same, composed of what every device has.
fn on_any_device(gate: &GateTraining, pre: Tensor) -> Result<Tensor> {
    // Of top-k gates these need no norms of the decoder.
    let scale = Scale { W_dec: &pre };
    Ok(match gate {
        GateTraining::Nsae { .. } => pre.relu()?.tanh()?,
        GateTraining::TopK { k } => Gate::TopK(TopK::new(*k)).post(&pre, &pre, &scale)?,
        GateTraining::BatchTopK { k, .. } | GateTraining::Matryoshka { k, .. } => {
            let gate = BatchTopK {
                k: *k,
                threshold: None,
                rescale_by_decoder_norm: false,
            };
            Gate::BatchTopK(gate).post(&pre, &pre, &scale)?
        }
        _ => pre.relu()?,
    })
}

/// The slope of these gates, from an activation above 0.
pub(super) fn slope(gate: &GateTraining) -> fn(f32) -> f32 {
    match gate {
        GateTraining::Nsae { .. } => |act| 1. - act * act,
        _ => |_| 1.,
    }
}

/// The slope of these gates at all activations, `[n, d_sae]`.
pub(super) fn slopes(gate: &GateTraining, acts: &Tensor) -> Result<Tensor> {
    let active = acts.gt(0.)?.to_dtype(acts.dtype())?;
    Ok(match gate {
        GateTraining::Nsae { .. } => (active * acts.sqr()?.affine(-1., 1.)?)?,
        _ => active,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_equals_the_first_stay() {
        let mut values = [1., 3., 0., 2., 2., 2., 5.];
        keep_largest(&mut values, 4);
        assert_eq!(values, [0., 3., 0., 2., 2., 0., 5.]);
        keep_largest(&mut values, 0);
        assert_eq!(values, [0.; 7]);
    }

    #[test]
    fn blocks_leave_out_nothing() {
        for (length, k) in [
            (1000, 3),
            (1000, 62),
            (1000, 63),
            (1000, 400),
            (17, 1),
            (100, 99),
        ] {
            let numbers = (0..length).map(|n| ((n * 7919 + 13) % 257) as f32 - 100.);
            let values: Vec<f32> = numbers.map(|value| value.max(0.)).collect();
            let mut sorted = values.clone();
            sorted.sort_by(|a, b| b.total_cmp(a));
            let mut kept = values.clone();
            keep_largest(&mut kept, k);
            let mut left: Vec<f32> = kept.iter().copied().filter(|value| *value > 0.).collect();
            left.sort_by(|a, b| b.total_cmp(a));
            let expected = sorted.into_iter().take(k).filter(|value| *value > 0.);
            assert_eq!(left, expected.collect::<Vec<f32>>(), "{length} {k}");
        }
    }
}
