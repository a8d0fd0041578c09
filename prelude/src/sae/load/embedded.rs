//! The autoencoders that are part of the library: those of the embedded stories-2l.

use super::draft::Draft;
use super::sae_lens;
use super::source::Source;
use crate::error::{Error, Result, suggestion};

/// An autoencoder with the names that it is loaded by.
struct Embedded {
    release: &'static str,
    id: &'static str,
    files: &'static [(&'static str, &'static [u8])],
}

macro_rules! embedded {
    ($release:literal, $id:literal) => {
        Embedded {
            release: $release,
            id: $id,
            files: &[
                (
                    "cfg.json",
                    include_bytes!(concat!("../../../models/", $release, "/", $id, "/cfg.json")),
                ),
                (
                    "sae_weights.safetensors",
                    include_bytes!(concat!(
                        "../../../models/",
                        $release,
                        "/",
                        $id,
                        "/sae_weights.safetensors"
                    )),
                ),
                (
                    "sparsity.safetensors",
                    include_bytes!(concat!(
                        "../../../models/",
                        $release,
                        "/",
                        $id,
                        "/sparsity.safetensors"
                    )),
                ),
            ],
        }
    };
}

const ALL: [Embedded; 6] = [
    embedded!("stories-2l-relu", "blocks.0.hook_mlp_out"),
    embedded!("stories-2l-relu", "blocks.1.mlp.hook_post"),
    embedded!("stories-2l-relu", "blocks.1.hook_resid_post"),
    embedded!("stories-2l-nsae", "blocks.0.hook_mlp_out"),
    embedded!("stories-2l-nsae", "blocks.1.mlp.hook_post"),
    embedded!("stories-2l-nsae", "blocks.1.hook_resid_post"),
];

/// The names of the releases.
pub(super) fn releases() -> Vec<String> {
    let mut names: Vec<String> = ALL.iter().map(|one| one.release.to_owned()).collect();
    names.dedup();
    names
}

/// The autoencoders of a release that the library brings.
pub(super) fn ids(release: &str) -> Vec<String> {
    let of = ALL.iter().filter(|one| one.release == release);
    of.map(|one| one.id.to_owned()).collect()
}

/// The autoencoder of a release that the library brings; nothing where the release is another's.
///
/// # Errors
/// The release has no such id.
pub(super) fn load(release: &str, id: &str) -> Result<Option<Draft>> {
    let mut here = ALL.iter().filter(|one| one.release == release).peekable();
    if here.peek().is_none() {
        return Ok(None);
    }
    let ids: Vec<&str> = here.clone().map(|one| one.id).collect();
    let Some(found) = here.find(|one| one.id == id) else {
        return Err(Error::new(format!(
            "`{id}` is no id of the release {release}.{} Its ids are {}.",
            suggestion(id, &ids),
            ids.join(", ")
        )));
    };
    let source = Source::embedded(found.release, found.files);
    sae_lens::load(&source).map(Some)
}
