//! What a closure may return to have it shown.

use crate::emit::{Bundle, Rich, describe_error, text};
use std::fmt::Debug;

/// A value that [`interact`](super::interact()) and [`Output::show`](super::Output::show) show: every
/// [`Rich`] one (tensors, plots, tables, text, `()`), numbers, lists and tuples of what is `Debug`, and
/// `Result` and `Option` of these. The `Err` of a `Result` is shown as an error. For other types:
/// [`AsDebug`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be shown by a widget",
    note = "return a plot, a table, a tensor, a number, a text or `()`; for what is only `Debug`, return `AsDebug(value)`"
)]
pub trait Shown {
    #[doc(hidden)]
    fn showing(&self) -> Showing;
}

/// What a value looks like, or which error it is.
#[doc(hidden)]
#[derive(Debug, Clone)]
pub enum Showing {
    Value(Bundle),
    Failed { name: String, value: String },
}

/// Shows any value as `{:?}`.
///
/// ```
/// use ferrolens::prelude::*;
///
/// #[derive(Debug)]
/// struct Score {
///     logit: f32,
/// }
///
/// interact(|n| AsDebug(Score { logit: n as f32 }), (int_slider(0..=3),));
/// ```
#[derive(Debug, Clone)]
pub struct AsDebug<T>(pub T);

impl<T: Debug> Rich for AsDebug<T> {
    fn bundle(&self) -> Bundle {
        text(format!("{:?}", self.0))
    }
}

impl<T: Rich> Shown for T {
    fn showing(&self) -> Showing {
        match self.failure() {
            Some((name, value)) => Showing::Failed { name, value },
            None => {
                self.prepare();
                Showing::Value(self.bundle())
            }
        }
    }
}

fn debug(value: &impl Debug) -> Showing {
    Showing::Value(text(format!("{value:?}")))
}

fn result<T: Debug, E: Debug>(value: &Result<T, E>) -> Showing {
    match value {
        Ok(value) => debug(value),
        Err(error) => {
            let (name, value) = describe_error(error);
            Showing::Failed { name, value }
        }
    }
}

/// Types that are not [`Rich`], by themselves and inside `Result` and `Option`.
macro_rules! by_debug {
    ($([$($parameter:ident),*] $plain:ty;)*) => {$(
        impl<$($parameter: Debug),*> Shown for $plain {
            fn showing(&self) -> Showing {
                debug(self)
            }
        }

        impl<$($parameter: Debug,)* Failure: Debug> Shown for Result<$plain, Failure> {
            fn showing(&self) -> Showing {
                result(self)
            }
        }

        impl<$($parameter: Debug),*> Shown for Option<$plain> {
            fn showing(&self) -> Showing {
                debug(self)
            }
        }
    )*};
}
by_debug! {
    [] bool; [] char; [] f32; [] f64; [] u8; [] u16; [] u32; [] u64; [] u128; [] usize;
    [] i8; [] i16; [] i32; [] i64; [] i128; [] isize;
    [T] Vec<T>; [A, B] (A, B); [A, B, C] (A, B, C); [A, B, C, D] (A, B, C, D);
}

impl<T: Debug, const N: usize> Shown for [T; N] {
    fn showing(&self) -> Showing {
        debug(self)
    }
}
