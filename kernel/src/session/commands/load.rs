//! `:load`: a file of Rust in the place of the line.

use super::plan::Plan;
use super::wrong;
use crate::session::CellError;
use crate::session::engine::Engine;
use std::path::{Path, PathBuf};

/// A file that loads itself would never end.
const LARGEST: u64 = 8 << 20;

/// The steps of a file, whose name stands before its messages.
pub(super) fn read(engine: &mut Engine, file: &str) -> Result<Plan, CellError> {
    engine.progress.loaded += 1;
    if engine.progress.loaded > 100 {
        return Err(wrong(format!(
            "`{file}` is the hundredth file of this cell: does a file load itself?"
        )));
    }
    let path = engine.directory().join(expanded(file));
    let cannot = |why: &str| {
        wrong(format!(
            "The file `{file}` cannot be loaded: {why}. It was looked for at {}.",
            path.display()
        ))
    };
    let size = std::fs::metadata(&path)
        .map_err(|error| cannot(&error.to_string()))?
        .len();
    if size > LARGEST {
        return Err(cannot(&format!("it has {size} bytes, which is no source")));
    }
    let code = std::fs::read_to_string(&path).map_err(|error| cannot(&error.to_string()))?;
    Plan::read(file, &code)
}

/// A path whose `~` is the home folder.
pub(super) fn expanded(path: &str) -> PathBuf {
    match (path.strip_prefix('~'), std::env::home_dir()) {
        (Some(""), Some(home)) => home,
        (Some(rest), Some(home)) if rest.starts_with('/') => {
            home.join(rest.trim_start_matches('/'))
        }
        _ => Path::new(path).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tilde_is_the_home_folder() {
        let home = std::env::home_dir().expect("a home folder");
        assert_eq!(expanded("~"), home);
        assert_eq!(expanded("~/a b"), home.join("a b"));
        assert_eq!(expanded("~x/y"), Path::new("~x/y"));
        assert_eq!(expanded("a/~"), Path::new("a/~"));
    }
}
