//! Content that a cell has made itself, named by its kind.
//!
//! Each is a wrapper round anything that holds text or bytes: `Html("<b>x</b>")`,
//! `Png(std::fs::read("plot.png")?)`. HTML, SVG and JavaScript are shown as they are: escape what
//! comes from elsewhere.

use crate::emit::{Bundle, Rich, text};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// HTML, shown as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Html<T = String>(pub T);

/// Markdown, with formulas between dollar signs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Markdown<T = String>(pub T);

/// LaTeX: a formula between dollar signs, or an environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Latex<T = String>(pub T);

/// A picture in SVG.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Svg<T = String>(pub T);

/// JavaScript, run by front ends that trust the notebook.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Javascript<T = String>(pub T);

/// The bytes of a PNG file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Png<T = Vec<u8>>(pub T);

/// The bytes of a JPEG file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jpeg<T = Vec<u8>>(pub T);

/// A JSON value, which JupyterLab shows as a tree.
#[derive(Debug, Clone, PartialEq)]
pub struct Json(pub Value);

impl<T: AsRef<str>> Rich for Html<T> {
    fn bundle(&self) -> Bundle {
        let source = self.0.as_ref();
        with_text("text/html", source, without_tags(source))
    }
}

impl<T: AsRef<str>> Rich for Markdown<T> {
    fn bundle(&self) -> Bundle {
        let source = self.0.as_ref();
        with_text("text/markdown", source, source.to_owned())
    }
}

impl<T: AsRef<str>> Rich for Latex<T> {
    fn bundle(&self) -> Bundle {
        let source = self.0.as_ref();
        with_text("text/latex", source, source.to_owned())
    }
}

impl<T: AsRef<str>> Rich for Svg<T> {
    fn bundle(&self) -> Bundle {
        with_text("image/svg+xml", self.0.as_ref(), "[SVG picture]".to_owned())
    }
}

impl<T: AsRef<str>> Rich for Javascript<T> {
    fn bundle(&self) -> Bundle {
        with_text(
            "application/javascript",
            self.0.as_ref(),
            "[JavaScript]".to_owned(),
        )
    }
}

impl<T: AsRef<[u8]>> Rich for Png<T> {
    fn bundle(&self) -> Bundle {
        image("image/png", "PNG", self.0.as_ref())
    }
}

impl<T: AsRef<[u8]>> Rich for Jpeg<T> {
    fn bundle(&self) -> Bundle {
        image("image/jpeg", "JPEG", self.0.as_ref())
    }
}

impl Rich for Json {
    fn bundle(&self) -> Bundle {
        self.0.bundle()
    }
}

impl Rich for Value {
    fn bundle(&self) -> Bundle {
        let mut bundle = text(format!("{self:#}"));
        bundle.insert("application/json".to_owned(), self.clone());
        bundle
    }
}

fn with_text(mime: &str, content: &str, plain: String) -> Bundle {
    let mut bundle = text(plain);
    bundle.insert(mime.to_owned(), content.into());
    bundle
}

fn image(mime: &str, kind: &str, bytes: &[u8]) -> Bundle {
    with_text(
        mime,
        &STANDARD.encode(bytes),
        format!("[{kind} picture, {} bytes]", bytes.len()),
    )
}

/// What a terminal shows of HTML: its text. A reading aid, not a parser.
fn without_tags(source: &str) -> String {
    let mut out = String::new();
    let mut rest = source;
    while let Some(open) = rest.find('<') {
        out.push_str(&rest[..open]);
        rest = &rest[open..];
        for hidden in ["script", "style"] {
            if rest[1..].starts_with(hidden) {
                rest = rest
                    .find(&format!("</{hidden}"))
                    .map_or("", |end| &rest[end..]);
            }
        }
        rest = rest.find('>').map_or("", |close| &rest[close + 1..]);
    }
    out.push_str(rest);
    for (entity, character) in [
        ("&lt;", "<"),
        ("&gt;", ">"),
        ("&quot;", "\""),
        ("&#39;", "'"),
        ("&nbsp;", " "),
        ("&amp;", "&"),
    ] {
        out = out.replace(entity, character);
    }
    out.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_mime_type_and_a_text() {
        let bundle = Html("<p title='>'>a &lt; b</p><script>x<y</script>").bundle();
        assert!(
            bundle["text/plain"]
                .as_str()
                .is_some_and(|text| text.ends_with("a < b"))
        );
        assert_eq!(Markdown("**a**").bundle()["text/markdown"], "**a**");
        assert_eq!(Latex("$x$".to_owned()).bundle()["text/latex"], "$x$");
        assert_eq!(Svg("<svg/>").bundle()["image/svg+xml"], "<svg/>");
        assert_eq!(Png([137, 80, 78, 71]).bundle()["image/png"], "iVBORw==");
        assert_eq!(
            Jpeg(vec![255]).bundle()["text/plain"],
            "[JPEG picture, 1 bytes]"
        );
        let json = Json(serde_json::json!({"k": [1]})).bundle();
        assert_eq!(json["application/json"]["k"][0], 1);
        assert_eq!(Javascript("1").bundle()["application/javascript"], "1");
    }
}
