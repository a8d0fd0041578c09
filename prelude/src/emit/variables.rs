//! The variables of a notebook between its cells.
//!
//! The engine's generated code takes the variables that a cell names out of a store and puts them
//! back at its end. This is that store, with the engine's names, and with what a notebook expects of
//! a cell that fails: the variables that it took, gave away or was about to replace are as they were.
//! The kernel replaces the engine's own store by this one.

use super::describe::summaries;
use super::{Host, control, failure};
use ferrolens_frames::Frame;
use std::any::{Any, TypeId};
use std::cell::RefCell;
use std::collections::BTreeMap;

/// The engine's line for a variable that it may not take.
const CHANGED_TYPE: &str = "EVCXR_VARIABLE_CHANGED_TYPE:";

/// The engine's line for the end of a cell.
const COMPLETE: &str = "EVCXR_EXECUTION_COMPLETE";

type Value = Box<dyn Any>;

/// A variable of a type that no cell defines.
const FOREIGN: u64 = 0;

thread_local! {
    /// What the running cell would lose if it failed, by name.
    static KEPT: RefCell<BTreeMap<String, Value>> = const { RefCell::new(BTreeMap::new()) };
    /// The store of the cells that this thread runs, for what happens between them.
    static NAMES: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
}

/// Holds the variables; what the engine calls it, and how.
#[derive(Default)]
pub struct VariableStore {
    variables: BTreeMap<String, Stored>,
    /// The definitions behind the variables that the running cell has taken.
    taken: BTreeMap<String, u64>,
}

struct Stored {
    value: Value,
    /// Stands for the text of the user's definitions that its type depends on.
    definitions: u64,
}

/// The store as variables see it whose types cells define: those of other definitions are not there.
pub struct Defined<'a> {
    store: &'a mut VariableStore,
    definitions: u64,
}

impl Defined<'_> {
    /// Stores the value of a variable.
    pub fn put_variable<T: 'static>(self, name: &str, value: T) {
        self.store.put(name, Box::new(value), self.definitions);
    }

    /// Whether the variable is there with this type; the engine forgets it otherwise.
    pub fn check_variable<T: 'static>(self, name: &str) -> bool {
        self.store.check::<T>(name, self.definitions)
    }
}

impl VariableStore {
    /// Stores the value of a variable.
    pub fn put_variable<T: 'static>(&mut self, name: &str, value: T) {
        self.put(name, Box::new(value), FOREIGN);
    }

    /// Whether the variable is there with this type; the engine forgets it otherwise.
    pub fn check_variable<T: 'static>(&mut self, name: &str) -> bool {
        self.check::<T>(name, FOREIGN)
    }

    /// For variables of the user's own types. Two definitions of one name, in two cells, have the same
    /// `TypeId`, and may lie in memory differently: `definitions` tells them apart.
    pub fn of(&mut self, definitions: u64) -> Defined<'_> {
        Defined {
            store: self,
            definitions,
        }
    }

    // What follows is compiled once; what every cell is compiled with only calls it.
    #[inline(never)]
    fn put(&mut self, name: &str, value: Value, definitions: u64) {
        let stored = Stored { value, definitions };
        // Until the cell has succeeded, what it replaces is only put aside.
        if let Some(replaced) = self.variables.insert(name.to_owned(), stored) {
            self.taken.insert(name.to_owned(), replaced.definitions);
            keep(name, replaced.value);
        }
    }

    fn check<T: 'static>(&mut self, name: &str, definitions: u64) -> bool {
        self.check_type(name, TypeId::of::<T>(), definitions)
    }

    #[inline(never)]
    fn check_type(&mut self, name: &str, kind: TypeId, definitions: u64) -> bool {
        let is_there = self.variables.get(name).is_some_and(|stored| {
            (*stored.value).type_id() == kind && stored.definitions == definitions
        });
        if !is_there {
            control(&format!("{CHANGED_TYPE}{name}"));
        }
        is_there
    }

    /// Takes the variable out, which [`VariableStore::check_variable`] has found.
    ///
    /// # Panics
    /// When it is not there, or has another type.
    pub fn take_variable<T: 'static>(&mut self, name: &str) -> T {
        match self.take(name).map(|value| value.downcast::<T>()) {
            Some(Ok(value)) => *value,
            _ => wrong_type(name),
        }
    }

    #[inline(never)]
    fn take(&mut self, name: &str) -> Option<Value> {
        let stored = self.variables.remove(name)?;
        self.taken.insert(name.to_owned(), stored.definitions);
        Some(stored.value)
    }

    /// A value that is made once for all cells, such as a runtime for `await`.
    ///
    /// # Panics
    /// When the same name was used for a value of another type.
    pub fn lazy_arc<T: 'static, F: FnOnce() -> T>(
        &mut self,
        name: &str,
        create: F,
    ) -> std::sync::Arc<T> {
        let stored = self
            .variables
            .entry(name.to_owned())
            .or_insert_with(|| Stored {
                value: Box::new(std::sync::Arc::new(create())),
                definitions: FOREIGN,
            });
        match stored.value.downcast_ref::<std::sync::Arc<T>>() {
            Some(value) => value.clone(),
            None => panic!("`{name}` is used for a value of another type"),
        }
    }

    /// The code of the cell begins: the engine may take it for complete.
    pub fn begin(&mut self) {
        control(COMPLETE);
    }

    /// Where the cell has failed: the variable is as it was, and not what the cell wanted to define.
    pub fn give_back<T: 'static>(&mut self, name: &str, value: impl FnOnce() -> T) {
        if failure::has_failed() {
            self.put(name, Box::new(value()), self.taken_from(name));
        }
    }

    fn taken_from(&self, name: &str) -> u64 {
        self.taken.get(name).copied().unwrap_or(FOREIGN)
    }

    /// The code of the cell has ended. Where it failed, what it took and did not give back returns.
    pub fn end(&mut self) {
        // A thread that the cell joined has stopped, and the cell came to its end for that.
        let came_to_its_end = !failure::has_failed();
        if came_to_its_end && super::interrupted() {
            failure::interrupted();
        }
        let kept = KEPT.with_borrow_mut(std::mem::take);
        if failure::take_has_failed() {
            for (name, value) in kept {
                let definitions = self.taken_from(&name);
                // One that did not has given back what it changed, and defined nothing.
                if came_to_its_end || !self.variables.contains_key(&name) {
                    self.variables.insert(name, Stored { value, definitions });
                }
            }
        }
        self.taken.clear();
        NAMES.set(self.variables.keys().cloned().collect());
    }
}

#[cold]
#[inline(never)]
fn wrong_type(name: &str) -> ! {
    panic!("the variable `{name}` is not what this cell was compiled for")
}

#[inline(never)]
fn keep(name: &str, copy: Value) {
    KEPT.with_borrow_mut(|kept| kept.insert(name.to_owned(), copy));
}

/// A fresh store for the engine, which passes it from cell to cell.
pub fn create_variable_store() -> *mut VariableStore {
    Box::into_raw(Box::default())
}

/// Takes back what the engine does not know any more, because a cell that failed would have changed
/// its type or given it away.
///
/// # Panics
/// When it is not there, or has another type, or one of other definitions.
pub fn restored<T: 'static>(definitions: u64, store: &mut VariableStore, name: &[u8]) -> T {
    let name = String::from_utf8_lossy(name);
    let is_the_same = (store.variables.get(&*name)).is_some_and(|it| it.definitions == definitions);
    assert!(is_the_same, "the type of `{name}` was defined again");
    store.take_variable(&name)
}

/// A type whose copies are cheap, or small, and nobody can tell from the value itself: a cell that
/// gives the value away or replaces it, and fails, leaves it as it was.
///
/// Not for types that count their copies, as a channel's sender does.
pub trait Keepable: Clone + 'static {}

macro_rules! keepable {
    ($($plain:ty),*) => {$(impl Keepable for $plain {})*};
}
keepable!(
    bool,
    char,
    f32,
    f64,
    u8,
    u16,
    u32,
    u64,
    u128,
    usize,
    i8,
    i16,
    i32,
    i64,
    i128,
    isize,
    String,
    &'static str,
    ()
);
impl<T: Keepable> Keepable for Vec<T> {}
impl<T: Keepable> Keepable for Option<T> {}
impl<A: Keepable, B: Keepable> Keepable for (A, B) {}
impl<A: Keepable, B: Keepable, C: Keepable> Keepable for (A, B, C) {}
impl<T: Keepable, const N: usize> Keepable for [T; N] {}
impl<K: Keepable, V: Keepable> Keepable for BTreeMap<K, V> {}
impl<K: Keepable, V: Keepable> Keepable for std::collections::HashMap<K, V> {}
impl Keepable for candle_core::Tensor {}
impl Keepable for candle_core::Device {}

/// Keeps a copy of a variable that a cell may lose. Method lookup on `&&Keep(&x)` finds [`KeepCopy`]
/// where the type is [`Keepable`], and [`KeepNothing`] elsewhere.
pub struct Keep<'a, T>(pub &'a T);

/// For types with copies.
pub trait KeepCopy {
    /// Keeps a copy until the cell has ended.
    fn keep(&self, name: &str);
}

impl<T: Keepable> KeepCopy for &Keep<'_, T> {
    fn keep(&self, name: &str) {
        keep(name, Box::new(self.0.clone()));
    }
}

/// For types without.
pub trait KeepNothing {
    /// Does nothing.
    fn keep(&self, _: &str) {}
}

impl<T> KeepNothing for Keep<'_, T> {}

/// Tells the kernel what the cell stored, and which variables there are.
pub(super) fn report() {
    let stored = summaries();
    let names = NAMES.with_borrow(Clone::clone);
    if let Some(host) = Host::find() {
        host.send(&Frame::Variables {
            cell: host.cell(),
            stored,
            names,
        });
    }
}

#[cfg(test)]
#[allow(clippy::needless_borrow)]
mod tests {
    use super::*;
    use crate::emit::{cell_failed, fake};

    #[test]
    fn a_cell_that_fails_leaves_what_it_took() {
        let ((), sent) = fake::with_host(|| {
            let mut store = VariableStore::default();
            store.put_variable("x", 5_i32);
            store.put_variable("y", vec![1.0_f32]);
            store.begin();
            let x: i32 = store.take_variable("x");
            (&&Keep(&x)).keep("x");
            let y: Vec<f32> = store.take_variable("y");
            (&&Keep(&y)).keep("y");
            drop(y);
            store.put_variable("x", x + 1);
            cell_failed("no");
            store.end();
            assert_eq!(store.take_variable::<i32>("x"), 6, "given back by the cell");
            assert_eq!(store.take_variable::<Vec<f32>>("y"), [1.0]);
        });
        assert!(sent.control.contains(&COMPLETE.to_owned()));
    }

    #[test]
    fn a_cell_that_succeeds_has_lost_what_it_gave_away() {
        let ((), sent) = fake::with_host(|| {
            let mut store = VariableStore::default();
            store.put_variable("x", 5_i32);
            let x: i32 = store.take_variable("x");
            (&&Keep(&x)).keep("x");
            store.end();
            assert!(!store.check_variable::<i32>("x"));
            store.put_variable("x", "text");
            assert!(!store.check_variable::<i32>("x"), "another type");
        });
        assert_eq!(sent.control, ["EVCXR_VARIABLE_CHANGED_TYPE:x"; 2]);
    }

    #[test]
    fn a_type_that_was_defined_again_is_another() {
        struct Own(i32);
        let ((), sent) = fake::with_host(|| {
            let mut store = VariableStore::default();
            store.of(7).put_variable("x", Own(3));
            assert!(store.of(7).check_variable::<Own>("x"));
            assert!(!store.of(8).check_variable::<Own>("x"));
            store.begin();
            let x: Own = store.take_variable("x");
            cell_failed("no");
            store.give_back("x", || x);
            store.end();
            assert!(store.of(7).check_variable::<Own>("x"));
            assert_eq!(store.take_variable::<Own>("x").0, 3);
        });
        let lost = sent
            .control
            .iter()
            .filter(|line| line.contains(CHANGED_TYPE));
        assert_eq!(lost.count(), 1);
    }

    #[test]
    fn what_has_no_copies_is_not_kept() {
        struct Only;
        (&&Keep(&Only)).keep("only");
        assert!(KEPT.with_borrow(BTreeMap::is_empty));
    }
}
