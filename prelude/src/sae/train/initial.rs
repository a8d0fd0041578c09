//! Weights at the start.

use super::config::{BiasStart, GateTraining, TrainConfig};
use super::parameters::Parameters;
use super::random::{Purpose, generator, normals};
use crate::emit::check_interrupt;
use crate::error::Result;
use candle_core::{DType, Device, Tensor};
use rand::RngCore;

/// Rows of the decoder in random directions, the encoder beside them, biases of 0.
pub(super) fn weights(
    config: &TrainConfig,
    d_in: usize,
    lane: usize,
    device: &Device,
) -> Result<Parameters> {
    let d_sae = config.d_sae;
    let mut random = generator(config.seed, Purpose::Weights, lane as u64);
    let mut values = Vec::with_capacity(d_sae * d_in + 1);
    while values.len() < d_sae * d_in {
        let (first, second) = normals(random.next_u64());
        values.extend([first, second]);
    }
    values.truncate(d_sae * d_in);
    let directions = Tensor::from_vec(values, (d_sae, d_in), device)?;
    let norms = directions.sqr()?.sum_keepdim(1)?.sqrt()?.maximum(1e-12)?;
    let unit = directions.broadcast_div(&norms)?;
    let of_norm = |norm: f64| Ok::<_, crate::Error>((&unit * norm)?);
    let encoder_norm = config.encoder_start_norm;
    let zeros = |length: usize| Tensor::zeros(length, DType::F32, device);
    let of_gate = match &config.gate {
        GateTraining::JumpRelu(training) => {
            let threshold = (zeros(d_sae)? + training.start_threshold)?;
            vec![("threshold", threshold)]
        }
        GateTraining::Gated { .. } => vec![("r_mag", zeros(d_sae)?), ("b_mag", zeros(d_sae)?)],
        _ => Vec::new(),
    };
    Ok(Parameters {
        W_enc: of_norm(encoder_norm.unwrap_or(config.decoder_start_norm))?,
        b_enc: zeros(d_sae)?,
        W_dec: of_norm(config.decoder_start_norm)?,
        b_dec: zeros(d_in)?,
        of_gate,
    })
}

/// The decoder's bias for these activations, `[n, d_in]`.
pub(super) fn bias(start: BiasStart, x: &Tensor) -> Result<Tensor> {
    match start {
        BiasStart::Zeros => Ok(Tensor::zeros(x.dim(1)?, DType::F32, x.device())?),
        BiasStart::Mean => Ok(x.mean(0)?),
        BiasStart::GeometricMedian => geometric_median(x),
    }
}

/// The point with the smallest sum of distances to the rows of `x`, by Weiszfeld's iteration from their mean,
/// until that sum falls by less than a millionth.
fn geometric_median(x: &Tensor) -> Result<Tensor> {
    const MOST_ROWS: usize = 16_384;
    const MOST_STEPS: usize = 100;
    let x = x.narrow(0, 0, x.dim(0)?.min(MOST_ROWS))?;
    let mut median = x.mean(0)?;
    let mut last = f64::INFINITY;
    for _ in 0..MOST_STEPS {
        check_interrupt()?;
        let distances = x.broadcast_sub(&median)?.sqr()?.sum(1)?.sqrt()?;
        let sum = f64::from(distances.sum_all()?.to_scalar::<f32>()?);
        if sum >= last * (1. - 1e-6) {
            break;
        }
        last = sum;
        let weights = distances.maximum(1e-6)?.recip()?;
        let total = f64::from(weights.sum_all()?.to_scalar::<f32>()?);
        let sum = weights.unsqueeze(0)?.matmul(&x)?.squeeze(0)?;
        median = (sum / total)?;
    }
    Ok(median)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_a_cross_with_an_outlier_is_near_its_centre() {
        let rows = [
            [1f32, 0.],
            [-1., 0.],
            [0., 1.],
            [0., -1.],
            [0.01, 0.],
            [100., 100.],
        ];
        let x = Tensor::new(&rows, &Device::Cpu).unwrap();
        let median: Vec<f32> = geometric_median(&x).unwrap().to_vec1().unwrap();
        assert!(median.iter().all(|value| value.abs() < 0.5), "{median:?}");
        let mean: Vec<f32> = bias(BiasStart::Mean, &x).unwrap().to_vec1().unwrap();
        assert!(mean.iter().all(|value| *value > 16.), "{mean:?}");
    }

    #[test]
    fn the_encoder_is_the_transposed_decoder_and_seeds_differ() {
        let config = TrainConfig::relu(8);
        let first = weights(&config, 5, 0, &Device::Cpu).unwrap();
        let difference = (&first.W_enc - &first.W_dec).unwrap().abs().unwrap();
        assert_eq!(
            difference.max_all().unwrap().to_scalar::<f32>().unwrap(),
            0.
        );
        for other in [(config.clone().seed(1), 0), (config, 1)] {
            let other = weights(&other.0, 5, other.1, &Device::Cpu).unwrap();
            let difference = (&first.W_dec - &other.W_dec).unwrap().abs().unwrap();
            assert!(difference.max_all().unwrap().to_scalar::<f32>().unwrap() > 0.1);
        }
    }
}
