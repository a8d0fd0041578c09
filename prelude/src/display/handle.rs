//! Values shown while the cell runs.

use super::{figure, library};
use crate::emit::{self, Bundle, Rich};

/// Shows a value now, wherever the cell is. Works with a value and with a reference to it.
///
/// ```
/// use ferrolens::display::{Markdown, display};
///
/// let status = display(Markdown("**loading**"));
/// status.update(Markdown("**done**"));
/// ```
pub fn display(value: impl Rich) -> DisplayHandle {
    let handle = DisplayHandle {
        id: emit::display_id(),
    };
    value.prepare();
    emit::send_display(value.bundle(), &handle.id);
    handle
}

/// Clears what the running cell has shown so far: at once, or (`wait`) when something new comes,
/// which does not flicker.
pub fn clear_output(wait: bool) {
    emit::clear(wait);
    library::output_was_cleared();
}

/// A value that was shown and can be replaced where it stands, from this cell or a later one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DisplayHandle {
    id: String,
}

impl DisplayHandle {
    /// Shows another value in the place of the last.
    pub fn update(&self, value: impl Rich) {
        value.prepare();
        let bundle = value.bundle();
        // JupyterLab's renderer leaves a figure of plotly as it is where another one comes; it draws
        // anew in the place of something else.
        if let Some(picture) = figure::picture(&bundle) {
            emit::send_update(picture, &self.id);
        }
        emit::send_update(bundle, &self.id);
    }

    /// The same, but figures are pictures only: for what changes every second.
    pub(super) fn update_picture(&self, value: impl Rich) {
        let bundle = value.bundle();
        emit::send_update(figure::picture(&bundle).unwrap_or(bundle), &self.id);
    }

    /// The name under which the notebook knows this output.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// Nothing to see: the value itself is on the page already.
impl Rich for DisplayHandle {
    fn bundle(&self) -> Bundle {
        Bundle::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::display::Html;
    use crate::emit::Host;
    use ferrolens_frames::Frame;

    #[test]
    // A cell may pass a reference or the value; here it is the reference.
    #[allow(clippy::needless_borrows_for_generic_args)]
    fn a_handle_updates_what_it_showed() {
        let (handle, sent) = crate::emit::fake::with_host(|| {
            assert!(Host::find().is_some());
            let handle = display(&Html("<i>a</i>"));
            handle.update(Html("<i>b</i>".to_owned()));
            handle
        });
        let [
            Frame::Display {
                cell: 7,
                data: first,
                display_id: Some(id),
                ..
            },
            Frame::Update {
                cell: 7,
                data: second,
                display_id,
                ..
            },
        ] = sent.frames.as_slice()
        else {
            panic!("a display and its update were expected: {sent:?}");
        };
        assert_eq!((id.as_str(), display_id), (handle.id(), id));
        assert_eq!(
            (&first["text/html"], &second["text/plain"]),
            (&"<i>a</i>".into(), &"b".into())
        );
        assert_ne!(emit::display_id(), emit::display_id());
    }

    #[test]
    fn an_empty_bundle_sends_nothing() {
        let (_, sent) = crate::emit::fake::with_host(|| display(()));
        assert!(sent.frames.is_empty());
    }

    #[test]
    fn clear_output_is_a_frame() {
        let _turn = library::tests::TURN.lock();
        let ((), sent) = crate::emit::fake::with_host(|| clear_output(true));
        assert_eq!(
            sent.frames,
            [Frame::Clear {
                cell: 7,
                wait: true
            }]
        );
    }
}
