//! What the installation holds: the prelude, the metadata that rustc reads when a cell names it,
//! and the crate graph that the analyzer reads.
//!
//! ```text
//! <installation>/bin/ferrolens-kernel
//! <installation>/prelude/libferrolens.so      the prelude and everything inside it
//! <installation>/prelude/crates/              metadata of the crates behind it; procedural macros
//! <installation>/prelude/graph.json           `cargo metadata`, cut to the crates a cell can name
//! <installation>/prelude/source/             outlines of those crates, and of the standard library
//! <installation>/prelude/{settings,layout}   what cells are compiled for
//! <installation>/prelude/catalogue.json       what types have, for completion
//! <installation>/prelude/rustc                `rustc -vV` of the compiler that built it
//! ```

use std::path::{Path, PathBuf};

/// Overrides where the prelude lies; for tests and for development.
pub const PRELUDE_DIR_ENV: &str = "FERROLENS_PRELUDE_DIR";

/// The folder `prelude/` of an installation.
#[derive(Debug, Clone)]
pub struct Prebuilt {
    folder: PathBuf,
}

impl Prebuilt {
    /// The prelude that belongs to this binary.
    ///
    /// # Errors
    /// A sentence when there is none, or only a part of one.
    pub fn find() -> Result<Self, String> {
        let folder = match std::env::var_os(PRELUDE_DIR_ENV) {
            Some(folder) => PathBuf::from(folder),
            None => std::env::current_exe()
                .and_then(std::fs::canonicalize)
                .ok()
                .and_then(|exe| Some(exe.parent()?.parent()?.join("prelude")))
                .ok_or("The kernel cannot tell where its own binary lies. Run install.sh again.")?,
        };
        Self::at(&folder)
    }

    /// The prelude in `folder`.
    ///
    /// # Errors
    /// A sentence that names the missing part.
    pub fn at(folder: &Path) -> Result<Self, String> {
        let found = Self {
            folder: folder.to_owned(),
        };
        for part in [found.library(), found.crates(), found.graph()] {
            if !part.exists() {
                return Err(format!(
                    "The prelude is not installed: {} is missing. Run install.sh, or name the \
                     folder in {PRELUDE_DIR_ENV}.",
                    part.display()
                ));
            }
        }
        Ok(found)
    }

    /// The folder itself.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The shared library that cells link to.
    pub fn library(&self) -> PathBuf {
        self.folder.join("libferrolens.so")
    }

    /// Metadata of the crates inside it.
    pub fn crates(&self) -> PathBuf {
        self.folder.join("crates")
    }

    /// The crate graph for the analyzer.
    pub fn graph(&self) -> PathBuf {
        self.folder.join("graph.json")
    }

    /// The standard library's outline, which the analyzer reads; an installation without may be had.
    pub fn standard(&self) -> Option<PathBuf> {
        let folder = Self::standard_in(&self.folder);
        folder.join("core/src/lib.rs").is_file().then_some(folder)
    }

    /// What cells are compiled for, as the compiler prints it.
    pub fn settings(&self) -> PathBuf {
        self.folder.join("settings")
    }

    /// How large types are there, in the compiler's notation.
    pub fn layout(&self) -> PathBuf {
        self.folder.join("layout")
    }

    /// Where it lies in a prelude's folder.
    pub fn standard_in(prelude: &Path) -> PathBuf {
        prelude.join("source/library")
    }

    /// What types have, for completion.
    pub fn catalogue(&self) -> PathBuf {
        self.folder.join("catalogue.json")
    }

    /// `rustc -vV` of the compiler that built it: metadata is readable to that compiler only.
    pub fn rustc_version(&self) -> Option<String> {
        std::fs::read_to_string(self.folder.join("rustc")).ok()
    }
}
