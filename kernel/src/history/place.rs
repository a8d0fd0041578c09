//! Where the history lies. Not in the installation, which may be shared and read-only.

use std::path::PathBuf;

/// Names another file than the usual one; `:memory:` keeps none.
pub const HISTORY_ENV: &str = "FERROLENS_HISTORY";

const MEMORY: &str = ":memory:";

/// Where a history is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    File(PathBuf),
    Memory,
}

impl Place {
    /// The file of this user: `ferrolens-history/history.sqlite` in their data folder.
    pub fn of_user() -> Self {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        if let Some(named) = variable(HISTORY_ENV) {
            return if named == MEMORY {
                Self::Memory
            } else {
                Self::File(named.into())
            };
        }
        variable("XDG_DATA_HOME")
            .map(PathBuf::from)
            .or_else(|| Some(std::env::home_dir()?.join(".local/share")))
            .map_or(Self::Memory, |data| {
                Self::File(data.join("ferrolens-history/history.sqlite"))
            })
    }
}
