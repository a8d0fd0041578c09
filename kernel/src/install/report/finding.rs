//! One line of the report.

use std::fmt::Write;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Fine,
    /// The kernel works without it.
    Advice,
    Missing,
}

/// What was looked for, what was found, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) what: &'static str,
    pub(super) state: State,
    pub(super) found: String,
    /// A command, or what to do where there is none.
    pub(super) mend: String,
}

impl Finding {
    pub(super) fn fine(what: &'static str, found: impl Into<String>) -> Self {
        Self {
            what,
            state: State::Fine,
            found: found.into(),
            mend: String::new(),
        }
    }

    pub(super) fn advice(
        what: &'static str,
        found: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self {
            what,
            state: State::Advice,
            found: found.into(),
            mend: mend.into(),
        }
    }

    pub(super) fn missing(
        what: &'static str,
        found: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        Self {
            what,
            state: State::Missing,
            found: found.into(),
            mend: mend.into(),
        }
    }
}

/// All findings, each with what mends it in a line below.
pub(super) fn table(findings: &[Finding]) -> String {
    let width = findings
        .iter()
        .map(|finding| finding.what.chars().count())
        .max()
        .unwrap_or_default();
    let mut out = String::new();
    for finding in findings {
        let state = match finding.state {
            State::Fine => "ok",
            State::Advice => "could",
            State::Missing => "MISSING",
        };
        // A string takes every character.
        let _ = writeln!(out, "{state:7}  {:width$}  {}", finding.what, finding.found);
        if !finding.mend.is_empty() {
            let _ = writeln!(out, "{:7}  {:width$}  -> {}", "", "", finding.mend);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_mends_stands_below_what_is_missing() {
        let findings = [
            Finding::fine("a", "1"),
            Finding::missing("longer", "nothing", "do this"),
        ];
        assert_eq!(
            table(&findings),
            "ok       a       1\nMISSING  longer  nothing\n                 -> do this\n"
        );
    }
}
