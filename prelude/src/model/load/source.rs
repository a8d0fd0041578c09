//! Where a model's files are read from.

use super::hub::{Hub, HubOptions};
use super::names::{self, Files, MODELS};
use crate::error::{Context, Error, Result, suggestion};
use std::borrow::Cow;
use std::fs::File;
use std::path::{Path, PathBuf};

/// A place that holds a model's files under their usual names.
#[derive(Debug)]
pub(super) struct Source {
    name: String,
    place: Place,
    tokenizer: Option<Box<Source>>,
}

#[derive(Debug)]
enum Place {
    Embedded(&'static [(&'static str, &'static [u8])]),
    Folder(PathBuf),
    Hub(Box<Hub>),
}

/// One file, ready to be read.
pub(crate) enum Opened {
    Bytes(&'static [u8]),
    File(File),
}

impl Source {
    /// The place that a name or a path means.
    ///
    /// # Errors
    /// It is no known name, no folder and no repository's name.
    pub(super) fn find(
        name_or_path: &str,
        folder: Option<&Path>,
        hub: &HubOptions,
    ) -> Result<Self> {
        if let Some(folder) = folder {
            return Self::folder(name_or_path, folder);
        }
        if let Some(model) = names::find(name_or_path) {
            let name = model.names[0];
            return Ok(match model.files {
                Files::Embedded(files) => Self::new(name, Place::Embedded(files)),
                Files::Hub {
                    repository,
                    tokenizer,
                } => {
                    let mut source =
                        Self::new(name, Place::Hub(Box::new(Hub::new(repository, hub)?)));
                    if let Some(tokenizer) = tokenizer {
                        let place = Place::Hub(Box::new(Hub::new(tokenizer, &hub.latest())?));
                        source.tokenizer = Some(Box::new(Self::new(tokenizer, place)));
                    }
                    source
                }
            });
        }
        let path = Path::new(name_or_path);
        if path.is_dir() {
            let name = path.file_name().map(|name| name.to_string_lossy());
            return Self::folder(&name.unwrap_or(name_or_path.into()), path);
        }
        if is_repository(name_or_path) && !path.exists() {
            return Ok(Self::new(
                name_or_path,
                Place::Hub(Box::new(Hub::new(name_or_path, hub)?)),
            ));
        }
        let names = MODELS.iter().flat_map(|model| model.names);
        let suggestion = suggestion(name_or_path, names);
        Err(Error::new(format!(
            "`{name_or_path}` is neither the name of a known model, nor a folder, nor a repository \
             (`owner/name`) on the Hugging Face Hub.{suggestion} `model_names()` lists the names."
        )))
    }

    fn folder(name: &str, folder: &Path) -> Result<Self> {
        if !folder.is_dir() {
            return Err(Error::new(format!(
                "the folder {} does not exist: it should hold config.json, model.safetensors and \
                 tokenizer.json.",
                folder.display()
            )));
        }
        Ok(Self::new(name, Place::Folder(folder.to_owned())))
    }

    fn new(name: &str, place: Place) -> Self {
        Self {
            name: name.to_owned(),
            place,
            tokenizer: None,
        }
    }

    /// What the model calls itself.
    pub(super) fn model_name(&self) -> String {
        self.name.clone()
    }

    /// Whether the files are in a folder that the user named.
    pub(super) fn is_folder(&self) -> bool {
        matches!(self.place, Place::Folder(_))
    }

    /// Where the tokenizer's files are, if they are not here.
    pub(super) fn tokenizer(&self) -> Option<&Source> {
        self.tokenizer.as_deref()
    }

    /// A file's name for an error message.
    pub(super) fn describe(&self, file: &str) -> String {
        match &self.place {
            Place::Embedded(_) => format!("{file} of the embedded {}", self.name),
            Place::Folder(folder) => folder.join(file).display().to_string(),
            Place::Hub(hub) => format!("{file} of {}", hub.repository()),
        }
    }

    /// A file, or nothing where the place does not have it.
    pub(super) fn open(&self, file: &str) -> Result<Option<Opened>> {
        let path = match &self.place {
            Place::Embedded(files) => {
                let found = files.iter().find(|(name, _)| *name == file);
                return Ok(found.map(|(_, bytes)| Opened::Bytes(bytes)));
            }
            Place::Folder(folder) => Some(folder.join(file)).filter(|path| path.exists()),
            Place::Hub(hub) => hub.fetch(file)?,
        };
        let Some(path) = path else {
            return Ok(None);
        };
        let opened = File::open(&path).context(|| format!("opening {}", path.display()))?;
        Ok(Some(Opened::File(opened)))
    }

    /// A file's bytes, or nothing where the place does not have it.
    pub(super) fn read(&self, file: &str) -> Result<Option<Cow<'static, [u8]>>> {
        Ok(match self.open(file)? {
            None => None,
            Some(Opened::Bytes(bytes)) => Some(Cow::Borrowed(bytes)),
            Some(Opened::File(mut opened)) => {
                let mut bytes = Vec::new();
                std::io::Read::read_to_end(&mut opened, &mut bytes)
                    .context(|| format!("reading {}", self.describe(file)))?;
                Some(Cow::Owned(bytes))
            }
        })
    }

    /// The names of all files.
    ///
    /// # Errors
    /// The place cannot be read.
    pub(super) fn list(&self) -> Result<Vec<String>> {
        let mut names: Vec<String> = match &self.place {
            Place::Embedded(files) => files.iter().map(|(name, _)| (*name).to_owned()).collect(),
            Place::Folder(folder) => {
                let entries = std::fs::read_dir(folder)
                    .context(|| format!("reading {}", folder.display()))?;
                let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
                names.collect()
            }
            Place::Hub(hub) => hub.list()?,
        };
        names.sort();
        Ok(names)
    }

    /// A file's bytes, or nothing where it is absent or cannot be had.
    pub(super) fn read_optional(&self, file: &str) -> Option<Cow<'static, [u8]>> {
        self.read(file).ok().flatten()
    }

    /// A file's bytes.
    ///
    /// # Errors
    /// The place does not have it.
    pub(super) fn require(&self, file: &str) -> Result<Cow<'static, [u8]>> {
        self.read(file)?.ok_or_else(|| self.missing(file))
    }

    pub(super) fn missing(&self, file: &str) -> Error {
        Error::new(match &self.place {
            Place::Folder(folder) => format!("there is no {file} in {}.", folder.display()),
            Place::Embedded(_) | Place::Hub(_) => format!("there is no {}.", self.describe(file)),
        })
    }
}

/// `owner/name`, in the characters that the Hub allows.
pub(crate) fn is_repository(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let part = |part: &str| !part.is_empty() && !part.starts_with('.') && part.chars().all(allowed);
    name.split_once('/')
        .is_some_and(|(owner, name)| part(owner) && part(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_are_told_from_paths() {
        assert!(is_repository("openai-community/gpt2"));
        assert!(is_repository("roneneldan/TinyStories-2Layers-33M"));
        assert!(!is_repository("../gpt2"));
        assert!(!is_repository("/models/gpt2"));
        assert!(!is_repository("gpt2"));
        assert!(!is_repository("a/b/c"));
    }

    #[test]
    fn an_unknown_name_lists_the_nearest() {
        let message = Source::find("gtp2", None, &HubOptions::default())
            .unwrap_err()
            .to_string();
        assert!(message.contains("`gpt2`"), "{message}");
    }
}
