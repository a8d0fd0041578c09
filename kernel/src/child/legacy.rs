//! Values that a crate displays by printing evcxr's markers, as plotly's own `evcxr_display` does:
//! `EVCXR_BEGIN_CONTENT <mime>`, the content, `EVCXR_END_CONTENT`, a line each.
//!
//! Text is only ever delayed by this, never lost: what looks like a display and does not end with
//! the cell is printed as it came.

use super::{door, runtime};
use ferrolens_frames::StreamName;

const BEGIN: &[u8] = b"EVCXR_BEGIN_CONTENT ";
const END: &[u8] = b"\nEVCXR_END_CONTENT\n";

/// Text from a beginning marker on, until its end arrives.
#[derive(Default)]
pub(super) struct Legacy {
    held: Vec<u8>,
}

impl Legacy {
    /// Takes text that belongs to a display; false when there is none in it.
    pub(super) fn take(&mut self, text: &[u8]) -> bool {
        if self.held.is_empty() {
            let Some(start) = find(text, BEGIN) else {
                return false;
            };
            if start > 0 {
                door::say(StreamName::Stdout, &text[..start]);
            }
            self.held.extend_from_slice(&text[start..]);
        } else {
            self.held.extend_from_slice(text);
        }
        while let Some(end) = find(&self.held, END) {
            let rest = self.held.split_off(end + END.len());
            let display = std::mem::replace(&mut self.held, rest);
            show(&display[BEGIN.len()..end]);
            match find(&self.held, BEGIN) {
                Some(0) => {}
                Some(start) => {
                    let rest = self.held.split_off(start);
                    door::say(StreamName::Stdout, &std::mem::replace(&mut self.held, rest));
                }
                None if self.held.is_empty() => {}
                None => door::say(StreamName::Stdout, &std::mem::take(&mut self.held)),
            }
        }
        true
    }

    /// Prints what began like a display and did not end as one.
    pub(super) fn end_of_cell(&mut self) {
        if !self.held.is_empty() {
            door::say(StreamName::Stdout, &std::mem::take(&mut self.held));
        }
    }
}

/// `display` is `<mime>\n<content>`.
fn show(display: &[u8]) {
    let display = String::from_utf8_lossy(display);
    let (mime, content) = display.split_once('\n').unwrap_or((&display, ""));
    runtime::show_legacy(mime.trim(), content);
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len()).position(|window| window == what)
}
