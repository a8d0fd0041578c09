//! Which tensors a checkpoint holds, and what they are called.

mod walk;

use super::super::pickle::{Id, Pickle};
use super::tensor::is_tensor;
use crate::error::{Error, Result};
use std::collections::HashMap;
use walk::Walk;

/// Where training programs keep the state dict.
const KEYS: [&str; 3] = ["state_dict", "model_state_dict", "model"];

/// How many dicts around the state dict are looked into.
const DEEPEST: usize = 8;

/// The tensors of the state dict by name, in the order of the file.
///
/// # Errors
/// The pickle is nothing but a call, or holds itself too often to look at it all.
pub(super) fn tensors(pickle: &Pickle) -> Result<Vec<(String, Id)>> {
    let root = pickle.root();
    if is_tensor(pickle, root) {
        return Ok(vec![("tensor".to_owned(), root)]);
    }
    let mut walk = Walk::new(pickle);
    state_dict(pickle, root, &mut walk, 0)?;
    let found = walk.finish();
    if found.is_empty() {
        refuse_call(pickle, root)?;
    }
    Ok(without_doubles(found))
}

/// Looks for tensors where they are expected, and then everywhere.
fn state_dict(pickle: &Pickle, id: Id, walk: &mut Walk<'_>, depth: usize) -> Result<()> {
    if depth > DEEPEST {
        return Ok(());
    }
    if let Some(entries) = pickle.entries(id) {
        for (key, value) in entries {
            walk.spend(1)?;
            if is_tensor(pickle, value) {
                walk.add(key, value)?;
            }
        }
        if walk.has_found() {
            return Ok(());
        }
    }
    for key in KEYS {
        if let Some(inner) = pickle.get(id, key) {
            state_dict(pickle, inner, walk, depth + 1)?;
            if walk.has_found() {
                return Ok(());
            }
        }
    }
    walk.all(id)
}

/// The error about a file that is a program, and not a checkpoint.
fn refuse_call(pickle: &Pickle, root: Id) -> Result<()> {
    let is_data = pickle.entries(root).is_some()
        || pickle.items(root).is_some()
        || pickle.as_bytes(root).is_some()
        || pickle.to_text(root).is_some();
    let Some(call) = pickle.call(root).filter(|_| !is_data) else {
        return Ok(());
    };
    Err(Error::new(format!(
        "the file calls `{}.{}`, which this reader never executes; it holds no tensors. Do not \
         load it in Python unless you trust where it comes from.",
        call.module, call.name
    )))
}

/// Of tensors of the same name the last, as in Python's dicts.
fn without_doubles(found: Vec<(String, Id)>) -> Vec<(String, Id)> {
    let mut places = HashMap::new();
    let mut kept: Vec<(String, Id)> = Vec::with_capacity(found.len());
    for (name, id) in found {
        match places.get(&name).and_then(|place| kept.get_mut(*place)) {
            Some((_, earlier)) => *earlier = id,
            None => {
                places.insert(name.clone(), kept.len());
                kept.push((name, id));
            }
        }
    }
    kept
}
