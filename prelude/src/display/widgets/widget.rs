//! What all widgets are: a state that a front end draws and changes, and callbacks.

use super::super::escape;
use crate::emit::comm::{self, Listener, State};
use crate::emit::{Bundle, Host, Keepable, display_id, text};
use serde_json::Value;
use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering::SeqCst};
use std::sync::{Arc, Mutex, MutexGuard, Weak};

/// Descriptions of more characters than this get the width that they need.
pub(super) const NARROW: usize = 10;

/// Any widget, e.g. as a child of an [`HBox`](super::HBox). Cheap to clone; all clones are one widget.
#[derive(Clone)]
pub struct Widget(Arc<Inner>);

impl Keepable for Widget {}

/// What tells one kind of widget from another.
pub(super) struct Kind {
    /// What it is called in Python's library.
    pub name: &'static str,
    pub library: &'static str,
    pub view: &'static str,
    /// The keys that its text form shows.
    pub shows: &'static [&'static str],
    /// What a front end's value for a key becomes; `None` where it makes no sense.
    pub accept: fn(&State, &str, &Value) -> Option<Value>,
}

struct Inner {
    id: String,
    kind: &'static Kind,
    state: Mutex<State>,
    children: Mutex<Vec<Widget>>,
    callbacks: Mutex<Vec<Callback>>,
    stage: AtomicU8,
}

const CLOSED: u8 = 0;
const OPEN: u8 = 1;

/// When a callback is called.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// This key of the state has changed.
    Changed(&'static str),
    /// A front end did this, e.g. `click`.
    Done(&'static str),
}

type Call = dyn FnMut(&Value) + Send;

#[derive(Clone)]
struct Callback {
    when: When,
    call: Arc<Mutex<Call>>,
}

impl Widget {
    /// A widget with this state, which no front end has seen.
    pub(super) fn new(kind: &'static Kind, own: Value) -> Self {
        let mut state = comm::identity(kind.library, &format!("{}Model", kind.name), kind.view);
        if let Value::Object(own) = own {
            state.extend(own);
        }
        Self(Arc::new(Inner {
            id: display_id(),
            kind,
            state: Mutex::new(state),
            children: Mutex::default(),
            callbacks: Mutex::default(),
            stage: AtomicU8::new(CLOSED),
        }))
    }

    /// The id under which front ends know it.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.0.id
    }

    /// Takes the widget off the page, with what it contains, and forgets its callbacks and all that they
    /// own. A widget that was displayed goes on answering until then, also when its variable is gone.
    pub fn close(&self) {
        for child in self.children() {
            child.close();
        }
        lock(&self.0.callbacks).clear();
        if self.0.stage.swap(CLOSED, SeqCst) == OPEN {
            comm::close(&self.0.id);
            if self.wants_style() {
                comm::close(&self.style());
            }
        }
    }

    pub(super) fn get(&self, key: &str) -> Value {
        lock(&self.0.state).get(key).cloned().unwrap_or_default()
    }

    /// Changes a key, tells front ends, and calls who waits for that.
    pub(super) fn put(&self, key: &'static str, value: impl Into<Value>) {
        let value = value.into();
        let old = lock(&self.0.state).insert(key.to_owned(), value.clone());
        if old.as_ref() == Some(&value) {
            return;
        }
        if self.is_open() {
            let changed = [(key.to_owned(), value.clone())].into_iter().collect();
            comm::update(&self.0.id, &changed);
        }
        call(&self.0.callbacks, When::Changed(key), &value);
    }

    /// The value that a key takes, which may be the nearest one that makes sense.
    pub(super) fn accepted(&self, key: &str, value: &Value) -> Option<Value> {
        (self.0.kind.accept)(&lock(&self.0.state), key, value)
    }

    pub(super) fn set_children(&self, children: Vec<Self>) {
        let references: Vec<Value> = children.iter().map(|it| comm::reference(it.id())).collect();
        if self.is_open() {
            children.iter().for_each(Self::open);
        }
        *lock(&self.0.children) = children;
        self.put("children", references);
    }

    pub(super) fn children(&self) -> Vec<Self> {
        lock(&self.0.children).clone()
    }

    pub(super) fn when(&self, when: When, call: impl FnMut(&Value) + Send + 'static) {
        let call = Arc::new(Mutex::new(call));
        lock(&self.0.callbacks).push(Callback { when, call });
    }

    /// Calls `moved` when the value of this control has changed.
    pub(super) fn when_moved(&self, mut moved: impl FnMut() + Send + 'static) {
        let key = match self.get("index") {
            Value::Null => "value",
            _ => "index",
        };
        self.when(When::Changed(key), move |_| moved());
    }

    /// A handle that does not keep the widget: callbacks of other widgets hold these, lest two that are
    /// linked keep each other for ever.
    pub(super) fn weak(&self) -> WeakWidget {
        WeakWidget(Arc::downgrade(&self.0))
    }

    pub(super) fn is_open(&self) -> bool {
        self.0.stage.load(SeqCst) == OPEN
    }

    /// Makes front ends know the widget, and what it refers to before it.
    pub(super) fn open(&self) {
        if Host::find().is_none() || self.0.stage.swap(OPEN, SeqCst) == OPEN {
            return;
        }
        self.children().iter().for_each(Self::open);
        let mut state = lock(&self.0.state).clone();
        if self.wants_style() {
            let width = state.remove("description_width");
            let mut style = comm::identity("controls", "DescriptionStyleModel", "StyleView");
            style.insert(
                "description_width".to_owned(),
                width.unwrap_or_else(|| "initial".into()),
            );
            comm::open(&self.style(), &style);
            state.insert("style".to_owned(), comm::reference(&self.style()));
        }
        comm::open(&self.0.id, &state);
        comm::listen(&self.0.id, self.0.clone());
    }

    /// The width of the description, as CSS has it; before the widget is shown.
    pub(super) fn describe_within(&self, width: &str) {
        self.put("description_width", width);
    }

    pub(super) fn description(&self) -> String {
        self.get("description").as_str().unwrap_or("").to_owned()
    }

    fn wants_style(&self) -> bool {
        !self.get("description_width").is_null() || self.description().chars().count() > NARROW
    }

    fn style(&self) -> String {
        format!("{}-style", self.0.id)
    }

    /// `IntSlider(value=3, min=0, max=10)`
    pub(super) fn plain(&self) -> String {
        let children = self.children();
        let name = self.0.kind.name;
        if !children.is_empty() {
            let children: Vec<String> = children.iter().map(Self::plain).collect();
            return children.join("\n");
        }
        let mut parts: Vec<String> = Vec::new();
        for key in self.0.kind.shows {
            parts.push(match *key {
                "options" => {
                    let labels = self.labels();
                    let chosen = labels.get(index(&self.get("index"))).cloned();
                    format!(
                        "{}, options=[{}]",
                        chosen.unwrap_or_default(),
                        labels.join(", ")
                    )
                }
                key => match self.get(key) {
                    Value::String(text) => format!("{key}={text:?}"),
                    other => format!("{key}={other}"),
                },
            });
        }
        let description = self.description();
        if !description.is_empty() && !self.0.kind.shows.contains(&"description") {
            parts.push(format!("description={description:?}"));
        }
        format!("{name}({})", parts.join(", "))
    }

    pub(super) fn labels(&self) -> Vec<String> {
        let labels = self.get("_options_labels");
        let labels = labels.as_array().into_iter().flatten();
        labels
            .map(|it| it.as_str().unwrap_or("").to_owned())
            .collect()
    }

    /// What it looks like where nothing can be moved.
    pub(super) fn html(&self) -> String {
        let children = self.children();
        if !children.is_empty() {
            let children: String = children.iter().map(Self::html).collect();
            return format!("<div>{children}</div>");
        }
        let value = match (self.0.kind.name, self.get("value")) {
            ("HTML", Value::String(html)) => return format!("<div>{html}</div>"),
            (_, Value::String(text)) => text,
            (_, Value::Null) => {
                let labels = self.labels();
                labels
                    .get(index(&self.get("index")))
                    .cloned()
                    .unwrap_or_default()
            }
            (_, other) => other.to_string(),
        };
        format!(
            "<div><b>{}</b> {}</div>",
            escape::html(&self.description()),
            escape::html(&value)
        )
    }

    pub(super) fn bundle(&self) -> Bundle {
        let mut bundle = text(self.plain());
        if Host::find().is_some() {
            bundle.insert("text/html".to_owned(), self.html().into());
            bundle.extend([comm::view(&self.0.id)]);
        }
        bundle
    }
}

/// A number that stands for a place in a list.
pub(super) fn index(value: &Value) -> usize {
    let index = value.as_u64().and_then(|index| usize::try_from(index).ok());
    index.unwrap_or(usize::MAX)
}

/// See [`Widget::weak`].
#[derive(Clone)]
pub(super) struct WeakWidget(Weak<Inner>);

impl WeakWidget {
    pub(super) fn upgrade(&self) -> Option<Widget> {
        self.0.upgrade().map(Widget)
    }
}

impl Listener for Inner {
    fn message(&self, data: &Value) {
        match data["method"].as_str() {
            Some("update") => self.changed(&data["state"]),
            Some("custom") => {
                let content = &data["content"];
                match content["event"].as_str() {
                    Some("click") => call(&self.callbacks, When::Done("click"), content),
                    Some("submit") => call(&self.callbacks, When::Done("submit"), content),
                    _ => {}
                }
            }
            _ => {}
        }
    }

    fn closed(&self) {
        self.stage.store(CLOSED, SeqCst);
    }
}

impl Inner {
    /// Takes over what a front end has changed. What makes no sense here is put right there.
    fn changed(&self, state: &Value) {
        let mut news = Vec::new();
        let mut refused = State::new();
        {
            let mut own = lock(&self.state);
            for (key, value) in state.as_object().into_iter().flatten() {
                let Some(old) = own.get(key).cloned().filter(|_| !key.starts_with('_')) else {
                    continue;
                };
                let new = (self.kind.accept)(&own, key, value).unwrap_or_else(|| old.clone());
                if new != *value {
                    refused.insert(key.clone(), new.clone());
                }
                if new != old {
                    own.insert(key.clone(), new.clone());
                    news.push((key.clone(), new));
                }
            }
        }
        if !refused.is_empty() {
            comm::update(&self.id, &refused);
        }
        for (key, value) in news {
            let waiting = lock(&self.callbacks)
                .iter()
                .map(|it| it.when)
                .find(|when| matches!(when, When::Changed(changed) if *changed == key));
            if let Some(when) = waiting {
                call(&self.callbacks, when, &value);
            }
        }
    }
}

/// Calls the callbacks that wait for this. One that is being called does not call itself.
fn call(callbacks: &Mutex<Vec<Callback>>, when: When, value: &Value) {
    let callbacks = lock(callbacks).clone();
    for callback in callbacks.iter().filter(|callback| callback.when == when) {
        let call = match callback.call.try_lock() {
            Ok(call) => Some(call),
            Err(std::sync::TryLockError::Poisoned(bad)) => Some(bad.into_inner()),
            Err(std::sync::TryLockError::WouldBlock) => None,
        };
        if let Some(mut call) = call {
            call(value);
        }
    }
}

/// A callback that panicked held none of these locks, and left what they guard whole.
pub(super) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(|bad| bad.into_inner())
}

impl fmt::Debug for Widget {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.plain())
    }
}

/// What a front end may do to keys that need no care.
pub(super) fn anything(_: &State, _: &str, value: &Value) -> Option<Value> {
    Some(value.clone())
}

/// A text in `value`.
pub(super) fn a_text(_: &State, key: &str, value: &Value) -> Option<Value> {
    (key != "value" || value.is_string()).then(|| value.clone())
}

/// Makes a type with a field `widget` a widget that shows itself.
macro_rules! is_a_widget {
    ($(#[$on:meta])* $name:ident $(<$($parameter:ident $(: $bound:path)?),+>)?) => {
        impl$(<$($parameter $(: $bound)?),+>)? From<$name$(<$($parameter),+>)?>
            for $crate::display::widgets::Widget
        {
            fn from(it: $name$(<$($parameter),+>)?) -> Self {
                it.widget
            }
        }

        impl$(<$($parameter $(: $bound)?),+>)? From<&$name$(<$($parameter),+>)?>
            for $crate::display::widgets::Widget
        {
            fn from(it: &$name$(<$($parameter),+>)?) -> Self {
                it.widget.clone()
            }
        }

        impl$(<$($parameter $(: $bound)?),+>)? $crate::emit::Rich
            for $name$(<$($parameter),+>)?
        {
            fn bundle(&self) -> $crate::emit::Bundle {
                self.widget.bundle()
            }

            fn prepare(&self) {
                self.widget.open();
            }
        }

        impl$(<$($parameter $(: $bound)?),+>)? $crate::emit::Keepable
            for $name$(<$($parameter),+>)?
        {
        }

        impl$(<$($parameter $(: $bound)?),+>)? std::fmt::Debug for $name$(<$($parameter),+>)? {
            fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                out.write_str(&self.widget.plain())
            }
        }
    };
}

/// The builders that widgets with a description share.
macro_rules! has_a_description {
    ($name:ident $(<$($parameter:ident $(: $bound:path)?),+>)?) => {
        impl$(<$($parameter $(: $bound)?),+>)? $name$(<$($parameter),+>)? {
            /// The words beside it.
            #[must_use]
            pub fn description(self, text: impl Into<String>) -> Self {
                self.widget.put("description", text.into());
                self
            }

            /// Whether it only shows, and cannot be changed in the page.
            #[must_use]
            pub fn disabled(self, disabled: bool) -> Self {
                self.widget.put("disabled", disabled);
                self
            }

            /// Takes it off the page and forgets its callbacks.
            pub fn close(&self) {
                self.widget.close();
            }
        }
    };
}

pub(super) use {has_a_description, is_a_widget};
