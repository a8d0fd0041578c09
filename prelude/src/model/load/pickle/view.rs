//! A pickle's values as what they mean.

use super::Pickle;
use super::node::{Id, Node, Object};
use std::borrow::Cow;

/// A call that Python would make, and this reader does not.
pub(crate) struct Call<'a> {
    pub(crate) module: &'a str,
    pub(crate) name: &'a str,
    pub(crate) args: &'a [Id],
}

/// Modules of Python's own types, in Python 3 and 2.
const BUILTINS: [&str; 2] = ["builtins", "__builtin__"];

impl Pickle {
    /// The value of a text key in a dict, or of an attribute in an object's state.
    pub(crate) fn get(&self, id: Id, key: &str) -> Option<Id> {
        let found = |(name, _): &(Id, Id)| self.as_str(*name) == Some(key);
        let entry = match self.entries(id) {
            Some(mut entries) => entries.rfind(found),
            None => self.attributes(id)?.rfind(found),
        };
        entry.map(|(_, value)| value)
    }

    /// The keys and values of a dict or of an object of a kind of dict, as `OrderedDict`.
    pub(crate) fn entries(&self, id: Id) -> Option<impl DoubleEndedIterator<Item = (Id, Id)>> {
        let (given, set): (Option<Id>, &[_]) = match self.node(id) {
            Node::Dict(entries) => (None, entries),
            Node::Object(object) => {
                let call = self.call(id);
                let given = call.as_ref().filter(|call| call.makes_dict());
                if given.is_none() && object.entries.is_empty() {
                    return None;
                }
                let given = given.and_then(|call| call.args.first().copied());
                (given, &object.entries)
            }
            _ => return None,
        };
        let (pairs, copied): (&[Id], &[_]) = match given.map(|given| self.node(given)) {
            Some(Node::List(pairs)) => (pairs, &[]),
            Some(Node::Tuple(pairs)) => (pairs, &[]),
            Some(Node::Dict(entries)) => (&[], entries),
            _ => (&[], &[]),
        };
        let pairs = pairs.iter().filter_map(|pair| self.pair(*pair));
        Some(
            pairs
                .chain(copied.iter().copied())
                .chain(set.iter().copied()),
        )
    }

    fn pair(&self, id: Id) -> Option<(Id, Id)> {
        match self.plain_items(id)? {
            [key, value] => Some((*key, *value)),
            _ => None,
        }
    }

    /// The names and values of an object's state, where it is the usual dict, or dict and slots.
    pub(crate) fn attributes(&self, id: Id) -> Option<impl DoubleEndedIterator<Item = (Id, Id)>> {
        let state = self.object(id)?.state?;
        let (dict, slots) = match self.plain_items(state) {
            Some([dict, slots]) => (*dict, Some(*slots)),
            _ => (state, None),
        };
        let dict = self.entries(dict);
        let slots = slots.and_then(|slots| self.entries(slots));
        Some(
            dict.into_iter()
                .flatten()
                .chain(slots.into_iter().flatten()),
        )
    }

    /// The items of a list, a tuple, a set, or an object of a kind of these, as `torch.Size`.
    pub(crate) fn items(&self, id: Id) -> Option<&[Id]> {
        let Some(object) = self.object(id) else {
            return self.plain_items(id);
        };
        if !object.items.is_empty() {
            return Some(&object.items);
        }
        let call = self.call(id).filter(Call::makes_list)?;
        match call.args {
            [] => Some(&[]),
            [items, ..] => self.plain_items(*items),
        }
    }

    fn plain_items(&self, id: Id) -> Option<&[Id]> {
        match self.node(id) {
            Node::List(items) | Node::Set(items) => Some(items),
            Node::Tuple(items) => Some(items),
            _ => None,
        }
    }

    /// Whether this is `None`.
    pub(crate) fn is_none(&self, id: Id) -> bool {
        matches!(self.node(id), Node::None)
    }

    pub(crate) fn as_bool(&self, id: Id) -> Option<bool> {
        match self.node(id) {
            Node::Bool(value) => Some(*value),
            _ => None,
        }
    }

    pub(crate) fn as_i64(&self, id: Id) -> Option<i64> {
        match self.node(id) {
            Node::Int(value) => Some(*value),
            _ => None,
        }
    }

    /// An integer that is a size or a position.
    pub(crate) fn as_usize(&self, id: Id) -> Option<usize> {
        self.as_i64(id).and_then(|value| value.try_into().ok())
    }

    /// A number, with a fraction or not.
    pub(crate) fn as_f64(&self, id: Id) -> Option<f64> {
        match self.node(id) {
            Node::Float(value) => Some(*value),
            Node::Int(value) => Some(*value as f64),
            _ => None,
        }
    }

    pub(crate) fn as_str(&self, id: Id) -> Option<&str> {
        match self.node(id) {
            Node::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Text, or what Python prints for a `torch.dtype` or a `torch.device`.
    pub(crate) fn to_text(&self, id: Id) -> Option<Cow<'_, str>> {
        if let Some(text) = self.as_str(id) {
            return Some(text.into());
        }
        if let Some(("torch", name)) = self.global(id) {
            return Some(format!("torch.{name}").into());
        }
        match self.call(id)? {
            Call {
                module: "torch",
                name: "device",
                args: [kind, number @ ..],
            } => {
                let kind = self.as_str(*kind)?;
                let number = number.first().and_then(|number| self.as_i64(*number));
                Some(match number {
                    Some(number) => format!("{kind}:{number}").into(),
                    None => kind.into(),
                })
            }
            _ => None,
        }
    }

    /// Bytes, as every protocol writes them: older ones as a call that encodes text.
    pub(crate) fn as_bytes(&self, id: Id) -> Option<Cow<'_, [u8]>> {
        if let Node::Bytes(bytes) = self.node(id) {
            return Some((&**bytes).into());
        }
        let call = self.call(id)?;
        let builtin = BUILTINS.contains(&call.module);
        match (call.module, call.name, call.args) {
            (_, "bytes" | "bytearray", []) if builtin => Some(Cow::Borrowed(&[])),
            (_, "bytearray", [bytes]) if builtin => match self.node(*bytes) {
                Node::Bytes(bytes) => Some((&**bytes).into()),
                _ => None,
            },
            ("_codecs", "encode", [text, encoding]) | (_, "bytearray", [text, encoding])
                if builtin || call.module == "_codecs" =>
            {
                let encoding = self.as_str(*encoding)?;
                let latin = matches!(encoding, "latin1" | "latin-1" | "iso-8859-1");
                let text = self.as_str(*text).filter(|_| latin)?;
                let bytes = text.chars().map(|c| u8::try_from(c).ok());
                bytes.collect::<Option<Vec<u8>>>().map(Cow::Owned)
            }
            _ => None,
        }
    }

    /// The names of the module and of the class or function itself.
    pub(crate) fn global(&self, id: Id) -> Option<(&str, &str)> {
        match self.node(id) {
            Node::Global { module, name } => Some((self.as_str(*module)?, self.as_str(*name)?)),
            _ => None,
        }
    }

    pub(crate) fn object(&self, id: Id) -> Option<&Object> {
        match self.node(id) {
            Node::Object(object) => Some(object),
            _ => None,
        }
    }

    /// The name of an object's class, as `collections.OrderedDict`.
    pub(crate) fn class_name(&self, id: Id) -> Option<String> {
        let (module, name) = self.global(self.object(id)?.class)?;
        Some(format!("{module}.{name}"))
    }

    /// What an object is made with.
    pub(crate) fn arguments(&self, id: Id) -> Option<&[Id]> {
        self.plain_items(self.object(id)?.args)
    }

    /// What Python would call to get this object.
    pub(crate) fn call(&self, id: Id) -> Option<Call<'_>> {
        let object = self.object(id).filter(|object| object.called)?;
        let (module, name) = self.global(object.class)?;
        let Node::Tuple(args) = self.node(object.args) else {
            return None;
        };
        Some(Call { module, name, args })
    }
}

impl Call<'_> {
    fn makes_dict(&self) -> bool {
        let known = match self.module {
            "collections" => &["OrderedDict", "defaultdict", "Counter"][..],
            module if BUILTINS.contains(&module) => &["dict"],
            _ => &[],
        };
        known.contains(&self.name)
    }

    fn makes_list(&self) -> bool {
        let known = match self.module {
            "torch" => &["Size"][..],
            "collections" => &["deque"],
            module if BUILTINS.contains(&module) => &["list", "tuple", "set", "frozenset"],
            _ => &[],
        };
        known.contains(&self.name)
    }
}
