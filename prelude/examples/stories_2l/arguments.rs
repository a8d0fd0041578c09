//! The command line's `--name value` pairs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;

use ferrolens::{Error, Result};

pub struct Arguments(BTreeMap<String, String>);

impl Arguments {
    pub fn read(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let mut values = BTreeMap::new();
        while let Some(word) = words.next() {
            let name = word
                .strip_prefix("--")
                .ok_or_else(|| Error::new(format!("`{word}` is no `--name`.")))?;
            let value = words
                .next()
                .ok_or_else(|| Error::new(format!("`--{name}` has no value behind it.")))?;
            values.insert(name.to_owned(), value);
        }
        Ok(Self(values))
    }

    pub fn number<T: FromStr>(&self, name: &str, default: T) -> Result<T> {
        let Some(text) = self.0.get(name) else {
            return Ok(default);
        };
        text.parse().map_err(|_| {
            Error::new(format!(
                "`--{name} {text}` is not a number of the kind needed."
            ))
        })
    }

    pub fn path(&self, name: &str) -> Result<PathBuf> {
        let path = self.0.get(name).map(PathBuf::from);
        path.ok_or_else(|| Error::new(format!("say where with `--{name}`.")))
    }

    /// The folder with stories260K and the text samples.
    pub fn data(&self) -> Result<PathBuf> {
        let named = self.0.get("data").map(PathBuf::from);
        let folder = named.or_else(|| std::env::var_os("FERROLENS_DATA").map(PathBuf::from)).ok_or_else(|| {
            Error::new("say where stories260K and the text samples are, with `--data` or FERROLENS_DATA.")
        })?;
        if folder.join("stories260K").is_dir() {
            return Ok(folder);
        }
        Err(Error::new(format!(
            "{} holds no folder stories260K: put stories260K.bin and tok512.bin of karpathy/tinyllamas there.",
            folder.display()
        )))
    }
}
