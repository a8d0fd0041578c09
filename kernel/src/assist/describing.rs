//! The thing under a cursor: a variable with its look, a function with its signature, a name in a
//! string.

use super::assistant::{Assistant, BUSY_PATIENCE};
use super::cell_names::CellNames;
use super::names::names;
use super::place::Before;
use super::ranking::Match;
use super::target::Target;
use super::{lexical, variable};
use crate::session::{self, Inspection};
use std::sync::Arc;
use std::time::Duration;

/// How long a description may take while nothing runs.
const IDLE_PATIENCE: Duration = Duration::from_secs(4);

/// The thing under a cursor.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Description {
    pub plain: String,
    pub markdown: String,
}

impl From<Inspection> for Description {
    fn from(inspection: Inspection) -> Self {
        Self {
            plain: inspection.plain,
            markdown: inspection.markdown,
        }
    }
}

impl Assistant {
    /// The thing at `cursor`, a byte of `code`.
    pub async fn inspect(
        self: &Arc<Self>,
        code: &str,
        cursor: usize,
        is_detailed: bool,
        is_busy: bool,
    ) -> Option<Description> {
        let (code, from) = lexical::rust_around(code, cursor);
        let cursor = cursor - from;
        match Target::find(code, cursor) {
            Target::Nothing => None,
            Target::Command(name) => {
                let commands = session::commands();
                let (name, what) = commands.iter().find(|(known, _)| *known == name)?;
                Some(Description {
                    plain: format!("{name}: {what}"),
                    markdown: format!("`{name}`: {what}"),
                })
            }
            Target::Text { content, around } => {
                let known = names(&around, &self.bridge.variables(), &self.bridge.words());
                match known.iter().find(|it| it.text == content) {
                    Some(it) => Some(self.describe_text(it)),
                    None => match Target::call(code, cursor) {
                        Target::Name { name, end, before } => {
                            self.describe(code, &name, end, &before, is_detailed, is_busy)
                                .await
                        }
                        _ => None,
                    },
                }
            }
            Target::Name { name, end, before } => {
                self.describe(code, &name, end, &before, is_detailed, is_busy)
                    .await
            }
        }
    }

    async fn describe(
        self: &Arc<Self>,
        code: &str,
        name: &str,
        end: usize,
        before: &Before,
        is_detailed: bool,
        is_busy: bool,
    ) -> Option<Description> {
        let known = self.session.known();
        let cell = CellNames::of(code);
        let is_own = |name: &str| known.types.contains_key(name) && !cell.bindings.contains(name);
        if *before == Before::Nothing && is_own(name) {
            let kind = known.types.get(name)?;
            let about = match is_detailed {
                true => self.look_up(kind.clone(), false, is_busy).await,
                false => None,
            };
            let variables = self.bridge.variables();
            return Some(variable::describe(
                name,
                kind,
                variables.get(name),
                about.as_ref(),
            ));
        }
        let is_member = matches!(before, Before::Variable(_) | Before::Expression);
        let asked = match before {
            Before::Variable(of) if is_own(of) && !cell.has_items => format!("{of}.{name}"),
            Before::Path(path) if !cell.has_items => format!("{path}{name}"),
            Before::Nothing if !cell.has_items && !cell.bindings.contains(name) => name.to_owned(),
            _ => code[..end].to_owned(),
        };
        if let Some(found) = self.look_up(asked, is_member, is_busy).await {
            return Some(found);
        }
        let of = match before {
            Before::Variable(of) if is_own(of) => known.types.get(of).map(String::as_str),
            Before::Path(path) => Some(path.as_str()),
            Before::Variable(_) | Before::Expression => None,
            Before::Nothing => return None,
        };
        let member = self.catalogue.member(of, name)?;
        let of = of.map_or_else(String::new, |of| format!("{of}\n"));
        let signature = format!("{name}{}", member.signature);
        let documentation = &member.documentation;
        Some(Description {
            plain: format!("{of}fn {signature}\n\n{documentation}\n"),
            markdown: format!("```rust\n{of}fn {signature}\n```\n\n{documentation}\n"),
        })
    }

    /// Asks the analyzer about the last name in `code`.
    async fn look_up(
        self: &Arc<Self>,
        code: String,
        is_member: bool,
        is_busy: bool,
    ) -> Option<Description> {
        let remembered = {
            let memory = self.memory();
            match memory.inspection(&code) {
                None if is_busy => memory.old_inspection(&code).map(Some),
                known => known,
            }
        };
        if let Some(known) = remembered {
            return known.map(Description::from);
        }
        let patience = if is_busy {
            BUSY_PATIENCE
        } else {
            IDLE_PATIENCE
        };
        let (this, asked, ticket) = (self.clone(), code.clone(), Arc::new(()));
        let held = Arc::downgrade(&ticket);
        *self
            .inspecting
            .lock()
            .unwrap_or_else(|bad| bad.into_inner()) = ticket;
        let task = tokio::spawn(async move {
            let age = this.memory().cells;
            let found = this.session.inspect(asked.clone(), is_member, held).await?;
            this.memory().keep_inspection(age, asked, found.clone());
            found
        });
        let found = match tokio::time::timeout(patience, task).await {
            Ok(Ok(found)) => found,
            _ => self.memory().old_inspection(&code),
        };
        found.map(Description::from)
    }

    fn describe_text(&self, it: &Match) -> Description {
        let of = match it.signature.as_str() {
            "" => String::new(),
            of => format!(", a name in `{of}`"),
        };
        let about = about(&it.text, self.bridge.words().get("about hook points"));
        Description {
            plain: format!("{}{}\n{about}", it.text, of.replace('`', "")),
            markdown: format!("`{}`{of}\n\n{about}", it.text),
        }
    }
}

/// What the prelude says of a hook point, by the longest ending of its name that it has a line for.
fn about(name: &str, lines: Option<&Vec<String>>) -> String {
    let lines = lines.into_iter().flatten();
    let mut known: Vec<(&str, &str)> = lines
        .filter_map(|line| line.split_once(": "))
        .filter(|(ending, _)| name.ends_with(ending))
        .collect();
    known.sort_by_key(|(ending, _)| ending.len());
    known
        .last()
        .map_or_else(String::new, |(_, about)| (*about).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_ending_says_most() {
        let lines = [
            "hook_q: queries",
            "rot_hook_q: others",
            "attn.hook_q: of heads",
        ];
        let lines: Vec<String> = lines.map(str::to_owned).into();
        assert_eq!(about("blocks.0.attn.hook_q", Some(&lines)), "of heads");
        assert_eq!(about("hook_embed", Some(&lines)), "");
        assert_eq!(about("hook_embed", None), "");
    }
}
