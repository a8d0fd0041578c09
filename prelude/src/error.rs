//! The one error type of the crate: a sentence for the reader of a notebook.

mod nearest;
mod next_step;

pub(crate) use nearest::suggestion;
pub(crate) use next_step::with_next_step;

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

/// Puts what was being done in front of the error of any library that this crate converts.
pub(crate) trait Context<T> {
    fn context(self, doing: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<Error>> Context<T> for std::result::Result<T, E> {
    fn context(self, doing: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| error.into().context(doing()))
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
    safetensors::SafeTensorError,
    serde_json::Error,
    std::io::Error,
    tokenizers::Error,
);

impl From<String> for Error {
    fn from(message: String) -> Self {
        Self::new(message)
    }
}

impl From<&str> for Error {
    fn from(message: &str) -> Self {
        Self::new(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn context_comes_first_and_the_source_stays() {
        let io = std::io::Error::new(std::io::ErrorKind::NotFound, "no such file");
        let error = Error::from(io).context("reading config.json");
        assert_eq!(error.to_string(), "reading config.json: no such file");
        assert_eq!(format!("{error:?}"), error.to_string());
        let source = error.source().map(ToString::to_string);
        assert_eq!(source.as_deref(), Some("no such file"));
    }

    #[test]
    fn the_error_is_small_and_crosses_threads() {
        fn crosses_threads<T: Send + Sync + 'static>() {}
        crosses_threads::<Error>();
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }
}
