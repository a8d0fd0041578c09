//! What all controls have in common: a value that the reader changes.

use super::Widget;

/// A widget with a value of a Rust type.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no control",
    label = "this is no control",
    note = "make one of it: `int_slider(0..=3)`, `float_slider(0.0..=1.0)`, `dropdown([\"a\", \"b\"])`, `checkbox(true)`, \
            `text_field(\"\")`"
)]
pub trait Control: Clone + Send + 'static {
    /// What is chosen or entered.
    type Value: Clone + PartialEq + Send + 'static;

    /// What is chosen or entered now.
    fn value(&self) -> Self::Value;

    /// Changes the value, here and in the page, and calls who observes it.
    fn set(&self, value: Self::Value);

    /// Calls `changed` with each new value, whether the reader or [`Control::set`] changed it. A callback
    /// that changes the value of its own control is not called for that.
    ///
    /// What it prints goes to the log of the front end: give it an [`Output`](super::Output) to show
    /// something.
    ///
    /// ```
    /// use ferrolens::prelude::*;
    ///
    /// let (layer, name) = (int_slider(0..=3), label(""));
    /// let shown = name.clone();
    /// layer.observe(move |layer| shown.set(format!("blocks.{layer}.hook_resid_pre")));
    /// layer.set(2);
    /// assert_eq!(name.value(), "blocks.2.hook_resid_pre");
    /// ```
    fn observe(&self, changed: impl FnMut(Self::Value) + Send + 'static);

    /// The widget behind the control.
    fn widget(&self) -> Widget;

    /// A control of the same widget, which is there as long as the widget is.
    #[doc(hidden)]
    fn downgrade(&self) -> Box<dyn Fn() -> Option<Self> + Send>;
}

/// Keeps two controls at the same value. `b` takes that of `a` now.
///
/// ```
/// use ferrolens::prelude::*;
///
/// let (a, b) = (int_slider(0..=10).starting_at(3), int_slider(0..=10));
/// link(&a, &b);
/// assert_eq!(b.value(), 3);
/// b.set(7);
/// assert_eq!(a.value(), 7);
/// ```
pub fn link<T, A, B>(a: &A, b: &B)
where
    A: Control<Value = T>,
    B: Control<Value = T>,
{
    b.set(a.value());
    let other = b.downgrade();
    a.observe(move |value| {
        if let Some(other) = other() {
            other.set(value);
        }
    });
    let other = a.downgrade();
    b.observe(move |value| {
        if let Some(other) = other() {
            other.set(value);
        }
    });
}

/// Writes `Control` for a type with a field `widget`, whose state has its value under `$key`.
macro_rules! is_a_control {
    (
        $name:ident $(<$parameter:ident: $bound:path>)?, $key:literal, $value:ty,
        |$own:ident, $json:ident| $read:expr, |$me:ident, $new:ident| $write:expr,
        |$weak:ident| $again:expr
    ) => {
        impl$(<$parameter: $bound>)? $crate::display::widgets::Control for $name$(<$parameter>)? {
            type Value = $value;

            fn value(&self) -> Self::Value {
                let ($own, $json) = (self, self.widget.get($key));
                $read
            }

            fn set(&self, $new: Self::Value) {
                let $me = self;
                if let Some(value) = $write {
                    self.widget.put($key, value);
                }
            }

            fn observe(&self, mut changed: impl FnMut(Self::Value) + Send + 'static) {
                let this = self.downgrade();
                let when = $crate::display::widgets::widget::When::Changed($key);
                self.widget.when(when, move |_| {
                    if let Some(this) = this() {
                        changed(this.value());
                    }
                });
            }

            fn widget(&self) -> $crate::display::widgets::Widget {
                self.widget.clone()
            }

            fn downgrade(&self) -> Box<dyn Fn() -> Option<Self> + Send> {
                let ($weak, widget) = (self.clone(), self.widget.weak());
                let make = $again;
                Box::new(move || widget.upgrade().map(&make))
            }
        }
    };
}

pub(super) use is_a_control;
