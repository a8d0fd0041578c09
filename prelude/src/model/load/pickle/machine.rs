//! The stack machine that a pickle is a program for.

use super::input::Input;
use super::node::{Id, Node};
use crate::error::Result;
use std::collections::HashMap;

/// More values than this are refused, in the pickle, on the stack or in the memo.
///
/// Three bytes of a hostile pickle can become a value of a hundred; the largest checkpoints of
/// models hold some hundred thousand.
const MOST_VALUES: usize = 1 << 22;

pub(super) struct Machine<'a> {
    pub(super) input: Input<'a>,
    nodes: Vec<Node>,
    stack: Vec<Id>,
    /// How long the stack was at each mark that is still open.
    marks: Vec<usize>,
    /// The pickle chooses the numbers, up to four billion: hence no list.
    memo: HashMap<u64, Id>,
}

impl<'a> Machine<'a> {
    pub(super) fn new(input: Input<'a>) -> Self {
        Self {
            input,
            nodes: Node::constants(),
            stack: Vec::new(),
            marks: Vec::new(),
            memo: HashMap::new(),
        }
    }

    /// All values, which of them is the pickle's, and where the pickle stops.
    pub(super) fn run(mut self) -> Result<(Vec<Node>, Id, u64)> {
        while let Some(opcode) = self.next_opcode()? {
            self.step(opcode)?;
        }
        let root = self.pop("STOP")?;
        Ok((self.nodes, root, self.input.position()))
    }

    fn next_opcode(&mut self) -> Result<Option<u8>> {
        const STOP: u8 = b'.';
        let opcode = self.input.instruction()?;
        Ok(Some(opcode).filter(|opcode| *opcode != STOP))
    }

    pub(super) fn node(&self, id: Id) -> &Node {
        self.nodes.get(id.index()).unwrap_or(&Node::None)
    }

    pub(super) fn node_mut(&mut self, id: Id) -> Option<&mut Node> {
        self.nodes.get_mut(id.index())
    }

    pub(super) fn add(&mut self, node: Node) -> Result<Id> {
        self.check_room(self.nodes.len())?;
        let id = Id::new(self.nodes.len());
        let id = id.ok_or_else(|| self.input.unsupported("it holds too many values"))?;
        self.nodes.push(node);
        Ok(id)
    }

    pub(super) fn push(&mut self, id: Id) -> Result<()> {
        self.check_room(self.stack.len())?;
        self.stack.push(id);
        Ok(())
    }

    pub(super) fn push_new(&mut self, node: Node) -> Result<()> {
        let id = self.add(node)?;
        self.push(id)
    }

    /// The last value, which stays on the stack. `who` needs it.
    pub(super) fn top(&self, who: &str) -> Result<Id> {
        let bottom = self.marks.last().copied().unwrap_or(0);
        let values = self.stack.get(bottom..).unwrap_or_default();
        values.last().copied().ok_or_else(|| {
            self.input
                .damaged(format_args!("{who} finds no value on the stack"))
        })
    }

    pub(super) fn pop(&mut self, who: &str) -> Result<Id> {
        let top = self.top(who)?;
        self.stack.pop();
        Ok(top)
    }

    pub(super) fn mark(&mut self) -> Result<()> {
        self.check_room(self.marks.len())?;
        self.marks.push(self.stack.len());
        Ok(())
    }

    /// The values behind the last mark, which is taken away with them.
    pub(super) fn pop_mark(&mut self, who: &str) -> Result<Vec<Id>> {
        let Some(mark) = self.marks.pop() else {
            return Err(self
                .input
                .damaged(format_args!("{who} finds no mark on the stack")));
        };
        Ok(self.stack.split_off(mark.min(self.stack.len())))
    }

    /// Drops the last value, or the last mark where it comes later.
    pub(super) fn discard(&mut self) -> Result<()> {
        if self.marks.last() == Some(&self.stack.len()) {
            self.marks.pop();
            return Ok(());
        }
        self.pop("POP").map(drop)
    }

    pub(super) fn recall(&mut self, number: u64) -> Result<()> {
        let Some(id) = self.memo.get(&number) else {
            return Err(self.input.damaged(format_args!(
                "value {number} of the memo was never put there"
            )));
        };
        self.push(*id)
    }

    pub(super) fn memoize(&mut self, number: u64) -> Result<()> {
        self.check_room(self.memo.len())?;
        let top = self.top("PUT")?;
        self.memo.insert(number, top);
        Ok(())
    }

    pub(super) fn memoize_next(&mut self) -> Result<()> {
        self.memoize(self.memo.len() as u64)
    }

    fn check_room(&self, used: usize) -> Result<()> {
        if used >= MOST_VALUES {
            return Err(self.input.unsupported(format_args!(
                "it holds more than {MOST_VALUES} values, which no checkpoint does"
            )));
        }
        Ok(())
    }
}
