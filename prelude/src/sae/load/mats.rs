//! Pickles of mats_sae_training and of the first SAELens: `{"cfg": .., "state_dict": ..}` as `.pt`, `.pkl`
//! or `.pkl.gz`, one a hook point.
//!
//! The config is an instance of a class of that program: its attributes are read, nothing is imported.

use super::draft::Draft;
use super::fields::Fields;
use super::hook_point::in_path;
use super::sae_lens;
use super::source::Source;
use super::weights::Weights;
use crate::error::{Error, Result};
use crate::model::load::pickle::{Id, Node, Pickle};
use serde_json::{Map, Value};

pub(super) const ENDINGS: [&str; 3] = [".pt", ".pkl", ".pkl.gz"];
pub(super) const SPARSITY: &str = "_log_feature_sparsity.pt";

/// A config holds some dozens of values; a hostile one may hold itself.
const MOST_VALUES: usize = 10_000;
const DEEPEST: usize = 8;

/// Whether these are the weights of one.
pub(super) fn is_one(weights: &Weights) -> bool {
    weights.has_all(&["W_enc", "W_dec"]) && config(weights).is_some()
}

/// The autoencoder of a file, with the shares of active tokens in the file beside it.
///
/// # Errors
/// A weight is missing, or the config asks for something that is not known.
pub(super) fn load(source: &Source, weights: &Weights) -> Result<Draft> {
    let map = attributes(weights)?;
    let fields = Fields::new(format!("{}, `cfg`", weights.origin()), map);
    let mut draft = sae_lens::of(fields, weights)?;
    if draft.cfg.hook_name.is_none() {
        draft.cfg.hook_name = in_path(weights.name());
    }
    if let Some(stem) = stem(weights.name()) {
        let beside = format!("{stem}{SPARSITY}");
        if source.has(&beside) {
            let sparsity = Weights::open(source, &beside)?;
            let names = sparsity.names();
            if let [only] = names.as_slice() {
                draft.log_sparsity = Some(sparsity.get(only, &[draft.cfg.d_sae])?);
            }
            draft.done_with(&sparsity);
        }
    }
    Ok(draft)
}

/// A file's name without its ending.
pub(super) fn stem(name: &str) -> Option<&str> {
    let endings = ENDINGS.iter().rev();
    endings
        .into_iter()
        .find_map(|ending| name.strip_suffix(ending))
}

fn config(weights: &Weights) -> Option<(&Pickle, Id)> {
    let pickle = weights.pickle()?;
    let config = pickle.get(pickle.root(), "cfg");
    let config = config.or_else(|| pickle.get(pickle.root(), "config"))?;
    Some((pickle, config))
}

fn attributes(weights: &Weights) -> Result<Map<String, Value>> {
    let mut left = MOST_VALUES;
    let read = config(weights).and_then(|(pickle, id)| value(pickle, id, 0, &mut left));
    match read {
        Some(Value::Object(map)) if left > 0 => Ok(map),
        _ => Err(Error::new(format!(
            "{}: its `cfg` is no config: it holds no names with values, or far too many.",
            weights.origin()
        ))),
    }
}

/// A value of a pickle as JSON; what JSON has no word for is named by its class.
fn value(pickle: &Pickle, id: Id, depth: usize, left: &mut usize) -> Option<Value> {
    *left = left.checked_sub(1)?;
    if depth > DEEPEST {
        return None;
    }
    if let Some(text) = pickle.to_text(id) {
        return Some(text.into());
    }
    match pickle.node(id) {
        Node::Bool(value) => return Some((*value).into()),
        Node::Int(value) => return Some((*value).into()),
        _ if pickle.is_none(id) => return Some(Value::Null),
        _ => {}
    }
    if let Some(number) = pickle.as_f64(id) {
        return Some(number.into());
    }
    if let Some(entries) = pickle.entries(id) {
        return object(pickle, entries, depth, left);
    }
    if let Some(items) = pickle.items(id) {
        let items = items
            .iter()
            .map(|item| value(pickle, *item, depth + 1, left));
        return items.collect::<Option<Vec<_>>>().map(Value::Array);
    }
    match pickle.attributes(id) {
        Some(entries) => object(pickle, entries, depth, left),
        None => Some(pickle.class_name(id)?.into()),
    }
}

fn object(
    pickle: &Pickle,
    entries: impl Iterator<Item = (Id, Id)>,
    depth: usize,
    left: &mut usize,
) -> Option<Value> {
    let mut map = Map::new();
    for (key, entry) in entries {
        let Some(key) = pickle.as_str(key) else {
            continue;
        };
        if let Some(entry) = value(pickle, entry, depth + 1, left) {
            map.insert(key.to_owned(), entry);
        }
    }
    Some(Value::Object(map))
}
