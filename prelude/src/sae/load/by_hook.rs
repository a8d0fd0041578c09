//! Autoencoders of several hook points, by name.

use crate::error::{Error, Result, suggestion};
use crate::sae::Sae;

/// Autoencoders by the names of what they read, in the order in which these were asked for.
#[derive(Clone, Debug)]
pub struct SaesByHook {
    entries: Vec<(String, Sae)>,
}

impl SaesByHook {
    pub(super) fn new(entries: Vec<(String, Sae)>) -> Self {
        Self { entries }
    }

    /// The autoencoder of a hook point: `attn_out`, `hook_attn_out` or `blocks.0.hook_attn_out`.
    ///
    /// # Errors
    /// There is none; the error names the nearest.
    pub fn get(&self, hook: &str) -> Result<&Sae> {
        let short = |name: &str| {
            let last = name.rsplit('.').next().unwrap_or(name);
            last.trim_start_matches("hook_").to_owned()
        };
        let found = self.entries.iter().find(|(name, sae)| {
            name == hook || sae.cfg.hook_name.as_deref() == Some(hook) || short(name) == short(hook)
        });
        found.map(|(_, sae)| sae).ok_or_else(|| {
            let names = self.hooks();
            Error::new(format!(
                "there is no autoencoder of `{hook}`.{} There are those of {}.",
                suggestion(hook, &names),
                names.join(", ")
            ))
        })
    }

    /// The names, in order.
    pub fn hooks(&self) -> Vec<String> {
        self.entries.iter().map(|(name, _)| name.clone()).collect()
    }

    /// The autoencoders, in order.
    pub fn saes(&self) -> Vec<Sae> {
        self.entries.iter().map(|(_, sae)| sae.clone()).collect()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Names and autoencoders, in order.
    pub fn iter(&self) -> std::slice::Iter<'_, (String, Sae)> {
        self.entries.iter()
    }
}

impl<'a> IntoIterator for &'a SaesByHook {
    type Item = &'a (String, Sae);
    type IntoIter = std::slice::Iter<'a, (String, Sae)>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
