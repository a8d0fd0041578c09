//! What the analyzer is asked, and what the engine is told of its answers.
//!
//! The engine knows best how a cell becomes a crate; so it is asked to make that text, which it leaves in
//! its file of cells, and the analyzer reads it there. The types that the analyzer finds are told to
//! the engine as `let` statements behind the user's own, which the front takes out again before the
//! compiler sees them: the compiled text is the user's.

use super::Completion;
use super::engine::unharmed;
use super::places::statements;
use crate::analyzer::{Analyzer, Meaning, Reading, Variable};
use crate::toolchain::front;
use crate::toolchain::kept::{KeptCells, Key};
use crate::toolchain::prebuilt::Prebuilt;
use crate::toolchain::rewrite::TYPED;
use crate::toolchain::rewrite::order::for_analysis;
use crate::toolchain::workspace::dependencies;
use evcxr::CommandContext;
use std::path::{Path, PathBuf};

/// Stands for the cursor in the engine's text; in a comment, so that it changes nothing.
const CURSOR: &str = "/*ferrolens is here*/";

/// The function around a cell in the text for analysis.
const WRAPPER: &str = "evcxr_analysis_wrapper";

/// The analyzer of a session.
pub(super) struct Analysis {
    reading: Reading,
    /// Where the engine leaves the text of a cell.
    file: PathBuf,
    manifest: PathBuf,
    kept: Option<KeptCells>,
    /// Which analyzer answers: another one may find other types.
    who_says: String,
}

impl Analysis {
    /// Starts to read the prelude.
    pub(super) fn start(cells: &Path, prebuilt: &Prebuilt) -> Self {
        let manifest = cells.join("Cargo.toml");
        let this = std::env::current_exe().and_then(std::fs::metadata);
        Self {
            reading: Reading::start(&manifest),
            file: cells.join("src/lib.rs"),
            manifest,
            kept: KeptCells::find(prebuilt).filter(|_| !front::is_off()),
            who_says: this.map_or_else(
                |_| String::new(),
                |this| format!("{} {:?}", this.len(), this.modified()),
            ),
        }
    }

    /// The code of a cell with the types of its variables, as the engine is to see it; the code itself
    /// where nothing is found.
    pub(super) fn typed(&mut self, context: &mut CommandContext, code: &str) -> String {
        let found = self.variables(context, code).unwrap_or_default();
        typed(code, &found)
    }

    fn variables(
        &mut self,
        context: &mut CommandContext,
        code: &str,
    ) -> Option<Vec<Vec<Variable>>> {
        let first = statements(code).into_iter().find(|it| it.is_let)?;
        let inside = first.ends.checked_sub(1)?;
        let (text, _) = self.text(context, code, inside)?;
        let key = self
            .kept
            .as_ref()
            .filter(|_| dependencies(&self.manifest).is_none())
            .map(|kept| (kept, Key::of([&self.who_says, &for_analysis(&text)])));
        if let Some((kept, key)) = &key
            && let Some(said) = kept.said(key)
            && let Ok(variables) = serde_json::from_str(&said)
        {
            return Some(variables);
        }
        let analyzer = self.reading.get()?;
        analyzer.read(text);
        let variables = unharmed(|| analyzer.variables(WRAPPER))?;
        if let Some((kept, key)) = &key
            && let Ok(said) = serde_json::to_string(&variables)
        {
            kept.keep_said(key, &said);
        }
        Some(variables)
    }

    /// What could stand at a byte of the code.
    pub(super) fn suggestions(
        &mut self,
        context: &mut CommandContext,
        code: &str,
        cursor: usize,
    ) -> Vec<Completion> {
        let Some((analyzer, at)) = self.read(context, code, cursor) else {
            return Vec::new();
        };
        unharmed(|| analyzer.suggestions(at)).unwrap_or_default()
    }

    /// What the name at the end of `code` means.
    pub(super) fn meaning(&mut self, context: &mut CommandContext, code: &str) -> Option<Meaning> {
        // What a name is, is seen where it stands in a whole statement.
        let (text, cursor) = match code.strip_suffix('(') {
            Some(name) => (format!("{name}();"), name.len()),
            None => (format!("{code};"), code.len()),
        };
        let (analyzer, at) = self.read(context, &text, cursor)?;
        unharmed(|| analyzer.meaning(at))?
    }

    /// Lets the engine make the text of a cell and the analyzer read it; the cursor's place there.
    fn read(
        &mut self,
        context: &mut CommandContext,
        code: &str,
        cursor: usize,
    ) -> Option<(&mut Analyzer, usize)> {
        let (text, at) = self.text(context, code, cursor)?;
        let analyzer = self.reading.get()?;
        analyzer.read(text);
        Some((analyzer, at))
    }

    /// What the engine makes of a cell, and the cursor's place there.
    fn text(
        &self,
        context: &mut CommandContext,
        code: &str,
        cursor: usize,
    ) -> Option<(String, usize)> {
        let (before, behind) = code.split_at_checked(cursor)?;
        let marked = format!("{before}{CURSOR}{behind}");
        // Its own answer knows nothing of the prelude.
        let _ = unharmed(|| context.completions(&marked, cursor));
        let text = std::fs::read_to_string(&self.file).ok()?;
        let at = text.find(CURSOR)?;
        Some((text.replacen(CURSOR, "", 1), at))
    }
}

/// The code with the types of what each of its `let` statements binds.
fn typed(code: &str, found: &[Vec<Variable>]) -> String {
    let lets: Vec<_> = statements(code)
        .into_iter()
        .filter(|it| it.is_let)
        .collect();
    // The engine may put a `let` around the last expression.
    if lets.len() > found.len() {
        return code.to_owned();
    }
    let mut out = String::with_capacity(code.len());
    let mut done = 0;
    for (statement, variables) in lets.iter().zip(found) {
        let end = statement.range.end;
        out.push_str(&code[done..end]);
        done = end;
        // A comment may stand there.
        if end == code.len() && !variables.is_empty() && !code.ends_with('\n') {
            out.push('\n');
        }
        for Variable {
            name,
            is_mutable,
            kind,
        } in variables
        {
            let word = if *is_mutable { "let mut" } else { "let" };
            out.push_str(&format!("{word} {name}: {kind} = {TYPED}({name});"));
        }
    }
    out.push_str(&code[done..]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variable(name: &str, kind: &str) -> Variable {
        Variable {
            name: name.to_owned(),
            is_mutable: name.starts_with("m_"),
            kind: kind.to_owned(),
        }
    }

    #[test]
    fn types_stand_behind_the_statements_and_no_line_moves() {
        let code = "let a = f(); // why\n// and\nlet (m_b, c) = g();\na + c";
        let found = [
            vec![variable("a", "i32")],
            vec![variable("m_b", "u8"), variable("c", "i32")],
        ];
        assert_eq!(
            typed(code, &found),
            format!(
                "let a = f(); // why\n// and\nlet a: i32 = {TYPED}(a);let (m_b, c) = g();\n\
                 let mut m_b: u8 = {TYPED}(m_b);let c: i32 = {TYPED}(c);a + c"
            )
        );
        assert_eq!(
            typed("let a = 1; // why", &[vec![variable("a", "i32")]]),
            format!("let a = 1; // why\nlet a: i32 = {TYPED}(a);")
        );
    }

    #[test]
    fn what_is_not_understood_stays() {
        assert_eq!(typed("let a = 1;", &[]), "let a = 1;");
        assert_eq!(typed(":vars\n1 + 1", &[]), ":vars\n1 + 1");
    }
}
