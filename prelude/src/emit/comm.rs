//! Comms: channels to what a front end draws itself, such as widgets.
//!
//! Whoever opens one listens on it: what a front end does arrives between cells, on the thread that
//! runs cells. Without a host there is nobody at the other end, and nothing is opened.

use super::failure::Failure;
use super::{Host, panics};
use ferrolens_frames::{Bundle, Frame};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard};

/// The version of the protocol of widgets that the messages follow.
const PROTOCOL: &str = "2.1.0";

/// The state of a widget, by keys.
pub(crate) type State = Map<String, Value>;

/// Hears what front ends do on a comm.
pub(crate) trait Listener: Send + Sync {
    /// A front end sent this.
    fn message(&self, data: &Value);

    /// A front end closed the comm.
    fn closed(&self);
}

/// What is displayed stays, so it goes on answering: the registry owns its listeners.
static LISTENERS: Mutex<BTreeMap<String, Arc<dyn Listener>>> = Mutex::new(BTreeMap::new());

fn listeners() -> MutexGuard<'static, BTreeMap<String, Arc<dyn Listener>>> {
    LISTENERS.lock().unwrap_or_else(|bad| bad.into_inner())
}

/// Which model and view of the front end's libraries a widget is: the six keys of its identity.
pub(crate) fn identity(library: &str, model: &str, view: &str) -> State {
    let (module, version) = match library {
        "output" => ("@jupyter-widgets/output", "1.0.0"),
        library => (
            match library {
                "base" => "@jupyter-widgets/base",
                _ => "@jupyter-widgets/controls",
            },
            "2.0.0",
        ),
    };
    // The views of styles and layouts are the base library's.
    let view_module = match view {
        "StyleView" | "LayoutView" => "@jupyter-widgets/base",
        _ => module,
    };
    [
        ("_model_module", module),
        ("_model_module_version", version),
        ("_model_name", model),
        ("_view_module", view_module),
        ("_view_module_version", version),
        ("_view_name", view),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value.into()))
    .collect()
}

/// How one widget names another one in its state.
pub(crate) fn reference(id: &str) -> Value {
    format!("IPY_MODEL_{id}").into()
}

/// The representation that makes a front end draw the widget.
pub(crate) fn view(id: &str) -> (String, Value) {
    (
        "application/vnd.jupyter.widget-view+json".to_owned(),
        json!({"version_major": 2, "version_minor": 0, "model_id": id}),
    )
}

/// Opens the comm of a widget in this state.
pub(crate) fn open(id: &str, state: &State) {
    if let Some(host) = Host::find() {
        host.send(&Frame::CommOpen {
            cell: host.cell(),
            comm: id.to_owned(),
            target: "jupyter.widget".to_owned(),
            data: json!({"state": state, "buffer_paths": []}),
            metadata: Bundle::from([("version".to_owned(), PROTOCOL.into())]),
        });
    }
}

/// From here on what front ends do on the comm is told to `listener`.
pub(crate) fn listen(id: &str, listener: Arc<dyn Listener>) {
    listeners().insert(id.to_owned(), listener);
}

/// Sends keys of the state that have changed.
pub(crate) fn update(id: &str, state: &State) {
    if let Some(host) = Host::find() {
        host.send(&Frame::CommMessage {
            cell: host.cell(),
            comm: id.to_owned(),
            data: json!({"method": "update", "state": state, "buffer_paths": []}),
        });
    }
}

/// Closes the comm: front ends take what it drew off the page.
pub(crate) fn close(id: &str) {
    let listener = listeners().remove(id);
    drop(listener);
    if let Some(host) = Host::find() {
        host.send(&Frame::CommClose {
            cell: host.cell(),
            comm: id.to_owned(),
        });
    }
}

/// What the calling thread's cell puts out belongs to the output widget behind a comm, until this goes.
pub(crate) struct Capture(());

impl Capture {
    /// Begins. What the widget shows stays until there is something new, or nothing at the end.
    pub(crate) fn into(comm: &str) -> Self {
        Self::send(Some(comm.to_owned()));
        Self(())
    }

    fn send(comm: Option<String>) {
        if let Some(host) = Host::find() {
            let cell = host.cell();
            host.send(&Frame::Capture { cell, comm });
        }
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        Self::send(None);
    }
}

/// Runs a callback. A panic, or an interrupt, ends the callback alone, and is shown where its output
/// is; the answer is then its name and message.
pub(crate) fn run<T>(callback: impl FnOnce() -> T) -> Result<T, (String, String)> {
    catch_unwind(AssertUnwindSafe(callback)).map_err(|_| {
        let Failure { name, value, .. } =
            panics::take("the callback was unwound without a message");
        caught(&name, &value);
        (name, value)
    })
}

/// Shows an error where the output is, without failing the cell.
pub(crate) fn caught(name: &str, value: &str) {
    match Host::find() {
        Some(host) => host.send(&Frame::Caught {
            cell: host.cell(),
            name: name.to_owned(),
            value: value.to_owned(),
        }),
        None => {
            use std::io::Write as _;
            let _ = std::io::stderr().write_all(format!("{name}: {value}\n").as_bytes());
        }
    }
}

/// A front end's message for a comm; no data at all says that it closed the comm. Comms that nobody
/// listens on are of another process, or were closed.
pub(crate) fn deliver(comm: &str, data: &str) {
    let listener = listeners().get(comm).cloned();
    let Some(listener) = listener else { return };
    if data.is_empty() {
        listeners().remove(comm);
        listener.closed();
    } else if let Ok(data) = serde_json::from_str::<Value>(data) {
        let _ = run(|| listener.message(&data));
    }
}

/// Called by the host on the thread that runs cells, between two cells.
///
/// # Safety
/// `comm` and `data` must point to as many readable bytes as their lengths say, or be null.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ferrolens_prelude_event(
    comm: *const u8,
    comm_len: usize,
    data: *const u8,
    data_len: usize,
) {
    let text = |start: *const u8, len: usize| {
        if start.is_null() || len == 0 {
            return String::new();
        }
        // SAFETY: not null, and the caller vouches for the length.
        let bytes = unsafe { std::slice::from_raw_parts(start, len) };
        String::from_utf8_lossy(bytes).into_owned()
    };
    let (comm, data) = (text(comm, comm_len), text(data, data_len));
    let _ = catch_unwind(|| deliver(&comm, &data));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emit::fake;

    struct Loud;

    impl Listener for Loud {
        fn message(&self, data: &Value) {
            panic!("heard {data}");
        }

        fn closed(&self) {}
    }

    #[test]
    fn an_identity_is_six_keys() {
        let style = identity("controls", "SliderStyleModel", "StyleView");
        assert_eq!(style.len(), 6);
        assert_eq!(style["_view_module"], "@jupyter-widgets/base");
        assert_eq!(style["_model_module"], "@jupyter-widgets/controls");
        let output = identity("output", "OutputModel", "OutputView");
        assert_eq!(output["_model_module_version"], "1.0.0");
        assert_eq!(output["_view_module"], "@jupyter-widgets/output");
    }

    #[test]
    fn a_callback_that_panics_is_an_error_in_place_and_unknown_comms_are_nothing() {
        listen("comm-test-loud", Arc::new(Loud));
        let ((), sent) = fake::with_host(|| {
            deliver("comm-test-unknown", "{}");
            deliver("comm-test-loud", "no JSON");
            deliver("comm-test-loud", "{}");
            deliver("comm-test-loud", "");
            deliver("comm-test-loud", "{}");
        });
        let [Frame::Caught { name, value, .. }] = sent.frames.as_slice() else {
            panic!("one error was expected: {sent:?}");
        };
        assert_eq!(name, "panic");
        assert!(!value.is_empty());
        // SAFETY: null pointers are allowed.
        unsafe { ferrolens_prelude_event(std::ptr::null(), 0, std::ptr::null(), 5) };
    }
}
