//! What the variables of a notebook look like in a list, on hover, and to completion; which of them
//! are kept when a cell fails; and the names that functions of this library take as text.

use super::tensors;
use crate::data::{Corpus, Texts};
use crate::emit::{self, Describe, Keepable};
use crate::intervene::Intervention;
use crate::math::FactoredMatrix;
use crate::model::{
    ActivationCache, Answer, Config, Generation, HookPoint, HookedTransformer, Hooks, LoadOptions,
    NamesFilter, ResidOptions, ResidualStack, Site, Tokenizer, model_names,
};
use crate::sae::{Sae, SaeConfig, SaeLoadOptions, SaeSplice, TopActs, sae_names};
use candle_core::{DType, Device, Tensor};
use ferrolens_frames::VariableSummary;
use plotly::Plot;
use polars::prelude::{Column, DataFrame, LazyFrame, Series};
use std::collections::HashSet;
use std::panic::catch_unwind;

/// Called by the host once, on a thread of its own, beside the first cells.
#[unsafe(no_mangle)]
pub extern "C" fn ferrolens_prelude_words() {
    let _ = catch_unwind(|| {
        emit::send_words("models", model_names());
        emit::send_words("about hook points", Site::descriptions());
        let (releases, ids): (Vec<String>, Vec<Vec<String>>) = sae_names().into_iter().unzip();
        for (release, ids) in releases.iter().zip(ids) {
            if !ids.is_empty() {
                emit::send_words(&format!("ids of {release}"), ids);
            }
        }
        emit::send_words("releases", releases);
    });
}

impl Describe for Tensor {
    fn describe(&self) -> VariableSummary {
        VariableSummary {
            value: tensors::one_line(self),
            shape: Some(self.dims().to_vec()),
            bytes: bytes([self]),
            ..placed(self.dtype(), self.device())
        }
    }
}

impl Describe for Vec<Tensor> {
    fn describe(&self) -> VariableSummary {
        let shapes: HashSet<&[usize]> = self.iter().map(Tensor::dims).collect();
        let shapes = match (self.first(), shapes.len()) {
            (Some(first), 1) => format!(", each {:?}", first.dims()),
            _ => String::new(),
        };
        let value = format!("{} tensors{shapes}", self.len());
        let placed = self
            .first()
            .map(|first| placed(first.dtype(), first.device()));
        VariableSummary {
            value,
            bytes: bytes(self),
            ..placed.unwrap_or_default()
        }
    }
}

impl Describe for HookedTransformer {
    fn describe(&self) -> VariableSummary {
        let config = self.config();
        let points = self.hook_points().into_iter();
        let (tensors, others) = self.weights().in_memory();
        VariableSummary {
            value: format!(
                "{}: {} layers, d_model {}, {} heads, d_vocab {}, n_ctx {}",
                config.model_name,
                config.n_layers,
                config.d_model,
                config.n_heads,
                config.d_vocab,
                config.n_ctx
            ),
            bytes: bytes(tensors).map(|bytes| bytes + 4 * others as u64),
            words: points.map(|point| point.to_string()).collect(),
            ..placed(self.dtype(), &self.device())
        }
    }
}

impl Describe for ActivationCache {
    fn describe(&self) -> VariableSummary {
        let entries: Vec<(HookPoint, Tensor)> = self.iter().collect();
        let placed = entries
            .first()
            .map(|(_, first)| placed(first.dtype(), first.device()));
        VariableSummary {
            value: match entries.as_slice() {
                [] => "no activations".to_owned(),
                [(point, _)] => format!("one activation, {point}"),
                [(first, _), .., (last, _)] => {
                    format!("{} activations, {first} … {last}", entries.len())
                }
            },
            bytes: bytes(entries.iter().map(|(_, tensor)| tensor)),
            words: self.keys().iter().map(ToString::to_string).collect(),
            ..placed.unwrap_or_default()
        }
    }
}

impl Describe for Hooks {
    fn describe(&self) -> VariableSummary {
        let filters: Vec<String> = (0..self.len()).map(|index| self.filter(index)).collect();
        VariableSummary {
            value: match filters.as_slice() {
                [] => "no hooks".to_owned(),
                [one] => format!("a hook at {one}"),
                all => format!("{} hooks, at {}", all.len(), all.join(", ")),
            },
            ..VariableSummary::default()
        }
    }
}

impl Describe for Sae {
    fn describe(&self) -> VariableSummary {
        let weights = [&self.W_enc, &self.b_enc, &self.W_dec, &self.b_dec];
        let optional = [&self.b_pre, &self.W_skip, &self.log_sparsity];
        VariableSummary {
            value: format!(
                "{}: {}, d_in {}, d_sae {}",
                self.name(),
                self.gate.architecture(),
                self.cfg.d_in,
                self.cfg.d_sae
            ),
            bytes: bytes(weights.into_iter().chain(optional.into_iter().flatten())),
            ..placed(self.dtype(), &self.device())
        }
    }
}

impl Describe for ResidualStack {
    fn describe(&self) -> VariableSummary {
        let labels = self.labels.iter().take(4).cloned().collect::<Vec<_>>();
        let more = if self.labels.len() > 4 { ", …" } else { "" };
        VariableSummary {
            value: format!("{}{more}", labels.join(", ")),
            words: self.labels.clone(),
            ..self.components.describe()
        }
    }
}

impl Describe for DataFrame {
    fn describe(&self) -> VariableSummary {
        let names: Vec<String> = self
            .get_column_names()
            .iter()
            .map(ToString::to_string)
            .collect();
        VariableSummary {
            value: format!("columns {}", names.join(", ")),
            shape: Some(vec![self.height(), self.width()]),
            bytes: u64::try_from(self.estimated_size()).ok(),
            words: names,
            ..VariableSummary::default()
        }
    }
}

impl Describe for Series {
    fn describe(&self) -> VariableSummary {
        let values = self.iter().take(4).map(|value| value.to_string());
        let more = if self.len() > 4 { ", …" } else { "" };
        VariableSummary {
            value: format!(
                "{}: {}{more}",
                self.name(),
                values.collect::<Vec<_>>().join(", ")
            ),
            shape: Some(vec![self.len()]),
            dtype: Some(self.dtype().to_string()),
            bytes: u64::try_from(self.estimated_size()).ok(),
            ..VariableSummary::default()
        }
    }
}

impl Describe for Column {
    fn describe(&self) -> VariableSummary {
        self.as_materialized_series().describe()
    }
}

impl Describe for LazyFrame {
    fn describe(&self) -> VariableSummary {
        value("a plan, which `.collect()?` runs")
    }
}

impl Describe for Plot {
    fn describe(&self) -> VariableSummary {
        value("a figure")
    }
}

impl Describe for Tokenizer {
    fn describe(&self) -> VariableSummary {
        value(&format!("{self:?}"))
    }
}

// Clones of all these share what is large.
macro_rules! keepable {
    ($($cheap:ty),* $(,)?) => {$(impl Keepable for $cheap {})*};
}
keepable!(
    ActivationCache,
    Answer,
    Column,
    Config,
    Corpus,
    DType,
    DataFrame,
    FactoredMatrix,
    Generation,
    HookPoint,
    HookedTransformer,
    Hooks,
    Intervention,
    LazyFrame,
    LoadOptions,
    NamesFilter,
    ResidOptions,
    ResidualStack,
    Sae,
    SaeConfig,
    SaeLoadOptions,
    SaeSplice,
    Series,
    Texts,
    Tokenizer,
    TopActs,
);

fn value(text: &str) -> VariableSummary {
    VariableSummary {
        value: text.to_owned(),
        ..VariableSummary::default()
    }
}

fn placed(dtype: DType, device: &Device) -> VariableSummary {
    VariableSummary {
        dtype: Some(dtype.as_str().to_owned()),
        device: Some(tensors::device_name(device)),
        ..VariableSummary::default()
    }
}

/// What these hold in memory; what lies in the memory of another counts once.
fn bytes<'a>(tensors: impl IntoIterator<Item = &'a Tensor>) -> Option<u64> {
    let mut seen = HashSet::new();
    let mut total = 0;
    for tensor in tensors {
        let (storage, layout) = tensor.storage_and_layout();
        if seen.insert((
            std::ptr::from_ref(&*storage) as usize,
            layout.start_offset(),
        )) {
            total += tensor.elem_count() * tensor.dtype().size_in_bytes();
        }
    }
    u64::try_from(total).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::All;
    use ferrolens_frames::Frame;

    #[test]
    fn a_model_and_its_cache_say_what_they_hold() {
        let model = HookedTransformer::from_pretrained("stories-2l").expect("embedded");
        let seen = model.describe();
        assert!(seen.value.starts_with("stories-2l: 2 layers, d_model "));
        assert!(seen.words.contains(&"blocks.0.hook_resid_pre".to_owned()));
        assert_eq!(seen.device.as_deref(), Some("cpu"));
        let weights: u64 = model
            .weight_names()
            .iter()
            .map(|name| model.weight(name).expect("a weight").elem_count() as u64 * 4)
            .sum();
        assert!(
            seen.bytes
                .is_some_and(|bytes| bytes > 0 && bytes <= weights)
        );

        let (_, cache) = model.run_with_cache("Once upon", All).expect("a run");
        let seen = cache.describe();
        assert_eq!(seen.words.len(), cache.len());
        assert!(
            seen.value
                .starts_with(&format!("{} activations, ", cache.len()))
        );
        let (_, one) = model
            .run_with_cache("Once", ["hook_embed"].as_slice())
            .expect("a run");
        assert_eq!(one.describe().value, "one activation, hook_embed");
    }

    #[test]
    fn tensors_and_tables_have_a_shape() {
        let small = Tensor::new(&[[1.5_f32, 2.], [3., 4.]], &Device::Cpu).expect("a tensor");
        let seen = small.describe();
        assert_eq!(seen.shape, Some(vec![2, 2]));
        assert_eq!(seen.dtype.as_deref(), Some("f32"));
        assert_eq!(seen.bytes, Some(16));
        assert!(
            seen.value.starts_with("[[1.5") && !seen.value.contains('\n'),
            "{}",
            seen.value
        );
        // A view takes no memory beside what it looks into.
        let row = small.get(0).expect("a row");
        assert_eq!(vec![small.clone(), row].describe().bytes, Some(16));
        let table = polars::df!("name" => ["a", "b"], "n" => [1, 2]).expect("a table");
        let seen = table.describe();
        assert_eq!(
            (seen.shape, seen.words),
            (Some(vec![2, 2]), vec!["name".into(), "n".into()])
        );
    }

    #[test]
    fn names_that_functions_take_are_sent_once() {
        let ((), sent) = emit::fake::with_host(|| ferrolens_prelude_words());
        let words = |wanted: &str| {
            sent.frames.iter().find_map(|frame| match frame {
                Frame::Words { of, words } if of == wanted => Some(words.clone()),
                _ => None,
            })
        };
        assert!(
            words("models")
                .expect("models")
                .contains(&"gpt2".to_owned())
        );
        assert!(
            words("releases")
                .expect("releases")
                .contains(&"stories-2l-relu".to_owned())
        );
        let ids = words("ids of stories-2l-relu").expect("embedded ids");
        assert!(ids.contains(&"blocks.0.hook_mlp_out".to_owned()));
    }
}
