//! Names for contents: what is kept on disk is found again by what it was made of.

use crate::error::Result;
use crate::model::{HookPoint, HookedTransformer};
use candle_core::{DType, Device, Tensor};
use rayon::prelude::*;

/// A 128-bit hash of everything that it was given, the same on every machine and in every version.
///
/// It tells accidents apart, not attacks: each word of 64 bits is multiplied in, and the upper half is
/// folded onto the lower.
#[derive(Clone, Debug)]
pub(crate) struct Fingerprint(u128);

const FACTOR: u128 = 0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645;

impl Fingerprint {
    pub(crate) fn new(of: &str) -> Self {
        let mut new = Self(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d);
        new.text(of);
        new
    }

    pub(crate) fn number(&mut self, number: u64) {
        let product = (self.0 ^ u128::from(number)).wrapping_mul(FACTOR);
        self.0 = product ^ (product >> 64);
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.bytes(text.as_bytes());
    }

    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        let (words, rest) = bytes.as_chunks::<8>();
        words
            .iter()
            .for_each(|word| self.number(u64::from_le_bytes(*word)));
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        self.number(u64::from_le_bytes(last));
    }

    pub(crate) fn ids(&mut self, ids: &[u32]) {
        self.number(ids.len() as u64);
        self.halves(ids.iter().copied());
    }

    /// The shape and the values of a tensor, wherever it is.
    ///
    /// # Errors
    /// It cannot be copied from its device.
    pub(crate) fn tensor(&mut self, tensor: &Tensor) -> Result<()> {
        self.text(&format!("{:?} {:?}", tensor.dtype(), tensor.dims()));
        let values = tensor.to_device(&Device::Cpu)?.flatten_all()?;
        // Narrower types lose nothing.
        let values: Vec<f32> = values.to_dtype(DType::F32)?.to_vec1()?;
        self.halves(values.iter().map(|value| value.to_bits()));
        Ok(())
    }

    fn halves(&mut self, values: impl Iterator<Item = u32>) {
        let mut values = values.map(u64::from);
        while let Some(first) = values.next() {
            let second = values.next().unwrap_or(0);
            self.number(first | (second << 32));
        }
    }

    /// 32 hexadecimal digits.
    pub(crate) fn finish(mut self) -> String {
        self.number(0);
        self.number(1);
        format!("{:032x}", self.0)
    }
}

/// The fingerprint of what a model computes at a hook point: its config, and the weights up to there.
///
/// # Errors
/// A weight cannot be copied from its device.
pub(crate) fn of_model(model: &HookedTransformer, point: HookPoint) -> Result<Fingerprint> {
    let mut whole = Fingerprint::new("model");
    whole.text(&format!("{:?}", model.config()));
    whole.text(&format!("{:?}", model.dtype()));
    whole.text(&point.name());
    if model.ungroups() {
        whole.text("a key and a value for each head");
    }
    let names: Vec<&String> = model.weights().names().collect();
    let before = |name: &str| match (point.layer(), layer_of(name)) {
        (Some(last), Some(layer)) => layer <= last,
        (Some(_), None) => !name.starts_with("unembed.") && !name.starts_with("ln_final."),
        (None, _) => true,
    };
    let each = names.par_iter().filter(|name| before(name));
    let each = each.map(|name| {
        let mut one = Fingerprint::new(name);
        one.tensor(&model.weights().any(name)?)?;
        Ok(one.finish())
    });
    for one in each.collect::<Result<Vec<String>>>()? {
        whole.text(&one);
    }
    Ok(whole)
}

/// `1` of `blocks.1.attn.W_Q`.
fn layer_of(name: &str) -> Option<usize> {
    let (layer, _) = name.strip_prefix("blocks.")?.split_once('.')?;
    layer.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_difference_shows() {
        let of = |bytes: &[u8]| {
            let mut fingerprint = Fingerprint::new("test");
            fingerprint.bytes(bytes);
            fingerprint.finish()
        };
        let long = vec![7u8; 100];
        let mut seen = vec![of(&long), of(&long[..99]), of(b""), of(b"\0"), of(b"\0\0")];
        for at in 0..100 {
            for bit in 0..8 {
                let mut changed = long.clone();
                changed[at] ^= 1 << bit;
                seen.push(of(&changed));
            }
        }
        let count = seen.len();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen.len(), count);
    }

    #[test]
    fn a_model_up_to_a_point_is_not_told_apart_by_what_comes_behind() {
        let model = HookedTransformer::from_pretrained("stories-2l").unwrap();
        let mut changed: std::collections::HashMap<String, Tensor> = model
            .weight_names()
            .into_iter()
            .map(|name| (name.clone(), model.weight(&name).unwrap()))
            .collect();
        let weight = changed["blocks.1.mlp.W_in"].affine(1., 1e-3).unwrap();
        changed.insert("blocks.1.mlp.W_in".to_owned(), weight);
        let changed = HookedTransformer::new(model.config(), changed, None).unwrap();
        let of = |model: &HookedTransformer, name: &str| {
            of_model(model, model.hook_point(name).unwrap())
                .unwrap()
                .finish()
        };
        let (early, late) = ("blocks.0.hook_resid_post", "blocks.1.hook_resid_post");
        assert_eq!(of(&model, early), of(&changed, early));
        assert_ne!(of(&model, late), of(&changed, late));
        assert_ne!(of(&model, early), of(&model, "blocks.0.hook_mlp_out"));
    }
}
