//! Values that a library printed in evcxr's markers, shown richly.
//!
//! `plotly::Plot::evcxr_display` and other crates write `EVCXR_BEGIN_CONTENT`; the host takes such
//! a value out of stdout and hands it here.

use super::{figure, library};
use crate::emit::{self, Bundle, text};
use serde_json::Value;
use std::panic::catch_unwind;

/// Called by the host with a value that stdout carried: its MIME type and its content, in UTF-8.
///
/// # Safety
/// Each pointer must be null or point to as many bytes as the length after it says, which nobody
/// changes during the call.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn ferrolens_prelude_legacy(
    mime: *const u8,
    mime_len: usize,
    content: *const u8,
    content_len: usize,
) {
    // SAFETY: the caller keeps the contract of this function, which is that of `bytes`.
    let (mime, content) = unsafe { (bytes(mime, mime_len), bytes(content, content_len)) };
    let (Some(mime), Some(content)) = (mime, content) else {
        return;
    };
    emit::inside_write(|| {
        let _ = catch_unwind(|| {
            show(
                &String::from_utf8_lossy(mime),
                &String::from_utf8_lossy(content),
            );
        });
    });
}

/// # Safety
/// `start` must be null or point to `len` bytes that stay unchanged for `'a`.
unsafe fn bytes<'a>(start: *const u8, len: usize) -> Option<&'a [u8]> {
    // SAFETY: the pointer is not null and, by the contract, points to `len` unchanging bytes.
    (!start.is_null()).then(|| unsafe { std::slice::from_raw_parts(start, len) })
}

fn show(mime: &str, content: &str) {
    let bundle = bundle(mime, content);
    if mime == figure::MIME {
        library::prepare();
    }
    emit::send_display(bundle, &emit::display_id());
}

fn bundle(mime: &str, content: &str) -> Bundle {
    if mime.contains("json")
        && let Ok(value) = serde_json::from_str::<Value>(content)
    {
        return if mime == figure::MIME {
            figure::bundle(value)
        } else {
            Bundle::from([(mime.to_owned(), value)])
        };
    }
    if mime == "text/plain" {
        return text(content);
    }
    Bundle::from([(mime.to_owned(), content.into())])
}

#[cfg(test)]
mod tests {
    use super::*;
    use ferrolens_frames::Frame;

    fn legacy(mime: &str, content: &str) -> Bundle {
        let ((), sent) = emit::fake::with_host(|| {
            // SAFETY: pointer and length are those of slices that live through the call.
            unsafe {
                ferrolens_prelude_legacy(
                    mime.as_ptr(),
                    mime.len(),
                    content.as_ptr(),
                    content.len(),
                );
            }
        });
        match sent.frames.as_slice() {
            [Frame::Display { data, .. }] => data.clone(),
            other => panic!("one display was expected: {other:?}"),
        }
    }

    #[test]
    fn a_plot_gains_its_static_picture() {
        let data = legacy(
            "application/vnd.plotly.v1+json",
            r#"{"data":[{"type":"bar","x":["a"],"y":[1]}],"layout":{}}"#,
        );
        assert!(
            data["image/svg+xml"]
                .as_str()
                .is_some_and(|svg| svg.starts_with("<svg"))
        );
        assert_eq!(
            data["application/vnd.plotly.v1+json"]["data"][0]["type"],
            "bar"
        );
    }

    #[test]
    fn anything_else_passes_as_it_is() {
        assert_eq!(legacy("text/html", "<b>x</b>")["text/html"], "<b>x</b>");
        assert_eq!(legacy("application/json", "[1]")["application/json"][0], 1);
        assert_eq!(
            legacy("application/json", "not json")["application/json"],
            "not json"
        );
    }

    #[test]
    fn a_null_pointer_does_nothing() {
        let ((), sent) = emit::fake::with_host(|| {
            // SAFETY: null pointers are allowed.
            unsafe { ferrolens_prelude_legacy(std::ptr::null(), 3, std::ptr::null(), 0) };
        });
        assert!(sent.frames.is_empty());
    }
}
