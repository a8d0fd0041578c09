//! The instructions that make containers and inert objects out of what is on the stack.

use super::machine::Machine;
use super::node::{Id, Node, Object};
use crate::error::Result;

impl Machine<'_> {
    pub(super) fn short_tuple(&mut self, length: usize) -> Result<()> {
        let mut items = Vec::with_capacity(length);
        for _ in 0..length {
            items.push(self.pop("TUPLE")?);
        }
        items.reverse();
        self.push_new(Node::Tuple(items.into()))
    }

    pub(super) fn tuple(&mut self) -> Result<()> {
        let items = self.pop_mark("TUPLE")?;
        self.push_new(Node::Tuple(items.into()))
    }

    pub(super) fn list(&mut self) -> Result<()> {
        let items = self.pop_mark("LIST")?;
        self.push_new(Node::List(items))
    }

    pub(super) fn frozen_set(&mut self) -> Result<()> {
        let items = self.pop_mark("FROZENSET")?;
        self.push_new(Node::Set(items))
    }

    pub(super) fn append(&mut self) -> Result<()> {
        let item = self.pop("APPEND")?;
        self.extend(&[item], "APPEND")
    }

    pub(super) fn appends(&mut self, who: &str) -> Result<()> {
        let items = self.pop_mark(who)?;
        self.extend(&items, who)
    }

    fn extend(&mut self, more: &[Id], who: &str) -> Result<()> {
        let target = self.top(who)?;
        match self.node_mut(target) {
            Some(Node::List(items) | Node::Set(items)) => items.extend_from_slice(more),
            Some(Node::Object(object)) => object.items.extend_from_slice(more),
            _ => {
                return Err(self
                    .input
                    .damaged(format_args!("{who} finds no list to append to")));
            }
        }
        Ok(())
    }

    pub(super) fn dict(&mut self) -> Result<()> {
        let entries = self.pairs("DICT")?;
        self.push_new(Node::Dict(entries))
    }

    pub(super) fn set_item(&mut self) -> Result<()> {
        let value = self.pop("SETITEM")?;
        let key = self.pop("SETITEM")?;
        self.insert(&[(key, value)])
    }

    pub(super) fn set_items(&mut self) -> Result<()> {
        let entries = self.pairs("SETITEMS")?;
        self.insert(&entries)
    }

    fn pairs(&mut self, who: &str) -> Result<Vec<(Id, Id)>> {
        let items = self.pop_mark(who)?;
        let (pairs, rest) = items.as_chunks::<2>();
        if !rest.is_empty() {
            let why = format_args!("{who} finds a key without a value");
            return Err(self.input.damaged(why));
        }
        Ok(pairs.iter().map(|[key, value]| (*key, *value)).collect())
    }

    fn insert(&mut self, more: &[(Id, Id)]) -> Result<()> {
        let target = self.top("SETITEM")?;
        match self.node_mut(target) {
            Some(Node::Dict(entries)) => entries.extend_from_slice(more),
            Some(Node::Object(object)) => object.entries.extend_from_slice(more),
            _ => return Err(self.input.damaged("SETITEM finds no dict to put a key in")),
        }
        Ok(())
    }

    pub(super) fn global_lines(&mut self) -> Result<Id> {
        let module = self.text_line()?;
        let name = self.text_line()?;
        self.add(Node::Global { module, name })
    }

    fn text_line(&mut self) -> Result<Id> {
        let line = self.input.line()?;
        self.add(Node::Text(String::from_utf8_lossy(&line).into()))
    }

    /// Keeps the two texts where they are: a copy of long ones for each use could fill the memory.
    pub(super) fn stack_global(&mut self) -> Result<()> {
        let name = self.pop("STACK_GLOBAL")?;
        let module = self.pop("STACK_GLOBAL")?;
        let both = (self.node(module), self.node(name));
        let (Node::Text(_), Node::Text(_)) = both else {
            return Err(self.input.damaged("a class is named by something but text"));
        };
        self.push_new(Node::Global { module, name })
    }

    pub(super) fn reduce(&mut self) -> Result<()> {
        let args = self.pop("REDUCE")?;
        let class = self.pop("REDUCE")?;
        let object = match self.reconstructed(class, args) {
            Some(class) => Object::new(class, args, false),
            None => Object::new(class, args, true),
        };
        self.push_new(Node::Object(Box::new(object)))
    }

    /// The class of an instance that older protocols make through a function of `copyreg`.
    fn reconstructed(&self, function: Id, args: Id) -> Option<Id> {
        let Node::Global { module, name } = self.node(function) else {
            return None;
        };
        let (Node::Text(module), Node::Text(name)) = (self.node(*module), self.node(*name)) else {
            return None;
        };
        let copyreg = matches!(&**module, "copyreg" | "copy_reg");
        let makes = matches!(&**name, "_reconstructor" | "__newobj__" | "__newobj_ex__");
        match self.node(args) {
            Node::Tuple(args) if copyreg && makes => args.first().copied(),
            _ => None,
        }
    }

    /// Notes an object's state. On other values it does nothing, where Python would set attributes.
    pub(super) fn build(&mut self) -> Result<()> {
        let state = self.pop("BUILD")?;
        let target = self.top("BUILD")?;
        if let Some(Node::Object(object)) = self.node_mut(target) {
            object.state = Some(state);
        }
        Ok(())
    }

    pub(super) fn instance(&mut self) -> Result<()> {
        let class = self.global_lines()?;
        let args = self.pop_mark("INST")?;
        self.push_object(class, args)
    }

    pub(super) fn object(&mut self) -> Result<()> {
        let values = self.pop_mark("OBJ")?;
        let Some((class, args)) = values.split_first() else {
            return Err(self.input.damaged("OBJ finds no class"));
        };
        self.push_object(*class, args.to_vec())
    }

    fn push_object(&mut self, class: Id, args: Vec<Id>) -> Result<()> {
        let args = self.add(Node::Tuple(args.into()))?;
        let object = Object::new(class, args, true);
        self.push_new(Node::Object(Box::new(object)))
    }

    pub(super) fn new_object(&mut self) -> Result<()> {
        let args = self.pop("NEWOBJ")?;
        let class = self.pop("NEWOBJ")?;
        self.push_new(Node::Object(Box::new(Object::new(class, args, false))))
    }

    pub(super) fn new_object_with_keywords(&mut self) -> Result<()> {
        let keyword_args = self.pop("NEWOBJ_EX")?;
        let args = self.pop("NEWOBJ_EX")?;
        let class = self.pop("NEWOBJ_EX")?;
        let mut object = Object::new(class, args, false);
        object.keyword_args = Some(keyword_args);
        self.push_new(Node::Object(Box::new(object)))
    }

    pub(super) fn persistent_line(&mut self) -> Result<()> {
        let id = self.text_line()?;
        self.push_new(Node::Persistent(id))
    }

    pub(super) fn persistent(&mut self) -> Result<()> {
        let id = self.pop("BINPERSID")?;
        self.push_new(Node::Persistent(id))
    }
}
