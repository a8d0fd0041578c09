//! What a variable looks like without being displayed: a short value, shape, type of numbers, memory.
//!
//! Method lookup on `&&&Describing(&x)` finds [`DescribeRich`] where the type is [`Describe`],
//! [`DescribeDebug`] where it is [`Debug`], and [`DescribeNothing`] elsewhere.

use ferrolens_frames::VariableSummary;
use std::cell::RefCell;
use std::fmt::{self, Debug, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// The longest value, in characters.
const LONGEST: usize = 120;

thread_local! {
    /// What the running cell has stored so far.
    static STORED: RefCell<Vec<VariableSummary>> = const { RefCell::new(Vec::new()) };
}

/// A type that says what its values look like in a list of variables.
pub trait Describe {
    /// What a reader sees of it; the name is filled in later.
    fn describe(&self) -> VariableSummary;
}

/// A variable that is being stored.
pub struct Describing<'a, T: ?Sized>(pub &'a T);

/// For types that say it themselves.
pub trait DescribeRich {
    /// Notes what the variable looks like.
    fn note(&self, name: &str);
}

impl<T: Describe + ?Sized> DescribeRich for &&Describing<'_, T> {
    fn note(&self, name: &str) {
        store(name, &mut || self.0.describe());
    }
}

/// For types with `Debug`: the beginning of their text.
pub trait DescribeDebug {
    /// Notes what the variable looks like.
    fn note(&self, name: &str);
}

impl<T: Debug + ?Sized> DescribeDebug for &Describing<'_, T> {
    fn note(&self, name: &str) {
        store_debug(name, &self.0);
    }
}

/// For all others: the name alone.
pub trait DescribeNothing {
    /// Notes that the variable is there.
    fn note(&self, name: &str);
}

impl<T: ?Sized> DescribeNothing for Describing<'_, T> {
    fn note(&self, name: &str) {
        store(name, &mut VariableSummary::default);
    }
}

#[inline(never)]
fn store_debug(name: &str, value: &dyn Debug) {
    store(name, &mut || VariableSummary {
        value: short(value),
        ..VariableSummary::default()
    });
}

/// Every cell is compiled with what calls this; the rest of it is compiled once.
#[inline(never)]
fn store(name: &str, describe: &mut dyn FnMut() -> VariableSummary) {
    // A user's own `Debug` may panic, which is no reason for the cell to fail.
    let summary = catch_unwind(AssertUnwindSafe(describe)).unwrap_or_default();
    let summary = VariableSummary {
        name: name.to_owned(),
        ..summary
    };
    STORED.with_borrow_mut(|stored| stored.push(summary));
}

/// What was stored since the last call.
pub(super) fn summaries() -> Vec<VariableSummary> {
    STORED.take()
}

/// The beginning of a value's `Debug` text, on one line; formatting stops where it is long enough.
pub(crate) fn short<T: Debug + ?Sized>(value: &T) -> String {
    let mut line = Short::default();
    let whole = write!(line, "{value:?}").is_ok();
    let mut text = line.0;
    if !whole {
        text.push('…');
    }
    text
}

#[derive(Default)]
struct Short(String);

impl Write for Short {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for c in text.chars() {
            if self.0.chars().count() >= LONGEST {
                return Err(fmt::Error);
            }
            self.0.push(if c.is_control() { ' ' } else { c });
        }
        Ok(())
    }
}

/// Vectors of numbers say how many they are and what they take.
macro_rules! vectors {
    ($($number:ty),*) => {$(
        impl Describe for Vec<$number> {
            fn describe(&self) -> VariableSummary {
                VariableSummary {
                    value: short(self),
                    shape: Some(vec![self.len()]),
                    dtype: Some(stringify!($number).to_owned()),
                    bytes: u64::try_from(self.capacity() * size_of::<$number>()).ok(),
                    ..VariableSummary::default()
                }
            }
        }
    )*};
}
vectors!(f32, f64, u8, u16, u32, u64, usize, i8, i16, i32, i64, isize);

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone)]
    struct Plain;

    struct Bad;

    impl Debug for Bad {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("a bad Debug")
        }
    }

    #[test]
    #[allow(clippy::needless_borrow)]
    fn every_variable_is_noted_with_what_its_type_can_say() {
        let numbers = vec![1_u32; 1000];
        (&&&Describing(&numbers)).note("numbers");
        (&&&Describing(&Some(3))).note("option");
        (&&&Describing(&Plain)).note("plain");
        (&&&Describing(&Bad)).note("bad");
        let noted = summaries();
        assert_eq!(noted[0].shape, Some(vec![1000]));
        assert_eq!(noted[0].bytes, Some(4000));
        assert!(noted[0].value.starts_with("[1, 1, 1") && noted[0].value.ends_with('…'));
        assert_eq!(
            (noted[1].name.as_str(), noted[1].value.as_str()),
            ("option", "Some(3)")
        );
        assert_eq!(
            (noted[2].name.as_str(), noted[2].value.as_str()),
            ("plain", "")
        );
        assert_eq!(
            (noted[3].name.as_str(), noted[3].value.as_str()),
            ("bad", "")
        );
        assert!(summaries().is_empty());
    }
}
