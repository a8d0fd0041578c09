//! How the value of a cell's last expression is shown.

/// `(EXPR).evcxr_display();` becomes `(EXPR).ferrolens_last().evcxr_display();`, whose method is
/// found on the prelude's rich types first, then on the value's own type, then on anything with
/// `Debug`. The last such line is the engine's; a cell's own text may hold others.
const DISPLAY: (&str, &str) = (").evcxr_display();", ").ferrolens_last().evcxr_display();");

/// What the engine generates when the line above did not compile: `Debug` text between markers. A
/// variable that the last expression moves leads there too, so the prelude's way is tried again.
const FALLBACK: (&str, &str) = (r#"evcxr_send_text_plain(&format!("{:?}",&("#, ")));");

/// How to show a last expression that the engine wants to show as `Debug` text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::toolchain) enum Fallback {
    Rich,
    /// As the engine says, whose compile error is the better one.
    Plain,
}

/// Whether the engine shows the last expression as `Debug` text.
pub(super) fn has_fallback(text: &str) -> bool {
    text.lines().any(|line| line.trim() == FALLBACK.0)
}

/// Shows it through the prelude.
pub(super) fn replace(lines: &mut [String], fallback: Fallback) {
    if let Some(line) = lines.iter_mut().rfind(|line| line.trim() == DISPLAY.0) {
        *line = DISPLAY.1.to_owned();
    }
    if fallback == Fallback::Rich
        && let Some(open) = lines.iter().rposition(|line| line.trim() == FALLBACK.0)
        && let Some(close) = lines.iter().rposition(|line| line.trim() == FALLBACK.1)
    {
        lines[open] = "(".to_owned();
        lines[close] = DISPLAY.1.to_owned();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fallback_shows_rich_values_too_unless_its_own_error_is_wanted() {
        let generated = "evcxr_send_text_plain(&format!(\"{:?}\",&(\nx\n)));";
        assert!(has_fallback(generated));
        let shown = |fallback| {
            let mut lines: Vec<String> = generated.lines().map(str::to_owned).collect();
            replace(&mut lines, fallback);
            lines.join("\n")
        };
        assert_eq!(shown(Fallback::Plain), generated);
        assert_eq!(
            shown(Fallback::Rich),
            "(\nx\n).ferrolens_last().evcxr_display();"
        );
    }
}
