//! The one error type of the crate: a sentence for the reader of a notebook.

use std::error::Error as StdError;
use std::fmt;

/// What every fallible function of this crate returns. The second parameter keeps
/// `Result<T, MyError>` of a cell what it is where this name is imported.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Something that went wrong, said in a sentence that ends with the next step where there is one.
///
/// The type is opaque: read it with `Display`, and follow [`std::error::Error::source`] for the
/// error of the library below, where one caused it.
pub struct Error {
    inner: Box<Inner>,
}

struct Inner {
    message: String,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// An error with this sentence as its message.
    pub fn new(message: impl Into<String>) -> Self {
        Self::build(message.into(), None)
    }

    /// An error with this sentence as its message, caused by another error.
    pub fn with_source(
        message: impl Into<String>,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self::build(message.into(), Some(source.into()))
    }

    /// The same error with what was being done put in front of its message.
    #[must_use]
    pub fn context(mut self, doing: impl fmt::Display) -> Self {
        self.inner.message = format!("{doing}: {}", self.inner.message);
        self
    }

    fn build(message: String, source: Option<Box<dyn StdError + Send + Sync>>) -> Self {
        Self {
            inner: Box::new(Inner { message, source }),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.message)
    }
}

/// The same sentence as `Display`: a notebook prints whichever it finds.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.inner.message)
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.inner
            .source
            .as_deref()
            .map(|source| source as &(dyn StdError + 'static))
    }
}

macro_rules! from_library_error {
    ($($library:ty),* $(,)?) => {$(
        impl From<$library> for Error {
            fn from(error: $library) -> Self {
                Self::with_source(error.to_string(), error)
            }
        }
    )*};
}

from_library_error!(
    candle_core::Error,
    polars::error::PolarsError,
    serde_json::Error,
    std::io::Error,
    tokenizers::Error,
);
