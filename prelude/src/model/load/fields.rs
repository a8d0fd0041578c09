//! Fields of a `config.json`, by their names.

use crate::error::{Error, Result};
use crate::model::config::{Config, Positions, Rotary, RotaryScaling};
use serde_json::Value;

/// A `config.json`, or an object inside one.
#[derive(Clone, Copy)]
pub(super) struct Fields<'a>(pub(super) &'a Value);

impl<'a> Fields<'a> {
    fn get(self, name: &str) -> Option<&'a Value> {
        self.0.get(name).filter(|value| !value.is_null())
    }

    /// A config with the sizes that most families have under these names, and GPT-2's choices.
    ///
    /// # Errors
    /// A size is missing.
    pub(super) fn usual_sizes(self) -> Result<Config> {
        Ok(Config::gpt2(
            self.size(&["num_hidden_layers"])?,
            self.size(&["hidden_size"])?,
            self.size(&["num_attention_heads"])?,
            self.size(&["vocab_size"])?,
            self.size(&["max_position_embeddings"])?,
        ))
    }

    /// The first of these names that is there, as a size.
    ///
    /// # Errors
    /// None is there, or what is there is no size.
    pub(super) fn size(self, names: &[&str]) -> Result<usize> {
        let found = names.iter().find_map(|name| self.find_size(name));
        found.ok_or_else(|| Error::new(format!("`{}` is missing or no size.", names[0])))
    }

    pub(super) fn find_size(self, name: &str) -> Option<usize> {
        usize::try_from(self.get(name)?.as_u64()?).ok()
    }

    /// # Errors
    /// It is missing, or no number.
    pub(super) fn number(self, name: &str) -> Result<f64> {
        let found = self.find_number(name);
        found.ok_or_else(|| Error::new(format!("`{name}` is missing or no number.")))
    }

    pub(super) fn find_number(self, name: &str) -> Option<f64> {
        self.get(name)?.as_f64()
    }

    pub(super) fn text(self, name: &str) -> Option<&'a str> {
        self.get(name)?.as_str()
    }

    pub(super) fn texts(self, name: &str) -> Option<Vec<&'a str>> {
        self.get(name)?
            .as_array()?
            .iter()
            .map(Value::as_str)
            .collect()
    }

    pub(super) fn flag(self, name: &str, default: bool) -> bool {
        self.get(name).and_then(Value::as_bool).unwrap_or(default)
    }

    pub(super) fn object(self, name: &str) -> Option<Fields<'a>> {
        self.get(name).filter(|value| value.is_object()).map(Fields)
    }

    /// The rotary embedding that the config asks for, in the words of old files (`rope_theta`,
    /// `rope_scaling`) or new ones (`rope_parameters`). `part` of each head is turned by default.
    ///
    /// # Errors
    /// Frequencies are stretched in a way that is not known, or by nothing.
    pub(super) fn rotary(self, d_head: usize, base_name: &str, part: f64) -> Result<Positions> {
        let parameters = self
            .object("rope_parameters")
            .or(self.object("rope_scaling"));
        let of_parameters = |name: &str| parameters.and_then(|fields| fields.find_number(name));
        let base = of_parameters("rope_theta").or_else(|| self.find_number(base_name));
        let part = of_parameters("partial_rotary_factor")
            .or_else(|| self.find_number("rotary_pct"))
            .or_else(|| self.find_number("partial_rotary_factor"))
            .unwrap_or(part);
        let kind = parameters.and_then(|fields| fields.text("rope_type").or(fields.text("type")));
        let scaling = match (kind, parameters) {
            (None | Some("default"), _) | (_, None) => RotaryScaling::None,
            (Some("linear"), Some(fields)) => RotaryScaling::Linear {
                factor: fields.number("factor")?,
            },
            (Some("llama3"), Some(fields)) => RotaryScaling::Llama3 {
                factor: fields.number("factor")?,
                low_freq_factor: fields.number("low_freq_factor")?,
                high_freq_factor: fields.number("high_freq_factor")?,
                original_n_ctx: fields.number("original_max_position_embeddings")?,
            },
            (Some(other), _) => {
                return Err(Error::new(format!(
                    "rotary embeddings stretched by `{other}` are not supported: `default`, \
                     `linear` and `llama3` are."
                )));
            }
        };
        Ok(Positions::Rotary(Rotary {
            adjacent_pairs: false,
            dim: (d_head as f64 * part) as usize,
            base: base.unwrap_or(10_000.),
            scaling,
        }))
    }
}
