//! Which objects of a pickle are tensors, and what they are made of.

use super::super::pickle::{Call, Id, Node, Pickle};
use super::dtype::Dtype;

/// The function that torch rebuilds a tensor with, and what it gets; nothing for other objects.
pub(super) fn rebuilt(pickle: &Pickle, id: Id) -> Option<(&str, &[Id])> {
    const DEEPEST_WRAPPING: usize = 8;
    let Call { module, name, args } = pickle.call(id)?;
    let mut call = (module, name, args);
    for _ in 0..DEEPEST_WRAPPING {
        call = match call {
            // A parameter or a buffer of a module, around the tensor.
            (
                "torch._utils",
                "_rebuild_parameter" | "_rebuild_parameter_with_state" | "_rebuild_buffer",
                [tensor, ..],
            ) => {
                let Call { module, name, args } = pickle.call(*tensor)?;
                (module, name, args)
            }
            // A tensor of a subclass, as the function and the arguments for its base class.
            (
                "torch._tensor" | "torch.tensor",
                "_rebuild_from_type_v2" | "_rebuild_from_type",
                [function, _, args, ..],
            ) => {
                let (module, name) = pickle.global(*function)?;
                match pickle.node(*args) {
                    Node::Tuple(args) => (module, name, args),
                    _ => return None,
                }
            }
            ("torch._utils" | "torch.sparse", name, args) if name.starts_with("_rebuild_") => {
                return Some((name, args));
            }
            _ => return None,
        };
    }
    None
}

/// Whether this is a tensor, readable or not.
pub(super) fn is_tensor(pickle: &Pickle, id: Id) -> bool {
    rebuilt(pickle, id).is_some()
}

/// What a pickle says about a storage that lies outside it.
pub(super) struct StorageRef<'a> {
    pub(super) key: &'a str,
    pub(super) key_id: Id,
    pub(super) dtype: Dtype,
    /// How many values of the storage come before it, in views of old.
    pub(super) skipped: usize,
}

impl<'a> StorageRef<'a> {
    /// Reads `("storage", class, key, location, count)`; the old format adds
    /// `(key of the view, values before it, its count)`, or `None`.
    pub(super) fn from_persistent(pickle: &'a Pickle, id: Id) -> Option<Self> {
        let Node::Tuple(parts) = pickle.node(id) else {
            return None;
        };
        let [kind, class, key, _, _, view @ ..] = &**parts else {
            return None;
        };
        if pickle.as_str(*kind) != Some("storage") {
            return None;
        }
        let (_, class) = pickle.global(*class)?;
        let view = view.first().and_then(|view| pickle.items(*view));
        let skipped = match view {
            Some([_, skipped, _]) => pickle.as_usize(*skipped)?,
            _ => 0,
        };
        Some(Self {
            key: pickle.as_str(*key)?,
            key_id: *key,
            dtype: Dtype::of_storage(class)?,
            skipped,
        })
    }
}
