//! What is the user's own: downloaded models, the history of cells, compiled cells.

use super::finding::Finding;
use super::prelude::is_writable;
use crate::history::{HISTORY_ENV, Place};
use crate::toolchain::kept::{self, KEPT_CELLS_ENV};
use std::path::{Path, PathBuf};

pub(super) fn look() -> Vec<Finding> {
    vec![
        models(model_folder()),
        history(&Place::of_user()),
        cells(kept::held()),
    ]
}

/// Where the hub's own library keeps models, which this one shares.
fn model_folder() -> Option<PathBuf> {
    let folder = |name: &str| {
        std::env::var_os(name)
            .filter(|value| !value.is_empty())
            .map(PathBuf::from)
    };
    folder("HF_HUB_CACHE")
        .or_else(|| folder("HF_HOME").map(|home| home.join("hub")))
        .or_else(|| folder("XDG_CACHE_HOME").map(|cache| cache.join("huggingface/hub")))
        .or_else(|| Some(std::env::home_dir()?.join(".cache/huggingface/hub")))
}

fn models(folder: Option<PathBuf>) -> Finding {
    const WHAT: &str = "downloaded models";
    const MEND: &str = "export HF_HOME=FOLDER, to a folder of yours with some GB free";
    match folder {
        None => Finding::advice(WHAT, "there is no home folder", MEND),
        Some(folder) if can_be_made(&folder) => Finding::fine(WHAT, folder.display().to_string()),
        Some(folder) => Finding::advice(
            WHAT,
            format!("{} cannot be written", folder.display()),
            MEND,
        ),
    }
}

fn history(place: &Place) -> Finding {
    const WHAT: &str = "history of cells";
    match place {
        Place::Memory => Finding::fine(WHAT, "kept in memory only"),
        Place::File(file) if can_be_made(file) => Finding::fine(WHAT, file.display().to_string()),
        Place::File(file) => Finding::advice(
            WHAT,
            format!("{} cannot be written: it is kept in memory", file.display()),
            format!("export {HISTORY_ENV}=FILE"),
        ),
    }
}

/// Compiled cells, by folder, number and bytes; `None` where none are to be kept.
fn cells(held: Option<(PathBuf, usize, u64)>) -> Finding {
    const WHAT: &str = "compiled cells";
    match held {
        None => Finding::fine(WHAT, "not kept"),
        Some((folder, count, bytes)) if can_be_made(&folder) => {
            let found = format!("{} MB in {count} files, {}", bytes >> 20, folder.display());
            Finding::fine(WHAT, found)
        }
        Some((folder, ..)) => Finding::advice(
            WHAT,
            format!(
                "{} cannot be written: each session compiles all its cells",
                folder.display()
            ),
            format!("export {KEPT_CELLS_ENV}=FOLDER"),
        ),
    }
}

/// Whether it can be written, or made where it is not there.
fn can_be_made(path: &Path) -> bool {
    path.ancestors()
        .find(|folder| folder.exists())
        // Nothing can be made below a file.
        .is_some_and(|found| is_writable(found) && (found == path || found.is_dir()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::install::report::finding::State;

    #[test]
    fn folders_that_can_be_made_are_fine() {
        let here = tempfile::tempdir().expect("a folder");
        assert_eq!(models(Some(here.path().join("a/b"))).state, State::Fine);
        let file = here.path().join("file");
        std::fs::write(&file, "").expect("a file");
        assert_eq!(models(Some(file.join("b"))).state, State::Advice);
        assert_eq!(models(None).state, State::Advice);
        assert_eq!(history(&Place::Memory).state, State::Fine);
        assert_eq!(cells(None).state, State::Fine);
        let lost = cells(Some((file.join("b"), 0, 0)));
        assert!(lost.mend.contains(KEPT_CELLS_ENV), "{lost:?}");
        let lost = history(&Place::File(file.join("b")));
        assert!(lost.mend.contains(HISTORY_ENV), "{lost:?}");
    }
}
