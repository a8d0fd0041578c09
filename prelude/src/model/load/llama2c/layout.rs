//! Where the tensors of a llama2.c checkpoint are: nothing but their order says it.

use super::header::{Header, LONGEST_HEADER, Version};
use super::place::Place;
use crate::error::{Error, Result};
use std::collections::HashMap;

/// Tensors of one kind, in all layers or once.
struct Kind {
    /// With the layer left out between the two parts.
    name: (&'static str, &'static str),
    count: usize,
    shape: Vec<usize>,
    rotary_heads: Option<usize>,
    group: Option<usize>,
}

impl Header {
    /// All tensors by Hugging Face's names.
    ///
    /// # Errors
    /// A file of this size does not hold them, or holds more.
    pub(super) fn tensors(&self, file_size: u64) -> Result<HashMap<String, Place>> {
        let start = match self.version {
            Version::Legacy => 28,
            _ => LONGEST_HEADER,
        };
        let kinds = self.kinds();
        // Before any is listed: the header could announce billions of layers.
        let sizes = kinds.iter().map(|kind| kind.size() * kind.count as u128);
        let expected = u128::from(start) + sizes.sum::<u128>();
        if expected != u128::from(file_size) {
            return Err(Error::new(format!(
                "by its header the file should have {expected} bytes and has {file_size}: it is cut \
                 off, or not a checkpoint of llama2.c."
            )));
        }
        let mut tensors = HashMap::new();
        let mut start = start;
        for kind in kinds {
            // As large as a part of the file at most.
            let size = u64::try_from(kind.size()).unwrap_or(u64::MAX);
            for layer in 0..kind.count {
                let name = match kind.name {
                    (whole, "") => whole.to_owned(),
                    (before, behind) => format!("{before}{layer}{behind}"),
                };
                let place = Place {
                    shape: kind.shape.clone(),
                    start,
                    size: size as usize,
                    rotary_heads: kind.rotary_heads,
                    group: kind.group,
                };
                tensors.insert(name, place);
                start += size;
            }
        }
        // Cosines and sines, which can be counted out.
        tensors.remove(ANGLES);
        Ok(tensors)
    }

    /// The tensors in the order of the file.
    fn kinds(&self) -> Vec<Kind> {
        let sizes = &self.sizes;
        let (d_model, d_mlp, layers) = (sizes.d_model, sizes.d_mlp, sizes.n_layers);
        let d_key = sizes.key_heads * sizes.d_head();
        let group = match self.version {
            Version::Bytes { group } => Some(group),
            _ => None,
        };
        let norm = |behind| Kind {
            name: ("model.layers.", behind),
            count: layers,
            shape: vec![d_model],
            rotary_heads: None,
            group: None,
        };
        let matrix = |behind, shape: [usize; 2]| Kind {
            shape: shape.to_vec(),
            group,
            ..norm(behind)
        };
        let once = |name, shape: &[usize], group| Kind {
            name: (name, ""),
            count: 1,
            shape: shape.to_vec(),
            rotary_heads: None,
            group,
        };
        let rotary = |behind, rows: usize, heads| Kind {
            rotary_heads: Some(heads),
            ..matrix(behind, [rows, d_model])
        };
        let words = [sizes.vocabulary, d_model];
        let embedding = once("model.embed_tokens.weight", &words, group);
        let first_norm = norm(".input_layernorm.weight");
        let second_norm = norm(".post_attention_layernorm.weight");
        let last_norm = once("model.norm.weight", &[d_model], None);
        let attention = [
            rotary(".self_attn.q_proj.weight", d_model, sizes.heads),
            rotary(".self_attn.k_proj.weight", d_key, sizes.key_heads),
            matrix(".self_attn.v_proj.weight", [d_key, d_model]),
            matrix(".self_attn.o_proj.weight", [d_model, d_model]),
        ];
        let mlp = [
            matrix(".mlp.gate_proj.weight", [d_mlp, d_model]),
            matrix(".mlp.down_proj.weight", [d_model, d_mlp]),
            matrix(".mlp.up_proj.weight", [d_mlp, d_model]),
        ];
        let mut kinds = Vec::new();
        match self.version {
            Version::Legacy => {
                kinds.extend([embedding, first_norm]);
                kinds.extend(attention);
                kinds.push(second_norm);
                kinds.extend(mlp);
                kinds.push(last_norm);
                kinds.push(once(ANGLES, &[sizes.n_ctx, sizes.d_head()], None));
            }
            Version::Floats | Version::Bytes { .. } => {
                kinds.extend([first_norm, second_norm, last_norm, embedding]);
                kinds.extend(attention);
                kinds.extend(mlp);
            }
        }
        if !self.is_tied {
            kinds.push(once("lm_head.weight", &words, group));
        }
        kinds
    }
}

/// `freq_cis_real` and `freq_cis_imag` together.
const ANGLES: &str = "freq_cis";

impl Kind {
    /// The size of one of them in bytes. Numbers of a header have 31 bits, so that this cannot
    /// overflow.
    fn size(&self) -> u128 {
        let numbers = self
            .shape
            .iter()
            .map(|size| *size as u128)
            .product::<u128>();
        match self.group {
            None => 4 * numbers,
            Some(group) => numbers + 4 * (numbers / group.max(1) as u128),
        }
    }
}
