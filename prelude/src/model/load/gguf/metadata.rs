//! What a GGUF file says about its model: values by their keys.

use crate::error::{Error, Result};
use std::collections::HashMap;

/// One value. Numbers of all sizes are kept in the widest type.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Whole(i64),
    Number(f64),
    Flag(bool),
    Text(String),
    Wholes(Vec<i64>),
    Numbers(Vec<f32>),
    Texts(Vec<String>),
    /// A list that nothing here reads.
    Skipped,
}

/// All values by their keys.
#[derive(Debug, Default)]
pub(super) struct Metadata(pub(super) HashMap<String, Value>);

impl Metadata {
    pub(super) fn text(&self, key: &str) -> Option<&str> {
        match self.0.get(key)? {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn flag(&self, key: &str) -> Option<bool> {
        match self.0.get(key)? {
            Value::Flag(flag) => Some(*flag),
            _ => None,
        }
    }

    pub(super) fn number(&self, key: &str) -> Option<f64> {
        match self.0.get(key)? {
            Value::Number(number) => Some(*number),
            Value::Whole(whole) => Some(*whole as f64),
            _ => None,
        }
    }

    pub(super) fn texts(&self, key: &str) -> Option<&[String]> {
        match self.0.get(key)? {
            Value::Texts(texts) => Some(texts),
            _ => None,
        }
    }

    pub(super) fn numbers(&self, key: &str) -> Option<&[f32]> {
        match self.0.get(key)? {
            Value::Numbers(numbers) => Some(numbers),
            _ => None,
        }
    }

    pub(super) fn wholes(&self, key: &str) -> Option<&[i64]> {
        match self.0.get(key)? {
            Value::Wholes(wholes) => Some(wholes),
            _ => None,
        }
    }

    /// A size, or nothing where the key is not there. A list holds one for each layer, which is
    /// understood where all are the same.
    ///
    /// # Errors
    /// The value is no size, or differs between layers.
    pub(super) fn find_size(&self, key: &str) -> Result<Option<usize>> {
        let whole = match self.0.get(key) {
            None => return Ok(None),
            Some(Value::Whole(whole)) => *whole,
            Some(Value::Wholes(layers)) => match layers.as_slice() {
                [first, others @ ..] if others.iter().all(|other| other == first) => *first,
                _ => {
                    return Err(Error::new(format!(
                        "`{key}` differs from layer to layer, which is not supported."
                    )));
                }
            },
            Some(_) => -1,
        };
        match usize::try_from(whole) {
            // Files are made of numbers of 32 bits; more would only overflow later.
            Ok(size) if size <= u32::MAX as usize => Ok(Some(size)),
            _ => Err(Error::new(format!("`{key}` is no size."))),
        }
    }

    /// # Errors
    /// It is missing, or no size above zero.
    pub(super) fn size(&self, key: &str) -> Result<usize> {
        let size = self.find_size(key)?.filter(|size| *size > 0);
        size.ok_or_else(|| Error::new(format!("`{key}` is missing or zero.")))
    }

    /// A token's number; nothing where the key is not there or says that there is no such token.
    pub(super) fn id(&self, key: &str) -> Option<usize> {
        match self.0.get(key)? {
            Value::Whole(id) if *id < i64::from(u32::MAX) => usize::try_from(*id).ok(),
            _ => None,
        }
    }
}
