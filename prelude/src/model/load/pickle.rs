//! Python pickles of protocols 0 to 5, read as data: nothing in them is ever looked up or run.
//!
//! A pickle is a program for a small stack machine. This reader runs only the part that stacks
//! values; where Python would call a function or make an instance, it notes which and with what.

mod decode;
mod input;
mod machine;
mod make;
mod node;
mod opcode;
mod view;

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) mod writer;

pub(crate) use node::{Id, Node};
pub(crate) use view::Call;

use crate::error::Result;
use input::Input;
use machine::Machine;
use std::io::Read;

/// The values of one pickle.
///
/// They lie side by side and refer to each other by [`Id`]: what a pickle shares stays shared, a
/// list may hold itself, and depth costs no stack.
pub(crate) struct Pickle {
    nodes: Vec<Node>,
    root: Id,
}

impl Pickle {
    /// The pickle that these bytes start with. What follows it is ignored, as Python does.
    ///
    /// # Errors
    /// The bytes are no pickle, or a damaged one.
    pub(crate) fn parse(mut bytes: &[u8]) -> Result<Self> {
        let end = bytes.len() as u64;
        Self::read(&mut bytes, 0, end).map(|(pickle, _)| pickle)
    }

    /// The pickle that starts at byte `start` of a file, where `reader` stands, and where in the
    /// file it stops. No byte at or behind `end` is read.
    ///
    /// # Errors
    /// As [`Pickle::parse`], or the file cannot be read.
    pub(crate) fn read(reader: &mut dyn Read, start: u64, end: u64) -> Result<(Self, u64)> {
        let (nodes, root, stop) = Machine::new(Input::new(reader, start, end)).run()?;
        Ok((Self { nodes, root }, stop))
    }

    /// The value that Python's `pickle.load` would return.
    pub(crate) fn root(&self) -> Id {
        self.root
    }

    /// One value.
    pub(crate) fn node(&self, id: Id) -> &Node {
        self.nodes.get(id.index()).unwrap_or(&Node::None)
    }

    /// All values, in the order in which the pickle makes them.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter()
    }
}
