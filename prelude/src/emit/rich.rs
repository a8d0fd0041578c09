//! What a value looks like: one content for each kind of front end.

pub use ferrolens_frames::Bundle;

/// A value that knows what it looks like in a notebook.
///
/// Implement it for a type of your own, and the type is shown by
/// [`display`](crate::display::display) and as the last expression of a cell:
///
/// ```
/// use ferrolens::emit::{Bundle, Rich, text};
///
/// struct Score(f64);
///
/// impl Rich for Score {
///     fn bundle(&self) -> Bundle {
///         let mut bundle = text(format!("{:.1} %", 100.0 * self.0));
///         bundle.insert("text/html".into(), format!("<b>{:.1} %</b>", 100.0 * self.0).into());
///         bundle
///     }
/// }
///
/// assert_eq!(Score(0.5).bundle()["text/plain"], "50.0 %");
/// ```
///
/// Always give `text/plain`: a terminal, an export and a screen reader have nothing else.
pub trait Rich {
    /// The representations of this value: MIME type → content. An empty bundle shows nothing.
    fn bundle(&self) -> Bundle;

    /// Called right before the bundle is sent, for what must be in the notebook before it.
    fn prepare(&self) {}

    /// The name and message of an error, where the value is one: where values are shown in place of
    /// each other, it is shown as such.
    #[doc(hidden)]
    fn failure(&self) -> Option<(String, String)> {
        None
    }
}

impl<T: Rich + ?Sized> Rich for &T {
    fn bundle(&self) -> Bundle {
        (**self).bundle()
    }

    fn prepare(&self) {
        (**self).prepare();
    }

    fn failure(&self) -> Option<(String, String)> {
        (**self).failure()
    }
}

impl<T: Rich + ?Sized> Rich for &mut T {
    fn bundle(&self) -> Bundle {
        (**self).bundle()
    }

    fn prepare(&self) {
        (**self).prepare();
    }

    fn failure(&self) -> Option<(String, String)> {
        (**self).failure()
    }
}

impl<T: Rich + ?Sized> Rich for Box<T> {
    fn bundle(&self) -> Bundle {
        (**self).bundle()
    }

    fn prepare(&self) {
        (**self).prepare();
    }

    fn failure(&self) -> Option<(String, String)> {
        (**self).failure()
    }
}

impl<T: Rich + ?Sized> Rich for std::sync::Arc<T> {
    fn bundle(&self) -> Bundle {
        (**self).bundle()
    }

    fn prepare(&self) {
        (**self).prepare();
    }

    fn failure(&self) -> Option<(String, String)> {
        (**self).failure()
    }
}

/// The value, or `None`.
impl<T: Rich> Rich for Option<T> {
    fn bundle(&self) -> Bundle {
        self.as_ref().map_or_else(|| text("None"), Rich::bundle)
    }

    fn prepare(&self) {
        if let Some(value) = self {
            value.prepare();
        }
    }

    fn failure(&self) -> Option<(String, String)> {
        self.as_ref().and_then(Rich::failure)
    }
}

/// The value, or the error as Rust writes it: a forgotten `?` still shows the plot.
impl<T: Rich, E: std::fmt::Debug> Rich for Result<T, E> {
    fn bundle(&self) -> Bundle {
        match self {
            Ok(value) => value.bundle(),
            Err(error) => text(format!("Err({error:?})")),
        }
    }

    fn prepare(&self) {
        if let Ok(value) = self {
            value.prepare();
        }
    }

    fn failure(&self) -> Option<(String, String)> {
        match self {
            Ok(value) => value.failure(),
            Err(error) => Some(super::type_names::failure(error)),
        }
    }
}

/// Nothing to see: a cell that ends in `()` shows no output.
impl Rich for () {
    fn bundle(&self) -> Bundle {
        Bundle::new()
    }
}

/// A bundle that holds only this text.
pub fn text(plain: impl Into<String>) -> Bundle {
    Bundle::from([("text/plain".to_owned(), plain.into().into())])
}
