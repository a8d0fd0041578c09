//! Which format files are of.

use super::draft::Draft;
use super::fields::Fields;
use super::source::{HubOptions, Source};
use super::weights::{Weights, quoted};
use super::{
    attention, dictionary_learning, gemma_scope, gemma_scope_2, linear, llama_scope, mats, plain,
    qwen_scope, sae_lens, sparse_coding, sparsify, transcoders,
};
use crate::error::{Error, Result};
use std::collections::BTreeSet;

/// The files of weights that a format always calls so.
const NAMED: [&str; 6] = [
    sae_lens::WEIGHTS,
    sparsify::WEIGHTS,
    gemma_scope::WEIGHTS,
    gemma_scope_2::WEIGHTS,
    dictionary_learning::WEIGHTS,
    llama_scope::WEIGHTS,
];

/// What names of other files of weights end with.
const ENDINGS: [&str; 7] = [
    ".safetensors",
    ".npz",
    ".pt",
    ".pth",
    ".pkl",
    ".pkl.gz",
    ".bin",
];

/// The autoencoder of a folder or file in a repository.
///
/// # Errors
/// There is none, or it cannot be had.
pub(super) fn in_repository(repository: &str, inside: &str, hub: HubOptions) -> Result<Draft> {
    let inside = inside.trim_matches('/');
    let (folder, name) = inside.rsplit_once('/').unwrap_or(("", inside));
    if ENDINGS.iter().any(|ending| name.ends_with(ending)) {
        let source = Source::repository(repository, folder, hub.clone())?;
        // Some folders are called as files are.
        if source.names().is_none_or(|names| names.contains(name)) {
            return file(&source, name);
        }
    }
    in_folder(&Source::repository(repository, inside, hub)?)
}

/// The autoencoder of a folder.
///
/// # Errors
/// There is none, or there are several.
pub(super) fn in_folder(source: &Source) -> Result<Draft> {
    if let Some(name) = NAMED.into_iter().find(|name| source.has(name)) {
        return file(source, name);
    }
    let is_weights = |name: &&String| {
        ENDINGS.iter().any(|ending| name.ends_with(ending))
            && !name.ends_with(mats::SPARSITY)
            && *name != sae_lens::SPARSITY
            && !name.contains('/')
    };
    let names = source.names().into_iter().flatten().filter(is_weights);
    let names: Vec<String> = names.cloned().collect();
    match names.as_slice() {
        [only] => file(source, only),
        [] if source.has(sae_lens::CONFIG) => Err(source.missing(sae_lens::WEIGHTS)),
        [] => {
            let folders: BTreeSet<String> = source
                .names()
                .into_iter()
                .flatten()
                .filter_map(|name| Some(name.rsplit_once('/')?.0.to_owned()))
                .collect();
            let folders: Vec<String> = folders.into_iter().collect();
            let inside = match folders.is_empty() {
                true => String::new(),
                false => format!(
                    " There are folders in it: load one of {}.",
                    quoted(&folders)
                ),
            };
            Err(Error::new(format!(
                "{}: there is no file of weights here, such as {}.{inside}",
                source.describe(""),
                NAMED.join(", ")
            )))
        }
        several => Err(Error::new(format!(
            "{}: several files may be the autoencoder: {}. Choose one with \
             `SaeLoadOptions::new().file(..)`, or give its path.",
            source.describe(""),
            quoted(several)
        ))),
    }
}

/// The autoencoder of a file of weights, with what lies beside it.
///
/// # Errors
/// It is of no known format, or damaged.
pub(super) fn file(source: &Source, name: &str) -> Result<Draft> {
    // Names that only one format has spare a look at what else is there.
    if name == sae_lens::WEIGHTS && source.open(sae_lens::CONFIG)?.is_some() {
        return sae_lens::load(source);
    }
    let weights = Weights::open(source, name)?;
    if name == sae_lens::WEIGHTS {
        return match llama_scope::is_newer(&weights) {
            true => llama_scope::load_newer(source, &weights),
            false => Err(source.missing(sae_lens::CONFIG)),
        };
    }
    if name == sparsify::WEIGHTS || weights.has_all(&["encoder.weight", "W_dec"]) {
        return sparsify::load(source, &weights);
    }
    if name == gemma_scope::WEIGHTS || name.ends_with(".npz") {
        if gemma_scope::is_one(&weights) {
            return gemma_scope::load(source, &weights);
        }
    } else if gemma_scope_2::is_one(&weights) {
        return gemma_scope_2::load(source, &weights);
    }
    if name == llama_scope::WEIGHTS {
        return llama_scope::load(source, &weights);
    }
    if name == dictionary_learning::WEIGHTS {
        return dictionary_learning::load(source, &weights);
    }
    if mats::is_one(&weights) {
        return mats::load(source, &weights);
    }
    if let Some(beside) = sparse_coding::config_of(name)
        && let Some(fields) = Fields::read(source, &beside)?
        && sparse_coding::is_config(&fields)
    {
        return sparse_coding::load(fields, &weights, source);
    }
    if let Some(beside) = attention::config_of(name)
        && plain::is_one(&weights)
        && let Some(fields) = Fields::read(source, &beside)?
    {
        return attention::load(fields, &weights);
    }
    if qwen_scope::is_one(&weights) {
        return qwen_scope::load(source, &weights);
    }
    if let Some(layer) = transcoders::cross_layer(&weights) {
        return transcoders::load_cross_layer(source, &weights, layer);
    }
    if transcoders::is_layer(source, &weights) {
        return transcoders::load_layer(source, &weights);
    }
    if linear::is_one(&weights) {
        return linear::load(source, &weights);
    }
    if dictionary_learning::is_one(&weights) {
        return dictionary_learning::load(source, &weights);
    }
    if plain::is_one(&weights) {
        return plain::load(source, &weights);
    }
    Err(Error::new(format!(
        "{} is of no known format of autoencoders: it has {}. Weights are called W_enc, b_enc, W_dec \
         and b_dec, or encoder.weight and decoder.weight; `Sae::load` lists the formats.",
        weights.origin(),
        quoted(&weights.names())
    )))
}
