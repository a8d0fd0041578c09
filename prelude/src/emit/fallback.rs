//! Where a value goes when no host process is there to take it.

use super::{Bundle, sending};
use serde_json::Value;
use std::fmt::Write as _;
use std::io::Write as _;

/// evcxr sets this in the process that runs cells.
const EVCXR_CHILD: &str = "EVCXR_IS_RUNTIME";

/// Whether plain evcxr runs this process.
pub(super) fn is_evcxr() -> bool {
    std::env::var_os(EVCXR_CHILD).is_some()
}

/// Writes the value in evcxr's markers, or its text alone.
pub(super) fn show(data: &Bundle) {
    print(&if is_evcxr() {
        markers(data)
    } else {
        plain(data)
    });
}

/// Writes one line to stdout at once. `println!` would panic where nobody reads any more.
pub(super) fn print_line(line: &str) {
    print(&format!("{line}\n"));
}

fn print(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
    sending::flush_stdout();
}

fn plain(data: &Bundle) -> String {
    match data.get("text/plain") {
        Some(content) => format!("{}\n", content_text(content)),
        None => format!(
            "[{}]\n",
            data.keys().cloned().collect::<Vec<_>>().join(", ")
        ),
    }
}

fn markers(data: &Bundle) -> String {
    let mut out = String::new();
    for (mime, content) in data {
        let content = content_text(content);
        let _ = write!(
            out,
            "EVCXR_BEGIN_CONTENT {mime}\n{content}\nEVCXR_END_CONTENT\n"
        );
    }
    out
}

fn content_text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evcxr_gets_every_representation_and_a_terminal_the_text() {
        let data = Bundle::from([
            ("text/plain".to_owned(), "x".into()),
            ("application/json".to_owned(), serde_json::json!({"a": 1})),
        ]);
        assert_eq!(
            markers(&data),
            "EVCXR_BEGIN_CONTENT application/json\n{\"a\":1}\nEVCXR_END_CONTENT\n\
             EVCXR_BEGIN_CONTENT text/plain\nx\nEVCXR_END_CONTENT\n"
        );
        assert_eq!(plain(&data), "x\n");
        let image = Bundle::from([("image/png".to_owned(), "AAAA".into())]);
        assert_eq!(plain(&image), "[image/png]\n");
    }
}
