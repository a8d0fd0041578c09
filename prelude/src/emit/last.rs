//! The value of a cell's last expression, shown with one compilation.
//!
//! evcxr ends a cell with `(EXPR).evcxr_display();`, and compiles a second time where that fails.
//! The kernel turns it into `(&::ferrolens::emit::Last(&(EXPR))).evcxr_display();`, and method
//! lookup then finds, in this order:
//!
//! 1. [`LastRich`], where the type is [`Rich`];
//! 2. by dereferencing [`Last`], the type's own `evcxr_display(&self)`;
//! 3. [`EvcxrDisplay`], where the type is [`Debug`].
//!
//! [`Last`] must therefore never be `Debug` itself. A type with none of the three is the compile
//! error that it is in evcxr.

use super::{Rich, sending, text};
use std::fmt::Debug;
use std::ops::Deref;

/// A borrowed last expression; see the source of this module for how it is looked up.
pub struct Last<'a, T: ?Sized>(pub &'a T);

/// The last expression of a cell where its type is [`Rich`].
pub trait LastRich {
    /// Sends the value as the cell's result.
    fn evcxr_display(&self);
}

impl<T: Rich + ?Sized> LastRich for Last<'_, T> {
    fn evcxr_display(&self) {
        self.0.prepare();
        sending::send_value(self.0.bundle());
    }
}

/// Makes a [`Last`] of any value; the kernel writes the call into the engine's own text, where only
/// the end of the expression can be told apart from a cell's text.
pub trait IntoLast {
    /// The value as the last one of its cell.
    fn ferrolens_last(&self) -> Last<'_, Self>;
}

impl<T: ?Sized> IntoLast for T {
    fn ferrolens_last(&self) -> Last<'_, T> {
        Last(self)
    }
}

impl<T: ?Sized> Deref for Last<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0
    }
}

/// The last expression of a cell where its type is only [`Debug`]: shown as `{:?}`.
pub trait EvcxrDisplay {
    /// Sends the value as the cell's result.
    fn evcxr_display(&self);
}

impl<T: Debug + ?Sized> EvcxrDisplay for T {
    fn evcxr_display(&self) {
        // Without the kernel's rewrite a cell that ends in a loop or in `println!` comes here.
        if std::any::type_name::<T>() != "()" {
            show_debug(&self);
        }
    }
}

/// Every cell is compiled with what calls this.
#[inline(never)]
fn show_debug(value: &dyn Debug) {
    sending::send_value(text(format!("{value:?}")));
}

#[cfg(test)]
// The text that the engine generates is tested as it is.
#[allow(clippy::double_parens, clippy::needless_borrow)]
mod tests {
    use super::*;
    use crate::display::Html;
    use crate::emit::host::fake;
    use candle_core::{Device, Tensor};
    use ferrolens_frames::Frame;

    #[derive(Debug)]
    struct OnlyDebug;

    #[derive(Debug)]
    struct WithInherent;

    impl WithInherent {
        fn evcxr_display(&self) {
            sending::send_value(text("inherent"));
        }
    }

    /// What the kernel makes of a last expression; the answer is the value's text.
    macro_rules! last {
        ($value:expr) => {{
            let ((), sent) = fake::with_host(|| (&Last(&($value))).evcxr_display());
            shown(&sent)
        }};
    }

    fn shown(sent: &fake::Sent) -> Option<String> {
        match sent.frames.as_slice() {
            [] => None,
            [Frame::Value { data, .. }] => {
                Some(data["text/plain"].as_str().expect("text").to_owned())
            }
            other => panic!("one value was expected: {other:?}"),
        }
    }

    #[test]
    fn rich_comes_before_inherent_before_debug() {
        assert_eq!(last!(OnlyDebug).as_deref(), Some("OnlyDebug"));
        assert_eq!(last!(WithInherent).as_deref(), Some("inherent"));
        assert_eq!(last!(&WithInherent).as_deref(), Some("inherent"));
        assert_eq!(last!(Html("<b>x</b>")).as_deref(), Some("x"));
        let mut plot = plotly::Plot::new();
        plot.add_trace(plotly::Scatter::new(vec![1], vec![2]));
        let ((), sent) = fake::with_host(|| (&Last(&(plot))).evcxr_display());
        let [Frame::Value { data, .. }] = sent.frames.as_slice() else {
            panic!("Plot's own evcxr_display prints instead: {sent:?}")
        };
        assert!(data.contains_key("application/vnd.plotly.v1+json"));
    }

    #[test]
    fn tensors_and_frames_are_rich_behind_references_too() {
        let tensor = Tensor::new(&[1.0_f32, 2.5], &Device::Cpu).expect("a tensor");
        let text = last!(tensor).expect("a value");
        assert!(text.contains("[2] f32"), "{text}");
        assert_eq!(last!(&tensor).as_deref(), Some(text.as_str()));
        assert_eq!(last!(Some(tensor.clone())).as_deref(), Some(text.as_str()));
        assert_eq!(
            last!(vec![tensor]).as_deref(),
            Some("[Tensor[1, 2.5; f32]]")
        );
        let table = polars::df!("x" => [1, 2]).expect("a table");
        assert!(last!(table).expect("a value").contains("shape: (2, 1)"));
    }

    #[test]
    fn everyday_values() {
        assert_eq!(last!(" Mary").as_deref(), Some("\" Mary\""));
        assert_eq!(last!(String::from("a\nb")).as_deref(), Some("a\nb"));
        assert_eq!(last!(5).as_deref(), Some("5"));
        assert_eq!(last!(vec![1, 2]).as_deref(), Some("[1, 2]"));
        assert_eq!(last!([1, 2][..]).as_deref(), Some("[1, 2]"));
        assert_eq!(last!(Ok::<i32, String>(1)).as_deref(), Some("Ok(1)"));
        assert_eq!(last!(None::<i32>).as_deref(), Some("None"));
        // A plot is not `Debug`, and a forgotten `?` still has to compile.
        let plot = || Ok::<_, String>(plotly::Plot::new());
        assert_eq!(last!(plot()).as_deref(), Some("Plot of 0 traces"));
        let failed = crate::Error::new("no such head");
        assert_eq!(
            last!(Err::<String, _>(failed)).as_deref(),
            Some("Err(no such head)")
        );
        assert_eq!(last!(()), None);
    }

    #[test]
    fn the_text_that_evcxr_generates_compiles_without_the_rewrite() {
        let ((), sent) = fake::with_host(|| (OnlyDebug).evcxr_display());
        assert_eq!(shown(&sent).as_deref(), Some("OnlyDebug"));
        let ((), sent) = fake::with_host(|| (WithInherent).evcxr_display());
        assert_eq!(shown(&sent).as_deref(), Some("inherent"));
        let ((), sent) = fake::with_host(|| (()).evcxr_display());
        assert_eq!(shown(&sent), None);
    }
}
