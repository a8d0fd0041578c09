//! SAELens's names of releases: which repository holds them, and which path an id means.
//!
//! Facts from the list that SAELens 6.54 keeps, as rules: a release's ids and paths follow a pattern.

mod canonical;
mod pattern;
mod scales;
mod table;

use super::draft::Draft;
use super::embedded;
use super::options::SaeLoadOptions;
use super::recognise;
use super::sae_lens;
use super::source::Source;
use super::transcoders;
use crate::error::{Error, Result, suggestion};
use crate::model::load::source::is_repository;
use crate::sae::{ActivationNorm, Sae};
use pattern::translate;
use std::collections::BTreeSet;
use table::{Ids, Kind, Quirk, Release};

/// The names of all releases that [`Sae::from_pretrained`] knows, beside repositories.
pub fn sae_releases() -> Vec<String> {
    let releases = table::all().into_iter().map(|release| release.name);
    embedded::releases().into_iter().chain(releases).collect()
}

/// The releases, each with the ids that can be listed: those of others follow a pattern.
pub(crate) fn sae_names() -> Vec<(String, Vec<String>)> {
    let releases = table::all().into_iter().map(|release| {
        let ids = match &release.ids {
            Ids::Under(_) => Vec::new(),
            Ids::Patterns(patterns) => {
                let whole = patterns.iter().filter(|(ids, _)| !ids.contains('{'));
                whole.map(|(id, _)| id.clone()).collect()
            }
            Ids::Canonical(runs) => canonical::ids(runs),
        };
        (release.name, ids)
    });
    let embedded = embedded::releases().into_iter().map(|release| {
        let ids = embedded::ids(&release);
        (release, ids)
    });
    embedded.chain(releases).collect()
}

/// The autoencoder of a release, or of a repository.
///
/// # Errors
/// The release or the id is unknown, or the files cannot be had or are damaged.
pub(super) fn load(name: &str, id: &str, options: &SaeLoadOptions) -> Result<Sae> {
    if let Some(draft) = embedded::load(name, id)? {
        return draft.finish(options);
    }
    let releases = table::all();
    let Some(release) = releases.iter().find(|release| release.name == name) else {
        if name.starts_with("temporal-sae-") {
            return Err(Error::new(
                "temporal autoencoders, which attend to earlier positions, are not supported.",
            ));
        }
        return match is_repository(name) {
            true => {
                let mut draft = recognise::in_repository(name, id, options.hub())?;
                draft.warnings.extend(better_by_name(&releases, name));
                draft.finish(options)
            }
            false => Err(Error::new(format!(
                "there is no release `{name}`.{} `sae_releases()` lists the names; a repository is named \
                 `owner/name`.",
                suggestion(name, sae_releases())
            ))),
        };
    };
    let Some(path) = release.path(id) else {
        return Err(release.unknown(id));
    };
    let mut draft = release.draft(&path, options)?;
    match release.quirk {
        Quirk::ConstantNorm => {
            draft.cfg.normalize_activations = ActivationNorm::ConstantNormRescale;
        }
        Quirk::Scaled(factor_of) => {
            draft.norm_scaling_factor = factor_of(id).or(draft.norm_scaling_factor);
        }
        Quirk::CentredWriting => {
            let said = serde_json::json!({"center_writing_weights": true});
            let metadata = &mut draft.cfg.metadata;
            metadata.insert("model_from_pretrained_kwargs".into(), said);
        }
        Quirk::None => {}
    }
    draft.finish(options)
}

/// A sentence about a repository of which more is known under its release's name.
fn better_by_name(releases: &[Release], repository: &str) -> Option<String> {
    let mut same = releases.iter().filter(|one| one.repository == repository);
    let known = same.find(|one| matches!(one.quirk, Quirk::ConstantNorm | Quirk::Scaled(_)))?;
    Some(format!(
        "{repository} is the release `{}`, of which more is known than its files say (how activations \
         are scaled): load it by that name.",
        known.name
    ))
}

impl Release {
    /// The path in the repository that an id means, as far as its form is one of this release's.
    fn path(&self, id: &str) -> Option<String> {
        match &self.ids {
            Ids::Under(folder) => (!id.is_empty()).then(|| format!("{folder}{id}")),
            Ids::Patterns(patterns) => patterns
                .iter()
                .find_map(|(ids, paths)| translate(ids, paths, id)),
            Ids::Canonical(runs) => canonical::path(runs, id),
        }
    }

    fn unknown(&self, id: &str) -> Error {
        let (form, near) = match &self.ids {
            Ids::Under(_) => ("a path".to_owned(), String::new()),
            Ids::Patterns(patterns) => {
                let ids: BTreeSet<&str> = patterns.iter().map(|(ids, _)| ids.as_str()).collect();
                let shown = ids.iter().take(12).copied().collect::<Vec<_>>();
                (shown.join(", "), suggestion(id, ids))
            }
            Ids::Canonical(runs) => (
                "layer_{}/width_{}k/canonical".to_owned(),
                suggestion(id, canonical::ids(runs)),
            ),
        };
        Error::new(format!(
            "`{id}` is no id of the release {}.{near} Its ids look like {form}, {{}} being a number.",
            self.name
        ))
    }

    fn draft(&self, path: &str, options: &SaeLoadOptions) -> Result<Draft> {
        let repository = &self.repository;
        match self.kind {
            Kind::Folder(file) => {
                let source = Source::repository(repository, path, options.hub())?;
                // Missed first, so that the error is about the folder and not about one of its files.
                if file == sae_lens::WEIGHTS && source.open(sae_lens::CONFIG)?.is_none() {
                    return Err(source.missing(sae_lens::CONFIG));
                }
                recognise::file(&source, file)
            }
            Kind::File => {
                let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
                let source = Source::repository(repository, folder, options.hub())?;
                recognise::file(&source, name)
            }
            Kind::CrossLayer => {
                let source = Source::repository(repository, "", options.hub())?;
                recognise::file(&source, &transcoders::encoders(path))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(name: &str, id: &str) -> Option<(String, String)> {
        let release = table::all().into_iter().find(|one| one.name == name)?;
        let path = release.path(id)?;
        Some((release.repository, path))
    }

    #[test]
    fn ids_are_paths() {
        let cases = [
            (
                "gpt2-small-res-jb",
                "blocks.8.hook_resid_pre",
                "jbloom/GPT2-Small-SAEs-Reformatted",
                "blocks.8.hook_resid_pre",
            ),
            (
                "gpt2-small-resid-post-v5-32k",
                "blocks.11.hook_resid_post",
                "jbloom/GPT2-Small-OAI-v5-32k-resid-post-SAEs",
                "v5_32k_layer_11.pt",
            ),
            (
                "gemma-scope-2b-pt-res-canonical",
                "layer_20/width_16k/canonical",
                "google/gemma-scope-2b-pt-res",
                "layer_20/width_16k/average_l0_71",
            ),
            (
                "gemma-scope-2-1b-it-res-all",
                "layer_0_width_16k_l0_big",
                "google/gemma-scope-2-1b-it",
                "resid_post_all/layer_0_width_16k_l0_big",
            ),
            (
                "sae_bench_gemma-2-2b_topk_width-2pow12_date-1109",
                "blocks.12.hook_resid_post__trainer_3_step_154",
                "canrager/saebench_gemma-2-2b_width-2pow12_date-1109",
                "gemma-2-2b_topk_width-2pow12_date-1109/resid_post_layer_12_checkpoints/trainer_3_step_154",
            ),
        ];
        for (release, id, repository, folder) in cases {
            let expected = Some((repository.to_owned(), folder.to_owned()));
            assert_eq!(path(release, id), expected, "{release} {id}");
        }
        assert_eq!(path("gpt2-small-res-jb", "blocks.8.hook_resid_prey"), None);
        assert_eq!(
            path(
                "gemma-scope-2b-pt-res-canonical",
                "layer_99/width_16k/canonical"
            ),
            None
        );
    }

    #[test]
    fn names_are_there_once() {
        let names = sae_releases();
        let unique: BTreeSet<&String> = names.iter().collect();
        assert_eq!(unique.len(), names.len());
    }
}
