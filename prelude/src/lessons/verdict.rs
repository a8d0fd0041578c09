//! What a check says.

use std::fmt;

/// What a check says of an answer. As the last expression of a cell it is shown in green, red or grey.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    exercise: u32,
    outcome: Outcome,
    says: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Right,
    Wrong,
    Open,
}

impl Verdict {
    pub(super) fn right(exercise: u32, says: impl Into<String>) -> Self {
        Self::new(exercise, Outcome::Right, says)
    }

    pub(super) fn wrong(exercise: u32, says: impl Into<String>) -> Self {
        Self::new(exercise, Outcome::Wrong, says)
    }

    /// There is no answer yet.
    pub(super) fn open(exercise: u32) -> Self {
        let says = "write your answer as `Some(…)` in the place of `None`, and run the cell again.";
        Self::new(exercise, Outcome::Open, says)
    }

    fn new(exercise: u32, outcome: Outcome, says: impl Into<String>) -> Self {
        Self {
            exercise,
            outcome,
            says: says.into(),
        }
    }

    /// Whether the answer is right.
    pub fn is_right(&self) -> bool {
        self.outcome == Outcome::Right
    }

    /// Whether there is no answer yet.
    pub fn is_open(&self) -> bool {
        self.outcome == Outcome::Open
    }

    /// What is wrong with the answer, or what it shows.
    pub fn says(&self) -> &str {
        &self.says
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcome = match self.outcome {
            Outcome::Right => "right",
            Outcome::Wrong => "not yet",
            Outcome::Open => "open",
        };
        write!(f, "Exercise {}, {outcome}: {}", self.exercise, self.says)
    }
}
