//! What a pickle's values are.

/// Which value of a [`super::Pickle`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Id(u32);

impl Id {
    /// Values that every pickle has once, so that repeating them costs nothing.
    pub(super) const NONE: Self = Self(0);
    pub(super) const TRUE: Self = Self(1);
    pub(super) const FALSE: Self = Self(2);
    pub(super) const EMPTY_TUPLE: Self = Self(3);

    pub(super) fn new(index: usize) -> Option<Self> {
        u32::try_from(index).ok().map(Self)
    }

    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}

/// One value. Those that hold others name them by [`Id`].
#[derive(Debug)]
pub(crate) enum Node {
    None,
    Bool(bool),
    Int(i64),
    /// An integer beyond 64 bits: in decimal, or in hexadecimal with `0x`, as the pickle has it.
    BigInt(Box<str>),
    Float(f64),
    Text(Box<str>),
    Bytes(Box<[u8]>),
    List(Vec<Id>),
    Tuple(Box<[Id]>),
    /// In the order of the pickle; of equal keys the last counts.
    Dict(Vec<(Id, Id)>),
    /// A `set` or a `frozenset`.
    Set(Vec<Id>),
    /// A class or a function, by the names of its module and of itself.
    Global {
        module: Id,
        name: Id,
    },
    Object(Box<Object>),
    /// What the program that wrote the pickle keeps elsewhere: a tensor's numbers, in torch.
    Persistent(Id),
}

impl Node {
    /// The nodes behind [`Id::NONE`] and its like.
    pub(super) fn constants() -> Vec<Self> {
        let empty = Self::Tuple(Box::default());
        vec![Self::None, Self::Bool(true), Self::Bool(false), empty]
    }
}

/// What Python would get by calling a class or a function. It is inert: a note of the call.
#[derive(Debug)]
pub(crate) struct Object {
    /// Usually a [`Node::Global`].
    pub(crate) class: Id,
    /// Usually a [`Node::Tuple`].
    pub(crate) args: Id,
    pub(crate) keyword_args: Option<Id>,
    /// Whether Python would call `class(*args)`, rather than make an instance without a call.
    pub(crate) called: bool,
    /// What Python would give to `__setstate__`, or put into the instance's `__dict__`.
    pub(crate) state: Option<Id>,
    /// What Python would append, where the class is a kind of list or set.
    pub(crate) items: Vec<Id>,
    /// What Python would set by key, where the class is a kind of dict.
    pub(crate) entries: Vec<(Id, Id)>,
}

impl Object {
    pub(super) fn new(class: Id, args: Id, called: bool) -> Self {
        Self {
            class,
            args,
            keyword_args: None,
            called,
            state: None,
            items: Vec::new(),
            entries: Vec::new(),
        }
    }
}
