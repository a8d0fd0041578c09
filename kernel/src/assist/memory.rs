//! What the analyzer has said before.

use super::ranking::Match;
use crate::session::Inspection;
use std::collections::HashMap;
use std::sync::Arc;

/// The most descriptions that are kept.
const MOST: usize = 256;

/// The most names in all lists that are kept, some 10 MB.
const MOST_NAMES: usize = 60_000;

/// What the analyzer was asked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Question {
    /// What a value of this type has; the answer holds until something is imported or defined.
    Type(String),
    /// What is on this path.
    Path(String),
    /// What can stand at this place of this code; the answer holds until the next cell.
    Place(String, usize),
}

/// What the analyzer has said, as long as it holds.
#[derive(Default)]
pub(super) struct Memory {
    /// Counts imports and definitions.
    pub(super) scope: u64,
    /// Counts cells.
    pub(super) cells: u64,
    matches: HashMap<Question, (u64, Arc<Vec<Match>>)>,
    /// How many names they hold.
    names: usize,
    inspections: HashMap<String, (u64, Option<Inspection>)>,
}

impl Memory {
    /// What holds still.
    pub(super) fn matches(&self, question: &Question) -> Option<Arc<Vec<Match>>> {
        let (age, matches) = self.matches.get(question)?;
        (*age == self.age(question)).then(|| matches.clone())
    }

    /// What held once: better than nothing where nobody can be asked.
    pub(super) fn old_matches(&self, question: &Question) -> Option<Arc<Vec<Match>>> {
        self.matches
            .get(question)
            .map(|(_, matches)| matches.clone())
    }

    pub(super) fn keep(&mut self, asked_at: u64, question: Question, matches: Arc<Vec<Match>>) {
        if self.names + matches.len() > MOST_NAMES {
            self.matches.clear();
            self.names = 0;
        }
        self.names += matches.len();
        if let Some((_, old)) = self.matches.insert(question, (asked_at, matches)) {
            self.names -= old.len();
        }
    }

    /// What decides whether an answer holds.
    pub(super) fn age(&self, question: &Question) -> u64 {
        match question {
            Question::Type(_) | Question::Path(_) => self.scope,
            Question::Place(..) => self.cells,
        }
    }

    pub(super) fn inspection(&self, code: &str) -> Option<Option<Inspection>> {
        let (age, inspection) = self.inspections.get(code)?;
        (*age == self.cells).then(|| inspection.clone())
    }

    pub(super) fn old_inspection(&self, code: &str) -> Option<Inspection> {
        self.inspections.get(code).and_then(|(_, it)| it.clone())
    }

    pub(super) fn keep_inspection(&mut self, asked_at: u64, code: String, it: Option<Inspection>) {
        if self.inspections.len() >= MOST {
            self.inspections.clear();
        }
        self.inspections.insert(code, (asked_at, it));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_hold_as_long_as_what_they_depend_on() {
        let mut memory = Memory::default();
        let of_type = Question::Type("Tensor".to_owned());
        let at_place = Question::Place("x.".to_owned(), 2);
        for question in [&of_type, &at_place] {
            memory.keep(memory.age(question), question.clone(), Arc::default());
        }
        memory.cells += 1;
        assert!(memory.matches(&of_type).is_some());
        assert!(memory.matches(&at_place).is_none());
        memory.scope += 1;
        assert!(memory.matches(&of_type).is_none());
        assert!(memory.old_matches(&of_type).is_some());
    }
}
