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
    let mut positive: Vec<f32> = values.iter().copied().filter(|value| *value > 0.).collect();
    if positive.len() <= k {
        return;
    }
    if k == 0 {
        values.fill(0.);
        return;
    }
    let (_, least, _) = positive.select_nth_unstable_by(k - 1, |a, b| b.total_cmp(a));
    let least = *least;
    let above = values.iter().filter(|value| **value > least).count();
    let mut equals = k - above;
    for value in values {
        if *value == least && equals > 0 {
            equals -= 1;
        } else if *value <= least {
            *value = 0.;
        }
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
}
