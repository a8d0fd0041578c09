//! A closure that runs again whenever a control is moved.

use super::output::{Output, output, show};
use super::shown::{Showing, Shown};
use super::widget::{Widget, lock};
use super::{Control, vbox};
use crate::display::escape;
use crate::emit::comm::run;
use crate::emit::{Bundle, Host, Keepable, Rich, display_id, send_display, text};
use std::fmt;
use std::sync::{Arc, Mutex};

/// Runs `closure` with the values of the controls, shows what it returns and prints below them, and does
/// so again whenever the reader moves one: the output is replaced in place. It runs once at once.
///
/// ```
/// use ferrolens::prelude::*;
///
/// # let model = HookedTransformer::from_pretrained("stories-2l")?;
/// // The closure owns what it uses. A clone of a model shares its weights.
/// let inside = model.clone();
/// interact(
///     move |prompt: &'static str, layer: usize| -> Result<Tensor> {
///         let (_, cache) = inside.run_with_cache(prompt, ())?;
///         cache.get(format!("blocks.{layer}.attn.hook_pattern"))
///     },
///     (
///         selection_slider(["Once upon a time", "The cat sat"]).description("prompt"),
///         int_slider(0..=model.config().n_layers - 1).description("layer"),
///     ),
/// );
/// # Ok::<(), ferrolens::Error>(())
/// ```
///
/// There may be one control to six; one alone may stand without a tuple. An `Err` and a panic are shown as
/// errors in the place of the output, and the controls go on working. The stop button ends a run that
/// takes too long; `.continuous_update(false)` makes a slider wait until it is let go. A closure that
/// moves its own controls is not run again for that.
pub fn interact<F, C: Interactive<F>>(closure: F, controls: C) -> Interact {
    controls.start(closure)
}

/// Controls for which a closure can be run; see [`interact`].
pub trait Interactive<F> {
    #[doc(hidden)]
    fn start(self, closure: F) -> Interact;
}

macro_rules! tuples {
    ($($control:ident $field:tt),+) => {
        impl<$($control: Control,)+ F, R> Interactive<F> for ($($control,)+)
        where
            F: FnMut($($control::Value),+) -> R + Send + 'static,
            R: Shown,
        {
            fn start(self, mut closure: F) -> Interact {
                let widgets = vec![$(self.$field.widget()),+];
                let values = ($(self.$field.downgrade(),)+);
                Interact::start(widgets, move || {
                    let ($(Some($control),)+) = ($(values.$field(),)+) else {
                        return Showing::Value(Bundle::new());
                    };
                    closure($($control.value()),+).showing()
                })
            }
        }
    };
}
impl<A: Control, F, R> Interactive<F> for A
where
    F: FnMut(A::Value) -> R + Send + 'static,
    R: Shown,
{
    fn start(self, closure: F) -> Interact {
        (self,).start(closure)
    }
}

#[allow(non_snake_case)]
mod arities {
    use super::*;
    tuples!(A 0);
    tuples!(A 0, B 1);
    tuples!(A 0, B 1, C 2);
    tuples!(A 0, B 1, C 2, D 3);
    tuples!(A 0, B 1, C 2, D 3, E 4);
    tuples!(A 0, B 1, C 2, D 3, E 4, G 5);
}

/// Controls with the output of a closure below them; see [`interact`]. It was shown where it was made;
/// as the last expression of a later cell it shows again.
#[derive(Clone)]
pub struct Interact {
    widget: Widget,
    controls: Vec<Widget>,
    last: Arc<Mutex<Showing>>,
    /// The cell that shows it.
    shown_by: u64,
}

impl Interact {
    fn start(controls: Vec<Widget>, mut closure: impl FnMut() -> Showing + Send + 'static) -> Self {
        align(&controls);
        let place = output();
        let children = controls.iter().cloned().chain([Widget::from(&place)]);
        let this = Self {
            widget: vbox(children).into(),
            controls,
            last: Arc::new(Mutex::new(Showing::Value(Bundle::new()))),
            shown_by: Host::find().map_or(0, |host| host.cell()),
        };
        let run_once = Arc::new(Mutex::new(move |place: &Output| {
            run_once(&mut closure, place)
        }));
        this.widget.open();
        let first = (lock(&run_once))(&place);
        *lock(&this.last) = first;
        for control in &this.controls {
            let (run_once, place, last) = (run_once.clone(), place.clone(), this.last.clone());
            control.when_moved(move || {
                let Ok(mut run_once) = run_once.try_lock() else {
                    return;
                };
                let showing = run_once(&place);
                *lock(&last) = showing;
            });
        }
        send_display(this.whole(), &display_id());
        this
    }

    /// Takes it off the page, and forgets the closure with all that it owns.
    pub fn close(&self) {
        self.widget.close();
    }

    fn whole(&self) -> Bundle {
        let mut bundle = text(self.to_string());
        if Host::find().is_some() {
            let last = lock(&self.last).clone();
            let output = match &last {
                Showing::Value(bundle) => as_html(bundle),
                Showing::Failed { name, value } => {
                    format!("<pre>{}</pre>", escape::html(&format!("{name}: {value}")))
                }
            };
            let controls: String = self.controls.iter().map(Widget::html).collect();
            bundle.insert(
                "text/html".to_owned(),
                format!("<div>{controls}{output}</div>").into(),
            );
            bundle.extend([crate::emit::comm::view(self.widget.id())]);
        }
        bundle
    }
}

/// The descriptions of controls that stand one below the other take the same width.
fn align(controls: &[Widget]) {
    let longest = controls
        .iter()
        .map(|control| control.description().chars().count())
        .max();
    if let Some(longest) = longest.filter(|longest| *longest > super::widget::NARROW) {
        for control in controls {
            control.describe_within(&format!("{}ch", longest + 1));
        }
    }
}

/// Runs the closure, and shows in `place` what it prints and what it returns. Without a front end the
/// value stands in the text form alone.
fn run_once(closure: &mut impl FnMut() -> Showing, place: &Output) -> Showing {
    if Host::find().is_none() {
        return closure();
    }
    place.capture(|| match run(closure) {
        Ok(showing) => {
            show(&showing);
            showing
        }
        Err((name, value)) => Showing::Failed { name, value },
    })
}

/// The representation of a value that needs no script, as HTML.
fn as_html(bundle: &Bundle) -> String {
    let content = |mime: &str| bundle.get(mime).and_then(|content| content.as_str());
    if let Some(html) = content("text/html") {
        return html.to_owned();
    }
    if let Some(svg) = content("image/svg+xml") {
        return svg.to_owned();
    }
    if let Some(png) = content("image/png") {
        return format!("<img src=\"data:image/png;base64,{png}\">");
    }
    content("text/plain").map_or_else(String::new, |plain| {
        format!("<pre>{}</pre>", escape::html(plain))
    })
}

impl fmt::Display for Interact {
    /// The controls, and the current output below them.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for control in &self.controls {
            writeln!(out, "{}", control.plain())?;
        }
        match &*lock(&self.last) {
            Showing::Value(bundle) => {
                let plain = bundle.get("text/plain").and_then(|plain| plain.as_str());
                out.write_str(plain.unwrap_or(""))
            }
            Showing::Failed { name, value } => write!(out, "{name}: {value}"),
        }
    }
}

impl fmt::Debug for Interact {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl Rich for Interact {
    fn bundle(&self) -> Bundle {
        let here = Host::find().map_or(0, |host| host.cell());
        if here == self.shown_by {
            return Bundle::new();
        }
        self.whole()
    }

    fn prepare(&self) {
        self.widget.open();
    }
}

impl Keepable for Interact {}

impl From<Interact> for Widget {
    fn from(it: Interact) -> Self {
        it.widget
    }
}
