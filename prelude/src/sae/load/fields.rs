//! A config's keys, and which of them something was made of.

use super::source::Source;
use crate::error::{Context, Error, Result};
use serde_json::{Map, Value};
use std::cell::RefCell;
use std::collections::BTreeSet;

/// The keys of one config. Each is asked for, said to be harmless, or reported.
pub(super) struct Fields {
    origin: String,
    map: Map<String, Value>,
    asked: RefCell<BTreeSet<String>>,
}

impl Fields {
    pub(super) fn new(origin: impl Into<String>, map: Map<String, Value>) -> Self {
        Self {
            origin: origin.into(),
            map,
            asked: RefCell::default(),
        }
    }

    /// The config of this name, where there is one.
    ///
    /// # Errors
    /// It is not the JSON of an object.
    pub(super) fn read(source: &Source, file: &str) -> Result<Option<Self>> {
        let Some(bytes) = source.read(file)? else {
            return Ok(None);
        };
        let origin = source.describe(file);
        let value: Value = serde_json::from_slice(&bytes).context(|| origin.clone())?;
        match value {
            Value::Object(map) => Ok(Some(Self::new(origin, map))),
            _ => Err(Error::new(format!(
                "{origin}: it holds no object, so it is no config."
            ))),
        }
    }

    pub(super) fn origin(&self) -> &str {
        &self.origin
    }

    /// A value that is not null.
    pub(super) fn value(&self, name: &str) -> Option<&Value> {
        let value = self.map.get(name)?;
        self.asked.borrow_mut().insert(name.to_owned());
        Some(value).filter(|value| !value.is_null())
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.map.get(name).is_some_and(|value| !value.is_null())
    }

    /// # Errors
    /// It is there, and no whole number.
    pub(super) fn size(&self, name: &str) -> Result<Option<usize>> {
        self.typed(name, "a whole number", |value| {
            let whole = value.as_u64().or_else(|| {
                let number = value.as_f64()?;
                (number >= 0. && number.fract() == 0.).then_some(number as u64)
            });
            usize::try_from(whole?).ok()
        })
    }

    /// # Errors
    /// It is there, and no number.
    pub(super) fn number(&self, name: &str) -> Result<Option<f64>> {
        self.typed(name, "a number", Value::as_f64)
    }

    /// # Errors
    /// It is there, and neither true nor false.
    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>> {
        self.typed(name, "true or false", Value::as_bool)
    }

    /// # Errors
    /// It is there, and no text.
    pub(super) fn text(&self, name: &str) -> Result<Option<String>> {
        self.typed(name, "text", |value| value.as_str().map(str::to_owned))
    }

    /// The first of these names that is there, as text.
    ///
    /// # Errors
    /// It is no text.
    pub(super) fn first_text(&self, names: &[&str]) -> Result<Option<String>> {
        let mut found = None;
        for name in names {
            let text = self.text(name)?;
            found = found.or(text);
        }
        Ok(found)
    }

    /// # Errors
    /// It is there, and no object.
    pub(super) fn object(&self, name: &str) -> Result<Option<Fields>> {
        let map = self.typed(name, "an object", |value| value.as_object().cloned())?;
        Ok(map.map(|map| Self::new(format!("{}, `{name}`", self.origin), map)))
    }

    /// Everything that was not asked for, and a sentence about the keys among it that are not `known`.
    pub(super) fn rest(self, known: &[&str]) -> (Map<String, Value>, Option<String>) {
        let asked = self.asked.into_inner();
        let left = self.map.into_iter().filter(|(key, _)| !asked.contains(key));
        let left: Map<String, Value> = left.collect();
        let strange = left.keys().filter(|key| !known.contains(&key.as_str()));
        let strange: Vec<String> = strange.map(|key| format!("`{key}`")).collect();
        let warning = (!strange.is_empty()).then(|| {
            format!(
                "{}: the keys {} are not known here, so nothing was done with them; they are in \
                 `sae.cfg.metadata`.",
                self.origin,
                strange.join(", ")
            )
        });
        (left, warning)
    }

    fn typed<T>(
        &self,
        name: &str,
        wanted: &str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<Option<T>> {
        let Some(value) = self.value(name) else {
            return Ok(None);
        };
        match read(value) {
            Some(value) => Ok(Some(value)),
            None => Err(Error::new(format!(
                "{}: `{name}` is {value}, but it should be {wanted}.",
                self.origin
            ))),
        }
    }
}
