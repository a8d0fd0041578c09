//! Where the files of an autoencoder are: a folder, or a folder of a repository on the Hub.

pub(super) use crate::model::load::hub::HubOptions;

use crate::error::{Context, Error, Result, suggestion};
use crate::model::load::download_line::DownloadLine;
use crate::model::load::hub::Hub;
use crate::model::load::source::Opened;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// The longest config that is read.
const LONGEST_TEXT: u64 = 64 << 20;

/// A folder of files.
pub(super) struct Source {
    place: Place,
    /// The names of all files in the place and below, where they can be had.
    names: OnceLock<Option<BTreeSet<String>>>,
}

enum Place {
    /// Files that are part of the library, with their names.
    Embedded(&'static str, &'static [(&'static str, &'static [u8])]),
    Folder(PathBuf),
    /// A repository, and the folder in it: empty, or with a slash at its end.
    Hub(Box<Hub>, String),
}

impl Source {
    pub(super) fn folder(folder: &Path) -> Self {
        Self::of(Place::Folder(folder.to_owned()))
    }

    /// The folder `inside` a repository.
    ///
    /// # Errors
    /// The environment names no folder for the cache.
    pub(super) fn repository(repository: &str, inside: &str, hub: HubOptions) -> Result<Self> {
        let hub = HubOptions {
            progress: Some(DownloadLine::of),
            ..hub
        };
        let inside = match inside.trim_matches('/') {
            "" => String::new(),
            inside => format!("{inside}/"),
        };
        Ok(Self::of(Place::Hub(
            Box::new(Hub::new(repository, &hub)?),
            inside,
        )))
    }

    /// Files that are part of the library, of an autoencoder of this name.
    pub(super) fn embedded(
        name: &'static str,
        files: &'static [(&'static str, &'static [u8])],
    ) -> Self {
        Self::of(Place::Embedded(name, files))
    }

    fn of(place: Place) -> Self {
        Self {
            place,
            names: OnceLock::new(),
        }
    }

    /// A file, or the place itself, for an error message.
    pub(super) fn describe(&self, file: &str) -> String {
        match &self.place {
            Place::Embedded(name, _) => format!("{file} of the embedded {name}"),
            Place::Folder(folder) => folder.join(file).display().to_string(),
            Place::Hub(hub, inside) => match format!("{inside}{file}").as_str() {
                "" => hub.repository().to_owned(),
                path => format!("{path} of {}", hub.repository()),
            },
        }
    }

    /// The path with slashes, for the layers and widths that publishers write there.
    pub(super) fn path(&self, file: &str) -> String {
        match &self.place {
            Place::Embedded(name, _) => format!("{name}/{file}"),
            Place::Folder(folder) => {
                let folder = folder.canonicalize().unwrap_or_else(|_| folder.clone());
                folder.join(file).to_string_lossy().replace('\\', "/")
            }
            Place::Hub(hub, inside) => format!("{}/{inside}{file}", hub.repository()),
        }
    }

    /// Whether there is such a file. On the Hub the list of files is asked for once.
    pub(super) fn has(&self, file: &str) -> bool {
        match (&self.place, self.names()) {
            (Place::Embedded(_, files), _) => files.iter().any(|(name, _)| *name == file),
            (Place::Folder(folder), _) => folder.join(file).is_file(),
            (Place::Hub(..), Some(names)) => names.contains(file),
            // Mirrors need not have the list; a file that cannot be fetched is missed when it is read.
            (Place::Hub(..), None) => self.open(file).is_ok_and(|opened| opened.is_some()),
        }
    }

    /// A file, downloaded if need be; nothing where there is none.
    ///
    /// # Errors
    /// It cannot be had.
    pub(super) fn open(&self, file: &str) -> Result<Option<Opened>> {
        let path = match &self.place {
            Place::Embedded(_, files) => {
                let found = files.iter().find(|(name, _)| *name == file);
                return Ok(found.map(|(_, bytes)| Opened::Bytes(bytes)));
            }
            Place::Folder(folder) => Some(folder.join(file)).filter(|path| path.is_file()),
            Place::Hub(hub, inside) => hub.fetch(&format!("{inside}{file}"))?,
        };
        let Some(path) = path else { return Ok(None) };
        let opened = File::open(&path).context(|| format!("opening {}", path.display()))?;
        Ok(Some(Opened::File(opened)))
    }

    /// A file, downloaded if need be.
    ///
    /// # Errors
    /// There is none.
    pub(super) fn require(&self, file: &str) -> Result<Opened> {
        self.open(file)?.ok_or_else(|| self.missing(file))
    }

    /// The bytes of a config, or nothing where there is none.
    ///
    /// # Errors
    /// It cannot be had, or is far too long.
    pub(super) fn read(&self, file: &str) -> Result<Option<Vec<u8>>> {
        let Some(opened) = self.open(file)? else {
            return Ok(None);
        };
        let opened = match opened {
            Opened::Bytes(bytes) => return Ok(Some(bytes.to_vec())),
            Opened::File(file) => file,
        };
        let mut bytes = Vec::new();
        opened
            .take(LONGEST_TEXT + 1)
            .read_to_end(&mut bytes)
            .context(|| format!("reading {}", self.describe(file)))?;
        if bytes.len() as u64 > LONGEST_TEXT {
            return Err(Error::new(format!(
                "{} is longer than any config: is it another file's?",
                self.describe(file)
            )));
        }
        Ok(Some(bytes))
    }

    /// The names of the files in this place, folders below it with a slash.
    pub(super) fn names(&self) -> Option<&BTreeSet<String>> {
        let names = self.names.get_or_init(|| match &self.place {
            Place::Embedded(_, files) => {
                Some(files.iter().map(|(name, _)| (*name).to_owned()).collect())
            }
            Place::Folder(folder) => list_folder(folder),
            Place::Hub(hub, inside) => hub.list().ok().map(|names| {
                let below = names.iter().filter_map(|name| name.strip_prefix(inside));
                below.map(str::to_owned).collect()
            }),
        });
        names.as_ref()
    }

    /// The error about a file that is not there, with the nearest that are.
    pub(super) fn missing(&self, file: &str) -> Error {
        let near = match &self.place {
            Place::Embedded(..) | Place::Folder(_) => {
                let names = self.names().into_iter().flatten();
                suggestion(file, names)
            }
            Place::Hub(hub, inside) => {
                let all = hub.list().unwrap_or_default();
                match all.iter().any(|name| name.starts_with(inside.as_str())) {
                    true => suggestion(file, self.names().into_iter().flatten()),
                    false => {
                        let folders: BTreeSet<&str> = all
                            .iter()
                            .filter_map(|name| name.rsplit_once('/'))
                            .map(|(folder, _)| folder)
                            .collect();
                        suggestion(inside.trim_end_matches('/'), folders)
                    }
                }
            }
        };
        Error::new(format!("there is no {}.{near}", self.describe(file)))
    }
}

fn list_folder(folder: &Path) -> Option<BTreeSet<String>> {
    let name = |entry: std::fs::DirEntry| {
        let name = entry.file_name().into_string().ok()?;
        match entry.path().is_dir() {
            true => Some(format!("{name}/")),
            false => Some(name),
        }
    };
    let entries = std::fs::read_dir(folder).ok()?;
    Some(entries.flatten().filter_map(name).collect())
}
