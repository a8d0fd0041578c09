//! The plotting library itself, in the notebook: once, and only where it is wanted.

use crate::emit::{self, Bundle, Host, text};
use std::sync::Mutex;

/// Where this variable is `1`, the library goes into the notebook before the first plot. For
/// notebooks that run headless and become a page: `nbconvert --to html` then needs no network.
const OFFLINE_ENV: &str = "FERROLENS_OFFLINE_HTML";

/// The cell whose output holds the library.
static HELD_BY: Mutex<Option<u64>> = Mutex::new(None);

/// Puts plotly.js (4.7 MB) into this notebook, for pages exported from it and for front ends
/// without a plotly renderer. Every plot after it then also carries a script that uses it.
///
/// JupyterLab with the `plotly` Python package, and VS Code, draw plots without it.
pub fn init_plotly() {
    set_holder(Some(cell()));
    emit::send_display(bundle(), &emit::display_id());
}

/// Called before a plot is sent.
pub(super) fn prepare() {
    if !is_there() && std::env::var_os(OFFLINE_ENV).is_some_and(|value| value == "1") {
        init_plotly();
    }
}

/// Whether the notebook holds the library, as far as this process knows.
pub(super) fn is_there() -> bool {
    HELD_BY.lock().is_ok_and(|holder| holder.is_some())
}

/// The library is gone where it stood in the output that was cleared.
pub(super) fn output_was_cleared() {
    if let Ok(mut holder) = HELD_BY.lock()
        && *holder == Some(cell())
    {
        *holder = None;
    }
}

fn set_holder(cell: Option<u64>) {
    if let Ok(mut holder) = HELD_BY.lock() {
        *holder = cell;
    }
}

fn cell() -> u64 {
    Host::find().map_or(0, |host| host.cell())
}

fn bundle() -> Bundle {
    let mut bundle = text("[plotly.js, for the plots below]");
    bundle.insert("text/html".to_owned(), script().into());
    bundle
}

/// The library's own script element. The source that the crate offers goes on with MathJax, which
/// pages have already or do not need.
fn script() -> String {
    let mut sources = plotly::Plot::offline_js_sources();
    if let Some(end) = sources.find("</script>") {
        sources.truncate(end + "</script>".len());
    }
    sources
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use ferrolens_frames::Frame;

    /// The library's state is one for the process: tests that look at it take turns.
    pub(in crate::display) static TURN: Mutex<()> = Mutex::new(());

    #[test]
    fn the_library_comes_alone_and_goes_with_its_output() {
        let _turn = TURN.lock();
        let ((), sent) = emit::fake::with_host(init_plotly);
        let [Frame::Display { data, .. }] = sent.frames.as_slice() else {
            panic!("one display was expected: {sent:?}");
        };
        let html = data["text/html"].as_str().expect("html");
        assert!(html.starts_with("<script") && html.ends_with("</script>"));
        assert_eq!(html.matches("</script>").count(), 1);
        assert!(html.contains("plotly.js v3") && html.len() < 5_000_000);
        assert!(is_there());
        let ((), _) = emit::fake::with_host(output_was_cleared);
        assert!(!is_there());
    }
}
