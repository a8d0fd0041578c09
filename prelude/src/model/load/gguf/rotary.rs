//! How a GGUF file stretches rotary frequencies, in the words of a `config.json`.

use super::metadata::Metadata;
use crate::error::{Error, Result};
use serde_json::{Value, json};

/// Llama 3.1's choice, which every model with stretched frequencies kept (arXiv 2407.21783 and the
/// `config.json` of its models).
const LOW: f64 = 1.;
const HIGH: f64 = 4.;
/// Contexts that a model may have been trained on first.
const CONTEXTS: std::ops::RangeInclusive<u32> = 9..=17; // powers of two
const TOLERANCE: f64 = 1e-4;

/// The `rope_scaling` of a `config.json`, or nothing where frequencies are not stretched.
///
/// `factors` are those of the tensor `rope_freqs.weight`: by how much each frequency is divided.
///
/// # Errors
/// They are stretched in a way that a `config.json` cannot say, or that is not supported.
pub(super) fn scaling(
    metadata: &Metadata,
    architecture: &str,
    base: f64,
    factors: Option<&[f32]>,
) -> Result<Option<Value>> {
    let key = |name: &str| format!("{architecture}.rope.{name}");
    let factor = metadata
        .number(&key("scaling.factor"))
        // The name in files of 2023.
        .or_else(|| metadata.number(&key("scale_linear")));
    let linear = match metadata.text(&key("scaling.type")) {
        Some("none") => None,
        None | Some("linear") => factor.filter(|factor| *factor != 1. && *factor != 0.),
        Some(other) => {
            return Err(Error::new(format!(
                "rotary embeddings stretched by `{other}` are not supported: `linear` and those of \
                 Llama 3 are."
            )));
        }
    };
    match (linear, factors) {
        (None, None) => Ok(None),
        (Some(factor), None) => Ok(Some(json!({"rope_type": "linear", "factor": factor}))),
        (None, Some(factors)) => of_factors(base, factors),
        (Some(_), Some(_)) => Err(Error::new(
            "rotary embeddings stretched twice, by a factor and by `rope_freqs.weight`, are not \
             supported.",
        )),
    }
}

/// The choice that gives these factors: llama.cpp's converter keeps only what came out of it.
fn of_factors(base: f64, factors: &[f32]) -> Result<Option<Value>> {
    if factors.iter().all(|factor| *factor == 1.) {
        return Ok(None);
    }
    let largest = factors.iter().copied().fold(1f32, f32::max);
    let factor = f64::from(largest);
    let fits = |context: f64| {
        let half = factors.len() as f64;
        factors.iter().enumerate().all(|(pair, found)| {
            let frequency = base.powf(-(pair as f64) / half);
            let waves = context * frequency / std::f64::consts::TAU;
            let smooth = ((waves - LOW) / (HIGH - LOW)).clamp(0., 1.);
            let expected = 1. / ((1. - smooth) / factor + smooth);
            (f64::from(*found) - expected).abs() <= TOLERANCE * expected
        })
    };
    let context = CONTEXTS
        .map(|power| 1u32 << power)
        .find(|context| fits(f64::from(*context)));
    match context {
        Some(context) => Ok(Some(json!({
            "rope_type": "llama3",
            "factor": factor,
            "low_freq_factor": LOW,
            "high_freq_factor": HIGH,
            "original_max_position_embeddings": context,
        }))),
        None => Err(Error::new(
            "its `rope_freqs.weight` stretches rotary frequencies in another way than Llama 3, which \
             is not supported.",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::super::metadata::Value as Entry;
    use super::*;

    /// The factors that llama.cpp's converter writes (`generate_extra_tensors` of its Llama).
    fn converted(base: f64, factor: f64, context: f64, low: f64, high: f64) -> Vec<f32> {
        let of = |pair: usize| {
            let wavelength = std::f64::consts::TAU * base.powf(pair as f64 / 32.);
            if wavelength < context / high {
                1.
            } else if wavelength > context / low {
                factor as f32
            } else {
                let smooth = (context / wavelength - low) / (high - low);
                (1. / ((1. - smooth) / factor + smooth)) as f32
            }
        };
        (0..32).map(of).collect()
    }

    #[test]
    fn llama_3_is_found_in_its_factors() {
        for (factor, context) in [(8., 8192.), (32., 8192.), (4., 2048.)] {
            let factors = converted(500_000., factor, context, 1., 4.);
            let found = of_factors(500_000., &factors).unwrap().unwrap();
            assert_eq!(found["rope_type"], "llama3");
            assert_eq!(found["factor"].as_f64(), Some(factor));
            assert_eq!(
                found["original_max_position_embeddings"].as_f64(),
                Some(context)
            );
        }
        assert_eq!(of_factors(500_000., &[1.; 32]).unwrap(), None);
    }

    #[test]
    fn other_factors_are_refused() {
        let other = converted(500_000., 8., 8192., 1., 8.);
        assert!(of_factors(500_000., &other).is_err());
        assert!(of_factors(10_000., &[1., 2., 3.]).is_err());
        assert!(of_factors(10_000., &[f32::NAN; 4]).is_err());
    }

    #[test]
    fn linear_factors_keep_their_name() {
        let mut metadata = Metadata::default();
        let mut set = |key: &str, value| metadata.0.insert(format!("llama.rope.{key}"), value);
        set("scaling.type", Entry::Text("linear".to_owned()));
        set("scaling.factor", Entry::Number(2.));
        let found = scaling(&metadata, "llama", 10_000., None).unwrap().unwrap();
        assert_eq!(found, json!({"rope_type": "linear", "factor": 2.}));
        metadata.0.insert(
            "llama.rope.scaling.type".to_owned(),
            Entry::Text("yarn".to_owned()),
        );
        let message = scaling(&metadata, "llama", 10_000., None)
            .unwrap_err()
            .to_string();
        assert!(message.contains("`yarn`"), "{message}");
    }
}
