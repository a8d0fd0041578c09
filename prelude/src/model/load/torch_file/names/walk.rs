//! A walk over everything in a pickle that gathers the tensors under dotted names.

use super::super::super::pickle::{Id, Node, Pickle};
use super::super::tensor::is_tensor;
use crate::error::{Error, Result};

/// Containers inside more containers than this are not looked into.
const DEEPEST: usize = 64;

/// How much looking around is done: a pickle can hold the same list at billions of places.
const MOST_STEPS: usize = 1 << 26;

/// A name that is kept takes about as many bytes beside its letters.
const STEPS_PER_NAME: usize = 64;

/// Dicts in which a module keeps its parts, which `state_dict()` leaves out of the names.
const MODULE_PARTS: [&str; 3] = ["_parameters", "_buffers", "_modules"];

pub(super) struct Walk<'a> {
    pickle: &'a Pickle,
    found: Vec<(String, Id)>,
    /// The name of where the walk is.
    path: String,
    /// The containers around it.
    around: Vec<Id>,
    steps_left: usize,
}

impl<'a> Walk<'a> {
    pub(super) fn new(pickle: &'a Pickle) -> Self {
        Self {
            pickle,
            found: Vec::new(),
            path: String::new(),
            around: Vec::new(),
            steps_left: MOST_STEPS,
        }
    }

    pub(super) fn has_found(&self) -> bool {
        !self.found.is_empty()
    }

    pub(super) fn finish(self) -> Vec<(String, Id)> {
        self.found
    }

    /// Gathers one tensor that a dict has under this key.
    pub(super) fn add(&mut self, key: Id, tensor: Id) -> Result<()> {
        self.visit(Step::Key(key), tensor)
    }

    /// Gathers the tensors in this container and in those within it.
    pub(super) fn all(&mut self, id: Id) -> Result<()> {
        let pickle = self.pickle;
        self.around.push(id);
        let entries = pickle.entries(id);
        let is_dict = entries.is_some();
        for (key, value) in entries.into_iter().flatten() {
            self.visit(Step::Key(key), value)?;
        }
        let items = pickle
            .items(id)
            .or_else(|| pickle.arguments(id).filter(|_| !is_dict));
        for (index, item) in items.unwrap_or_default().iter().enumerate() {
            self.visit(Step::Index(index), *item)?;
        }
        if let Some(attributes) = pickle.attributes(id) {
            for (key, value) in attributes {
                self.visit(Step::Key(key), value)?;
            }
        }
        self.around.pop();
        Ok(())
    }

    fn visit(&mut self, step: Step, id: Id) -> Result<()> {
        self.spend(1)?;
        let is_tensor = is_tensor(self.pickle, id);
        let holds_others = matches!(
            self.pickle.node(id),
            Node::List(_) | Node::Tuple(_) | Node::Dict(_) | Node::Set(_) | Node::Object(_)
        );
        let deep = || self.around.len() >= DEEPEST || self.around.contains(&id);
        if !is_tensor && (!holds_others || deep()) {
            return Ok(());
        }
        let length = self.path.len();
        self.enter(step, is_tensor);
        self.spend(self.path.len())?;
        if is_tensor {
            self.spend(STEPS_PER_NAME)?;
            self.found.push((self.path.clone(), id));
        } else {
            self.all(id)?;
        }
        self.path.truncate(length);
        Ok(())
    }

    fn enter(&mut self, step: Step, is_tensor: bool) {
        let number;
        let part = match step {
            Step::Index(index) => {
                number = index.to_string();
                number.as_str()
            }
            Step::Key(key) => match self.pickle.node(key) {
                Node::Text(text) if !is_tensor && MODULE_PARTS.contains(&&**text) => return,
                Node::Text(text) => text,
                Node::Int(value) => {
                    number = value.to_string();
                    number.as_str()
                }
                _ => "?",
            },
        };
        if !self.path.is_empty() {
            self.path.push('.');
        }
        self.path.push_str(part);
    }

    /// Takes part in the budget that keeps the walk short.
    pub(super) fn spend(&mut self, steps: usize) -> Result<()> {
        let left = self.steps_left.checked_sub(steps);
        self.steps_left = left.ok_or_else(|| {
            Error::new(
                "the file holds the same lists at so many places that looking at all would take \
                 too long. No checkpoint does that: do not trust it.",
            )
        })?;
        Ok(())
    }
}

/// How to get from a container to something in it.
#[derive(Clone, Copy)]
enum Step {
    Index(usize),
    Key(Id),
}
