//! Strings.
//!
//! A single line is shown as Rust writes it, in quotes: `" Mary"` and `"Mary"` are two tokens. A
//! text of several lines is shown as it is, to be read.

use crate::emit::{Bundle, Rich, text};

impl Rich for str {
    fn bundle(&self) -> Bundle {
        if self.contains('\n') {
            text(self)
        } else {
            text(format!("{self:?}"))
        }
    }
}

impl Rich for String {
    fn bundle(&self) -> Bundle {
        self.as_str().bundle()
    }
}

impl Rich for std::borrow::Cow<'_, str> {
    fn bundle(&self) -> Bundle {
        (**self).bundle()
    }
}
